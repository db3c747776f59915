/* SPDX-License-Identifier: Apache-2.0 */
/* When packets are marked: never for a burst, once for a standing queue, oftener while it stands.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/aqm.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)

static const struct weft_aqm_params params = {.target_ns = 5 * MS, .interval_ns = 100 * MS};

/* A packet every 100 us from `from` to `to`, all having waited the same. Returns the marks. */
static unsigned run(struct weft_aqm *a, uint64_t from_ms, uint64_t to_ms, uint64_t waited_ns)
{
	unsigned marks = 0;

	for (uint64_t t = from_ms * MS; t < to_ms * MS; t += 100 * US)
		marks += weft_aqm_leaves(a, &params, t, waited_ns, true);
	return marks;
}

static void test_short_queue(void **state)
{
	struct weft_aqm a = {0};

	(void)state;
	assert_int_equal(run(&a, 1000, 5000, 5 * MS), 0);
	assert_int_equal(run(&a, 5001, 9000, 0), 0);
	for (uint64_t i = 0; i < 10; i++) /* a burst that takes 10 ms to drain */
		assert_int_equal(run(&a, 9000 + i, 9001 + i, (10 - i) * MS), 0);
}

/* Few packets, each late since the processor was busy elsewhere: no queue stands. */
static void test_late_packets(void **state)
{
	struct weft_aqm a = {0};

	(void)state;
	for (uint64_t i = 1; i < 100; i++)
		assert_false(weft_aqm_leaves(&a, &params, 20 * i * MS, 6 * MS, true));
	for (uint64_t i = 100; i < 200; i++)
		assert_false(weft_aqm_leaves(&a, &params, 20 * i * MS, 200 * MS, false));
	/* a burst that had to wait for the processor, and then a queue */
	for (uint64_t i = 1; i < WEFT_AQM_BURST_PKTS; i++)
		assert_false(weft_aqm_leaves(&a, &params, 5000 * MS + i * US, 50 * MS, true));
	assert_true(weft_aqm_leaves(&a, &params, 5001 * MS, 50 * MS, true));
	assert_false(weft_aqm_leaves(&a, &params, 5002 * MS, 50 * MS, true));
	/* bursts do not add up */
	for (uint64_t i = 0; i < 10; i++)
		for (uint64_t k = 0; k < WEFT_AQM_BURST_PKTS / 2; k++)
			assert_false(weft_aqm_leaves(&a, &params, (6000 + 100 * i) * MS + k * US,
						     k ? 50 * MS : 0, true));
}

static void test_standing_queue(void **state)
{
	struct weft_aqm a = {0};
	unsigned first, second;

	(void)state;
	assert_int_equal(run(&a, 1000, 1100, 0), 0);
	assert_int_equal(run(&a, 1100, 1150, 20 * MS), 1);
	/* the control law: marks at 100, 171, 228 ms ... : 100 * sum of 1/sqrt(n) */
	first = run(&a, 1150, 2100, 20 * MS);
	second = run(&a, 2100, 3100, 20 * MS);
	assert_in_range(first, 25, 35);
	assert_in_range(second, 65, 85);
	assert_true(second > first);
	/* it helps: no more marks, but one that begins again soon goes on */
	assert_int_equal(run(&a, 3100, 3200, 1 * MS), 0);
	assert_true(run(&a, 3200, 3300, 20 * MS) > 5);
	/* long after, it begins anew */
	assert_int_equal(run(&a, 3300, 4000, 0), 0);
	assert_int_equal(run(&a, 4000, 4090, 20 * MS), 1);
}

/* A queue that is empty now and then, as two threads that feed one another make it. */
static void test_wandering_queue(void **state)
{
	struct weft_aqm a = {0};
	unsigned marks = 0;

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		marks += run(&a, 1000 + 10 * i, 1010 + 10 * i, i % 4 ? 12 * MS : 0);
	assert_in_range(marks, 5, 40);
}

static void test_extremes(void **state)
{
	const struct weft_aqm_params wide = {.target_ns = 1, .interval_ns = UINT64_MAX / 8};
	struct weft_aqm a = {0};

	(void)state;
	(void)weft_aqm_leaves(&a, &params, UINT64_MAX / 2, UINT64_MAX, true);
	assert_false(weft_aqm_leaves(&a, &params, 5, UINT64_MAX, true)); /* time went back */
	a = (struct weft_aqm){0};
	for (uint64_t i = 1; i < WEFT_AQM_BURST_PKTS; i++)
		assert_false(weft_aqm_leaves(&a, &wide, 1000 * MS + i, 5 * MS, true));
	assert_true(weft_aqm_leaves(&a, &wide, 1001 * MS, 5 * MS, true));
	assert_false(weft_aqm_leaves(&a, &wide, 2000 * MS, 5 * MS, true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_short_queue),    cmocka_unit_test(test_late_packets),
		cmocka_unit_test(test_standing_queue), cmocka_unit_test(test_wandering_queue),
		cmocka_unit_test(test_extremes),
	};

	return cmocka_run_group_tests_name("core-aqm", tests, NULL, NULL);
}
