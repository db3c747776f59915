/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths and what is found out about them: narrow ones, ones that change, lose packets or end in a
 * black hole, peers that do not answer. WEFT_TEST_SEED gives another run of all of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/peer.h"
#include "sim.h"
#include "unit_random.h"

static struct sim *s;
static struct sim_node *a, *b;

static int setup(void **state)
{
	(void)state;
	s = sim_new(unit_seed());
	a = sim_node_add(s);
	b = sim_node_add(s);
	sim_link(a, b);
	weft_device_probe_paths(a->dev, true, s->now);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sim_free(s);
	return 0;
}

static struct weft_peer_info info(void)
{
	struct weft_peer_info i;

	weft_peer_info(a->dev, sim_peer(a, b), &i);
	weft_secret_clear(&i.psk);
	return i;
}

static uint32_t limit(void)
{
	struct weft_tx tx = {.peer = sim_peer(a, b)};

	return weft_tx_limit(&tx);
}

static void expect(enum weft_path_state state, uint32_t mtu)
{
	assert_int_equal(info().path_state, state);
	assert_int_equal(info().path_mtu, mtu);
}

static void carries(uint32_t bytes, bool told)
{
	a->pair[1].carries = bytes;
	a->pair[1].told = told;
}

/* The common case: one long probe, one short one, and it is known. Then silence. */
static void test_wide(void **state)
{
	(void)state;
	sim_run(s, 60 * S);
	assert_int_equal(a->datagrams, 0); /* no session, no probe */
	assert_int_equal(limit(), UINT32_MAX);
	sim_offer(a, b, 100);
	sim_run(s, 2 * S);
	expect(WEFT_PATH_MEASURED, 1440);
	assert_int_equal(limit(), 1440);
	assert_int_equal(info().path_probes, 2);
	assert_int_equal(b->probes, 2);
	assert_int_equal(info().path_route_mtu, 1500);
	/* whoever does not probe still answers, and knows nothing */
	assert_null(atomic_load(&sim_peer(b, a)->path));
	sim_run(s, 7200 * S);
	assert_int_equal(info().path_probes, 2);
}

/* An idle peer that is kept alive has sessions, but no probes after the first ones. */
static void test_idle(void **state)
{
	(void)state;
	sim_set_keepalive(a, b, 1);
	sim_run(s, 7200 * S);
	assert_int_equal(info().path_probes, 2);
	/* with traffic, two each ten minutes or so */
	sim_traffic(a, b, 100 * MS);
	sim_run(s, 3600 * S);
	assert_in_range(info().path_probes, 2 + 2 * 4, 2 + 2 * 6);
}

static void test_narrow(void **state)
{
	static const struct {
		uint32_t bytes, found;
	} paths[] = {{1492, 1424}, {1480, 1420}, {1479, 1408}, {1400, 1328},
		     {1280, 1216}, {640, 576},   {620, 576}};

	(void)state;
	sim_traffic(a, b, 20 * MS);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		carries(paths[i].bytes, i % 2);
		sim_move(b); /* and what is known is forgotten */
		sim_set_endpoint(a, b);
		sim_run(s, 40 * S);
		expect(i % 2 ? WEFT_PATH_MEASURED : WEFT_PATH_BLACK_HOLE, paths[i].found);
		assert_int_equal(limit(), paths[i].found);
	}
}

/* Within ten minutes and a session of its getting wider. */
static void test_wider(void **state)
{
	uint64_t probes;

	(void)state;
	carries(1400, false);
	sim_traffic_both(a, b, 50 * MS);
	sim_run(s, 60 * S);
	expect(WEFT_PATH_BLACK_HOLE, 1328);
	carries(0, false);
	probes = info().path_probes;
	sim_run(s, 400 * S);
	assert_int_equal(info().path_probes, probes); /* not all the time */
	sim_run(s, 400 * S);
	expect(WEFT_PATH_MEASURED, 1440);
}

/* Authenticated from elsewhere: the new path is measured at once, and the old limit is gone. */
static void test_roams(void **state)
{
	uint64_t sessions;

	(void)state;
	carries(1300, true);
	sim_traffic_both(a, b, 50 * MS);
	sim_run(s, 60 * S);
	expect(WEFT_PATH_MEASURED, 1232);
	carries(0, false);
	sessions = a->pair[1].sessions;
	sim_move(b);
	sim_run(s, 5 * S);
	expect(WEFT_PATH_MEASURED, 1440);
	assert_int_equal(a->pair[1].sessions, sessions); /* no new one was needed for it */
}

/* The host's own route is what counts first; and it is asked when routes change. */
static void test_route(void **state)
{
	uint64_t probes;

	(void)state;
	sim_traffic(a, b, 50 * MS);
	sim_run(s, 10 * S);
	expect(WEFT_PATH_MEASURED, 1440);
	probes = info().path_probes;
	weft_device_routes_changed(a->dev, s->now);
	sim_run(s, 10 * S);
	assert_int_equal(info().path_probes, probes); /* nothing that concerns this path */
	a->route_mtu = 1400;
	weft_device_routes_changed(a->dev, s->now);
	sim_run(s, 10 * S);
	expect(WEFT_PATH_MEASURED, 1340);
	assert_int_equal(limit(), 1328); /* with the padding */
	a->route_mtu = 1500;
	weft_device_routes_changed(a->dev, s->now);
	sim_run(s, 10 * S);
	expect(WEFT_PATH_MEASURED, 1440);
}

/* Of many peers some are looked at in a turn, and a change meanwhile makes for another walk. */
static void test_route_of_many(void **state)
{
	struct weft_peer *gone, *more[3000];
	uint8_t key[WEFT_KEY_LEN] = {0};

	(void)state;
	sim_traffic(a, b, 50 * MS);
	sim_run(s, 10 * S);
	expect(WEFT_PATH_MEASURED, 1440);
	for (unsigned i = 0; i < 3000; i++) {
		key[0] = (uint8_t)i;
		key[1] = (uint8_t)(1 + i / 256);
		assert_int_equal(weft_peer_add(a->dev, key, &more[i]), 0);
	}
	weft_device_routes_changed(a->dev, s->now);
	gone = a->dev->walk.next;
	assert_non_null(gone);
	assert_ptr_not_equal(gone, more[2999]);
	weft_peer_remove(a->dev, gone);
	assert_ptr_not_equal(a->dev->walk.next, gone);
	a->route_mtu = 1400; /* after it was this peer's turn */
	weft_device_routes_changed(a->dev, s->now);
	assert_true(a->dev->walk.wanted);
	sim_run(s, 20 * S);
	assert_null(a->dev->walk.next);
	assert_false(a->dev->walk.wanted);
	expect(WEFT_PATH_MEASURED, 1340);
}

/* A peer that comes from elsewhere all the time has no search begun for each of its packets. */
static void test_restless(void **state)
{
	uint64_t probes, moves;

	(void)state;
	sim_traffic_both(a, b, 2 * MS);
	sim_run(s, 10 * S);
	probes = info().path_probes;
	moves = info().endpoint_changes;
	for (unsigned i = 0; i < 100; i++) {
		sim_move(b);
		sim_run(s, 50 * MS);
	}
	assert_in_range(info().endpoint_changes, moves + 50, moves + 100);
	assert_in_range(info().path_probes, probes + 1, probes + 30); /* in 5 s */
	sim_run(s, 5 * S);
	expect(WEFT_PATH_MEASURED, 1440);
}

/* The route shrinks while the search runs: EMSGSIZE is an answer too. */
static void test_refused(void **state)
{
	(void)state;
	sim_traffic(a, b, 50 * MS);
	carries(1300, false);
	sim_run(s, 1 * S);
	assert_int_equal(info().path_state, WEFT_PATH_SEARCHING);
	a->route_mtu = 1290;
	carries(0, false);
	sim_run(s, 30 * S);
	expect(WEFT_PATH_MEASURED, 1216);
}

/* Loss alone must not make the path look narrow. */
static void test_lossy(void **state)
{
	(void)state;
	s->net.loss = 300;
	sim_traffic_both(a, b, 50 * MS);
	sim_run(s, 120 * S);
	assert_in_range(info().path_mtu, 1280, 1440);
	sim_heal(s);
	sim_run(s, 900 * S);
	expect(WEFT_PATH_MEASURED, 1440);
}

/* A narrow path that loses: found all the same. */
static void test_lossy_narrow(void **state)
{
	(void)state;
	s->net.loss = 150;
	carries(1400, true);
	sim_traffic_both(a, b, 50 * MS);
	sim_run(s, 120 * S);
	assert_in_range(info().path_mtu, 1200, 1328);
	s->net.loss = 0;
	sim_run(s, 900 * S);
	expect(WEFT_PATH_MEASURED, 1328);
}

/* The peer goes away in the middle of a search, and comes back: nothing is concluded from that. */
static void test_outage(void **state)
{
	(void)state;
	carries(1400, false);
	sim_traffic(a, b, 50 * MS);
	sim_run(s, 1 * S);
	assert_int_equal(info().path_state, WEFT_PATH_SEARCHING);
	sim_cut(s, 0, 1, true);
	sim_run(s, 60 * S);
	assert_int_equal(info().path_state, WEFT_PATH_UNANSWERED);
	assert_int_equal(limit(), 1440);
	sim_cut(s, 0, 1, false);
	carries(0, false);
	sim_run(s, 60 * S); /* data was not answered: the next session looks again */
	expect(WEFT_PATH_MEASURED, 1440);
}

/* A peer that answers no ping: the route's MTU holds, and probing ends. */
static void test_unanswered(void **state)
{
	uint64_t probes;

	(void)state;
	b->silent = true;
	carries(1300, false);
	a->route_mtu = 1400;
	sim_traffic_both(a, b, 100 * MS);
	sim_run(s, 120 * S);
	expect(WEFT_PATH_UNANSWERED, 0);
	assert_int_equal(limit(), 1328);
	probes = info().path_probes;
	assert_in_range(probes, 2, 4 * 2 * 2);
	sim_run(s, 400 * S);
	assert_int_equal(info().path_probes, probes);
	b->silent = false;
	sim_run(s, 800 * S);
	expect(WEFT_PATH_BLACK_HOLE, 1232);
}

/* Data goes out and nothing comes back: as soon as there is a session again, the path is looked at.
 */
static void test_suspicion(void **state)
{
	uint64_t probes;

	(void)state;
	sim_traffic(a, b, 100 * MS);
	sim_run(s, 30 * S);
	probes = info().path_probes;
	sim_cut(s, 0, 1, true);
	sim_run(s, 30 * S);
	carries(1280, true);
	sim_cut(s, 0, 1, false);
	sim_run(s, 40 * S);
	assert_true(info().path_probes > probes);
	expect(WEFT_PATH_MEASURED, 1216);
}

/* Off: nothing is held back any more, and on again it is measured at once. Down: likewise. */
static void test_switch(void **state)
{
	(void)state;
	carries(1400, false);
	sim_traffic(a, b, 50 * MS);
	sim_run(s, 30 * S);
	assert_int_equal(limit(), 1328);
	weft_device_probe_paths(a->dev, false, s->now);
	assert_int_equal(limit(), UINT32_MAX);
	expect(WEFT_PATH_UNKNOWN, 0);
	sim_run(s, 300 * S);
	expect(WEFT_PATH_UNKNOWN, 0);
	weft_device_probe_paths(a->dev, true, s->now);
	sim_run(s, 100 * MS);
	assert_int_equal(info().path_state, WEFT_PATH_SEARCHING);
	weft_device_down(a->dev, s->now);
	assert_int_equal(info().path_state, WEFT_PATH_UNKNOWN);
	sim_run(s, 10 * S);
	weft_device_up(a->dev, s->now);
	sim_run(s, 60 * S);
	expect(WEFT_PATH_BLACK_HOLE, 1328);
}

#define scenario(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		scenario(test_wide),    scenario(test_idle),          scenario(test_narrow),
		scenario(test_wider),   scenario(test_roams),         scenario(test_route),
		scenario(test_refused), scenario(test_lossy),         scenario(test_lossy_narrow),
		scenario(test_outage),  scenario(test_unanswered),    scenario(test_suspicion),
		scenario(test_switch),  scenario(test_route_of_many), scenario(test_restless),
	};

	if (weft_crypto_init())
		return 1;
	return cmocka_run_group_tests_name("path", tests, NULL, NULL);
}
