/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slots of keypairs: how they slide, when they may be used again, that they are wiped; padding;
 * and the suspects' and drops' small tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "core/drop.h"
#include "core/endpoint.h"
#include "core/keypair.h"
#include "core/suspect.h"
#include "unit_mem.h"
#include "unit_random.h"

static struct unit_mem mem;
static struct weft_epoch epoch;
static struct weft_table indices;
static struct weft_keypair_env env;
static struct weft_sessions s;
static struct weft_index_entry handshake;
static uint64_t seed;

static void fill(void *ctx, void *out, size_t len)
{
	(void)ctx;
	for (size_t i = 0; i < len; i++)
		((uint8_t *)out)[i] = (uint8_t)unit_random(&seed);
}

static const struct weft_rng rng = {.fill = fill};

static int setup(void **state)
{
	struct weft_mem m = unit_mem_of(&mem);
	const uint8_t key[WEFT_SIPHASH_KEY_LEN] = {1};

	(void)state;
	seed = unit_seed();
	memset(&s, 0, sizeof(s));
	env = (struct weft_keypair_env){.mem = m, .epoch = &epoch, .indices = &indices};
	weft_epoch_init(&epoch, 2, &env);
	assert_int_equal(weft_table_init(&indices, &m, &epoch, 4, key), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	weft_sessions_clear(&env, &s);
	weft_table_fini(&indices);
	weft_epoch_fini(&epoch);
	assert_int_equal(mem.blocks, 0);
	return 0;
}

/* A session as after a handshake; NULL if no slot is free. */
static struct weft_keypair *begin(bool initiator)
{
	const struct weft_noise_keys keys = {
		.send = {{1}}, .recv = {{2}}, .remote_index = 77, .initiator = initiator};
	struct weft_keypair *kp;
	uint32_t index;

	if (weft_sessions_prepare(&env, &s, &kp) < 0)
		return NULL;
	assert_int_equal(weft_index_insert(&indices, &rng, &handshake, &index), 0);
	weft_sessions_begin(&env, &s, kp, NULL, &keys, index, 5);
	assert_ptr_equal(weft_index_find(&indices, index), &kp->entry);
	return kp;
}

static struct weft_keypair *current(void)
{
	return atomic_load(&s.current);
}

static struct weft_keypair *next(void)
{
	return atomic_load(&s.next);
}

static void test_initiator_slides(void **state)
{
	struct weft_keypair *k1 = begin(true), *k2, *k3;
	uint32_t index = k1->index;

	(void)state;
	assert_ptr_equal(current(), k1);
	k2 = begin(true);
	assert_ptr_equal(current(), k2);
	assert_ptr_equal(s.previous, k1);
	assert_non_null(weft_index_find(&indices, index));
	k3 = begin(true);
	assert_ptr_equal(current(), k3);
	assert_ptr_equal(s.previous, k2);
	assert_null(weft_index_find(&indices, index));
	assert_true(k1->in_use);
	assert_int_equal(weft_epoch_reclaim(&epoch), 1);
	assert_true(weft_ct_is_zero(k1, sizeof(*k1)));
}

static void test_responder_waits(void **state)
{
	struct weft_keypair *k1 = begin(true), *k2 = begin(false), *k3, *k4;

	(void)state;
	assert_ptr_equal(current(), k1);
	assert_ptr_equal(next(), k2);
	assert_false(weft_sessions_promote(&env, &s));
	atomic_store(&k2->confirmed, true);
	assert_true(weft_sessions_promote(&env, &s));
	assert_false(weft_sessions_promote(&env, &s));
	assert_ptr_equal(current(), k2);
	assert_ptr_equal(s.previous, k1);
	assert_null(next());
	/* A new next one ends the previous one, and a next one that nobody confirmed. */
	k3 = begin(false);
	assert_null(s.previous);
	k4 = begin(false);
	assert_ptr_equal(next(), k4);
	assert_ptr_equal(current(), k2);
	assert_null(weft_index_find(&indices, k3->index));
	/* As the initiator, while a next one waits: it is kept to receive with. */
	(void)weft_epoch_reclaim(&epoch);
	k1 = begin(true);
	assert_ptr_equal(current(), k1);
	assert_ptr_equal(s.previous, k4);
	assert_null(next());
}

/* As long as a worker may hold what was retired, its slot stays taken. */
static void test_slots_wait_for_workers(void **state)
{
	(void)state;
	assert_non_null(begin(true));
	weft_epoch_enter(&epoch, 0);
	assert_non_null(begin(true));
	assert_non_null(begin(true)); /* retires the first */
	assert_non_null(begin(true)); /* retires the second */
	assert_null(begin(true));
	assert_null(begin(false));
	weft_epoch_leave(&epoch, 0);
	assert_non_null(begin(false));
}

/* Twenty rekeys: one allocation. */
static void test_rekey_allocates_nothing(void **state)
{
	size_t calls;

	(void)state;
	assert_non_null(begin(true));
	calls = mem.calls;
	for (unsigned i = 0; i < 20; i++)
		assert_non_null(begin(i & 1));
	assert_int_equal(mem.calls, calls);
	assert_int_equal(env.blocks, 1);
}

static void test_clear(void **state)
{
	struct weft_keypair *k1 = begin(true);
	size_t blocks;

	(void)state;
	(void)begin(false);
	blocks = mem.blocks;
	weft_epoch_enter(&epoch, 1);
	weft_sessions_clear(&env, &s);
	assert_null(current());
	assert_null(next());
	assert_null(weft_index_find(&indices, k1->index));
	assert_false(weft_keypair_can_send(k1, 5));
	(void)weft_epoch_reclaim(&epoch);
	assert_int_equal(mem.blocks, blocks);
	weft_epoch_leave(&epoch, 1);
	(void)weft_epoch_reclaim(&epoch);
	assert_int_equal(mem.blocks, blocks - 1);
	assert_int_equal(env.blocks, 0);
	/* No memory: no session, and no harm. */
	mem.fail = 1;
	assert_null(begin(true));
	mem.fail = 0;
	assert_non_null(begin(true));
}

static void test_can_send(void **state)
{
	struct weft_keypair *k1;

	(void)state;
	assert_false(weft_keypair_can_send(NULL, 5));
	k1 = begin(true);
	assert_true(weft_keypair_can_send(k1, 5 + WEFT_REJECT_AFTER_NS - 1));
	assert_false(weft_keypair_can_send(k1, 5 + WEFT_REJECT_AFTER_NS));
	weft_sessions_expire(&s);
	assert_false(weft_keypair_can_send(k1, 5));
}

static void test_padding(void **state)
{
	/* Inner length, MTU, padded length: as the kernel pads. */
	static const struct {
		size_t len;
		uint32_t mtu;
		size_t want;
	} cases[] = {
		{0, 1420, 0},       {1, 1420, 16},      {16, 1420, 16},     {17, 1420, 32},
		{1408, 1420, 1408}, {1409, 1420, 1420}, {1420, 1420, 1420}, {1421, 1420, 1436},
		{2840, 1420, 2840}, {2839, 1420, 2840}, {100, 0, 112},      {65535, 65535, 65535},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(weft_padded_len(cases[i].len, cases[i].mtu), cases[i].want);
}

static void test_suspects(void **state)
{
	struct weft_endpoint e = {.ip = {.b = {1, 2, 3, 4}, .family = WEFT_IPV4}, .port = 9};
	static struct weft_suspects suspects;
	const uint8_t key[WEFT_SIPHASH_KEY_LEN] = {3};

	(void)state;
	weft_suspects_init(&suspects, key);
	for (unsigned i = 0; i < WEFT_SUSPECT_FAILURES; i++) {
		assert_false(weft_suspects_has(&suspects, &e, 100));
		weft_suspects_note(&suspects, &e, 100);
	}
	assert_true(weft_suspects_has(&suspects, &e, 100));
	e.port = 10;
	assert_false(weft_suspects_has(&suspects, &e, 100));
	e.port = 9;
	assert_true(weft_suspects_has(&suspects, &e, 99 + WEFT_SUSPECT_HOLD_NS));
	assert_false(weft_suspects_has(&suspects, &e, 100 + WEFT_SUSPECT_HOLD_NS));
	/* Slow failures never add up. */
	e.port = 11;
	for (unsigned i = 1; i < 100; i++)
		weft_suspects_note(&suspects, &e, i * WEFT_SUSPECT_HOLD_NS / 10);
	assert_false(weft_suspects_has(&suspects, &e, 99 * WEFT_SUSPECT_HOLD_NS / 10));
}

static void test_drop_names(void **state)
{
	(void)state;
	for (unsigned i = 0; i < WEFT_DROP_COUNT; i++) {
		assert_string_not_equal(weft_drop_name(i), "unknown");
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(weft_drop_name(i), weft_drop_name(k));
	}
	assert_string_equal(weft_drop_name(WEFT_DROP_RX_REPLAY), "rx_replay");
	assert_string_equal(weft_drop_name(WEFT_DROP_COUNT), "unknown");
}

static void test_endpoint(void **state)
{
	struct weft_endpoint e = {.ip = {.b = {1, 2, 3, 4}, .family = WEFT_IPV4}, .port = 9}, got;
	static struct weft_shared_endpoint shared;
	uint32_t seq, later;

	(void)state;
	weft_shared_endpoint_get(&shared, &got, &seq);
	assert_int_equal(got.ip.family, WEFT_NONE);
	weft_shared_endpoint_set(&shared, &e);
	weft_shared_endpoint_get(&shared, &got, &later);
	assert_true(weft_endpoint_equal(&e, &got));
	assert_int_not_equal(seq, later);
	e.local = (struct weft_ip){.b = {9}, .family = WEFT_IPV4};
	assert_false(weft_endpoint_equal(&e, &got));
	assert_true(weft_endpoint_same_remote(&e, &got));
	weft_shared_endpoint_set(&shared, &e);
	weft_shared_endpoint_get(&shared, &got, NULL);
	assert_true(weft_endpoint_equal(&e, &got));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
		T(test_initiator_slides),
		T(test_responder_waits),
		T(test_slots_wait_for_workers),
		T(test_rekey_allocates_nothing),
		T(test_clear),
		T(test_can_send),
#undef T
		cmocka_unit_test(test_padding),
		cmocka_unit_test(test_suspects),
		cmocka_unit_test(test_drop_names),
		cmocka_unit_test(test_endpoint),
	};

	if (weft_crypto_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("keypair", tests, NULL, NULL);
}
