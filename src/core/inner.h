/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The IP packet inside a transport message: just what the tunnel must know of it (version,
 * lengths, addresses, ECN), and ECN across the tunnel (RFC 6040, normal mode). Pure; never reads
 * past the length given.
 */
#ifndef WEFT_CORE_INNER_H
#define WEFT_CORE_INNER_H

#include <stddef.h>
#include <stdint.h>

#include "util/error.h"
#include "util/inet.h"

enum weft_ecn {
	WEFT_ECN_NOT_ECT = 0,
	WEFT_ECN_ECT1 = 1,
	WEFT_ECN_ECT0 = 2,
	WEFT_ECN_CE = 3,
};

struct weft_inner {
	uint8_t version;    /* 4 or 6 */
	uint8_t ecn;        /* enum weft_ecn */
	uint8_t proto;      /* IPv4 protocol or first IPv6 next header */
	uint8_t header_len; /* IPv4 with options; 40 for IPv6 (extension headers not counted) */
	size_t total_len;   /* as the header says: at least header_len, at most `len` */
	struct weft_ip src, dst;
};

/*
 * Parses the header of an IP packet; `len` may be larger than the packet (padding).
 * Returns 0; WEFT_E_PARSE if it is neither IPv4 nor IPv6 or its header is inconsistent;
 * WEFT_E_TRUNCATED if the header, or the length it gives, goes past `len`. Any thread.
 */
WEFT_MUST_CHECK int weft_inner_parse(const uint8_t *pkt, size_t len, struct weft_inner *ret_inner);

/* The outer ECN for an inner one (RFC 6040 4.1): a copy. DSCP does not leak: the rest is 0. */
static inline uint8_t weft_ecn_encap(uint8_t inner_ecn)
{
	return inner_ecn & 3;
}

/*
 * Merges the ECN of the outer header into the inner packet (RFC 6040 4.2), and mends the IPv4
 * checksum. `pkt` has been parsed into `inner`, whose `ecn` follows.
 * Returns 0, or WEFT_E_DROP for a congestion mark on a packet that is not ECN-capable.
 */
WEFT_MUST_CHECK int weft_ecn_decap(uint8_t *pkt, struct weft_inner *inner, uint8_t outer_tos);

/*
 * Tells the sender of the IP packet of `len` bytes to slow down: marks it, as a congested router
 * would (RFC 3168). Returns 0, or WEFT_E_DROP if its flow does not know marks: its loss will tell.
 */
WEFT_MUST_CHECK int weft_ecn_mark(uint8_t *pkt, size_t len);

/*
 * A number that is the same for all packets of a flow (addresses, protocol, and the ports of TCP,
 * UDP, UDP-Lite, SCTP and DCCP; fragments of any kind are flows without ports), and differs with
 * `seed`. Looks at no more than `len` bytes; whatever is no IP packet is one flow. Any thread.
 */
uint64_t weft_inner_flow(const uint8_t *pkt, size_t len, uint64_t seed);

#endif
