/* SPDX-License-Identifier: Apache-2.0 */
/* How many threads, for how many processors: the table of docs/weftd.md. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "daemon/threads.h"

static void table(void **state)
{
	static const struct {
		unsigned cpus, threads, tx;
	} rows[] = {
		{0, 2, 1},   {1, 2, 1},     {2, 2, 1},           {3, 4, 2},  {4, 4, 2},
		{5, 6, 3},   {6, 6, 3},     {8, 8, 4},           {9, 10, 5}, {15, 16, 8},
		{16, 16, 8}, {1024, 16, 8}, {UINT32_MAX, 16, 8},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(weftd_threads_default(rows[i].cpus), rows[i].threads);
		assert_int_equal(weftd_threads_tx(rows[i].threads), rows[i].tx);
	}
	for (unsigned n = WEFTD_MIN_THREADS; n <= WEFTD_MAX_THREADS; n++) {
		unsigned tx = weftd_threads_tx(n);

		assert_true(tx >= 1 && n - tx >= tx && n - tx <= tx + 1);
	}
}

static void affinity_counts(void **state)
{
	cpu_set_t before, one;
	unsigned cpus = weftd_cpus();

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	assert_int_equal(cpus, CPU_COUNT(&before));
	CPU_ZERO(&one);
	for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
		if (CPU_ISSET(i, &before))
			CPU_SET(i, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_int_equal(weftd_cpus(), 1);
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
}

/* All or nothing: a processor that cannot be had leaves the process where it was. */
static void cpus_taken(void **state)
{
	cpu_set_t before, now;
	struct weft_cpus want = {{0}}, there = {{0}};
	unsigned first;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	for (first = 0; !CPU_ISSET(first, &before);)
		first++;
	weft_cpus_add(&want, first);
	assert_int_equal(weftd_cpus_take(&want, &there), 0);
	assert_int_equal(weft_cpus_count(&there), 0);
	assert_int_equal(sched_getaffinity(0, sizeof(now), &now), 0);
	assert_true(CPU_COUNT(&now) == 1 && CPU_ISSET(first, &now));

	weft_cpus_add(&want, WEFT_CPUS_MAX - 1);
	assert_int_equal(weftd_cpus_take(&want, &there), -ENXIO);
	assert_true(weft_cpus_has(&there, first) && !weft_cpus_has(&there, WEFT_CPUS_MAX - 1));
	assert_true(weft_cpus_count(&there) >= (unsigned)CPU_COUNT(&before));
	assert_int_equal(sched_getaffinity(0, sizeof(now), &now), 0);
	assert_true(CPU_COUNT(&now) == 1 && CPU_ISSET(first, &now));
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(affinity_counts),
		cmocka_unit_test(cpus_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
