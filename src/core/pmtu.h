/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a packet a peer's path carries: the search (in the manner of RFC 8899, PLPMTUD), the
 * probes, and what answers them. Sizes are of inner packets, in bytes. Pure; path.c drives it.
 *
 * A probe is an ICMP echo request to the peer inside the tunnel, with zeros behind it: every
 * receiver cuts those off, as it does with the padding of any packet, so that the outward path is
 * measured alone and the answer is small. Its hop limit is 1: whoever would pass it on answers that
 * its time was exceeded, which is an answer as well.
 */
#ifndef WEFT_CORE_PMTU_H
#define WEFT_CORE_PMTU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/inner.h"
#include "util/inet.h"

#define WEFT_PMTU_FLOOR       576  /* less is not tried; Linux takes no smaller PMTU over IPv4 */
#define WEFT_PMTU_BASE        1280 /* what IPv6 must be able to rely on */
#define WEFT_PMTU_STEP        16   /* packets are padded to this */
#define WEFT_PMTU_TRIES       3    /* lost, while small ones arrive: too long */
#define WEFT_PMTU_OVERHEAD_V4 60   /* IP, UDP, WireGuard's header and tag */
#define WEFT_PMTU_OVERHEAD_V6 80

/* ---- the search ---- */

struct weft_pmtu_search {
	uint32_t top;  /* the longest that is tried: what the route takes */
	uint32_t link; /* the tunnel's MTU: tried soon, for it is what matters */
	uint32_t lo;   /* carried; 0: nothing yet */
	uint32_t hi;   /* not carried; top + 1: nothing yet */
	uint32_t size; /* on trial */
	uint8_t lost;  /* of WEFT_PMTU_TRIES */
	bool again;    /* `hi` was tried a second time, or is certain */
};

/* `top` is raised to WEFT_PMTU_FLOOR. The first `size` is `top` itself. */
void weft_pmtu_begin(struct weft_pmtu_search *s, uint32_t top, uint32_t link);

/*
 * What became of the probe of `size` bytes: each returns true if there is another `size` to try,
 * the same one perhaps, false if the search is over (weft_pmtu_result).
 */
bool weft_pmtu_carried(struct weft_pmtu_search *s);
bool weft_pmtu_lost(struct weft_pmtu_search *s);    /* while a small one was answered */
bool weft_pmtu_refused(struct weft_pmtu_search *s); /* the host itself knows that it is too long */

/* The longest that is carried: `top`, `link`, or a multiple of 16; WEFT_PMTU_FLOOR at least. */
uint32_t weft_pmtu_result(const struct weft_pmtu_search *s);

/*
 * The longest inner packet that may go out without being fragmented on a path that carries `path`:
 * the padding, which ends at the tunnel's MTU, must fit as well.
 */
uint32_t weft_pmtu_limit(uint32_t path, uint32_t link);

/* ---- probes and answers ---- */

#define WEFT_PMTU_PROBE_LEN 48 /* at most, without the zeros behind it */

/*
 * Builds the echo request. `cookie` is its identifier and sequence number. Returns its length.
 * `from` and `to` are of one family.
 */
size_t weft_pmtu_probe(uint8_t out[WEFT_PMTU_PROBE_LEN], const struct weft_ip *from,
		       const struct weft_ip *to, uint32_t cookie);

/*
 * The cookie of the probe that this packet answers: an echo reply, or an error (unreachable, time
 * exceeded) about an echo request. False if it is anything else. `in` is what weft_inner_parse
 * made of `pkt`.
 */
bool weft_pmtu_answer(const uint8_t *pkt, const struct weft_inner *in, uint32_t *ret_cookie);

/*
 * An address that the peer will answer for, out of a prefix that is routed to it: the address
 * itself if it is a single one, else the first that a host may have. False if there is none.
 */
bool weft_pmtu_target(const struct weft_prefix *allowed, struct weft_ip *ret_ip);

/*
 * An inner packet of `len` bytes (or a train of such: `pkt` is its first header) is longer than
 * `limit`. Must its sender be told, as it cannot be fragmented? Then `*ret_mtu` is what to tell.
 * False: it goes, and is fragmented outside.
 */
bool weft_pmtu_too_long(const uint8_t *pkt, size_t pkt_len, size_t len, uint32_t limit,
			uint32_t *ret_mtu);

#endif
