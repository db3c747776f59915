/* SPDX-License-Identifier: Apache-2.0 */
/* Reclamation: order, batches that overlap, marks, and readers in threads of their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <pthread.h>

#include "core/epoch.h"

struct thing {
	struct weft_retired retired;
	int value;
	int freed;
};

static void count_freed(void *ctx, struct weft_retired *node)
{
	struct thing *t = (struct thing *)(void *)((char *)node - offsetof(struct thing, retired));

	t->freed = ++*(int *)ctx;
}

static void test_order(void **state)
{
	static struct weft_epoch e;
	struct thing a = {.value = 1}, b = {.value = 2}, c = {.value = 3};
	int freed = 0;

	(void)state;
	weft_epoch_init(&e, 3, &freed);
	weft_epoch_retire(&e, &a.retired, count_freed);
	assert_int_equal(weft_epoch_reclaim(&e), 1); /* nobody is inside */
	assert_int_equal(a.freed, 1);

	weft_epoch_enter(&e, 0);
	a.freed = 0;
	weft_epoch_retire(&e, &a.retired, count_freed);
	weft_epoch_enter(&e, 1);
	weft_epoch_retire(&e, &b.retired, count_freed);
	assert_int_equal(weft_epoch_reclaim(&e), 0);
	assert_int_equal(weft_epoch_waiting(&e), 2);
	weft_epoch_leave(&e, 0);
	weft_epoch_enter(&e, 2); /* entered after both were out of sight: holds neither */
	assert_int_equal(weft_epoch_reclaim(&e), 1);
	assert_int_equal(a.freed, 2);
	assert_int_equal(b.freed, 0);
	weft_epoch_leave(&e, 1);
	weft_epoch_enter(&e, 1);
	assert_int_equal(weft_epoch_reclaim(&e), 1);
	assert_int_equal(b.freed, 3);
	weft_epoch_retire(&e, &c.retired, count_freed);
	assert_int_equal(weft_epoch_reclaim(&e), 0);
	weft_epoch_leave(&e, 1);
	weft_epoch_leave(&e, 2);
	weft_epoch_fini(&e);
	assert_int_equal(c.freed, 4);
	assert_int_equal(weft_epoch_waiting(&e), 0);
}

static void test_marks(void **state)
{
	static struct weft_epoch e;
	uint64_t a, b;

	(void)state;
	weft_epoch_init(&e, WEFT_EPOCH_MAX_WORKERS, NULL);
	weft_epoch_enter(&e, 63);
	a = weft_epoch_mark(&e);
	assert_false(weft_epoch_passed(&e, a));
	weft_epoch_leave(&e, 63);
	weft_epoch_enter(&e, 63);
	b = weft_epoch_mark(&e);
	assert_true(weft_epoch_passed(&e, a));
	assert_false(weft_epoch_passed(&e, b));
	weft_epoch_leave(&e, 63);
	assert_true(weft_epoch_passed(&e, b));
	weft_epoch_fini(&e);
}

#define READERS 3
#define ROUNDS  3000
static struct weft_epoch shared;
static _Atomic(struct thing *) visible;
static atomic_bool stop;
static atomic_int wrong;

static void *reader(void *arg)
{
	unsigned slot = *(unsigned *)arg;

	while (!atomic_load(&stop)) {
		weft_epoch_enter(&shared, slot);
		for (int i = 0; i < 20; i++) {
			struct thing *t = atomic_load_explicit(&visible, memory_order_acquire);

			if (t->value != 42)
				atomic_fetch_add(&wrong, 1);
		}
		weft_epoch_leave(&shared, slot);
	}
	return NULL;
}

static void really_free(void *ctx, struct weft_retired *node)
{
	struct thing *t = (struct thing *)(void *)((char *)node - offsetof(struct thing, retired));

	(void)ctx;
	t->value = 0;
	free(t);
}

static struct thing *make(void)
{
	struct thing *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	t->value = 42;
	return t;
}

/* Freed too early, this is a use after free for ASan, a race for TSan, and a wrong value. */
static void test_threads(void **state)
{
	pthread_t t[READERS];
	unsigned slots[READERS];
	size_t freed = 0;

	(void)state;
	weft_epoch_init(&shared, READERS, NULL);
	atomic_store(&visible, make());
	for (unsigned i = 0; i < READERS; i++) {
		slots[i] = i;
		assert_int_equal(pthread_create(&t[i], NULL, reader, &slots[i]), 0);
	}
	for (int i = 0; i < ROUNDS; i++) {
		struct thing *fresh = make();
		struct thing *old = atomic_exchange(&visible, fresh);

		weft_epoch_retire(&shared, &old->retired, really_free);
		freed += weft_epoch_reclaim(&shared);
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(t[i], NULL);
	freed += weft_epoch_reclaim(&shared);
	assert_int_equal(freed, ROUNDS);
	assert_int_equal(atomic_load(&wrong), 0);
	free(atomic_load(&visible));
	weft_epoch_fini(&shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests_name("core-epoch", tests, NULL, NULL);
}
