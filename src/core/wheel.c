/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The timer wheel. A timer lies on the level of the highest group of six bits in which its tick
 * differs from the present one, in the slot that this group names. When the present enters that
 * slot's span, its timers move down to finer levels. The bitmaps let the present jump from one
 * occupied slot to the next.
 */
#include "core/wheel.h"

#include <string.h>

#define BITS     6
#define MAX_TICK ((UINT64_C(1) << (BITS * WEFT_WHEEL_LEVELS)) - 1)

static uint64_t tick_floor(uint64_t ns)
{
	return ns >> WEFT_WHEEL_TICK_SHIFT;
}

static uint64_t tick_ceil(uint64_t ns)
{
	uint64_t tick = tick_floor(ns);

	return ns & ((UINT64_C(1) << WEFT_WHEEL_TICK_SHIFT) - 1) ? tick + 1 : tick;
}

static unsigned slot_of(uint64_t tick, unsigned level)
{
	return (tick >> (BITS * level)) & (WEFT_WHEEL_SLOTS - 1);
}

/* x is not 0. */
static unsigned highest_bit(uint64_t x)
{
	return 63 - (unsigned)__builtin_clzll(x);
}

static unsigned lowest_bit(uint64_t x)
{
	return (unsigned)__builtin_ctzll(x);
}

static void link_timer(struct weft_timer **list, struct weft_timer *t)
{
	t->next = *list;
	t->pprev = list;
	if (t->next)
		t->next->pprev = &t->next;
	*list = t;
}

static void unlink_timer(struct weft_timer *t)
{
	*t->pprev = t->next;
	if (t->next)
		t->next->pprev = t->pprev;
	t->next = NULL;
	t->pprev = NULL;
}

static void place(struct weft_wheel *w, struct weft_timer *t)
{
	unsigned level, slot;

	if (t->tick <= w->now_tick) {
		link_timer(&w->due, t);
		return;
	}
	level = highest_bit(t->tick ^ w->now_tick) / BITS;
	slot = slot_of(t->tick, level);
	link_timer(&w->slot[level][slot], t);
	w->occupied[level] |= UINT64_C(1) << slot;
}

void weft_wheel_init(struct weft_wheel *w, uint64_t now_ns)
{
	memset(w, 0, sizeof(*w));
	w->now_tick = tick_floor(now_ns);
}

void weft_wheel_set(struct weft_wheel *w, struct weft_timer *t, uint64_t deadline_ns)
{
	weft_wheel_cancel(w, t);
	/* 2^48 ticks are nine thousand years: a deadline that "never" comes may wait there */
	t->tick = tick_ceil(deadline_ns) < MAX_TICK ? tick_ceil(deadline_ns) : MAX_TICK;
	w->armed++;
	place(w, t);
}

void weft_wheel_cancel(struct weft_wheel *w, struct weft_timer *t)
{
	struct weft_timer **list = t->pprev;
	uintptr_t at = (uintptr_t)list - (uintptr_t)w->slot;

	if (!weft_timer_armed(t))
		return;
	w->armed--;
	unlink_timer(t);
	/* was it the last of a slot? then `list` is that slot's head */
	if (*list || at >= sizeof(w->slot))
		return;
	at /= sizeof(w->slot[0][0]);
	w->occupied[at / WEFT_WHEEL_SLOTS] &= ~(UINT64_C(1) << (at % WEFT_WHEEL_SLOTS));
}

/*
 * The first tick after now at which an occupied slot begins, or UINT64_MAX. Slots at or before the
 * present one are empty on every level, and everything on a level comes before what is on coarser
 * ones.
 */
static uint64_t next_tick(const struct weft_wheel *w, unsigned *ret_level)
{
	for (unsigned level = 0; level < WEFT_WHEEL_LEVELS; level++) {
		unsigned shift = BITS * level;
		uint64_t above;

		if (!w->occupied[level])
			continue;
		above = w->now_tick >> shift >> BITS << BITS;
		*ret_level = level;
		return (above | lowest_bit(w->occupied[level])) << shift;
	}
	return UINT64_MAX;
}

/* Moves the present to `tick`, where a slot of this level begins, and empties that slot. */
static void enter_slot(struct weft_wheel *w, uint64_t tick, unsigned level)
{
	unsigned slot = slot_of(tick, level);
	struct weft_timer *t = w->slot[level][slot];

	w->now_tick = tick;
	w->slot[level][slot] = NULL;
	w->occupied[level] &= ~(UINT64_C(1) << slot);
	while (t) {
		struct weft_timer *next = t->next;

		place(w, t);
		t = next;
	}
}

struct weft_timer *weft_wheel_expire(struct weft_wheel *w, uint64_t now_ns)
{
	uint64_t now = tick_floor(now_ns);
	struct weft_timer *t;

	while (!w->due) {
		unsigned level = 0;
		uint64_t tick = next_tick(w, &level);

		if (tick > now) {
			if (now > w->now_tick)
				w->now_tick = now;
			return NULL;
		}
		enter_slot(w, tick, level);
	}
	t = w->due;
	unlink_timer(t);
	w->armed--;
	return t;
}

uint64_t weft_wheel_next_ns(const struct weft_wheel *w)
{
	unsigned level;
	uint64_t tick;

	if (w->due)
		return w->now_tick << WEFT_WHEEL_TICK_SHIFT;
	tick = next_tick(w, &level);
	if (tick > UINT64_MAX >> WEFT_WHEEL_TICK_SHIFT)
		return UINT64_MAX;
	return tick << WEFT_WHEEL_TICK_SHIFT;
}
