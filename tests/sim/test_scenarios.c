/* SPDX-License-Identifier: Apache-2.0 */
/* Named situations, one test each. WEFT_TEST_SEED gives another run of all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/peer.h" /* counters and keypairs, to set and to look at */
#include "sim.h"
#include "unit_random.h"
#include "util/cursor.h"

static struct sim *s;
static struct sim_node *a, *b;

static int setup(void **state)
{
	(void)state;
	s = sim_new(unit_seed());
	a = sim_node_add(s);
	b = sim_node_add(s);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sim_free(s);
	return 0;
}

static uint64_t handshakes(void)
{
	return a->pair[1].sessions + b->pair[0].sessions;
}

static uint64_t drops(struct sim_node *n, enum weft_drop reason)
{
	struct weft_device_stats st;

	weft_device_stats(n->dev, &st);
	return st.drops[reason];
}

/* An hour under load: nothing is lost, and a rekey every 120 s. */
static void test_clean(void **state)
{
	uint64_t lost, rekeys;

	(void)state;
	sim_link(a, b);
	sim_traffic_both(a, b, 200 * MS);
	sim_run(s, 3600 * S);
	sim_traffic_both(a, b, 0);
	sim_run(s, S);
	lost = a->pair[1].offered - b->pair[0].delivered + b->pair[0].offered -
	       a->pair[1].delivered;
	assert_int_equal(lost, 0);
	rekeys = handshakes() / 2;
	assert_in_range(rekeys, 30, 33);
	assert_int_equal(a->events[WEFT_EVENT_PEER_SILENT], 0);
	assert_int_equal(a->events[WEFT_EVENT_PEER_UP] + b->events[WEFT_EVENT_PEER_UP], 2);
}

/* After traffic ends: one passive keepalive, silence, and keys wiped after 540 s. */
static void test_idle(void **state)
{
	uint64_t sent;
	size_t before, with;

	(void)state;
	sim_link(a, b);
	before = b->mem_bytes;
	sim_run(s, 600 * S);
	assert_int_equal(a->datagrams + b->datagrams, 0); /* nothing to say, nothing said */
	sim_offer(a, b, 100);
	sim_run(s, S);
	assert_int_equal(b->pair[0].delivered, 1);
	assert_int_equal(a->datagrams + b->datagrams, 3);
	with = b->mem_bytes;
	assert_true(with > before);
	sim_run(s, 9 * S - 100 * MS);
	assert_int_equal(a->datagrams + b->datagrams, 3);
	sim_run(s, S); /* 10 s after the data */
	assert_int_equal(b->pair[0].keepalives, 1);
	sent = a->datagrams + b->datagrams;
	assert_int_equal(sent, 4);
	sim_run(s, 528 * S); /* 539 s after the handshake */
	assert_int_equal(a->events[WEFT_EVENT_KEYS_ZEROED], 0);
	assert_int_equal(b->events[WEFT_EVENT_KEYS_ZEROED], 0);
	assert_true(b->mem_bytes == with);
	sim_run(s, 2 * S);
	assert_int_equal(a->events[WEFT_EVENT_KEYS_ZEROED], 1);
	assert_int_equal(b->events[WEFT_EVENT_KEYS_ZEROED], 1);
	assert_true(b->mem_bytes < with);
	sim_run(s, 86400 * S);
	assert_int_equal(a->datagrams + b->datagrams, sent);
	/* and both come back */
	sim_offer(b, a, 100);
	sim_run(s, S);
	assert_int_equal(a->pair[1].delivered, 1);
}

/* Data one way only: no new handshake without need, a keepalive every 10 s at most. */
static void test_one_way(void **state)
{
	(void)state;
	sim_link(a, b);
	sim_traffic(a, b, S);
	sim_run(s, 3600 * S);
	assert_in_range(b->pair[0].keepalives, 3600 / 11 - 40, 3600 / 10);
	assert_in_range(handshakes() / 2, 29, 31);
	assert_in_range(b->pair[0].delivered, a->pair[1].offered - 1, a->pair[1].offered);
}

static void test_lossy(void **state)
{
	uint64_t offered, delivered;

	(void)state;
	sim_link(a, b);
	s->net.loss = 300;
	s->net.jitter_ns = 50 * MS;
	sim_traffic_both(a, b, 200 * MS);
	sim_run(s, 2 * 3600 * S);
	offered = a->pair[1].offered + b->pair[0].offered;
	delivered = a->pair[1].delivered + b->pair[0].delivered;
	assert_in_range(delivered * 1000 / offered, 680, 705);
	assert_in_range(handshakes() / 2, 2 * 30 - 5, 2 * 30 * 2);
}

/* Packets overtake each other by seconds, and many come twice: each is taken once. */
static void test_reorder(void **state)
{
	uint64_t offered, delivered;

	(void)state;
	sim_link(a, b);
	s->net.jitter_ns = 2 * S;
	s->net.dup = 500;
	sim_offer(a, b, 100); /* one begins, so that one rekeys */
	sim_run(s, 5 * S);
	sim_traffic_both(a, b, 20 * MS);
	sim_run(s, 600 * S);
	sim_traffic_both(a, b, 0);
	sim_run(s, 3 * S);
	offered = a->pair[1].offered + b->pair[0].offered;
	delivered = a->pair[1].delivered + b->pair[0].delivered;
	assert_true(offered - delivered < offered / 200);
	assert_true(drops(a, WEFT_DROP_RX_REPLAY) + drops(b, WEFT_DROP_RX_REPLAY) > offered / 3);
}

static void test_corrupt(void **state)
{
	uint64_t offered, delivered;

	(void)state;
	sim_link(a, b);
	s->net.corrupt = 200;
	s->net.replay = 100;
	sim_traffic_both(a, b, 100 * MS);
	sim_run(s, 3600 * S);
	offered = a->pair[1].offered + b->pair[0].offered;
	delivered = a->pair[1].delivered + b->pair[0].delivered;
	/* a replayed initiation or data cannot move the endpoint, nor lose a packet more */
	assert_in_range(delivered * 1000 / offered, 780, 830);
	assert_int_equal(a->events[WEFT_EVENT_ENDPOINT_MOVED], 0);
	assert_int_equal(b->events[WEFT_EVENT_ENDPOINT_MOVED], 0);
	sim_heal(s);
	sim_run(s, SIM_RECOVERY);
	sim_expect_flow(a, b, 5 * S);
}

/* The NAT gives another port while traffic flows: the next packet out mends it. */
static void test_nat_rebinding(void **state)
{
	(void)state;
	sim_nat_on(a, 30 * S);
	sim_link(a, b);
	sim_traffic_both(a, b, S);
	for (int i = 0; i < 100; i++) {
		sim_run(s, 30 * S + sim_below(s, 60 * S));
		sim_nat_rebind(a);
		sim_run(s, 3 * S);
		sim_expect_flow(a, b, 4 * S);
	}
	assert_in_range(b->events[WEFT_EVENT_ENDPOINT_MOVED], 99, 101);
	assert_int_equal(a->events[WEFT_EVENT_ENDPOINT_MOVED], 0);
	assert_int_equal(a->events[WEFT_EVENT_PEER_SILENT], 0);
}

/* Both behind NATs that forget after 30 s, held open from both sides each 25 s. */
static void test_nat_both(void **state)
{
	uint64_t started;

	(void)state;
	sim_nat_on(a, 30 * S);
	sim_nat_on(b, 30 * S);
	sim_link(a, b);
	a->pair[1].endpoint_known = b->pair[0].endpoint_known = true;
	sim_set_endpoint(a, b);
	sim_set_endpoint(b, a);
	sim_set_keepalive(a, b, 25);
	sim_set_keepalive(b, a, 25);
	sim_run(s, 20 * S);
	started = handshakes();
	assert_true(started >= 2);
	for (int i = 0; i < 300; i++) {
		sim_run(s, 60 * S + sim_below(s, 240 * S));
		sim_offer(i % 2 ? a : b, i % 2 ? b : a, 100);
		sim_run(s, S);
	}
	/* each came through at once, whoever began */
	assert_int_equal(a->pair[1].delivered + b->pair[0].delivered, 300);
	assert_int_equal(a->nat.last_port, SIM_PORT);
}

/* Persistent keepalives keep their interval, whatever else happens. */
static void test_persistent(void **state)
{
	(void)state;
	sim_link(a, b);
	sim_set_keepalive(a, b, 25);
	sim_run(s, S);
	for (int i = 0; i < 500; i++) {
		uint64_t last = a->pair[1].sent_ns > a->pair[1].received_ns
					? a->pair[1].sent_ns
					: a->pair[1].received_ns;

		sim_check(s, s->now <= last + 25 * S + SIM_JITTER, "no keepalive for %llu ms",
			  (unsigned long long)((s->now - last) / MS));
		sim_run(s, S + sim_below(s, 10 * S));
		if (i % 50 == 0)
			sim_offer(b, a, 64);
	}
	assert_int_equal(b->pair[0].delivered, 0);
	assert_in_range(a->pair[1].keepalives, s->now / S / 25 - 80, s->now / S / 25 + 40);
}

static void test_partition(void **state)
{
	(void)state;
	sim_link(a, b);
	sim_traffic_both(a, b, 500 * MS);
	sim_run(s, 30 * S);
	for (int i = 0; i < 30; i++) {
		sim_cut(s, 0, 1, true);
		sim_run(s, sim_below(s, 600 * S));
		sim_cut(s, 0, 1, false);
		sim_run(s, SIM_RECOVERY);
		sim_expect_flow(a, b, 3 * S);
	}
	assert_true(a->events[WEFT_EVENT_PEER_UP] > 1);
}

/* The far side is gone for good: tries for 90 s, says so, drops what waits, keeps quiet. */
static void test_gives_up(void **state)
{
	uint64_t n;

	(void)state;
	sim_link(a, b);
	sim_cut(s, 0, 1, true);
	sim_offer(a, b, 200);
	sim_run(s, 80 * S);
	assert_int_equal(a->events[WEFT_EVENT_PEER_SILENT], 0);
	assert_in_range(a->datagrams, 15, 17);
	sim_run(s, 40 * S);
	assert_int_equal(a->events[WEFT_EVENT_PEER_SILENT], 1);
	assert_int_equal(drops(a, WEFT_DROP_TX_HANDSHAKE_FAILED), 1);
	n = a->datagrams;
	assert_in_range(n, 18, 21);
	sim_run(s, 3600 * S);
	assert_int_equal(a->datagrams, n);
	sim_cut(s, 0, 1, false);
	sim_offer(a, b, 200);
	sim_run(s, S);
	assert_int_equal(b->pair[0].delivered, 1);
}

static void test_restart(void **state)
{
	(void)state;
	sim_link(a, b);
	sim_set_psk(a, b, true);
	sim_traffic_both(a, b, 500 * MS);
	for (int i = 0; i < 40; i++) {
		sim_run(s, sim_below(s, 400 * S));
		sim_node_restart(i % 2 ? a : b);
		sim_run(s, SIM_RECOVERY);
		sim_expect_flow(a, b, 3 * S);
	}
}

/*
 * The other side has lost its state and cannot come to us, because we are behind a NAT: we notice
 * 15 s after the first data that stays without an answer, and not before.
 */
static void test_silence(void **state)
{
	uint64_t begun, n;

	(void)state;
	sim_nat_on(a, 600 * S);
	sim_link(a, b);
	sim_traffic_both(a, b, 200 * MS);
	sim_run(s, 20 * S);
	sim_node_restart(b);
	begun = s->now;
	n = a->handshake_datagrams;
	sim_run(s, 15 * S - 200 * MS);
	assert_int_equal(a->handshake_datagrams, n);
	sim_run(s, begun + 15 * S + SIM_JITTER + 500 * MS - s->now);
	assert_int_equal(a->handshake_datagrams, n + 1);
	sim_expect_flow(a, b, S);
}

/* A peer sends under an address that is another's: authentic, but not its own. */
static void test_spoofed(void **state)
{
	struct sim_node *c = sim_node_add(s);

	(void)state;
	sim_link(a, b);
	sim_link(c, b);
	sim_traffic_both(a, b, S);
	sim_traffic_both(c, b, S);
	sim_run(s, 10 * S);
	for (int i = 0; i < 50; i++) {
		sim_offer_spoofed(a, b, c, 100);
		sim_run(s, S);
	}
	assert_int_equal(drops(b, WEFT_DROP_RX_ALLOWED_IPS), 50);
	sim_expect_flow(c, b, 3 * S);
}

/* Wall clocks are set back by a day under running daemons: timestamps still grow. */
static void test_clock_back(void **state)
{
	(void)state;
	sim_link(a, b);
	sim_traffic_both(a, b, 500 * MS);
	sim_run(s, 300 * S);
	a->wall_offset_s -= 86400;
	b->wall_offset_s -= 86400;
	for (int i = 0; i < 20; i++) {
		sim_run(s, 100 * S);
		sim_expect_flow(a, b, 3 * S);
	}
	/* even if the peer is taken away and comes back */
	sim_forget_peer(a, b);
	sim_add_peer(a, b);
	sim_run(s, SIM_RECOVERY);
	sim_expect_flow(a, b, 3 * S);
	assert_int_equal(drops(a, WEFT_DROP_RX_TIMESTAMP), 0);
	assert_int_equal(drops(b, WEFT_DROP_RX_TIMESTAMP), 0);
}

/*
 * Both begin before they hear of each other, again and again: both handshakes succeed, at once,
 * however long the way is.
 */
static void test_simultaneous(void **state)
{
	(void)state;
	sim_link(a, b);
	for (unsigned i = 0; i < 60; i++) {
		uint64_t before = handshakes(), from_a, from_b;

		s->net.delay_ns = 1 + sim_below(s, S);
		from_a = b->pair[0].delivered;
		from_b = a->pair[1].delivered;
		sim_offer(a, b, 100);
		sim_run(s, sim_below(s, s->net.delay_ns));
		sim_offer(b, a, 100);
		sim_run(s, 3 * s->net.delay_ns + 10 * MS);
		sim_check(s, b->pair[0].delivered > from_a && a->pair[1].delivered > from_b,
			  "round %u: no session", i);
		sim_check(s, handshakes() - before <= 4, "round %u: too many sessions", i);
		/* and they agree for as long as it lasts */
		before = handshakes();
		sim_traffic_both(a, b, S);
		sim_run(s, 100 * S);
		sim_check(s, handshakes() == before, "round %u: they go on", i);
		sim_traffic_both(a, b, 0);
		sim_run(s, 600 * S);
	}
}

struct flood {
	struct sim_node *at;
	struct weft_crypto *c;
	struct weft_cookie_peer macs;
	unsigned per_ms;
	uint64_t until;
};

/* Initiations of noise with a right mac1, from addresses that do not exist. */
static void flood_step(struct sim *sim, void *arg)
{
	struct flood *f = arg;
	struct weft_endpoint to = sim_public(f->at), from = {.ip.family = WEFT_IPV4};
	uint8_t pkt[148];

	for (unsigned i = 0; i < f->per_ms; i++) {
		for (size_t j = 0; j < sizeof(pkt); j += 8)
			weft_put_le64(pkt + (j + 8 > sizeof(pkt) ? sizeof(pkt) - 8 : j),
				      sim_random(sim));
		weft_put_le32(pkt, 1);
		if (weft_cookie_add_macs(&f->macs, f->c, pkt, sizeof(pkt), sim->now))
			abort();
		from.ip.b[0] = (uint8_t)(1 + sim_below(sim, 100));
		from.ip.b[3] = (uint8_t)sim_random(sim);
		from.ip.b[2] = (uint8_t)sim_random(sim);
		from.port = (uint16_t)(1 + sim_below(sim, 65535));
		sim_send(sim, NULL, &from, &to, 0, pkt, sizeof(pkt));
	}
	if (sim->now < f->until)
		sim_at(sim, MS, flood_step, f);
}

/* Spoofed sources flood the port; honest peers, new ones too, get through by cookies. */
static void test_flood(void **state)
{
	struct flood f = {.at = b, .per_ms = 4};
	struct sim_node *honest[3];
	struct weft_device_stats st;
	size_t mem;

	(void)state;
	assert_int_equal(weft_crypto_new(&f.c), 0);
	assert_int_equal(weft_cookie_peer_init(&f.macs, f.c, b->public_key), 0);
	sim_link(a, b);
	b->handshakes_per_ms = 3;
	sim_traffic_both(a, b, 100 * MS);
	sim_run(s, S);
	mem = b->mem_bytes;
	f.until = s->now + 42 * S;
	sim_at(s, 0, flood_step, &f);
	sim_run(s, 2 * S);
	for (int i = 0; i < 3; i++) {
		honest[i] = sim_node_add(s);
		sim_link(honest[i], b);
		sim_traffic_both(honest[i], b, 500 * MS);
	}
	sim_run(s, 39 * S);
	weft_device_stats(b->dev, &st);
	assert_true(st.cookies_sent > 10000);
	assert_true(st.drops[WEFT_DROP_RX_QUEUE_FULL] > 0);
	assert_int_equal(b->events[WEFT_EVENT_UNDER_LOAD_BEGIN], 1);
	assert_true(b->mem_bytes < mem + 300000);
	for (int i = 0; i < 3; i++)
		sim_expect_flow(honest[i], b, 2 * S);
	sim_expect_flow(a, b, 2 * S);
	assert_int_equal(b->events[WEFT_EVENT_UNDER_LOAD_END], 1);
	weft_crypto_free(f.c);
}

/* Peers that do nothing cost nothing: no datagram, no turn of the owner, little memory. */
static void test_idle_peers(void **state)
{
	uint64_t runs;
	size_t mem;

	(void)state;
	sim_link(a, b);
	mem = a->mem_bytes;
	for (int i = 0; i < 1000; i++) {
		uint8_t key[32];
		struct weft_endpoint e = {.ip = {{192, 0, 2, 1}, WEFT_IPV4}, .port = 9};
		struct weft_prefix p = {.ip = {{11, 0, (uint8_t)(i >> 8), (uint8_t)i}, WEFT_IPV4},
					.len = 32};
		struct weft_peer *peer;

		for (int j = 0; j < 32; j++)
			key[j] = (uint8_t)sim_random(s);
		assert_int_equal(weft_peer_add(a->dev, key, &peer), 0);
		weft_peer_set_endpoint(a->dev, peer, &e, s->now);
		assert_int_equal(weft_peer_allow(a->dev, peer, &p), 0);
	}
	assert_true((a->mem_bytes - mem) / 1000 < 2048);
	sim_node_settle(a);
	runs = a->runs;
	sim_run(s, 86400 * S);
	assert_int_equal(a->datagrams, 0);
	assert_int_equal(a->runs, runs);
	sim_offer(a, b, 100);
	sim_run(s, S);
	assert_int_equal(b->pair[0].delivered, 1);
}

static struct weft_keypair *current(struct sim_node *n, struct sim_node *to)
{
	return atomic_load(&sim_peer(n, to)->sessions.current);
}

/* 2^60 messages: a rekey. The last counter there is: nothing more under that key. */
static void test_counters(void **state)
{
	uint64_t before, rekeyed;

	(void)state;
	sim_link(a, b);
	sim_offer(a, b, 100);
	sim_run(s, S);
	sim_offer(b, a, 100);
	sim_run(s, 6 * S);
	before = handshakes();
	atomic_store(&current(a, b)->send_counter, (UINT64_C(1) << 60) - 3);
	for (int i = 0; i < 3; i++)
		sim_offer(a, b, 100);
	sim_run(s, S);
	assert_int_equal(handshakes(), before);
	sim_offer(a, b, 100);
	sim_run(s, S);
	rekeyed = handshakes();
	assert_int_equal(rekeyed, before + 2);
	assert_int_equal(b->pair[0].delivered, 5);
	/* the responder rekeys for this reason too */
	sim_run(s, 6 * S);
	sim_offer(b, a, 100);
	sim_run(s, S);
	atomic_store(&current(b, a)->send_counter, (UINT64_C(1) << 60) + 1);
	sim_offer(b, a, 100);
	sim_run(s, S);
	assert_int_equal(handshakes(), rekeyed + 2);
	/* the end: ten more fit, the rest waits for the next session, and all arrive */
	sim_run(s, 6 * S);
	sim_offer(a, b, 100);
	sim_run(s, S);
	sim_run(s, 6 * S);
	atomic_store(&current(a, b)->send_counter, WEFT_REJECT_AFTER_MESSAGES - 10);
	before = b->pair[0].delivered;
	s->net.delay_ns = 100 * MS;
	for (int i = 0; i < 50; i++)
		sim_offer(a, b, 100);
	sim_run(s, 2 * S);
	assert_int_equal(b->pair[0].delivered, before + 50);
	assert_int_equal(handshakes(), rekeyed + 4);
}

/* A preshared key on one side only: the session lives on, the next handshake fails. */
static void test_psk(void **state)
{
	struct weft_secret psk = {{7}};

	(void)state;
	sim_link(a, b);
	sim_traffic_both(a, b, 500 * MS);
	sim_run(s, 10 * S);
	weft_peer_set_psk(a->dev, sim_peer(a, b), &psk);
	sim_expect_flow(a, b, 100 * S);
	sim_run(s, 90 * S);
	a->pair[1].delivered_ns = 0;
	sim_run(s, 60 * S);
	assert_int_equal(a->pair[1].delivered_ns, 0);
	weft_peer_set_psk(b->dev, sim_peer(b, a), &psk);
	sim_run(s, SIM_RECOVERY);
	sim_expect_flow(a, b, 3 * S);
}

static void test_new_key(void **state)
{
	(void)state;
	sim_link(a, b);
	sim_traffic_both(a, b, 300 * MS);
	for (int i = 0; i < 20; i++) {
		sim_run(s, sim_below(s, 300 * S));
		sim_node_new_key(i % 3 ? a : b);
		sim_run(s, SIM_RECOVERY);
		sim_expect_flow(a, b, 3 * S);
	}
}

/* Down: silence. Up: the next packet makes a session. */
static void test_down_up(void **state)
{
	uint64_t n;

	(void)state;
	sim_link(a, b);
	sim_traffic_both(a, b, 300 * MS);
	sim_set_keepalive(a, b, 25);
	sim_run(s, 50 * S);
	weft_device_down(a->dev, s->now);
	sim_node_settle(a);
	n = a->datagrams;
	sim_run(s, 1000 * S);
	assert_int_equal(a->datagrams, n);
	assert_true(drops(a, WEFT_DROP_TX_DOWN) > 0);
	weft_device_up(a->dev, s->now);
	sim_node_settle(a);
	assert_int_equal(a->datagrams, n + 1); /* the persistent keepalive asks for a session */
	sim_run(s, SIM_RECOVERY);
	sim_expect_flow(a, b, 3 * S);
}

/* The same seed gives the same run, to the last byte; another seed another one. */
static uint64_t trace_of(uint64_t seed)
{
	struct sim *one = sim_new(seed);
	struct sim_node *x = sim_node_add(one), *y = sim_node_add(one);
	uint64_t trace;

	one->net = (struct sim_net){
		.loss = 100, .dup = 100, .corrupt = 50, .replay = 50, .jitter_ns = S};
	sim_link(x, y);
	sim_traffic_both(x, y, S);
	sim_run(one, 1200 * S);
	trace = one->trace;
	sim_free(one);
	return trace;
}

static void test_same_seed(void **state)
{
	(void)state;
	assert_true(trace_of(1) == trace_of(1));
	assert_true(trace_of(1) != trace_of(2));
}

#define SCENARIO(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENARIO(test_clean),
		SCENARIO(test_idle),
		SCENARIO(test_one_way),
		SCENARIO(test_lossy),
		SCENARIO(test_reorder),
		SCENARIO(test_corrupt),
		SCENARIO(test_nat_rebinding),
		SCENARIO(test_nat_both),
		SCENARIO(test_persistent),
		SCENARIO(test_partition),
		SCENARIO(test_gives_up),
		SCENARIO(test_restart),
		SCENARIO(test_silence),
		SCENARIO(test_spoofed),
		SCENARIO(test_clock_back),
		SCENARIO(test_simultaneous),
		SCENARIO(test_flood),
		SCENARIO(test_idle_peers),
		SCENARIO(test_counters),
		SCENARIO(test_psk),
		SCENARIO(test_new_key),
		SCENARIO(test_down_up),
		cmocka_unit_test(test_same_seed),
	};

	if (weft_crypto_init())
		return 1;
	return cmocka_run_group_tests_name("sim", tests, NULL, NULL);
}
