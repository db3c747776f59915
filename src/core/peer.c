/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peers: their birth, configuration, endpoint and end. All functions are the owner's, but for
 * weft_peer_ask. What setting a thing means for a running session is as in the kernel (netlink.c).
 */
#include "core/peer.h"

#include <errno.h>

/* ---- small things ---- */

void weft_device_wake(struct weft_device *dev)
{
	if (!atomic_exchange(&dev->woken, true))
		dev->cb.wake(dev->cb.ctx);
}

void weft_peer_ask(struct weft_peer *peer, uint32_t what)
{
	struct weft_device *dev = peer->dev;
	struct weft_peer *head;

	if (atomic_fetch_or(&peer->asks, what))
		return; /* on the list, or about to be: whoever puts it there wakes the owner */
	head = atomic_load_explicit(&dev->asks, memory_order_relaxed);
	do {
		atomic_store_explicit(&peer->asks_next, head, memory_order_relaxed);
	} while (!atomic_compare_exchange_weak(&dev->asks, &head, peer));
	weft_device_wake(dev);
}

void weft_peer_event(struct weft_peer *peer, enum weft_event_type type)
{
	struct weft_device *dev = peer->dev;
	struct weft_event event = {.type = type, .peer = peer};

	if (!dev->cb.event || peer->removed)
		return;
	weft_shared_endpoint_get(&peer->endpoint, &event.endpoint, NULL);
	dev->cb.event(dev->cb.ctx, &event);
}

void weft_peer_clear_handshake(struct weft_peer *peer)
{
	if (peer->has_handshake_index)
		(void)weft_index_remove(&peer->dev->indices, peer->handshake_index);
	peer->has_handshake_index = false;
	weft_handshake_clear(&peer->handshake);
}

int weft_peer_activate(struct weft_peer *peer)
{
	struct weft_device *dev = peer->dev;
	struct weft_active *active = peer->active;
	int r;

	if (active)
		return 0;
	active = dev->mem.alloc(dev->mem.ctx, sizeof(*active));
	if (!active)
		return -ENOMEM;
	r = weft_cookie_peer_init(&active->cookie, dev->crypto, peer->handshake.remote_static);
	if (r < 0) {
		dev->mem.free(dev->mem.ctx, active, sizeof(*active));
		return r;
	}
	peer->active = active;
	peer->handshake.run = &active->run;
	return 0;
}

void weft_peer_rest(struct weft_peer *peer)
{
	struct weft_device *dev = peer->dev;
	const struct weft_sessions *s = &peer->sessions;

	if (!peer->active || peer->handshake.state != WEFT_HANDSHAKE_NONE ||
	    weft_timer_armed(&peer->timer[WEFT_TIMER_RETRANSMIT]) || s->previous ||
	    atomic_load_explicit(&s->current, memory_order_relaxed) ||
	    atomic_load_explicit(&s->next, memory_order_relaxed))
		return;
	peer->handshake.run = NULL;
	dev->mem.free(dev->mem.ctx, peer->active, sizeof(*peer->active));
	peer->active = NULL;
}

/* ---- birth and end ---- */

int weft_device_reserve(struct weft_device *dev, size_t peers, size_t allowed_ips)
{
	int r;

	if (peers > WEFT_MAX_PEERS - dev->peer_count)
		return WEFT_E_LIMIT;
	if ((r = weft_table_reserve(&dev->peers, peers)) < 0 ||
	    (r = weft_allowedips_reserve(&dev->allowed, allowed_ips)) < 0)
		return r;
	while (dev->spare_count < peers) {
		struct weft_peer *peer = dev->mem.alloc(dev->mem.ctx, sizeof(*peer));

		if (!peer)
			return -ENOMEM;
		peer->succ = dev->spare;
		dev->spare = peer;
		dev->spare_count++;
	}
	return 0;
}

struct weft_peer *weft_peer_find(struct weft_device *dev, const uint8_t public_key[WEFT_KEY_LEN])
{
	return weft_table_find(&dev->peers, public_key);
}

struct weft_peer *weft_peer_of_set(struct weft_allowed_set *set)
{
	if (!set)
		return NULL;
	return (struct weft_peer *)(void *)((char *)set - offsetof(struct weft_peer, allowed));
}

struct weft_peer *weft_peer_by_allowed_ip(struct weft_device *dev, const struct weft_ip *ip)
{
	return weft_peer_of_set(weft_allowedips_lookup(&dev->allowed, ip));
}

static void init_peer(struct weft_device *dev, struct weft_peer *peer,
		      const uint8_t public_key[WEFT_KEY_LEN])
{
	peer->succ = NULL;
	peer->dev = dev;
	atomic_flag_clear(&peer->endpoint.writing);
	weft_handshake_init(&peer->handshake, public_key);
	peer->handshake_entry.peer = peer;
	/* It may have been here before, and the wall clock been set back since. */
	peer->sent_timestamp_sec = dev->removed_timestamp_sec;
	peer->sent_timestamp_nsec = dev->removed_timestamp_nsec;
	for (unsigned i = 0; i < WEFT_TIMER_COUNT; i++)
		peer->timer[i].tag = (uint8_t)i;
}

static struct weft_peer *take_memory(struct weft_device *dev)
{
	struct weft_peer *peer = dev->spare;

	if (!peer)
		return dev->mem.alloc(dev->mem.ctx, sizeof(*peer));
	dev->spare = peer->succ;
	dev->spare_count--;
	return peer;
}

int weft_peer_add(struct weft_device *dev, const uint8_t public_key[WEFT_KEY_LEN],
		  struct weft_peer **ret_peer)
{
	struct weft_peer *peer;
	int r;

	if (dev->noise.has_static && memcmp(dev->noise.public_key, public_key, WEFT_KEY_LEN) == 0)
		return -EADDRNOTAVAIL;
	if (weft_table_find(&dev->peers, public_key))
		return -EEXIST;
	if (dev->peer_count >= WEFT_MAX_PEERS)
		return WEFT_E_LIMIT;
	peer = take_memory(dev);
	if (!peer)
		return -ENOMEM;
	init_peer(dev, peer, public_key);
	r = weft_table_insert(&dev->peers, public_key, peer);
	if (r < 0) {
		dev->mem.free(dev->mem.ctx, peer, sizeof(*peer));
		return r;
	}
	peer->prev = dev->last;
	if (dev->last)
		dev->last->succ = peer;
	else
		dev->first = peer;
	dev->last = peer;
	dev->peer_count++;
	*ret_peer = peer;
	return 0;
}

void weft_peer_stop(struct weft_peer *peer, enum weft_drop staged_reason)
{
	struct weft_device *dev = peer->dev;

	weft_drop(dev, staged_reason, weft_stage_clear(&dev->stage, &peer->staged));
	weft_timers_stop(peer);
	weft_path_stop(peer, false);
	weft_peer_clear_handshake(peer);
	weft_sessions_clear(&dev->env, &peer->sessions);
	weft_store64(&peer->handshake_sent_ns, 0);
	peer->up = false;
	weft_peer_rest(peer);
}

void weft_peer_destroy(struct weft_peer *peer)
{
	struct weft_device *dev = peer->dev;

	/* A worker may have staged a packet after the queue was cleared. */
	weft_drop(dev, WEFT_DROP_TX_NO_PEER, weft_stage_clear(&dev->stage, &peer->staged));
	weft_path_free(peer);
	dev->mem.free(dev->mem.ctx, peer, sizeof(*peer));
}

static void reclaim_peer(void *ctx, struct weft_retired *node)
{
	struct weft_peer *peer =
		(struct weft_peer *)(void *)((char *)node - offsetof(struct weft_peer, retired));

	(void)ctx;
	/* Still on the list of those who ask: the next run takes it off. */
	if (atomic_load(&peer->asks))
		weft_epoch_retire(&peer->dev->epoch, &peer->retired, reclaim_peer);
	else
		weft_peer_destroy(peer);
}

void weft_peer_remove(struct weft_device *dev, struct weft_peer *peer)
{
	(void)weft_table_remove(&dev->peers, peer->handshake.remote_static);
	weft_allowedips_clear(&dev->allowed, &peer->allowed);
	weft_paths_peer_goes(dev, peer);
	if (peer->prev)
		peer->prev->succ = peer->succ;
	else
		dev->first = peer->succ;
	if (peer->succ)
		peer->succ->prev = peer->prev;
	else
		dev->last = peer->prev;
	dev->peer_count--;

	weft_peer_stop(peer, WEFT_DROP_TX_NO_PEER);
	peer->removed = true;
	if (peer->sent_timestamp_sec > dev->removed_timestamp_sec ||
	    (peer->sent_timestamp_sec == dev->removed_timestamp_sec &&
	     peer->sent_timestamp_nsec > dev->removed_timestamp_nsec)) {
		dev->removed_timestamp_sec = peer->sent_timestamp_sec;
		dev->removed_timestamp_nsec = peer->sent_timestamp_nsec;
	}
	weft_wipe(&peer->handshake, sizeof(peer->handshake));
	weft_epoch_retire(&dev->epoch, &peer->retired, reclaim_peer);
	(void)weft_epoch_reclaim(&dev->epoch);
	weft_crypto_forget(dev->crypto);
}

/* ---- configuration ---- */

void weft_peer_set_psk(struct weft_device *dev, struct weft_peer *peer,
		       const struct weft_secret *psk)
{
	(void)dev;
	peer->handshake.psk = *psk;
}

void weft_peer_set_endpoint(struct weft_device *dev, struct weft_peer *peer,
			    const struct weft_endpoint *endpoint, uint64_t now_ns)
{
	struct weft_endpoint old, e = {.ip.family = WEFT_NONE};

	now_ns = dev->now_ns = weft_now(now_ns);
	weft_shared_endpoint_get(&peer->endpoint, &old, NULL);
	if (endpoint->ip.family != WEFT_NONE) {
		e.ip = endpoint->ip;
		e.port = endpoint->port;
		e.scope_id = endpoint->scope_id;
	}
	weft_shared_endpoint_set(&peer->endpoint, &e);
	if (!weft_endpoint_same_remote(&old, &e)) {
		peer->endpoint_since_s = weft_since(now_ns);
		weft_path_moved(peer, now_ns);
	}
	weft_send_staged(peer, now_ns);
}

void weft_peer_clear_source(struct weft_peer *peer)
{
	weft_shared_endpoint_clear_source(&peer->endpoint);
}

void weft_peer_adopt_endpoint(struct weft_peer *peer, const struct weft_endpoint *known,
			      const struct weft_endpoint *from)
{
	const struct weft_callbacks *cb = &peer->dev->cb;
	struct weft_endpoint e = *from;

	if (cb->source_allowed && !cb->source_allowed(cb->ctx, from)) {
		memset(&e.local, 0, sizeof(e.local));
		e.local_ifindex = 0;
	}
	if (!weft_endpoint_equal(known, &e))
		weft_shared_endpoint_set(&peer->endpoint, &e);
}

void weft_peer_heard_from(struct weft_peer *peer, const struct weft_endpoint *from, uint64_t now_ns)
{
	struct weft_device *dev = peer->dev;
	struct weft_endpoint old;

	weft_shared_endpoint_get(&peer->endpoint, &old, NULL);
	if (weft_endpoint_equal(&old, from))
		return;
	if (weft_endpoint_same_remote(&old, from)) {
		weft_peer_adopt_endpoint(peer, &old, from);
		return;
	}
	if (dev->cb.endpoint_allowed && !dev->cb.endpoint_allowed(dev->cb.ctx, peer, from)) {
		weft_drop(dev, WEFT_DROP_RX_SELF_ROUTED, 1);
		return;
	}
	weft_peer_adopt_endpoint(peer, &old, from);
	if (old.ip.family != WEFT_NONE)
		weft_peer_moved(peer, now_ns);
	else
		peer->endpoint_since_s = weft_since(now_ns);
}

void weft_peer_moved(struct weft_peer *peer, uint64_t now_ns)
{
	peer->endpoint_since_s = weft_since(now_ns);
	peer->endpoint_changes++;
	weft_path_moved(peer, now_ns);
	weft_peer_event(peer, WEFT_EVENT_ENDPOINT_MOVED);
}

void weft_peer_endpoint(const struct weft_peer *peer, struct weft_endpoint *ret_endpoint)
{
	weft_shared_endpoint_get(&peer->endpoint, ret_endpoint, NULL);
}

void weft_peer_set_keepalive(struct weft_device *dev, struct weft_peer *peer, uint16_t seconds,
			     uint64_t now_ns)
{
	bool first = !peer->keepalive_s && seconds && weft_device_is_up(dev);
	bool changed = peer->keepalive_s != seconds;

	now_ns = dev->now_ns = weft_now(now_ns);
	peer->keepalive_s = seconds;
	if (first)
		weft_send_keepalive(peer, now_ns);
	if (changed)
		weft_timers_persistent_changed(peer, now_ns);
}

int weft_peer_allow(struct weft_device *dev, struct weft_peer *peer,
		    const struct weft_prefix *prefix)
{
	return weft_allowedips_insert(&dev->allowed, prefix, &peer->allowed);
}

void weft_peer_disallow(struct weft_device *dev, struct weft_peer *peer,
			const struct weft_prefix *prefix)
{
	(void)weft_allowedips_remove(&dev->allowed, prefix, &peer->allowed);
}

void weft_peer_clear_allowed(struct weft_device *dev, struct weft_peer *peer)
{
	weft_allowedips_clear(&dev->allowed, &peer->allowed);
}

/* ---- reading ---- */

struct weft_peer *weft_peer_next(struct weft_device *dev, const struct weft_peer *after)
{
	return after ? after->succ : dev->first;
}

static void path_info(const struct weft_peer *peer, struct weft_peer_info *info)
{
	const struct weft_path *p = atomic_load_explicit(&peer->path, memory_order_relaxed);

	if (!p)
		return;
	info->path_state = (enum weft_path_state)p->state;
	info->path_mtu = p->path;
	info->path_route_mtu = p->route;
	info->path_since_ns = p->since_ns;
	info->path_probes = p->probes;
}

void weft_peer_info(const struct weft_device *dev, const struct weft_peer *peer,
		    struct weft_peer_info *ret_info)
{
	(void)dev;
	memset(ret_info, 0, sizeof(*ret_info));
	memcpy(ret_info->public_key, peer->handshake.remote_static, WEFT_KEY_LEN);
	ret_info->psk = peer->handshake.psk;
	weft_shared_endpoint_get(&peer->endpoint, &ret_info->endpoint, NULL);
	ret_info->endpoint_since_ns = (uint64_t)peer->endpoint_since_s * WEFT_NS_PER_S;
	ret_info->last_handshake_sec = peer->last_handshake_sec;
	ret_info->last_handshake_nsec = peer->last_handshake_nsec;
	ret_info->up_since_ns = peer->up ? (uint64_t)peer->up_since_s * WEFT_NS_PER_S : 0;
	ret_info->last_received_ns = weft_load64(&peer->received_ns);
	ret_info->tx_bytes = weft_load64(&peer->tx_bytes);
	ret_info->rx_bytes = weft_load64(&peer->rx_bytes);
	ret_info->keepalive_s = peer->keepalive_s;
	ret_info->handshakes_initiated = peer->initiated;
	ret_info->handshakes_answered = peer->answered;
	ret_info->handshakes_completed = peer->completed;
	ret_info->handshakes_failed = peer->failed;
	ret_info->handshakes_unanswered = weft_peer_is_answered(peer) ? 0 : peer->unanswered;
	ret_info->cookies_received = peer->cookies;
	ret_info->endpoint_changes = peer->endpoint_changes;
	path_info(peer, ret_info);
}

const uint8_t *weft_peer_public_key(const struct weft_peer *peer)
{
	return peer->handshake.remote_static;
}

void weft_peer_each_allowed(const struct weft_device *dev, const struct weft_peer *peer,
			    void (*fn)(void *arg, const struct weft_prefix *prefix), void *arg)
{
	/* The set may be sorted on the way: the peer is only const to the caller. */
	struct weft_peer *p = weft_table_find(&dev->peers, peer->handshake.remote_static);

	if (p)
		weft_allowedips_each(&p->allowed, fn, arg);
}

size_t weft_peer_allowed_count(const struct weft_peer *peer)
{
	return peer->allowed.count;
}
