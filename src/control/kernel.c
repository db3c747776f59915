/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel backend: WireGuard links of the network namespace that we are in. Which those are
 * rtnetlink says, the rest goes over generic netlink; kernel_msg.h has the messages. The kernel
 * applies a change message by message and takes nothing back after an error.
 */
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include "control/backend.h"
#include "control/kernel_msg.h"

#define ANSWER_BYTES 32768 /* the kernel's own limit for one part of a dump */
#define MAX_DUMPS    100   /* begun anew because the device changed meanwhile */

struct bus {
	struct mnl_socket *nl;
	uint32_t seq;
	uint16_t family; /* of WireGuard, on a generic one */
};

/* What becomes of an answer; `rc` keeps codes that errno has no number for. */
struct taker {
	int (*take)(const struct nlmsghdr *nlh, void *arg);
	void *arg;
	int rc;
};

/* -ENODEV where there is no netlink at all: the next backend may have what is asked for. */
static int bus_open(struct bus *bus, int protocol)
{
	int on = 1, rc;

	*bus = (struct bus){.nl = mnl_socket_open2(protocol, SOCK_CLOEXEC)};
	if (!bus->nl)
		return errno == EAFNOSUPPORT || errno == EPROTONOSUPPORT ? -ENODEV : -errno;
	/* Where requests have keys, an error's message would else bring them back. */
	if (mnl_socket_bind(bus->nl, 0, MNL_SOCKET_AUTOPID) == 0 &&
	    (protocol != NETLINK_GENERIC ||
	     mnl_socket_setsockopt(bus->nl, NETLINK_CAP_ACK, &on, sizeof(on)) == 0))
		return 0;
	rc = -errno;
	mnl_socket_close(bus->nl);
	bus->nl = NULL;
	return rc;
}

static void bus_close(struct bus *bus)
{
	if (bus->nl)
		mnl_socket_close(bus->nl);
	bus->nl = NULL;
}

static int on_data(const struct nlmsghdr *nlh, void *data)
{
	struct taker *t = data;

	t->rc = t->take ? t->take(nlh, t->arg) : 0;
	return t->rc ? MNL_CB_ERROR : MNL_CB_OK;
}

/* Both begin with a code: the end of a dump, and the answer to everything else. */
static int on_end(const struct nlmsghdr *nlh, void *data)
{
	struct taker *t = data;
	int code = 0;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(code)) {
		t->rc = WEFT_E_PROTOCOL;
		return MNL_CB_ERROR;
	}
	memcpy(&code, mnl_nlmsg_get_payload(nlh), sizeof(code));
	t->rc = code;
	return code ? MNL_CB_ERROR : MNL_CB_STOP;
}

/*
 * Sends a request and hands each answer to `take` until the last. 0, what `take` returned if not
 * 0, or negated errno: the kernel's; -EINTR: a dump changed while it was read, and the bus is to be
 * closed. Wipes what it received.
 */
static int talk(struct bus *bus, struct nlmsghdr *req,
		int (*take)(const struct nlmsghdr *nlh, void *arg), void *arg)
{
	static const mnl_cb_t control[] = {[NLMSG_ERROR] = on_end, [NLMSG_DONE] = on_end};
	struct taker t = {.take = take, .arg = arg};
	uint8_t buf[ANSWER_BYTES] __attribute__((aligned(8)));
	mnl_cb_t ends[sizeof(control) / sizeof(control[0])];
	int more = MNL_CB_OK;

	memcpy(ends, control, sizeof(ends));
	req->nlmsg_seq = ++bus->seq;
	if (mnl_socket_sendto(bus->nl, req, req->nlmsg_len) < 0)
		return -errno;
	while (more == MNL_CB_OK) {
		ssize_t n = mnl_socket_recvfrom(bus->nl, buf, sizeof(buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			t.rc = n < 0 ? -errno : WEFT_E_PROTOCOL;
			break;
		}
		more = mnl_cb_run2(buf, (size_t)n, bus->seq, mnl_socket_get_portid(bus->nl),
				   on_data, &t, ends, sizeof(ends) / sizeof(ends[0]));
		if (more == MNL_CB_ERROR && !t.rc)
			t.rc = -errno;
		weft_wipe(buf, (size_t)n);
	}
	return t.rc;
}

/* ---- which links there are */

static int take_link(const struct nlmsghdr *nlh, void *arg)
{
	char name[WEFT_KERNEL_IFNAME_SIZE];
	int rc = weft_kernel_parse_link(nlh, name);

	return rc == 1 ? weft_names_add(arg, name, strlen(name)) : rc;
}

static int kernel_list(struct weft_names *names)
{
	uint8_t buf[WEFT_KERNEL_MSG_MIN] __attribute__((aligned(8)));
	size_t before = names->n;
	struct bus bus;
	int rc = -EINTR;

	for (int i = 0; rc == -EINTR && i < MAX_DUMPS; i++) {
		weft_names_cut(names, before);
		rc = bus_open(&bus, NETLINK_ROUTE);
		if (rc)
			break;
		rc = talk(&bus, weft_kernel_put_link(buf, NULL), take_link, names);
		bus_close(&bus);
	}
	return rc == -ENODEV ? 0 : rc;
}

static int take_kind(const struct nlmsghdr *nlh, void *arg)
{
	char name[WEFT_KERNEL_IFNAME_SIZE];
	int rc = weft_kernel_parse_link(nlh, name);
	bool *is_ours = arg;

	if (rc == 1)
		*is_ours = true;
	return rc < 0 ? rc : 0;
}

/* 0: a link of the kernel's WireGuard; -ENODEV: there is none of this name. */
static int check_link(const char *name)
{
	uint8_t buf[WEFT_KERNEL_MSG_MIN] __attribute__((aligned(8)));
	size_t len = strlen(name);
	bool is_ours = false;
	struct bus bus;
	int rc;

	if (len == 0 || len >= WEFT_KERNEL_IFNAME_SIZE)
		return -ENODEV;
	rc = bus_open(&bus, NETLINK_ROUTE);
	if (rc)
		return rc;
	rc = talk(&bus, weft_kernel_put_link(buf, name), take_kind, &is_ours);
	bus_close(&bus);
	return !rc && !is_ours ? -ENODEV : rc;
}

static int take_family(const struct nlmsghdr *nlh, void *arg)
{
	return weft_kernel_parse_family(nlh, arg);
}

/*
 * A bus to the WireGuard that has this link, or -ENODEV. The link is asked for first: a question
 * about the family would load the module on hosts that do without.
 */
static int open_device(const char *name, struct bus *ret_bus)
{
	uint8_t buf[WEFT_KERNEL_MSG_MIN] __attribute__((aligned(8)));
	uint16_t family = 0;
	int rc = check_link(name);

	if (!rc)
		rc = bus_open(ret_bus, NETLINK_GENERIC);
	if (rc)
		return rc;
	rc = talk(ret_bus, weft_kernel_put_family(buf), take_family, &family);
	ret_bus->family = family;
	if (rc)
		bus_close(ret_bus);
	return rc == -ENOENT ? -ENODEV : rc;
}

/* ---- get */

static int take_part(const struct nlmsghdr *nlh, void *arg)
{
	return weft_kernel_parse_get(nlh, arg);
}

/* Names where the kernel has numbers, as wg shows them. */
static void name_zones(struct weft_conf_device *dev)
{
	char name[IF_NAMESIZE];

	for (size_t i = 0; i < dev->n_peers; i++) {
		struct weft_conf_peer *peer = &dev->peers[i];

		if (peer->endpoint.scope_id && if_indextoname(peer->endpoint.scope_id, name))
			memcpy(peer->endpoint_zone, name, sizeof(peer->endpoint_zone));
	}
}

static int kernel_get(const char *name, struct weft_conf_device *ret_dev)
{
	uint8_t buf[WEFT_KERNEL_MSG_MIN] __attribute__((aligned(8)));
	struct bus bus;
	int rc = -EINTR;

	for (int i = 0; rc == -EINTR && i < MAX_DUMPS; i++) {
		weft_conf_device_clear(ret_dev);
		rc = open_device(name, &bus);
		if (rc)
			return rc;
		rc = talk(&bus, weft_kernel_put_get(buf, bus.family, name), take_part, ret_dev);
		bus_close(&bus);
	}
	if (!rc)
		name_zones(ret_dev);
	return rc;
}

/* ---- set */

static uint32_t ifindex(const char *zone)
{
	return if_nametoindex(zone);
}

/*
 * Before Linux 5.2 a kernel passes over what it does not know: asked to take an allowed IP away,
 * it would add it. Later ones refuse, unless they know (6.16).
 */
static bool refuses_what_it_does_not_know(void)
{
	unsigned major = 0, minor = 0;
	struct utsname u;

	return uname(&u) == 0 && sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
	       (major > 5 || (major == 5 && minor >= 2));
}

/*
 * Sends messages until all is out: 0, or until the kernel does not know how to take away the
 * allowed IPs that the last one names: 1. Else negated errno.
 */
static int send_messages(struct bus *bus, struct weft_kernel_set *set, bool knows_how)
{
	uint8_t buf[WEFT_KERNEL_MSG_BYTES] __attribute__((aligned(8)));
	int len, rc = 0;

	while (!rc && (len = weft_kernel_put_set(set, buf, sizeof(buf))) != 0) {
		if (len < 0)
			return len;
		if (set->removes && !knows_how)
			return 1; /* no key is in such a message */
		rc = talk(bus, (struct nlmsghdr *)buf, NULL, NULL);
		weft_wipe(buf, (size_t)len);
		if (set->removes && rc == -EINVAL)
			return 1;
	}
	return rc;
}

/* Takes allowed IPs away where the kernel has no word for it: reads, and replaces what is there. */
static int take_away(struct bus *bus, const struct weft_kernel_set *set)
{
	struct weft_conf_device now = {0}, change = {0};
	struct weft_kernel_set instead = {
		.family = set->family, .name = set->name, .change = &change};
	int rc = kernel_get(set->name, &now);

	if (!rc)
		rc = weft_kernel_replace(set, &now, &change);
	if (!rc && change.n_peers)
		rc = send_messages(bus, &instead, false);
	weft_conf_device_clear(&now);
	weft_conf_device_clear(&change);
	return rc;
}

/* What the kernel cannot do is found out before anything is changed. */
static int check_change(const struct weft_conf_device *change)
{
	if ((change->has & WEFT_DEVICE_HAS_RELAY) && change->relay == WEFT_CONF_RELAY_FAST)
		return -EOPNOTSUPP;
	if ((change->has & WEFT_DEVICE_HAS_PATH_MTU) &&
	    change->path_mtu == WEFT_CONF_PATH_MTU_PROBE)
		return -EOPNOTSUPP;
	for (size_t i = 0; i < change->n_peers; i++)
		if (change->peers[i].endpoint_zone[0] && !ifindex(change->peers[i].endpoint_zone))
			return -EINVAL;
	return 0;
}

static int kernel_set(const char *name, const struct weft_conf_device *change)
{
	struct weft_kernel_set set = {.name = name, .change = change, .ifindex = ifindex};
	bool knows_how = refuses_what_it_does_not_know();
	struct bus bus;
	int rc = open_device(name, &bus);

	if (rc)
		return rc;
	set.family = bus.family;
	rc = check_change(change);
	while (!rc && (rc = send_messages(&bus, &set, knows_how)) == 1) {
		knows_how = false;
		rc = take_away(&bus, &set);
	}
	bus_close(&bus);
	return rc;
}

const struct weft_control_backend weft_control_kernel = {
	.name = "kernel",
	.list = kernel_list,
	.get = kernel_get,
	.set = kernel_set,
};
