/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets that wait for a handshake: a small queue per peer, at most 128 packets, the oldest
 * dropped first, out of one device-wide budget of preallocated cells. What is dropped is told, to
 * be counted. It looks at no packet.
 *
 * Threads: push by any thread; pop and clear by the owner. A spin flag guards the links, not the
 * copying.
 */
#ifndef WEFT_CORE_STAGE_H
#define WEFT_CORE_STAGE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "core/mem.h"
#include "util/error.h"

#define WEFT_STAGE_MAX_PKTS  128   /* per queue */
#define WEFT_STAGE_MAX_BYTES 65535 /* per packet */
#define WEFT_STAGE_CELL      256   /* bytes taken from the budget at a time */

struct weft_stage_cell;

struct weft_stage {
	struct weft_stage_cell *cells;
	uint32_t count; /* cells */
	uint32_t free_count;
	uint32_t free;       /* first free cell, 1-based; 0: none */
	_Atomic size_t pkts; /* that wait, over all queues */
	size_t budget_bytes;
	atomic_flag busy;
	struct weft_mem mem;
};

/* Lies in the peer. All zeros: empty. */
struct weft_stage_queue {
	uint32_t first, last; /* first cells of packets, 1-based */
	_Atomic uint32_t pkts;
};

/* What a push dropped: packets, each counted once. */
struct weft_stage_drops {
	unsigned full;   /* oldest ones, because 128 waited */
	unsigned budget; /* oldest ones or the new one, because the budget is spent */
};

/* `budget_bytes`: at least 64 KiB and below 1 GiB. Returns 0, -EINVAL or -ENOMEM. Owner. */
WEFT_MUST_CHECK int weft_stage_init(struct weft_stage *s, const struct weft_mem *mem,
				    size_t budget_bytes);
/* Every queue must be empty or forgotten. Owner. */
void weft_stage_fini(struct weft_stage *s);

/*
 * Copies a packet of 1 to 65535 bytes to the end of `q`. If the budget is spent, the queue's own
 * oldest packets make room; if that is not enough, the new one is dropped. Any thread.
 */
struct weft_stage_drops weft_stage_push(struct weft_stage *s, struct weft_stage_queue *q,
					const uint8_t *pkt, size_t len);

/*
 * Takes the oldest packet out into `out` (at least WEFT_STAGE_MAX_BYTES). Returns its length, or 0
 * if none waits. Owner.
 */
size_t weft_stage_pop(struct weft_stage *s, struct weft_stage_queue *q, uint8_t *out);

/*
 * Drops all; returns how many packets. A peer that was taken out of sight may still get packets
 * from workers inside a batch: clear its queue again when it is freed. Owner.
 */
unsigned weft_stage_clear(struct weft_stage *s, struct weft_stage_queue *q);

/* Packets that wait in this queue; in all queues; bytes of the budget in use. Any thread. */
static inline unsigned weft_stage_queued(const struct weft_stage_queue *q)
{
	return atomic_load_explicit(&q->pkts, memory_order_acquire);
}

static inline size_t weft_stage_pkts(const struct weft_stage *s)
{
	return atomic_load_explicit(&s->pkts, memory_order_relaxed);
}

size_t weft_stage_bytes(struct weft_stage *s);

#endif
