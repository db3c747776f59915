/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The UAPI's get and set against the core. A set is all or nothing: first everything that can fail
 * (memory, sockets, the mark), then what cannot. The order within a peer is the kernel's
 * (drivers/net/wireguard/netlink.c, set_peer).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"
#include "linux/privilege.h"

#define PEER_FIGURES 16

/* ---- get ---- */

static void extra(struct weft_conf_extras *e, const char *prefix, const char *name, uint64_t value)
{
	struct weft_conf_extra *x;

	if (e->n == e->cap)
		return;
	x = &e->v[e->n++];
	x->value = value;
	snprintf(x->name, sizeof(x->name), "%s%s", prefix, name);
}

static int get_device(struct weftd *d, struct weft_text *out)
{
	struct weft_conf_extra figures[WEFT_DROP_COUNT + 16];
	struct weft_conf_device conf = {
		.has = WEFT_DEVICE_HAS_LISTEN_PORT,
		.listen_port = d->listen_port,
		.fwmark = d->fwmark,
		.relay = atomic_load(&d->relay) ? WEFT_CONF_RELAY_FAST : WEFT_CONF_RELAY_OFF,
		.path_mtu = weft_device_probes_paths(d->dev) ? WEFT_CONF_PATH_MTU_PROBE
							     : WEFT_CONF_PATH_MTU_OFF,
		.version = WEFT_VERSION,
		.extras = {.v = figures, .cap = sizeof(figures) / sizeof(figures[0])},
	};
	struct weft_device_stats stats;
	int rc;

	if (d->has_key) {
		conf.has |= WEFT_DEVICE_HAS_PRIVATE_KEY;
		conf.private_key = d->keys->private_key;
	}
	if (d->fwmark)
		conf.has |= WEFT_DEVICE_HAS_FWMARK;
	weft_device_stats(d->dev, &stats);
	for (unsigned i = 0; i < WEFT_DROP_COUNT; i++)
		extra(&conf.extras, "drop_", weft_drop_name((enum weft_drop)i), stats.drops[i]);
	extra(&conf.extras, "", "cookies_sent", stats.cookies_sent);
	extra(&conf.extras, "", "under_load_ns", stats.under_load_ns);
	extra(&conf.extras, "", "staged_bytes", stats.staged_bytes);
	extra(&conf.extras, "", "relayed_pkts", stats.relayed_pkts);
	extra(&conf.extras, "", "relayed_bytes", stats.relayed_bytes);
	rc = weft_uapi_write_device(out, &conf);
	weft_secret_clear(&conf.private_key);
	return rc;
}

struct collect {
	struct weft_conf_peer *peer;
	int rc;
};

static void collect_allowed_ip(void *arg, const struct weft_prefix *prefix)
{
	struct collect *c = arg;

	if (!c->rc)
		c->rc = weft_conf_add_allowed_ip(c->peer, prefix, false);
}

static uint64_t age(uint64_t now_ns, uint64_t then_ns, uint64_t unit_ns)
{
	return now_ns > then_ns ? (now_ns - then_ns) / unit_ns : 0;
}

static void path_figures(struct weft_conf_extras *e, const struct weft_peer_info *info,
			 uint64_t now_ns)
{
	extra(e, "", "path_mtu_state", info->path_state);
	if (info->path_mtu)
		extra(e, "", "path_mtu", info->path_mtu);
	if (info->path_route_mtu)
		extra(e, "", "path_mtu_route", info->path_route_mtu);
	if (info->path_probes)
		extra(e, "", "path_mtu_probes", info->path_probes);
	if (info->path_since_ns)
		extra(e, "", "path_mtu_age_sec", age(now_ns, info->path_since_ns, WEFT_NS_PER_S));
}

/* `conf` keeps the memory of its allowed IPs from peer to peer. */
static int get_peer(struct weftd *d, struct weft_peer *peer, struct weft_conf_peer *conf,
		    uint64_t now_ns, struct weft_text *out)
{
	struct weft_conf_extra figures[PEER_FIGURES];
	struct weft_peer_info info;
	struct collect collect = {.peer = conf};
	int rc;

	weft_peer_info(d->dev, peer, &info);
	memcpy(conf->public_key, info.public_key, WEFT_KEY_LEN);
	conf->has = WEFT_PEER_HAS_PSK | WEFT_PEER_HAS_KEEPALIVE;
	conf->psk = info.psk;
	weft_secret_clear(&info.psk);
	if (info.endpoint.ip.family != WEFT_NONE)
		conf->has |= WEFT_PEER_HAS_ENDPOINT;
	conf->endpoint = info.endpoint;
	conf->keepalive_s = info.keepalive_s;
	conf->last_handshake_sec = info.last_handshake_sec;
	conf->last_handshake_nsec = info.last_handshake_nsec;
	conf->rx_bytes = info.rx_bytes;
	conf->tx_bytes = info.tx_bytes;
	conf->n_allowed_ips = 0;
	conf->extras = (struct weft_conf_extras){.v = figures, .cap = PEER_FIGURES};
	extra(&conf->extras, "", "handshakes_initiated", info.handshakes_initiated);
	extra(&conf->extras, "", "handshakes_answered", info.handshakes_answered);
	extra(&conf->extras, "", "handshakes_completed", info.handshakes_completed);
	extra(&conf->extras, "", "handshakes_failed", info.handshakes_failed);
	extra(&conf->extras, "", "handshakes_unanswered", info.handshakes_unanswered);
	extra(&conf->extras, "", "cookies_received", info.cookies_received);
	extra(&conf->extras, "", "endpoint_changes", info.endpoint_changes);
	if (info.endpoint_since_ns)
		extra(&conf->extras, "", "endpoint_age_sec",
		      age(now_ns, info.endpoint_since_ns, WEFT_NS_PER_S));
	if (info.last_received_ns)
		extra(&conf->extras, "", "last_received_age_ms",
		      age(now_ns, info.last_received_ns, WEFT_NS_PER_MS));
	if (info.up_since_ns)
		extra(&conf->extras, "", "up_age_sec",
		      age(now_ns, info.up_since_ns, WEFT_NS_PER_S));
	if (weft_device_probes_paths(d->dev))
		path_figures(&conf->extras, &info, now_ns);
	weft_peer_each_allowed(d->dev, peer, collect_allowed_ip, &collect);
	rc = collect.rc ? collect.rc : weft_uapi_write_peer(out, conf);
	conf->extras = (struct weft_conf_extras){.v = NULL};
	weft_secret_clear(&conf->psk);
	return rc;
}

int weftd_configure_get(void *ctx, struct weft_text *out)
{
	struct weftd *d = ctx;
	struct weft_conf_peer conf = {.has = 0};
	uint64_t now_ns = weftd_now_ns();
	int rc = get_device(d, out);

	for (struct weft_peer *p = NULL; !rc && (p = weft_peer_next(d->dev, p));)
		rc = get_peer(d, p, &conf, now_ns, out);
	weft_conf_peer_clear(&conf);
	return rc;
}

/* ---- set ---- */

/* An entry of the change, for looking them up by key. */
struct entry {
	const uint8_t *key;
	size_t index;
};

/* Everything that was made ready before the first change. */
struct plan {
	const struct weft_conf_device *change;
	struct weft_udp *udp;    /* new sockets, or NULL */
	struct weft_secret *key; /* the new private key, clamped; in memory for keys */
	uint8_t public_key[WEFT_KEY_LEN];
	struct entry *entries; /* with replace_peers: sorted by key, then index */
	size_t n_entries;
	struct weft_prefix *prefixes; /* scratch for replace_allowed_ips */
	size_t cap_prefixes, n_prefixes;
};

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int c = memcmp(x->key, y->key, WEFT_KEY_LEN);

	return c ? c : (x->index > y->index) - (x->index < y->index);
}

/* The first entry of the change with this key, or NULL. */
static const struct entry *find_entry(const struct plan *plan, const uint8_t *key)
{
	size_t lo = 0, hi = plan->n_entries;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (memcmp(plan->entries[mid].key, key, WEFT_KEY_LEN) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < plan->n_entries && memcmp(plan->entries[lo].key, key, WEFT_KEY_LEN) == 0)
		return &plan->entries[lo];
	return NULL;
}

/* Entries that make a peer exist: with replace_peers, peers without one go. */
static int plan_entries(struct plan *plan)
{
	const struct weft_conf_device *c = plan->change;

	if (!(c->has & WEFT_DEVICE_REPLACE_PEERS) || c->n_peers == 0)
		return 0;
	plan->entries = calloc(c->n_peers, sizeof(*plan->entries));
	if (!plan->entries)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_peers; i++) {
		if (c->peers[i].has & (WEFT_PEER_REMOVE | WEFT_PEER_UPDATE_ONLY))
			continue;
		plan->entries[plan->n_entries++] =
			(struct entry){.key = c->peers[i].public_key, .index = i};
	}
	qsort(plan->entries, plan->n_entries, sizeof(*plan->entries), compare_entries);
	return 0;
}

static int plan_memory(struct weftd *d, struct plan *plan)
{
	const struct weft_conf_device *c = plan->change;
	size_t new_peers = 0, new_ips = 0, most = 0;
	bool removes = false;
	int rc;

	for (size_t i = 0; i < c->n_peers; i++) {
		const struct weft_conf_peer *p = &c->peers[i];
		struct weft_peer *have = weft_peer_find(d->dev, p->public_key);

		if (p->has & WEFT_PEER_REMOVE) {
			removes = true;
			continue;
		}
		if (!have && (p->has & WEFT_PEER_UPDATE_ONLY))
			continue;
		/* a removed peer may come again further down, and its memory not be free by then */
		if (!have || removes)
			new_peers++;
		new_ips += p->n_allowed_ips;
		if (p->n_allowed_ips > most)
			most = p->n_allowed_ips;
	}
	rc = weft_device_reserve(d->dev, new_peers, new_ips);
	if (rc)
		return rc == WEFT_E_LIMIT ? -ENOSPC : rc;
	plan->cap_prefixes = most;
	/*
	 * Not a small piece: the allocator would keep that for the next one of its size, and all
	 * of a great change's small pieces below it would stay as well.
	 */
	plan->prefixes = calloc(most > 64 ? most : 64, sizeof(*plan->prefixes));
	return plan->prefixes ? plan_entries(plan) : -ENOMEM;
}

static int plan_key(struct weftd *d, struct plan *plan)
{
	if (!(plan->change->has & WEFT_DEVICE_HAS_PRIVATE_KEY))
		return 0;
	plan->key = weft_secmem_alloc(sizeof(*plan->key));
	if (!plan->key)
		return -ENOMEM;
	*plan->key = plan->change->private_key;
	if (weft_ct_is_zero(plan->key->b, WEFT_KEY_LEN))
		return 0;
	weft_x25519_clamp(plan->key);
	return weft_x25519_public(d->crypto, plan->public_key, plan->key) ? -EIO : 0;
}

/* New sockets or a new mark on the old ones: the last step that can fail. */
static int plan_sockets(struct weftd *d, struct plan *plan)
{
	const struct weft_conf_device *c = plan->change;
	uint32_t fwmark = c->has & WEFT_DEVICE_HAS_FWMARK ? c->fwmark : d->fwmark;
	bool new_port = (c->has & WEFT_DEVICE_HAS_LISTEN_PORT) &&
			(c->listen_port != d->listen_port || c->listen_port == 0 || !d->udp);
	int rc;

	if (new_port && d->link_up) {
		rc = weftd_sockets_open(d, c->listen_port, fwmark, &plan->udp);
		return rc == WEFT_E_LIMIT ? -EADDRINUSE : rc;
	}
	if (d->udp && fwmark != d->fwmark) {
		rc = weft_priv_udp_set_fwmark(d->udp, fwmark);
		if (rc && weft_priv_udp_set_fwmark(d->udp, d->fwmark))
			weftd_log(WEFTD_LOG_ERROR, "fwmark_failed", "reason", weft_strerror(rc),
				  NULL);
		return rc;
	}
	return 0;
}

static void plan_clear(struct plan *plan)
{
	weftd_sockets_free(plan->udp);
	if (plan->key)
		weft_secmem_free(plan->key, sizeof(*plan->key));
	free(plan->entries);
	free(plan->prefixes);
}

static int compare_prefixes(const void *a, const void *b)
{
	const struct weft_prefix *x = a, *y = b;

	if (x->ip.family != y->ip.family)
		return x->ip.family < y->ip.family ? -1 : 1;
	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return memcmp(x->ip.b, y->ip.b, sizeof(x->ip.b));
}

struct leftovers {
	const struct plan *plan;
	struct weft_prefix *v; /* prefixes that the peer has and must lose */
	size_t n, cap;
};

static void collect_leftover(void *arg, const struct weft_prefix *prefix)
{
	struct leftovers *l = arg;

	if (!bsearch(prefix, l->plan->prefixes, l->plan->n_prefixes, sizeof(*prefix),
		     compare_prefixes) &&
	    l->n < l->cap)
		l->v[l->n++] = *prefix;
}

/*
 * replace_allowed_ips: takes away what is not in the new list before the list is applied, so that
 * traffic to what stays never finds the prefix missing. Short of memory: all of them go and come.
 */
static void disallow_others(struct weftd *d, struct plan *plan, struct weft_peer *peer,
			    const struct weft_conf_peer *p)
{
	struct leftovers l = {.plan = plan, .cap = weft_peer_allowed_count(peer)};

	if (l.cap == 0)
		return;
	plan->n_prefixes = 0;
	for (size_t i = 0; i < p->n_allowed_ips && plan->n_prefixes < plan->cap_prefixes; i++) {
		struct weft_prefix *to = &plan->prefixes[plan->n_prefixes];

		if (p->allowed_ips[i].remove)
			continue;
		*to = p->allowed_ips[i].prefix;
		(void)weft_prefix_mask(to);
		plan->n_prefixes++;
	}
	if (plan->n_prefixes == 0) {
		weft_peer_clear_allowed(d->dev, peer);
		return;
	}
	qsort(plan->prefixes, plan->n_prefixes, sizeof(*plan->prefixes), compare_prefixes);
	l.v = calloc(l.cap, sizeof(*l.v));
	if (!l.v) {
		weft_peer_clear_allowed(d->dev, peer);
		return;
	}
	weft_peer_each_allowed(d->dev, peer, collect_leftover, &l);
	for (size_t i = 0; i < l.n; i++)
		weft_peer_disallow(d->dev, peer, &l.v[i]);
	free(l.v);
}

static int set_peer(struct weftd *d, struct plan *plan, size_t index, uint64_t now_ns)
{
	const struct weft_conf_peer *p = &plan->change->peers[index];
	struct weft_peer *peer = weft_peer_find(d->dev, p->public_key);
	/* with replace_peers the first entry of a key describes the peer anew, from defaults */
	const struct entry *first = find_entry(plan, p->public_key);
	bool anew = peer && first && first->index == index;
	int rc;

	if (p->has & WEFT_PEER_REMOVE) {
		if (peer)
			weft_peer_remove(d->dev, peer);
		return 0;
	}
	if (!peer) {
		if (p->has & WEFT_PEER_UPDATE_ONLY)
			return 0;
		rc = weft_peer_add(d->dev, p->public_key, &peer);
		if (rc == -EADDRNOTAVAIL) /* our own key: as if it was not there */
			return 0;
		if (rc)
			return rc;
	}
	if (anew || (p->has & WEFT_PEER_HAS_PSK))
		weft_peer_set_psk(d->dev, peer, &p->psk); /* zeros without the flag: none */
	if (p->has & WEFT_PEER_HAS_ENDPOINT)
		weft_peer_set_endpoint(d->dev, peer, &p->endpoint, now_ns);
	if (anew || (p->has & WEFT_PEER_REPLACE_ALLOWED_IPS))
		disallow_others(d, plan, peer, p);
	for (size_t i = 0; i < p->n_allowed_ips; i++) {
		if (p->allowed_ips[i].remove) {
			weft_peer_disallow(d->dev, peer, &p->allowed_ips[i].prefix);
			continue;
		}
		rc = weft_peer_allow(d->dev, peer, &p->allowed_ips[i].prefix);
		if (rc)
			return rc;
	}
	if (anew || (p->has & WEFT_PEER_HAS_KEEPALIVE))
		weft_peer_set_keepalive(d->dev, peer, p->keepalive_s, now_ns);
	return 0;
}

static void remove_others(struct weftd *d, const struct plan *plan)
{
	struct weft_peer *p = weft_peer_next(d->dev, NULL), *next;

	for (; p; p = next) {
		next = weft_peer_next(d->dev, p);
		if (!find_entry(plan, weft_peer_public_key(p)))
			weft_peer_remove(d->dev, p);
	}
}

/*
 * Whoever gives key, port, mark and all peers describes the interface whole (setconf, wg's too):
 * what is not said is as the daemon was started. Everybody else changes what they name.
 */
static void commit_relay(struct weftd *d, const struct weft_conf_device *c)
{
	const unsigned whole = WEFT_DEVICE_REPLACE_PEERS | WEFT_DEVICE_HAS_PRIVATE_KEY |
			       WEFT_DEVICE_HAS_LISTEN_PORT | WEFT_DEVICE_HAS_FWMARK;
	bool named = (c->has & WEFT_DEVICE_HAS_RELAY) && c->relay != WEFT_CONF_RELAY_DEFAULT;

	if (named)
		atomic_store(&d->relay, c->relay == WEFT_CONF_RELAY_FAST);
	else if ((c->has & WEFT_DEVICE_HAS_RELAY) || (c->has & whole) == whole)
		atomic_store(&d->relay, d->opt.relay);
}

static void commit_device(struct weftd *d, struct plan *plan, uint64_t now_ns)
{
	const struct weft_conf_device *c = plan->change;

	if ((c->has & WEFT_DEVICE_HAS_FWMARK) && c->fwmark != d->fwmark) {
		d->fwmark = c->fwmark;
		weftd_routes_forget(d);
		weftd_sources_check(d, now_ns);
	}
	commit_relay(d, c);
	if (c->has & WEFT_DEVICE_HAS_PATH_MTU)
		weft_device_probe_paths(d->dev, c->path_mtu == WEFT_CONF_PATH_MTU_PROBE, now_ns);
	if (c->has & WEFT_DEVICE_HAS_LISTEN_PORT)
		d->listen_port = plan->udp ? plan->udp->port : c->listen_port;
	if (plan->udp) {
		weftd_sockets_swap(d, plan->udp);
		plan->udp = NULL;
		(void)!weftd_go_up(d, now_ns); /* if it was waiting for sockets */
	}
	if (plan->key) {
		d->keys->private_key = *plan->key;
		d->has_key = !weft_ct_is_zero(plan->key->b, WEFT_KEY_LEN);
		memcpy(d->public_key, plan->public_key, WEFT_KEY_LEN);
		weft_device_set_static(d->dev, d->has_key ? d->public_key : NULL, now_ns);
	}
}

static int commit(struct weftd *d, struct plan *plan)
{
	const struct weft_conf_device *c = plan->change;
	uint64_t now_ns = weftd_now_ns();
	int rc = 0;

	commit_device(d, plan, now_ns);
	if (c->has & WEFT_DEVICE_REPLACE_PEERS)
		remove_others(d, plan);
	for (size_t i = 0; i < c->n_peers && !rc; i++)
		rc = set_peer(d, plan, i, now_ns);
	if (rc) /* the memory was reserved: a bug, not a state to go on in silently */
		weftd_log(WEFTD_LOG_ERROR, "set_failed_midway", "reason", weft_strerror(rc), NULL);
	weftd_endpoints_changed(d);
	/* removed peers' keys must not stay in the workers' library contexts */
	weftd_workers_forget(d);
	return rc;
}

int weftd_configure_set(void *ctx, const struct weft_conf_device *change)
{
	struct weftd *d = ctx;
	struct plan plan = {.change = change};
	int rc = plan_memory(d, &plan);

	if (!rc)
		rc = plan_key(d, &plan);
	if (!rc)
		rc = plan_sockets(d, &plan);
	if (!rc)
		rc = commit(d, &plan);
	plan_clear(&plan);
	return rc <= -1000 ? -EIO : rc;
}
