/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watching our interface and the routes around it, and asking where a destination is routed.
 * What is changed on the interface is in link_setup.c. rtnetlink(7).
 */
#include "linux/link.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/netconf.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "linux/rtnl.h"

#define WATCH_BUFFER_BYTES (1 << 20)
/* Reads of the watch socket per call: a storm of route changes must not hold up the caller. */
#define READS_PER_CALL 64
/* Another process may hold the kernel's lock for longer than a request waits. */
#define READ_TRIES 5

#define OTHERS 64

struct weft_link {
	struct mnl_socket *watch;
	struct weft_rtnl state; /* for reading state, by the watcher */
	struct weft_rtnl route; /* for weft_route_lookup alone */
	unsigned ifindex;
	bool up, deleted;
	uint32_t mtu;
	/* of other interfaces, as last heard, by their lower bits */
	struct {
		int ifindex;
		uint32_t mtu;
	} others[OTHERS];
};

/* What one message, or one reading of the state, says of our interface. */
struct seen {
	struct weft_link *link;
	int changes;
};

static int parse_attr(const struct nlattr *attr, void *arg)
{
	const struct nlattr **tb = arg;
	unsigned type = mnl_attr_get_type(attr);

	if (type <= RTA_MAX)
		tb[type] = attr;
	return MNL_CB_OK;
}

/* Was another interface's MTU unlike this before? */
static bool other_mtu_changed(struct weft_link *link, const struct nlmsghdr *nlh)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *tb[RTA_MAX + 1] = {0};
	unsigned at = (unsigned)ifi->ifi_index % OTHERS;
	uint32_t mtu;

	if (nlh->nlmsg_type != RTM_NEWLINK || ifi->ifi_family != AF_UNSPEC ||
	    mnl_attr_parse(nlh, sizeof(*ifi), parse_attr, tb) < 0 || !tb[IFLA_MTU] ||
	    mnl_attr_get_payload_len(tb[IFLA_MTU]) != sizeof(uint32_t))
		return false;
	mtu = mnl_attr_get_u32(tb[IFLA_MTU]);
	if (link->others[at].ifindex == ifi->ifi_index && link->others[at].mtu == mtu)
		return false;
	link->others[at].ifindex = ifi->ifi_index;
	link->others[at].mtu = mtu;
	return true;
}

static void note_link(struct seen *s, const struct nlmsghdr *nlh)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *tb[RTA_MAX + 1] = {0};
	struct weft_link *link = s->link;
	bool up;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi))
		return;
	if ((unsigned)ifi->ifi_index != link->ifindex) {
		if (other_mtu_changed(link, nlh))
			s->changes |= WEFT_LINK_OTHER_MTU;
		return;
	}
	/* AF_BRIDGE and AF_INET6 messages tell of one protocol's view only. */
	if (ifi->ifi_family != AF_UNSPEC)
		return;
	if (nlh->nlmsg_type == RTM_DELLINK) {
		link->deleted = true;
		link->up = false;
		s->changes |= WEFT_LINK_DELETED;
		return;
	}
	if (mnl_attr_parse(nlh, sizeof(*ifi), parse_attr, tb) < 0)
		return;
	up = (ifi->ifi_flags & IFF_UP) != 0;
	if (up != link->up) {
		link->up = up;
		s->changes |= up ? WEFT_LINK_UP : WEFT_LINK_DOWN;
	}
	if (tb[IFLA_MTU] && mnl_attr_get_payload_len(tb[IFLA_MTU]) == sizeof(uint32_t)) {
		uint32_t mtu = mnl_attr_get_u32(tb[IFLA_MTU]);

		if (mtu != link->mtu) {
			link->mtu = mtu;
			s->changes |= WEFT_LINK_MTU;
		}
	}
}

static int note_state(const struct nlmsghdr *nlh, void *arg)
{
	if (nlh->nlmsg_type == RTM_NEWLINK)
		note_link(arg, nlh);
	return MNL_CB_OK;
}

/* Reads flags and MTU. 0 or negated errno (-ENODEV: there is no such interface). */
static int read_state(struct weft_link *link, struct seen *s)
{
	uint8_t buf[WEFT_RTNL_REQUEST_BYTES] = {0};
	struct nlmsghdr *req = weft_rtnl_request(buf, RTM_GETLINK, NLM_F_ACK);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(req, sizeof(*ifi));

	ifi->ifi_index = (int)link->ifindex;
	return weft_rtnl_talk(&link->state, req, note_state, s);
}

static int open_watch(struct mnl_socket **ret_nl)
{
	unsigned groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
			  RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_RULE |
			  1u << (RTNLGRP_IPV6_RULE - 1) | 1u << (RTNLGRP_IPV4_NETCONF - 1) |
			  1u << (RTNLGRP_IPV6_NETCONF - 1);
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int size = WATCH_BUFFER_BYTES;
	int err;

	if (!nl)
		return -errno;
	if (setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (mnl_socket_bind(nl, groups, MNL_SOCKET_AUTOPID) < 0) {
		err = -errno;
		mnl_socket_close(nl);
		return err;
	}
	*ret_nl = nl;
	return 0;
}

int weft_link_open(struct weft_link **ret_link, unsigned ifindex)
{
	struct weft_link *link = calloc(1, sizeof(*link));
	struct seen s = {.link = link};
	int err;

	if (!link)
		return -ENOMEM;
	link->ifindex = ifindex;
	/* First listen, then look: nothing is missed between. */
	err = open_watch(&link->watch);
	if (err == 0)
		err = weft_rtnl_open(&link->state);
	if (err == 0)
		err = weft_rtnl_open(&link->route);
	if (err == 0)
		err = read_state(link, &s);
	if (err < 0) {
		weft_link_close(link);
		return err;
	}
	*ret_link = link;
	return 0;
}

void weft_link_close(struct weft_link *link)
{
	if (!link)
		return;
	if (link->watch)
		mnl_socket_close(link->watch);
	weft_rtnl_close(&link->state);
	weft_rtnl_close(&link->route);
	free(link);
}

int weft_link_fd(const struct weft_link *link)
{
	return mnl_socket_get_fd(link->watch);
}

static int note_message(const struct nlmsghdr *nlh, void *arg)
{
	struct seen *s = arg;

	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		note_link(s, nlh);
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		s->changes |= WEFT_LINK_ADDRESS;
		break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE: {
		const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);

		/* Not the cache's clones: they come and go with the traffic. */
		if (mnl_nlmsg_get_payload_len(nlh) >= sizeof(*rtm) &&
		    !(rtm->rtm_flags & RTM_F_CLONED))
			s->changes |= WEFT_LINK_ROUTE;
		break;
	}
	case RTM_NEWRULE:
	case RTM_DELRULE:
	case RTM_NEWNETCONF:
		s->changes |= WEFT_LINK_ROUTE;
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

/* Messages were lost: anything may have changed. */
static int recover(struct weft_link *link, struct seen *s)
{
	int err = -ETIMEDOUT;

	s->changes |= WEFT_LINK_OVERRUN | WEFT_LINK_ADDRESS | WEFT_LINK_ROUTE;
	for (unsigned i = 0; i < READ_TRIES && err == -ETIMEDOUT; i++)
		err = read_state(link, s);
	if (err == -ENODEV) {
		link->deleted = true;
		link->up = false;
		s->changes |= WEFT_LINK_DELETED;
		return 0;
	}
	return err;
}

int weft_link_read(struct weft_link *link)
{
	struct seen s = {.link = link};
	uint8_t buf[WEFT_RTNL_ANSWER_BYTES];
	bool overrun = false;
	int err;

	for (unsigned i = 0; i < READS_PER_CALL; i++) {
		ssize_t n = mnl_socket_recvfrom(link->watch, buf, sizeof(buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0 && (errno == ENOBUFS || errno == ENOSPC)) {
			overrun = true;
			continue;
		}
		if (n < 0)
			return -errno;
		(void)mnl_cb_run(buf, (size_t)n, 0, 0, note_message, &s);
	}
	if (overrun) {
		err = recover(link, &s);
		if (err < 0)
			return err;
	}
	return s.changes;
}

bool weft_link_is_up(const struct weft_link *link)
{
	return link->up;
}

uint32_t weft_link_mtu(const struct weft_link *link)
{
	return link->mtu;
}

/* ---- routes ---- */

struct route_answer {
	unsigned ifindex;
	uint8_t type;          /* RTN_* */
	uint32_t mtu;          /* 0: the route has none of its own */
	bool passing;          /* it ends some time: then `mtu` may be what ICMP said */
	uint8_t src_bytes[16]; /* the address that the kernel prefers */
	size_t src_len;        /* 0: none */
};

static uint32_t metric_mtu(const struct nlattr *metrics)
{
	struct nlattr *attr; /* not const: the macro casts it to char * */

	mnl_attr_for_each_nested(attr, metrics)
	{
		if (mnl_attr_get_type(attr) == RTAX_MTU &&
		    mnl_attr_get_payload_len(attr) == sizeof(uint32_t))
			return mnl_attr_get_u32(attr);
	}
	return 0;
}

static int note_route(const struct nlmsghdr *nlh, void *arg)
{
	struct route_answer *answer = arg;
	const struct nlattr *tb[RTA_MAX + 1] = {0};
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);

	if (nlh->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(nlh) < sizeof(*rtm))
		return MNL_CB_OK;
	if (mnl_attr_parse(nlh, sizeof(*rtm), parse_attr, tb) < 0)
		return MNL_CB_OK;
	answer->type = rtm->rtm_type;
	if (tb[RTA_OIF] && mnl_attr_get_payload_len(tb[RTA_OIF]) == sizeof(uint32_t))
		answer->ifindex = mnl_attr_get_u32(tb[RTA_OIF]);
	if (tb[RTA_METRICS])
		answer->mtu = metric_mtu(tb[RTA_METRICS]);
	if (tb[RTA_CACHEINFO] &&
	    mnl_attr_get_payload_len(tb[RTA_CACHEINFO]) >= sizeof(struct rta_cacheinfo)) {
		struct rta_cacheinfo info;

		memcpy(&info, mnl_attr_get_payload(tb[RTA_CACHEINFO]), sizeof(info));
		answer->passing = info.rta_expires != 0;
	}
	if (tb[RTA_PREFSRC] &&
	    mnl_attr_get_payload_len(tb[RTA_PREFSRC]) <= sizeof(answer->src_bytes)) {
		answer->src_len = mnl_attr_get_payload_len(tb[RTA_PREFSRC]);
		memcpy(answer->src_bytes, mnl_attr_get_payload(tb[RTA_PREFSRC]), answer->src_len);
	}
	return MNL_CB_OK;
}

struct route_question {
	const struct weft_ip *to, *source; /* source may be NULL */
	uint32_t fwmark;                   /* 0: none */
	unsigned iif, oif;                 /* 0: none */
};

static int ask_route(struct weft_link *link, const struct route_question *q,
		     struct route_answer *ret)
{
	uint8_t buf[WEFT_RTNL_REQUEST_BYTES] = {0};
	struct nlmsghdr *req = weft_rtnl_request(buf, RTM_GETROUTE, NLM_F_ACK);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(req, sizeof(*rtm));
	struct route_answer answer = {0};
	uint8_t family = q->to->family;
	int err;

	if ((family != WEFT_IPV4 && family != WEFT_IPV6) ||
	    (q->source && q->source->family != family))
		return -EAFNOSUPPORT;
	rtm->rtm_family = family == WEFT_IPV4 ? AF_INET : AF_INET6;
	rtm->rtm_dst_len = (uint8_t)weft_family_bits(family);
	mnl_attr_put(req, RTA_DST, weft_family_bytes(family), q->to->b);
	if (q->source) {
		rtm->rtm_src_len = (uint8_t)weft_family_bits(family);
		mnl_attr_put(req, RTA_SRC, weft_family_bytes(family), q->source->b);
	}
	if (q->fwmark)
		mnl_attr_put_u32(req, RTA_MARK, q->fwmark);
	if (q->iif)
		mnl_attr_put_u32(req, RTA_IIF, q->iif);
	if (q->oif)
		mnl_attr_put_u32(req, RTA_OIF, q->oif);
	err = weft_rtnl_talk(&link->route, req, note_route, &answer);
	if (err < 0)
		return err;
	if (!answer.ifindex)
		return -ENETUNREACH;
	*ret = answer;
	return 0;
}

int weft_route_lookup(struct weft_link *link, const struct weft_ip *ip,
		      const struct weft_ip *source, uint32_t fwmark, unsigned *ret_ifindex)
{
	const struct route_question q = {.to = ip, .source = source, .fwmark = fwmark};
	struct route_answer answer;
	int err = ask_route(link, &q, &answer);

	if (err == 0)
		*ret_ifindex = answer.ifindex;
	return err;
}

struct link_question {
	unsigned ifindex;
	uint32_t mtu; /* 0: not told */
};

static int note_link_mtu(const struct nlmsghdr *nlh, void *arg)
{
	struct link_question *q = arg;
	const struct nlattr *tb[RTA_MAX + 1] = {0};
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);

	if (nlh->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi) ||
	    (unsigned)ifi->ifi_index != q->ifindex ||
	    mnl_attr_parse(nlh, sizeof(*ifi), parse_attr, tb) < 0)
		return MNL_CB_OK;
	if (tb[IFLA_MTU] && mnl_attr_get_payload_len(tb[IFLA_MTU]) == sizeof(uint32_t))
		q->mtu = mnl_attr_get_u32(tb[IFLA_MTU]);
	return MNL_CB_OK;
}

int weft_route_mtu(struct weft_link *link, const struct weft_endpoint *to, uint32_t fwmark,
		   uint32_t *ret_mtu, uint32_t *ret_learned)
{
	struct route_question q = {.to = &to->ip, .fwmark = fwmark, .oif = to->scope_id};
	uint8_t buf[WEFT_RTNL_REQUEST_BYTES] = {0};
	struct nlmsghdr *req = weft_rtnl_request(buf, RTM_GETLINK, NLM_F_ACK);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(req, sizeof(*ifi));
	struct link_question out = {0};
	struct route_answer route;
	int err = -ENETUNREACH;

	if (to->local.family == to->ip.family) {
		q.source = &to->local;
		err = ask_route(link, &q, &route);
		q.source = NULL;
	}
	if (err < 0)
		err = ask_route(link, &q, &route);
	if (err < 0)
		return err;
	out.ifindex = route.ifindex;
	ifi->ifi_index = (int)route.ifindex;
	err = weft_rtnl_talk(&link->route, req, note_link_mtu, &out);
	if (err < 0)
		return err;
	if (!out.mtu)
		return -ENODEV;
	*ret_learned = route.passing ? route.mtu : 0;
	*ret_mtu = route.mtu && !route.passing && route.mtu < out.mtu ? route.mtu : out.mtu;
	return 0;
}

static int note_forwarding(const struct nlmsghdr *nlh, void *arg)
{
	bool *forwards = arg;
	struct nlattr *attr;

	if (nlh->nlmsg_type != RTM_NEWNETCONF ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(struct netconfmsg))
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(struct netconfmsg))
	{
		if (mnl_attr_get_type(attr) == NETCONFA_FORWARDING &&
		    mnl_attr_get_payload_len(attr) == sizeof(uint32_t))
			*forwards = mnl_attr_get_u32(attr) != 0;
	}
	return MNL_CB_OK;
}

/* IPv6 has one switch for all, which a look-up of routes does not heed. */
static bool forwards_v6(struct weft_link *link)
{
	uint8_t buf[WEFT_RTNL_REQUEST_BYTES] = {0};
	struct nlmsghdr *req = weft_rtnl_request(buf, RTM_GETNETCONF, NLM_F_ACK);
	struct netconfmsg *ncm = mnl_nlmsg_put_extra_header(req, sizeof(*ncm));
	bool forwards = false;

	ncm->ncm_family = AF_INET6;
	mnl_attr_put_u32(req, NETCONFA_IFINDEX, (uint32_t)NETCONFA_IFINDEX_ALL);
	return weft_rtnl_talk(&link->route, req, note_forwarding, &forwards) == 0 && forwards;
}

int weft_route_forward(struct weft_link *link, const struct weft_ip *src, const struct weft_ip *dst,
		       unsigned ifindex, uint32_t *ret_max_len)
{
	const struct route_question q = {.to = dst, .source = src, .iif = ifindex};
	struct route_answer answer;
	int err = ask_route(link, &q, &answer);

	if (err < 0)
		return err;
	if (answer.type != RTN_UNICAST || answer.ifindex != ifindex)
		return -ENETUNREACH;
	if (dst->family == WEFT_IPV6 && !forwards_v6(link))
		return -ENETUNREACH;
	*ret_max_len = answer.mtu ? answer.mtu : UINT32_MAX;
	return 0;
}

int weft_route_source(struct weft_link *link, const struct weft_ip *to, unsigned ifindex,
		      struct weft_ip *ret_source)
{
	const struct route_question q = {.to = to, .oif = ifindex};
	struct route_answer answer;
	int err = ask_route(link, &q, &answer);

	if (err < 0)
		return err;
	if (answer.type != RTN_UNICAST || answer.ifindex != ifindex)
		return -ENETUNREACH;
	if (answer.src_len == 0 || answer.src_len != weft_family_bytes(to->family))
		return -EADDRNOTAVAIL;
	memset(ret_source, 0, sizeof(*ret_source));
	ret_source->family = to->family;
	memcpy(ret_source->b, answer.src_bytes, answer.src_len);
	return 0;
}
