/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest change of a device. plan_text.c has how it is shown. */
#include "host/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/value.h"

static int compare_peers(const void *a, const void *b)
{
	const struct weft_conf_peer *const *x = a, *const *y = b;
	int c = memcmp((*x)->public_key, (*y)->public_key, WEFT_KEY_LEN);

	return c ? c : (*x > *y) - (*x < *y);
}

const struct weft_conf_peer **weft_host_sort_peers(const struct weft_conf_device *dev)
{
	const struct weft_conf_peer **list = calloc(dev->n_peers + 1, sizeof(*list));

	for (size_t i = 0; list && i < dev->n_peers; i++)
		list[i] = &dev->peers[i];
	if (list && dev->n_peers)
		qsort(list, dev->n_peers, sizeof(*list), compare_peers);
	return list;
}

const struct weft_conf_peer *const *weft_host_find_peer(const struct weft_conf_peer *const *list,
							size_t n,
							const uint8_t public_key[WEFT_KEY_LEN])
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (memcmp(list[mid]->public_key, public_key, WEFT_KEY_LEN) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n && memcmp(list[lo]->public_key, public_key, WEFT_KEY_LEN) == 0 ? &list[lo]
										     : NULL;
}

/* Who of a peer's sections has what; all of them the same one, usually. */
struct wanted_peer {
	const struct weft_conf_peer *psk, *endpoint, *keepalive, *allowed;
};

static struct wanted_peer gather(const struct weft_conf_peer *const *first,
				 const struct weft_conf_peer *const *end)
{
	struct wanted_peer w = {*first, *first, *first, *first};

	for (const struct weft_conf_peer *const *p = first + 1;
	     p < end && memcmp((*p)->public_key, (*first)->public_key, WEFT_KEY_LEN) == 0; p++) {
		if ((*p)->has & WEFT_PEER_HAS_PSK)
			w.psk = *p;
		if ((*p)->endpoint.ip.family != WEFT_NONE)
			w.endpoint = *p;
		if ((*p)->has & WEFT_PEER_HAS_KEEPALIVE)
			w.keepalive = *p;
		w.allowed = *p;
	}
	return w;
}

static int compare_prefixes(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct weft_prefix)); /* all bytes, without gaps */
}

/* A peer's allowed IPs, in order, to be freed. NULL: no memory. */
static struct weft_prefix *sorted_prefixes(const struct weft_conf_peer *peer)
{
	struct weft_prefix *list = calloc(peer->n_allowed_ips + 1, sizeof(*list));

	for (size_t i = 0; list && i < peer->n_allowed_ips; i++)
		list[i] = peer->allowed_ips[i].prefix;
	if (list && peer->n_allowed_ips)
		qsort(list, peer->n_allowed_ips, sizeof(*list), compare_prefixes);
	return list;
}

/* Appends those of `a` that are not among the `n` of `sorted_b`, in their order. */
static int missing(const struct weft_conf_peer *a, const struct weft_prefix *sorted_b, size_t n,
		   bool remove, struct weft_conf_peer *ret)
{
	int rc = 0;

	for (size_t i = 0; i < a->n_allowed_ips && !rc; i++) {
		const struct weft_prefix *p = &a->allowed_ips[i].prefix;

		if (!n || !bsearch(p, sorted_b, n, sizeof(*p), compare_prefixes))
			rc = weft_conf_add_allowed_ip(ret, p, remove);
	}
	return rc;
}

static int diff_allowed_ips(const struct weft_conf_peer *is, const struct weft_conf_peer *wanted,
			    bool takes_away, struct weft_conf_peer *ret)
{
	struct weft_prefix *had = sorted_prefixes(is), *wants = sorted_prefixes(wanted);
	size_t n_new;
	int rc = had && wants ? 0 : -ENOMEM;

	if (!rc)
		rc = missing(wanted, had, is->n_allowed_ips, false, ret);
	n_new = ret->n_allowed_ips;
	if (!rc)
		rc = missing(is, wants, wanted->n_allowed_ips, true, ret);
	if (!rc && !takes_away && ret->n_allowed_ips > n_new) {
		ret->has |= WEFT_PEER_REPLACE_ALLOWED_IPS;
		ret->n_allowed_ips = 0;
		rc = missing(wanted, NULL, 0, false, ret);
	}
	free(had);
	free(wants);
	return rc;
}

static bool same_endpoint(const struct weft_conf_peer *a, const struct weft_conf_peer *b)
{
	char x[WEFT_CONF_ENDPOINT_LEN], y[WEFT_CONF_ENDPOINT_LEN];

	return strcmp(weft_conf_endpoint_text(a, x), weft_conf_endpoint_text(b, y)) == 0;
}

/* `is`: the peer as it is there, or one with nothing but the key. */
static int diff_peer(const struct weft_conf_peer *is, const struct wanted_peer *w, bool takes_away,
		     struct weft_conf_peer *ret)
{
	if (!weft_ct_equal(is->psk.b, w->psk->psk.b, WEFT_KEY_LEN)) {
		ret->has |= WEFT_PEER_HAS_PSK;
		ret->psk = w->psk->psk;
	}
	if (w->endpoint->endpoint.ip.family != WEFT_NONE && !same_endpoint(is, w->endpoint)) {
		ret->has |= WEFT_PEER_HAS_ENDPOINT;
		ret->endpoint = w->endpoint->endpoint;
		memcpy(ret->endpoint_zone, w->endpoint->endpoint_zone, sizeof(ret->endpoint_zone));
	}
	if (is->keepalive_s != w->keepalive->keepalive_s) {
		ret->has |= WEFT_PEER_HAS_KEEPALIVE;
		ret->keepalive_s = w->keepalive->keepalive_s;
	}
	return diff_allowed_ips(is, w->allowed, takes_away, ret);
}

/* Appends the change of one peer, if there is one. `old`: NULL, the peer is new. */
static int add_peer(const struct weft_conf_peer *old, const struct wanted_peer *w, bool takes_away,
		    struct weft_conf_device *ret)
{
	const struct weft_conf_peer none = {.has = 0};
	struct weft_conf_peer change = {.has = 0}, *p;
	int rc = diff_peer(old ? old : &none, w, takes_away, &change);

	if (!rc && (!old || change.has || change.n_allowed_ips)) {
		rc = weft_conf_add_peer(ret, &p);
		if (!rc) {
			*p = change;
			p->has |= old ? WEFT_PEER_UPDATE_ONLY : 0;
			memcpy(p->public_key, w->allowed->public_key, WEFT_KEY_LEN);
			weft_secret_clear(&change.psk);
			return 0;
		}
	}
	weft_conf_peer_clear(&change);
	return rc;
}

static int add_removal(const struct weft_conf_peer *old, struct weft_conf_device *ret)
{
	struct weft_conf_peer *p;
	int rc = weft_conf_add_peer(ret, &p);

	if (rc)
		return rc;
	memcpy(p->public_key, old->public_key, WEFT_KEY_LEN);
	p->has = WEFT_PEER_REMOVE;
	return 0;
}

/* Those that stay or are new first: an allowed IP that moves is never nobody's. */
static int diff_peers(const struct weft_conf_device *is, const struct weft_conf_device *wanted,
		      bool takes_away, struct weft_conf_device *ret)
{
	const struct weft_conf_peer **there = weft_host_sort_peers(is);
	const struct weft_conf_peer **wants = weft_host_sort_peers(wanted);
	size_t n = wanted->n_peers;
	int rc = there && wants ? 0 : -ENOMEM;

	for (size_t i = 0; i < n && !rc; i++) {
		const struct weft_conf_peer *p = &wanted->peers[i], *const * first, *const * old;
		struct wanted_peer w;

		first = weft_host_find_peer(wants, n, p->public_key);
		old = weft_host_find_peer(there, is->n_peers, p->public_key);
		if (!first || *first != p) /* a later section of the same peer */
			continue;
		w = gather(first, wants + n);
		rc = add_peer(old ? *old : NULL, &w, takes_away, ret);
	}
	for (size_t i = 0; i < is->n_peers && !rc; i++)
		if (!weft_host_find_peer(wants, n, is->peers[i].public_key))
			rc = add_removal(&is->peers[i], ret);
	free(there);
	free(wants);
	return rc;
}

/* As Curve25519 takes it, which is how a device shows it. RFC 7748, section 5. */
static struct weft_secret clamped(const struct weft_secret *key)
{
	struct weft_secret k = *key;

	if (!weft_ct_is_zero(k.b, WEFT_KEY_LEN)) {
		k.b[0] &= 248;
		k.b[31] = (uint8_t)((k.b[31] & 127) | 64);
	}
	return k;
}

static bool same_private_key(const struct weft_secret *a, const struct weft_secret *b)
{
	struct weft_secret x = clamped(a), y = clamped(b);
	bool same = weft_ct_equal(x.b, y.b, WEFT_KEY_LEN);

	weft_secret_clear(&x);
	weft_secret_clear(&y);
	return same;
}

int weft_host_diff_device(const struct weft_conf_device *is, const struct weft_conf_device *wanted,
			  bool takes_away, struct weft_conf_device *ret_change)
{
	bool fast = wanted->relay == WEFT_CONF_RELAY_FAST;

	if (!same_private_key(&is->private_key, &wanted->private_key)) {
		ret_change->has |= WEFT_DEVICE_HAS_PRIVATE_KEY;
		ret_change->private_key = wanted->private_key;
	}
	if (wanted->listen_port && is->listen_port != wanted->listen_port) {
		ret_change->has |= WEFT_DEVICE_HAS_LISTEN_PORT;
		ret_change->listen_port = wanted->listen_port;
	}
	if ((wanted->has & WEFT_DEVICE_HAS_RELAY) && (is->relay == WEFT_CONF_RELAY_FAST) != fast) {
		ret_change->has |= WEFT_DEVICE_HAS_RELAY;
		ret_change->relay = wanted->relay;
	}
	return diff_peers(is, wanted, takes_away, ret_change);
}

bool weft_host_device_is_empty(const struct weft_conf_device *change)
{
	return !change->has && !change->n_peers;
}

bool weft_host_plan_is_empty(const struct weft_host_plan *plan)
{
	return weft_host_device_is_empty(&plan->device) && !plan->changes.n;
}

void weft_host_plan_clear(struct weft_host_plan *plan)
{
	weft_conf_device_clear(&plan->device);
	weft_host_changes_clear(&plan->changes);
}
