/* SPDX-License-Identifier: Apache-2.0 */
/* One question about a route, and its answer. */
#include "linux/match.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "linux/rtnl.h"

static int by_type(const struct nlattr *attr, void *arg)
{
	const struct nlattr **tb = arg;

	if (mnl_attr_get_type(attr) <= RTA_MAX)
		tb[mnl_attr_get_type(attr)] = attr;
	return MNL_CB_OK;
}

static uint32_t u32(const struct nlattr *attr, uint32_t otherwise)
{
	if (!attr || mnl_attr_get_payload_len(attr) != sizeof(uint32_t))
		return otherwise;
	return mnl_attr_get_u32(attr);
}

static int on_route(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *tb[RTA_MAX + 1] = {0};
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct weft_route_match *match = arg;

	if (nlh->nlmsg_type != RTM_NEWROUTE || mnl_attr_parse(nlh, sizeof(*rtm), by_type, tb) < 0)
		return MNL_CB_OK;
	*match = (struct weft_route_match){
		.len = rtm->rtm_dst_len,
		.table = u32(tb[RTA_TABLE], rtm->rtm_table),
		.ifindex = u32(tb[RTA_OIF], 0),
		.local = rtm->rtm_type == RTN_LOCAL,
	};
	return MNL_CB_OK;
}

int weft_route_match(const struct weft_ip *ip, uint32_t mark, struct weft_route_match *ret)
{
	uint8_t buf[WEFT_RTNL_REQUEST_BYTES] = {0};
	struct nlmsghdr *req = weft_rtnl_request(buf, RTM_GETROUTE, NLM_F_ACK);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(req, sizeof(*rtm));
	struct weft_route_match match = {0};
	struct weft_rtnl rtnl;
	int rc = weft_rtnl_open(&rtnl);

	if (rc)
		return rc;
	rtm->rtm_family = ip->family == WEFT_IPV4 ? AF_INET : AF_INET6;
	rtm->rtm_dst_len = (uint8_t)weft_family_bits(ip->family);
	rtm->rtm_flags = RTM_F_FIB_MATCH;
	mnl_attr_put(req, RTA_DST, weft_family_bytes(ip->family), ip->b);
	if (mark)
		mnl_attr_put_u32(req, RTA_MARK, mark);
	rc = weft_rtnl_talk(&rtnl, req, on_route, &match);
	weft_rtnl_close(&rtnl);
	if (!rc)
		*ret = match;
	return rc;
}
