/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every timer and every limit in time (WireGuard paper, 6.1 to 6.5), on a virtual clock, seen from
 * outside: what is sent, and when.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/messages.h"
#include "core/peer.h"
#include "world.h"

#define S  WEFT_NS_PER_S
#define MS WEFT_NS_PER_MS

static struct world w;
static struct node *a = &w.node[0], *b = &w.node[1];

static int setup(void **state)
{
	(void)state;
	world_init(&w, 2);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_fini(&w);
	return 0;
}

/* A session that `a` initiated, confirmed, with nothing pending. */
static uint64_t begin(void)
{
	world_connect(a, b);
	(void)world_send(a, b, 0);
	world_settle(&w);
	assert_int_equal(b->received, 1);
	/* Stops a's wait for an answer and b's wait for something to send. */
	assert_int_equal(world_send(b, a, 0), 0);
	world_settle(&w);
	return w.now_ns;
}

/* A handshake without an answer: every 5 s and up to 334 ms, for 90 s, then silence. */
static void test_retransmit(void **state)
{
	uint64_t start, last;
	struct weft_peer_info info;

	(void)state;
	world_connect(a, b);
	b->cut = true;
	start = last = w.now_ns;
	assert_int_equal(world_send(a, b, 0), WEFT_E_NO_SESSION);
	world_settle(&w);
	for (unsigned n = 1; n < 20; n++) {
		assert_int_equal(a->sent[1], n);
		world_advance(&w, 4999 * MS - (w.now_ns - last));
		assert_int_equal(a->sent[1], n);
		world_advance(&w, 340 * MS);
		assert_int_equal(a->sent[1], n + 1);
		assert_in_range(a->sent_ns[1] - last, 5 * S, 5 * S + 336 * MS);
		last = a->sent_ns[1];
	}
	assert_int_equal(a->events[WEFT_EVENT_PEER_SILENT], 0);
	world_advance(&w, 6 * S);
	assert_in_range(w.now_ns - start, 90 * S, 115 * S);
	assert_int_equal(a->events[WEFT_EVENT_PEER_SILENT], 1);
	assert_int_equal(world_drops(a, WEFT_DROP_TX_HANDSHAKE_FAILED), 1);
	world_advance(&w, 530 * S);
	assert_int_equal(a->sent[1], 20);
	assert_int_equal(a->events[WEFT_EVENT_KEYS_ZEROED], 0);
	world_advance(&w, 20 * S);
	assert_int_equal(a->events[WEFT_EVENT_KEYS_ZEROED], 1);
	info = world_info(a, b);
	assert_int_equal(info.handshakes_failed, 1);
	assert_int_equal(info.handshakes_initiated, 20);
	assert_int_equal(info.handshakes_unanswered, 20);
	assert_int_equal(info.up_since_ns, 0);
	/* Traffic begins it all anew. */
	assert_int_equal(world_send(a, b, 0), WEFT_E_NO_SESSION);
	world_settle(&w);
	assert_int_equal(a->sent[1], 21);
}

/* As long as packets come that want to go out, trying does not end. */
static void test_traffic_keeps_trying(void **state)
{
	(void)state;
	world_connect(a, b);
	b->cut = true;
	for (unsigned i = 0; i < 200; i++) {
		(void)world_send(a, b, 0);
		world_advance(&w, S);
	}
	assert_in_range(a->sent[1], 36, 41);
	assert_int_equal(a->events[WEFT_EVENT_PEER_SILENT], 0);
	assert_int_equal(world_info(a, b).handshakes_unanswered, a->sent[1]);
	b->cut = false;
	world_advance(&w, 10 * S);
	assert_int_equal(world_info(a, b).handshakes_unanswered, 0);
}

static void test_initiator_rekeys_on_send(void **state)
{
	uint64_t start = begin(), up;

	(void)state;
	for (unsigned i = 0; i < 119; i++) {
		world_advance(&w, S);
		assert_int_equal(world_send(a, b, 0), 0);
		assert_int_equal(world_send(b, a, 0), 0);
	}
	world_settle(&w);
	assert_int_equal(a->sent[1] + b->sent[1], 1);
	up = world_info(a, b).up_since_ns;
	assert_in_range(up, start - S, w.now_ns - 118 * S);
	/* The responder does not, however old the session is. */
	world_advance(&w, 2 * S);
	assert_int_equal(world_send(b, a, 0), 0);
	world_settle(&w);
	assert_int_equal(a->sent[1] + b->sent[1], 1);
	assert_int_equal(world_send(a, b, 0), 0);
	world_settle(&w);
	assert_int_equal(a->sent[1], 2);
	assert_int_equal(b->sent[1], 0);
	assert_in_range(a->sent_ns[1] - start, 120 * S, 122 * S);
	assert_int_equal(a->events[WEFT_EVENT_PEER_REKEYED], 1);
	assert_int_equal(b->events[WEFT_EVENT_PEER_REKEYED], 1);
	assert_int_equal(world_info(a, b).up_since_ns, up);
	/* One that begins when the last is over follows none. */
	world_advance(&w, 300 * S);
	assert_int_equal(world_send(a, b, 0), WEFT_E_NO_SESSION);
	world_settle(&w);
	assert_int_equal(a->events[WEFT_EVENT_PEER_REKEYED], 1);
	assert_in_range(world_info(a, b).up_since_ns, w.now_ns - 2 * S, w.now_ns);
	assert_in_range(world_info(b, a).up_since_ns, w.now_ns - 2 * S, w.now_ns);
}

static void test_initiator_rekeys_on_receive(void **state)
{
	(void)state;
	begin();
	world_advance(&w, 164 * S);
	w.hold = true;
	/* Only received; and what comes back is the empty packet after 10 s at the earliest. */
	assert_int_equal(world_send(b, a, 0), 0);
	w.hold = false;
	world_settle(&w);
	assert_int_equal(a->sent[1], 1);
	world_advance(&w, 1500 * MS);
	b->cut = false;
	assert_int_equal(world_send(b, a, 0), 0);
	world_settle(&w);
	assert_int_equal(a->sent[1], 2);
	assert_int_equal(world_info(a, b).handshakes_completed, 2);
}

/* Once per session, not once per packet: after that, only the timers try again. */
static void test_lastminute_once(void **state)
{
	struct datagram d[8];

	(void)state;
	begin();
	world_advance(&w, 166 * S);
	w.hold = true;
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(world_send(b, a, 0), 0);
		d[i] = w.wire[i];
	}
	w.wire_len = 0;
	a->cut = true;
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(world_feed(a, &d[i]), 0);
		world_settle(&w);
	}
	assert_int_equal(a->sent[1], 2);
}

static void test_reject_after(void **state)
{
	(void)state;
	begin();
	b->cut = true;
	world_advance(&w, 100 * S);
	w.hold = true;
	b->cut = false;
	assert_int_equal(world_send(a, b, 0), 0);
	assert_int_equal(w.wire_len, 1);
	/* 179.9 s after its birth a session still receives and sends; 180 s after, neither. */
	b->cut = true;
	w.hold = false;
	w.now_ns += 79900 * MS;
	b->cut = false;
	assert_int_equal(world_send(a, b, 0), 0);
	{
		struct datagram first = w.wire[0], second = w.wire[1];

		w.wire_len = 0;
		assert_int_equal(world_feed(b, &first), 0);
		w.now_ns += 100 * MS;
		assert_int_equal(world_feed(b, &second), WEFT_E_DROP);
	}
	assert_int_equal(world_drops(b, WEFT_DROP_RX_EXPIRED), 1);
	assert_int_equal(world_send(a, b, 0), WEFT_E_NO_SESSION);
	assert_int_equal(world_send(b, a, 0), WEFT_E_NO_SESSION);
}

/* After data, and only after data, and once: no echo of empty packets. */
static void test_passive_keepalive(void **state)
{
	uint64_t start;

	(void)state;
	start = begin();
	assert_int_equal(world_send(a, b, 0), 0);
	world_settle(&w);
	b->sent[4] = a->sent[4] = 0;
	world_advance(&w, 9990 * MS);
	assert_int_equal(a->keepalives, 0);
	world_advance(&w, 20 * MS);
	assert_int_equal(a->keepalives, 1);
	assert_in_range(b->sent_ns[4] - start, 10 * S, 10 * S + 2 * MS);
	world_advance(&w, 100 * S);
	assert_int_equal(b->sent[4], 1);
	assert_int_equal(a->sent[4], 0);
	assert_int_equal(a->sent[1] + b->sent[1], 1);
}

/* What the owner sends by itself is an answer too: no empty packet on top of it. */
static void test_owner_sends_count(void **state)
{
	(void)state;
	begin();
	weft_peer_set_keepalive(b->dev, world_find(b, a), 7, w.now_ns);
	world_settle(&w);
	assert_int_equal(world_send(a, b, 0), 0);
	world_settle(&w);
	b->sent[4] = 0;
	world_advance(&w, 12 * S);
	assert_int_equal(b->sent[4], 1);
}

/* The sticky source may be why nobody answers: each retry lets the routes choose anew. */
static void test_retry_forgets_source(void **state)
{
	(void)state;
	begin();
	assert_int_equal(world_info(a, b).endpoint.local.family, WEFT_IPV4);
	b->cut = true;
	world_advance(&w, 200 * S);
	weft_peer_set_keepalive(a->dev, world_find(a, b), 25, w.now_ns);
	world_advance(&w, S);
	assert_int_equal(world_info(a, b).endpoint.local.family, WEFT_IPV4);
	world_advance(&w, 5 * S);
	assert_int_equal(world_info(a, b).endpoint.local.family, WEFT_NONE);
	assert_int_equal(world_info(a, b).endpoint.port, b->addr.port);
}

/* Data that went unanswered by anything for 15 s: a new handshake. */
static void test_new_handshake(void **state)
{
	uint64_t sent;

	(void)state;
	begin();
	world_advance(&w, 30 * S);
	b->cut = true;
	a->sent[1] = 0;
	sent = w.now_ns;
	for (unsigned i = 0; i < 14; i++) {
		assert_int_equal(world_send(a, b, 0), 0);
		world_advance(&w, S);
	}
	assert_int_equal(a->sent[1], 0);
	world_advance(&w, 1500 * MS);
	assert_int_equal(a->sent[1], 1);
	assert_in_range(a->sent_ns[1] - sent, 15 * S, 15 * S + 336 * MS);
	/* An answer in time, even an empty one: none. */
	b->cut = false;
	world_advance(&w, 30 * S);
	a->sent[1] = 0;
	for (unsigned i = 0; i < 60; i++) {
		assert_int_equal(world_send(a, b, 0), 0);
		world_advance(&w, S);
	}
	assert_int_equal(a->sent[1], 0);
}

static void test_persistent_keepalive(void **state)
{
	(void)state;
	begin();
	world_advance(&w, 60 * S);
	weft_peer_set_keepalive(a->dev, world_find(a, b), 25, w.now_ns);
	world_settle(&w);
	a->sent[4] = 0;
	world_advance(&w, 24900 * MS);
	assert_int_equal(a->sent[4], 0);
	world_advance(&w, 200 * MS);
	assert_int_equal(a->sent[4], 1);
	/* Anything else starts the interval anew. */
	world_advance(&w, 20 * S);
	assert_int_equal(world_send(a, b, 0), 0);
	world_advance(&w, 9 * S);
	assert_int_equal(a->sent[4], 2);
	weft_peer_set_keepalive(a->dev, world_find(a, b), 0, w.now_ns);
	world_advance(&w, 60 * S);
	assert_int_equal(a->sent[4], 2);
	/* It holds the session for ever, whatever happens. */
	weft_peer_set_keepalive(a->dev, world_find(a, b), 25, w.now_ns);
	world_advance(&w, 3600 * S);
	assert_int_equal(world_send(a, b, 0), 0);
	assert_in_range(a->sent[1], 20, 35);
}

/* 540 s after the last session: keys wiped, their memory given back. */
static void test_zero_keys(void **state)
{
	size_t before = a->mem.bytes;

	(void)state;
	begin();
	world_advance(&w, 539 * S);
	assert_int_equal(a->events[WEFT_EVENT_KEYS_ZEROED], 0);
	assert_int_equal(b->events[WEFT_EVENT_KEYS_ZEROED], 0);
	world_advance(&w, 2 * S);
	assert_int_equal(a->events[WEFT_EVENT_KEYS_ZEROED], 1);
	assert_int_equal(b->events[WEFT_EVENT_KEYS_ZEROED], 1);
	assert_null(world_find(a, b)->sessions.block);
	assert_true(a->mem.bytes < before + 65536);
	assert_int_equal(weft_device_next_ns(a->dev), WEFT_NEVER);
}

/* 2^60 messages: either side renews, without waiting for 120 s. */
static void test_rekey_after_messages(void **state)
{
	struct weft_keypair *kp;

	(void)state;
	begin();
	world_advance(&w, 10 * S);
	kp = atomic_load(&world_find(b, a)->sessions.current);
	atomic_store(&kp->send_counter, WEFT_REKEY_AFTER_MESSAGES);
	assert_int_equal(world_send(b, a, 0), 0);
	world_settle(&w);
	assert_int_equal(b->sent[1], 1);
	assert_int_equal(world_info(b, a).handshakes_completed, 2);
}

/* The counter's end: nothing more is sent under this session; the packet waits for another. */
static void test_reject_after_messages(void **state)
{
	struct weft_keypair *kp;

	(void)state;
	begin();
	world_advance(&w, 10 * S);
	kp = atomic_load(&world_find(a, b)->sessions.current);
	atomic_store(&kp->send_counter, WEFT_REJECT_AFTER_MESSAGES - 1);
	assert_int_equal(world_send(a, b, 0), 0);
	assert_int_equal(world_send(a, b, 0), WEFT_E_NO_SESSION);
	assert_int_equal(world_send(a, b, 0), WEFT_E_NO_SESSION);
	world_settle(&w);
	/* The one at the last counter, and the two that waited. */
	assert_int_equal(b->received, 4);
	assert_int_equal(world_info(a, b).handshakes_completed, 2);
}

/* Sessions come and go under traffic both ways, and nothing is lost. */
static void test_hours(void **state)
{
	unsigned sent = 0;

	(void)state;
	begin();
	for (unsigned i = 0; i < 3 * 3600; i++) {
		sent += world_send(a, b, 0) == 0;
		(void)world_send(b, a, 0);
		world_advance(&w, S);
	}
	assert_int_equal(sent, 3 * 3600);
	assert_int_equal(b->received, sent + 1);
	assert_int_equal(a->received, sent + 1);
	assert_in_range(a->sent[1] + b->sent[1], 85, 92);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
		T(test_retransmit),
		T(test_traffic_keeps_trying),
		T(test_initiator_rekeys_on_send),
		T(test_initiator_rekeys_on_receive),
		T(test_lastminute_once),
		T(test_reject_after),
		T(test_passive_keepalive),
		T(test_owner_sends_count),
		T(test_retry_forgets_source),
		T(test_new_handshake),
		T(test_persistent_keepalive),
		T(test_zero_keys),
		T(test_rekey_after_messages),
		T(test_reject_after_messages),
		T(test_hours),
#undef T
	};

	if (weft_crypto_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("timers", tests, NULL, NULL);
}
