/* SPDX-License-Identifier: Apache-2.0 */
/* The hash tables: against a plain array, under churn with a reader, and without memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>

#include "core/table.h"
#include "unit_mem.h"
#include "unit_random.h"

static const uint8_t hash_key[16] = {3, 1, 4, 1, 5};
static struct weft_epoch epoch;
static struct unit_mem um;
static struct weft_table t;

static void begin(size_t key_len)
{
	struct weft_mem mem;

	memset(&um, 0, sizeof(um));
	mem = unit_mem_of(&um);
	weft_epoch_init(&epoch, 2, NULL);
	assert_int_equal(weft_table_init(&t, &mem, &epoch, key_len, hash_key), 0);
}

static void end(void)
{
	weft_table_fini(&t);
	weft_epoch_fini(&epoch);
	assert_int_equal(um.bytes, 0);
	assert_int_equal(um.blocks, 0);
}

static void test_basic(void **state)
{
	uint8_t a[32] = {1}, b[32] = {1, [31] = 1};
	int x, y;

	(void)state;
	begin(32);
	assert_null(weft_table_find(&t, a));
	assert_null(weft_table_remove(&t, a));
	assert_null(weft_table_replace(&t, a, &x));
	assert_int_equal(weft_table_insert(&t, a, &x), 0);
	assert_int_equal(weft_table_insert(&t, a, &y), -EEXIST);
	assert_int_equal(weft_table_insert(&t, b, &y), 0);
	assert_ptr_equal(weft_table_find(&t, a), &x);
	assert_ptr_equal(weft_table_find(&t, b), &y);
	assert_ptr_equal(weft_table_replace(&t, a, &y), &x);
	assert_ptr_equal(weft_table_find(&t, a), &y);
	assert_ptr_equal(weft_table_remove(&t, a), &y);
	assert_null(weft_table_find(&t, a));
	assert_ptr_equal(weft_table_find(&t, b), &y);
	assert_int_equal(t.count, 1);
	end();
	begin(4);
	struct weft_table bad;
	struct weft_mem mem = unit_mem_of(&um);
	assert_int_equal(weft_table_init(&bad, &mem, &epoch, 0, hash_key), -EINVAL);
	assert_int_equal(weft_table_init(&bad, &mem, &epoch, 33, hash_key), -EINVAL);
	assert_int_equal(weft_table_reserve(&t, (size_t)WEFT_TABLE_MAX + 1), WEFT_E_LIMIT);
	assert_int_equal(weft_table_reserve(&t, SIZE_MAX), WEFT_E_LIMIT);
	end();
}

/* Random operations against an array indexed by the key. */
static void test_random(void **state)
{
	enum { KEYS = 3000 };
	static void *want[KEYS];
	uint64_t seed = unit_seed();
	size_t count = 0;

	(void)state;
	memset(want, 0, sizeof(want));
	begin(4);
	for (int i = 0; i < 300000; i++) {
		uint32_t key = (uint32_t)(unit_random(&seed) % KEYS);
		void *value = (void *)(uintptr_t)(1 + unit_random(&seed) % 1000);

		switch (unit_random(&seed) % 4) {
		case 0:
			assert_int_equal(weft_table_insert(&t, &key, value),
					 want[key] ? -EEXIST : 0);
			if (!want[key]) {
				want[key] = value;
				count++;
			}
			break;
		case 1:
			assert_ptr_equal(weft_table_remove(&t, &key), want[key]);
			count -= want[key] != NULL;
			want[key] = NULL;
			break;
		case 2:
			assert_ptr_equal(weft_index_replace(&t, key, value), want[key]);
			if (want[key])
				want[key] = value;
			break;
		default:
			assert_ptr_equal(weft_index_find(&t, key), want[key]);
		}
		assert_int_equal(t.count, count);
		if (i % 1000 == 0)
			weft_epoch_reclaim(&epoch);
	}
	for (uint32_t key = 0; key < KEYS; key++)
		assert_ptr_equal(weft_index_find(&t, key), want[key]);
	end();
}

static void test_reserve(void **state)
{
	uint64_t seed = unit_seed();
	static uint32_t keys[5000];

	(void)state;
	begin(4);
	assert_int_equal(weft_table_reserve(&t, 5000), 0);
	um.fail = 1;
	um.calls = 0;
	/* steady churn, with a worker that comes and goes: nothing is allocated */
	for (uint32_t i = 0; i < 5000; i++) {
		keys[i] = i;
		assert_int_equal(weft_table_insert(&t, &keys[i], &keys[i]), 0);
	}
	for (uint32_t i = 0; i < 100000; i++) {
		uint32_t at = (uint32_t)(unit_random(&seed) % 5000);

		if (i % 64 == 0)
			weft_epoch_enter(&epoch, 0);
		assert_ptr_equal(weft_index_remove(&t, keys[at]), &keys[at]);
		keys[at] = 5000 + i;
		assert_int_equal(weft_table_insert(&t, &keys[at], &keys[at]), 0);
		if (i % 64 == 63)
			weft_epoch_leave(&epoch, 0);
	}
	weft_epoch_leave(&epoch, 0);
	assert_int_equal(um.calls, 0);
	/* past what was reserved, it fails cleanly */
	for (uint32_t i = 0; i < 100000; i++) {
		uint32_t key = 0x80000000u + i;
		int rc = weft_table_insert(&t, &key, keys);

		if (rc) {
			assert_int_equal(rc, -ENOMEM);
			break;
		}
	}
	assert_true(um.calls > 0);
	assert_ptr_equal(weft_index_find(&t, keys[17]), &keys[17]);
	end();
}

static void fill_low(void *ctx, void *out, size_t len)
{
	uint64_t *seed = ctx;
	uint32_t v = (uint32_t)(unit_random(seed) % 64);

	assert_int_equal(len, 4);
	memcpy(out, &v, 4);
}

/* A random source of six bits: indices stay unique, and it gives up when none is free. */
static void test_index(void **state)
{
	uint64_t seed = unit_seed();
	struct weft_rng rng = {.ctx = &seed, .fill = fill_low};
	uint32_t index;
	int rc, n = 0;

	(void)state;
	begin(4);
	while ((rc = weft_index_insert(&t, &rng, &seed, &index)) == 0) {
		assert_true(index < 64);
		n++;
	}
	assert_int_equal(rc, WEFT_E_LIMIT);
	assert_in_range(n, 32, 64);
	assert_int_equal(t.count, n);
	end();
}

#define STABLE 64
static atomic_bool stop;
static atomic_int wrong;

static void *reader(void *arg)
{
	uint64_t seed = 99;

	(void)arg;
	while (!atomic_load(&stop)) {
		weft_epoch_enter(&epoch, 1);
		for (int i = 0; i < 100; i++) {
			uint32_t key = (uint32_t)(unit_random(&seed) % 4096);
			void *v = weft_index_find(&t, key);

			/* a value is its key's; the first ones are never removed */
			if ((v && (uintptr_t)v != (uintptr_t)key + 1) || (!v && key < STABLE))
				atomic_fetch_add(&wrong, 1);
		}
		weft_epoch_leave(&epoch, 1);
	}
	return NULL;
}

/* The reader finds what is there, whatever the owner removes, adds, and grows. */
static void test_threads(void **state)
{
	uint64_t seed = unit_seed();
	pthread_t th;

	(void)state;
	begin(4);
	for (uint32_t key = 0; key < STABLE; key++)
		assert_int_equal(weft_table_insert(&t, &key, (void *)((uintptr_t)key + 1)), 0);
	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&th, NULL, reader, NULL), 0);
	for (int i = 0; i < 60000; i++) {
		uint32_t span = 128u + (unsigned)i / 16u;
		uint32_t key = STABLE + (uint32_t)(unit_random(&seed) % span);
		int rc;

		if (unit_random(&seed) % 5 < 3) {
			rc = weft_table_insert(&t, &key, (void *)((uintptr_t)key + 1));
			assert_true(rc == 0 || rc == -EEXIST);
		} else {
			weft_index_remove(&t, key);
		}
		if (i % 64 == 0)
			weft_epoch_reclaim(&epoch);
	}
	atomic_store(&stop, true);
	pthread_join(th, NULL);
	assert_int_equal(atomic_load(&wrong), 0);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_basic),   cmocka_unit_test(test_random),
		cmocka_unit_test(test_reserve), cmocka_unit_test(test_index),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests_name("core-table", tests, NULL, NULL);
}
