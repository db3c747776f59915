/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is said to the kernel's WireGuard. kernel_parse.c has what it says. No system call here.
 */
#include "control/kernel_msg.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/wireguard.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* Since Linux 6.16: an allowed IP may have flags. Headers may be older than the kernel. */
#define ALLOWEDIP_A_FLAGS     4
#define ALLOWEDIP_F_REMOVE_ME 1u

/* Not every libmnl clears what it pads with. */
static struct nlmsghdr *put_header(void *buf, size_t size)
{
	memset(buf, 0, size);
	return mnl_nlmsg_put_header(buf);
}

static struct nlmsghdr *put_genl(struct nlmsghdr *nlh, uint16_t family, uint16_t flags, uint8_t cmd,
				 uint8_t version)
{
	struct genlmsghdr *genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));

	nlh->nlmsg_type = family;
	nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	genl->cmd = cmd;
	genl->version = version;
	return nlh;
}

struct nlmsghdr *weft_kernel_put_get(void *buf, uint16_t family, const char *name)
{
	struct nlmsghdr *nlh = put_genl(put_header(buf, WEFT_KERNEL_MSG_MIN), family, NLM_F_DUMP,
					WG_CMD_GET_DEVICE, WG_GENL_VERSION);

	mnl_attr_put_strz(nlh, WGDEVICE_A_IFNAME, name);
	return nlh;
}

struct nlmsghdr *weft_kernel_put_family(void *buf)
{
	struct nlmsghdr *nlh = put_genl(put_header(buf, WEFT_KERNEL_MSG_MIN), GENL_ID_CTRL,
					NLM_F_ACK, CTRL_CMD_GETFAMILY, 1);

	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME);
	return nlh;
}

struct nlmsghdr *weft_kernel_put_link(void *buf, const char *name)
{
	struct nlmsghdr *nlh = put_header(buf, WEFT_KERNEL_MSG_MIN);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));

	nlh->nlmsg_type = RTM_GETLINK;
	nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | (name ? NLM_F_ACK : NLM_F_DUMP));
	ifi->ifi_family = AF_UNSPEC;
	if (name)
		mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	return nlh;
}

/* A message that is being written. Once something did not fit, nothing more is put. */
struct out {
	struct nlmsghdr *nlh;
	size_t size;
	bool full;
};

static void put(struct out *o, uint16_t type, const void *value, size_t len)
{
	if (!o->full && !mnl_attr_put_check(o->nlh, o->size, type, len, value))
		o->full = true;
}

static void put_u32(struct out *o, uint16_t type, uint32_t value)
{
	put(o, type, &value, sizeof(value));
}

static void put_u16(struct out *o, uint16_t type, uint16_t value)
{
	put(o, type, &value, sizeof(value));
}

static struct nlattr *begin(struct out *o, uint16_t type)
{
	struct nlattr *nest = o->full ? NULL : mnl_attr_nest_start_check(o->nlh, o->size, type);

	if (!nest)
		o->full = true;
	return nest;
}

/* Ends a nest. Is there not room for all of it, it is taken out again: false. */
static bool end_whole(struct out *o, struct nlattr *nest)
{
	if (!o->full)
		mnl_attr_nest_end(o->nlh, nest);
	else if (nest)
		mnl_attr_nest_cancel(o->nlh, nest);
	return !o->full;
}

static void put_endpoint(struct out *o, const struct weft_kernel_set *set,
			 const struct weft_conf_peer *peer)
{
	const struct weft_endpoint *e = &peer->endpoint;

	if (e->ip.family == WEFT_IPV4) {
		struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(e->port)};

		memcpy(&sin.sin_addr, e->ip.b, sizeof(sin.sin_addr));
		put(o, WGPEER_A_ENDPOINT, &sin, sizeof(sin));
	} else if (e->ip.family == WEFT_IPV6) {
		struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6,
					    .sin6_port = htons(e->port),
					    .sin6_scope_id = e->scope_id};

		if (peer->endpoint_zone[0] && set->ifindex)
			sin6.sin6_scope_id = set->ifindex(peer->endpoint_zone);
		memcpy(&sin6.sin6_addr, e->ip.b, sizeof(sin6.sin6_addr));
		put(o, WGPEER_A_ENDPOINT, &sin6, sizeof(sin6));
	}
}

/* What a peer has beside its allowed IPs; `goes_on`: all of that is out, and its key identifies. */
static void put_peer(struct out *o, const struct weft_kernel_set *set,
		     const struct weft_conf_peer *peer, bool goes_on)
{
	bool removed = peer->has & WEFT_PEER_REMOVE;
	uint32_t flags = 0;

	if (removed)
		flags |= WGPEER_F_REMOVE_ME;
	if (goes_on || (peer->has & WEFT_PEER_UPDATE_ONLY))
		flags |= WGPEER_F_UPDATE_ONLY;
	if (!goes_on && (peer->has & WEFT_PEER_REPLACE_ALLOWED_IPS))
		flags |= WGPEER_F_REPLACE_ALLOWEDIPS;
	put(o, WGPEER_A_PUBLIC_KEY, peer->public_key, WEFT_KEY_LEN);
	if (flags)
		put_u32(o, WGPEER_A_FLAGS, flags);
	if (goes_on || removed)
		return;
	if (peer->has & WEFT_PEER_HAS_PSK)
		put(o, WGPEER_A_PRESHARED_KEY, peer->psk.b, WEFT_KEY_LEN);
	if (peer->has & WEFT_PEER_HAS_ENDPOINT)
		put_endpoint(o, set, peer);
	if (peer->has & WEFT_PEER_HAS_KEEPALIVE)
		put_u16(o, WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, peer->keepalive_s);
}

static bool put_allowed_ip(struct out *o, const struct weft_conf_allowed_ip *a)
{
	const struct weft_ip *ip = &a->prefix.ip;
	struct nlattr *nest = begin(o, 0);

	put_u16(o, WGALLOWEDIP_A_FAMILY, ip->family == WEFT_IPV4 ? AF_INET : AF_INET6);
	put(o, WGALLOWEDIP_A_IPADDR, ip->b, weft_family_bytes(ip->family));
	put(o, WGALLOWEDIP_A_CIDR_MASK, &a->prefix.len, sizeof(a->prefix.len));
	if (a->remove)
		put_u32(o, ALLOWEDIP_A_FLAGS, ALLOWEDIP_F_REMOVE_ME);
	return end_whole(o, nest);
}

/* A removed peer's allowed IPs are of no interest. */
static size_t n_entries(const struct weft_conf_peer *peer)
{
	return peer->has & WEFT_PEER_REMOVE ? 0 : peer->n_allowed_ips;
}

/* Puts a peer's entries as far as they are of the message's kind and fit. */
static void put_entries(struct out *o, struct weft_kernel_set *set,
			const struct weft_conf_peer *peer)
{
	struct nlattr *nest;

	if (set->entry == n_entries(peer) || peer->allowed_ips[set->entry].remove != set->removes)
		return;
	nest = begin(o, WGPEER_A_ALLOWEDIPS);
	while (nest && set->entry < n_entries(peer) &&
	       peer->allowed_ips[set->entry].remove == set->removes &&
	       put_allowed_ip(o, &peer->allowed_ips[set->entry]))
		set->entry++;
	if (nest)
		mnl_attr_nest_end(o->nlh, nest);
}

/* Puts the next peer, or more of it. False: the message ends here. */
static bool put_next(struct out *o, struct weft_kernel_set *set)
{
	const struct weft_conf_peer *peer = &set->change->peers[set->peer];
	struct nlattr *nest = begin(o, 0);

	put_peer(o, set, peer, set->in_peer);
	if (o->full)
		return end_whole(o, nest);
	set->in_peer = true;
	put_entries(o, set, peer);
	mnl_attr_nest_end(o->nlh, nest);
	if (set->entry < n_entries(peer))
		return false;
	set->peer++;
	set->entry = 0;
	set->in_peer = false;
	return !set->removes;
}

/* What the last message's end says of the next: does it go on with entries that take away? */
static void begin_message(struct weft_kernel_set *set)
{
	const struct weft_conf_peer *peer = &set->change->peers[set->peer];

	set->removes = set->in_peer && peer->allowed_ips[set->entry].remove;
	set->of_peer = set->peer;
	set->from = set->to = set->entry;
	while (set->removes && set->to < n_entries(peer) && peer->allowed_ips[set->to].remove)
		set->to++;
}

static void put_device(struct out *o, const struct weft_conf_device *change)
{
	if (change->has & WEFT_DEVICE_REPLACE_PEERS)
		put_u32(o, WGDEVICE_A_FLAGS, WGDEVICE_F_REPLACE_PEERS);
	if (change->has & WEFT_DEVICE_HAS_PRIVATE_KEY)
		put(o, WGDEVICE_A_PRIVATE_KEY, change->private_key.b, WEFT_KEY_LEN);
	if (change->has & WEFT_DEVICE_HAS_LISTEN_PORT)
		put_u16(o, WGDEVICE_A_LISTEN_PORT, change->listen_port);
	if (change->has & WEFT_DEVICE_HAS_FWMARK)
		put_u32(o, WGDEVICE_A_FWMARK, change->fwmark);
}

int weft_kernel_put_set(struct weft_kernel_set *set, void *buf, size_t size)
{
	const struct weft_conf_device *change = set->change;
	struct out o = {.size = size};
	struct nlattr *peers;

	if (size < WEFT_KERNEL_MSG_MIN)
		return WEFT_E_NO_SPACE;
	if (set->begun && set->peer == change->n_peers)
		return 0;
	o.nlh = put_genl(put_header(buf, size), set->family, NLM_F_ACK, WG_CMD_SET_DEVICE,
			 WG_GENL_VERSION);
	mnl_attr_put_strz(o.nlh, WGDEVICE_A_IFNAME, set->name);
	if (!set->begun)
		put_device(&o, change);
	set->begun = true;
	set->removes = false;
	if (set->peer == change->n_peers)
		return (int)o.nlh->nlmsg_len;
	begin_message(set);
	peers = begin(&o, WGDEVICE_A_PEERS);
	while (set->peer < change->n_peers && put_next(&o, set))
		;
	mnl_attr_nest_end(o.nlh, peers);
	if (set->removes && set->peer == set->of_peer)
		set->to = set->entry; /* not all of them fitted */
	return (int)o.nlh->nlmsg_len;
}

static int compare_prefixes(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct weft_prefix)); /* all bytes, without gaps */
}

/* The set's last entries, masked and in order, to search in; to be freed. NULL: no memory. */
static struct weft_prefix *sorted_entries(const struct weft_kernel_set *set)
{
	const struct weft_conf_allowed_ip *entry = set->change->peers[set->of_peer].allowed_ips;
	size_t n = set->to - set->from;
	struct weft_prefix *list = calloc(n, sizeof(*list));

	if (!list)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		list[i] = entry[set->from + i].prefix;
		weft_prefix_mask(&list[i]);
	}
	qsort(list, n, sizeof(*list), compare_prefixes);
	return list;
}

int weft_kernel_replace(const struct weft_kernel_set *set, const struct weft_conf_device *now,
			struct weft_conf_device *ret_change)
{
	const uint8_t *key = set->change->peers[set->of_peer].public_key;
	const struct weft_conf_peer *old = NULL;
	size_t n = set->to - set->from;
	struct weft_prefix *taken;
	struct weft_conf_peer *peer;
	int rc;

	for (size_t i = 0; i < now->n_peers && !old; i++)
		if (memcmp(now->peers[i].public_key, key, WEFT_KEY_LEN) == 0)
			old = &now->peers[i];
	if (!old || !n)
		return 0;
	taken = sorted_entries(set);
	if (!taken)
		return -ENOMEM;
	rc = weft_conf_add_peer(ret_change, &peer);
	if (!rc) {
		memcpy(peer->public_key, key, WEFT_KEY_LEN);
		peer->has = WEFT_PEER_REPLACE_ALLOWED_IPS | WEFT_PEER_UPDATE_ONLY;
	}
	for (size_t i = 0; !rc && i < old->n_allowed_ips; i++) {
		const struct weft_prefix *p = &old->allowed_ips[i].prefix;

		if (!bsearch(p, taken, n, sizeof(*taken), compare_prefixes))
			rc = weft_conf_add_allowed_ip(peer, p, false);
	}
	if (!rc && peer->n_allowed_ips == old->n_allowed_ips)
		weft_conf_device_clear(ret_change);
	free(taken);
	return rc;
}
