/* SPDX-License-Identifier: Apache-2.0 */
/* Staged packets: order, the limit of 128, the budget, and pushes from several threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>

#include "core/stage.h"
#include "unit_mem.h"
#include "unit_random.h"

static struct unit_mem um;
static struct weft_stage s;
static uint8_t out[WEFT_STAGE_MAX_BYTES];
static uint8_t pkt[WEFT_STAGE_MAX_BYTES + 1];

static void begin(size_t budget)
{
	struct weft_mem mem;

	memset(&um, 0, sizeof(um));
	mem = unit_mem_of(&um);
	assert_int_equal(weft_stage_init(&s, &mem, budget), 0);
}

static void end(void)
{
	assert_int_equal(weft_stage_pkts(&s), 0);
	assert_int_equal(weft_stage_bytes(&s), 0);
	weft_stage_fini(&s);
	assert_int_equal(um.bytes, 0);
}

/* Every byte follows from `n`. */
static void make(uint32_t n, size_t len)
{
	uint64_t seed = n;

	for (size_t i = 0; i < len; i++)
		pkt[i] = (uint8_t)unit_random(&seed);
}

static void test_limits(void **state)
{
	struct weft_mem mem = unit_mem_of(&um);
	struct weft_stage bad;

	(void)state;
	assert_int_equal(weft_stage_init(&bad, &mem, 65535), -EINVAL);
	assert_int_equal(weft_stage_init(&bad, &mem, (size_t)1 << 30), -EINVAL);
	um.fail = 1;
	assert_int_equal(weft_stage_init(&bad, &mem, 65536), -ENOMEM);
	assert_int_equal(sizeof(struct weft_stage_queue), 12);
}

static void test_oldest_goes(void **state)
{
	struct weft_stage_queue q = {0};
	struct weft_stage_drops d;

	(void)state;
	begin(1 << 20);
	assert_int_equal(weft_stage_pop(&s, &q, out), 0);
	for (uint32_t i = 0; i < 200; i++) {
		make(i, 300);
		d = weft_stage_push(&s, &q, pkt, 300);
		assert_int_equal(d.full, i >= 128);
		assert_int_equal(d.budget, 0);
	}
	assert_int_equal(weft_stage_queued(&q), 128);
	assert_int_equal(weft_stage_pkts(&s), 128);
	for (uint32_t i = 72; i < 200; i++) {
		make(i, 300);
		assert_int_equal(weft_stage_pop(&s, &q, out), 300);
		assert_memory_equal(out, pkt, 300);
	}
	assert_int_equal(weft_stage_pop(&s, &q, out), 0);
	assert_int_equal(weft_stage_queued(&q), 0);
	end();
}

static void test_budget(void **state)
{
	struct weft_stage_queue a = {0}, b = {0};
	struct weft_stage_drops d;
	unsigned n = 0;

	(void)state;
	begin(65536); /* 256 cells */
	d = weft_stage_push(&s, &a, pkt, 0);
	assert_int_equal(d.budget, 1);
	d = weft_stage_push(&s, &a, pkt, WEFT_STAGE_MAX_BYTES);
	assert_int_equal(d.budget, 1); /* larger than the whole budget */
	while (weft_stage_push(&s, &a, pkt, 1400).budget == 0)
		n++;
	assert_int_equal(n, 256 / 6); /* the last push dropped the oldest and went in */
	assert_int_equal(weft_stage_queued(&a), n);
	assert_in_range(weft_stage_bytes(&s), 1, 65536);
	/* another queue has nothing of its own to give up */
	d = weft_stage_push(&s, &b, pkt, 1400);
	assert_int_equal(d.budget, 1);
	assert_int_equal(d.full, 0);
	assert_int_equal(weft_stage_queued(&b), 0);
	/* a large one makes several go */
	d = weft_stage_push(&s, &a, pkt, 14000);
	assert_in_range(d.budget, 5, 10);
	assert_int_equal(weft_stage_queued(&a), n - d.budget + 1);
	assert_int_equal(weft_stage_clear(&s, &a), n - d.budget + 1);
	assert_int_equal(weft_stage_clear(&s, &a), 0);
	d = weft_stage_push(&s, &b, pkt, 1400);
	assert_int_equal(d.budget, 0);
	weft_stage_clear(&s, &b);
	end();
}

/* Against arrays of packet numbers. */
static void test_random(void **state)
{
	enum { QUEUES = 5 };
	struct weft_stage_queue q[QUEUES];
	static uint32_t want[QUEUES][WEFT_STAGE_MAX_PKTS], lens[QUEUES][WEFT_STAGE_MAX_PKTS];
	unsigned count[QUEUES] = {0};
	uint64_t seed = unit_seed();

	(void)state;
	memset(q, 0, sizeof(q));
	begin(1 << 18);
	for (uint32_t i = 1; i < 20000; i++) {
		unsigned k = (unsigned)(unit_random(&seed) % QUEUES), r = unit_random(&seed) % 100;
		size_t len = 1 + unit_random(&seed) % (i % 50 == 0 ? 65535 : 1500);

		if (r < 60) {
			struct weft_stage_drops d;
			unsigned dropped;

			make(i, len);
			d = weft_stage_push(&s, &q[k], pkt, len);
			dropped = d.full + d.budget;
			assert_true(dropped <= count[k] + 1);
			if (dropped > count[k]) { /* the new one too */
				count[k] = 0;
				continue;
			}
			memmove(want[k], want[k] + dropped, (count[k] - dropped) * 4);
			memmove(lens[k], lens[k] + dropped, (count[k] - dropped) * 4);
			count[k] -= dropped;
			want[k][count[k]] = i;
			lens[k][count[k]++] = (uint32_t)len;
		} else if (r < 98) {
			size_t got = weft_stage_pop(&s, &q[k], out);

			assert_int_equal(got, count[k] ? lens[k][0] : 0);
			if (!got)
				continue;
			make(want[k][0], got);
			assert_memory_equal(out, pkt, got);
			count[k]--;
			memmove(want[k], want[k] + 1, count[k] * 4);
			memmove(lens[k], lens[k] + 1, count[k] * 4);
		} else {
			assert_int_equal(weft_stage_clear(&s, &q[k]), count[k]);
			count[k] = 0;
		}
		assert_int_equal(weft_stage_queued(&q[k]), count[k]);
	}
	for (unsigned k = 0; k < QUEUES; k++)
		weft_stage_clear(&s, &q[k]);
	end();
}

#define THREADS 3
#define PUSHES  4000
static struct weft_stage_queue shared;

static void *pusher(void *arg)
{
	size_t *dropped = arg;
	uint8_t mine[700];

	for (unsigned i = 0; i < PUSHES; i++) {
		struct weft_stage_drops d;

		memset(mine, (int)i, sizeof(mine));
		d = weft_stage_push(&s, &shared, mine, 1 + i % sizeof(mine));
		*dropped += d.full + d.budget;
	}
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t t[THREADS];
	size_t dropped[THREADS] = {0}, popped = 0, len;

	(void)state;
	begin(65536);
	memset(&shared, 0, sizeof(shared));
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, pusher, &dropped[i]), 0);
	for (int i = 0; i < 20000; i++) {
		len = weft_stage_pop(&s, &shared, out);
		popped += len > 0;
		if (len > 1)
			assert_memory_equal(out, out + 1, len - 1);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		popped += dropped[i];
	}
	popped += weft_stage_clear(&s, &shared);
	assert_int_equal(popped, THREADS * PUSHES);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),  cmocka_unit_test(test_oldest_goes),
		cmocka_unit_test(test_budget),  cmocka_unit_test(test_random),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests_name("core-stage", tests, NULL, NULL);
}
