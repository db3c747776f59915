/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What peers cost in memory and in timers, counted, not timed: so many idle ones at once, and what
 * a session leaves behind when it has ended.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/peer.h"
#include "world.h"

#define PEERS     100000u
#define PEER_MOST 1024u /* bytes, everything counted */

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

static void key_of(unsigned i, uint8_t key[WEFT_KEY_LEN])
{
	uint64_t seed = i;

	for (unsigned n = 0; n < WEFT_KEY_LEN; n++)
		key[n] = (uint8_t)unit_random(&seed);
}

static void add(struct weft_device *dev, unsigned i)
{
	struct weft_prefix v4 = {
		.ip = {.b = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i},
		       .family = WEFT_IPV4},
		.len = 32};
	struct weft_prefix v6 = {.ip = {.b = {0xfd, 1, [13] = (uint8_t)(i >> 16),
					      [14] = (uint8_t)(i >> 8), [15] = (uint8_t)i},
					.family = WEFT_IPV6},
				 .len = 128};
	struct weft_endpoint e = {.ip = v4.ip, .port = 51820};
	uint8_t key[WEFT_KEY_LEN];
	struct weft_peer *peer;

	key_of(i, key);
	assert_int_equal(weft_peer_add(dev, key, &peer), 0);
	assert_int_equal(weft_peer_allow(dev, peer, &v4), 0);
	assert_int_equal(weft_peer_allow(dev, peer, &v6), 0);
	weft_peer_set_endpoint(dev, peer, &e, w.now_ns);
}

/* Peer, its place in the table, its endpoint, its timers, and two allowed IPs. */
static void test_bytes_a_peer(void **state)
{
	size_t before = a->mem.bytes;
	uint8_t key[WEFT_KEY_LEN];

	(void)state;
	weft_device_up(a->dev, w.now_ns);
	assert_int_equal(weft_device_reserve(a->dev, PEERS, 2 * PEERS), 0);
	for (unsigned i = 0; i < PEERS; i++)
		add(a->dev, i);
	assert_true((a->mem.bytes - before) / PEERS <= PEER_MOST);
	/* as long as nothing happens nobody has to look at them */
	(void)weft_device_run(a->dev, w.now_ns, 16);
	assert_true(weft_device_next_ns(a->dev) == WEFT_NEVER);

	for (unsigned i = 0; i < PEERS; i += 1000) {
		key_of(i, key);
		weft_peer_remove(a->dev, weft_peer_find(a->dev, key));
		assert_null(weft_peer_find(a->dev, key));
	}
}

/* One by one, as a hub grows: the tables grow in steps, and what they outgrew is given back. */
static void test_bytes_without_reserve(void **state)
{
	size_t before = a->mem.bytes;

	(void)state;
	for (unsigned i = 0; i < PEERS / 2; i++) {
		add(a->dev, i);
		(void)weft_device_run(a->dev, w.now_ns, 16);
	}
	/* a table may just have doubled; what was never used of it is not touched either */
	assert_true((a->mem.bytes - before) / (PEERS / 2) <= PEER_MOST + 256);
}

/* A handshake or session takes memory; 540 s after it no more of it is left. */
static void test_idle_again(void **state)
{
	struct weft_peer *peer;
	size_t before, talking;

	(void)state;
	world_connect(a, b);
	peer = world_find(a, b);
	before = a->mem.bytes;
	assert_null(peer->active);
	assert_int_equal(world_send(a, b, 0), WEFT_E_NO_SESSION);
	world_settle(&w);
	assert_int_equal(b->received, 1);
	talking = a->mem.bytes;
	assert_true(talking >= before + sizeof(struct weft_active));
	world_advance(&w, 700 * WEFT_NS_PER_S);
	assert_int_equal(a->events[WEFT_EVENT_KEYS_ZEROED], 1);
	assert_null(peer->active);
	assert_null(world_find(b, a)->active);
	assert_int_equal(a->mem.bytes, before);
	/* and again */
	assert_int_equal(world_send(a, b, 0), WEFT_E_NO_SESSION);
	world_settle(&w);
	assert_int_equal(b->received, 2);
	assert_int_equal(a->mem.bytes, talking);
}

/* Nobody answers: given up after 90 s, forgotten 540 s later. */
static void test_idle_after_failure(void **state)
{
	size_t before;

	(void)state;
	world_connect(a, b);
	before = a->mem.bytes;
	b->cut = true;
	assert_int_equal(world_send(a, b, 0), WEFT_E_NO_SESSION);
	world_settle(&w);
	assert_non_null(world_find(a, b)->active);
	world_advance(&w, 800 * WEFT_NS_PER_S);
	assert_null(world_find(a, b)->active);
	assert_int_equal(a->mem.bytes, before);
	assert_null(world_find(b, a)->active);
}

/* Who knows a peer's public key, but not its private one, makes nothing stay allocated. */
static void test_nothing_for_impostors(void **state)
{
	struct datagram d;
	size_t before;

	(void)state;
	world_connect(a, b);
	before = b->mem.bytes;
	w.hold = true;
	assert_int_equal(world_send(a, b, 0), WEFT_E_NO_SESSION);
	(void)weft_device_run(a->dev, w.now_ns, 16);
	assert_int_equal(w.wire_len, 1);
	d = w.wire[0];
	d.pkt[90] ^= 1; /* in the encrypted timestamp */
	{
		struct weft_cookie_peer maker;

		assert_int_equal(weft_cookie_peer_init(&maker, a->crypto, b->public_key), 0);
		assert_int_equal(weft_cookie_add_macs(&maker, a->crypto, d.pkt, d.len, w.now_ns),
				 0);
	}
	(void)world_feed(b, &d);
	(void)weft_device_run(b->dev, w.now_ns, 16);
	assert_int_equal(world_drops(b, WEFT_DROP_RX_HANDSHAKE), 1);
	assert_null(world_find(b, a)->active);
	assert_int_equal(b->mem.bytes, before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bytes_a_peer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bytes_without_reserve, setup, teardown),
		cmocka_unit_test_setup_teardown(test_idle_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_idle_after_failure, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_for_impostors, setup, teardown),
	};

	if (weft_crypto_init())
		return 1;
	return cmocka_run_group_tests_name("core-scale", tests, NULL, NULL);
}
