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

/* Rounds of 100 us in which each direction works so long, `cpu_ns` of it on a processor. */
static struct weftd_share_verdict look(struct weftd_share *s, uint64_t *now, uint64_t *cpu,
				       uint64_t rx_ns, uint64_t tx_ns, uint64_t cpu_ns,
				       uint64_t preempted)
{
	const struct weftd_share_thread before = s->since;

	for (;;) {
		*now += 100 * US;
		*cpu += cpu_ns;
		if (weftd_share_worked(s, *now, rx_ns, tx_ns, WEFTD_SHARE_APART_NS))
			return weftd_share_decide(
				s, *now,
				(struct weftd_share_thread){*cpu, before.preempted + preempted});
	}
}

/* The second look: the first one says nothing. */
static struct weftd_share_verdict verdict_of(uint64_t rx_ns, uint64_t tx_ns, uint64_t cpu_ns,
					     uint64_t preempted)
{
	struct weftd_share s = {0};
	uint64_t now = 77 * MS, cpu = 3 * MS;
	struct weftd_share_verdict v = look(&s, &now, &cpu, rx_ns, tx_ns, cpu_ns, preempted);

	assert_false(v.busy || v.idle || v.crowded);
	return look(&s, &now, &cpu, rx_ns, tx_ns, cpu_ns, preempted);
}

static struct weftd_share_verdict verdict(uint64_t rx_ns, uint64_t tx_ns, uint64_t cpu_ns)
{
	return verdict_of(rx_ns, tx_ns, cpu_ns, 3);
}

static void test_busy_in_both_directions(void **state)
{
	(void)state;
	assert_true(verdict(50 * US, 50 * US, 100 * US).busy);
	assert_true(verdict(5 * US, 95 * US, 100 * US).busy);
	assert_true(verdict(95 * US, 5 * US, 100 * US).busy);
}

static void test_not_busy_when_one_direction_is_idle(void **state)
{
	(void)state;
	assert_false(verdict(1 * US, 99 * US, 100 * US).busy);
	assert_false(verdict(99 * US, 1 * US, 100 * US).busy);
	assert_false(verdict(0, 100 * US, 100 * US).busy);
}

static void test_not_busy_when_there_is_rest(void **state)
{
	(void)state;
	assert_false(verdict(30 * US, 30 * US, 60 * US).busy);
	assert_false(verdict(0, 0, 0).busy);
}

static void test_idle_when_there_is_little(void **state)
{
	(void)state;
	assert_true(verdict(0, US / 2, US / 2).idle);
	assert_true(verdict(0, 0, 0).idle);
	assert_false(verdict(0, 2 * US, 2 * US).idle);
}

/* A thread with work that does not get a processor for a tenth of the time. */
static void test_crowded(void **state)
{
	(void)state;
	assert_true(verdict(50 * US, 50 * US, 80 * US).crowded);
	assert_true(verdict(0, 30 * US, 10 * US).crowded);
	assert_false(verdict(50 * US, 50 * US, 95 * US).crowded);
	/* it slept while at work: for room in a socket's buffer, say */
	assert_false(verdict_of(50 * US, 50 * US, 80 * US, 0).crowded);
	/* what it did outside of its work is no contradiction */
	assert_false(verdict(10 * US, 10 * US, 30 * US).crowded);
}

static void test_a_look_has_a_length(void **state)
{
	struct weftd_share s = {0};
	uint64_t now = 9 * MS;

	(void)state;
	for (unsigned i = 0; i < 49; i++) {
		now += 100 * US;
		assert_false(weftd_share_worked(&s, now, 50 * US, 50 * US, 5 * MS));
	}
	now += 100 * US;
	assert_true(weftd_share_worked(&s, now, 50 * US, 50 * US, 5 * MS));
}

/* What came before does not count in the next look, nor does work before a quiet time. */
static void test_a_look_begins_anew(void **state)
{
	struct weftd_share s = {0};
	uint64_t now = 5 * MS, cpu = MS;

	(void)state;
	(void)look(&s, &now, &cpu, 50 * US, 50 * US, 100 * US, 0);
	assert_true(look(&s, &now, &cpu, 50 * US, 50 * US, 100 * US, 0).busy);
	for (unsigned i = 0; i < 40; i++) {
		now += 100 * US;
		cpu += 100 * US;
		assert_false(weftd_share_worked(&s, now, 50 * US, 50 * US, 5 * MS));
	}
	now += 1000 * MS;
	assert_true(weftd_share_worked(&s, now, 50 * US, 50 * US, 5 * MS));
	assert_false(weftd_share_decide(&s, now, (struct weftd_share_thread){cpu, 0}).busy);
	assert_true(look(&s, &now, &cpu, 50 * US, 50 * US, 100 * US, 0).busy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_busy_in_both_directions),
		cmocka_unit_test(test_not_busy_when_one_direction_is_idle),
		cmocka_unit_test(test_not_busy_when_there_is_rest),
		cmocka_unit_test(test_idle_when_there_is_little),
		cmocka_unit_test(test_crowded),
		cmocka_unit_test(test_a_look_has_a_length),
		cmocka_unit_test(test_a_look_begins_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
