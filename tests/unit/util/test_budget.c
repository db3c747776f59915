/* SPDX-License-Identifier: Apache-2.0 */
/* A budget: never more than its limit, also with many threads at it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "util/budget.h"

#define THREADS 4
#define ROUNDS  20000

static struct weft_budget b;

static void test_take_and_give(void **state)
{
	(void)state;
	weft_budget_init(&b, 100);
	assert_int_equal(weft_budget_take(&b, 60), 0);
	assert_int_equal(weft_budget_take(&b, 41), WEFT_E_LIMIT);
	assert_int_equal(weft_budget_left(&b), 40);
	assert_int_equal(weft_budget_take(&b, 40), 0);
	assert_int_equal(weft_budget_take(&b, 1), WEFT_E_LIMIT);
	assert_int_equal(weft_budget_take(&b, SIZE_MAX), WEFT_E_LIMIT);
	assert_int_equal(weft_budget_take(&b, 0), 0);
	weft_budget_give(&b, 100);
	assert_int_equal(weft_budget_left(&b), 100);
	assert_int_equal(b.most, 100);
}

static void *take_and_give(void *arg)
{
	size_t taken = 0, sum = 0;

	for (size_t i = 0; i < ROUNDS; i++) {
		size_t bytes = 1 + i % 400;

		if (weft_budget_take(&b, bytes) == 0) {
			taken++;
			sum += bytes;
		} else {
			weft_budget_give(&b, sum);
			sum = 0;
		}
	}
	weft_budget_give(&b, sum);
	*(size_t *)arg = taken;
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t t[THREADS];
	size_t taken[THREADS];

	(void)state;
	weft_budget_init(&b, 10000);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, take_and_give, &taken[i]), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		assert_true(taken[i] > 0);
	}
	assert_int_equal(weft_budget_left(&b), 10000);
	assert_in_range(b.most, 9000, 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_take_and_give),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests_name("util-budget", tests, NULL, NULL);
}
