/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data path: what workers do beside the owner (WireGuard paper, sections 5.4.6, 6.1, 6.2 and
 * 6.5). Reads peers and keypairs without a lock; what it cannot do itself, it asks the owner for.
 */
#include <errno.h>

#include "core/inner.h"
#include "core/peer.h"
#include "util/cursor.h"

static bool is_set(const atomic_bool *f)
{
	return atomic_load_explicit(f, memory_order_relaxed);
}

static bool is_up(const struct weft_worker *w)
{
	return is_set(&w->dev->up);
}

int weft_worker_new(struct weft_device *dev, struct weft_worker **ret_w)
{
	struct weft_worker *w;
	unsigned slot = 0;
	int r;

	while (slot < dev->params.max_workers && dev->workers[slot])
		slot++;
	if (slot == dev->params.max_workers)
		return WEFT_E_LIMIT;
	w = dev->mem.alloc(dev->mem.ctx, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->dev = dev;
	w->slot = slot;
	r = weft_crypto_new(&w->crypto);
	if (r < 0) {
		dev->mem.free(dev->mem.ctx, w, sizeof(*w));
		return r;
	}
	dev->workers[slot] = w;
	*ret_w = w;
	return 0;
}

void weft_worker_free(struct weft_worker *w)
{
	struct weft_device *dev;

	if (!w)
		return;
	dev = w->dev;
	for (unsigned i = 0; i < WEFT_DROP_COUNT; i++)
		weft_drop(dev, i, weft_load64(&w->drops[i]));
	atomic_fetch_add_explicit(&dev->relayed_pkts, weft_load64(&w->relayed_pkts),
				  memory_order_relaxed);
	atomic_fetch_add_explicit(&dev->relayed_bytes, weft_load64(&w->relayed_bytes),
				  memory_order_relaxed);
	dev->workers[w->slot] = NULL;
	weft_crypto_free(w->crypto);
	dev->mem.free(dev->mem.ctx, w, sizeof(*w));
}

void weft_worker_count_drop(struct weft_worker *w, enum weft_drop reason, uint64_t n)
{
	/* One writer: no read-modify-write is needed. */
	atomic_store_explicit(&w->drops[reason], weft_load64(&w->drops[reason]) + n,
			      memory_order_relaxed);
}

void weft_worker_count_relayed(struct weft_worker *w, size_t len)
{
	atomic_store_explicit(&w->relayed_pkts, weft_load64(&w->relayed_pkts) + 1,
			      memory_order_relaxed);
	atomic_store_explicit(&w->relayed_bytes, weft_load64(&w->relayed_bytes) + len,
			      memory_order_relaxed);
}

static int dropped(struct weft_worker *w, enum weft_drop reason)
{
	weft_worker_count_drop(w, reason, 1);
	return WEFT_E_DROP;
}

static void flush_rx(struct weft_worker *w)
{
	if (w->rx_peer && w->rx_bytes)
		atomic_fetch_add_explicit(&w->rx_peer->rx_bytes, w->rx_bytes, memory_order_relaxed);
	w->rx_bytes = 0;
	w->rx_peer = NULL;
	w->rx_seq_known = false;
}

void weft_worker_enter(struct weft_worker *w, uint64_t now_ns)
{
	w->now_ns = weft_now(now_ns);
	weft_epoch_enter(&w->dev->epoch, w->slot);
}

void weft_worker_leave(struct weft_worker *w)
{
	flush_rx(w);
	w->rx_entry = NULL;
	weft_epoch_leave(&w->dev->epoch, w->slot);
}

void weft_worker_idle(struct weft_worker *w)
{
	weft_crypto_forget(w->crypto);
}

/*
 * Notes the time of the first packet since the other direction was last used, and makes sure that
 * a timer looks at it. True if it was not the first.
 */
static bool note_first(struct weft_worker *w, struct weft_peer *peer, _Atomic uint64_t *since,
		       atomic_bool *armed, enum weft_ask ask)
{
	if (weft_load64(since))
		return true;
	atomic_store(since, w->now_ns);
	if (!atomic_exchange(armed, true))
		weft_peer_ask(peer, ask);
	return false;
}

/* An initiation would be held back by the one that was sent last. */
static bool handshake_is_recent(const struct weft_worker *w, const struct weft_peer *peer)
{
	uint64_t sent = weft_load64(&peer->handshake_sent_ns);

	return sent && w->now_ns < sent + WEFT_REKEY_TIMEOUT_NS;
}

static void ask_handshake(struct weft_worker *w, struct weft_peer *peer)
{
	/* It is traffic that wants it: the 90 s of trying begin anew. */
	if (atomic_load_explicit(&peer->handshake_tries, memory_order_relaxed))
		atomic_store_explicit(&peer->handshake_tries, 0, memory_order_relaxed);
	if (!handshake_is_recent(w, peer))
		weft_peer_ask(peer, WEFT_ASK_HANDSHAKE);
}

/* ---- out ---- */

/*
 * A next keypair that is confirmed is as good as current, though the owner has not yet moved it:
 * an other side that started anew knows no older one, and this may be the answer to its first
 * packet. Looked at first, or else it could slip into the current one's place between.
 */
static struct weft_keypair *sending_keypair(struct weft_peer *peer)
{
	struct weft_keypair *next =
		atomic_load_explicit(&peer->sessions.next, memory_order_acquire);

	if (next && atomic_load_explicit(&next->confirmed, memory_order_acquire))
		return next;
	return atomic_load_explicit(&peer->sessions.current, memory_order_acquire);
}

int weft_tx_begin_peer(struct weft_worker *w, struct weft_peer *peer, struct weft_tx *ret_tx)
{
	if (!is_up(w))
		return WEFT_E_DOWN;
	weft_shared_endpoint_get(&peer->endpoint, &ret_tx->endpoint, NULL);
	if (ret_tx->endpoint.ip.family == WEFT_NONE)
		return WEFT_E_NO_ENDPOINT;
	ret_tx->peer = peer;
	ret_tx->keypair = sending_keypair(peer);
	return weft_keypair_can_send(ret_tx->keypair, w->now_ns) ? 0 : WEFT_E_NO_SESSION;
}

int weft_tx_begin(struct weft_worker *w, const uint8_t *inner, size_t len, unsigned n_pkts,
		  struct weft_tx *ret_tx)
{
	struct weft_device *dev = w->dev;
	struct weft_inner parsed;
	struct weft_peer *peer;
	int r;

	if (!is_up(w)) {
		weft_worker_count_drop(w, WEFT_DROP_TX_DOWN, n_pkts);
		return WEFT_E_DOWN;
	}
	if (weft_inner_parse(inner, len, &parsed) < 0) {
		weft_worker_count_drop(w, WEFT_DROP_TX_INNER, n_pkts);
		return WEFT_E_DROP;
	}
	peer = weft_peer_of_set(weft_allowedips_lookup(&dev->allowed, &parsed.dst));
	if (!peer) {
		weft_worker_count_drop(w, WEFT_DROP_TX_NO_PEER, n_pkts);
		return WEFT_E_NO_PEER;
	}
	r = weft_tx_begin_peer(w, peer, ret_tx);
	if (r == WEFT_E_NO_ENDPOINT)
		weft_worker_count_drop(w, WEFT_DROP_TX_NO_ENDPOINT, n_pkts);
	else if (r == WEFT_E_DOWN)
		weft_worker_count_drop(w, WEFT_DROP_TX_DOWN, n_pkts);
	return r;
}

size_t weft_tx_datagram_len(const struct weft_worker *w, size_t inner_len)
{
	uint32_t mtu = atomic_load_explicit(&w->dev->mtu, memory_order_relaxed);

	return weft_padded_len(inner_len, mtu) + WEFT_DATA_OVERHEAD;
}

uint8_t weft_tx_tos(const uint8_t *inner, size_t len)
{
	if (len < 2)
		return 0;
	return weft_ecn_encap(inner[0] >> 4 == 4 ? inner[1] : (uint8_t)(inner[1] >> 4));
}

unsigned weft_tx_seal_many(struct weft_worker *w, struct weft_tx *tx, struct weft_tx_item *items,
			   unsigned n)
{
	uint32_t mtu = atomic_load_explicit(&w->dev->mtu, memory_order_relaxed);
	unsigned sealed = 0;

	for (unsigned i = 0; i < n; i++)
		items[i].tos = weft_tx_tos(items[i].buf + WEFT_DATA_HEADER_LEN, items[i].inner_len);
	for (unsigned i = 0; i < n; i += WEFT_BATCH_MAX) {
		unsigned some = n - i < WEFT_BATCH_MAX ? n - i : WEFT_BATCH_MAX;

		sealed += weft_keypair_seal_many(tx->keypair, w->crypto, items + i, some, mtu);
	}
	for (unsigned i = 0; sealed < n && i < n; i++) {
		if (items[i].result < 0 && items[i].result != WEFT_E_NO_SESSION)
			items[i].result = dropped(w, WEFT_DROP_TX_CRYPTO);
	}
	return sealed;
}

int weft_tx_seal(struct weft_worker *w, struct weft_tx *tx, uint8_t *buf, size_t inner_len,
		 size_t *ret_len, uint8_t *ret_tos)
{
	struct weft_tx_item item = {.buf = buf, .inner_len = inner_len};

	if (!weft_tx_seal_many(w, tx, &item, 1))
		return item.result;
	*ret_len = item.len;
	*ret_tos = item.tos;
	return 0;
}

void weft_tx_done(struct weft_worker *w, const struct weft_tx *tx, unsigned pkts, size_t bytes,
		  bool any_data)
{
	struct weft_peer *peer = tx->peer;
	const struct weft_keypair *kp = tx->keypair;

	if (!pkts)
		return;
	atomic_fetch_add_explicit(&peer->tx_bytes, bytes, memory_order_relaxed);
	weft_store64(&peer->traversal_ns, w->now_ns);
	weft_store64(&peer->data_received_ns, 0);
	if (any_data)
		(void)note_first(w, peer, &peer->data_sent_ns, &peer->new_handshake_armed,
				 WEFT_ASK_NEW_HANDSHAKE);
	if (weft_load64(&kp->send_counter) > WEFT_REKEY_AFTER_MESSAGES ||
	    (kp->initiator && w->now_ns >= kp->born_ns + WEFT_REKEY_AFTER_NS))
		ask_handshake(w, peer);
}

void weft_tx_stage(struct weft_worker *w, struct weft_peer *peer, const uint8_t *inner, size_t len)
{
	struct weft_stage_drops drops = weft_stage_push(&w->dev->stage, &peer->staged, inner, len);
	const struct weft_keypair *kp;

	if (drops.full)
		weft_worker_count_drop(w, WEFT_DROP_TX_STAGE_FULL, drops.full);
	if (drops.budget)
		weft_worker_count_drop(w, WEFT_DROP_TX_BUDGET, drops.budget);
	if (atomic_load_explicit(&peer->handshake_tries, memory_order_relaxed))
		atomic_store_explicit(&peer->handshake_tries, 0, memory_order_relaxed);
	/*
	 * While a handshake is under way there is nothing to ask for: its end sends what waits. If
	 * it ended just now, then the queue's flag lets us see the session here.
	 */
	kp = atomic_load_explicit(&peer->sessions.current, memory_order_acquire);
	if (weft_keypair_can_send(kp, w->now_ns) || !handshake_is_recent(w, peer))
		weft_peer_ask(peer, WEFT_ASK_STAGED);
}

/* ---- in ---- */

/* Junk must not fill the queue: mac1, and an index that somebody waits at, come first. */
static int queue_handshake(struct weft_worker *w, const struct weft_endpoint *from, unsigned type,
			   const uint8_t *pkt, size_t len)
{
	struct weft_device *dev = w->dev;
	struct weft_queued *q;

	if (type != WEFT_MSG_COOKIE &&
	    weft_cookie_check_mac1(&dev->checker, w->crypto, pkt, len) < 0)
		return dropped(w, WEFT_DROP_RX_MAC1);
	if (type != WEFT_MSG_INITIATION) {
		uint32_t index = weft_get_le32(pkt + (type == WEFT_MSG_RESPONSE ? 8 : 4));

		if (!weft_index_find(&dev->indices, index))
			return dropped(w, WEFT_DROP_RX_NO_INDEX);
	}
	q = weft_ring_claim(&dev->queue);
	if (!q)
		return dropped(w, WEFT_DROP_RX_QUEUE_FULL);
	q->from = *from;
	q->len = (uint16_t)len;
	memcpy(q->pkt, pkt, len);
	weft_ring_commit(&dev->queue, q);
	weft_device_wake(dev);
	return 1;
}

/*
 * A packet came from elsewhere. What is sent from now on goes there; that includes the answer to
 * this very packet, which may be on its way before the owner has looked.
 */
static void move_endpoint(struct weft_worker *w, struct weft_peer *peer,
			  const struct weft_endpoint *known, const struct weft_endpoint *from)
{
	const struct weft_callbacks *cb = &w->dev->cb;
	bool elsewhere = !weft_endpoint_same_remote(known, from);

	if (elsewhere && cb->endpoint_allowed && !cb->endpoint_allowed(cb->ctx, peer, from)) {
		weft_worker_count_drop(w, WEFT_DROP_RX_SELF_ROUTED, 1);
		return;
	}
	weft_peer_adopt_endpoint(peer, known, from);
	if (elsewhere)
		weft_peer_ask(peer, WEFT_ASK_ENDPOINT);
}

static void note_endpoint(struct weft_worker *w, struct weft_peer *peer,
			  const struct weft_endpoint *from)
{
	struct weft_endpoint known;
	uint32_t seq;

	if (w->rx_seq_known && weft_shared_endpoint_seq(&peer->endpoint) == w->rx_seq &&
	    weft_endpoint_equal(from, &w->rx_from))
		return;
	weft_shared_endpoint_get(&peer->endpoint, &known, &seq);
	if (!weft_endpoint_equal(from, &known)) {
		move_endpoint(w, peer, &known, from);
		return;
	}
	w->rx_from = known;
	w->rx_seq = seq;
	w->rx_seq_known = true;
}

/* What any authenticated packet means, data or not. */
static void note_received(struct weft_worker *w, struct weft_peer *peer, struct weft_keypair *kp,
			  const struct weft_endpoint *from)
{
	const struct weft_keypair *current;

	if (w->rx_peer != peer) {
		flush_rx(w);
		w->rx_peer = peer;
	}
	note_endpoint(w, peer, from);
	if (!is_set(&kp->confirmed) &&
	    atomic_load_explicit(&peer->sessions.next, memory_order_acquire) == kp) {
		atomic_store_explicit(&kp->confirmed, true, memory_order_release);
		weft_peer_ask(peer, WEFT_ASK_CONFIRMED);
	}
	current = atomic_load_explicit(&peer->sessions.current, memory_order_acquire);
	if (current && current->initiator && is_set(&current->send_valid) &&
	    w->now_ns >= current->born_ns + WEFT_REKEY_ON_RECEIVE_NS &&
	    !is_set(&peer->lastminute_asked) && !atomic_exchange(&peer->lastminute_asked, true))
		ask_handshake(w, peer);
	weft_store64(&peer->data_sent_ns, 0);
	weft_store64(&peer->received_ns, w->now_ns);
	weft_store64(&peer->traversal_ns, w->now_ns);
}

/* The inner packet: form, source, congestion marks. 1: it was for us, and goes no further. */
static int check_inner(struct weft_worker *w, struct weft_peer *peer, uint8_t *inner, size_t len,
		       uint8_t tos, size_t *ret_len)
{
	struct weft_inner parsed;
	struct weft_path *path;

	if (weft_inner_parse(inner, len, &parsed) < 0)
		return dropped(w, WEFT_DROP_RX_INNER);
	/* a router may answer a probe from an address that is not routed to it */
	path = atomic_load_explicit(&peer->path, memory_order_acquire);
	if (path && weft_path_takes(path, inner, &parsed))
		return 1;
	if (weft_allowedips_lookup(&w->dev->allowed, &parsed.src) != &peer->allowed)
		return dropped(w, WEFT_DROP_RX_ALLOWED_IPS);
	if (weft_ecn_decap(inner, &parsed, tos) < 0)
		return dropped(w, WEFT_DROP_RX_ECN);
	*ret_len = parsed.total_len;
	return 0;
}

/* Packets of one session come one after the other: one look-up serves them. In a batch. */
static const struct weft_index_entry *find_index(struct weft_worker *w, uint32_t index)
{
	const struct weft_index_entry *entry = w->rx_entry;

	if (entry && w->rx_index == index)
		return entry;
	entry = weft_index_find(&w->dev->indices, index);
	/* what is a handshake yet may become a session at any time */
	if (entry && entry->keypair) {
		w->rx_entry = entry;
		w->rx_index = index;
	}
	return entry;
}

/* The packets of one session that wait to be opened together. */
struct run {
	struct weft_keypair *keypair;
	unsigned n;
	struct weft_rx_item *items[WEFT_BATCH_MAX];
	struct weft_aead_msg msgs[WEFT_BATCH_MAX];
};

/* Opens them. Returns how many could be. */
static unsigned open_run(struct weft_worker *w, struct run *run)
{
	unsigned opened = 0;

	/* cppcheck-suppress ctuuninitvar ; what is not yet in the run is not looked at */
	if (run->n)
		opened = (unsigned)weft_aead_open_many(w->crypto, &run->keypair->recv_key,
						       run->msgs, run->n);
	for (unsigned i = 0; opened < run->n && i < run->n; i++) {
		if (run->msgs[i].result < 0)
			run->items[i]->result = dropped(w, WEFT_DROP_RX_AUTH);
	}
	run->n = 0;
	return opened;
}

/* A data message goes to the run, which is opened before if it is full or another session's. */
static unsigned add_to_run(struct weft_worker *w, struct run *run, struct weft_rx_item *item)
{
	struct weft_msg_data head = weft_message_read_data(item->pkt);
	const struct weft_index_entry *entry = find_index(w, head.receiver);
	uint8_t *text = item->pkt + WEFT_DATA_HEADER_LEN;
	enum weft_drop reason;
	unsigned opened = 0;

	if (!entry || !entry->keypair) {
		item->result = dropped(w, WEFT_DROP_RX_NO_INDEX);
		return 0;
	}
	if (weft_keypair_may_open(entry->keypair, head.counter, w->now_ns, &reason) < 0) {
		item->result = dropped(w, reason);
		return 0;
	}
	if (run->n == WEFT_BATCH_MAX || (run->n && run->keypair != entry->keypair))
		opened = open_run(w, run);
	run->keypair = entry->keypair;
	run->items[run->n] = item;
	run->msgs[run->n++] = (struct weft_aead_msg){.counter = head.counter,
						     .in = text,
						     .out = text,
						     .len = item->len - WEFT_DATA_HEADER_LEN};
	item->result = 0;
	item->keypair = entry->keypair;
	item->born_ns = entry->keypair->born_ns;
	item->counter = head.counter;
	item->index = head.receiver;
	return opened;
}

unsigned weft_rx_open_many(struct weft_worker *w, struct weft_rx_item *items, unsigned n)
{
	bool up = is_up(w);
	unsigned opened = 0;
	struct run run;

	run.n = 0;
	for (unsigned i = 0; i < n; i++) {
		struct weft_rx_item *item = &items[i];
		unsigned type = weft_message_type(item->pkt, item->len);

		if (!up)
			item->result = dropped(w, WEFT_DROP_RX_DOWN);
		else if (!type)
			item->result = dropped(w, WEFT_DROP_RX_MALFORMED);
		else if (type == WEFT_MSG_DATA)
			opened += add_to_run(w, &run, item);
		else
			item->result = queue_handshake(w, item->from, type, item->pkt, item->len);
	}
	return opened + open_run(w, &run);
}

int weft_rx_accept(struct weft_worker *w, const struct weft_rx_item *item, struct weft_rx *ret_rx)
{
	const struct weft_index_entry *entry = find_index(w, item->index);
	size_t inner_len = item->len - WEFT_DATA_OVERHEAD;
	struct weft_keypair *kp = entry ? entry->keypair : NULL;
	struct weft_peer *peer;
	int r;

	/* Another session in the same slot, under the same index, would have another birth. */
	if (!kp || kp != item->keypair || kp->born_ns != item->born_ns)
		return dropped(w, WEFT_DROP_RX_NO_INDEX);
	if (!weft_replay_commit(&kp->replay, item->counter))
		return dropped(w, WEFT_DROP_RX_REPLAY);
	peer = entry->peer;
	note_received(w, peer, kp, item->from);
	if (!inner_len) {
		w->rx_bytes += item->len;
		*ret_rx = (struct weft_rx){.peer = peer};
		return 0;
	}
	if (note_first(w, peer, &peer->data_received_ns, &peer->keepalive_armed,
		       WEFT_ASK_KEEPALIVE) &&
	    !is_set(&peer->another_keepalive))
		atomic_store_explicit(&peer->another_keepalive, true, memory_order_relaxed);
	r = check_inner(w, peer, item->pkt + WEFT_DATA_HEADER_LEN, inner_len, item->tos,
			&inner_len);
	if (r < 0)
		return r;
	w->rx_bytes += item->len;
	*ret_rx = (struct weft_rx){.peer = peer};
	if (r > 0)
		return 0;
	ret_rx->inner = item->pkt + WEFT_DATA_HEADER_LEN;
	ret_rx->inner_len = inner_len;
	return 0;
}

int weft_rx_packet(struct weft_worker *w, const struct weft_endpoint *from, uint8_t tos,
		   uint8_t *pkt, size_t len, struct weft_rx *ret_rx)
{
	struct weft_rx_item item = {.pkt = pkt, .len = len, .from = from, .tos = tos};

	if (!weft_rx_open_many(w, &item, 1))
		return item.result;
	return weft_rx_accept(w, &item, ret_rx);
}
