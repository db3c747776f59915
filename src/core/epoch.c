/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quiescent-state-based reclamation. Entering and looking are both read-modify-write operations on
 * the worker's slot, so that one of them comes first: either the owner sees that the worker is
 * inside, or the worker sees everything that the owner had taken out of sight.
 */
#include "core/epoch.h"

void weft_epoch_init(struct weft_epoch *e, unsigned workers, void *ctx)
{
	for (unsigned i = 0; i < WEFT_EPOCH_MAX_WORKERS; i++)
		atomic_store_explicit(&e->slots[i].entered, 0, memory_order_relaxed);
	atomic_store_explicit(&e->now, 1, memory_order_relaxed);
	e->passed = 0;
	e->first = NULL;
	e->last = &e->first;
	e->waiting = 0;
	e->workers = workers < WEFT_EPOCH_MAX_WORKERS ? workers : WEFT_EPOCH_MAX_WORKERS;
	e->ctx = ctx;
}

static size_t free_up_to(struct weft_epoch *e, uint64_t mark)
{
	size_t n = 0;

	while (e->first && e->first->mark <= mark) {
		struct weft_retired *node = e->first;

		e->first = node->next;
		if (!e->first)
			e->last = &e->first;
		e->waiting--;
		n++;
		node->fn(e->ctx, node); /* may retire more */
	}
	return n;
}

void weft_epoch_fini(struct weft_epoch *e)
{
	while (e->first)
		free_up_to(e, UINT64_MAX);
}

void weft_epoch_enter(struct weft_epoch *e, unsigned slot)
{
	uint64_t now = atomic_load_explicit(&e->now, memory_order_acquire);

	atomic_exchange_explicit(&e->slots[slot].entered, now, memory_order_acq_rel);
}

void weft_epoch_leave(struct weft_epoch *e, unsigned slot)
{
	atomic_store_explicit(&e->slots[slot].entered, 0, memory_order_release);
}

/*
 * What a mark stands for was out of sight before `now` grew past it: a worker that entered at a
 * later value cannot hold it.
 */
uint64_t weft_epoch_mark(struct weft_epoch *e)
{
	return atomic_fetch_add_explicit(&e->now, 1, memory_order_acq_rel);
}

static void look(struct weft_epoch *e)
{
	uint64_t oldest = atomic_load_explicit(&e->now, memory_order_relaxed);

	for (unsigned i = 0; i < e->workers; i++) {
		uint64_t entered =
			atomic_fetch_or_explicit(&e->slots[i].entered, 0, memory_order_acq_rel);

		if (entered && entered < oldest)
			oldest = entered;
	}
	e->passed = oldest - 1;
}

bool weft_epoch_passed(struct weft_epoch *e, uint64_t mark)
{
	if (mark > e->passed)
		look(e);
	return mark <= e->passed;
}

void weft_epoch_retire(struct weft_epoch *e, struct weft_retired *node,
		       void (*fn)(void *ctx, struct weft_retired *node))
{
	node->fn = fn;
	node->next = NULL;
	node->mark = weft_epoch_mark(e);
	*e->last = node;
	e->last = &node->next;
	e->waiting++;
}

size_t weft_epoch_reclaim(struct weft_epoch *e)
{
	if (!e->first)
		return 0;
	look(e);
	return free_up_to(e, e->passed);
}

size_t weft_epoch_waiting(const struct weft_epoch *e)
{
	return e->waiting;
}
