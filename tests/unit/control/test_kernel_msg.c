/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's messages, built here a second time by hand from linux/wireguard.h: what is written
 * has these bytes, what has these bytes is read, and a change that is cut anywhere means the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/wireguard.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "control/kernel_msg.h"

#define FAMILY 0x1c

/* A message that is put together by hand. */
struct msg {
	union {
		struct nlmsghdr nlh;
		uint8_t b[4096];
	} u;
	size_t len;
};

static void bytes(struct msg *m, const void *p, size_t n)
{
	assert_true(m->len + n + 3 <= sizeof(m->u.b));
	memcpy(m->u.b + m->len, p, n);
	memset(m->u.b + m->len + n, 0, 3);
	m->len += (n + 3) / 4 * 4;
	m->u.nlh.nlmsg_len = (uint32_t)m->len;
}

static void header(struct msg *m, uint16_t type, uint16_t flags, const void *extra, size_t n)
{
	struct nlmsghdr nlh = {.nlmsg_type = type, .nlmsg_flags = flags};

	m->len = 0;
	bytes(m, &nlh, sizeof(nlh));
	bytes(m, extra, n);
}

static void genl(struct msg *m, uint16_t flags, uint8_t cmd)
{
	header(m, FAMILY, flags, (uint8_t[]){cmd, 1, 0, 0}, 4);
}

static void attr(struct msg *m, uint16_t type, const void *p, uint16_t n)
{
	bytes(m, (uint16_t[]){(uint16_t)(n + 4), type}, 4);
	if (n)
		bytes(m, p, n);
}

static size_t nest(struct msg *m, uint16_t type)
{
	attr(m, type | NLA_F_NESTED, NULL, 0);
	return m->len - 4;
}

static void end(struct msg *m, size_t at)
{
	uint16_t len = (uint16_t)(m->len - at);

	memcpy(m->u.b + at, &len, sizeof(len));
}

static void attr32(struct msg *m, uint16_t type, uint32_t v)
{
	attr(m, type, &v, sizeof(v));
}

static void attr16(struct msg *m, uint16_t type, uint16_t v)
{
	attr(m, type, &v, sizeof(v));
}

static void allowed(struct msg *m, uint16_t family, const void *ip, uint16_t n, uint8_t cidr)
{
	size_t at = nest(m, 0);

	attr16(m, WGALLOWEDIP_A_FAMILY, family);
	attr(m, WGALLOWEDIP_A_IPADDR, ip, n);
	attr(m, WGALLOWEDIP_A_CIDR_MASK, &cidr, 1);
	end(m, at);
}

static void add_ip(struct weft_conf_peer *p, const char *text, bool remove)
{
	struct weft_prefix prefix;

	assert_int_equal(weft_prefix_parse(text, strlen(text), &prefix), 0);
	assert_int_equal(weft_conf_add_allowed_ip(p, &prefix, remove), 0);
}

static struct weft_conf_peer *add_peer(struct weft_conf_device *dev, uint8_t n)
{
	struct weft_conf_peer *p;

	assert_int_equal(weft_conf_add_peer(dev, &p), 0);
	memset(p->public_key, n, WEFT_KEY_LEN);
	return p;
}

static const uint8_t v4[4] = {10, 0, 0, 0}, v6[16] = {0xfd, 0, 0, 1};

/* The peer of both directions: everything but what only one of them has. */
static void by_hand(struct msg *m, const uint32_t *flags)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(7)};
	uint8_t key[WEFT_KEY_LEN], psk[WEFT_KEY_LEN];
	size_t ips;

	memset(key, 2, sizeof(key));
	memset(psk, 3, sizeof(psk));
	sin.sin_addr.s_addr = htonl(0xc0000201);
	attr(m, WGPEER_A_PUBLIC_KEY, key, sizeof(key));
	if (flags)
		attr32(m, WGPEER_A_FLAGS, *flags);
	attr(m, WGPEER_A_PRESHARED_KEY, psk, sizeof(psk));
	attr(m, WGPEER_A_ENDPOINT, &sin, sizeof(sin));
	attr16(m, WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, 25);
	ips = nest(m, WGPEER_A_ALLOWEDIPS);
	allowed(m, AF_INET, v4, sizeof(v4), 8);
	allowed(m, AF_INET6, v6, sizeof(v6), 64);
	end(m, ips);
}

static void by_value(struct weft_conf_device *dev)
{
	struct weft_conf_peer *p = add_peer(dev, 2);

	p->has = WEFT_PEER_HAS_PSK | WEFT_PEER_HAS_ENDPOINT | WEFT_PEER_HAS_KEEPALIVE;
	memset(p->psk.b, 3, WEFT_KEY_LEN);
	assert_int_equal(weft_endpoint_parse("192.0.2.1:7", 11, &p->endpoint), 0);
	p->keepalive_s = 25;
	add_ip(p, "10.0.0.0/8", false);
	add_ip(p, "fd00:1::/64", false);
}

static uint32_t zone(const char *name)
{
	return strcmp(name, "eth0") == 0 ? 5 : 0;
}

/* A change in its bytes: all of a device, and a peer; then one with a zone; then nothing at all. */
static void set_bytes(void **state)
{
	static struct msg m;
	static uint8_t buf[WEFT_KERNEL_MSG_BYTES] __attribute__((aligned(8)));
	struct weft_conf_device dev = {.has = WEFT_DEVICE_HAS_PRIVATE_KEY |
					      WEFT_DEVICE_HAS_LISTEN_PORT | WEFT_DEVICE_HAS_FWMARK |
					      WEFT_DEVICE_REPLACE_PEERS,
				       .listen_port = 51820,
				       .fwmark = 9};
	struct weft_kernel_set set = {
		.family = FAMILY, .name = "wg0", .change = &dev, .ifindex = zone};
	struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6,
				    .sin6_port = htons(80),
				    .sin6_scope_id = 5,
				    .sin6_addr.s6_addr = {0xfe, 0x80, [15] = 1}};
	uint32_t flags = WGPEER_F_REPLACE_ALLOWEDIPS | WGPEER_F_UPDATE_ONLY;
	uint8_t key[WEFT_KEY_LEN];
	struct weft_conf_peer *p;
	size_t peers, peer;

	(void)state;
	memset(dev.private_key.b, 1, WEFT_KEY_LEN);
	memset(key, 1, sizeof(key));
	by_value(&dev);
	dev.peers[0].has |= WEFT_PEER_REPLACE_ALLOWED_IPS | WEFT_PEER_UPDATE_ONLY;
	p = add_peer(&dev, 4); /* of a peer that goes, nothing else is said */
	*p = (struct weft_conf_peer){.has = WEFT_PEER_REMOVE | WEFT_PEER_HAS_KEEPALIVE};
	memset(p->public_key, 4, WEFT_KEY_LEN);
	add_ip(p, "::/0", false);
	p = add_peer(&dev, 5);
	p->has = WEFT_PEER_HAS_ENDPOINT;
	assert_int_equal(weft_endpoint_parse("[fe80::1]:80", 12, &p->endpoint), 0);
	strcpy(p->endpoint_zone, "eth0");

	genl(&m, NLM_F_REQUEST | NLM_F_ACK, WG_CMD_SET_DEVICE);
	attr(&m, WGDEVICE_A_IFNAME, "wg0", 4);
	attr32(&m, WGDEVICE_A_FLAGS, WGDEVICE_F_REPLACE_PEERS);
	attr(&m, WGDEVICE_A_PRIVATE_KEY, key, sizeof(key));
	attr16(&m, WGDEVICE_A_LISTEN_PORT, 51820);
	attr32(&m, WGDEVICE_A_FWMARK, 9);
	peers = nest(&m, WGDEVICE_A_PEERS);
	peer = nest(&m, 0);
	by_hand(&m, &flags);
	end(&m, peer);
	peer = nest(&m, 0);
	memset(key, 4, sizeof(key));
	attr(&m, WGPEER_A_PUBLIC_KEY, key, sizeof(key));
	attr32(&m, WGPEER_A_FLAGS, WGPEER_F_REMOVE_ME);
	end(&m, peer);
	peer = nest(&m, 0);
	memset(key, 5, sizeof(key));
	attr(&m, WGPEER_A_PUBLIC_KEY, key, sizeof(key));
	attr(&m, WGPEER_A_ENDPOINT, &sin6, sizeof(sin6));
	end(&m, peer);
	end(&m, peers);
	memset(buf, 0xee, sizeof(buf)); /* what pads is cleared */
	assert_int_equal(weft_kernel_put_set(&set, buf, sizeof(buf)), m.len);
	assert_memory_equal(buf, m.u.b, m.len);
	assert_int_equal(weft_kernel_put_set(&set, buf, sizeof(buf)), 0);
	weft_conf_device_clear(&dev);

	/* no change is one message all the same: the kernel says whether the device is there */
	set = (struct weft_kernel_set){.family = FAMILY, .name = "wg0", .change = &dev};
	assert_int_equal(weft_kernel_put_set(&set, buf, WEFT_KERNEL_MSG_MIN - 1), WEFT_E_NO_SPACE);
	assert_int_equal(weft_kernel_put_set(&set, buf, WEFT_KERNEL_MSG_MIN), 28);
	assert_int_equal(weft_kernel_put_set(&set, buf, sizeof(buf)), 0);
}

static void requests(void **state)
{
	static struct msg m;
	uint8_t buf[WEFT_KERNEL_MSG_MIN] __attribute__((aligned(8)));
	struct ifinfomsg ifi = {.ifi_family = AF_UNSPEC};
	const struct nlmsghdr *nlh;

	(void)state;
	genl(&m, NLM_F_REQUEST | NLM_F_DUMP, WG_CMD_GET_DEVICE);
	attr(&m, WGDEVICE_A_IFNAME, "fifteen-letters", 16);
	nlh = weft_kernel_put_get(buf, FAMILY, "fifteen-letters");
	assert_int_equal(nlh->nlmsg_len, m.len);
	assert_memory_equal(nlh, m.u.b, m.len);

	header(&m, GENL_ID_CTRL, NLM_F_REQUEST | NLM_F_ACK,
	       (uint8_t[]){CTRL_CMD_GETFAMILY, 1, 0, 0}, 4);
	attr(&m, CTRL_ATTR_FAMILY_NAME, "wireguard", 10);
	nlh = weft_kernel_put_family(buf);
	assert_int_equal(nlh->nlmsg_len, m.len);
	assert_memory_equal(nlh, m.u.b, m.len);

	header(&m, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, &ifi, sizeof(ifi));
	nlh = weft_kernel_put_link(buf, NULL);
	assert_int_equal(nlh->nlmsg_len, m.len);
	assert_memory_equal(nlh, m.u.b, m.len);
	header(&m, RTM_GETLINK, NLM_F_REQUEST | NLM_F_ACK, &ifi, sizeof(ifi));
	attr(&m, IFLA_IFNAME, "wg0", 4);
	nlh = weft_kernel_put_link(buf, "wg0");
	assert_int_equal(nlh->nlmsg_len, m.len);
	assert_memory_equal(nlh, m.u.b, m.len);
}

/* ---- changes of many messages */

static void many(struct weft_conf_device *dev)
{
	*dev = (struct weft_conf_device){.has = WEFT_DEVICE_REPLACE_PEERS |
						WEFT_DEVICE_HAS_PRIVATE_KEY};
	memset(dev->private_key.b, 1, WEFT_KEY_LEN);
	for (unsigned i = 0; i < 200; i++) {
		struct weft_conf_peer *p = add_peer(dev, (uint8_t)(i + 1));
		char text[WEFT_PREFIX_TEXT_LEN];

		p->has = WEFT_PEER_REPLACE_ALLOWED_IPS;
		if (i % 3 == 0)
			p->has |= WEFT_PEER_HAS_PSK;
		memset(p->psk.b, i % 3 ? 0 : 7, WEFT_KEY_LEN);
		for (unsigned k = 0; k < (i == 50 ? 2000 : i % 17); k++) {
			snprintf(text, sizeof(text), k % 2 ? "10.%u.%u.0/24" : "fd00:%u:%u::/48", i,
				 k % 250);
			add_ip(p, text, false);
		}
	}
}

/* What the flags of each peer in a message say: from its own bytes. */
static void check_flags(const void *buf, const uint8_t *last_key, bool first)
{
	const struct nlmsghdr *nlh = buf;
	struct nlattr *a, *peer, *in;

	mnl_attr_for_each(a, nlh, sizeof(struct genlmsghdr))
	{
		if (mnl_attr_get_type(a) == WGDEVICE_A_FLAGS ||
		    mnl_attr_get_type(a) == WGDEVICE_A_PRIVATE_KEY)
			assert_true(first);
		if (mnl_attr_get_type(a) != WGDEVICE_A_PEERS)
			continue;
		mnl_attr_for_each_nested(peer, a)
		{
			bool goes_on = false;
			uint32_t flags = 0;

			mnl_attr_for_each_nested(in, peer)
			{
				if (mnl_attr_get_type(in) == WGPEER_A_PUBLIC_KEY)
					goes_on = memcmp(mnl_attr_get_payload(in), last_key,
							 WEFT_KEY_LEN) == 0;
				if (mnl_attr_get_type(in) == WGPEER_A_PRESHARED_KEY)
					assert_false(goes_on);
				if (mnl_attr_get_type(in) == WGPEER_A_FLAGS)
					flags = mnl_attr_get_u32(in);
			}
			assert_int_equal(flags, goes_on ? WGPEER_F_UPDATE_ONLY
							: WGPEER_F_REPLACE_ALLOWEDIPS);
		}
	}
}

static void split(void **state)
{
	static const size_t sizes[] = {512, 516, 1000, 4096, WEFT_KERNEL_MSG_BYTES};
	static uint8_t buf[WEFT_KERNEL_MSG_BYTES + 8] __attribute__((aligned(8)));
	struct weft_conf_device dev;

	(void)state;
	many(&dev);
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		struct weft_kernel_set set = {.family = FAMILY, .name = "wg0", .change = &dev};
		struct weft_conf_device back = {0};
		uint8_t last[WEFT_KEY_LEN] = {0};
		size_t total = 0, n = 0;
		int len;

		memset(buf, 0xee, sizeof(buf));
		while ((len = weft_kernel_put_set(&set, buf, sizes[s])) != 0) {
			assert_in_range(len, 1, sizes[s]);
			assert_int_equal(((struct nlmsghdr *)buf)->nlmsg_len, len);
			assert_int_equal(buf[sizes[s]], 0xee);
			assert_false(set.removes);
			check_flags(buf, last, n == 0);
			/* what is set has the same form as what is said of it */
			assert_int_equal(weft_kernel_parse_get((struct nlmsghdr *)buf, &back), 0);
			memcpy(last, back.peers[back.n_peers - 1].public_key, WEFT_KEY_LEN);
			total += (size_t)len;
			n++;
		}
		assert_in_range(n, total / sizes[s], total / sizes[s] * 3 / 2 + 2);
		assert_int_equal(back.n_peers, dev.n_peers);
		assert_memory_equal(&back.private_key, &dev.private_key, WEFT_KEY_LEN);
		for (size_t i = 0; i < dev.n_peers; i++) {
			const struct weft_conf_peer *a = &dev.peers[i], *b = &back.peers[i];

			assert_memory_equal(a->public_key, b->public_key, WEFT_KEY_LEN);
			assert_memory_equal(&a->psk, &b->psk, WEFT_KEY_LEN);
			assert_int_equal(a->n_allowed_ips, b->n_allowed_ips);
			for (size_t k = 0; k < a->n_allowed_ips; k++)
				assert_memory_equal(&a->allowed_ips[k].prefix,
						    &b->allowed_ips[k].prefix,
						    sizeof(struct weft_prefix));
		}
		weft_conf_device_clear(&back);
	}
	weft_conf_device_clear(&dev);
}

/* ---- allowed IPs that are taken away */

/*
 * The removal flags in a message: how many entries have it, how many have not. With any, it is of
 * one peer alone, for all of it is refused by a kernel that does not know the flag.
 */
static void count_entries(const void *buf, size_t *ret_with, size_t *ret_without)
{
	const struct nlmsghdr *nlh = buf;
	struct nlattr *a, *peer, *in, *ip, *f;
	size_t peers = 0;

	*ret_with = *ret_without = 0;
	mnl_attr_for_each(a, nlh, sizeof(struct genlmsghdr))
	{
		if (mnl_attr_get_type(a) != WGDEVICE_A_PEERS)
			continue;
		mnl_attr_for_each_nested(peer, a) peers++;
		mnl_attr_for_each_nested(peer, a) mnl_attr_for_each_nested(in, peer)
		{
			if (mnl_attr_get_type(in) != WGPEER_A_ALLOWEDIPS)
				continue;
			mnl_attr_for_each_nested(ip, in)
			{
				bool with = false;

				mnl_attr_for_each_nested(f, ip)
				{
					if (mnl_attr_get_type(f) == 4) {
						assert_int_equal(mnl_attr_get_u32(f), 1);
						with = true;
					}
				}
				++*(with ? ret_with : ret_without);
			}
		}
	}
	assert_true(!*ret_with || peers == 1);
}

static void removals(void **state)
{
	static const struct {
		size_t with, without, peer, from, to;
	} want[] = {
		{0, 2, 0, 0, 0},                  /* the first peer and its two additions */
		{2, 0, 0, 2, 4},                  /* what it loses */
		{0, 1, 0, 0, 0},                  /* one more, and the second peer's own part */
		{1, 0, 1, 0, 1}, {0, 1, 0, 0, 0}, /* the third */
	};
	static uint8_t buf[WEFT_KERNEL_MSG_BYTES] __attribute__((aligned(8)));
	struct weft_conf_device dev = {0};
	struct weft_kernel_set set = {.family = FAMILY, .name = "wg0", .change = &dev};
	struct weft_conf_peer *p = add_peer(&dev, 1);
	size_t with, without, total = 0;
	int len;

	(void)state;
	add_ip(p, "10.0.0.0/24", false);
	add_ip(p, "10.0.1.0/24", false);
	add_ip(p, "10.0.2.0/24", true);
	add_ip(p, "10.0.3.0/24", true);
	add_ip(p, "10.0.4.0/24", false);
	add_ip(add_peer(&dev, 2), "10.0.5.0/24", true);
	add_ip(add_peer(&dev, 3), "10.0.6.0/24", false);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		assert_true(weft_kernel_put_set(&set, buf, sizeof(buf)) > 0);
		count_entries(buf, &with, &without);
		assert_int_equal(with, want[i].with);
		assert_int_equal(without, want[i].without);
		assert_int_equal(set.removes, want[i].with > 0);
		if (set.removes) {
			assert_int_equal(set.of_peer, want[i].peer);
			assert_int_equal(set.from, want[i].from);
			assert_int_equal(set.to, want[i].to);
		}
	}
	assert_int_equal(weft_kernel_put_set(&set, buf, sizeof(buf)), 0);
	weft_conf_device_clear(&dev);

	/* more than a message holds: each says which of them it has */
	p = add_peer(&dev, 1);
	for (int i = 0; i < 100; i++)
		add_ip(p, "fd00::/64", true);
	set = (struct weft_kernel_set){.family = FAMILY, .name = "wg0", .change = &dev};
	assert_true(weft_kernel_put_set(&set, buf, 512) > 0);
	assert_false(set.removes);
	while ((len = weft_kernel_put_set(&set, buf, 512)) != 0) {
		assert_true(len > 0 && set.removes);
		count_entries(buf, &with, &without);
		assert_int_equal(without, 0);
		assert_int_equal(set.from, total);
		assert_int_equal(set.to - set.from, with);
		total += with;
	}
	assert_int_equal(total, 100);
	weft_conf_device_clear(&dev);
}

static void replace(void **state)
{
	struct weft_conf_device now = {0}, change = {0}, wanted = {0};
	struct weft_kernel_set set = {.change = &wanted, .from = 1, .to = 3};
	struct weft_conf_peer *p = add_peer(&wanted, 2);

	(void)state;
	add_ip(p, "10.0.0.0/24", false); /* not among those to be taken */
	add_ip(p, "10.0.2.9/24", true);  /* with host bits, which the kernel has not */
	add_ip(p, "fd00::/64", true);
	add_ip(p, "10.0.1.0/24", true); /* in a message of its own */
	add_ip(add_peer(&now, 1), "10.0.2.0/24", false);
	assert_int_equal(weft_kernel_replace(&set, &now, &change), 0);
	assert_int_equal(change.n_peers, 0); /* no such peer */
	p = add_peer(&now, 2);
	add_ip(p, "10.0.0.0/24", false);
	add_ip(p, "10.0.1.0/24", false);
	add_ip(p, "fd00::/65", false);
	assert_int_equal(weft_kernel_replace(&set, &now, &change), 0);
	assert_int_equal(change.n_peers, 0); /* has none of them */
	add_ip(p, "fd00::/64", false);
	add_ip(p, "10.0.2.0/24", false);
	assert_int_equal(weft_kernel_replace(&set, &now, &change), 0);
	assert_int_equal(change.n_peers, 1);
	assert_int_equal(change.has, 0);
	assert_memory_equal(change.peers[0].public_key, p->public_key, WEFT_KEY_LEN);
	assert_int_equal(change.peers[0].has,
			 WEFT_PEER_REPLACE_ALLOWED_IPS | WEFT_PEER_UPDATE_ONLY);
	assert_int_equal(change.peers[0].n_allowed_ips, 3);
	for (size_t i = 0; i < 3; i++)
		assert_memory_equal(&change.peers[0].allowed_ips[i], &p->allowed_ips[i],
				    sizeof(p->allowed_ips[i]));
	weft_conf_device_clear(&change);
	weft_conf_device_clear(&now);
	weft_conf_device_clear(&wanted);
}

/* ---- what the kernel says */

static void get_in_parts(void **state)
{
	static struct msg m;
	struct weft_conf_device dev = {0}, want = {0};
	int64_t handshake[2] = {1700000000, 5};
	uint64_t rx = 1ull << 40, tx = 7;
	uint8_t key[WEFT_KEY_LEN];
	const struct weft_conf_peer *p;
	size_t peers, peer, ips;

	(void)state;
	genl(&m, NLM_F_MULTI, WG_CMD_GET_DEVICE);
	memset(key, 1, sizeof(key));
	attr32(&m, WGDEVICE_A_IFINDEX, 9);
	attr(&m, WGDEVICE_A_IFNAME, "wg0", 4);
	attr(&m, WGDEVICE_A_PRIVATE_KEY, key, sizeof(key));
	attr(&m, WGDEVICE_A_PUBLIC_KEY, key, sizeof(key));
	attr16(&m, WGDEVICE_A_LISTEN_PORT, 51820);
	attr32(&m, WGDEVICE_A_FWMARK, 0x20);
	attr32(&m, 77, 5); /* of a later kernel */
	peers = nest(&m, WGDEVICE_A_PEERS);
	peer = nest(&m, 0);
	by_hand(&m, NULL);
	attr(&m, WGPEER_A_LAST_HANDSHAKE_TIME, handshake, sizeof(handshake));
	attr(&m, WGPEER_A_RX_BYTES, &rx, sizeof(rx));
	attr(&m, WGPEER_A_TX_BYTES, &tx, sizeof(tx));
	attr32(&m, WGPEER_A_PROTOCOL_VERSION, 1);
	end(&m, peer);
	end(&m, peers);
	assert_int_equal(weft_kernel_parse_get(&m.u.nlh, &dev), 0);

	/* the same peer goes on, and another follows */
	genl(&m, NLM_F_MULTI, WG_CMD_GET_DEVICE);
	attr(&m, WGDEVICE_A_IFNAME, "wg0", 4);
	peers = nest(&m, WGDEVICE_A_PEERS);
	for (int i = 2; i < 4; i++) {
		memset(key, i, sizeof(key));
		peer = nest(&m, 0);
		attr(&m, WGPEER_A_PUBLIC_KEY, key, sizeof(key));
		ips = nest(&m, WGPEER_A_ALLOWEDIPS);
		allowed(&m, AF_INET, v4, sizeof(v4), 32);
		end(&m, ips);
		end(&m, peer);
	}
	end(&m, peers);
	assert_int_equal(weft_kernel_parse_get(&m.u.nlh, &dev), 0);

	by_value(&want);
	add_ip(&want.peers[0], "10.0.0.0/32", false);
	assert_int_equal(dev.has, WEFT_DEVICE_HAS_PRIVATE_KEY | WEFT_DEVICE_HAS_PUBLIC_KEY |
					  WEFT_DEVICE_HAS_LISTEN_PORT | WEFT_DEVICE_HAS_FWMARK);
	assert_int_equal(dev.listen_port, 51820);
	assert_int_equal(dev.fwmark, 0x20);
	assert_int_equal(dev.private_key.b[31], 1);
	assert_int_equal(dev.n_peers, 2);
	p = &dev.peers[0];
	assert_int_equal(p->has, want.peers[0].has);
	assert_memory_equal(p->public_key, want.peers[0].public_key, WEFT_KEY_LEN);
	assert_memory_equal(&p->psk, &want.peers[0].psk, WEFT_KEY_LEN);
	assert_true(weft_endpoint_same_remote(&p->endpoint, &want.peers[0].endpoint));
	assert_int_equal(p->keepalive_s, 25);
	assert_int_equal(p->last_handshake_sec, 1700000000);
	assert_int_equal(p->last_handshake_nsec, 5);
	assert_true(p->rx_bytes == rx && p->tx_bytes == tx);
	assert_int_equal(p->n_allowed_ips, 3);
	assert_memory_equal(p->allowed_ips, want.peers[0].allowed_ips,
			    3 * sizeof(p->allowed_ips[0]));
	assert_int_equal(dev.peers[1].public_key[0], 3);
	assert_int_equal(dev.peers[1].n_allowed_ips, 1);
	weft_conf_device_clear(&want);
	weft_conf_device_clear(&dev);
}

static void bad_key(struct msg *m)
{
	attr(m, WGPEER_A_PUBLIC_KEY, "short", 5);
}

static void no_key(struct msg *m)
{
	attr16(m, WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, 5);
}

static void good_key(struct msg *m)
{
	static const uint8_t key[WEFT_KEY_LEN] = {1};

	attr(m, WGPEER_A_PUBLIC_KEY, key, sizeof(key));
}

static void bad_psk(struct msg *m)
{
	good_key(m);
	attr(m, WGPEER_A_PRESHARED_KEY, v6, sizeof(v6));
}

static void bad_endpoint(struct msg *m)
{
	struct sockaddr_in sin = {.sin_family = AF_INET6};

	good_key(m);
	attr(m, WGPEER_A_ENDPOINT, &sin, sizeof(sin));
}

static void bad_handshake(struct msg *m)
{
	good_key(m);
	attr(m, WGPEER_A_LAST_HANDSHAKE_TIME, v6, 8);
}

static void bad_rx(struct msg *m)
{
	good_key(m);
	attr32(m, WGPEER_A_RX_BYTES, 5);
}

static void one_ip(struct msg *m, uint16_t family, uint16_t n, uint8_t cidr)
{
	size_t ips;

	good_key(m);
	ips = nest(m, WGPEER_A_ALLOWEDIPS);
	allowed(m, family, v6, n, cidr);
	end(m, ips);
}

static void bad_cidr(struct msg *m)
{
	one_ip(m, AF_INET, 4, 33);
}

static void bad_cidr6(struct msg *m)
{
	one_ip(m, AF_INET6, 16, 129);
}

static void bad_length(struct msg *m)
{
	one_ip(m, AF_INET6, 4, 8);
}

static void bad_family(struct msg *m)
{
	one_ip(m, AF_UNIX, 4, 8);
}

static void no_ip(struct msg *m)
{
	size_t ips;

	good_key(m);
	ips = nest(m, WGPEER_A_ALLOWEDIPS);
	end(m, nest(m, 0));
	end(m, ips);
}

static void get_nonsense(void **state)
{
	static void (*const cases[])(struct msg * m) = {
		bad_key,  no_key,    bad_psk,    bad_endpoint, bad_handshake, bad_rx,
		bad_cidr, bad_cidr6, bad_length, bad_family,   no_ip,
	};
	static struct msg m;
	struct weft_conf_device dev = {0};
	size_t peers, peer;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		genl(&m, NLM_F_MULTI, WG_CMD_GET_DEVICE);
		peers = nest(&m, WGDEVICE_A_PEERS);
		peer = nest(&m, 0);
		cases[i](&m);
		end(&m, peer);
		end(&m, peers);
		assert_int_equal(weft_kernel_parse_get(&m.u.nlh, &dev), WEFT_E_PROTOCOL);
		weft_conf_device_clear(&dev);
	}
	genl(&m, NLM_F_MULTI, WG_CMD_GET_DEVICE);
	attr32(&m, WGDEVICE_A_LISTEN_PORT, 5);
	assert_int_equal(weft_kernel_parse_get(&m.u.nlh, &dev), WEFT_E_PROTOCOL);
	genl(&m, NLM_F_MULTI, WG_CMD_GET_DEVICE);
	m.u.nlh.nlmsg_len = NLMSG_HDRLEN;
	assert_int_equal(weft_kernel_parse_get(&m.u.nlh, &dev), WEFT_E_PROTOCOL);
	weft_conf_device_clear(&dev);
}

static void family(void **state)
{
	static struct msg m;
	uint16_t id = 7;

	(void)state;
	header(&m, GENL_ID_CTRL, 0, (uint8_t[]){CTRL_CMD_NEWFAMILY, 2, 0, 0}, 4);
	attr(&m, CTRL_ATTR_FAMILY_NAME, "wireguard", 10);
	assert_int_equal(weft_kernel_parse_family(&m.u.nlh, &id), WEFT_E_PROTOCOL);
	attr16(&m, CTRL_ATTR_FAMILY_ID, FAMILY);
	assert_int_equal(weft_kernel_parse_family(&m.u.nlh, &id), 0);
	assert_int_equal(id, FAMILY);
	attr16(&m, CTRL_ATTR_FAMILY_ID, 3); /* would be a control message */
	assert_int_equal(weft_kernel_parse_family(&m.u.nlh, &id), WEFT_E_PROTOCOL);
}

static void links(void **state)
{
	static const struct {
		const char *name, *kind;
		uint16_t name_len, kind_len;
		int rc;
	} cases[] = {
		{"wg0", "wireguard", 4, 10, 1},
		{"wg0", "wireguard", 4, 9, 1},
		{"wg0", "wireguard2", 4, 11, 0},
		{"wg0", "wireguar", 4, 9, 0},
		{"wg0", "tun", 4, 4, 0},
		{"lo", NULL, 3, 0, 0},
		{"", "wireguard", 1, 10, WEFT_E_PROTOCOL},
		{"sixteen-letters!", "wireguard", 17, 10, WEFT_E_PROTOCOL},
	};
	static struct msg m;
	struct ifinfomsg ifi = {0};
	char name[WEFT_KERNEL_IFNAME_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		header(&m, RTM_NEWLINK, 0, &ifi, sizeof(ifi));
		attr(&m, IFLA_IFNAME, cases[i].name, cases[i].name_len);
		if (cases[i].kind) {
			size_t info = nest(&m, IFLA_LINKINFO);

			attr(&m, IFLA_INFO_KIND, cases[i].kind, cases[i].kind_len);
			end(&m, info);
		}
		assert_int_equal(weft_kernel_parse_link(&m.u.nlh, name), cases[i].rc);
		if (cases[i].rc == 1)
			assert_string_equal(name, cases[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_bytes),    cmocka_unit_test(requests),
		cmocka_unit_test(split),        cmocka_unit_test(removals),
		cmocka_unit_test(replace),      cmocka_unit_test(get_in_parts),
		cmocka_unit_test(get_nonsense), cmocka_unit_test(family),
		cmocka_unit_test(links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
