/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests over rtnetlink with libmnl. Knows no message in particular.
 */
#include "linux/rtnl.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

int weft_rtnl_open(struct weft_rtnl *ret_rtnl)
{
	struct timeval timeout = {.tv_sec = 2};
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int err;

	if (!nl)
		return -errno;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) <
		    0) {
		err = -errno;
		mnl_socket_close(nl);
		return err;
	}
	*ret_rtnl = (struct weft_rtnl){.nl = nl};
	return 0;
}

void weft_rtnl_close(struct weft_rtnl *rtnl)
{
	if (rtnl->nl)
		mnl_socket_close(rtnl->nl);
	rtnl->nl = NULL;
}

struct nlmsghdr *weft_rtnl_request(void *buf, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	return nlh;
}

int weft_rtnl_talk(struct weft_rtnl *rtnl, struct nlmsghdr *req, mnl_cb_t cb, void *arg)
{
	unsigned portid = mnl_socket_get_portid(rtnl->nl);
	uint8_t buf[WEFT_RTNL_ANSWER_BYTES];
	ssize_t n;
	int r;

	req->nlmsg_seq = ++rtnl->seq;
	if (mnl_socket_sendto(rtnl->nl, req, req->nlmsg_len) < 0)
		return -errno;
	for (;;) {
		n = mnl_socket_recvfrom(rtnl->nl, buf, sizeof(buf));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (n == 0)
			return -EPROTO;
		r = mnl_cb_run(buf, (size_t)n, rtnl->seq, portid, cb, arg);
		if (r == MNL_CB_STOP)
			return 0;
		/* ESRCH: the late answer to a request that was given up. */
		if (r < 0 && errno != ESRCH)
			return -errno;
	}
}
