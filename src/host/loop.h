/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints that would be routed into the tunnel that leads to them. A route of the interface in
 * the main table takes them if it is as long as the host's own to that address, or longer: the mark
 * of a default route does not help, since what has the mark looks there too. Who sets FwMark has
 * rules of his own, and is left alone.
 */
#ifndef WEFT_HOST_LOOP_H
#define WEFT_HOST_LOOP_H

#include "host/state.h"

struct weft_host_loop {
	bool off; /* the file says how its own packets are routed */
	uint32_t mark;
	unsigned ifindex;
	struct weft_host_state wanted;
};

/*
 * `mark` and `ifindex`: of the interface if it is there, else 0. `ret` is cleared by the caller,
 * also after an error. 0 or -ENOMEM.
 */
WEFT_MUST_CHECK int weft_host_loop_init(struct weft_host_loop *ret, const struct weft_quick *quick,
					uint32_t mark, unsigned ifindex);
void weft_host_loop_clear(struct weft_host_loop *l);

/* True if packets to `ip` would take the interface: then `*ret_by` is the prefix that does it. */
bool weft_host_loops(const struct weft_host_loop *l, const struct weft_ip *ip,
		     struct weft_prefix *ret_by);

/*
 * What is wrong, with its hint, for an endpoint line of the file. `shown`: what stands there;
 * `ip`: the address that it has.
 */
void weft_host_loop_diag(const struct weft_quick *quick, const char *ifname,
			 const struct weft_quick_endpoint *line, const struct weft_ip *ip,
			 const struct weft_prefix *by, struct weft_diag *diag);

#endif
