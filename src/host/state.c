/* SPDX-License-Identifier: Apache-2.0 */
/* What a file for wg-quick wants on the host, and what is missing there. wg-quick(8). */
#include "host/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAIN_TABLE 254

/* Room for one more of a list of `size` each. */
static int grow(void **v, size_t n, size_t *cap, size_t size)
{
	size_t more = *cap ? *cap * 2 : 8;
	void *bigger;

	if (n < *cap)
		return 0;
	if (more > SIZE_MAX / size)
		return -ENOMEM;
	bigger = realloc(*v, more * size);
	if (!bigger)
		return -ENOMEM;
	*v = bigger;
	*cap = more;
	return 0;
}

int weft_host_add_address(struct weft_host_state *s, const struct weft_prefix *p)
{
	void *v = s->addresses;
	int rc = grow(&v, s->n_addresses, &s->cap_addresses, sizeof(*p));

	s->addresses = v;
	if (!rc)
		s->addresses[s->n_addresses++] = *p;
	return rc;
}

static int append_route(struct weft_host_state *s, const struct weft_host_route *route)
{
	void *v = s->routes;
	int rc = grow(&v, s->n_routes, &s->cap_routes, sizeof(*s->routes));

	s->routes = v;
	if (!rc)
		s->routes[s->n_routes++] = *route;
	return rc;
}

int weft_host_add_route(struct weft_host_state *s, const struct weft_prefix *to, uint32_t table)
{
	return append_route(s, &(struct weft_host_route){.to = *to, .table = table});
}

int weft_host_add_thrown(struct weft_host_state *s, const struct weft_prefix *to, uint32_t table)
{
	return append_route(s,
			    &(struct weft_host_route){.to = *to, .table = table, .thrown = true});
}

void weft_host_state_clear(struct weft_host_state *s)
{
	free(s->addresses);
	free(s->routes);
	weft_fence_clear(&s->fence);
	free(s->dns);
	*s = (struct weft_host_state){0};
}

void weft_host_changes_clear(struct weft_host_changes *c)
{
	free(c->v);
	*c = (struct weft_host_changes){0};
}

static bool same_prefix(const struct weft_prefix *a, const struct weft_prefix *b)
{
	return a->len == b->len && weft_ip_equal(&a->ip, &b->ip);
}

bool weft_host_wants_mark(const struct weft_quick *quick)
{
	const struct weft_conf_device *dev = &quick->wg.dev;

	if (quick->kill_switch)
		return true;
	if (quick->table != WEFT_QUICK_TABLE_AUTO)
		return false;
	for (size_t i = 0; i < dev->n_peers; i++)
		for (size_t j = 0; j < dev->peers[i].n_allowed_ips; j++)
			if (!dev->peers[i].allowed_ips[j].prefix.len)
				return true;
	return false;
}

/* The kernel makes a route of an address, but not of an IPv4 one that is alone in its prefix. */
static bool is_connected(const struct weft_quick *q, const struct weft_prefix *to)
{
	for (size_t i = 0; i < q->n_addresses; i++) {
		struct weft_prefix p = q->addresses[i];

		(void)weft_prefix_mask(&p);
		if (p.len <= to->len && weft_prefix_contains(&p, &to->ip) &&
		    (p.ip.family == WEFT_IPV6 || p.len < 32))
			return true;
	}
	return false;
}

static int add_wanted_route(struct weft_host_state *s, const struct weft_quick *q,
			    const struct weft_host_facts *facts, const struct weft_prefix *to)
{
	unsigned f = weft_host_family_index(to->ip.family);
	int rc = 0;

	switch (q->table) {
	case WEFT_QUICK_TABLE_OFF:
		return 0;
	case WEFT_QUICK_TABLE_NUMBER:
		return weft_host_add_route(s, to, q->table_number);
	case WEFT_QUICK_TABLE_NAME:
		return weft_host_add_route(s, to, facts->table);
	case WEFT_QUICK_TABLE_AUTO:
		break;
	}
	if (to->len)
		return is_connected(q, to) ? 0 : weft_host_add_route(s, to, MAIN_TABLE);
	s->mark_rule[f] = s->suppress_rule[f] = s->firewall[f] = true;
	for (size_t i = 0; i < s->fence.excludes.n && !rc; i++)
		if (s->fence.excludes.v[i].ip.family == to->ip.family)
			rc = weft_host_add_thrown(s, &s->fence.excludes.v[i], s->mark);
	return rc ? rc : weft_host_add_route(s, to, s->mark);
}

/* Longest first, as they are to be added; then any order that stays the same. */
static int by_length(const void *a, const void *b)
{
	const struct weft_prefix *x = a, *y = b;

	if (x->len != y->len)
		return x->len < y->len ? 1 : -1;
	if (x->ip.family != y->ip.family)
		return x->ip.family < y->ip.family ? 1 : -1;
	return memcmp(x->ip.b, y->ip.b, sizeof(x->ip.b));
}

/*
 * The allowed IPs, without what is excluded from them: but a default route in a table of its own
 * stays whole, for that table can say so by itself.
 */
static int collect_routes(const struct weft_quick *q, const struct weft_prefixes *excludes,
			  struct weft_prefixes *ret)
{
	const struct weft_conf_device *dev = &q->wg.dev;
	int rc = 0;

	for (size_t i = 0; i < dev->n_peers && !rc; i++)
		for (size_t j = 0; j < dev->peers[i].n_allowed_ips && !rc; j++) {
			const struct weft_prefix *p = &dev->peers[i].allowed_ips[j].prefix;

			if (excludes->n && (p->len || q->table != WEFT_QUICK_TABLE_AUTO))
				rc = weft_exclude_cut(p, excludes, ret);
			else
				rc = weft_prefixes_add(ret, p);
		}
	return rc;
}

static int add_wanted_routes(struct weft_host_state *s, const struct weft_quick *q,
			     const struct weft_host_facts *facts)
{
	struct weft_prefixes all = {0};
	int rc = collect_routes(q, &s->fence.excludes, &all);

	if (all.n)
		qsort(all.v, all.n, sizeof(*all.v), by_length);
	for (size_t i = 0; i < all.n && !rc; i++)
		if (!i || !same_prefix(&all.v[i], &all.v[i - 1])) /* the last peer has it */
			rc = add_wanted_route(s, q, facts, &all.v[i]);
	weft_prefixes_clear(&all);
	return rc;
}

/*
 * The clamp comes with weft's own keys alone: of a file that wg-quick can read, what wg-quick makes
 * of it is made, and nothing else.
 */
static int add_wanted_fence(struct weft_host_state *s, const struct weft_quick *q)
{
	struct weft_fence *f = &s->fence;

	f->kill_switch = q->kill_switch;
	f->mss = q->kill_switch || q->mtu_auto;
	f->mark = s->mark;
	return weft_fence_seal(f);
}

/* Domains alone are none of resolvconf's business. */
static int add_wanted_dns(struct weft_host_state *s, const struct weft_quick *q)
{
	struct weft_text text = {0};
	int rc = 0;

	if (!q->dns_servers.n)
		return 0;
	for (size_t i = 0; i < q->dns_servers.n && !rc; i++)
		rc = weft_text_printf(&text, "nameserver %s\n", q->dns_servers.v[i]);
	for (size_t i = 0; i < q->dns_search.n && !rc; i++)
		rc = weft_text_printf(&text, "%s %s", i ? "" : "search", q->dns_search.v[i]);
	if (!rc && q->dns_search.n)
		rc = weft_text_append(&text, "\n", 1);
	if (!rc)
		rc = weft_text_append(&text, "", 1);
	if (!rc)
		s->dns = strdup(text.p);
	weft_text_clear(&text);
	return rc ? rc : s->dns ? 0 : -ENOMEM;
}

int weft_host_wanted(const struct weft_quick *quick, const struct weft_host_facts *facts,
		     struct weft_host_state *ret)
{
	uint32_t way = facts->mtu ? facts->mtu : WEFT_HOST_MTU_DEFAULT;
	int rc = 0;

	ret->up = true;
	ret->mtu = quick->mtu;
	if (quick->mtu_auto && facts->probes && facts->widest)
		ret->mtu = facts->widest;
	if (!ret->mtu && way > WEFT_HOST_MTU_OVERHEAD)
		ret->mtu = way - WEFT_HOST_MTU_OVERHEAD;
	ret->mark = quick->wg.dev.fwmark;
	if (!ret->mark && weft_host_wants_mark(quick))
		ret->mark = facts->mark;
	for (size_t i = 0; i < quick->n_addresses && !rc; i++)
		rc = weft_host_add_address(ret, &quick->addresses[i]);
	if (!rc)
		rc = add_wanted_dns(ret, quick);
	if (!rc)
		rc = weft_exclude_tidy(quick->excludes, quick->n_excludes, &ret->fence.excludes);
	if (!rc)
		rc = add_wanted_fence(ret, quick);
	return rc ? rc : add_wanted_routes(ret, quick, facts);
}

static int add_change(struct weft_host_changes *c, const struct weft_host_change *change)
{
	void *v = c->v;
	int rc = grow(&v, c->n, &c->cap, sizeof(*c->v));

	c->v = v;
	if (!rc)
		c->v[c->n++] = *change;
	return rc;
}

static bool has_address(const struct weft_host_state *s, const struct weft_prefix *p)
{
	for (size_t i = 0; i < s->n_addresses; i++)
		if (same_prefix(&s->addresses[i], p))
			return true;
	return false;
}

static int by_route(const void *a, const void *b)
{
	const struct weft_host_route *x = a, *y = b;

	if (x->table != y->table)
		return x->table < y->table ? -1 : 1;
	if (x->thrown != y->thrown)
		return x->thrown ? -1 : 1;
	return by_length(&x->to, &y->to);
}

/* A copy in order, to search in. NULL: no memory. */
static struct weft_host_route *sorted(const struct weft_host_state *s)
{
	struct weft_host_route *v = calloc(s->n_routes + 1, sizeof(*v));

	if (v && s->n_routes) {
		memcpy(v, s->routes, s->n_routes * sizeof(*v));
		qsort(v, s->n_routes, sizeof(*v), by_route);
	}
	return v;
}

static bool is_link_local(const struct weft_ip *ip)
{
	return ip->family == WEFT_IPV6 && ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80;
}

static bool is_among(const struct weft_host_route *r, const struct weft_host_route *v, size_t n)
{
	return n && bsearch(r, v, n, sizeof(*v), by_route);
}

int weft_host_forget_others(struct weft_host_state *is, const struct weft_host_state *wanted,
			    const struct weft_host_state *ours)
{
	struct weft_host_route *w = sorted(wanted), *o = sorted(ours ? ours : wanted);
	size_t n = 0;
	bool ok = w && o;

	for (size_t i = 0; ok && i < is->n_addresses; i++) {
		const struct weft_prefix *p = &is->addresses[i];

		if (has_address(wanted, p) ||
		    (ours ? has_address(ours, p) : !is_link_local(&p->ip)))
			is->addresses[n++] = *p;
	}
	if (ok)
		is->n_addresses = n;
	n = 0;
	for (size_t i = 0; ok && ours && i < is->n_routes; i++)
		if (is->routes[i].thrown || is_among(&is->routes[i], w, wanted->n_routes) ||
		    is_among(&is->routes[i], o, ours->n_routes))
			is->routes[n++] = is->routes[i];
	if (ok && ours)
		is->n_routes = n;
	free(w);
	free(o);
	return ok ? 0 : -ENOMEM;
}

/*
 * True if the kernel has a route to there that goes with an address which does: ours can only come
 * when that is gone.
 */
static bool is_in_the_way(const struct weft_host_state *is, const struct weft_host_state *wanted,
			  const struct weft_host_route *r)
{
	for (size_t i = 0; i < is->n_addresses; i++) {
		struct weft_prefix p = is->addresses[i];

		if (has_address(wanted, &p))
			continue;
		(void)weft_prefix_mask(&p);
		if (r->table == MAIN_TABLE && same_prefix(&p, &r->to))
			return true;
	}
	return false;
}

enum which_routes { ALL_ROUTES, FREE_ROUTES, ROUTES_IN_THE_WAY };

/* The routes of `a` that `b` has not. */
static int diff_routes(const struct weft_host_state *a, const struct weft_host_state *b, bool add,
		       enum which_routes which, struct weft_host_changes *ret)
{
	struct weft_host_route *there = sorted(b);
	int rc = there ? 0 : -ENOMEM;

	for (size_t i = 0; i < a->n_routes && !rc; i++) {
		const struct weft_host_route *r = &a->routes[i];
		struct weft_host_change c = {.kind = WEFT_HOST_ROUTE, .add = add};

		if (is_among(r, there, b->n_routes))
			continue;
		if (which != ALL_ROUTES && is_in_the_way(b, a, r) != (which == ROUTES_IN_THE_WAY))
			continue;
		c.prefix = r->to;
		c.table = r->table;
		c.thrown = r->thrown;
		rc = add_change(ret, &c);
	}
	free(there);
	return rc;
}

/* True if it has that IPv6 address with another length: the kernel takes none twice. */
static bool has_other_length(const struct weft_host_state *s, const struct weft_prefix *p)
{
	for (size_t i = 0; i < s->n_addresses; i++)
		if (p->ip.family == WEFT_IPV6 && s->addresses[i].len != p->len &&
		    weft_ip_equal(&s->addresses[i].ip, &p->ip))
			return true;
	return false;
}

static int add_address_change(const struct weft_prefix *p, bool add, struct weft_host_changes *ret)
{
	const struct weft_host_change c = {.kind = WEFT_HOST_ADDRESS, .add = add, .prefix = *p};

	return add_change(ret, &c);
}

/* New addresses, after those that are in their way. */
static int add_addresses(const struct weft_host_state *is, const struct weft_host_state *wanted,
			 struct weft_host_changes *ret)
{
	int rc = 0;

	for (size_t i = 0; i < is->n_addresses && !rc; i++)
		if (!has_address(wanted, &is->addresses[i]) &&
		    has_other_length(wanted, &is->addresses[i]))
			rc = add_address_change(&is->addresses[i], false, ret);
	for (size_t i = 0; i < wanted->n_addresses && !rc; i++)
		if (!has_address(is, &wanted->addresses[i]))
			rc = add_address_change(&wanted->addresses[i], true, ret);
	return rc;
}

static int remove_addresses(const struct weft_host_state *is, const struct weft_host_state *wanted,
			    struct weft_host_changes *ret)
{
	int rc = 0;

	for (size_t i = 0; i < is->n_addresses && !rc; i++)
		if (!has_address(wanted, &is->addresses[i]) &&
		    !has_other_length(wanted, &is->addresses[i]))
			rc = add_address_change(&is->addresses[i], false, ret);
	return rc;
}

static bool same_addresses(const struct weft_host_state *a, const struct weft_host_state *b)
{
	size_t i = 0;

	for (; i < a->n_addresses && i < b->n_addresses; i++)
		if (!has_address(b, &a->addresses[i]) || !has_address(a, &b->addresses[i]))
			return false;
	return a->n_addresses == b->n_addresses;
}

static int add_rule(enum weft_host_change_kind kind, bool add, unsigned f, uint32_t mark,
		    struct weft_host_changes *ret)
{
	const struct weft_host_change c = {
		.kind = kind, .add = add, .family = f ? WEFT_IPV6 : WEFT_IPV4, .mark = mark};

	return add_change(ret, &c);
}

/*
 * New rules and firewall of a family. A rule comes before those that are there, but the one that
 * lets the main table speak first has to be the first: with another mark it is made again.
 */
static int add_family(const struct weft_host_state *is, const struct weft_host_state *wanted,
		      unsigned f, struct weft_host_changes *ret)
{
	bool moved = is->mark != wanted->mark, marks = wanted->mark_rule[f];
	bool new_rule = marks && (!is->mark_rule[f] || moved);
	bool again = new_rule && is->suppress_rule[f];
	int rc = 0;

	if (new_rule)
		rc = add_rule(WEFT_HOST_MARK_RULE, true, f, wanted->mark, ret);
	if (!rc && again)
		rc = add_rule(WEFT_HOST_SUPPRESS_RULE, false, f, is->mark, ret);
	if (!rc && wanted->suppress_rule[f] && (again || !is->suppress_rule[f]))
		rc = add_rule(WEFT_HOST_SUPPRESS_RULE, true, f, wanted->mark, ret);
	if (!rc && !f && wanted->firewall[f] && !is->firewall[f])
		rc = add_rule(WEFT_HOST_SRC_VALID_MARK, true, f, wanted->mark, ret);
	/* one that stays is made again, in one step, when what it holds is another */
	if (!rc && wanted->firewall[f] &&
	    (!is->firewall[f] || moved || !same_addresses(is, wanted)))
		rc = add_rule(WEFT_HOST_FIREWALL, true, f, wanted->mark, ret);
	return rc;
}

static int remove_family(const struct weft_host_state *is, const struct weft_host_state *wanted,
			 unsigned f, struct weft_host_changes *ret)
{
	int rc = 0;

	if (is->mark_rule[f] && (!wanted->mark_rule[f] || is->mark != wanted->mark))
		rc = add_rule(WEFT_HOST_MARK_RULE, false, f, is->mark, ret);
	if (!rc && is->suppress_rule[f] && !wanted->suppress_rule[f])
		rc = add_rule(WEFT_HOST_SUPPRESS_RULE, false, f, is->mark, ret);
	if (!rc && is->firewall[f] && !wanted->firewall[f])
		rc = add_rule(WEFT_HOST_FIREWALL, false, f, is->mark, ret);
	return rc;
}

static int set_mark(uint32_t mark, struct weft_host_changes *ret)
{
	const struct weft_host_change c = {.kind = WEFT_HOST_MARK, .add = true, .mark = mark};

	return add_change(ret, &c);
}

static int set_dns(const char *dns, bool add, struct weft_host_changes *ret)
{
	const struct weft_host_change c = {.kind = WEFT_HOST_DNS, .add = add, .dns = dns};

	return add_change(ret, &c);
}

static bool new_mark(const struct weft_host_state *is, const struct weft_host_state *wanted)
{
	return wanted->mark && is->mark != wanted->mark;
}

static bool old_mark(const struct weft_host_state *is, const struct weft_host_state *wanted)
{
	return wanted->up && is->mark && !wanted->mark;
}

/* Where a kill switch closes around a tunnel that runs, its packets are to pass from the first. */
static bool marks_first(const struct weft_host_state *is, const struct weft_host_state *wanted)
{
	return is->up && wanted->fence.kill_switch && !is->fence.kill_switch && !is->mark_rule[0] &&
	       !is->mark_rule[1];
}

static int diff_new(const struct weft_host_state *is, const struct weft_host_state *wanted,
		    struct weft_host_changes *ret)
{
	const struct weft_host_change link = {
		.kind = WEFT_HOST_LINK, .add = true, .mtu = wanted->mtu};
	int rc = add_addresses(is, wanted, ret);

	if (!rc && wanted->up && (!is->up || is->mtu != wanted->mtu))
		rc = add_change(ret, &link);
	if (!rc && wanted->dns && (!is->dns || strcmp(is->dns, wanted->dns) != 0))
		rc = set_dns(wanted->dns, true, ret);
	if (!rc && new_mark(is, wanted) && !marks_first(is, wanted))
		rc = set_mark(wanted->mark, ret);
	if (!rc)
		rc = diff_routes(wanted, is, true, FREE_ROUTES, ret);
	for (unsigned f = 2; f-- > 0 && !rc;) /* wg-quick's order: nft lists them in it */
		rc = add_family(is, wanted, f, ret);
	return rc;
}

static int diff_old(const struct weft_host_state *is, const struct weft_host_state *wanted,
		    struct weft_host_changes *ret)
{
	int rc = 0;

	for (unsigned f = 0; f < 2 && !rc; f++)
		rc = remove_family(is, wanted, f, ret);
	/* not before: the tunnel's own packets would go into it */
	if (!rc && old_mark(is, wanted) && !is->fence.kill_switch)
		rc = set_mark(0, ret);
	if (!rc)
		rc = diff_routes(is, wanted, false, ALL_ROUTES, ret);
	if (!rc)
		rc = remove_addresses(is, wanted, ret);
	if (!rc)
		rc = diff_routes(wanted, is, true, ROUTES_IN_THE_WAY, ret);
	if (!rc && is->dns && !wanted->dns)
		rc = set_dns(is->dns, false, ret);
	return rc;
}

/*
 * The table, if it is to be another. It is changed before all else, so that nothing leaves while
 * the rest is made; but taken away, or its kill switch out of it, after all else.
 */
static int diff_fence(const struct weft_host_state *is, const struct weft_host_state *wanted,
		      bool first, struct weft_host_changes *ret)
{
	bool opens = is->fence.kill_switch && !wanted->fence.kill_switch;
	const struct weft_host_change c = {.kind = WEFT_HOST_FENCE,
					   .add = weft_fence_is_wanted(&wanted->fence),
					   .fence = &wanted->fence};

	if (weft_fence_is(&is->fence, &wanted->fence))
		return 0;
	return first == (c.add && !opens) ? add_change(ret, &c) : 0;
}

int weft_host_diff(const struct weft_host_state *is, const struct weft_host_state *wanted,
		   struct weft_host_changes *ret)
{
	int rc = 0;

	if (new_mark(is, wanted) && marks_first(is, wanted))
		rc = set_mark(wanted->mark, ret);
	if (!rc)
		rc = diff_fence(is, wanted, true, ret);
	if (!rc)
		rc = diff_new(is, wanted, ret);
	if (!rc)
		rc = diff_old(is, wanted, ret);
	if (!rc)
		rc = diff_fence(is, wanted, false, ret);
	if (!rc && old_mark(is, wanted) && is->fence.kill_switch) /* it let them out until now */
		rc = set_mark(0, ret);
	return rc;
}
