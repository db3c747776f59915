/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel says about our interface and the routes around it, over rtnetlink (libmnl):
 * watching (up, down, MTU, deletion, addresses, route changes), quieting the interface, and asking
 * which interface a destination is routed to. rtnetlink(7).
 */
#ifndef WEFT_LINUX_LINK_H
#define WEFT_LINUX_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"
#include "util/inet.h"

struct weft_link;

enum weft_link_change {
	WEFT_LINK_UP = 1 << 0,
	WEFT_LINK_DOWN = 1 << 1,
	WEFT_LINK_MTU = 1 << 2,
	WEFT_LINK_DELETED = 1 << 3,
	WEFT_LINK_ADDRESS = 1 << 4,   /* an address of any interface came or went */
	WEFT_LINK_ROUTE = 1 << 5,     /* a route, a rule or forwarding changed */
	WEFT_LINK_OTHER_MTU = 1 << 7, /* another interface's MTU changed, or may have */
	WEFT_LINK_OVERRUN = 1 << 6,   /* messages were lost: state was read anew */
};

/* Subscribes and reads the present state of interface `ifindex`. 0 or negated errno. */
WEFT_MUST_CHECK int weft_link_open(struct weft_link **ret_link, unsigned ifindex);
void weft_link_close(struct weft_link *link);
int weft_link_fd(const struct weft_link *link); /* for epoll */

/*
 * Reads what is there. Returns a mask of enum weft_link_change (0: nothing for us), or negated
 * errno. UP and DOWN together: both happened; weft_link_is_up tells where it ended.
 */
WEFT_MUST_CHECK int weft_link_read(struct weft_link *link);

bool weft_link_is_up(const struct weft_link *link);
uint32_t weft_link_mtu(const struct weft_link *link);

/*
 * No automatic link-local address, no router solicitation, no ICMP redirects. Before the interface
 * is up. Does all that it can; returns 0, or the first negated errno (-EROFS: sysctls cannot be
 * written, as in some containers), which is worth a line in the log and no more.
 */
WEFT_MUST_CHECK int weft_link_quiet(const char *name, unsigned ifindex);
WEFT_MUST_CHECK int weft_link_set_mtu(unsigned ifindex, uint32_t mtu);

/*
 * Limits the kernel's TSO and USO super-packets to as many segments as one UDP GSO send holds once
 * they are sealed. At start and at each WEFT_LINK_MTU. 0 or negated errno; failure costs speed
 * only.
 */
WEFT_MUST_CHECK int weft_link_limit_gso(unsigned ifindex, uint32_t mtu);

/*
 * Which interface would carry a packet to `ip` with this mark, and from `source` (may be NULL: the
 * kernel chooses)? RTM_GETROUTE. Returns 0 with the index, or negated errno (-ENETUNREACH, also
 * for an IPv4 source that is not ours). Its own socket: any thread, one at a time.
 */
WEFT_MUST_CHECK int weft_route_lookup(struct weft_link *link, const struct weft_ip *ip,
				      const struct weft_ip *source, uint32_t fwmark,
				      unsigned *ret_ifindex);

/*
 * Would the host forward a packet that came in by interface `ifindex`, from `src` to `dst`, and
 * back out of that interface? Its routes and rules decide (by addresses and interface: not by mark,
 * protocol, port or DS field), its own addresses, its source filter, and whether it forwards at
 * all. Returns 0 with the longest packet that the route takes (bytes; UINT32_MAX: as the
 * interface), or negated errno: -ENETUNREACH if it would do anything else. Threads as above.
 */
WEFT_MUST_CHECK int weft_route_forward(struct weft_link *link, const struct weft_ip *src,
				       const struct weft_ip *dst, unsigned ifindex,
				       uint32_t *ret_max_len);

/*
 * The MTU of the route to an endpoint with this mark, from its local address if that is still
 * ours: the route's own, else its interface's, in bytes. `ret_learned` is what ICMP taught the host
 * of the path behind it, 0 if nothing. 0 or negated errno. Threads as above.
 */
WEFT_MUST_CHECK int weft_route_mtu(struct weft_link *link, const struct weft_endpoint *to,
				   uint32_t fwmark, uint32_t *ret_mtu, uint32_t *ret_learned);

/*
 * The address that the host would send from to `to` out of interface `ifindex`. 0 or negated errno
 * (-EADDRNOTAVAIL: it has none, -ENETUNREACH: not by that interface). Threads as above.
 */
WEFT_MUST_CHECK int weft_route_source(struct weft_link *link, const struct weft_ip *to,
				      unsigned ifindex, struct weft_ip *ret_source);

#endif
