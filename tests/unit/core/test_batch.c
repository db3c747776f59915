/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many packets at once: sealed with counters that follow each other, opened together, accepted one
 * by one; and what may happen to a session between opening and accepting.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/peer.h"
#include "util/cursor.h"
#include "world.h"

#define MANY 150 /* more than two batches */
#define ROOM 256

static struct world w;
static struct node *a = &w.node[0], *b = &w.node[1], *c = &w.node[2];
static uint8_t bufs[MANY][ROOM];
static struct weft_tx_item sent[MANY];
static struct weft_rx_item got[MANY];

static int setup(void **state)
{
	(void)state;
	world_init(&w, 3);
	for (unsigned i = 1; i < 3; i++) {
		world_connect(a, &w.node[i]);
		assert_int_equal(world_send(a, &w.node[i], 0), WEFT_E_NO_SESSION);
		world_settle(&w);
		assert_int_equal(world_send(&w.node[i], a, 0), 0);
		world_settle(&w);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_fini(&w);
	return 0;
}

/* An inner packet from `from` to `to`, with its number in it. */
static size_t inner(uint8_t *p, const struct node *from, const struct node *to, unsigned number,
		    uint8_t ecn)
{
	size_t len = 24 + number % 100;

	memset(p, 0, len);
	p[0] = 0x45;
	p[1] = ecn;
	p[3] = (uint8_t)len;
	p[8] = 64;
	p[12] = p[16] = 10;
	p[15] = (uint8_t)(from->number + 1);
	p[19] = (uint8_t)(to->number + 1);
	weft_put_le32(p + 20, number);
	return len;
}

/* Fills bufs[first...] and sent[first...] with sealed packets of `from` to `to`. */
static unsigned seal(struct node *from, struct node *to, unsigned first, unsigned n)
{
	unsigned sealed;
	struct weft_tx tx;

	for (unsigned i = first; i < first + n; i++)
		sent[i] = (struct weft_tx_item){
			.buf = bufs[i], .inner_len = inner(bufs[i] + 16, from, to, i, i % 4)};
	weft_worker_enter(from->worker, w.now_ns);
	assert_int_equal(
		weft_tx_begin(from->worker, bufs[first] + 16, sent[first].inner_len, 1, &tx), 0);
	sealed = weft_tx_seal_many(from->worker, &tx, sent + first, n);
	weft_worker_leave(from->worker);
	return sealed;
}

static void prepare(struct node *from, unsigned first, unsigned n)
{
	for (unsigned i = first; i < first + n; i++)
		got[i] = (struct weft_rx_item){
			.pkt = bufs[i], .len = sent[i].len, .from = &from->addr, .result = 99};
}

static unsigned open(struct node *at, unsigned n)
{
	unsigned opened;

	weft_worker_enter(at->worker, w.now_ns);
	opened = weft_rx_open_many(at->worker, got, n);
	weft_worker_leave(at->worker);
	return opened;
}

static int accept_one(struct node *at, unsigned i, struct weft_rx *rx)
{
	int r;

	weft_worker_enter(at->worker, w.now_ns);
	r = weft_rx_accept(at->worker, &got[i], rx);
	weft_worker_leave(at->worker);
	return r;
}

static void test_round_trip(void **state)
{
	uint64_t first;
	struct weft_rx rx;

	(void)state;
	assert_int_equal(seal(a, b, 0, MANY), MANY);
	first = weft_get_le64(bufs[0] + 8);
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(sent[i].result, 0);
		assert_int_equal(sent[i].tos, i % 4);
		assert_int_equal(sent[i].len, weft_tx_datagram_len(a->worker, sent[i].inner_len));
		assert_int_equal(weft_get_le64(bufs[i] + 8), first + i);
	}
	prepare(a, 0, MANY);
	for (unsigned i = 0; i < MANY; i++)
		got[i].tos = i % 4;
	assert_int_equal(open(b, MANY), MANY);
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(got[i].result, 0);
		assert_int_equal(accept_one(b, i, &rx), 0);
		assert_ptr_equal(rx.peer, world_find(b, a));
		assert_int_equal(rx.inner_len, sent[i].inner_len);
		assert_int_equal(weft_get_le32(rx.inner + 20), i);
	}
	/* accepting twice is a replay, as is opening what was accepted */
	assert_int_equal(accept_one(b, 5, &rx), WEFT_E_DROP);
	assert_int_equal(open(b, 1), 0);
	assert_int_equal(world_drops(b, WEFT_DROP_RX_REPLAY), 2);
}

/* Sessions that alternate, junk in between, the same packet twice in one batch. */
static void test_mixed(void **state)
{
	struct weft_rx rx;

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		struct node *from = i / 3 % 2 ? c : b;

		assert_int_equal(seal(from, a, i, 1), 1);
		prepare(from, i, 1);
	}
	bufs[4][30] ^= 1;
	got[7].len = 31;
	weft_put_le32(bufs[9] + 4, 0x12345678);
	memcpy(bufs[11], bufs[10], ROOM);
	got[11] = got[10];
	got[11].pkt = bufs[11];
	assert_int_equal(open(a, 20), 17);
	for (unsigned i = 0; i < 20; i++) {
		bool bad = i == 4 || i == 7 || i == 9;

		assert_int_equal(got[i].result, bad ? WEFT_E_DROP : 0);
		if (bad)
			continue;
		assert_int_equal(accept_one(a, i, &rx), i == 11 ? WEFT_E_DROP : 0);
		if (i != 11)
			assert_ptr_equal(rx.peer, world_find(a, i / 3 % 2 ? c : b));
	}
	assert_int_equal(world_drops(a, WEFT_DROP_RX_AUTH), 1);
	assert_int_equal(world_drops(a, WEFT_DROP_RX_MALFORMED), 1);
	assert_int_equal(world_drops(a, WEFT_DROP_RX_NO_INDEX), 1);
	assert_int_equal(world_drops(a, WEFT_DROP_RX_REPLAY), 1);
}

/* Nothing of the peer moves before a packet is accepted. */
static void test_opening_changes_nothing(void **state)
{
	struct weft_rx rx;
	uint64_t before;

	(void)state;
	assert_int_equal(seal(a, b, 0, 3), 3);
	prepare(a, 0, 3);
	before = world_info(b, a).rx_bytes;
	assert_int_equal(open(b, 3), 3);
	assert_int_equal(world_info(b, a).rx_bytes, before);
	assert_int_equal(accept_one(b, 1, &rx), 0);
	assert_int_equal(world_info(b, a).rx_bytes, before + sent[1].len);
}

static void test_session_gone(void **state)
{
	struct weft_rx rx;

	(void)state;
	assert_int_equal(seal(a, b, 0, 2), 2);
	prepare(a, 0, 2);
	assert_int_equal(open(b, 2), 2);
	weft_peer_remove(b->dev, world_find(b, a));
	assert_int_equal(accept_one(b, 0, &rx), WEFT_E_DROP);
	(void)weft_device_run(b->dev, w.now_ns, 16);
	assert_int_equal(accept_one(b, 1, &rx), WEFT_E_DROP);
	assert_int_equal(world_drops(b, WEFT_DROP_RX_NO_INDEX), 2);
}

/* Another session under the same index, even in the same slot, is told by its birth. */
static void test_session_replaced(void **state)
{
	struct weft_rx rx;

	(void)state;
	assert_int_equal(seal(a, b, 0, 2), 2);
	prepare(a, 0, 2);
	assert_int_equal(open(b, 2), 2);
	got[0].born_ns++;
	assert_int_equal(accept_one(b, 0, &rx), WEFT_E_DROP);
	got[1].keypair = NULL;
	assert_int_equal(accept_one(b, 1, &rx), WEFT_E_DROP);
	assert_int_equal(world_drops(b, WEFT_DROP_RX_NO_INDEX), 2);
	got[0].born_ns--;
	assert_int_equal(accept_one(b, 0, &rx), 0);
}

/* The counter ends inside a batch: what is below the limit goes out, the rest is for staging. */
static void test_counter_ends(void **state)
{
	struct weft_keypair *kp = atomic_load(&world_find(a, b)->sessions.current);

	(void)state;
	atomic_store(&kp->send_counter, WEFT_REJECT_AFTER_MESSAGES - 5);
	assert_int_equal(seal(a, b, 0, 20), 5);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(sent[i].result, i < 5 ? 0 : WEFT_E_NO_SESSION);
	assert_int_equal(weft_get_le64(bufs[4] + 8), WEFT_REJECT_AFTER_MESSAGES - 1);
	assert_false(weft_keypair_can_send(kp, w.now_ns));
	/* what was not sealed is as it was */
	assert_int_equal(bufs[7][16], 0x45);
	assert_int_equal(weft_get_le32(bufs[7] + 36), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
		T(test_round_trip),
		T(test_mixed),
		T(test_opening_changes_nothing),
		T(test_session_gone),
		T(test_session_replaced),
		T(test_counter_ends),
#undef T
	};

	if (weft_crypto_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("core-batch", tests, NULL, NULL);
}
