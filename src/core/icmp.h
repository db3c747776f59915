/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICMP errors for inner packets that the tunnel cannot carry (RFC 792, RFC 4443), as the kernel's
 * icmp_ndo_send gives them: host unreachable, address unreachable, and packet too big. Pure.
 */
#ifndef WEFT_CORE_ICMP_H
#define WEFT_CORE_ICMP_H

#include <stddef.h>
#include <stdint.h>

#include "util/inet.h"

#define WEFT_ICMP_MAX_LEN 1280 /* `out` of the functions below: at least this */

/*
 * Builds the error for `inner` (RFC 1122 and 4443: never for ICMP errors, fragments but the first,
 * multicast or unspecified sources, multicast destinations). `from` is the source to use; family
 * WEFT_NONE or of the other family: the inner destination. Returns the length, or 0 if none is due.
 */
size_t weft_icmp_unreachable(uint8_t out[WEFT_ICMP_MAX_LEN], const uint8_t *inner, size_t len,
			     const struct weft_ip *from);
size_t weft_icmp_too_big(uint8_t out[WEFT_ICMP_MAX_LEN], const uint8_t *inner, size_t len,
			 const struct weft_ip *from, uint32_t mtu);

#endif
