/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of work in a ring of slots: one thread fills them, any number work on them side by
 * side, and they are given on in the order in which they were filled, by one thread at a time. It
 * knows nothing of packets, sockets or how threads sleep, so that it can be tested alone.
 *
 *     filler   free, fill, publish
 *     worker   claim, work, done, deliver
 *
 * A slot is known by its position, which grows for ever; weftd_pipeline_slot says where it lies.
 * Nobody waits for anybody: to deliver is tried by whoever has done something, and the one that
 * holds the baton takes along what others finish meanwhile. Per claim there is one
 * read-modify-write operation, per delivery two; what is claimed at once can be several slots.
 *
 * The handshakes between two threads (published and asleep; done and baton; given back and waiting
 * for room) are of one kind: each side writes its own word and then reads the other's, both
 * sequentially consistent, so that at least one of them sees the other.
 */
#ifndef WEFT_DAEMON_PIPELINE_H
#define WEFT_DAEMON_PIPELINE_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define WEFTD_PIPELINE_MAX_SLOTS   64
#define WEFTD_PIPELINE_MAX_WORKERS 64
#define WEFTD_PIPELINE_FLUSH       16 /* slots delivered between flushes, at most */

struct weftd_pipeline_slot {
	alignas(64) _Atomic uint64_t done; /* position + 1 of the last that was done here */
};

struct weftd_pipeline {
	alignas(64) _Atomic uint64_t
		published;                    /* filler: positions below are there to be claimed */
	alignas(64) _Atomic uint64_t claimed; /* workers: positions below are taken */
	alignas(64) _Atomic uint64_t delivered; /* holder: positions below are free again */
	alignas(64) atomic_bool baton;          /* somebody delivers */
	alignas(64) _Atomic uint64_t sleeping;  /* workers, a bit each */
	alignas(64) atomic_bool wants_room;     /* the filler waits */
	alignas(64) unsigned slots;
	struct weftd_pipeline_slot slot[WEFTD_PIPELINE_MAX_SLOTS];
};

/* What the delivery of slots calls, only while the baton is held: one call at a time. */
struct weftd_pipeline_sink {
	/* The slot at `position`, done; positions come one after the other. */
	void (*deliver)(void *ctx, uint64_t position);
	/* After some: when this returns, their slots may be filled again. */
	void (*flush)(void *ctx);
	void *ctx;
};

/* `slots`: 2 to WEFTD_PIPELINE_MAX_SLOTS. Before any other thread. */
void weftd_pipeline_init(struct weftd_pipeline *p, unsigned slots);

/* Where a position lies: 0 to slots - 1. */
unsigned weftd_pipeline_slot(const struct weftd_pipeline *p, uint64_t position);

/* How many slots are published and not yet delivered: a snapshot. Any thread. */
unsigned weftd_pipeline_pending(struct weftd_pipeline *p);
/* How many slots are published and not yet claimed: a snapshot. Any thread. */
unsigned weftd_pipeline_unclaimed(struct weftd_pipeline *p);

/* ---- the filler: one thread ---- */

/* How many slots may be filled; the first is at `*ret_position`, the others follow. */
unsigned weftd_pipeline_free(struct weftd_pipeline *p, uint64_t *ret_position);

/* The next `n` positions have been filled. */
void weftd_pipeline_publish(struct weftd_pipeline *p, unsigned n);

/*
 * Picks up to `n` workers out of those that sleep: a bit each. The caller wakes them; they do not
 * count as sleeping any more.
 */
uint64_t weftd_pipeline_pick(struct weftd_pipeline *p, unsigned n);

/*
 * True: no slot is free, and the deliver() that frees one will say so; then the filler may sleep.
 * False: there is room now.
 */
bool weftd_pipeline_wait_room(struct weftd_pipeline *p);

/* ---- workers; the filler too may be one ---- */

/* Takes up to `max` neighbouring slots. Returns how many, 0 if there are none. */
unsigned weftd_pipeline_claim(struct weftd_pipeline *p, unsigned max, uint64_t *ret_position);

/* The work on `n` slots from `position`, claimed by this thread, is done. */
void weftd_pipeline_done(struct weftd_pipeline *p, uint64_t position, unsigned n);

/*
 * Delivers what is done and next in order, unless another thread is at it: that one will see what
 * this thread has done. Returns true if the filler waits for room and has to be woken: it is said
 * to one caller only.
 */
bool weftd_pipeline_deliver(struct weftd_pipeline *p, const struct weftd_pipeline_sink *sink);

/*
 * Keeps delivery from happening, to do something in between. False: it is happening. After the
 * release something may be left to deliver().
 */
bool weftd_pipeline_hold(struct weftd_pipeline *p);
void weftd_pipeline_release(struct weftd_pipeline *p);

/*
 * Worker `who` (0 to 63) wants to sleep. True: it counts as sleeping, there was nothing to claim,
 * and a filler that publishes will pick it. False: there is work.
 */
bool weftd_pipeline_sleep(struct weftd_pipeline *p, unsigned who);
/* It is awake again, whoever woke it. */
void weftd_pipeline_awake(struct weftd_pipeline *p, unsigned who);

#endif
