/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the owner sends: handshake messages, cookie replies, keepalives, and packets that waited.
 * WireGuard paper, sections 5.4 and 6.4; the order of the steps is the kernel's send.c.
 */
#include "core/inner.h"
#include "core/peer.h"

/* A datagram went out, or not: `r` is what the callback returned. */
static int sent(struct weft_device *dev, struct weft_peer *peer, size_t len, int r)
{
	if (r < 0) {
		if (r != WEFT_E_DROP)
			weft_drop(dev, WEFT_DROP_TX_SOCKET, 1);
		return WEFT_E_DROP;
	}
	if (!peer) {
		dev->cookies_sent++;
		return 0;
	}
	if (r > 0)
		weft_peer_clear_source(peer);
	atomic_fetch_add_explicit(&peer->tx_bytes, len, memory_order_relaxed);
	return 0;
}

/*
 * `peer` NULL: a cookie reply. Transport data does not wait: workers would overtake its counter.
 */
static int send_or_keep(struct weft_device *dev, struct weft_peer *peer,
			const struct weft_endpoint *to, uint8_t tos, const uint8_t *pkt, size_t len)
{
	struct weft_outbox *o = &dev->outbox;

	if (!o->open || weft_message_type(pkt, len) == WEFT_MSG_DATA ||
	    len > sizeof(o->item[0].pkt))
		return sent(dev, peer, len, dev->cb.send(dev->cb.ctx, to, tos, pkt, len));
	if (o->n == WEFT_OUTBOX_PKTS)
		weft_outbox_flush(dev);
	o->item[o->n].peer = peer;
	o->item[o->n].to = *to;
	o->item[o->n].tos = tos;
	o->item[o->n].len = (uint16_t)len;
	memcpy(o->item[o->n].pkt, pkt, len);
	o->n++;
	return 0;
}

void weft_outbox_open(struct weft_device *dev)
{
	dev->outbox.open = dev->cb.send_many != NULL;
}

void weft_outbox_flush(struct weft_device *dev)
{
	struct weft_datagram d[WEFT_OUTBOX_PKTS];
	struct weft_outbox *o = &dev->outbox;

	if (!o->n)
		return;
	for (unsigned i = 0; i < o->n; i++)
		d[i] = (struct weft_datagram){.to = &o->item[i].to,
					      .pkt = o->item[i].pkt,
					      .len = o->item[i].len,
					      .tos = o->item[i].tos};
	dev->cb.send_many(dev->cb.ctx, d, o->n);
	for (unsigned i = 0; i < o->n; i++)
		(void)sent(dev, o->item[i].peer, d[i].len, d[i].result);
	o->n = 0;
}

void weft_outbox_close(struct weft_device *dev)
{
	weft_outbox_flush(dev);
	dev->outbox.open = false;
}

int weft_send_datagram(struct weft_peer *peer, uint8_t tos, const uint8_t *pkt, size_t len)
{
	struct weft_device *dev = peer->dev;
	struct weft_endpoint to;

	weft_shared_endpoint_get(&peer->endpoint, &to, NULL);
	if (to.ip.family == WEFT_NONE) {
		weft_drop(dev, WEFT_DROP_TX_NO_ENDPOINT, 1);
		return WEFT_E_DROP;
	}
	if (dev->cb.endpoint_allowed && !dev->cb.endpoint_allowed(dev->cb.ctx, peer, &to)) {
		weft_drop(dev, WEFT_DROP_TX_LOOP, 1);
		return WEFT_E_DROP;
	}
	return send_or_keep(dev, peer, &to, tos, pkt, len);
}

/* TAI64N that grows with each initiation to this peer, even if the wall clock goes back. */
static void next_timestamp(struct weft_peer *peer, uint8_t out[WEFT_TIMESTAMP_LEN])
{
	const uint32_t step = WEFT_TIMESTAMP_STEP_NS;
	struct weft_device *dev = peer->dev;
	uint64_t sec;
	uint32_t nsec;

	dev->cb.wall_time(dev->cb.ctx, &sec, &nsec);
	nsec &= ~(step - 1);
	if (sec < peer->sent_timestamp_sec ||
	    (sec == peer->sent_timestamp_sec && nsec <= peer->sent_timestamp_nsec)) {
		sec = peer->sent_timestamp_sec;
		nsec = peer->sent_timestamp_nsec + step;
		if (nsec >= WEFT_NS_PER_S) {
			sec++;
			nsec = 0;
		}
	}
	peer->sent_timestamp_sec = sec;
	peer->sent_timestamp_nsec = nsec;
	weft_noise_timestamp(out, sec, nsec);
}

static void new_ephemeral(struct weft_device *dev, struct weft_secret *ret_secret)
{
	dev->cb.random(dev->cb.ctx, ret_secret->b, sizeof(ret_secret->b));
	weft_x25519_clamp(ret_secret);
}

/* A fresh index for the handshake, the old one gone. 0, -ENOMEM or WEFT_E_LIMIT. */
static int new_index(struct weft_peer *peer)
{
	struct weft_device *dev = peer->dev;
	int r;

	if (peer->has_handshake_index)
		(void)weft_index_remove(&dev->indices, peer->handshake_index);
	peer->has_handshake_index = false;
	r = weft_index_insert(&dev->indices, &dev->rng, &peer->handshake_entry,
			      &peer->handshake_index);
	peer->has_handshake_index = r == 0;
	return r;
}

static void handshake_goes_out(struct weft_peer *peer, const uint8_t *pkt, size_t len,
			       uint64_t now_ns)
{
	weft_timers_any_traversal(peer, now_ns);
	weft_timers_any_sent(peer);
	(void)weft_send_datagram(peer, WEFT_TOS_HANDSHAKE, pkt, len);
}

void weft_send_initiation(struct weft_peer *peer, bool retry, uint64_t now_ns)
{
	struct weft_device *dev = peer->dev;
	uint64_t last = weft_load64(&peer->handshake_sent_ns);
	uint8_t pkt[WEFT_MSG_INITIATION_LEN], timestamp[WEFT_TIMESTAMP_LEN];
	uint16_t unanswered = weft_peer_is_answered(peer) ? 0 : peer->unanswered;
	struct weft_secret ephemeral;
	int r;

	if (!retry)
		atomic_store_explicit(&peer->handshake_tries, 0, memory_order_relaxed);
	if (!atomic_load_explicit(&dev->up, memory_order_relaxed) || peer->removed ||
	    (last && now_ns < last + WEFT_REKEY_TIMEOUT_NS && !(retry && peer->hurry)))
		return;
	peer->may_hurry = !peer->hurry;
	peer->hurry = false;
	weft_store64(&peer->handshake_sent_ns, now_ns);
	if (!dev->noise.has_static || weft_peer_activate(peer) < 0 || new_index(peer) < 0)
		return;
	new_ephemeral(dev, &ephemeral);
	next_timestamp(peer, timestamp);
	r = weft_noise_create_initiation(&dev->noise, &peer->handshake, &ephemeral, timestamp,
					 peer->handshake_index, pkt);
	weft_secret_clear(&ephemeral);
	if (r == 0)
		r = weft_cookie_add_macs(&peer->active->cookie, dev->crypto, pkt, sizeof(pkt),
					 now_ns);
	if (r < 0) {
		weft_peer_clear_handshake(peer);
		if (r == WEFT_E_CRYPTO)
			weft_drop(dev, WEFT_DROP_TX_CRYPTO, 1);
		return;
	}
	peer->initiated++;
	if (unanswered < UINT16_MAX)
		unanswered++;
	peer->unanswered = unanswered;
	handshake_goes_out(peer, pkt, sizeof(pkt), now_ns);
	weft_timers_handshake_initiated(peer, now_ns);
}

void weft_send_response(struct weft_peer *peer, uint64_t now_ns)
{
	struct weft_device *dev = peer->dev;
	uint8_t pkt[WEFT_MSG_RESPONSE_LEN];
	struct weft_secret ephemeral;
	struct weft_noise_keys keys;
	struct weft_keypair *slot;
	int r;

	peer->unanswered = 0;
	weft_store64(&peer->handshake_sent_ns, now_ns);
	if (weft_sessions_prepare(&dev->env, &peer->sessions, &slot) < 0 || new_index(peer) < 0) {
		weft_drop(dev, WEFT_DROP_RX_NO_KEYPAIR, 1);
		weft_peer_clear_handshake(peer);
		return;
	}
	new_ephemeral(dev, &ephemeral);
	r = weft_noise_create_response(&dev->noise, &peer->handshake, &ephemeral,
				       peer->handshake_index, pkt);
	weft_secret_clear(&ephemeral);
	if (r == 0)
		r = weft_cookie_add_macs(&peer->active->cookie, dev->crypto, pkt, sizeof(pkt),
					 now_ns);
	if (r == 0)
		r = weft_noise_begin_session(&dev->noise, &peer->handshake, &keys);
	if (r < 0) {
		weft_peer_clear_handshake(peer);
		weft_drop(dev, WEFT_DROP_RX_HANDSHAKE, 1);
		return;
	}
	weft_sessions_begin(&dev->env, &peer->sessions, slot, peer, &keys, peer->handshake_index,
			    now_ns);
	peer->has_handshake_index = false;
	weft_wipe(&keys, sizeof(keys));
	peer->answered++;
	weft_timers_session_derived(peer, now_ns);
	handshake_goes_out(peer, pkt, sizeof(pkt), now_ns);
}

void weft_send_cookie(struct weft_device *dev, const struct weft_queued *q, uint32_t receiver,
		      uint64_t now_ns)
{
	uint8_t pkt[WEFT_COOKIE_REPLY_LEN];
	int r;

	weft_drop(dev, WEFT_DROP_RX_COOKIE_SENT, 1);
	r = weft_cookie_reply(&dev->checker, dev->crypto, q->pkt, q->len, receiver, &q->from,
			      now_ns, pkt);
	if (r < 0) {
		weft_drop(dev, WEFT_DROP_TX_CRYPTO, 1);
		return;
	}
	(void)send_or_keep(dev, NULL, &q->from, WEFT_TOS_HANDSHAKE, pkt, sizeof(pkt));
}

static struct weft_keypair *usable(struct weft_peer *peer, uint64_t now_ns)
{
	struct weft_keypair *kp =
		atomic_load_explicit(&peer->sessions.current, memory_order_relaxed);

	return weft_keypair_can_send(kp, now_ns) ? kp : NULL;
}

/* Seals the inner packet at scratch + 16 and sends it. 0, or what weft_keypair_seal returns. */
static int send_data(struct weft_peer *peer, struct weft_keypair *kp, size_t inner_len,
		     uint64_t now_ns)
{
	struct weft_device *dev = peer->dev;
	uint32_t mtu = atomic_load_explicit(&dev->mtu, memory_order_relaxed);
	size_t padded = weft_padded_len(inner_len, mtu);
	struct weft_inner inner;
	uint8_t tos = 0;
	int r;

	if (inner_len &&
	    weft_inner_parse(dev->scratch + WEFT_DATA_HEADER_LEN, inner_len, &inner) == 0)
		tos = weft_ecn_encap(inner.ecn);
	r = weft_keypair_seal(kp, dev->crypto, dev->scratch, inner_len, padded);
	if (r < 0)
		return r;
	weft_timers_any_traversal(peer, now_ns);
	weft_timers_any_sent(peer);
	if (weft_send_datagram(peer, tos, dev->scratch, padded + WEFT_DATA_OVERHEAD) == 0 &&
	    inner_len)
		weft_timers_data_sent(peer, now_ns);
	return 0;
}

static void keep_fresh(struct weft_peer *peer, const struct weft_keypair *kp, uint64_t now_ns)
{
	if (weft_load64(&kp->send_counter) > WEFT_REKEY_AFTER_MESSAGES ||
	    (kp->initiator && now_ns >= kp->born_ns + WEFT_REKEY_AFTER_NS))
		weft_send_initiation(peer, false, now_ns);
}

void weft_send_staged(struct weft_peer *peer, uint64_t now_ns)
{
	struct weft_device *dev = peer->dev;
	struct weft_keypair *kp = usable(peer, now_ns);
	size_t len;
	int r;

	if (!weft_stage_queued(&peer->staged) ||
	    !atomic_load_explicit(&dev->up, memory_order_relaxed))
		return;
	if (!kp) {
		weft_send_initiation(peer, false, now_ns);
		return;
	}
	while ((len = weft_stage_pop(&dev->stage, &peer->staged,
				     dev->scratch + WEFT_DATA_HEADER_LEN))) {
		r = send_data(peer, kp, len, now_ns);
		if (r == WEFT_E_NO_SESSION) {
			weft_drop(dev, WEFT_DROP_TX_EXPIRED, 1);
			weft_send_initiation(peer, false, now_ns);
			return;
		}
		if (r < 0)
			weft_drop(dev, WEFT_DROP_TX_CRYPTO, 1);
	}
	keep_fresh(peer, kp, now_ns);
}

void weft_send_keepalive(struct weft_peer *peer, uint64_t now_ns)
{
	struct weft_keypair *kp = usable(peer, now_ns);

	if (weft_stage_queued(&peer->staged)) {
		weft_send_staged(peer, now_ns);
		return;
	}
	if (!atomic_load_explicit(&peer->dev->up, memory_order_relaxed))
		return;
	if (!kp || send_data(peer, kp, 0, now_ns) == WEFT_E_NO_SESSION)
		weft_send_initiation(peer, false, now_ns);
	else
		keep_fresh(peer, kp, now_ns);
}
