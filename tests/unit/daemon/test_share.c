/* SPDX-License-Identifier: Apache-2.0 */
/* When two data threads share a thread, and when not (daemon/share.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/share.h"

#define US 1000u
#define MS 1000000u

/* Rounds of 100 us in which each direction works so long: was it told to part in `rounds`? */
static bool parts(uint64_t rx_ns, uint64_t tx_ns, unsigned rounds)
{
	struct weftd_share s = {0};
	uint64_t now = 77 * MS;
	bool apart = false;

	for (unsigned i = 0; i < rounds; i++) {
		now += 100 * US;
		apart |= weftd_share_apart(&s, now, rx_ns, tx_ns);
	}
	return apart;
}

static void test_apart_when_both_are_busy(void **state)
{
	(void)state;
	assert_true(parts(50 * US, 50 * US, 100));
	assert_true(parts(5 * US, 95 * US, 100));
	assert_true(parts(95 * US, 5 * US, 100));
}

static void test_stays_when_one_direction_is_idle(void **state)
{
	(void)state;
	assert_false(parts(1 * US, 99 * US, 1000));
	assert_false(parts(99 * US, 1 * US, 1000));
	assert_false(parts(0, 100 * US, 1000));
}

static void test_stays_when_there_is_rest(void **state)
{
	(void)state;
	assert_false(parts(30 * US, 30 * US, 1000));
	assert_false(parts(0, 0, 1000));
}

static void test_a_burst_is_not_enough(void **state)
{
	(void)state;
	assert_false(parts(50 * US, 50 * US, 40));
}

/* What came before a quiet time does not count after it. */
static void test_a_look_begins_anew(void **state)
{
	struct weftd_share s = {0};
	uint64_t now = 5 * MS;

	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		now += 100 * US;
		assert_false(weftd_share_apart(&s, now, 50 * US, 50 * US));
	}
	now += 1000 * MS;
	assert_false(weftd_share_apart(&s, now, 50 * US, 50 * US));
	for (unsigned i = 0; i < 49; i++) {
		now += 100 * US;
		assert_false(weftd_share_apart(&s, now, 50 * US, 50 * US));
	}
	now += 100 * US;
	assert_true(weftd_share_apart(&s, now, 50 * US, 50 * US));
}

static void test_together_again_when_there_is_little(void **state)
{
	struct weftd_share s = {0};
	uint64_t now = 9 * MS;

	(void)state;
	for (unsigned i = 0; i < 2000; i++) { /* a fiftieth: enough for a thread */
		now += 100 * US;
		assert_false(weftd_share_together(&s, now, 2 * US));
	}
	for (unsigned i = 0; i < 499; i++) {
		now += 100 * US;
		assert_false(weftd_share_together(&s, now, US / 2));
	}
	for (unsigned i = 0; i < 2; i++) {
		now += 100 * US;
		if (weftd_share_together(&s, now, US / 2))
			return;
	}
	fail_msg("a thread with little to do kept it");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_apart_when_both_are_busy),
		cmocka_unit_test(test_stays_when_one_direction_is_idle),
		cmocka_unit_test(test_stays_when_there_is_rest),
		cmocka_unit_test(test_a_burst_is_not_enough),
		cmocka_unit_test(test_a_look_begins_anew),
		cmocka_unit_test(test_together_again_when_there_is_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
