/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hierarchical timer wheel: eight levels of 64 slots over ticks of 2^20 ns (about 1 ms), with a
 * bitmap of occupied slots per level, so that neither empty time nor idle timers cost anything.
 * A timer never fires early, and at most one tick late if the wheel is run in time.
 *
 * Threads: owner only. Time comes in; it must not go back.
 */
#ifndef WEFT_CORE_WHEEL_H
#define WEFT_CORE_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEFT_WHEEL_TICK_SHIFT 20
#define WEFT_WHEEL_LEVELS     8
#define WEFT_WHEEL_SLOTS      64

/* 24 bytes, inside what it times. All zeros: not armed. */
struct weft_timer {
	struct weft_timer *next;
	struct weft_timer **pprev;
	uint64_t tick : 56;
	uint64_t tag : 8; /* the caller's: which of several timers this is */
};

struct weft_wheel {
	uint64_t now_tick; /* everything up to here has fired, or is in `due` */
	struct weft_timer *due;
	uint64_t occupied[WEFT_WHEEL_LEVELS];
	struct weft_timer *slot[WEFT_WHEEL_LEVELS][WEFT_WHEEL_SLOTS];
	size_t armed;
};

void weft_wheel_init(struct weft_wheel *w, uint64_t now_ns);

/* Arms, or moves if it is armed. A deadline in the past fires within a tick. */
void weft_wheel_set(struct weft_wheel *w, struct weft_timer *t, uint64_t deadline_ns);
void weft_wheel_cancel(struct weft_wheel *w, struct weft_timer *t); /* armed or not */

static inline bool weft_timer_armed(const struct weft_timer *t)
{
	return t->pprev != NULL;
}

/*
 * Takes out one timer that is due at `now_ns`, or returns NULL if there is none. The caller acts
 * on it (setting and cancelling any timer as it likes) and calls again until NULL. A timer that is
 * set meanwhile fires in the same round if its tick has been reached.
 */
struct weft_timer *weft_wheel_expire(struct weft_wheel *w, uint64_t now_ns);

/*
 * When expire should be called next, or UINT64_MAX. For a far timer this may be earlier than its
 * deadline (the wheel turns); at most eight such calls come before it fires.
 */
uint64_t weft_wheel_next_ns(const struct weft_wheel *w);

#endif
