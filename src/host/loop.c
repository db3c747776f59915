/* SPDX-License-Identifier: Apache-2.0 */
/* The interface's routes that are wanted, beside the host's that are there. */
#include "host/loop.h"

#include "linux/ifconf.h"
#include "linux/match.h"

#define DEFAULT_TABLE 253 /* looked at after the main table */

int weft_host_loop_init(struct weft_host_loop *ret, const struct weft_quick *quick, uint32_t mark,
			unsigned ifindex)
{
	struct weft_host_facts facts = {0};

	*ret = (struct weft_host_loop){.off = (quick->wg.dev.has & WEFT_DEVICE_HAS_FWMARK) &&
					      quick->wg.dev.fwmark,
				       .mark = mark,
				       .ifindex = ifindex};
	if (quick->table == WEFT_QUICK_TABLE_NAME &&
	    weft_ifconf_table_by_name(quick->table_name, &facts.table))
		ret->off = true; /* `up` says that there is no such table */
	return ret->off ? 0 : weft_host_wanted(quick, &facts, &ret->wanted);
}

void weft_host_loop_clear(struct weft_host_loop *l)
{
	weft_host_state_clear(&l->wanted);
}

/* The longest route of the interface in the main table to `ip`, of its addresses' too. */
static bool wanted_route(const struct weft_host_state *s, const struct weft_ip *ip,
			 struct weft_prefix *ret)
{
	bool found = false;

	for (size_t i = 0; i < s->n_routes + s->n_addresses; i++) {
		const struct weft_host_route *r = i < s->n_routes ? &s->routes[i] : NULL;
		struct weft_prefix p = r ? r->to : s->addresses[i - s->n_routes];

		(void)weft_prefix_mask(&p);
		if ((r && r->table != WEFT_IFCONF_MAIN_TABLE) || !weft_prefix_contains(&p, ip) ||
		    (found && p.len <= ret->len))
			continue;
		*ret = p;
		found = true;
	}
	return found;
}

bool weft_host_loops(const struct weft_host_loop *l, const struct weft_ip *ip,
		     struct weft_prefix *ret_by)
{
	struct weft_route_match match;
	struct weft_prefix by;

	if (l->off || !wanted_route(&l->wanted, ip, &by))
		return false;
	/* without any route to it now nobody knows which there will be; weftd looks again */
	if (weft_route_match(ip, l->mark, &match) || match.local)
		return false;
	if (match.table != WEFT_IFCONF_MAIN_TABLE && match.table != DEFAULT_TABLE)
		return false;
	if (match.table == WEFT_IFCONF_MAIN_TABLE && by.len < match.len)
		return false;
	*ret_by = by;
	return true;
}

static bool same(const struct weft_prefix *a, const struct weft_prefix *b)
{
	return a->len == b->len && weft_ip_equal(&a->ip, &b->ip);
}

static bool is_allowed_ip(const struct weft_quick *quick, const struct weft_prefix *by)
{
	const struct weft_conf_device *dev = &quick->wg.dev;

	for (size_t i = 0; i < dev->n_peers; i++)
		for (size_t j = 0; j < dev->peers[i].n_allowed_ips; j++)
			if (same(&dev->peers[i].allowed_ips[j].prefix, by))
				return true;
	return false;
}

void weft_host_loop_diag(const struct weft_quick *quick, const char *ifname,
			 const struct weft_quick_endpoint *line, const struct weft_ip *ip,
			 const struct weft_prefix *by, struct weft_diag *diag)
{
	char prefix[WEFT_PREFIX_TEXT_LEN], address[WEFT_IP_TEXT_LEN];
	bool allowed = is_allowed_ip(quick, by);

	weft_ip_format(ip, address);
	weft_diag_set(diag, line->line, line->column,
		      "Endpoint: %.80s: packets to %s would go into %s itself, by %s %s",
		      line->text, address, ifname, allowed ? "AllowedIPs" : "Address",
		      weft_prefix_format(by, prefix));
	if (allowed)
		weft_diag_hint(diag,
			       "Exclude = %s in [Interface] leaves it out; FwMark = or Table = off "
			       "leave the routes to you",
			       address);
	else
		weft_diag_hint(diag, "an endpoint is an address outside of the tunnel");
}
