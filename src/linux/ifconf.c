/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and changing one interface. What the requests hold is what ip(8) sends for the same. */
#include "linux/ifconf.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "linux/rtnl.h"

#define MAX_TYPE     64
#define RT_TABLES    "/etc/iproute2/rt_tables"
#define READ_TRIES   5
#define KERNEL_ROUTE 2 /* RTPROT_KERNEL */
/* modprobe may take its time */
#define MODULE_SECONDS 30

struct weft_ifconf {
	struct weft_rtnl rtnl;
	unsigned ifindex;
};

/* What a reading is for; which of it is used depends on the callback. */
struct reading {
	struct weft_ifconf *conf;
	const struct weft_ifconf_seen *seen;
	uint8_t af;
	int err;
	bool up;
	uint32_t mtu;
	unsigned oif;
	/* rules */
	uint32_t mark;
	enum weft_ifconf_rule rule;
	bool there;
	/* tables */
	uint32_t first;
	bool used[WEFT_IFCONF_TABLES];
};

static int by_type(const struct nlattr *attr, void *arg)
{
	const struct nlattr **tb = arg;
	unsigned type = mnl_attr_get_type(attr);

	if (type < MAX_TYPE)
		tb[type] = attr;
	return MNL_CB_OK;
}

static uint32_t u32(const struct nlattr *attr, uint32_t otherwise)
{
	if (!attr || mnl_attr_get_payload_len(attr) != sizeof(uint32_t))
		return otherwise;
	return mnl_attr_get_u32(attr);
}

static uint8_t linux_family(uint8_t family)
{
	return family == WEFT_IPV4 ? AF_INET : AF_INET6;
}

/* False: not an address of a family that is known. */
static bool prefix_of(uint8_t af, const struct nlattr *attr, uint8_t len, struct weft_prefix *ret)
{
	uint8_t family = af == AF_INET ? WEFT_IPV4 : af == AF_INET6 ? WEFT_IPV6 : WEFT_NONE;
	size_t bytes = weft_family_bytes(family);

	*ret = (struct weft_prefix){.ip.family = family, .len = len};
	if (!bytes || len > weft_family_bits(family))
		return false;
	if (attr && mnl_attr_get_payload_len(attr) == bytes)
		memcpy(ret->ip.b, mnl_attr_get_payload(attr), bytes);
	return attr || !len;
}

/* A dump that changes while it is read is read again. */
static int dump(struct weft_ifconf *conf, uint16_t type, uint8_t af, mnl_cb_t cb, struct reading *r)
{
	struct reading clean = *r;
	int err = -EINTR;

	clean.af = af;
	for (int i = 0; i < READ_TRIES && err == -EINTR; i++) {
		uint8_t buf[WEFT_RTNL_REQUEST_BYTES] = {0};
		struct nlmsghdr *req = weft_rtnl_request(buf, type, NLM_F_DUMP);
		struct rtmsg *rtm = mnl_nlmsg_put_extra_header(req, sizeof(*rtm));

		*r = clean;
		rtm->rtm_family = af;
		err = weft_rtnl_talk(&conf->rtnl, req, cb, r);
	}
	return err ? err : r->err;
}

int weft_ifconf_add_wireguard(const char *name)
{
	uint8_t buf[WEFT_RTNL_REQUEST_BYTES] = {0};
	struct nlmsghdr *req =
		weft_rtnl_request(buf, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
	const struct timeval timeout = {.tv_sec = MODULE_SECONDS};
	struct weft_rtnl rtnl;
	struct nlattr *info;
	int err = weft_rtnl_open(&rtnl);

	if (err)
		return err;
	(void)setsockopt(mnl_socket_get_fd(rtnl.nl), SOL_SOCKET, SO_RCVTIMEO, &timeout,
			 sizeof(timeout));
	(void)mnl_nlmsg_put_extra_header(req, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(req, IFLA_IFNAME, name);
	info = mnl_attr_nest_start(req, IFLA_LINKINFO);
	mnl_attr_put_strz(req, IFLA_INFO_KIND, "wireguard");
	mnl_attr_nest_end(req, info);
	err = weft_rtnl_talk(&rtnl, req, NULL, NULL);
	weft_rtnl_close(&rtnl);
	return err;
}

int weft_ifconf_open(struct weft_ifconf **ret_conf, const char *name)
{
	struct weft_ifconf *conf = calloc(1, sizeof(*conf));
	int err;

	if (!conf)
		return -ENOMEM;
	conf->ifindex = name ? if_nametoindex(name) : 0;
	err = conf->ifindex || !name ? weft_rtnl_open(&conf->rtnl) : -ENODEV;
	if (err) {
		free(conf);
		return err;
	}
	*ret_conf = conf;
	return 0;
}

void weft_ifconf_close(struct weft_ifconf *conf)
{
	if (!conf)
		return;
	weft_rtnl_close(&conf->rtnl);
	free(conf);
}

static int on_link(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *tb[MAX_TYPE] = {0};
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct reading *r = arg;

	if (nlh->nlmsg_type != RTM_NEWLINK || mnl_attr_parse(nlh, sizeof(*ifi), by_type, tb) < 0)
		return MNL_CB_OK;
	r->up = (ifi->ifi_flags & IFF_UP) != 0;
	r->mtu = u32(tb[IFLA_MTU], 0);
	return MNL_CB_OK;
}

static int link_of(struct weft_ifconf *conf, unsigned ifindex, struct reading *r)
{
	uint8_t buf[WEFT_RTNL_REQUEST_BYTES] = {0};
	struct nlmsghdr *req = weft_rtnl_request(buf, RTM_GETLINK, NLM_F_ACK);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(req, sizeof(*ifi));

	ifi->ifi_index = (int)ifindex;
	return weft_rtnl_talk(&conf->rtnl, req, on_link, r);
}

int weft_ifconf_link(struct weft_ifconf *conf, bool *ret_up, uint32_t *ret_mtu)
{
	struct reading r = {.conf = conf};
	int err = link_of(conf, conf->ifindex, &r);

	if (err)
		return err;
	*ret_up = r.up;
	*ret_mtu = r.mtu;
	return 0;
}

static int on_address(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *tb[MAX_TYPE] = {0};
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	struct reading *r = arg;
	struct weft_prefix p;

	if (nlh->nlmsg_type != RTM_NEWADDR || ifa->ifa_index != r->conf->ifindex || r->err ||
	    mnl_attr_parse(nlh, sizeof(*ifa), by_type, tb) < 0)
		return MNL_CB_OK;
	if (prefix_of(ifa->ifa_family, tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS],
		      ifa->ifa_prefixlen, &p))
		r->err = r->seen->address(r->seen->ctx, &p);
	return MNL_CB_OK;
}

static bool is_thrown(const struct rtmsg *rtm)
{
	return rtm->rtm_type == RTN_THROW && rtm->rtm_protocol == WEFT_IFCONF_PROTOCOL;
}

static int on_route(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *tb[MAX_TYPE] = {0};
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct reading *r = arg;
	int (*take)(void *, const struct weft_prefix *, uint32_t) = NULL;
	struct weft_prefix p;

	/* a kernel without IPv6 answers with all others */
	if (nlh->nlmsg_type != RTM_NEWROUTE || r->err || rtm->rtm_family != r->af ||
	    (rtm->rtm_flags & RTM_F_CLONED) || mnl_attr_parse(nlh, sizeof(*rtm), by_type, tb) < 0)
		return MNL_CB_OK;
	if (is_thrown(rtm))
		take = r->seen->thrown;
	else if (rtm->rtm_type == RTN_UNICAST && rtm->rtm_protocol != KERNEL_ROUTE &&
		 u32(tb[RTA_OIF], 0) == r->conf->ifindex)
		take = r->seen->route;
	if (take && prefix_of(rtm->rtm_family, tb[RTA_DST], rtm->rtm_dst_len, &p))
		r->err = take(r->seen->ctx, &p, u32(tb[RTA_TABLE], rtm->rtm_table));
	return MNL_CB_OK;
}

int weft_ifconf_read(struct weft_ifconf *conf, const struct weft_ifconf_seen *seen)
{
	struct reading r = {.conf = conf, .seen = seen};
	int err = 0;

	if (seen->address)
		err = dump(conf, RTM_GETADDR, AF_UNSPEC, on_address, &r);
	for (int i = 0; i < 2 && !err && (seen->route || seen->thrown); i++)
		err = dump(conf, RTM_GETROUTE, i ? AF_INET6 : AF_INET, on_route, &r);
	return err;
}

static int on_rule(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *tb[MAX_TYPE] = {0};
	const struct fib_rule_hdr *frh = mnl_nlmsg_get_payload(nlh);
	struct reading *r = arg;
	uint32_t table;

	if (nlh->nlmsg_type != RTM_NEWRULE || mnl_attr_parse(nlh, sizeof(*frh), by_type, tb) < 0)
		return MNL_CB_OK;
	table = u32(tb[FRA_TABLE], frh->table);
	if (r->rule == WEFT_IFCONF_RULE_MARK)
		r->there |= table == r->mark && u32(tb[FRA_FWMARK], 0) == r->mark &&
			    (frh->flags & FIB_RULE_INVERT);
	else
		r->there |= table == WEFT_IFCONF_MAIN_TABLE && !tb[FRA_FWMARK] &&
			    u32(tb[FRA_SUPPRESS_PREFIXLEN], UINT32_MAX) == 0;
	return MNL_CB_OK;
}

int weft_ifconf_read_rule(struct weft_ifconf *conf, uint8_t family, enum weft_ifconf_rule rule,
			  uint32_t mark, bool *ret_there)
{
	struct reading r = {.conf = conf, .mark = mark, .rule = rule};
	int err = dump(conf, RTM_GETRULE, linux_family(family), on_rule, &r);

	if (err == -EAFNOSUPPORT) /* a kernel without IPv6 has no rules of it */
		err = 0;
	if (!err)
		*ret_there = r.there;
	return err;
}

int weft_ifconf_set_link(struct weft_ifconf *conf, uint32_t mtu, bool up)
{
	uint8_t buf[WEFT_RTNL_REQUEST_BYTES] = {0};
	struct nlmsghdr *req = weft_rtnl_request(buf, RTM_NEWLINK, NLM_F_ACK);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(req, sizeof(*ifi));

	ifi->ifi_index = (int)conf->ifindex;
	ifi->ifi_change = IFF_UP;
	ifi->ifi_flags = up ? IFF_UP : 0;
	mnl_attr_put_u32(req, IFLA_MTU, mtu);
	return weft_rtnl_talk(&conf->rtnl, req, NULL, NULL);
}

int weft_ifconf_delete(struct weft_ifconf *conf)
{
	uint8_t buf[WEFT_RTNL_REQUEST_BYTES] = {0};
	struct nlmsghdr *req = weft_rtnl_request(buf, RTM_DELLINK, NLM_F_ACK);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(req, sizeof(*ifi));

	ifi->ifi_index = (int)conf->ifindex;
	return weft_rtnl_talk(&conf->rtnl, req, NULL, NULL);
}

static uint16_t how(bool add)
{
	return (uint16_t)(NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_EXCL : 0));
}

int weft_ifconf_address(struct weft_ifconf *conf, const struct weft_prefix *p, bool add)
{
	uint8_t buf[WEFT_RTNL_REQUEST_BYTES] = {0};
	struct nlmsghdr *req = weft_rtnl_request(buf, add ? RTM_NEWADDR : RTM_DELADDR, how(add));
	struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(req, sizeof(*ifa));
	size_t bytes = weft_family_bytes(p->ip.family);

	ifa->ifa_family = linux_family(p->ip.family);
	ifa->ifa_prefixlen = p->len;
	ifa->ifa_index = conf->ifindex;
	if (p->ip.family == WEFT_IPV4 && p->ip.b[0] == 127)
		ifa->ifa_scope = RT_SCOPE_HOST;
	mnl_attr_put(req, IFA_LOCAL, bytes, p->ip.b);
	mnl_attr_put(req, IFA_ADDRESS, bytes, p->ip.b);
	return weft_rtnl_talk(&conf->rtnl, req, NULL, NULL);
}

/* A request for a route to `p` in `table`, in `buf`. */
static struct nlmsghdr *route_request(uint8_t *buf, const struct weft_prefix *p, uint32_t table,
				      bool add, struct rtmsg **ret_rtm)
{
	struct nlmsghdr *req = weft_rtnl_request(buf, add ? RTM_NEWROUTE : RTM_DELROUTE, how(add));
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(req, sizeof(*rtm));

	rtm->rtm_family = linux_family(p->ip.family);
	rtm->rtm_dst_len = p->len;
	rtm->rtm_table = RT_TABLE_UNSPEC;
	if (p->len)
		mnl_attr_put(req, RTA_DST, weft_family_bytes(p->ip.family), p->ip.b);
	mnl_attr_put_u32(req, RTA_TABLE, table);
	*ret_rtm = rtm;
	return req;
}

static int route(struct weft_ifconf *conf, const struct weft_prefix *p, uint32_t table, bool add,
		 uint8_t protocol)
{
	uint8_t buf[WEFT_RTNL_REQUEST_BYTES] = {0};
	struct rtmsg *rtm;
	struct nlmsghdr *req = route_request(buf, p, table, add, &rtm);

	rtm->rtm_protocol = protocol;
	rtm->rtm_scope = p->ip.family == WEFT_IPV4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	rtm->rtm_type = RTN_UNICAST;
	mnl_attr_put_u32(req, RTA_OIF, conf->ifindex);
	return weft_rtnl_talk(&conf->rtnl, req, NULL, NULL);
}

int weft_ifconf_throw(struct weft_ifconf *conf, const struct weft_prefix *p, uint32_t table,
		      bool add)
{
	uint8_t buf[WEFT_RTNL_REQUEST_BYTES] = {0};
	struct rtmsg *rtm;
	struct nlmsghdr *req = route_request(buf, p, table, add, &rtm);

	rtm->rtm_protocol = WEFT_IFCONF_PROTOCOL;
	rtm->rtm_type = RTN_THROW;
	return weft_rtnl_talk(&conf->rtnl, req, NULL, NULL);
}

int weft_ifconf_route(struct weft_ifconf *conf, const struct weft_prefix *p, uint32_t table,
		      bool add)
{
	int err = route(conf, p, table, add, RTPROT_BOOT);

	/* whoever else made it: but not the kernel's own, if there are both */
	return !add && err == -ESRCH ? route(conf, p, table, add, RTPROT_UNSPEC) : err;
}

int weft_ifconf_rule(struct weft_ifconf *conf, uint8_t family, enum weft_ifconf_rule rule,
		     uint32_t mark, bool add)
{
	uint8_t buf[WEFT_RTNL_REQUEST_BYTES] = {0};
	struct nlmsghdr *req = weft_rtnl_request(buf, add ? RTM_NEWRULE : RTM_DELRULE, how(add));
	struct fib_rule_hdr *frh = mnl_nlmsg_put_extra_header(req, sizeof(*frh));

	frh->family = linux_family(family);
	frh->action = FR_ACT_TO_TBL;
	if (rule == WEFT_IFCONF_RULE_MARK) {
		frh->flags = FIB_RULE_INVERT;
		mnl_attr_put_u32(req, FRA_FWMARK, mark);
		mnl_attr_put_u32(req, FRA_TABLE, mark);
	} else {
		mnl_attr_put_u32(req, FRA_TABLE, WEFT_IFCONF_MAIN_TABLE);
		mnl_attr_put_u32(req, FRA_SUPPRESS_PREFIXLEN, 0);
	}
	return weft_rtnl_talk(&conf->rtnl, req, NULL, NULL);
}

static int on_table(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *tb[MAX_TYPE] = {0};
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct reading *r = arg;
	uint32_t table;

	if (nlh->nlmsg_type != RTM_NEWROUTE || is_thrown(rtm) ||
	    mnl_attr_parse(nlh, sizeof(*rtm), by_type, tb) < 0)
		return MNL_CB_OK;
	table = u32(tb[RTA_TABLE], rtm->rtm_table);
	if (table >= r->first && table - r->first < WEFT_IFCONF_TABLES)
		r->used[table - r->first] = true;
	return MNL_CB_OK;
}

int weft_ifconf_free_table(struct weft_ifconf *conf, uint32_t first, uint32_t *ret_table)
{
	struct reading r = {.conf = conf, .first = first};
	int err = dump(conf, RTM_GETROUTE, AF_INET, on_table, &r);

	if (!err)
		err = dump(conf, RTM_GETROUTE, AF_INET6, on_table, &r);
	if (err)
		return err;
	for (uint32_t i = 0; i < WEFT_IFCONF_TABLES; i++) {
		if (r.used[i])
			continue;
		*ret_table = first + i;
		return 0;
	}
	return -ENOSPC;
}

static void note_way(struct reading *r, const struct nlmsghdr *nlh)
{
	const struct nlattr *tb[MAX_TYPE] = {0}, *metrics[MAX_TYPE] = {0};

	if (mnl_attr_parse(nlh, sizeof(struct rtmsg), by_type, tb) < 0)
		return;
	r->there = true;
	r->oif = u32(tb[RTA_OIF], 0);
	if (tb[RTA_METRICS] && mnl_attr_parse_nested(tb[RTA_METRICS], by_type, metrics) >= 0)
		r->mtu = u32(metrics[RTAX_MTU], 0);
}

/* The first default route of the main table. */
static int on_default(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct reading *r = arg;

	if (nlh->nlmsg_type == RTM_NEWROUTE && !r->there && !rtm->rtm_dst_len &&
	    rtm->rtm_table == WEFT_IFCONF_MAIN_TABLE && rtm->rtm_type == RTN_UNICAST)
		note_way(r, nlh);
	return MNL_CB_OK;
}

static int on_way(const struct nlmsghdr *nlh, void *arg)
{
	if (nlh->nlmsg_type == RTM_NEWROUTE)
		note_way(arg, nlh);
	return MNL_CB_OK;
}

int weft_ifconf_path_mtu(struct weft_ifconf *conf, const struct weft_ip *ip, uint32_t mark,
			 uint32_t *ret_mtu)
{
	uint8_t buf[WEFT_RTNL_REQUEST_BYTES] = {0};
	struct nlmsghdr *req = weft_rtnl_request(buf, RTM_GETROUTE, NLM_F_ACK);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(req, sizeof(*rtm));
	struct reading r = {.conf = conf}, out = {.conf = conf};
	int err;

	if (ip) {
		rtm->rtm_family = linux_family(ip->family);
		rtm->rtm_dst_len = (uint8_t)weft_family_bits(ip->family);
		mnl_attr_put(req, RTA_DST, weft_family_bytes(ip->family), ip->b);
		if (mark)
			mnl_attr_put_u32(req, RTA_MARK, mark);
		err = weft_rtnl_talk(&conf->rtnl, req, on_way, &r);
	} else {
		err = dump(conf, RTM_GETROUTE, AF_INET, on_default, &r);
	}
	if (!err && !r.mtu && r.there) {
		err = link_of(conf, r.oif, &out);
		r.mtu = out.mtu;
	}
	if (!err && !r.mtu)
		err = -ENETUNREACH;
	if (!err)
		*ret_mtu = r.mtu;
	return err;
}

int weft_ifconf_table_by_name(const char *name, uint32_t *ret_table)
{
	static const struct {
		const char *name;
		uint32_t table;
	} always[] = {{"default", 253}, {"main", WEFT_IFCONF_MAIN_TABLE}, {"local", 255}};
	char line[256], word[64];
	FILE *f;
	unsigned n;
	int err = -ENOENT;

	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		if (strcmp(name, always[i].name) == 0) {
			*ret_table = always[i].table;
			return 0;
		}
	f = fopen(RT_TABLES, "re");
	while (f && err && fgets(line, sizeof(line), f))
		if (sscanf(line, " %u %63s", &n, word) == 2 && strcmp(word, name) == 0) {
			*ret_table = n;
			err = 0;
		}
	if (f)
		fclose(f);
	return err;
}
