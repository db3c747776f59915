/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two devices under many hands, for ThreadSanitizer: an owner that rekeys, moves allowed IPs,
 * adds and removes peers and goes down and up, while two threads send and two receive on both.
 * No packet may be delivered twice, none altered, and nothing may be left allocated.
 */
#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

#include "core/peer.h"
#include "unit_random.h"
#include "util/cursor.h"

#define THREADS 2 /* of each kind */
#define QUEUE   512
#define EXTRAS  24
#define ROUNDS  1500
#define NUMBERS (1u << 20)
#define INNER   64
#define CHECK(x) \
	((x) ? (void)0 : (void)(fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x), abort()))

struct datagram {
	struct weft_endpoint from;
	size_t len;
	uint8_t pkt[256];
};

struct side {
	struct weft_device *dev;
	struct weft_secret secret;
	uint8_t public_key[WEFT_KEY_LEN];
	struct weft_crypto *crypto;
	struct weft_endpoint addr;
	struct side *other;
	struct weft_worker *tx[THREADS], *rx[THREADS];
	pthread_mutex_t lock;
	struct datagram queue[QUEUE];
	unsigned head, count;
	_Atomic unsigned blocks;
	_Atomic unsigned delivered;
	_Atomic uint8_t seen[NUMBERS];
	uint8_t inner_last; /* 10.0.0.x */
};

static struct side side[2];
static _Atomic uint64_t now_ns = WEFT_NS_PER_S;
static atomic_bool done;
static _Atomic unsigned next_number = 1;
static pthread_mutex_t random_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t seed;

static void *alloc_mem(void *ctx, size_t size)
{
	struct side *s = ctx;
	void *p = aligned_alloc(64, (size + 63) / 64 * 64);

	CHECK(p);
	memset(p, 0, size);
	atomic_fetch_add(&s->blocks, 1);
	return p;
}

static void free_mem(void *ctx, void *p, size_t size)
{
	struct side *s = ctx;

	memset(p, 0xdb, size);
	free(p);
	atomic_fetch_sub(&s->blocks, 1);
}

static void fill(void *ctx, void *out, size_t len)
{
	(void)ctx;
	pthread_mutex_lock(&random_lock);
	for (size_t i = 0; i < len; i++)
		((uint8_t *)out)[i] = (uint8_t)unit_random(&seed);
	pthread_mutex_unlock(&random_lock);
}

static void wall_time(void *ctx, uint64_t *ret_sec, uint32_t *ret_nsec)
{
	uint64_t t = atomic_load(&now_ns);

	(void)ctx;
	*ret_sec = 1700000000 + t / WEFT_NS_PER_S;
	*ret_nsec = (uint32_t)(t % WEFT_NS_PER_S);
}

static int static_dh(void *ctx, struct weft_secret *ret_shared, const uint8_t point[WEFT_KEY_LEN])
{
	struct side *s = ctx;

	return weft_x25519(s->crypto, ret_shared, &s->secret, point);
}

static int transmit(struct side *s, const uint8_t *pkt, size_t len)
{
	struct side *to = s->other;
	struct datagram *d;

	CHECK(len <= sizeof(d->pkt));
	pthread_mutex_lock(&to->lock);
	if (to->count < QUEUE) {
		d = &to->queue[(to->head + to->count++) % QUEUE];
		d->from = s->addr;
		d->len = len;
		memcpy(d->pkt, pkt, len);
	}
	pthread_mutex_unlock(&to->lock);
	return 0;
}

static int send_datagram(void *ctx, const struct weft_endpoint *to, uint8_t tos, const uint8_t *pkt,
			 size_t len)
{
	(void)to;
	(void)tos;
	return transmit(ctx, pkt, len);
}

static void send_many(void *ctx, struct weft_datagram *d, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		d[i].result = send_datagram(ctx, d[i].to, d[i].tos, d[i].pkt, d[i].len);
}

static void wake(void *ctx)
{
	(void)ctx;
}

static size_t make_inner(uint8_t *p, uint8_t src, uint8_t net, uint8_t dst, uint32_t number)
{
	memset(p, 0, INNER);
	p[0] = 0x45;
	p[3] = INNER;
	p[8] = 64;
	p[12] = p[16] = 10;
	p[15] = src;
	p[18] = net;
	p[19] = dst;
	weft_put_le32(p + 20, number);
	weft_put_le32(p + 24, ~number);
	return INNER;
}

static void send_one(struct side *s, struct weft_worker *w, uint8_t net, uint8_t dst)
{
	uint32_t number = atomic_fetch_add(&next_number, 1) % NUMBERS;
	uint8_t buf[256], tos;
	struct weft_tx tx;
	size_t len;
	int r;

	(void)make_inner(buf + 16, s->inner_last, net, dst, number);
	r = weft_tx_begin(w, buf + 16, INNER, 1, &tx);
	if (r == 0)
		r = weft_tx_seal(w, &tx, buf, INNER, &len, &tos);
	if (r == WEFT_E_NO_SESSION) {
		weft_tx_stage(w, tx.peer, buf + 16, INNER);
	} else if (r == 0) {
		(void)transmit(s, buf, len);
		weft_tx_done(w, &tx, 1, len, true);
	}
}

static void *tx_thread(void *arg)
{
	unsigned n = (unsigned)(uintptr_t)arg;

	for (unsigned i = 0; !atomic_load(&done); i++) {
		struct side *s = &side[i & 1];

		if (atomic_load(&next_number) >= NUMBERS)
			break;
		weft_worker_enter(s->tx[n], atomic_load(&now_ns));
		for (unsigned k = 0; k < 4; k++)
			send_one(s, s->tx[n], 0, s->other->inner_last);
		if (i % 16 == 0)
			send_one(s, s->tx[n], 1, (uint8_t)(i / 16 % EXTRAS));
		weft_worker_leave(s->tx[n]);
		sched_yield();
	}
	return NULL;
}

static bool take(struct side *s, struct datagram *out)
{
	bool got;

	pthread_mutex_lock(&s->lock);
	got = s->count > 0;
	if (got) {
		*out = s->queue[s->head];
		s->head = (s->head + 1) % QUEUE;
		s->count--;
	}
	pthread_mutex_unlock(&s->lock);
	return got;
}

static void receive_one(struct side *s, struct weft_worker *w, struct datagram *d)
{
	struct weft_rx rx;
	uint32_t number;

	if (weft_rx_packet(w, &d->from, 0, d->pkt, d->len, &rx) != 0 || !rx.inner)
		return;
	CHECK(rx.inner_len == INNER);
	number = weft_get_le32(rx.inner + 20);
	CHECK(weft_get_le32(rx.inner + 24) == ~number);
	CHECK(atomic_exchange(&s->seen[number], 1) == 0);
	atomic_fetch_add(&s->delivered, 1);
}

static void *rx_thread(void *arg)
{
	unsigned n = (unsigned)(uintptr_t)arg;
	struct datagram d;

	for (unsigned i = 0; !atomic_load(&done); i++) {
		struct side *s = &side[i & 1];

		weft_worker_enter(s->rx[n], atomic_load(&now_ns));
		for (unsigned k = 0; k < 8 && take(s, &d); k++) {
			struct datagram copy = d;

			receive_one(s, s->rx[n], &d);
			if (k == 3) /* a replay, while another thread may hold the next one */
				receive_one(s, s->rx[n], &copy);
		}
		weft_worker_leave(s->rx[n]);
		if (i % 64 == 0)
			weft_worker_idle(s->rx[n]);
		sched_yield();
	}
	return NULL;
}

static void side_init(struct side *s, unsigned number)
{
	const struct weft_device_params params = {.max_workers = 2 * THREADS,
						  .handshake_queue_pkts = 64,
						  .stage_bytes = 1 << 18,
						  .ratelimit_entries = 64};
	const struct weft_callbacks cb = {.ctx = s,
					  .alloc = alloc_mem,
					  .free = free_mem,
					  .random = fill,
					  .wall_time = wall_time,
					  .static_dh = static_dh,
					  .send = send_datagram,
					  .send_many = send_many,
					  .wake = wake};

	pthread_mutex_init(&s->lock, NULL);
	s->other = &side[1 - number];
	s->inner_last = (uint8_t)(200 + number);
	s->addr.ip = (struct weft_ip){.b = {192, 0, 2, (uint8_t)(number + 1)}, .family = WEFT_IPV4};
	s->addr.port = 1;
	CHECK(weft_crypto_new(&s->crypto) == 0);
	fill(NULL, s->secret.b, sizeof(s->secret.b));
	weft_x25519_clamp(&s->secret);
	CHECK(weft_x25519_public(s->crypto, s->public_key, &s->secret) == 0);
	CHECK(weft_device_new(&params, &cb, &s->dev) == 0);
	for (unsigned i = 0; i < THREADS; i++) {
		CHECK(weft_worker_new(s->dev, &s->tx[i]) == 0);
		CHECK(weft_worker_new(s->dev, &s->rx[i]) == 0);
	}
	weft_device_set_static(s->dev, s->public_key, 1);
	weft_device_set_mtu(s->dev, 1420);
	weft_device_up(s->dev, 1);
}

static struct weft_prefix prefix_of(uint8_t net, uint8_t last, uint8_t len)
{
	return (struct weft_prefix){.ip = {.b = {10, 0, net, last}, .family = WEFT_IPV4},
				    .len = len};
}

static void add_other(struct side *s)
{
	const struct weft_prefix p = prefix_of(0, s->other->inner_last, 32);
	struct weft_peer *peer;

	CHECK(weft_peer_add(s->dev, s->other->public_key, &peer) == 0);
	CHECK(weft_peer_allow(s->dev, peer, &p) == 0);
	weft_peer_set_endpoint(s->dev, peer, &s->other->addr, atomic_load(&now_ns));
	weft_peer_set_keepalive(s->dev, peer, 1, atomic_load(&now_ns));
}

/* A peer that answers nothing, with or without an endpoint; there today, gone tomorrow. */
static void toggle_extra(struct side *s, unsigned n)
{
	const struct weft_prefix p = prefix_of(1, (uint8_t)n, n % 3 ? 32 : 24);
	uint8_t key[WEFT_KEY_LEN] = {9, (uint8_t)n};
	struct weft_peer *peer = weft_peer_find(s->dev, key);

	if (peer) {
		weft_peer_remove(s->dev, peer);
		return;
	}
	CHECK(weft_peer_add(s->dev, key, &peer) == 0);
	CHECK(weft_peer_allow(s->dev, peer, &p) == 0);
	if (n % 2)
		weft_peer_set_endpoint(s->dev, peer, &s->other->addr, atomic_load(&now_ns));
}

static void change_something(struct side *s, unsigned round)
{
	struct weft_peer *peer = weft_peer_find(s->dev, s->other->public_key);
	const struct weft_prefix p = prefix_of(0, s->other->inner_last, 32);
	struct weft_endpoint moved = s->other->addr;
	struct weft_device_stats stats;
	struct weft_peer_info info;

	switch (round % 8) {
	case 0:
		moved.port = (uint16_t)(2 + round % 100);
		weft_peer_set_endpoint(s->dev, peer, &moved, atomic_load(&now_ns));
		break;
	case 1:
		weft_peer_disallow(s->dev, peer, &p);
		CHECK(weft_peer_allow(s->dev, peer, &p) == 0);
		break;
	case 2: /* a rekey out of its turn */
		atomic_store_explicit(&peer->handshake_sent_ns, 0, memory_order_relaxed);
		weft_send_initiation(peer, false, atomic_load(&now_ns));
		break;
	case 3:
		if (round % 128 == 3) {
			weft_peer_remove(s->dev, peer);
			add_other(s);
		}
		break;
	case 4:
		weft_peer_clear_source(peer);
		break;
	case 5:
		if (round % 256 == 5) {
			weft_device_down(s->dev, atomic_load(&now_ns));
			weft_device_up(s->dev, atomic_load(&now_ns));
		} else if (round % 256 == 133) {
			weft_device_set_static(s->dev, NULL, atomic_load(&now_ns));
			weft_device_set_static(s->dev, s->public_key, atomic_load(&now_ns));
		}
		break;
	case 6:
		weft_device_stats(s->dev, &stats);
		weft_peer_info(s->dev, peer, &info);
		weft_device_set_mtu(s->dev, 1300 + round % 100);
		break;
	default:
		toggle_extra(s, round / 8 % EXTRAS);
		break;
	}
}

int main(void)
{
	pthread_t threads[2 * THREADS];
	const struct timespec nap = {.tv_nsec = 500000};

	CHECK(weft_crypto_init() == 0);
	seed = unit_seed();
	for (unsigned i = 0; i < 2; i++)
		side_init(&side[i], i);
	for (unsigned i = 0; i < 2; i++)
		add_other(&side[i]);
	for (uintptr_t i = 0; i < THREADS; i++) {
		CHECK(pthread_create(&threads[i], NULL, tx_thread, (void *)i) == 0);
		CHECK(pthread_create(&threads[THREADS + i], NULL, rx_thread, (void *)i) == 0);
	}
	for (unsigned round = 0; round < ROUNDS; round++) {
		/* Minutes pass in a second, so that every timer has its turn. */
		atomic_fetch_add(&now_ns, 100 * WEFT_NS_PER_MS);
		for (unsigned i = 0; i < 2; i++) {
			(void)weft_device_run(side[i].dev, atomic_load(&now_ns), 16);
			change_something(&side[i], round + i * 3);
		}
		(void)nanosleep(&nap, NULL);
	}
	atomic_store(&done, true);
	for (unsigned i = 0; i < 2 * THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	for (unsigned i = 0; i < 2; i++) {
		struct side *s = &side[i];
		struct weft_device_stats stats;

		weft_device_stats(s->dev, &stats);
		printf("# side %u: delivered %u", i, atomic_load(&s->delivered));
		for (unsigned k = 0; k < WEFT_DROP_COUNT; k++) {
			if (stats.drops[k])
				printf(" %s=%llu", weft_drop_name(k),
				       (unsigned long long)stats.drops[k]);
		}
		printf("\n");
		CHECK(atomic_load(&s->delivered) > 1000);
		CHECK(stats.drops[WEFT_DROP_RX_REPLAY] > 0);
		for (unsigned k = 0; k < THREADS; k++) {
			weft_worker_free(s->tx[k]);
			weft_worker_free(s->rx[k]);
		}
		weft_device_free(s->dev);
		weft_crypto_free(s->crypto);
		CHECK(atomic_load(&s->blocks) == 0);
	}
	return 0;
}
