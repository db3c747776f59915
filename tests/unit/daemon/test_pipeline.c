/* SPDX-License-Identifier: Apache-2.0 */
/* The pipeline's rules one by one, in one thread; stress_pipeline.c has many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "daemon/pipeline.h"

static struct weftd_pipeline p;
static uint64_t got[256];
static unsigned n_got, n_flushes;

static void deliver(void *ctx, uint64_t position)
{
	(void)ctx;
	got[n_got++] = position;
}

static void flush(void *ctx)
{
	(void)ctx;
	n_flushes++;
}

static const struct weftd_pipeline_sink sink = {deliver, flush, NULL};

static void begin(unsigned slots)
{
	weftd_pipeline_init(&p, slots);
	n_got = n_flushes = 0;
}

static void fill(unsigned n)
{
	uint64_t position;

	assert_true(weftd_pipeline_free(&p, &position) >= n);
	weftd_pipeline_publish(&p, n);
}

static uint64_t claim(unsigned max, unsigned expect)
{
	uint64_t position = UINT64_MAX;

	assert_int_equal(weftd_pipeline_claim(&p, max, &position), expect);
	return position;
}

static void in_order(void **state)
{
	uint64_t a, b, position;

	(void)state;
	begin(4);
	assert_int_equal(weftd_pipeline_free(&p, &position), 4);
	assert_int_equal(position, 0);
	(void)claim(4, 0);
	fill(3);
	assert_int_equal(weftd_pipeline_free(&p, &position), 1);
	assert_int_equal(position, 3);
	assert_int_equal(weftd_pipeline_unclaimed(&p), 3);
	a = claim(1, 1);
	b = claim(8, 2);
	assert_true(a == 0 && b == 1);
	assert_int_equal(weftd_pipeline_unclaimed(&p), 0);
	/* the second and third are done first: nothing can leave */
	weftd_pipeline_done(&p, b, 2);
	assert_false(weftd_pipeline_deliver(&p, &sink));
	assert_int_equal(n_got + n_flushes, 0);
	assert_int_equal(weftd_pipeline_pending(&p), 3);
	weftd_pipeline_done(&p, a, 1);
	assert_false(weftd_pipeline_deliver(&p, &sink));
	assert_int_equal(n_got, 3);
	assert_int_equal(n_flushes, 1);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(got[i], i);
	assert_int_equal(weftd_pipeline_pending(&p), 0);
	assert_int_equal(weftd_pipeline_free(&p, &position), 4);
	/* nothing is left, and a slot's earlier round is not taken for the next one */
	assert_false(weftd_pipeline_deliver(&p, &sink));
	assert_int_equal(n_got, 3);
}

static void many_rounds(void **state)
{
	(void)state;
	begin(3);
	for (uint64_t i = 0; i < 200; i++) {
		fill(1);
		assert_int_equal(claim(1, 1), i);
		assert_int_equal(weftd_pipeline_slot(&p, i), i % 3);
		weftd_pipeline_done(&p, i, 1);
		assert_false(weftd_pipeline_deliver(&p, &sink));
		assert_int_equal(n_got, i + 1);
		assert_int_equal(got[i], i);
	}
}

static void flushes_are_bounded(void **state)
{
	(void)state;
	begin(WEFTD_PIPELINE_MAX_SLOTS);
	fill(WEFTD_PIPELINE_MAX_SLOTS);
	weftd_pipeline_done(&p, claim(UINT32_MAX, WEFTD_PIPELINE_MAX_SLOTS),
			    WEFTD_PIPELINE_MAX_SLOTS);
	assert_false(weftd_pipeline_deliver(&p, &sink));
	assert_int_equal(n_got, WEFTD_PIPELINE_MAX_SLOTS);
	assert_int_equal(n_flushes, WEFTD_PIPELINE_MAX_SLOTS / WEFTD_PIPELINE_FLUSH);
}

static void the_baton_is_tried_only(void **state)
{
	(void)state;
	begin(2);
	fill(1);
	weftd_pipeline_done(&p, claim(1, 1), 1);
	atomic_store(&p.baton, true); /* another thread delivers */
	assert_false(weftd_pipeline_deliver(&p, &sink));
	assert_int_equal(n_got, 0);
	atomic_store(&p.baton, false);
	assert_false(weftd_pipeline_deliver(&p, &sink));
	assert_int_equal(n_got, 1);
}

static void waiting_for_room(void **state)
{
	(void)state;
	begin(2);
	assert_false(weftd_pipeline_wait_room(&p));
	fill(2);
	assert_true(weftd_pipeline_wait_room(&p));
	weftd_pipeline_done(&p, claim(1, 1), 1);
	assert_true(weftd_pipeline_deliver(&p, &sink));
	weftd_pipeline_done(&p, claim(1, 1), 1);
	assert_false(weftd_pipeline_deliver(&p, &sink)); /* it has been told */
}

static void sleeping(void **state)
{
	(void)state;
	begin(4);
	assert_int_equal(weftd_pipeline_pick(&p, 4), 0);
	assert_true(weftd_pipeline_sleep(&p, 0));
	assert_true(weftd_pipeline_sleep(&p, 5));
	assert_true(weftd_pipeline_sleep(&p, 63));
	weftd_pipeline_awake(&p, 5);
	fill(2);
	assert_int_equal(weftd_pipeline_pick(&p, 1), 1);
	assert_int_equal(weftd_pipeline_pick(&p, 8), UINT64_C(1) << 63);
	assert_int_equal(weftd_pipeline_pick(&p, 8), 0);
	/* not while there is work */
	assert_false(weftd_pipeline_sleep(&p, 7));
	assert_int_equal(weftd_pipeline_pick(&p, 8), 0);
	(void)claim(2, 2);
	assert_true(weftd_pipeline_sleep(&p, 7));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_order),
		cmocka_unit_test(many_rounds),
		cmocka_unit_test(flushes_are_bounded),
		cmocka_unit_test(the_baton_is_tried_only),
		cmocka_unit_test(waiting_for_room),
		cmocka_unit_test(sleeping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
