/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the owner receives: handshake messages and cookie replies out of the queue, their form and
 * mac1 checked by the workers. WireGuard paper, sections 5.3 and 5.4; the order of the checks is
 * the kernel's receive.c.
 */
#include "core/peer.h"
#include "util/cursor.h"

static void device_event(struct weft_device *dev, enum weft_event_type type)
{
	struct weft_event event = {.type = type};

	if (dev->cb.event)
		dev->cb.event(dev->cb.ctx, &event);
}

bool weft_update_load(struct weft_device *dev, uint64_t now_ns)
{
	size_t eighth = dev->params.handshake_queue_pkts / 8;

	if (weft_ring_count(&dev->queue) >= (eighth < WEFT_LOAD_PKTS ? eighth : WEFT_LOAD_PKTS)) {
		dev->load_last_ns = now_ns;
		if (!dev->under_load) {
			dev->under_load = true;
			dev->load_since_ns = now_ns;
			device_event(dev, WEFT_EVENT_UNDER_LOAD_BEGIN);
		}
	} else if (dev->under_load && now_ns >= dev->load_last_ns + WEFT_LOAD_HOLD_NS) {
		dev->under_load = false;
		dev->load_total_ns += now_ns - dev->load_since_ns;
		device_event(dev, WEFT_EVENT_UNDER_LOAD_END);
	}
	return dev->under_load;
}

static void receive_cookie(struct weft_device *dev, const struct weft_queued *q, uint64_t now_ns)
{
	struct weft_index_entry *entry = weft_index_find(&dev->indices, weft_get_le32(q->pkt + 4));

	/* A cookie reply does not authenticate where it came from: no roaming, no timers. */
	if (!entry) {
		weft_drop(dev, WEFT_DROP_RX_NO_INDEX, 1);
		return;
	}
	if (!entry->peer->active || weft_cookie_consume(&entry->peer->active->cookie, dev->crypto,
							q->pkt, q->len, now_ns) < 0) {
		weft_drop(dev, WEFT_DROP_RX_COOKIE, 1);
		return;
	}
	entry->peer->cookies++;
	if (!entry->keypair)
		weft_timers_cookie_received(entry->peer, now_ns);
}

void weft_session_confirmed(struct weft_peer *peer, bool renewed, uint64_t now_ns)
{
	struct weft_device *dev = peer->dev;
	bool follows = renewed && peer->up; /* the session before it */

	weft_timers_handshake_complete(peer);
	dev->cb.wall_time(dev->cb.ctx, &peer->last_handshake_sec, &peer->last_handshake_nsec);
	peer->completed++;
	weft_peer_event(peer, follows ? WEFT_EVENT_PEER_REKEYED : WEFT_EVENT_PEER_UP);
	if (!follows)
		peer->up_since_s = weft_since(now_ns);
	peer->up = true;
	weft_path_session(peer, now_ns);
}

static void authenticated(struct weft_peer *peer, const struct weft_queued *q, uint64_t now_ns)
{
	atomic_fetch_add_explicit(&peer->rx_bytes, q->len, memory_order_relaxed);
	weft_timers_any_received(peer, now_ns);
	weft_timers_any_traversal(peer, now_ns);
}

/*
 * An initiation of ours that awaits its response, while we answer one of theirs. Both sides often
 * begin at once; if each forgot its own, neither response would count, and where the way there and
 * back takes longer than the jitter of retries, they could meet again and again. So while there is
 * no session, both handshakes go on. While there is one, a later try does, as in the kernel: two
 * new sessions at once would leave no slot for what is still on its way under the old one.
 */
struct own_initiation {
	struct weft_handshake_run run;
	uint32_t index;
	bool some;
};

static void set_aside(struct weft_peer *peer, struct own_initiation *own, uint64_t now_ns)
{
	const struct weft_keypair *current =
		atomic_load_explicit(&peer->sessions.current, memory_order_relaxed);

	own->some = peer->has_handshake_index && !weft_keypair_can_send(current, now_ns) &&
		    peer->handshake.state == WEFT_HANDSHAKE_CREATED_INITIATION;
	if (!own->some)
		return;
	own->run = *peer->handshake.run;
	own->index = peer->handshake_index;
	peer->has_handshake_index = false; /* so that it stays in the table */
}

static void put_back(struct weft_peer *peer, struct own_initiation *own)
{
	struct weft_handshake *hs = &peer->handshake;

	if (own->some) {
		hs->run->ephemeral = own->run.ephemeral;
		hs->run->chain = own->run.chain;
		memcpy(hs->run->hash, own->run.hash, sizeof(own->run.hash));
		hs->state = WEFT_HANDSHAKE_CREATED_INITIATION;
		peer->handshake_index = own->index;
		peer->has_handshake_index = true;
	}
	weft_wipe(own, sizeof(*own));
}

static void receive_initiation(struct weft_device *dev, const struct weft_queued *q,
			       uint64_t now_ns)
{
	struct weft_noise_incoming in;
	struct own_initiation own;
	enum weft_drop reason;
	struct weft_peer *peer;

	if (weft_noise_open_initiation(&dev->noise, q->pkt, q->len, &in) < 0) {
		weft_suspects_note(&dev->suspects, &q->from, now_ns);
		weft_drop(dev, WEFT_DROP_RX_HANDSHAKE, 1);
		return;
	}
	peer = weft_table_find(&dev->peers, in.remote_static);
	if (!peer) {
		weft_wipe(&in, sizeof(in));
		weft_suspects_note(&dev->suspects, &q->from, now_ns);
		weft_drop(dev, WEFT_DROP_RX_UNKNOWN_PEER, 1);
		return;
	}
	if (weft_peer_activate(peer) < 0) {
		weft_wipe(&in, sizeof(in));
		weft_drop(dev, WEFT_DROP_RX_NO_KEYPAIR, 1);
		return;
	}
	set_aside(peer, &own, now_ns);
	if (weft_noise_accept_initiation(&dev->noise, &peer->handshake, &in, now_ns, &reason) < 0) {
		put_back(peer, &own);
		weft_peer_rest(peer); /* anyone who knows a public key can get this far */
		weft_suspects_note(&dev->suspects, &q->from, now_ns);
		weft_drop(dev, reason, 1);
		return;
	}
	weft_peer_heard_from(peer, &q->from, now_ns);
	weft_send_response(peer, now_ns);
	put_back(peer, &own);
	authenticated(peer, q, now_ns);
}

static void receive_response(struct weft_device *dev, const struct weft_queued *q, uint64_t now_ns)
{
	struct weft_index_entry *entry = weft_index_find(&dev->indices, weft_get_le32(q->pkt + 8));
	struct weft_noise_keys keys;
	struct weft_keypair *old, *slot;
	struct weft_peer *peer;
	bool renewed;

	if (!entry || entry->keypair) {
		weft_drop(dev, WEFT_DROP_RX_NO_INDEX, 1);
		return;
	}
	peer = entry->peer;
	if (weft_sessions_prepare(&dev->env, &peer->sessions, &slot) < 0) {
		weft_drop(dev, WEFT_DROP_RX_NO_KEYPAIR, 1);
		return;
	}
	if (weft_noise_consume_response(&dev->noise, &peer->handshake, q->pkt, q->len) < 0) {
		weft_suspects_note(&dev->suspects, &q->from, now_ns);
		weft_drop(dev, WEFT_DROP_RX_HANDSHAKE, 1);
		return;
	}
	weft_peer_heard_from(peer, &q->from, now_ns);
	if (weft_noise_begin_session(&dev->noise, &peer->handshake, &keys) < 0) {
		weft_peer_clear_handshake(peer);
		weft_drop(dev, WEFT_DROP_RX_HANDSHAKE, 1);
		return;
	}
	old = atomic_load_explicit(&peer->sessions.current, memory_order_relaxed);
	renewed = old && now_ns < old->born_ns + WEFT_REJECT_AFTER_NS;
	weft_sessions_begin(&dev->env, &peer->sessions, slot, peer, &keys, peer->handshake_index,
			    now_ns);
	peer->has_handshake_index = false;
	weft_wipe(&keys, sizeof(keys));
	weft_timers_session_derived(peer, now_ns);
	weft_session_confirmed(peer, renewed, now_ns);
	/* What waits, or an empty packet: either confirms the session to the responder at once. */
	weft_send_keepalive(peer, now_ns);
	authenticated(peer, q, now_ns);
}

void weft_receive_handshake(struct weft_device *dev, const struct weft_queued *q, uint64_t now_ns)
{
	unsigned type = weft_message_type(q->pkt, q->len);
	bool loaded = weft_update_load(dev, now_ns);

	if (!atomic_load_explicit(&dev->up, memory_order_relaxed)) {
		weft_drop(dev, WEFT_DROP_RX_DOWN, 1);
		return;
	}
	if (type == WEFT_MSG_COOKIE) {
		receive_cookie(dev, q, now_ns);
		return;
	}
	if (loaded || weft_suspects_has(&dev->suspects, &q->from, now_ns)) {
		if (weft_cookie_check_mac2(&dev->checker, dev->crypto, q->pkt, q->len, &q->from,
					   now_ns) < 0) {
			if (!loaded)
				weft_suspects_note(&dev->suspects, &q->from, now_ns);
			weft_send_cookie(dev, q, weft_get_le32(q->pkt + 4), now_ns);
			return;
		}
		if (!weft_ratelimit_allow(&dev->ratelimit, &q->from.ip, now_ns)) {
			weft_drop(dev, WEFT_DROP_RX_RATELIMIT, 1);
			return;
		}
	}
	if (type == WEFT_MSG_INITIATION)
		receive_initiation(dev, q, now_ns);
	else if (type == WEFT_MSG_RESPONSE)
		receive_response(dev, q, now_ns);
}
