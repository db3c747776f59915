/* SPDX-License-Identifier: Apache-2.0 */
/* The host as it is, and one change to it. */
#include "host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/device.h"

#define SRC_VALID_MARK "/proc/sys/net/ipv4/conf/all/src_valid_mark"

/* Runs nft's commands. 0, or -EIO: nft refused them. What it prints is dropped. */
static int nft(const char *commands)
{
	struct nft_ctx *ctx = nft_ctx_new(NFT_CTX_DEFAULT);
	int rc;

	if (!ctx)
		return -ENOMEM;
	rc = nft_ctx_buffer_output(ctx) || nft_ctx_buffer_error(ctx) ? -ENOMEM : 0;
	if (!rc && nft_run_cmd_from_buffer(ctx, commands))
		rc = -EIO;
	nft_ctx_free(ctx);
	return rc;
}

static bool has_firewall(const char *ifname, uint8_t family)
{
	char command[64];

	(void)snprintf(command, sizeof(command), "list table %s wg-quick-%s",
		       family == WEFT_IPV6 ? "ip6" : "ip", ifname);
	return nft(command) == 0;
}

static int on_address(void *ctx, const struct weft_prefix *p)
{
	return weft_host_add_address(ctx, p);
}

static int on_route(void *ctx, const struct weft_prefix *p, uint32_t table)
{
	return weft_host_add_route(ctx, p, table);
}

int weft_host_observe(struct weft_ifconf *conf, const char *ifname, uint32_t mark,
		      struct weft_host_state *ret)
{
	const struct weft_ifconf_seen seen = {.address = on_address, .route = on_route, .ctx = ret};
	int rc = weft_ifconf_link(conf, &ret->up, &ret->mtu);

	if (!rc)
		rc = weft_ifconf_read(conf, &seen);
	ret->mark = mark;
	for (unsigned f = 0; f < 2 && !rc; f++) {
		uint8_t family = f ? WEFT_IPV6 : WEFT_IPV4;

		ret->firewall[f] = has_firewall(ifname, family);
		if (mark)
			rc = weft_ifconf_read_rule(conf, family, WEFT_IFCONF_RULE_MARK, mark,
						   &ret->mark_rule[f]);
		/* the other has no mark: it is ours if its fellow is there */
		if (!rc && ret->mark_rule[f])
			rc = weft_ifconf_read_rule(conf, family, WEFT_IFCONF_RULE_SUPPRESS, mark,
						   &ret->suppress_rule[f]);
	}
	return rc;
}

/* The narrowest way to a peer; else the default route's. 0: there is none. */
static uint32_t path_mtu(struct weft_ifconf *conf, const struct weft_conf_device *dev,
			 uint32_t mark)
{
	uint32_t least = 0, mtu;

	for (size_t i = 0; i < dev->n_peers; i++) {
		const struct weft_conf_peer *p = &dev->peers[i];

		if (p->endpoint.ip.family != WEFT_NONE &&
		    weft_ifconf_path_mtu(conf, &p->endpoint.ip, mark, &mtu) == 0 &&
		    (!least || mtu < least))
			least = mtu;
	}
	if (!least && weft_ifconf_path_mtu(conf, NULL, 0, &mtu) == 0)
		least = mtu;
	return least;
}

/* A mark that was worked out, and not taken from a file. */
static bool is_own_mark(uint32_t mark)
{
	return mark >= WEFT_HOST_FIRST_TABLE && mark - WEFT_HOST_FIRST_TABLE < WEFT_IFCONF_TABLES;
}

int weft_host_find_facts(struct weft_ifconf *conf, const struct weft_quick *quick, uint32_t mark,
			 struct weft_host_facts *ret)
{
	int rc = 0;

	*ret = (struct weft_host_facts){0};
	if (!quick->mtu)
		ret->mtu = path_mtu(conf, &quick->wg.dev, mark);
	if (quick->table == WEFT_QUICK_TABLE_NAME)
		rc = weft_ifconf_table_by_name(quick->table_name, &ret->table);
	if (rc || quick->wg.dev.fwmark || !weft_host_wants_mark(quick))
		return rc;
	if (is_own_mark(mark))
		ret->mark = mark;
	else
		rc = weft_ifconf_free_table(conf, WEFT_HOST_FIRST_TABLE, &ret->mark);
	return rc;
}

static int write_src_valid_mark(void)
{
	int fd = open(SRC_VALID_MARK, O_WRONLY | O_CLOEXEC);
	int rc = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, "1", 1) != 1)
		rc = -errno;
	close(fd);
	return rc;
}

static int apply_firewall(const char *ifname, const struct weft_host_change *c,
			  const struct weft_host_state *s)
{
	struct weft_text text = {0};
	int rc = weft_host_firewall_text(c, ifname, s->addresses, s->n_addresses, &text);

	if (!rc)
		rc = weft_text_append(&text, "", 1);
	if (!rc)
		rc = nft(text.p);
	weft_text_clear(&text);
	return rc;
}

static int set_mark(const char *ifname, uint32_t mark)
{
	const struct weft_conf_device change = {.has = WEFT_DEVICE_HAS_FWMARK, .fwmark = mark};

	return weft_control_set(WEFT_BACKEND_AUTO, ifname, &change);
}

int weft_host_apply(struct weft_ifconf *conf, const char *ifname, const struct weft_host_change *c,
		    const struct weft_host_state *s)
{
	switch (c->kind) {
	case WEFT_HOST_ADDRESS:
		return weft_ifconf_address(conf, &c->prefix, c->add);
	case WEFT_HOST_LINK:
		return weft_ifconf_set_link(conf, c->mtu, true);
	case WEFT_HOST_DNS:
		return weft_host_set_dns(ifname, c->add ? c->dns : NULL);
	case WEFT_HOST_MARK:
		return set_mark(ifname, c->mark);
	case WEFT_HOST_ROUTE:
		return weft_ifconf_route(conf, &c->prefix, c->table, c->add);
	case WEFT_HOST_MARK_RULE:
		return weft_ifconf_rule(conf, c->family, WEFT_IFCONF_RULE_MARK, c->mark, c->add);
	case WEFT_HOST_SUPPRESS_RULE:
		return weft_ifconf_rule(conf, c->family, WEFT_IFCONF_RULE_SUPPRESS, c->mark,
					c->add);
	case WEFT_HOST_SRC_VALID_MARK:
		return write_src_valid_mark();
	case WEFT_HOST_FIREWALL:
		break;
	}
	return apply_firewall(ifname, c, s);
}
