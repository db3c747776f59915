/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When may the owner free what workers could still see? When every worker has left the batch that
 * it was in (quiescent-state-based reclamation). Up to 64 workers, each with a slot.
 *
 * Rules: the owner first takes a thing out of sight (a release store over the pointer to it), then
 * retires it, or takes a mark and asks later whether the mark has passed. A worker holds no
 * pointer across leave.
 */
#ifndef WEFT_CORE_EPOCH_H
#define WEFT_CORE_EPOCH_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEFT_EPOCH_MAX_WORKERS 64

/* Lies inside the thing that is retired. Owner only. */
struct weft_retired {
	struct weft_retired *next;
	uint64_t mark;
	void (*fn)(void *ctx, struct weft_retired *node);
};

struct weft_epoch_slot {
	alignas(64) _Atomic uint64_t entered; /* 0: outside a batch */
};

struct weft_epoch {
	struct weft_epoch_slot slots[WEFT_EPOCH_MAX_WORKERS];
	_Atomic uint64_t now;       /* from 1 */
	uint64_t passed;            /* owner: every mark up to here has passed */
	struct weft_retired *first; /* owner: oldest first */
	struct weft_retired **last;
	size_t waiting;
	unsigned workers; /* slots 0 to workers - 1 are looked at */
	void *ctx;
};

/* `workers`: 1 to 64 slots are used; `ctx` is handed to each `fn`. Owner. */
void weft_epoch_init(struct weft_epoch *e, unsigned workers, void *ctx);

/* Calls `fn` of all that waits, whatever the workers do: they must have ended. Owner. */
void weft_epoch_fini(struct weft_epoch *e);

/* The worker of this slot begins and ends a batch. They do not nest. */
void weft_epoch_enter(struct weft_epoch *e, unsigned slot);
void weft_epoch_leave(struct weft_epoch *e, unsigned slot);

/* Has `fn(ctx, node)` called by a later reclaim. Allocates nothing. Owner. */
void weft_epoch_retire(struct weft_epoch *e, struct weft_retired *node,
		       void (*fn)(void *ctx, struct weft_retired *node));

/* Calls `fn` of all that no worker can hold any more; returns how many. Owner. */
size_t weft_epoch_reclaim(struct weft_epoch *e);

/* How many retired things wait. Owner. */
size_t weft_epoch_waiting(const struct weft_epoch *e);

/*
 * For modules with a free list of their own: a mark for "what was taken out of sight until now",
 * and whether every worker has since left. Owner.
 */
uint64_t weft_epoch_mark(struct weft_epoch *e);
bool weft_epoch_passed(struct weft_epoch *e, uint64_t mark);

#endif
