/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device: its making and end, up and down, its static key, and the owner's round of work. It
 * decides when; what is done lies in send.c, receive.c and timers.c.
 */
#include "core/peer.h"

#include <errno.h>

#define RECLAIM_POLL_NS WEFT_NS_PER_MS /* while something waits for a worker to leave */

static bool params_ok(const struct weft_device_params *p)
{
	size_t q = p->handshake_queue_pkts;

	return p->max_workers >= 1 && p->max_workers <= WEFT_EPOCH_MAX_WORKERS && q >= 16 &&
	       q <= 65536 && (q & (q - 1)) == 0;
}

static int init_tables(struct weft_device *dev)
{
	uint8_t key[WEFT_SIPHASH_KEY_LEN];
	int r;

	dev->rng.fill(dev->rng.ctx, key, sizeof(key));
	r = weft_table_init(&dev->peers, &dev->mem, &dev->epoch, WEFT_KEY_LEN, key);
	if (r == 0) {
		dev->rng.fill(dev->rng.ctx, key, sizeof(key));
		r = weft_table_init(&dev->indices, &dev->mem, &dev->epoch, sizeof(uint32_t), key);
	}
	if (r == 0) {
		dev->rng.fill(dev->rng.ctx, key, sizeof(key));
		r = weft_ratelimit_init(&dev->ratelimit, &dev->mem, key,
					dev->params.ratelimit_entries);
	}
	dev->rng.fill(dev->rng.ctx, key, sizeof(key));
	weft_suspects_init(&dev->suspects, key);
	weft_wipe(key, sizeof(key));
	return r;
}

static int init_buffers(struct weft_device *dev)
{
	size_t cells = dev->params.handshake_queue_pkts;

	dev->scratch = dev->mem.alloc(dev->mem.ctx, WEFT_SCRATCH_LEN);
	dev->queue_mem_size = weft_ring_mem_size(cells, sizeof(struct weft_queued));
	if (!dev->scratch || !dev->queue_mem_size)
		return -ENOMEM;
	dev->queue_mem = dev->mem.alloc(dev->mem.ctx, dev->queue_mem_size);
	if (!dev->queue_mem)
		return -ENOMEM;
	return weft_ring_init(&dev->queue, dev->queue_mem, cells, sizeof(struct weft_queued));
}

size_t weft_device_packet_bytes(const struct weft_device_params *params)
{
	return weft_ring_mem_size(params->handshake_queue_pkts, sizeof(struct weft_queued)) +
	       params->stage_bytes;
}

int weft_device_new(const struct weft_device_params *params, const struct weft_callbacks *cb,
		    struct weft_device **ret_dev)
{
	struct weft_device *dev;
	int r;

	if (!params_ok(params))
		return -EINVAL;
	dev = cb->alloc(cb->ctx, sizeof(*dev));
	if (!dev)
		return -ENOMEM;
	dev->self = dev;
	dev->cb = *cb;
	dev->params = *params;
	dev->mem = (struct weft_mem){.ctx = cb->ctx, .alloc = cb->alloc, .free = cb->free};
	dev->rng = (struct weft_rng){.ctx = cb->ctx, .fill = cb->random};
	dev->now_ns = 1;
	dev->env = (struct weft_keypair_env){
		.mem = dev->mem, .epoch = &dev->epoch, .indices = &dev->indices};
	weft_epoch_init(&dev->epoch, params->max_workers, &dev->env);
	weft_allowedips_init(&dev->allowed, &dev->mem, &dev->epoch);
	weft_cookie_checker_init(&dev->checker, &dev->rng);
	weft_wheel_init(&dev->wheel, 0);
	if ((r = weft_crypto_new(&dev->crypto)) < 0 ||
	    (r = weft_noise_init(&dev->noise, dev->crypto, cb->static_dh, cb->ctx)) < 0 ||
	    (r = init_tables(dev)) < 0 ||
	    (r = weft_stage_init(&dev->stage, &dev->mem, params->stage_bytes)) < 0 ||
	    (r = init_buffers(dev)) < 0) {
		weft_device_free(dev);
		return r;
	}
	*ret_dev = dev;
	return 0;
}

/* What workers asked for, peer by peer. */
static void answer(struct weft_peer *peer, uint64_t now_ns)
{
	struct weft_device *dev = peer->dev;
	uint32_t asks = atomic_exchange(&peer->asks, 0);
	struct weft_keypair *old;

	if (peer->removed)
		return;
	/* Whether up or down, or else the worker's flag would stay. */
	if (asks & WEFT_ASK_KEEPALIVE)
		weft_timers_arm_keepalive(peer, now_ns);
	if (asks & WEFT_ASK_NEW_HANDSHAKE)
		weft_timers_arm_new_handshake(peer, now_ns);
	if (!atomic_load_explicit(&dev->up, memory_order_relaxed))
		return;
	if (asks & WEFT_ASK_ENDPOINT)
		weft_peer_moved(peer, now_ns);
	old = atomic_load_explicit(&peer->sessions.current, memory_order_relaxed);
	if ((asks & WEFT_ASK_CONFIRMED) && weft_sessions_promote(&dev->env, &peer->sessions)) {
		weft_session_confirmed(peer, old && now_ns < old->born_ns + WEFT_REJECT_AFTER_NS,
				       now_ns);
		asks |= WEFT_ASK_STAGED;
	}
	if (asks & WEFT_ASK_PATH)
		weft_path_answered(peer, now_ns);
	if (asks & WEFT_ASK_HANDSHAKE)
		weft_send_initiation(peer, false, now_ns);
	if (asks & WEFT_ASK_STAGED)
		weft_send_staged(peer, now_ns);
}

static void answer_all(struct weft_device *dev, uint64_t now_ns)
{
	struct weft_peer *peer = atomic_exchange(&dev->asks, NULL), *next;

	for (; peer; peer = next) {
		next = atomic_load_explicit(&peer->asks_next, memory_order_relaxed);
		answer(peer, now_ns);
	}
}

void weft_device_free(struct weft_device *dev)
{
	if (!dev)
		return;
	atomic_store(&dev->up, false);
	answer_all(dev, dev->now_ns);
	for (unsigned i = 0; i < WEFT_EPOCH_MAX_WORKERS; i++)
		weft_worker_free(dev->workers[i]);
	while (dev->first)
		weft_peer_remove(dev, dev->first);
	while (dev->spare) {
		struct weft_peer *peer = dev->spare;

		dev->spare = peer->succ;
		dev->mem.free(dev->mem.ctx, peer, sizeof(*peer));
	}
	weft_table_fini(&dev->peers);
	weft_table_fini(&dev->indices);
	weft_allowedips_fini(&dev->allowed);
	weft_epoch_fini(&dev->epoch);
	weft_ratelimit_fini(&dev->ratelimit);
	weft_stage_fini(&dev->stage);
	weft_cookie_checker_fini(&dev->checker);
	weft_crypto_free(dev->crypto);
	if (dev->scratch)
		dev->mem.free(dev->mem.ctx, dev->scratch, WEFT_SCRATCH_LEN);
	if (dev->queue_mem)
		dev->mem.free(dev->mem.ctx, dev->queue_mem, dev->queue_mem_size);
	dev->mem.free(dev->mem.ctx, dev, sizeof(*dev));
}

/* ---- up and down ---- */

bool weft_device_is_up(const struct weft_device *dev)
{
	return atomic_load_explicit(&dev->up, memory_order_relaxed);
}

void weft_device_up(struct weft_device *dev, uint64_t now_ns)
{
	now_ns = dev->now_ns = weft_now(now_ns);
	if (weft_device_is_up(dev))
		return;
	atomic_store(&dev->up, true);
	for (struct weft_peer *peer = dev->first; peer; peer = peer->succ) {
		weft_send_staged(peer, now_ns);
		if (peer->keepalive_s) {
			weft_send_keepalive(peer, now_ns);
			weft_timers_persistent_changed(peer, now_ns);
		}
	}
}

void weft_device_down(struct weft_device *dev, uint64_t now_ns)
{
	dev->now_ns = weft_now(now_ns);
	if (!weft_device_is_up(dev))
		return;
	atomic_store(&dev->up, false);
	answer_all(dev, dev->now_ns);
	while (weft_ring_front(&dev->queue)) {
		weft_ring_pop(&dev->queue);
		weft_drop(dev, WEFT_DROP_RX_DOWN, 1);
	}
	for (struct weft_peer *peer = dev->first; peer; peer = peer->succ)
		weft_peer_stop(peer, WEFT_DROP_TX_DOWN);
	(void)weft_epoch_reclaim(&dev->epoch);
	weft_crypto_forget(dev->crypto);
}

/* ---- configuration ---- */

void weft_device_set_static(struct weft_device *dev, const uint8_t *public_key, uint64_t now_ns)
{
	struct weft_peer *self;

	dev->now_ns = weft_now(now_ns);
	if (public_key ? dev->noise.has_static &&
				 memcmp(dev->noise.public_key, public_key, WEFT_KEY_LEN) == 0
		       : !dev->noise.has_static)
		return;
	self = public_key ? weft_table_find(&dev->peers, public_key) : NULL;
	if (self)
		weft_peer_remove(dev, self);
	if (weft_cookie_checker_set_key(&dev->checker, dev->crypto, public_key) < 0)
		public_key = NULL;
	weft_noise_set_static(&dev->noise, public_key);
	for (struct weft_peer *peer = dev->first; peer; peer = peer->succ) {
		weft_peer_clear_handshake(peer);
		weft_handshake_forget_static(&peer->handshake);
		weft_store64(&peer->handshake_sent_ns, 0);
		weft_sessions_expire(&peer->sessions);
	}
	weft_crypto_forget(dev->crypto);
}

void weft_device_set_mtu(struct weft_device *dev, uint32_t mtu)
{
	atomic_store_explicit(&dev->mtu, mtu, memory_order_relaxed);
}

/* ---- the owner's round ---- */

bool weft_device_run(struct weft_device *dev, uint64_t now_ns, unsigned max_handshakes)
{
	struct weft_queued *q;

	now_ns = dev->now_ns = weft_now(now_ns);
	/* First: whoever leaves something from here on calls again. */
	atomic_store(&dev->woken, false);
	weft_outbox_open(dev);
	answer_all(dev, now_ns);
	for (unsigned i = 0; i < max_handshakes; i++) {
		q = weft_ring_front(&dev->queue);
		if (!q)
			break;
		weft_receive_handshake(dev, q, now_ns);
		weft_wipe(q, sizeof(*q));
		weft_ring_pop(&dev->queue);
	}
	weft_paths_run(dev, now_ns);
	weft_timers_run(dev, now_ns);
	weft_outbox_close(dev); /* before anything is freed */
	(void)weft_update_load(dev, now_ns);
	(void)weft_epoch_reclaim(&dev->epoch);
	if (weft_ring_front(&dev->queue))
		return true;
	/* The contexts of the library keep the last keys: not beyond the work that needs them. */
	weft_crypto_forget(dev->crypto);
	return false;
}

size_t weft_device_handshakes_waiting(const struct weft_device *dev)
{
	return weft_ring_count(&dev->queue);
}

uint64_t weft_device_next_ns(const struct weft_device *dev)
{
	uint64_t next = weft_wheel_next_ns(&dev->wheel);
	uint64_t t = weft_paths_next_ns(dev);

	next = t < next ? t : next;
	if (weft_epoch_waiting(&dev->epoch)) {
		t = dev->now_ns + RECLAIM_POLL_NS;
		next = t < next ? t : next;
	}
	if (dev->under_load) {
		t = dev->load_last_ns + WEFT_LOAD_HOLD_NS;
		next = t < next ? t : next;
	}
	return next;
}

/* ---- counters ---- */

void weft_device_stats(const struct weft_device *dev, struct weft_device_stats *ret_stats)
{
	memset(ret_stats, 0, sizeof(*ret_stats));
	for (unsigned i = 0; i < WEFT_DROP_COUNT; i++)
		ret_stats->drops[i] = weft_load64(&dev->drops[i]);
	ret_stats->relayed_pkts = weft_load64(&dev->relayed_pkts);
	ret_stats->relayed_bytes = weft_load64(&dev->relayed_bytes);
	for (unsigned w = 0; w < WEFT_EPOCH_MAX_WORKERS; w++) {
		if (!dev->workers[w])
			continue;
		for (unsigned i = 0; i < WEFT_DROP_COUNT; i++)
			ret_stats->drops[i] += weft_load64(&dev->workers[w]->drops[i]);
		ret_stats->relayed_pkts += weft_load64(&dev->workers[w]->relayed_pkts);
		ret_stats->relayed_bytes += weft_load64(&dev->workers[w]->relayed_bytes);
	}
	ret_stats->cookies_sent = dev->cookies_sent;
	ret_stats->under_load_ns = dev->load_total_ns;
	if (dev->under_load && dev->now_ns > dev->load_since_ns)
		ret_stats->under_load_ns += dev->now_ns - dev->load_since_ns;
	ret_stats->staged_pkts = weft_stage_pkts(&dev->stage);
	ret_stats->staged_bytes = weft_stage_bytes(&dev->self->stage);
	ret_stats->peers = dev->peer_count;
	ret_stats->handshakes_queued = weft_device_handshakes_waiting(dev);
}
