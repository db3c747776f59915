/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request and its answers over a NETLINK_ROUTE socket. Inside src/linux only.
 * rtnetlink(7); RFC 3549.
 */
#ifndef WEFT_LINUX_RTNL_H
#define WEFT_LINUX_RTNL_H

#include <libmnl/libmnl.h>
#include <stdint.h>

#include "util/error.h"

#define WEFT_RTNL_REQUEST_BYTES 512
#define WEFT_RTNL_ANSWER_BYTES  32768 /* the kernel's own limit for one part of a dump */

struct weft_rtnl {
	struct mnl_socket *nl;
	uint32_t seq;
};

/* A socket that waits at most two seconds for an answer. 0 or negated errno. */
WEFT_MUST_CHECK int weft_rtnl_open(struct weft_rtnl *ret_rtnl);
void weft_rtnl_close(struct weft_rtnl *rtnl); /* also one of all zeros */

/* Begins a request in `buf` (WEFT_RTNL_REQUEST_BYTES, zeroed). `flags` beside NLM_F_REQUEST. */
struct nlmsghdr *weft_rtnl_request(void *buf, uint16_t type, uint16_t flags);

/*
 * Sends it and runs `cb` (may be NULL) on each answer until the acknowledgement or the end of the
 * dump. 0 or negated errno: the kernel's, -ETIMEDOUT, -EINTR (a dump changed while it was read).
 */
WEFT_MUST_CHECK int weft_rtnl_talk(struct weft_rtnl *rtnl, struct nlmsghdr *req, mnl_cb_t cb,
				   void *arg);

#endif
