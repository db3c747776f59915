/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps a queue short: says which of the packets that leave it is to be marked (or dropped, where
 * a mark would not be understood), so that its senders slow down. It looks at the time that each
 * packet spent in the queue and at nothing else; the queue itself is the caller's.
 *
 * The marks follow CoDel's control law (RFC 8289, 3.3): one, and while it does not help, more, at
 * interval / sqrt(count). When to begin does not: CoDel wants a queue that was never empty for a
 * whole interval. Where two threads that share processors feed one another, the standing queue of
 * a flow wanders between them; each is empty now and then, and neither would ever mark. The
 * average over a few milliseconds sees it.
 */
#ifndef WEFT_CORE_AQM_H
#define WEFT_CORE_AQM_H

#include <stdbool.h>
#include <stdint.h>

#define WEFT_AQM_AVERAGE_NS UINT64_C(8000000) /* what happened this long ago counts 1/e */
#define WEFT_AQM_BURST_PKTS \
	64 /* as many late ones may be a burst that a busy processor kept waiting */

struct weft_aqm_params {
	uint64_t target_ns;   /* average wait beyond which to mark */
	uint64_t interval_ns; /* between the first two marks: longer than a round trip; below 4 s */
};

/* All zeros: a queue that was always empty. */
struct weft_aqm {
	uint64_t average_ns;
	uint64_t seen_ns; /* when a packet last left */
	uint64_t next_ns; /* of the next mark */
	uint32_t count;   /* marks in a row */
	uint32_t late;    /* packets that waited too long, since the average has been too long */
};

/*
 * A packet leaves the queue at `now_ns`, having waited `waited_ns`. `stands`: enough packets are
 * there for senders to be blamed; a few that are late are the fault of a busy processor, and count
 * as not late. True if this is the one to carry a mark. Thread: the queue's.
 */
bool weft_aqm_leaves(struct weft_aqm *a, const struct weft_aqm_params *p, uint64_t now_ns,
		     uint64_t waited_ns, bool stands);

#endif
