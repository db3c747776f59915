/* SPDX-License-Identifier: Apache-2.0 */
/* The devices of fuzz_world.h. */
#include "fuzz_world.h"

#include <string.h>

#include "core/inner.h"
#include "util/cursor.h"

static void *alloc_mem(void *ctx, size_t size)
{
	size_t rounded = (size + 63) / 64 * 64;
	void *p;

	(void)ctx;
	FUZZ_CHECK(rounded >= size && size);
	p = aligned_alloc(64, rounded);
	if (p)
		memset(p, 0, rounded);
	return p;
}

static void free_mem(void *ctx, void *p, size_t size)
{
	(void)ctx;
	weft_wipe(p, size);
	free(p);
}

static void fill(void *ctx, void *out, size_t len)
{
	struct fuzz_world *w = ((struct fuzz_end *)ctx)->world;
	uint8_t *p = out;

	for (size_t i = 0; i < len; i++) {
		w->random = w->random * 6364136223846793005u + 1442695040888963407u;
		p[i] = (uint8_t)(w->random >> 56);
	}
}

static void wall_time(void *ctx, uint64_t *ret_sec, uint32_t *ret_nsec)
{
	uint64_t now_ns = ((struct fuzz_end *)ctx)->world->now_ns;

	*ret_sec = 1700000000 + now_ns / WEFT_NS_PER_S;
	*ret_nsec = (uint32_t)(now_ns % WEFT_NS_PER_S);
}

int fuzz_static_dh(void *ctx, struct weft_secret *ret_shared, const uint8_t point[WEFT_KEY_LEN])
{
	struct fuzz_end *e = ctx;

	return weft_x25519(e->crypto, ret_shared, &e->secret, point);
}

static void put(struct fuzz_end *e, const uint8_t *pkt, size_t len)
{
	struct fuzz_datagram *d;

	FUZZ_CHECK(len && len <= 65535);
	if (e->outbox_len == FUZZ_OUTBOX)
		return;
	d = &e->outbox[e->outbox_len++];
	d->data = malloc(len);
	FUZZ_CHECK(d->data);
	memcpy(d->data, pkt, len);
	d->len = len;
}

static int send_datagram(void *ctx, const struct weft_endpoint *to, uint8_t tos, const uint8_t *pkt,
			 size_t len)
{
	(void)tos;
	FUZZ_CHECK(to->ip.family == WEFT_IPV4 || to->ip.family == WEFT_IPV6);
	put(ctx, pkt, len);
	return 0;
}

static void send_many(void *ctx, struct weft_datagram *d, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		d[i].result = send_datagram(ctx, d[i].to, d[i].tos, d[i].pkt, d[i].len);
}

static void event(void *ctx, const struct weft_event *e)
{
	(void)ctx;
	FUZZ_CHECK(e->type <= WEFT_EVENT_UNDER_LOAD_END);
}

static void wake(void *ctx)
{
	(void)ctx;
}

static void end_init(struct fuzz_world *w, unsigned number)
{
	const struct weft_device_params params = {.max_workers = 1,
						  .handshake_queue_pkts = 16,
						  .stage_bytes = 1 << 16,
						  .ratelimit_entries = 64};
	struct fuzz_end *e = &w->end[number];
	const struct weft_callbacks cb = {.ctx = e,
					  .alloc = alloc_mem,
					  .free = free_mem,
					  .random = fill,
					  .wall_time = wall_time,
					  .static_dh = fuzz_static_dh,
					  .send = send_datagram,
					  .send_many = send_many,
					  .event = event,
					  .wake = wake};

	e->world = w;
	e->number = number;
	FUZZ_CHECK(!weft_crypto_new(&e->crypto));
	memset(e->secret.b, (int)(0x11 * (number + 1)), sizeof(e->secret.b));
	weft_x25519_clamp(&e->secret);
	FUZZ_CHECK(!weft_x25519_public(e->crypto, e->public_key, &e->secret));
	e->addr.ip = (struct weft_ip){.b = {192, 0, 2, (uint8_t)(number + 1)}, .family = WEFT_IPV4};
	e->addr.port = 51820;
	FUZZ_CHECK(!weft_device_new(&params, &cb, &e->dev));
	FUZZ_CHECK(!weft_worker_new(e->dev, &e->worker));
	weft_device_set_static(e->dev, e->public_key, w->now_ns);
	weft_device_set_mtu(e->dev, FUZZ_MTU);
}

static void add_peer(struct fuzz_end *e, const struct fuzz_end *other)
{
	struct weft_prefix v4 = {
		.ip = {.b = {10, 0, 0, (uint8_t)(other->number + 1)}, .family = WEFT_IPV4},
		.len = 32};
	struct weft_prefix v6 = {
		.ip = {.b = {0xfd, 0, (uint8_t)(other->number + 1)}, .family = WEFT_IPV6},
		.len = 24};
	struct weft_peer *peer;

	FUZZ_CHECK(!weft_peer_add(e->dev, other->public_key, &peer));
	FUZZ_CHECK(!weft_peer_allow(e->dev, peer, &v4));
	FUZZ_CHECK(!weft_peer_allow(e->dev, peer, &v6));
	weft_peer_set_endpoint(e->dev, peer, &other->addr, e->world->now_ns);
}

void fuzz_world_init(struct fuzz_world *w)
{
	FUZZ_CHECK(!weft_crypto_init());
	memset(w, 0, sizeof(*w));
	w->now_ns = 1000 * WEFT_NS_PER_S;
	w->random = 1;
	for (unsigned i = 0; i < FUZZ_ENDS; i++)
		end_init(w, i);
	for (unsigned i = FUZZ_INSIDER; i < FUZZ_ENDS; i++) {
		add_peer(&w->end[FUZZ_TARGET], &w->end[i]);
		add_peer(&w->end[i], &w->end[FUZZ_TARGET]);
	}
	for (unsigned i = 0; i < FUZZ_ENDS; i++)
		weft_device_up(w->end[i].dev, w->now_ns);
}

void fuzz_world_fini(struct fuzz_world *w)
{
	for (unsigned i = 0; i < FUZZ_ENDS; i++) {
		fuzz_clear_outbox(&w->end[i]);
		weft_worker_free(w->end[i].worker);
		weft_device_free(w->end[i].dev);
		weft_crypto_free(w->end[i].crypto);
	}
}

void fuzz_inner(uint8_t *out, size_t len, unsigned from, unsigned to)
{
	memset(out, 0, len);
	out[0] = 0x45;
	weft_put_be16(out + 2, (uint16_t)len);
	out[8] = 64;
	out[9] = 17;
	memcpy(out + 12, (const uint8_t[]){10, 0, 0, (uint8_t)(from + 1)}, 4);
	memcpy(out + 16, (const uint8_t[]){10, 0, 0, (uint8_t)(to + 1)}, 4);
}

/* Seals `inner` with the session that was found, and posts it. */
static int seal(struct fuzz_end *e, struct weft_tx *tx, const uint8_t *inner, size_t len)
{
	size_t need = weft_tx_datagram_len(e->worker, len), out_len = 0;
	uint8_t *buf = malloc(need), tos;
	int r;

	FUZZ_CHECK(buf && need >= len + WEFT_DATA_OVERHEAD);
	if (len)
		memcpy(buf + WEFT_DATA_HEADER_LEN, inner, len);
	r = weft_tx_seal(e->worker, tx, buf, len, &out_len, &tos);
	if (!r) {
		FUZZ_CHECK(out_len == need && tos <= 3);
		put(e, buf, out_len);
		weft_tx_done(e->worker, tx, 1, out_len, len > 0);
	}
	free(buf);
	return r;
}

int fuzz_send(struct fuzz_end *from, const uint8_t *inner, size_t len)
{
	struct weft_tx tx;
	int r;

	weft_worker_enter(from->worker, from->world->now_ns);
	r = weft_tx_begin(from->worker, inner, len, 1, &tx);
	if (!r)
		r = seal(from, &tx, inner, len);
	if (r == WEFT_E_NO_SESSION)
		weft_tx_stage(from->worker, tx.peer, inner, len);
	weft_worker_leave(from->worker);
	return r;
}

bool fuzz_seal(struct fuzz_end *from, unsigned to, const uint8_t *inner, size_t len)
{
	uint8_t probe[20];
	struct weft_tx tx;
	bool ok;

	fuzz_inner(probe, sizeof(probe), from->number, to);
	weft_worker_enter(from->worker, from->world->now_ns);
	ok = !weft_tx_begin(from->worker, probe, sizeof(probe), 1, &tx) &&
	     !seal(from, &tx, inner, len);
	weft_worker_leave(from->worker);
	return ok;
}

/* What came out must be a whole packet of the peer's own address, inside the datagram. */
static void check_delivered(struct fuzz_end *to, const struct weft_rx *rx, const uint8_t *pkt,
			    size_t len)
{
	struct weft_inner in;
	uint8_t number;

	FUZZ_CHECK(rx->inner >= pkt && rx->inner_len <= len &&
		   rx->inner + rx->inner_len <= pkt + len);
	FUZZ_CHECK(!weft_inner_parse(rx->inner, rx->inner_len, &in));
	FUZZ_CHECK(in.total_len == rx->inner_len);
	if (in.version == 4) {
		FUZZ_CHECK(in.src.b[0] == 10 && !in.src.b[1] && !in.src.b[2]);
		number = in.src.b[3];
	} else {
		FUZZ_CHECK(in.src.b[0] == 0xfd && !in.src.b[1]);
		number = in.src.b[2];
	}
	FUZZ_CHECK(number >= 1 && number <= FUZZ_ENDS);
	FUZZ_CHECK(rx->peer == weft_peer_find(to->dev, to->world->end[number - 1].public_key));
}

int fuzz_feed(struct fuzz_end *to, const struct weft_endpoint *from, uint8_t tos,
	      const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct weft_endpoint source = *from;
	struct weft_rx rx;
	int r;

	FUZZ_CHECK(copy);
	if (len)
		memcpy(copy, data, len);
	source.local = to->addr.ip;
	weft_worker_enter(to->worker, to->world->now_ns);
	r = weft_rx_packet(to->worker, &source, tos, copy, len, &rx);
	FUZZ_CHECK(r == 0 || r == 1 || r == WEFT_E_DROP);
	if (r == 0) {
		FUZZ_CHECK(rx.peer);
		if (rx.inner) {
			check_delivered(to, &rx, copy, len);
			to->delivered++;
		}
	}
	weft_worker_leave(to->worker);
	free(copy);
	return r;
}

void fuzz_run(struct fuzz_end *e)
{
	/* what is due ends: the queue is bounded, and so are the timers of one moment */
	for (int i = 0; weft_device_run(e->dev, e->world->now_ns, 8); i++)
		FUZZ_CHECK(i < 100);
	FUZZ_CHECK(weft_device_next_ns(e->dev) > e->world->now_ns);
}

void fuzz_clear_outbox(struct fuzz_end *e)
{
	for (unsigned i = 0; i < e->outbox_len; i++)
		free(e->outbox[i].data);
	e->outbox_len = 0;
}

static bool hand_over(struct fuzz_end *from, struct fuzz_end *to)
{
	unsigned n = from->outbox_len;

	for (unsigned i = 0; i < n; i++)
		(void)fuzz_feed(to, &from->addr, 0, from->outbox[i].data, from->outbox[i].len);
	fuzz_clear_outbox(from);
	fuzz_run(to);
	return n > 0;
}

void fuzz_exchange(struct fuzz_end *a, struct fuzz_end *b)
{
	bool moved = true;

	fuzz_run(a);
	fuzz_run(b);
	for (int i = 0; moved; i++) {
		FUZZ_CHECK(i < 20);
		moved = hand_over(a, b);
		moved = hand_over(b, a) || moved;
	}
}

void fuzz_advance(struct fuzz_world *w, uint64_t ns)
{
	w->now_ns += ns;
	for (unsigned i = 0; i < FUZZ_ENDS; i++)
		fuzz_run(&w->end[i]);
}

void fuzz_honest_gets_through(struct fuzz_world *w)
{
	struct fuzz_end *honest = &w->end[FUZZ_HONEST], *target = &w->end[FUZZ_TARGET];
	unsigned before = target->delivered;
	uint8_t inner[40];

	fuzz_inner(inner, sizeof(inner), FUZZ_HONEST, FUZZ_TARGET);
	/* what was queued is worked off first, and may leave the target under load for a second;
	   then at most one retry, with the cookie */
	fuzz_advance(w, 0);
	fuzz_advance(w, 2 * WEFT_NS_PER_S);
	for (int i = 0; i < 2 && target->delivered == before; i++) {
		fuzz_advance(w, 6 * WEFT_NS_PER_S);
		fuzz_clear_outbox(honest);
		fuzz_clear_outbox(target);
		(void)fuzz_send(honest, inner, sizeof(inner));
		fuzz_exchange(honest, target);
	}
	FUZZ_CHECK(target->delivered > before);
}

void fuzz_set_mac1(struct fuzz_end *to, uint8_t *msg, size_t len)
{
	uint8_t key[WEFT_HASH_LEN];

	if (len < 32)
		return;
	FUZZ_CHECK(!weft_hash(to->crypto, key, "mac1----", 8, to->public_key, WEFT_KEY_LEN));
	FUZZ_CHECK(!weft_mac(to->crypto, msg + len - 32, key, sizeof(key), msg, len - 32));
}
