/* SPDX-License-Identifier: Apache-2.0 */
/* The replay window: numbered cases at its edges, a linear reference, and two threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <pthread.h>

#include "core/replay.h"
#include "unit_random.h"

#define W   WEFT_REPLAY_WINDOW
#define LIM WEFT_REJECT_AFTER_MESSAGES

enum { RESET = 1 };

/* In order; `reset` empties the window first. check must foretell what commit says. */
static const struct {
	int number;
	int reset;
	uint64_t counter;
	bool fresh;
} cases[] = {
	{1, RESET, 0, true},
	{2, 0, 0, false},
	{3, 0, 1, true},
	{4, 0, 1, false},
	{5, 0, 9, true},
	{6, 0, 8, true},
	{7, 0, 7, true},
	{8, 0, 7, false},
	{9, 0, W, true},
	{10, 0, W - 1, true},
	{11, 0, W - 1, false},
	{12, 0, 1, false},
	{13, 0, 2, true}, /* W - 2 behind */
	{14, 0, 2, false},
	{15, 0, W + 16, true},
	{16, 0, 3, false}, /* out of the window now */
	{17, 0, W + 16, false},
	{18, 0, 16, true}, /* the last one that fits: W behind the highest */
	{19, 0, 15, false},
	{20, 0, W * 4, true},
	{21, 0, W * 4 - (W - 1), true},
	{22, 0, 10, false},
	{23, 0, W * 4 - W, true},
	{24, 0, W * 4 - (W + 1), false},
	{25, 0, W * 4 - (W - 2), true},
	{26, 0, W * 4 + 1 - W, false},
	{27, 0, 0, false},
	{28, 0, LIM, false},
	{29, 0, LIM - 1, true},
	{30, 0, LIM, false},
	{31, 0, LIM - 1, false},
	{32, 0, LIM - 2, true},
	{33, 0, LIM - 2, false},
	{34, 0, UINT64_MAX, false},
	{35, 0, 0, false},
	{36, RESET, UINT64_MAX, false},
	{37, 0, 0, true},
	{38, RESET, 63, true},
	{39, 0, 64, true},
	{40, 0, 63, false},
	{41, 0, 62, true},
	{42, 0, 8191, true},
	{43, 0, 8192, true}, /* enters the word that held 0 to 63 */
	{44, 0, 63, false},  /* 8129 behind */
	{45, 0, 64, false},
	{46, 0, 65, true},
	{47, RESET, 5, true},
	{48, 0, 5 + WEFT_REPLAY_BITS, true}, /* same bit, one turn later */
	{49, 0, 5, false},
	{50, 0, 5 + 64, true},
	{51, RESET, UINT64_C(1) << 60, true},
	{52, 0, UINT64_C(1) << 60, false},
	{53, 0, (UINT64_C(1) << 60) - W, true},
	{54, 0, (UINT64_C(1) << 60) - W - 1, false},
	{55, 0, (UINT64_C(1) << 60) + (UINT64_C(1) << 40), true},
	{56, 0, (UINT64_C(1) << 60) + (UINT64_C(1) << 40) - 64, true},
};

static void test_cases(void **state)
{
	struct weft_replay r;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (cases[i].reset)
			weft_replay_init(&r);
		bool check = weft_replay_check(&r, cases[i].counter);
		bool commit = weft_replay_commit(&r, cases[i].counter);

		if (check != cases[i].fresh || commit != cases[i].fresh)
			fail_msg("case %d: check %d, commit %d", cases[i].number, check, commit);
	}
}

/* Every counter once, in both directions, and none twice. */
static void test_runs(void **state)
{
	struct weft_replay r;

	(void)state;
	weft_replay_init(&r);
	for (uint64_t i = 0; i <= W; i++)
		assert_true(weft_replay_commit(&r, i));
	for (uint64_t i = 0; i <= W; i++)
		assert_false(weft_replay_commit(&r, i));
	weft_replay_init(&r);
	for (uint64_t i = W + 2; i-- > 1;)
		assert_true(weft_replay_commit(&r, i));
	assert_false(weft_replay_check(&r, 0));
	weft_replay_init(&r);
	for (uint64_t i = W + 1; i-- > 0;)
		assert_true(weft_replay_commit(&r, i));
}

/* Against an array that remembers everything. */
static void test_random(void **state)
{
	enum { SPAN = 60000 };
	uint64_t seed = unit_seed();
	uint8_t *seen = calloc(SPAN, 1);
	struct weft_replay r;
	uint64_t highest = 0, base = 0;
	bool any = false;

	(void)state;
	assert_non_null(seen);
	weft_replay_init(&r);
	for (int i = 0; i < 400000; i++) {
		uint64_t c = base + unit_random(&seed) % 20000;
		bool want;

		if (unit_random(&seed) % 64 == 0)
			base = (base + unit_random(&seed) % 300) % (SPAN - 20000);
		want = !seen[c] && (!any || c > highest || highest - c <= W);
		assert_int_equal(weft_replay_check(&r, c), want);
		assert_int_equal(weft_replay_commit(&r, c), want);
		if (want)
			seen[c] = 1;
		if (want && (!any || c > highest))
			highest = c;
		any = true;
	}
	free(seen);
}

static struct weft_replay shared;
#define SHARED_COUNTERS 50000

static void *commit_all(void *arg)
{
	size_t *accepted = arg;

	for (uint64_t i = 0; i < SHARED_COUNTERS; i++)
		if (weft_replay_check(&shared, i) && weft_replay_commit(&shared, i))
			(*accepted)++;
	return NULL;
}

/* Two threads offer the same counters: nothing is accepted twice. */
static void test_threads(void **state)
{
	pthread_t t[2];
	size_t accepted[2] = {0};

	(void)state;
	weft_replay_init(&shared);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, commit_all, &accepted[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(accepted[0] + accepted[1], SHARED_COUNTERS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_runs),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests_name("core-replay", tests, NULL, NULL);
}
