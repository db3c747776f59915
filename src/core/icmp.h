/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICMP errors about inner packets (RFC 792, RFC 1191, RFC 4443): no peer or no endpoint (host
 * unreachable, address unreachable, as the kernel's icmp_ndo_send gives them), and what a router
 * answers. Pure.
 */
#ifndef WEFT_CORE_ICMP_H
#define WEFT_CORE_ICMP_H

#include <stddef.h>
#include <stdint.h>

#include "util/inet.h"

#define WEFT_ICMP_MAX_LEN 1280 /* `out` below: at least this */

enum weft_icmp_kind {
	WEFT_ICMP_UNREACHABLE,   /* host unreachable; address unreachable */
	WEFT_ICMP_TIME_EXCEEDED, /* in transit */
	WEFT_ICMP_TOO_BIG,       /* fragmentation needed and DF set; packet too big */
};

struct weft_icmp_error {
	enum weft_icmp_kind kind;
	uint32_t mtu;               /* bytes, for WEFT_ICMP_TOO_BIG */
	const struct weft_ip *from; /* of the packet's family; NULL: where the packet was going */
};

/*
 * Builds the error for `inner` (RFC 1122 and 4443: never for ICMP errors, fragments but the first,
 * multicast or unspecified sources, multicast destinations). Returns the length, or 0 if none is
 * due.
 */
size_t weft_icmp_error(uint8_t out[WEFT_ICMP_MAX_LEN], const struct weft_icmp_error *error,
		       const uint8_t *inner, size_t len);

/* The same for WEFT_ICMP_UNREACHABLE, from where the packet was going. */
size_t weft_icmp_unreachable(uint8_t out[WEFT_ICMP_MAX_LEN], const uint8_t *inner, size_t len);

#endif
