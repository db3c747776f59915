/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of work in a ring of slots: see pipeline.h. Where an operation is sequentially
 * consistent for the sake of another thread's, the comment names the other one.
 */
#include "daemon/pipeline.h"

#include <assert.h>

/* Between any two steps another thread may come in; the stress test sees to it that it does. */
#ifndef WEFTD_PIPELINE_PAUSE
#define WEFTD_PIPELINE_PAUSE() ((void)0)
#endif

static uint64_t load(const _Atomic uint64_t *v)
{
	return atomic_load_explicit(v, memory_order_acquire);
}

void weftd_pipeline_init(struct weftd_pipeline *p, unsigned slots)
{
	assert(slots >= 2 && slots <= WEFTD_PIPELINE_MAX_SLOTS);
	atomic_init(&p->published, 0);
	atomic_init(&p->claimed, 0);
	atomic_init(&p->delivered, 0);
	atomic_init(&p->baton, false);
	atomic_init(&p->sleeping, 0);
	atomic_init(&p->wants_room, false);
	p->slots = slots;
	for (unsigned i = 0; i < WEFTD_PIPELINE_MAX_SLOTS; i++)
		atomic_init(&p->slot[i].done, 0);
}

unsigned weftd_pipeline_slot(const struct weftd_pipeline *p, uint64_t position)
{
	return (unsigned)(position % p->slots);
}

unsigned weftd_pipeline_pending(struct weftd_pipeline *p)
{
	/* in this order: what is delivered was published before */
	uint64_t delivered = load(&p->delivered);

	return (unsigned)(load(&p->published) - delivered);
}

unsigned weftd_pipeline_unclaimed(struct weftd_pipeline *p)
{
	uint64_t claimed = load(&p->claimed);

	return (unsigned)(load(&p->published) - claimed);
}

/* ---- the filler ---- */

unsigned weftd_pipeline_free(struct weftd_pipeline *p, uint64_t *ret_position)
{
	uint64_t published = atomic_load_explicit(&p->published, memory_order_relaxed);

	*ret_position = published;
	return p->slots - (unsigned)(published - load(&p->delivered));
}

void weftd_pipeline_publish(struct weftd_pipeline *p, unsigned n)
{
	/* then pick() reads `sleeping`: the other side is sleep() */
	atomic_fetch_add_explicit(&p->published, n, memory_order_seq_cst);
	WEFTD_PIPELINE_PAUSE();
}

uint64_t weftd_pipeline_pick(struct weftd_pipeline *p, unsigned n)
{
	uint64_t asleep = atomic_load_explicit(&p->sleeping, memory_order_seq_cst);
	uint64_t picked = 0;

	while (asleep && n > 0) {
		uint64_t bit = asleep & (~asleep + 1);

		/* it may have woken by itself */
		if (atomic_fetch_and_explicit(&p->sleeping, ~bit, memory_order_acq_rel) & bit) {
			picked |= bit;
			n--;
		}
		asleep &= ~bit;
	}
	return picked;
}

bool weftd_pipeline_wait_room(struct weftd_pipeline *p)
{
	uint64_t published = atomic_load_explicit(&p->published, memory_order_relaxed);

	/* the other side is give_back() */
	atomic_store_explicit(&p->wants_room, true, memory_order_seq_cst);
	WEFTD_PIPELINE_PAUSE();
	if (published - atomic_load_explicit(&p->delivered, memory_order_seq_cst) >= p->slots)
		return true;
	atomic_store_explicit(&p->wants_room, false, memory_order_relaxed);
	return false;
}

/* ---- workers ---- */

unsigned weftd_pipeline_claim(struct weftd_pipeline *p, unsigned max, uint64_t *ret_position)
{
	uint64_t claimed = load(&p->claimed);
	uint64_t there;

	do {
		WEFTD_PIPELINE_PAUSE();
		there = load(&p->published) - claimed;
		if (there == 0)
			return 0;
		if (there > max)
			there = max;
	} while (!atomic_compare_exchange_weak_explicit(&p->claimed, &claimed, claimed + there,
							memory_order_acq_rel,
							memory_order_acquire));
	*ret_position = claimed;
	return (unsigned)there;
}

void weftd_pipeline_done(struct weftd_pipeline *p, uint64_t position, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct weftd_pipeline_slot *s = &p->slot[weftd_pipeline_slot(p, position + i)];

		/* then deliver() tries for the baton: the other side is its holder */
		atomic_store_explicit(&s->done, position + i + 1, memory_order_seq_cst);
		WEFTD_PIPELINE_PAUSE();
	}
}

static bool is_done(struct weftd_pipeline *p, uint64_t position)
{
	struct weftd_pipeline_slot *s = &p->slot[weftd_pipeline_slot(p, position)];

	return atomic_load_explicit(&s->done, memory_order_seq_cst) == position + 1;
}

/* Slots up to `end` are free. True if the filler waits for that. */
static bool give_back(struct weftd_pipeline *p, uint64_t end)
{
	/* the other side is wait_room() */
	atomic_store_explicit(&p->delivered, end, memory_order_seq_cst);
	WEFTD_PIPELINE_PAUSE();
	return atomic_load_explicit(&p->wants_room, memory_order_seq_cst) &&
	       atomic_exchange_explicit(&p->wants_room, false, memory_order_acq_rel);
}

bool weftd_pipeline_hold(struct weftd_pipeline *p)
{
	return !atomic_exchange_explicit(&p->baton, true, memory_order_seq_cst);
}

void weftd_pipeline_release(struct weftd_pipeline *p)
{
	/* then deliver() looks at `done`: the other side is done() */
	atomic_exchange_explicit(&p->baton, false, memory_order_seq_cst);
}

bool weftd_pipeline_deliver(struct weftd_pipeline *p, const struct weftd_pipeline_sink *sink)
{
	bool wake = false;
	uint64_t at, begin;

	for (;;) {
		if (!weftd_pipeline_hold(p))
			return wake; /* its holder looks again after letting go */
		begin = at = atomic_load_explicit(&p->delivered, memory_order_relaxed);
		for (; at - begin < WEFTD_PIPELINE_FLUSH && is_done(p, at); at++)
			sink->deliver(sink->ctx, at);
		if (at != begin) {
			sink->flush(sink->ctx);
			wake |= give_back(p, at);
		}
		WEFTD_PIPELINE_PAUSE();
		weftd_pipeline_release(p);
		WEFTD_PIPELINE_PAUSE();
		if (!is_done(p, at))
			return wake;
	}
}

bool weftd_pipeline_sleep(struct weftd_pipeline *p, unsigned who)
{
	uint64_t bit = UINT64_C(1) << who;

	/* the other side is publish() and pick() */
	atomic_fetch_or_explicit(&p->sleeping, bit, memory_order_seq_cst);
	WEFTD_PIPELINE_PAUSE();
	if (atomic_load_explicit(&p->claimed, memory_order_seq_cst) ==
	    atomic_load_explicit(&p->published, memory_order_seq_cst))
		return true;
	weftd_pipeline_awake(p, who);
	return false;
}

void weftd_pipeline_awake(struct weftd_pipeline *p, unsigned who)
{
	atomic_fetch_and_explicit(&p->sleeping, ~(UINT64_C(1) << who), memory_order_acq_rel);
}
