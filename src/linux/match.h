/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the host's routes a packet would take: RTM_GETROUTE with RTM_F_FIB_MATCH. rtnetlink(7).
 */
#ifndef WEFT_LINUX_MATCH_H
#define WEFT_LINUX_MATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"
#include "util/inet.h"

struct weft_route_match {
	uint8_t len;      /* of the route's prefix: bits */
	uint32_t table;   /* that it is in */
	unsigned ifindex; /* where it leads; 0: to none, or to several */
	bool local;       /* the address is the host's own */
};

/*
 * The route to `ip` of a packet with this mark (0: none). 0 or negated errno: -ENETUNREACH, or what
 * the route says instead of a way (-EHOSTUNREACH, -EACCES, -EINVAL). Opens its own socket: any
 * thread.
 */
WEFT_MUST_CHECK int weft_route_match(const struct weft_ip *ip, uint32_t mark,
				     struct weft_route_match *ret);

#endif
