/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which way a packet to an address would go: a question to the kernel's routes, rules and marks
 * included. Nothing is sent. rtnetlink(7), RTM_GETROUTE.
 */
#ifndef WEFT_LINUX_WAY_H
#define WEFT_LINUX_WAY_H

#include <net/if.h>

#include "util/inet.h"

struct weft_way {
	unsigned ifindex; /* of the interface that it leaves by */
	char ifname[IF_NAMESIZE];
	bool local;                 /* the address is this host's own */
	struct weft_ip source;      /* the address that it would come from; WEFT_NONE: not said */
	struct weft_prefix matched; /* of the route; family WEFT_NONE: the kernel does not say */
	uint32_t mtu;               /* bytes: the route's, else the interface's; 0: not known */
};

/*
 * For a packet with this mark (0: none). 0, or negated errno: -ENETUNREACH, -EHOSTUNREACH (there is
 * none, or an "unreachable" one), -EACCES ("prohibit"), -EINVAL ("blackhole"). `*ret_way` is
 * written only on success. Any thread.
 */
WEFT_MUST_CHECK int weft_way_find(const struct weft_ip *ip, uint32_t mark,
				  struct weft_way *ret_way);

#endif
