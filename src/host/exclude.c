/* SPDX-License-Identifier: Apache-2.0 */
/* Prefixes without other prefixes. The ends of ranges are addresses, counted up as big numbers. */
#include "host/exclude.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void weft_prefixes_clear(struct weft_prefixes *p)
{
	free(p->v);
	*p = (struct weft_prefixes){0};
}

int weft_prefixes_add(struct weft_prefixes *p, const struct weft_prefix *prefix)
{
	if (p->n == p->cap) {
		size_t cap = p->cap ? p->cap * 2 : 8;
		struct weft_prefix *v = realloc(p->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		p->v = v;
		p->cap = cap;
	}
	p->v[p->n++] = *prefix;
	return 0;
}

/* By family and address; of two that begin alike the one that holds the other comes first. */
static int by_place(const void *a, const void *b)
{
	const struct weft_prefix *x = a, *y = b;
	int order;

	if (x->ip.family != y->ip.family)
		return x->ip.family < y->ip.family ? -1 : 1;
	order = memcmp(x->ip.b, y->ip.b, sizeof(x->ip.b));
	return order ? order : (int)x->len - (int)y->len;
}

static bool holds(const struct weft_prefix *outer, const struct weft_prefix *inner)
{
	return outer->len <= inner->len && weft_prefix_contains(outer, &inner->ip);
}

int weft_exclude_tidy(const struct weft_prefix *ranges, size_t n, struct weft_prefixes *ret)
{
	struct weft_prefix *v = n ? calloc(n, sizeof(*v)) : NULL;
	const struct weft_prefix *last = NULL;
	int rc = n && !v ? -ENOMEM : 0;

	for (size_t i = 0; i < n && !rc; i++) {
		v[i] = ranges[i];
		(void)weft_prefix_mask(&v[i]);
	}
	if (n && !rc)
		qsort(v, n, sizeof(*v), by_place);
	for (size_t i = 0; i < n && !rc; i++) {
		if (last && holds(last, &v[i]))
			continue;
		last = &v[i];
		rc = weft_prefixes_add(ret, last);
	}
	free(v);
	return rc;
}

static bool bit(const struct weft_ip *ip, unsigned i)
{
	return ip->b[i / 8] >> (7 - i % 8) & 1;
}

/* The last address of the prefix of `len` bits that begins with `ip`. */
static struct weft_ip last_of(const struct weft_ip *ip, unsigned len)
{
	struct weft_ip last = *ip;

	for (unsigned i = len; i < weft_family_bits(ip->family); i++)
		last.b[i / 8] |= (uint8_t)(0x80u >> (i % 8));
	return last;
}

/* One further or, with -1, one back. False: that was the end, and it begins anew. */
static bool step(struct weft_ip *ip, int by)
{
	for (size_t i = weft_family_bytes(ip->family); i-- > 0;) {
		ip->b[i] = (uint8_t)(ip->b[i] + by);
		if (ip->b[i] != (by > 0 ? 0 : 0xff))
			return true;
	}
	return false;
}

static int compare(const struct weft_ip *a, const struct weft_ip *b)
{
	return memcmp(a->b, b->b, sizeof(a->b));
}

/* All from `at` to `end`, both included: each time the largest prefix that begins where we are. */
static int add_span(struct weft_prefixes *ret, size_t limit, struct weft_ip at,
		    const struct weft_ip *end)
{
	unsigned bits = weft_family_bits(at.family);

	for (;;) {
		struct weft_prefix p = {.ip = at, .len = (uint8_t)bits};
		struct weft_ip last = at, next;
		int rc;

		while (p.len && !bit(&at, p.len - 1u)) {
			next = last_of(&at, p.len - 1u);
			if (compare(&next, end) > 0)
				break;
			last = next;
			p.len--;
		}
		if (ret->n >= limit)
			return WEFT_E_LIMIT;
		rc = weft_prefixes_add(ret, &p);
		if (rc || !compare(&last, end))
			return rc;
		at = last;
		(void)step(&at, 1);
	}
}

int weft_exclude_cut(const struct weft_prefix *from, const struct weft_prefixes *ranges,
		     struct weft_prefixes *ret)
{
	struct weft_prefix whole = *from;
	size_t limit = ret->n + WEFT_EXCLUDE_MAX_ROUTES;
	struct weft_ip at, end;
	int rc;

	(void)weft_prefix_mask(&whole);
	at = whole.ip;
	end = last_of(&whole.ip, whole.len);
	for (size_t i = 0; i < ranges->n; i++) {
		const struct weft_prefix *r = &ranges->v[i];
		struct weft_ip before = r->ip;

		if (holds(r, &whole))
			return 0;
		if (!holds(&whole, r))
			continue;
		if (compare(&at, &r->ip) < 0) {
			(void)step(&before, -1);
			rc = add_span(ret, limit, at, &before);
			if (rc)
				return rc;
		}
		at = last_of(&r->ip, r->len);
		if (!compare(&at, &end))
			return 0;
		(void)step(&at, 1);
	}
	return add_span(ret, limit, at, &end);
}

static bool touches_allowed_ips(const struct weft_conf_device *dev, const struct weft_prefix *p)
{
	for (size_t i = 0; i < dev->n_peers; i++)
		for (size_t j = 0; j < dev->peers[i].n_allowed_ips; j++) {
			const struct weft_prefix *a = &dev->peers[i].allowed_ips[j].prefix;

			if (holds(a, p) || holds(p, a))
				return true;
		}
	return false;
}

int weft_exclude_check(const struct weft_quick *quick, size_t i, struct weft_diag *diag)
{
	const struct weft_prefix *p = &quick->excludes[i];
	const struct weft_quick_place *at = &quick->exclude_places[i];
	char text[WEFT_PREFIX_TEXT_LEN], ip[WEFT_IP_TEXT_LEN];

	weft_prefix_format(p, text);
	for (size_t j = 0; j < quick->n_addresses; j++) {
		const struct weft_ip *own = &quick->addresses[j].ip;

		if (!weft_prefix_contains(p, own))
			continue;
		weft_diag_set(diag, at->line, at->column,
			      "Exclude: %s holds %s, an address of the interface itself", text,
			      weft_ip_format(own, ip));
		weft_diag_hint(diag, "list the ranges around the tunnel's own network instead");
		return WEFT_E_PARSE;
	}
	if (touches_allowed_ips(&quick->wg.dev, p))
		return 0;
	weft_diag_set(diag, at->line, at->column,
		      "Exclude: no AllowedIPs have any of %s: it stays outside anyway", text);
	return 1;
}
