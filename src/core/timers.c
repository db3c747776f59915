/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer's timers (WireGuard paper, sections 6.1 to 6.5; the rules are those of the kernel's
 * timers.c). Knows when things happen, and calls send.c to make them happen.
 *
 * RETRANSMIT     started by an initiation sent, 5 s and jitter; stopped by a session. Sends
 *                another, or gives up after 90 s: what waits is dropped, ZERO_KEYS is started.
 *                A cookie reply brings the next one forward, once per initiation of 5 s: see
 *                weft_timers_cookie_received.
 * KEEPALIVE      started by data received while not running, 10 s; stopped by anything sent.
 *                Sends an empty packet; once more if data came while it ran.
 * NEW_HANDSHAKE  started by data sent while not running, 15 s and jitter; stopped by anything
 *                received. Sends an initiation.
 * ZERO_KEYS      restarted by each session derived, 540 s. Wipes all keys.
 * PERSISTENT     restarted by anything sent or received, as configured. Sends an empty packet.
 * PATH           runs while the path's MTU is looked for, and after routes changed: see path.c.
 *
 * Workers start and stop KEEPALIVE and NEW_HANDSHAKE, and restart PERSISTENT, by storing times in
 * the peer. The wheel's timer is only a reminder to look at them: it may find that there is
 * nothing to do, or that it is too early. So no timer moves per packet.
 */
#include "core/peer.h"

static bool flag(const atomic_bool *f)
{
	return atomic_load_explicit(f, memory_order_relaxed);
}

static void set_flag(atomic_bool *f, bool v)
{
	atomic_store_explicit(f, v, memory_order_relaxed);
}

static bool is_up(const struct weft_device *dev)
{
	return flag(&dev->up);
}

static void start(struct weft_peer *peer, enum weft_timer_kind kind, uint64_t deadline_ns)
{
	if (is_up(peer->dev) && !peer->removed)
		weft_wheel_set(&peer->dev->wheel, &peer->timer[kind], deadline_ns);
}

static void stop(struct weft_peer *peer, enum weft_timer_kind kind)
{
	weft_wheel_cancel(&peer->dev->wheel, &peer->timer[kind]);
}

static uint64_t jitter(struct weft_device *dev)
{
	uint32_t r;

	dev->cb.random(dev->cb.ctx, &r, sizeof(r));
	return r % (WEFT_REKEY_JITTER_MAX_NS + 1);
}

void weft_timers_stop(struct weft_peer *peer)
{
	for (unsigned i = 0; i < WEFT_TIMER_COUNT; i++)
		stop(peer, i);
	set_flag(&peer->keepalive_armed, false);
	set_flag(&peer->new_handshake_armed, false);
	set_flag(&peer->another_keepalive, false);
	set_flag(&peer->lastminute_asked, false);
	weft_store64(&peer->data_sent_ns, 0);
	weft_store64(&peer->data_received_ns, 0);
	atomic_store_explicit(&peer->handshake_tries, 0, memory_order_relaxed);
	peer->hurry = false;
}

void weft_timers_any_sent(struct weft_peer *peer)
{
	weft_store64(&peer->data_received_ns, 0);
}

void weft_timers_any_received(struct weft_peer *peer, uint64_t now_ns)
{
	weft_store64(&peer->data_sent_ns, 0);
	weft_store64(&peer->received_ns, now_ns);
}

void weft_timers_any_traversal(struct weft_peer *peer, uint64_t now_ns)
{
	weft_store64(&peer->traversal_ns, now_ns);
}

void weft_timers_data_sent(struct weft_peer *peer, uint64_t now_ns)
{
	if (weft_load64(&peer->data_sent_ns))
		return;
	weft_store64(&peer->data_sent_ns, now_ns);
	weft_timers_arm_new_handshake(peer, now_ns);
}

void weft_timers_handshake_initiated(struct weft_peer *peer, uint64_t now_ns)
{
	start(peer, WEFT_TIMER_RETRANSMIT, now_ns + WEFT_REKEY_TIMEOUT_NS + jitter(peer->dev));
}

/*
 * Against the paper and the kernel, which wait 5 s before they use a cookie: a peer that is flooded
 * could then not be reached within 2 s. The early retry comes within a third of a second, spread
 * so that those who wait for one peer do not come together, and only once between two ordinary
 * initiations, so that cookies (which anyone on the path can forge) at most double what we send.
 */
void weft_timers_cookie_received(struct weft_peer *peer, uint64_t now_ns)
{
	if (!peer->may_hurry || peer->handshake.state != WEFT_HANDSHAKE_CREATED_INITIATION)
		return;
	peer->may_hurry = false;
	peer->hurry = true;
	start(peer, WEFT_TIMER_RETRANSMIT, now_ns + WEFT_INITIATION_GAP_NS + jitter(peer->dev));
}

void weft_timers_handshake_complete(struct weft_peer *peer)
{
	stop(peer, WEFT_TIMER_RETRANSMIT);
	peer->hurry = false;
	atomic_store_explicit(&peer->handshake_tries, 0, memory_order_relaxed);
	set_flag(&peer->lastminute_asked, false);
}

void weft_timers_session_derived(struct weft_peer *peer, uint64_t now_ns)
{
	start(peer, WEFT_TIMER_ZERO_KEYS, now_ns + WEFT_ZERO_KEYS_NS);
}

/*
 * Disarms or moves the reminder. The flag goes down before the time is looked at: a worker that
 * sets the time after that finds the flag down, and asks.
 */
static bool due(struct weft_peer *peer, enum weft_timer_kind kind, atomic_bool *armed,
		_Atomic uint64_t *since, uint64_t wait_ns, uint64_t jitter_ns, uint64_t now_ns)
{
	uint64_t t;

	atomic_store(armed, false);
	t = atomic_load(since);
	if (!t)
		return false;
	if (t + wait_ns <= now_ns)
		return true;
	atomic_store(armed, true);
	start(peer, kind, t + wait_ns + jitter_ns);
	return false;
}

static void arm(struct weft_peer *peer, enum weft_timer_kind kind, atomic_bool *armed,
		const _Atomic uint64_t *since, uint64_t wait_ns)
{
	uint64_t t = weft_load64(since);

	if (!is_up(peer->dev) || !t) {
		atomic_store(armed, false);
		return;
	}
	atomic_store(armed, true);
	if (!weft_timer_armed(&peer->timer[kind]))
		start(peer, kind, t + wait_ns);
}

void weft_timers_arm_keepalive(struct weft_peer *peer, uint64_t now_ns)
{
	(void)now_ns;
	arm(peer, WEFT_TIMER_KEEPALIVE, &peer->keepalive_armed, &peer->data_received_ns,
	    WEFT_KEEPALIVE_TIMEOUT_NS);
}

void weft_timers_arm_new_handshake(struct weft_peer *peer, uint64_t now_ns)
{
	(void)now_ns;
	arm(peer, WEFT_TIMER_NEW_HANDSHAKE, &peer->new_handshake_armed, &peer->data_sent_ns,
	    WEFT_NEW_HANDSHAKE_NS + jitter(peer->dev));
}

void weft_timers_persistent_changed(struct weft_peer *peer, uint64_t now_ns)
{
	uint64_t last = weft_load64(&peer->traversal_ns);
	uint64_t wait = peer->keepalive_s * WEFT_NS_PER_S;

	if (!peer->keepalive_s) {
		stop(peer, WEFT_TIMER_PERSISTENT);
		return;
	}
	start(peer, WEFT_TIMER_PERSISTENT,
	      last && last + wait > now_ns ? last + wait : now_ns + wait);
}

static void expired_retransmit(struct weft_peer *peer, uint64_t now_ns)
{
	uint32_t tries = atomic_load_explicit(&peer->handshake_tries, memory_order_relaxed);
	uint64_t last = weft_load64(&peer->handshake_sent_ns);

	if (peer->hurry) {
		weft_send_initiation(peer, true, now_ns);
		return;
	}
	if (tries > WEFT_MAX_HANDSHAKE_TRIES) {
		stop(peer, WEFT_TIMER_KEEPALIVE);
		weft_store64(&peer->data_received_ns, 0);
		atomic_store(&peer->keepalive_armed, false);
		weft_drop(peer->dev, WEFT_DROP_TX_HANDSHAKE_FAILED,
			  weft_stage_clear(&peer->dev->stage, &peer->staged));
		if (!weft_timer_armed(&peer->timer[WEFT_TIMER_ZERO_KEYS]))
			start(peer, WEFT_TIMER_ZERO_KEYS, now_ns + WEFT_ZERO_KEYS_NS);
		peer->failed++;
		peer->up = false;
		weft_peer_event(peer, WEFT_EVENT_PEER_SILENT);
		return;
	}
	/*
	 * A response was sent meanwhile, because both sides had begun at once: an initiation would
	 * be too early, and without another timer nothing would come after it (the kernel waits
	 * for the next packet to send then).
	 */
	if (last && now_ns < last + WEFT_REKEY_TIMEOUT_NS) {
		start(peer, WEFT_TIMER_RETRANSMIT,
		      last + WEFT_REKEY_TIMEOUT_NS + jitter(peer->dev));
		return;
	}
	atomic_store_explicit(&peer->handshake_tries, tries + 1, memory_order_relaxed);
	/* The source address may be the cause of the trouble. */
	weft_peer_clear_source(peer);
	weft_send_initiation(peer, true, now_ns);
}

static void expired_keepalive(struct weft_peer *peer, uint64_t now_ns)
{
	if (!due(peer, WEFT_TIMER_KEEPALIVE, &peer->keepalive_armed, &peer->data_received_ns,
		 WEFT_KEEPALIVE_TIMEOUT_NS, 0, now_ns))
		return;
	weft_store64(&peer->data_received_ns, 0);
	weft_send_keepalive(peer, now_ns);
	if (flag(&peer->another_keepalive)) {
		set_flag(&peer->another_keepalive, false);
		weft_store64(&peer->data_received_ns, now_ns);
		weft_timers_arm_keepalive(peer, now_ns);
	}
}

static void expired_new_handshake(struct weft_peer *peer, uint64_t now_ns)
{
	if (!due(peer, WEFT_TIMER_NEW_HANDSHAKE, &peer->new_handshake_armed, &peer->data_sent_ns,
		 WEFT_NEW_HANDSHAKE_NS, jitter(peer->dev), now_ns))
		return;
	weft_store64(&peer->data_sent_ns, 0);
	weft_peer_clear_source(peer);
	weft_path_suspect(peer);
	weft_send_initiation(peer, false, now_ns);
}

static void expired_zero_keys(struct weft_peer *peer)
{
	/* One under way is new, and is wiped when it ends or is given up. */
	if (!weft_timer_armed(&peer->timer[WEFT_TIMER_RETRANSMIT]))
		weft_peer_clear_handshake(peer);
	weft_sessions_clear(&peer->dev->env, &peer->sessions);
	weft_peer_rest(peer);
	peer->up = false;
	weft_peer_event(peer, WEFT_EVENT_KEYS_ZEROED);
}

static void expired_persistent(struct weft_peer *peer, uint64_t now_ns)
{
	uint64_t last = weft_load64(&peer->traversal_ns);
	uint64_t wait = peer->keepalive_s * WEFT_NS_PER_S;

	if (!peer->keepalive_s)
		return;
	if (!last || last + wait <= now_ns) {
		weft_send_keepalive(peer, now_ns);
		last = now_ns;
	}
	start(peer, WEFT_TIMER_PERSISTENT, last + wait);
}

void weft_timers_run(struct weft_device *dev, uint64_t now_ns)
{
	struct weft_timer *t;

	while ((t = weft_wheel_expire(&dev->wheel, now_ns))) {
		enum weft_timer_kind kind = (enum weft_timer_kind)t->tag;
		struct weft_peer *peer;

		if (kind == WEFT_TIMER_PATH) {
			weft_path_expired(t, now_ns);
			continue;
		}
		peer = (struct weft_peer *)(void *)((char *)(t - kind) -
						    offsetof(struct weft_peer, timer));
		switch (kind) {
		case WEFT_TIMER_RETRANSMIT:
			expired_retransmit(peer, now_ns);
			break;
		case WEFT_TIMER_KEEPALIVE:
			expired_keepalive(peer, now_ns);
			break;
		case WEFT_TIMER_NEW_HANDSHAKE:
			expired_new_handshake(peer, now_ns);
			break;
		case WEFT_TIMER_ZERO_KEYS:
			expired_zero_keys(peer);
			break;
		case WEFT_TIMER_PERSISTENT:
			expired_persistent(peer, now_ns);
			break;
		case WEFT_TIMER_COUNT:
			break;
		}
	}
}
