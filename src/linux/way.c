/* SPDX-License-Identifier: Apache-2.0 */
/* Asks twice: for the way itself, and for the route in the table that it was taken from. */
#include "linux/way.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "linux/match.h"
#include "linux/rtnl.h"

#define MAX_TYPE 64

static int by_type(const struct nlattr *attr, void *arg)
{
	const struct nlattr **tb = arg;
	unsigned type = mnl_attr_get_type(attr);

	if (type < MAX_TYPE)
		tb[type] = attr;
	return MNL_CB_OK;
}

static uint32_t u32(const struct nlattr *attr)
{
	return attr && mnl_attr_get_payload_len(attr) == sizeof(uint32_t) ? mnl_attr_get_u32(attr)
									  : 0;
}

static struct weft_ip address_of(uint8_t af, const struct nlattr *attr)
{
	struct weft_ip ip = {.family = af == AF_INET ? WEFT_IPV4 : WEFT_IPV6};
	size_t bytes = weft_family_bytes(ip.family);

	if (!attr || mnl_attr_get_payload_len(attr) != bytes)
		return (struct weft_ip){.family = WEFT_NONE};
	memcpy(ip.b, mnl_attr_get_payload(attr), bytes);
	return ip;
}

static int on_way(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *tb[MAX_TYPE] = {0}, *metrics[MAX_TYPE] = {0};
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct weft_way *way = arg;

	if (nlh->nlmsg_type != RTM_NEWROUTE || mnl_attr_parse(nlh, sizeof(*rtm), by_type, tb) < 0)
		return MNL_CB_OK;
	way->ifindex = u32(tb[RTA_OIF]);
	way->local = rtm->rtm_type == RTN_LOCAL;
	way->source = address_of(rtm->rtm_family, tb[RTA_PREFSRC]);
	if (tb[RTA_METRICS] && mnl_attr_parse_nested(tb[RTA_METRICS], by_type, metrics) >= 0)
		way->mtu = u32(metrics[RTAX_MTU]);
	return MNL_CB_OK;
}

static int ask(struct weft_rtnl *rtnl, const struct weft_ip *ip, uint32_t mark,
	       struct weft_way *way)
{
	uint8_t buf[WEFT_RTNL_REQUEST_BYTES] = {0};
	struct nlmsghdr *req = weft_rtnl_request(buf, RTM_GETROUTE, NLM_F_ACK);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(req, sizeof(*rtm));

	rtm->rtm_family = ip->family == WEFT_IPV4 ? AF_INET : AF_INET6;
	rtm->rtm_dst_len = (uint8_t)weft_family_bits(ip->family);
	mnl_attr_put(req, RTA_DST, weft_family_bytes(ip->family), ip->b);
	if (mark)
		mnl_attr_put_u32(req, RTA_MARK, mark);
	return weft_rtnl_talk(rtnl, req, on_way, way);
}

static uint32_t mtu_of(const char *ifname)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {0};
	uint32_t mtu = 0;

	if (fd < 0)
		return 0;
	memcpy(ifr.ifr_name, ifname, strnlen(ifname, IF_NAMESIZE - 1));
	if (ioctl(fd, SIOCGIFMTU, &ifr) == 0 && ifr.ifr_mtu > 0)
		mtu = (uint32_t)ifr.ifr_mtu;
	close(fd);
	return mtu;
}

int weft_way_find(const struct weft_ip *ip, uint32_t mark, struct weft_way *ret_way)
{
	struct weft_way way = {0};
	struct weft_route_match match;
	struct weft_rtnl rtnl = {0};
	int err = weft_rtnl_open(&rtnl);

	if (!err)
		err = ask(&rtnl, ip, mark, &way);
	weft_rtnl_close(&rtnl);
	if (err)
		return err;
	if (!weft_route_match(ip, mark, &match)) {
		way.matched = (struct weft_prefix){.ip = *ip, .len = match.len};
		(void)weft_prefix_mask(&way.matched);
	}
	if (!if_indextoname(way.ifindex, way.ifname))
		way.ifname[0] = '\0';
	if (!way.mtu)
		way.mtu = mtu_of(way.ifname);
	*ret_way = way;
	return 0;
}
