/* SPDX-License-Identifier: Apache-2.0 */
/* The timer wheel: never early, at most a tick late, against an array; and idle timers are free. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/wheel.h"
#include "unit_random.h"

#define TICK (UINT64_C(1) << WEFT_WHEEL_TICK_SHIFT)
#define S    UINT64_C(1000000000)

static struct weft_wheel w;

static void test_one(void **state)
{
	struct weft_timer t = {.tag = 7};
	uint64_t deadlines[] = {1, TICK, TICK + 1, 64 * TICK, 5 * S, 120 * S, 540 * S, 86400 * S};

	(void)state;
	assert_int_equal(sizeof(struct weft_timer), 24);
	for (size_t i = 0; i < sizeof(deadlines) / sizeof(deadlines[0]); i++) {
		for (uint64_t start = 0; start < 10 * S; start += 777777777) {
			uint64_t due = start + deadlines[i], now, calls = 0;
			struct weft_timer *got = NULL;

			weft_wheel_init(&w, start);
			assert_int_equal(weft_wheel_next_ns(&w), UINT64_MAX);
			weft_wheel_set(&w, &t, due);
			assert_true(weft_timer_armed(&t));
			while (!got) {
				now = weft_wheel_next_ns(&w);
				assert_true(now < due + TICK);
				assert_true(++calls <= WEFT_WHEEL_LEVELS);
				got = weft_wheel_expire(&w, now);
			}
			assert_ptr_equal(got, &t);
			assert_int_equal(got->tag, 7);
			assert_true(now >= due);
			assert_false(weft_timer_armed(&t));
			assert_null(weft_wheel_expire(&w, now + S));
			assert_int_equal(w.armed, 0);
		}
	}
}

static void test_past_never_cancel(void **state)
{
	struct weft_timer a = {0}, b = {0};

	(void)state;
	weft_wheel_init(&w, 100 * S);
	weft_wheel_set(&w, &a, S);
	weft_wheel_set(&w, &b, UINT64_MAX);
	assert_true(weft_wheel_next_ns(&w) <= 100 * S);
	assert_ptr_equal(weft_wheel_expire(&w, 100 * S), &a);
	assert_null(weft_wheel_expire(&w, 100 * S));
	assert_true(weft_wheel_next_ns(&w) > 1000000 * S);
	assert_null(weft_wheel_expire(&w, 1000000 * S));
	weft_wheel_cancel(&w, &b);
	weft_wheel_cancel(&w, &b);
	weft_wheel_cancel(&w, &a);
	assert_int_equal(weft_wheel_next_ns(&w), UINT64_MAX);
	/* one of two in a slot leaves the other there */
	weft_wheel_set(&w, &a, 1000010 * S);
	weft_wheel_set(&w, &b, 1000010 * S);
	weft_wheel_cancel(&w, &b);
	assert_ptr_equal(weft_wheel_expire(&w, 1000011 * S), &a);
	assert_null(weft_wheel_expire(&w, 1000011 * S));
}

/* A timer's handler arms itself and others, and cancels one that is due too. */
static void test_inside(void **state)
{
	struct weft_timer t[3] = {{0}}, *first;

	(void)state;
	weft_wheel_init(&w, 0);
	for (int i = 0; i < 3; i++)
		weft_wheel_set(&w, &t[i], S);
	first = weft_wheel_expire(&w, 2 * S);
	assert_non_null(first);
	for (int i = 0; i < 3; i++)
		if (&t[i] != first)
			weft_wheel_cancel(&w, &t[i]);
	weft_wheel_set(&w, first, 3 * S);
	assert_null(weft_wheel_expire(&w, 2 * S));
	assert_ptr_equal(weft_wheel_expire(&w, 3 * S + TICK), first);
	assert_int_equal(w.armed, 0);
}

static uint64_t random_delay(uint64_t *seed)
{
	/* all magnitudes alike */
	return unit_random(seed) >> (18 + unit_random(seed) % 40);
}

static void test_random(void **state)
{
	enum { TIMERS = 500 };
	static struct weft_timer t[TIMERS];
	static uint64_t due[TIMERS]; /* 0: not armed */
	uint64_t seed = unit_seed(), now = 12345;

	(void)state;
	memset(t, 0, sizeof(t));
	memset(due, 0, sizeof(due));
	weft_wheel_init(&w, now);
	for (int round = 0; round < 40000; round++) {
		struct weft_timer *got;
		size_t armed = 0;

		for (int j = 0; j < 3; j++) {
			size_t i = unit_random(&seed) % TIMERS;

			if (unit_random(&seed) % 4 == 0) {
				weft_wheel_cancel(&w, &t[i]);
				due[i] = 0;
			} else {
				due[i] = now + random_delay(&seed);
				weft_wheel_set(&w, &t[i], due[i]);
			}
		}
		if (unit_random(&seed) % 2 && weft_wheel_next_ns(&w) != UINT64_MAX) {
			uint64_t next = weft_wheel_next_ns(&w);

			now = next > now ? next : now;
		} else {
			now += random_delay(&seed) >> 6;
		}
		while ((got = weft_wheel_expire(&w, now)) != NULL) {
			size_t i = (size_t)(got - t);

			assert_true(due[i] != 0);
			assert_true(due[i] <= now);
			due[i] = 0;
		}
		for (size_t i = 0; i < TIMERS; i++) {
			assert_int_equal(weft_timer_armed(&t[i]), due[i] != 0);
			if (due[i]) { /* none is left behind */
				armed++;
				assert_true(due[i] + TICK > now);
				assert_true(weft_wheel_next_ns(&w) < due[i] + TICK);
			}
		}
		assert_int_equal(w.armed, armed);
	}
}

/* A million timers an hour away; walking there tick by tick touches none before its time. */
static void test_idle_is_free(void **state)
{
	enum { MANY = 1000000 };
	struct weft_timer *t = calloc(MANY, sizeof(*t));
	size_t fired = 0, calls = 0;
	uint64_t now = 0, next;

	(void)state;
	assert_non_null(t);
	weft_wheel_init(&w, 0);
	for (size_t i = 0; i < MANY; i++)
		weft_wheel_set(&w, &t[i], 3600 * S + i);
	while (now < 3599 * S) {
		now += TICK;
		assert_null(weft_wheel_expire(&w, now));
		calls++;
	}
	while ((next = weft_wheel_next_ns(&w)) != UINT64_MAX) {
		while (weft_wheel_expire(&w, next))
			fired++;
		calls++;
	}
	assert_int_equal(fired, MANY);
	assert_true(calls > 3000000);
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one),          cmocka_unit_test(test_past_never_cancel),
		cmocka_unit_test(test_inside),       cmocka_unit_test(test_random),
		cmocka_unit_test(test_idle_is_free),
	};

	return cmocka_run_group_tests_name("core-wheel", tests, NULL, NULL);
}
