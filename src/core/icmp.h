/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICMP errors for inner packets that have no peer or no endpoint (RFC 792, RFC 4443), as the
 * kernel's icmp_ndo_send gives them: host unreachable, and address unreachable. Pure.
 */
#ifndef WEFT_CORE_ICMP_H
#define WEFT_CORE_ICMP_H

#include <stddef.h>
#include <stdint.h>

#define WEFT_ICMP_MAX_LEN 1280 /* `out` below: at least this */

/*
 * Builds the error for `inner` (RFC 1122 and 4443: never for ICMP errors, fragments but the first,
 * multicast or unspecified sources, multicast destinations). It comes from the inner destination.
 * Returns the length, or 0 if none is due.
 */
size_t weft_icmp_unreachable(uint8_t out[WEFT_ICMP_MAX_LEN], const uint8_t *inner, size_t len);

#endif
