/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fair queue: what waits to be sent, by peer, and in a peer by flow. Peers take turns, and so do
 * a peer's flows (deficit round robin, by cost); whoever had nothing waiting goes first, so that a
 * lone packet passes those that stand in line (RFC 8290), but never for more than half of the
 * time. A flow's packets keep their order. It knows packets by number: the memory is the caller's,
 * in cells of two sizes, and when cells run out it names the packet to drop: the oldest of the
 * peer that holds most, and of that peer's flow that holds most (of the first 64 in each line).
 *
 * Bounded: as many flows and peers as there are cells. Allocates at init alone; reads no clock.
 * One thread.
 */
#ifndef WEFT_CORE_FAIRQ_H
#define WEFT_CORE_FAIRQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/aqm.h"
#include "core/mem.h"
#include "util/error.h"

#define WEFT_FAIRQ_SIZES     2          /* kinds of cells */
#define WEFT_FAIRQ_MAX_CELLS (1u << 20) /* of both kinds */

struct weft_fairq_params {
	uint32_t cells[WEFT_FAIRQ_SIZES]; /* numbered from 0, the second kind behind the first */
	uint32_t quantum;                 /* cost that one turn may take; at least 1 */
	struct weft_aqm_params aqm;       /* of each flow that holds a quantum or more */
};

struct weft_fairq_pkt;
struct weft_fairq_flow;
struct weft_fairq_peer;

/* A circle of those whose turn it is: numbers from 1; 0: none. */
struct weft_fairq_line {
	uint32_t first, last;
};

/* Those that wait at one level: newcomers and the others, and how far newcomers are ahead. */
struct weft_fairq_turns {
	struct weft_fairq_line fresh, old;
	uint32_t fresh_taken;
};

struct weft_fairq {
	struct weft_fairq_params params;
	struct weft_fairq_pkt *pkts; /* by cell */
	struct weft_fairq_flow *flows;
	struct weft_fairq_peer *peers;
	uint32_t *flow_heads, *peer_heads; /* hash tables */
	uint32_t mask;                     /* of both */
	uint32_t cells;
	uint32_t free_flow, free_peer;
	uint32_t waiting;
	struct weft_fairq_turns turns; /* of peers */
	struct weft_mem mem;
	void *block;
	size_t block_bytes;
};

/* Returns 0, -EINVAL (no cells, too many, or no quantum) or -ENOMEM. */
WEFT_MUST_CHECK int weft_fairq_init(struct weft_fairq *q, const struct weft_mem *mem,
				    const struct weft_fairq_params *params);
void weft_fairq_fini(struct weft_fairq *q);

/*
 * Puts the packet in `cell` (not queued) behind those of its flow. `peer` and `flow` are any
 * numbers that name them; a flow is one peer's. `cost`: at least 1; what sending it will take, in
 * units of the quantum.
 */
void weft_fairq_push(struct weft_fairq *q, uint32_t cell, uint64_t peer, uint64_t flow,
		     uint32_t cost, uint64_t now_ns);

/*
 * Takes out the packet whose turn it is. Returns false if none waits. `ret_mark`: its flow should
 * be told to slow down by it (aqm.h).
 */
bool weft_fairq_pop(struct weft_fairq *q, uint64_t now_ns, uint32_t *ret_cell, bool *ret_mark);

/*
 * Takes out the packet to drop so that a cell of kind `size` (0 or 1) becomes free. Returns false
 * if no packet in such a cell waits.
 */
bool weft_fairq_drop(struct weft_fairq *q, unsigned size, uint32_t *ret_cell);

/* Packets that wait. */
static inline uint32_t weft_fairq_waiting(const struct weft_fairq *q)
{
	return q->waiting;
}

#endif
