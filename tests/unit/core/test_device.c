/* SPDX-License-Identifier: Apache-2.0 */
/* What a device does, seen from outside: sessions, data, configuration, roaming, up and down. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "core/peer.h"
#include "crypto/internal.h"
#include "world.h"

static struct world w;
static struct node *a = &w.node[0], *b = &w.node[1], *c = &w.node[2];

static int setup(void **state)
{
	(void)state;
	world_init(&w, 3);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_fini(&w);
	return 0;
}

static void connect_and_talk(void)
{
	world_connect(a, b);
	assert_int_equal(world_send(a, b, 0), WEFT_E_NO_SESSION);
	world_settle(&w);
	assert_int_equal(b->received, 1);
	assert_int_equal(world_send(b, a, 0), 0);
	world_settle(&w);
	assert_int_equal(a->received, 1);
}

/* The packet that starts a handshake arrives after it, as the first one. */
static void test_session(void **state)
{
	struct weft_peer_info ia, ib;

	(void)state;
	connect_and_talk();
	assert_int_equal(a->sent[1], 1);
	assert_int_equal(b->sent[2], 1);
	assert_int_equal(a->last_tos[1], WEFT_TOS_HANDSHAKE);
	assert_int_equal(b->last_tos[2], WEFT_TOS_HANDSHAKE);
	assert_int_equal(b->last_len, 41);
	assert_memory_equal(b->last + 20, "what is said in private", 21);
	ia = world_info(a, b);
	ib = world_info(b, a);
	assert_int_equal(ia.last_handshake_sec, w.wall_sec + w.now_ns / WEFT_NS_PER_S);
	assert_int_equal(ib.last_handshake_sec, ia.last_handshake_sec);
	/* 41 bytes are padded to 48. */
	assert_int_equal(ia.tx_bytes, 148 + 80);
	assert_int_equal(ia.rx_bytes, 92 + 80);
	assert_int_equal(ib.tx_bytes, ia.rx_bytes);
	assert_int_equal(ib.rx_bytes, ia.tx_bytes);
	assert_int_equal(ia.handshakes_initiated, 1);
	assert_int_equal(ib.handshakes_answered, 1);
	assert_int_equal(ia.handshakes_completed, 1);
	assert_int_equal(ib.handshakes_completed, 1);
	assert_int_equal(a->events[WEFT_EVENT_PEER_UP], 1);
	assert_int_equal(b->events[WEFT_EVENT_PEER_UP], 1);
	assert_int_equal(world_send6(a, b), 0);
	world_settle(&w);
	assert_int_equal(b->received, 2);
	assert_int_equal(b->last_len, 50);
}

/* With nothing to say, the initiator confirms the session by an empty packet. */
static void test_confirmation(void **state)
{
	(void)state;
	world_connect(a, b);
	weft_peer_set_keepalive(a->dev, world_find(a, b), 25, w.now_ns);
	world_settle(&w);
	assert_int_equal(b->keepalives, 1);
	assert_int_equal(world_info(b, a).handshakes_completed, 1);
	assert_int_equal(world_send(b, a, 0), 0);
}

static void test_no_way(void **state)
{
	const uint8_t junk[60] = {0x12};
	struct weft_tx tx;

	(void)state;
	assert_int_equal(world_send(a, b, 0), WEFT_E_DOWN);
	assert_int_equal(world_drops(a, WEFT_DROP_TX_DOWN), 1);
	weft_device_up(a->dev, w.now_ns);
	assert_int_equal(world_send(a, b, 0), WEFT_E_NO_PEER);
	assert_int_equal(world_drops(a, WEFT_DROP_TX_NO_PEER), 1);
	(void)world_peer(a, b, false);
	assert_int_equal(world_send(a, b, 0), WEFT_E_NO_ENDPOINT);
	assert_int_equal(world_drops(a, WEFT_DROP_TX_NO_ENDPOINT), 1);
	weft_worker_enter(a->worker, w.now_ns);
	assert_int_equal(weft_tx_begin(a->worker, junk, sizeof(junk), 3, &tx), WEFT_E_DROP);
	weft_worker_leave(a->worker);
	assert_int_equal(world_drops(a, WEFT_DROP_TX_INNER), 3);
}

/* 130 packets wait: the two oldest go; the others arrive in order when the way opens. */
static void test_staging(void **state)
{
	struct weft_device_stats stats;

	(void)state;
	world_connect(a, b);
	b->cut = true;
	for (unsigned i = 0; i < 130; i++)
		assert_int_equal(world_send(a, b, 0), WEFT_E_NO_SESSION);
	world_settle(&w);
	weft_device_stats(a->dev, &stats);
	assert_int_equal(stats.staged_pkts, 128);
	assert_int_equal(stats.drops[WEFT_DROP_TX_STAGE_FULL], 2);
	assert_int_equal(a->sent[1], 1);
	b->cut = false;
	world_advance(&w, 6 * WEFT_NS_PER_S);
	assert_int_equal(b->received, 128);
}

static void test_replay(void **state)
{
	struct datagram d;

	(void)state;
	connect_and_talk();
	w.hold = true;
	assert_int_equal(world_send(a, b, 0), 0);
	d = w.wire[0];
	w.wire_len = 0;
	d.pkt[20] ^= 1;
	assert_int_equal(world_feed(b, &d), WEFT_E_DROP);
	assert_int_equal(world_drops(b, WEFT_DROP_RX_AUTH), 1);
	d.pkt[20] ^= 1;
	assert_int_equal(world_feed(b, &d), 0);
	assert_int_equal(world_feed(b, &d), WEFT_E_DROP);
	assert_int_equal(world_drops(b, WEFT_DROP_RX_REPLAY), 1);
	d.pkt[4] ^= 1;
	assert_int_equal(world_feed(b, &d), WEFT_E_DROP);
	assert_int_equal(world_drops(b, WEFT_DROP_RX_NO_INDEX), 1);
	d.len = 31;
	assert_int_equal(world_feed(b, &d), WEFT_E_DROP);
	assert_int_equal(world_drops(b, WEFT_DROP_RX_MALFORMED), 1);
}

/* A decrypted packet whose source belongs to nobody, or to another peer. */
static void test_source_check(void **state)
{
	const struct weft_prefix inside = {.ip = {.b = {10, 0, 0, 1}, .family = WEFT_IPV4},
					   .len = 32};
	struct weft_peer *pa;

	(void)state;
	connect_and_talk();
	(void)world_peer(b, c, false);
	/* The prefix moves to c: a's packets are refused, and packets to it wait for c. */
	assert_int_equal(weft_peer_allow(b->dev, world_find(b, c), &inside), 0);
	pa = world_find(b, a);
	assert_int_equal(weft_peer_allowed_count(pa), 1);
	assert_int_equal(world_send(a, b, 0), 0);
	world_settle(&w);
	assert_int_equal(b->received, 1);
	assert_int_equal(world_drops(b, WEFT_DROP_RX_ALLOWED_IPS), 1);
	assert_int_equal(world_send6(a, b), 0);
	world_settle(&w);
	assert_int_equal(b->received, 2);
	assert_ptr_equal(weft_peer_by_allowed_ip(b->dev, &inside.ip), world_find(b, c));
}

static void test_roaming(void **state)
{
	struct weft_peer_info info;

	(void)state;
	connect_and_talk();
	info = world_info(b, a);
	assert_int_equal(info.endpoint.local.b[3], 2);
	assert_int_equal(info.endpoint.local_ifindex, 7);
	assert_int_equal(info.endpoint_changes, 0);
	a->addr.ip.b[3] = 99;
	a->addr.port = 4000;
	weft_peer_clear_source(world_find(a, b));
	assert_int_equal(world_send(a, b, 0), 0);
	world_settle(&w);
	info = world_info(b, a);
	assert_int_equal(info.endpoint.port, 4000);
	assert_int_equal(info.endpoint_changes, 1);
	assert_int_equal(info.endpoint_since_ns, w.now_ns / WEFT_NS_PER_S * WEFT_NS_PER_S);
	assert_int_equal(b->events[WEFT_EVENT_ENDPOINT_MOVED], 1);
	assert_int_equal(world_send(b, a, 0), 0);
	world_settle(&w);
	assert_int_equal(a->received, 2);
	/* The local side alone moves no endpoint; it can be forgotten. */
	weft_peer_clear_source(world_find(b, a));
	assert_int_equal(world_info(b, a).endpoint.local.family, WEFT_NONE);
	assert_int_equal(world_info(b, a).endpoint.port, 4000);
	/* It is also forgotten when a handshake could not leave from there. */
	assert_int_equal(world_send(a, b, 0), 0);
	world_settle(&w);
	assert_int_equal(world_info(b, a).endpoint.local.family, WEFT_IPV4);
	b->stale_source = true;
	weft_peer_set_keepalive(b->dev, world_find(b, a), 25, w.now_ns);
	assert_int_equal(world_info(b, a).endpoint.local.family, WEFT_NONE);
	assert_int_equal(world_drops(b, WEFT_DROP_TX_SOCKET), 0);
	b->stale_source = false;
	world_settle(&w);
	weft_peer_set_keepalive(b->dev, world_find(b, a), 0, w.now_ns);
	/* An endpoint inside the tunnel is not adopted. */
	b->refuse_endpoints = true;
	a->addr.port = 5000;
	assert_int_equal(world_send(a, b, 0), 0);
	world_settle(&w);
	assert_int_equal(world_info(b, a).endpoint.port, 4000);
	assert_int_equal(world_drops(b, WEFT_DROP_RX_SELF_ROUTED), 1);
	assert_int_equal(b->received, 4);
}

static void test_psk(void **state)
{
	const struct weft_secret psk = {.b = {1, 2, 3}};

	(void)state;
	connect_and_talk();
	weft_peer_set_psk(a->dev, world_find(a, b), &psk);
	/* The session goes on. */
	assert_int_equal(world_send(a, b, 0), 0);
	world_settle(&w);
	assert_int_equal(b->received, 2);
	/* The next handshake fails: b has another one. */
	world_advance(&w, 121 * WEFT_NS_PER_S);
	assert_int_equal(world_send(a, b, 0), 0);
	world_settle(&w);
	assert_int_equal(world_info(a, b).handshakes_completed, 1);
	assert_int_equal(world_drops(a, WEFT_DROP_RX_HANDSHAKE), 1);
	weft_peer_set_psk(b->dev, world_find(b, a), &psk);
	world_advance(&w, 6 * WEFT_NS_PER_S);
	assert_int_equal(world_info(a, b).handshakes_completed, 2);
	assert_int_equal(a->events[WEFT_EVENT_PEER_REKEYED], 1);
}

static void test_key_change(void **state)
{
	struct weft_secret other = {.b = {7}};
	uint8_t public_key[WEFT_KEY_LEN];

	(void)state;
	connect_and_talk();
	/* The same key again changes nothing. */
	weft_device_set_static(a->dev, a->public_key, w.now_ns);
	assert_int_equal(world_send(a, b, 0), 0);
	weft_x25519_clamp(&other);
	assert_int_equal(weft_x25519_public(a->crypto, public_key, &other), 0);
	a->secret = other;
	memcpy(a->public_key, public_key, sizeof(public_key));
	weft_device_set_static(a->dev, a->public_key, w.now_ns);
	assert_int_equal(world_send(a, b, 0), WEFT_E_NO_SESSION);
	world_settle(&w);
	assert_int_equal(world_drops(b, WEFT_DROP_RX_UNKNOWN_PEER), 1);
	/* b learns the new key; the old peer's addresses move. */
	(void)world_peer(b, a, true);
	world_advance(&w, 6 * WEFT_NS_PER_S);
	assert_int_equal(world_info(a, b).handshakes_completed, 2);
	assert_int_equal(world_send(a, b, 0), 0);
	/* A peer with our own key cannot be, and goes if it becomes ours. */
	{
		struct weft_peer *peer;

		assert_int_equal(weft_peer_add(a->dev, a->public_key, &peer), -EADDRNOTAVAIL);
		assert_int_equal(weft_peer_add(a->dev, b->public_key, &peer), -EEXIST);
	}
	weft_device_set_static(a->dev, b->public_key, w.now_ns);
	assert_null(world_find(a, b));
	weft_device_set_static(a->dev, NULL, w.now_ns);
}

static void test_removal(void **state)
{
	size_t bytes;

	(void)state;
	bytes = a->mem.bytes;
	connect_and_talk();
	weft_peer_remove(a->dev, world_find(a, b));
	assert_null(world_find(a, b));
	assert_int_equal(world_send(b, a, 0), 0);
	world_settle(&w);
	assert_int_equal(a->received, 1);
	assert_int_equal(world_drops(a, WEFT_DROP_RX_NO_INDEX), 1);
	assert_int_equal(world_send(a, b, 0), WEFT_E_NO_PEER);
	/* Tables and nodes may stay; the peer and its keypairs are gone. */
	assert_true(a->mem.bytes < bytes + 65536);
	world_advance(&w, WEFT_NS_PER_S);
	(void)world_peer(a, b, true);
	assert_int_equal(world_send(a, b, 0), WEFT_E_NO_SESSION);
	world_settle(&w);
	assert_int_equal(b->received, 2);
}

static void test_down_and_up(void **state)
{
	struct weft_device_stats stats;
	unsigned before;

	(void)state;
	connect_and_talk();
	weft_peer_set_keepalive(a->dev, world_find(a, b), 25, w.now_ns);
	world_settle(&w);
	before = a->sent[1];
	weft_device_down(a->dev, w.now_ns);
	assert_int_equal(world_send(a, b, 0), WEFT_E_DOWN);
	assert_int_equal(world_send(b, a, 0), 0);
	world_advance(&w, 300 * WEFT_NS_PER_S);
	assert_int_equal(a->sent[1], before);
	assert_int_equal(a->received, 1);
	assert_true(world_drops(a, WEFT_DROP_RX_DOWN) > 0);
	weft_device_up(a->dev, w.now_ns);
	world_settle(&w);
	assert_int_equal(a->sent[1], before + 1);
	assert_int_equal(world_info(a, b).handshakes_completed, 2);
	weft_device_stats(a->dev, &stats);
	assert_int_equal(stats.peers, 1);
}

/* Outer congestion marks reach the inner packet; inner ones the outer header. No DSCP. */
static void test_ecn(void **state)
{
	(void)state;
	connect_and_talk();
	assert_int_equal(world_send(a, b, 0xb8 | 2), 0);
	assert_int_equal(a->last_tos[4], 2);
	w.wire[0].tos = 3;
	world_settle(&w);
	assert_int_equal(b->last[1], 0xb8 | 3);
	assert_int_equal(world_send(a, b, 0xb8), 0);
	assert_int_equal(a->last_tos[4], 0);
	w.wire[0].tos = 3;
	world_settle(&w);
	assert_int_equal(b->received, 2);
	assert_int_equal(world_drops(b, WEFT_DROP_RX_ECN), 1);
}

/* Two at once: whoever wins, both can talk. */
static void test_crossed(void **state)
{
	(void)state;
	world_connect(a, b);
	w.hold = true;
	assert_int_equal(world_send(a, b, 0), WEFT_E_NO_SESSION);
	assert_int_equal(world_send(b, a, 0), WEFT_E_NO_SESSION);
	world_settle(&w);
	assert_int_equal(w.wire_len, 2);
	w.hold = false;
	world_advance(&w, 12 * WEFT_NS_PER_S);
	assert_int_equal(world_send(a, b, 0), 0);
	assert_int_equal(world_send(b, a, 0), 0);
	world_settle(&w);
	assert_int_equal(a->received, 2);
	assert_int_equal(b->received, 2);
}

/* What the owner sealed with leaves its contexts at the end of the round, as do handshake keys. */
static void test_owner_forgets(void **state)
{
	struct weft_crypto *crypto = a->dev->crypto;

	(void)state;
	connect_and_talk(); /* the owner of a has sent what waited */
	assert_false(crypto->seal.keyed || crypto->open.keyed || crypto->mac_keyed);
	assert_true(weft_ct_is_zero(crypto->seal.key.b, WEFT_KEY_LEN));
	weft_peer_set_keepalive(a->dev, world_find(a, b), 25, w.now_ns);
	assert_true(crypto->seal.keyed);
	(void)weft_device_run(a->dev, w.now_ns, 1);
	assert_false(crypto->seal.keyed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
		T(test_session),    T(test_confirmation),  T(test_no_way),      T(test_staging),
		T(test_replay),     T(test_source_check),  T(test_roaming),     T(test_psk),
		T(test_key_change), T(test_removal),       T(test_down_and_up), T(test_ecn),
		T(test_crossed),    T(test_owner_forgets),
#undef T
	};

	/* the library whose contexts can be asked whether they hold a key */
	if (weft_crypto_init_with(WEFT_AEAD_OPENSSL) < 0)
		return 1;
	return cmocka_run_group_tests_name("device", tests, NULL, NULL);
}
