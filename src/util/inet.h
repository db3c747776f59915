/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses, prefixes and endpoints as plain values, the same in every layer. No sockaddr: only
 * src/linux knows that type.
 */
#ifndef WEFT_UTIL_INET_H
#define WEFT_UTIL_INET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

enum weft_family {
	WEFT_NONE = 0, /* unset */
	WEFT_IPV4 = 4,
	WEFT_IPV6 = 6,
};

/* Network byte order; IPv4 uses the first four bytes and keeps the others zero. */
struct weft_ip {
	uint8_t b[16];
	uint8_t family; /* enum weft_family */
};

struct weft_prefix {
	struct weft_ip ip;
	uint8_t len; /* bits: 0 to 32, or 0 to 128 */
};

/* Where a peer is, and from which of our addresses it was last heard (the sticky source). */
struct weft_endpoint {
	struct weft_ip ip; /* family WEFT_NONE: no endpoint */
	uint16_t port;     /* host byte order */
	uint32_t scope_id; /* interface index of a link-local IPv6 address, else 0 */
	struct weft_ip
		local; /* our address that the peer contacted; WEFT_NONE: let routing choose */
	uint32_t local_ifindex; /* interface it arrived on; 0: unknown */
};

#define WEFT_IP_TEXT_LEN       46 /* longest IPv6 text and its NUL */
#define WEFT_PREFIX_TEXT_LEN   50
#define WEFT_ENDPOINT_TEXT_LEN 68 /* "[v6%4294967295]:65535" and its NUL */

/* Bits of an address of this family: 32 or 128; 0 for WEFT_NONE. */
unsigned weft_family_bits(uint8_t family);

/* Bytes of an address of this family: 4 or 16; 0 for WEFT_NONE. */
size_t weft_family_bytes(uint8_t family);

bool weft_ip_equal(const struct weft_ip *a, const struct weft_ip *b);

/* True if remote address, port and scope are equal; the local side is not looked at. */
bool weft_endpoint_same_remote(const struct weft_endpoint *a, const struct weft_endpoint *b);

/* Zeroes the bits past `len`. True if any was set (the caller may want to warn). */
bool weft_prefix_mask(struct weft_prefix *p);

/* True if `ip` lies inside `p`. Families must match, else false. */
bool weft_prefix_contains(const struct weft_prefix *p, const struct weft_ip *ip);

/*
 * Numeric text to values; `text` is `len` bytes, no NUL needed.
 * ip: "192.0.2.1" | "2001:db8::1". prefix: "ip" (full length) or "ip/len"; host bits are kept.
 * endpoint: "ip:port" | "[v6]:port" | "[v6%ifindex]:port"; port 1 to 65535 (0 is refused).
 * Returns 0 or WEFT_E_PARSE; the output is written only on success. Any thread.
 */
WEFT_MUST_CHECK int weft_ip_parse(const char *text, size_t len, struct weft_ip *ret_ip);
WEFT_MUST_CHECK int weft_prefix_parse(const char *text, size_t len, struct weft_prefix *ret_prefix);
WEFT_MUST_CHECK int weft_endpoint_parse(const char *text, size_t len,
					struct weft_endpoint *ret_endpoint);

/*
 * Values to text, NUL-terminated, into `out` (at least WEFT_*_TEXT_LEN bytes). Returns `out`.
 * An unset address gives "(none)". Any thread.
 */
const char *weft_ip_format(const struct weft_ip *ip, char out[WEFT_IP_TEXT_LEN]);
const char *weft_prefix_format(const struct weft_prefix *p, char out[WEFT_PREFIX_TEXT_LEN]);
const char *weft_endpoint_format(const struct weft_endpoint *e, char out[WEFT_ENDPOINT_TEXT_LEN]);

#endif
