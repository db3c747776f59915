/* SPDX-License-Identifier: Apache-2.0 */
/* Counts what was taken; see budget.h. */
#include "util/budget.h"

#include <assert.h>

void weft_budget_init(struct weft_budget *b, size_t limit_bytes)
{
	b->limit = limit_bytes;
	atomic_init(&b->used, 0);
	atomic_init(&b->most, 0);
}

int weft_budget_take(struct weft_budget *b, size_t bytes)
{
	size_t used = atomic_load_explicit(&b->used, memory_order_relaxed), most;

	do {
		if (bytes > b->limit - used)
			return WEFT_E_LIMIT;
	} while (!atomic_compare_exchange_weak(&b->used, &used, used + bytes));
	used += bytes;
	most = atomic_load_explicit(&b->most, memory_order_relaxed);
	while (used > most && !atomic_compare_exchange_weak(&b->most, &most, used))
		;
	return 0;
}

void weft_budget_give(struct weft_budget *b, size_t bytes)
{
	size_t before = atomic_fetch_sub(&b->used, bytes);

	assert(before >= bytes);
	(void)before;
}

size_t weft_budget_left(const struct weft_budget *b)
{
	return b->limit - atomic_load_explicit(&b->used, memory_order_relaxed);
}
