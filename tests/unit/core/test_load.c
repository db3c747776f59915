/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Under load: junk in the handshake queue, cookies, the rate limiter, floods of initiations
 * (WireGuard paper, 5.3 and 5.4.7), and an honest peer that connects all the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/cookie.h"
#include "core/messages.h"
#include "core/peer.h"
#include "util/cursor.h"
#include "world.h"

static struct world w;
static struct node *a = &w.node[0], *b = &w.node[1];
static struct weft_cookie_peer maker; /* macs for b, by someone who knows its public key */

static int setup(void **state)
{
	(void)state;
	world_init(&w, 2);
	assert_int_equal(weft_cookie_peer_init(&maker, a->crypto, b->public_key), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_fini(&w);
	return 0;
}

/* An initiation with a right mac1 and nothing else right, from 198.51.100.<host>. */
static struct datagram junk(uint8_t host)
{
	struct datagram d = {.len = WEFT_MSG_INITIATION_LEN, .to = b->addr};

	for (size_t i = 0; i < d.len; i++)
		d.pkt[i] = (uint8_t)unit_random(&w.seed);
	weft_put_le32(d.pkt, WEFT_MSG_INITIATION);
	d.from.ip = (struct weft_ip){.b = {198, 51, 100, host}, .family = WEFT_IPV4};
	d.from.port = 1000;
	assert_int_equal(weft_cookie_add_macs(&maker, a->crypto, d.pkt, d.len, w.now_ns), 0);
	return d;
}

static void load(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct datagram d = junk((uint8_t)i);

		(void)world_feed(b, &d);
	}
}

/* What the owner sends in one round goes out together, in calls of bounded size, and is counted. */
static void test_answers_together(void **state)
{
	struct weft_device_stats stats;

	(void)state;
	weft_device_up(b->dev, w.now_ns);
	load(20);
	assert_false(weft_device_run(b->dev, w.now_ns, 64));
	weft_device_stats(b->dev, &stats);
	assert_int_equal(stats.cookies_sent, 20);
	assert_int_equal(b->sent[WEFT_MSG_COOKIE], 20);
	assert_int_equal(w.wire_len, 20);
	assert_int_equal(w.wire[19].to.ip.b[3], 19);
	assert_int_equal(b->most_at_once, WEFT_OUTBOX_PKTS);
	assert_int_equal(b->send_calls, (20 + WEFT_OUTBOX_PKTS - 1) / WEFT_OUTBOX_PKTS);
	/* nothing stays behind when there is nothing more to do */
	load(1);
	assert_false(weft_device_run(b->dev, w.now_ns, 64));
	assert_int_equal(w.wire_len, 21);
	/* each has a result of its own */
	b->send_error = -ENOBUFS;
	load(3);
	assert_false(weft_device_run(b->dev, w.now_ns, 64));
	weft_device_stats(b->dev, &stats);
	assert_int_equal(stats.cookies_sent, 21);
	assert_int_equal(world_drops(b, WEFT_DROP_TX_SOCKET), 3);
}

static void test_mac1_first(void **state)
{
	struct weft_device_stats stats;
	struct datagram d = junk(1);

	(void)state;
	weft_device_up(b->dev, w.now_ns);
	d.pkt[120] ^= 1;
	assert_int_equal(world_feed(b, &d), WEFT_E_DROP);
	assert_int_equal(world_drops(b, WEFT_DROP_RX_MAC1), 1);
	weft_device_stats(b->dev, &stats);
	assert_int_equal(stats.handshakes_queued, 0);
	d.pkt[120] ^= 1;
	assert_int_equal(world_feed(b, &d), 1);
	world_settle(&w);
	assert_int_equal(world_drops(b, WEFT_DROP_RX_HANDSHAKE), 1);
	/* Responses and cookie replies that nobody waits for take no place either. */
	d.len = WEFT_MSG_RESPONSE_LEN;
	weft_put_le32(d.pkt, WEFT_MSG_RESPONSE);
	assert_int_equal(weft_cookie_add_macs(&maker, a->crypto, d.pkt, d.len, w.now_ns), 0);
	assert_int_equal(world_feed(b, &d), WEFT_E_DROP);
	d.len = WEFT_MSG_COOKIE_LEN;
	weft_put_le32(d.pkt, WEFT_MSG_COOKIE);
	assert_int_equal(world_feed(b, &d), WEFT_E_DROP);
	assert_int_equal(world_drops(b, WEFT_DROP_RX_NO_INDEX), 2);
	/* The queue is bounded. */
	load(70);
	assert_int_equal(world_drops(b, WEFT_DROP_RX_QUEUE_FULL), 6);
}

static void test_honest_peer_under_load(void **state)
{
	struct weft_device_stats stats;

	(void)state;
	world_connect(a, b);
	load(20);
	w.hold = true;
	world_settle(&w);
	assert_int_equal(b->events[WEFT_EVENT_UNDER_LOAD_BEGIN], 1);
	/* Long queue: cookies. The last ones: still under load, for a second. */
	assert_int_equal(b->sent[3], 20);
	w.wire_len = 0;
	w.hold = false;
	assert_int_equal(world_send(a, b, 0), WEFT_E_NO_SESSION);
	world_settle(&w);
	assert_int_equal(b->sent[3], 21);
	assert_int_equal(b->sent[2], 0);
	assert_int_equal(world_info(a, b).cookies_received, 1);
	assert_int_equal(a->events[WEFT_EVENT_ENDPOINT_MOVED], 0);
	/* The flood goes on; the retry carries the cookie, and comes soon, but once. */
	for (unsigned i = 0; i < 60 && !b->received; i++) {
		load(20);
		world_advance(&w, 100 * WEFT_NS_PER_MS);
	}
	assert_int_equal(b->received, 1);
	assert_int_equal(a->sent[1], 2);
	assert_int_equal(b->events[WEFT_EVENT_UNDER_LOAD_BEGIN], 1);
	assert_int_equal(b->events[WEFT_EVENT_UNDER_LOAD_END], 0);
	world_advance(&w, 2 * WEFT_NS_PER_S);
	assert_int_equal(b->events[WEFT_EVENT_UNDER_LOAD_END], 1);
	weft_device_stats(b->dev, &stats);
	assert_in_range(stats.under_load_ns, WEFT_NS_PER_S, 2 * WEFT_NS_PER_S);
}

/* Cookies that lead to nothing: one early retry between two that are due. */
static void test_cookies_do_not_amplify(void **state)
{
	(void)state;
	world_connect(a, b);
	/* b asks for cookies, and forgets what it gave (its secret is new each time). */
	(void)world_send(a, b, 0);
	for (unsigned i = 0; i < 3000; i++) {
		load(8);
		b->dev->checker.has_secret = false;
		world_advance(&w, 10 * WEFT_NS_PER_MS);
	}
	assert_int_equal(b->received, 0);
	assert_in_range(a->sent[1], 10, 12);
	assert_in_range(world_info(a, b).cookies_received, 10, 12);
}

/* A cookie reply from elsewhere, or with a bit off, changes nothing; roaming least of all. */
static void test_no_roaming_on_cookie(void **state)
{
	struct datagram d;

	(void)state;
	world_connect(a, b);
	load(20);
	w.hold = true;
	world_settle(&w);
	w.wire_len = 0;
	assert_int_equal(world_send(a, b, 0), WEFT_E_NO_SESSION);
	world_settle(&w);
	assert_int_equal(w.wire_len, 1);
	d = w.wire[0];
	assert_int_equal(world_feed(b, &d), 1);
	w.wire_len = 0;
	world_settle(&w);
	assert_int_equal(w.wire_len, 1);
	d = w.wire[0];
	w.wire_len = 0;
	d.from.port = 9;
	d.pkt[50] ^= 1;
	assert_int_equal(world_feed(a, &d), 1);
	world_settle(&w);
	assert_int_equal(world_drops(a, WEFT_DROP_RX_COOKIE), 1);
	d.pkt[50] ^= 1;
	assert_int_equal(world_feed(a, &d), 1);
	world_settle(&w);
	assert_int_equal(world_info(a, b).cookies_received, 1);
	assert_int_equal(world_info(a, b).endpoint.port, b->addr.port);
	assert_int_equal(world_info(a, b).last_received_ns, 0);
}

/* With a cookie, a source still gets no more than its rate. */
static void test_rate_limit(void **state)
{
	struct datagram d, reply;

	(void)state;
	weft_device_up(b->dev, w.now_ns);
	w.hold = true;
	load(20);
	world_settle(&w);
	w.wire_len = 0;
	d = junk(1);
	(void)world_feed(b, &d);
	world_settle(&w);
	reply = w.wire[0];
	w.wire_len = 0;
	assert_int_equal(weft_cookie_consume(&maker, a->crypto, reply.pkt, reply.len, w.now_ns), 0);
	for (unsigned i = 0; i < 10; i++) {
		d = junk(1);
		assert_int_equal(world_feed(b, &d), 1);
	}
	world_settle(&w);
	assert_int_equal(world_drops(b, WEFT_DROP_RX_RATELIMIT), 5);
	assert_int_equal(world_drops(b, WEFT_DROP_RX_HANDSHAKE), 5);
	/* The same cookie from another port or address is none. */
	d = junk(2);
	assert_int_equal(world_feed(b, &d), 1);
	d = junk(1);
	d.from.port = 1001;
	assert_int_equal(world_feed(b, &d), 1);
	world_settle(&w);
	assert_int_equal(b->sent[3], 20 + 1 + 2);
}

/* One flow that sends junk needs a cookie long before the queue is long; others do not. */
static void test_suspect(void **state)
{
	struct datagram d;

	(void)state;
	world_connect(a, b);
	w.hold = true;
	for (unsigned i = 0; i < 100; i++) {
		d = junk(1);
		assert_int_equal(world_feed(b, &d), 1);
		world_settle(&w);
	}
	assert_int_equal(b->events[WEFT_EVENT_UNDER_LOAD_BEGIN], 0);
	assert_int_equal(world_drops(b, WEFT_DROP_RX_HANDSHAKE), 20);
	assert_int_equal(b->sent[3], 80);
	/* Also in its name, with the cookie: worked on. */
	assert_int_equal(
		weft_cookie_consume(&maker, a->crypto, w.wire[79].pkt, w.wire[79].len, w.now_ns),
		0);
	d = junk(1);
	assert_int_equal(world_feed(b, &d), 1);
	world_settle(&w);
	assert_int_equal(world_drops(b, WEFT_DROP_RX_HANDSHAKE), 21);
	w.wire_len = 0;
	w.hold = false;
	(void)world_send(a, b, 0);
	world_settle(&w);
	assert_int_equal(b->received, 1);
	/* A second without: forgotten. */
	weft_cookie_peer_clear(&maker);
	assert_int_equal(weft_cookie_peer_init(&maker, a->crypto, b->public_key), 0);
	w.now_ns += WEFT_SUSPECT_HOLD_NS;
	d = junk(1);
	assert_int_equal(world_feed(b, &d), 1);
	world_settle(&w);
	assert_int_equal(world_drops(b, WEFT_DROP_RX_HANDSHAKE), 22);
}

/* The right private key, but too often: one initiation in 20 ms is worked on. */
static void test_initiation_flood(void **state)
{
	struct weft_peer *peer;

	(void)state;
	world_connect(a, b);
	peer = world_find(a, b);
	for (unsigned i = 0; i < 5; i++) {
		atomic_store(&peer->handshake_sent_ns, 0);
		weft_send_initiation(peer, false, w.now_ns);
		world_settle(&w);
		w.now_ns += 2 * WEFT_NS_PER_MS;
	}
	assert_int_equal(a->sent[1], 5);
	assert_int_equal(b->sent[2], 1);
	assert_int_equal(world_drops(b, WEFT_DROP_RX_FLOOD), 4);
	w.now_ns += 20 * WEFT_NS_PER_MS;
	atomic_store(&peer->handshake_sent_ns, 0);
	weft_send_initiation(peer, false, w.now_ns);
	world_settle(&w);
	assert_int_equal(b->sent[2], 2);
}

/* The wall clock goes back by a day: timestamps grow all the same. */
static void test_clock_goes_back(void **state)
{
	(void)state;
	world_connect(a, b);
	(void)world_send(a, b, 0);
	world_settle(&w);
	w.wall_sec -= 86400;
	world_advance(&w, 121 * WEFT_NS_PER_S);
	assert_int_equal(world_send(a, b, 0), 0);
	world_settle(&w);
	assert_int_equal(world_drops(b, WEFT_DROP_RX_TIMESTAMP), 0);
	assert_int_equal(world_info(a, b).handshakes_completed, 2);
}

/* An old initiation, replayed, is answered by nothing. */
static void test_replayed_initiation(void **state)
{
	struct datagram d;

	(void)state;
	world_connect(a, b);
	w.hold = true;
	(void)world_send(a, b, 0);
	world_settle(&w);
	d = w.wire[0];
	w.hold = false;
	world_settle(&w);
	assert_int_equal(b->received, 1);
	w.now_ns += WEFT_NS_PER_S;
	assert_int_equal(world_feed(b, &d), 1);
	world_settle(&w);
	assert_int_equal(world_drops(b, WEFT_DROP_RX_TIMESTAMP), 1);
	assert_int_equal(b->sent[2], 1);
	/* The session stands. */
	assert_int_equal(world_send(a, b, 0), 0);
	world_settle(&w);
	assert_int_equal(b->received, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
		T(test_answers_together),
		T(test_mac1_first),
		T(test_honest_peer_under_load),
		T(test_rate_limit),
		T(test_no_roaming_on_cookie),
		T(test_initiation_flood),
		T(test_clock_goes_back),
		T(test_replayed_initiation),
		T(test_suspect),
		T(test_cookies_do_not_amplify),
#undef T
	};

	if (weft_crypto_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("load", tests, NULL, NULL);
}
