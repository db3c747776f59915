/* SPDX-License-Identifier: Apache-2.0 */
/* The ring: full and empty, many turns, and several producers that lose and repeat nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "util/ring.h"

static struct weft_ring r;
static void *mem;

static void begin(size_t cells, size_t cell_size)
{
	size_t size = weft_ring_mem_size(cells, cell_size);

	mem = aligned_alloc(16, size);
	assert_non_null(mem);
	assert_int_equal(weft_ring_init(&r, mem, cells, cell_size), 0);
}

static void test_init(void **state)
{
	uint8_t small[256];

	(void)state;
	assert_int_equal(weft_ring_mem_size(SIZE_MAX, 16), 0);
	assert_int_equal(weft_ring_mem_size(16, SIZE_MAX), 0);
	assert_int_equal(weft_ring_mem_size(4, 1), 4 * 32);
	assert_int_equal(weft_ring_init(&r, small, 3, 8), -EINVAL);
	assert_int_equal(weft_ring_init(&r, small, 1, 8), -EINVAL);
	assert_int_equal(weft_ring_init(&r, small, 0, 8), -EINVAL);
}

static void test_turns(void **state)
{
	uint8_t big[21];
	int next = 0, in = 0;

	(void)state;
	begin(4, 20);
	assert_null(weft_ring_front(&r));
	assert_false(weft_ring_push(&r, big, sizeof(big)));
	for (int turn = 0; turn < 100; turn++) {
		int n = turn % 5;

		for (int i = 0; i < n; i++, in++)
			assert_true(weft_ring_push(&r, &in, sizeof(in)));
		assert_int_equal(weft_ring_count(&r), n);
		if (n == 4)
			assert_null(weft_ring_claim(&r));
		for (int i = 0; i < n; i++, next++) {
			int got;

			assert_non_null(weft_ring_front(&r));
			memcpy(&got, weft_ring_front(&r), sizeof(got));
			assert_int_equal(got, next);
			weft_ring_pop(&r);
		}
		assert_null(weft_ring_front(&r));
	}
	free(mem);
}

/* What is claimed but not committed is not seen, nor what lies behind it. */
static void test_claim(void **state)
{
	uint8_t *a, *b;

	(void)state;
	begin(4, 1);
	a = weft_ring_claim(&r);
	b = weft_ring_claim(&r);
	assert_non_null(a);
	assert_non_null(b);
	assert_int_equal((uintptr_t)b % 16, 0);
	*b = 2;
	weft_ring_commit(&r, b);
	assert_null(weft_ring_front(&r));
	*a = 1;
	weft_ring_commit(&r, a);
	assert_int_equal(*(uint8_t *)weft_ring_front(&r), 1);
	weft_ring_pop(&r);
	assert_int_equal(*(uint8_t *)weft_ring_front(&r), 2);
	free(mem);
}

#define PRODUCERS 3
#define EACH      20000

struct item {
	uint32_t producer, n;
	uint8_t fill[48];
};

static void *produce(void *arg)
{
	struct item it = {.producer = *(uint32_t *)arg};

	while (it.n < EACH) {
		memset(it.fill, (int)it.n, sizeof(it.fill));
		if (weft_ring_push(&r, &it, sizeof(it)))
			it.n++;
		else
			sched_yield();
	}
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t t[PRODUCERS];
	uint32_t ids[PRODUCERS], next[PRODUCERS] = {0}, total = 0;

	(void)state;
	begin(64, sizeof(struct item));
	for (uint32_t i = 0; i < PRODUCERS; i++) {
		ids[i] = i;
		assert_int_equal(pthread_create(&t[i], NULL, produce, &ids[i]), 0);
	}
	while (total < PRODUCERS * EACH) {
		struct item *it = weft_ring_front(&r);

		if (!it) {
			sched_yield();
			continue;
		}
		assert_true(it->producer < PRODUCERS);
		assert_int_equal(it->n, next[it->producer]);
		assert_int_equal(it->fill[0], (uint8_t)it->n);
		assert_memory_equal(it->fill, it->fill + 1, sizeof(it->fill) - 1);
		next[it->producer]++;
		total++;
		weft_ring_pop(&r);
		assert_true(weft_ring_count(&r) <= 64);
	}
	for (int i = 0; i < PRODUCERS; i++)
		pthread_join(t[i], NULL);
	assert_null(weft_ring_front(&r));
	free(mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_init),
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_claim),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests_name("util-ring", tests, NULL, NULL);
}
