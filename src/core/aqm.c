/* SPDX-License-Identifier: Apache-2.0 */
/* When to mark: see aqm.h. Integers only; the square root is taken once a mark, not a packet. */
#include "core/aqm.h"

/* Longer waits than this say no more than it does. */
#define MAX_WAIT_NS UINT64_C(1000000000)
/* Marking that begins again within so many intervals goes on where it was. */
#define RECENT_INTERVALS 4

static uint64_t square_root(uint64_t x)
{
	uint64_t root = 0;

	for (uint64_t bit = UINT64_C(1) << 31; bit; bit >>= 1)
		if ((root | bit) * (root | bit) <= x)
			root |= bit;
	return root;
}

/* The control law. */
static uint64_t pause_ns(const struct weft_aqm_params *p, uint32_t count)
{
	uint64_t interval = p->interval_ns < UINT32_MAX ? p->interval_ns : UINT32_MAX;

	return square_root(interval * interval / count);
}

static uint64_t at_most(uint64_t ns, uint64_t most)
{
	return ns < most ? ns : most;
}

/* The average after `ns` in which the wait was `waited_ns`. */
static uint64_t average(uint64_t average_ns, uint64_t waited_ns, uint64_t ns)
{
	ns = at_most(ns, WEFT_AQM_AVERAGE_NS);
	return (average_ns * (WEFT_AQM_AVERAGE_NS - ns) + waited_ns * ns) / WEFT_AQM_AVERAGE_NS;
}

/* Before this packet came, and after the one that left last, nothing waited. */
static void note(struct weft_aqm *a, uint64_t now_ns, uint64_t waited_ns)
{
	uint64_t passed = now_ns > a->seen_ns ? now_ns - a->seen_ns : 0;

	if (passed > waited_ns)
		a->average_ns = average(a->average_ns, 0, passed - waited_ns);
	a->average_ns = average(a->average_ns, waited_ns, at_most(passed, waited_ns));
	a->seen_ns = now_ns;
}

bool weft_aqm_leaves(struct weft_aqm *a, const struct weft_aqm_params *p, uint64_t now_ns,
		     uint64_t waited_ns, bool stands)
{
	if (!stands)
		waited_ns = 0;
	note(a, now_ns, at_most(waited_ns, MAX_WAIT_NS));
	if (a->average_ns <= p->target_ns)
		a->late = 0;
	if (a->average_ns <= p->target_ns || waited_ns <= p->target_ns)
		return false;
	if (a->late < WEFT_AQM_BURST_PKTS)
		a->late++;
	if (a->late < WEFT_AQM_BURST_PKTS || now_ns < a->next_ns)
		return false;
	if (now_ns >= a->next_ns + RECENT_INTERVALS * p->interval_ns)
		a->count = 0;
	if (a->count < UINT32_MAX)
		a->count++;
	a->next_ns = now_ns + pause_ns(p, a->count);
	return true;
}
