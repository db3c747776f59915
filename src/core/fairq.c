/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fair queue. Flows and peers that have packets waiting lie in hash tables by their names and
 * in the line of those whose turn comes; one that runs empty is forgotten at once, and is new when
 * it comes again. Numbers start at 1, so that zeroed memory is empty.
 */
#include "core/fairq.h"

#include <errno.h>
#include <string.h>

/* Of a peer, that a drop looks at: who opens thousands of flows must not make drops dear. */
#define LOOK_FLOWS 64

struct weft_fairq_pkt {
	uint32_t next; /* behind it in its flow */
	uint32_t cost;
	uint64_t since_ns;
};

/* What a flow and a peer have in common: a place in a table and one in a line. */
struct entry {
	uint64_t name;
	uint32_t chain; /* next in the table, or in the free list */
	uint32_t next;  /* behind it in the line */
	int64_t credit; /* cost that it may still take in this turn */
	uint32_t held[WEFT_FAIRQ_SIZES];
	bool fresh; /* which line it is in */
};

struct weft_fairq_flow {
	struct entry e;
	uint32_t peer;
	uint32_t first, last; /* packets */
	uint64_t cost;        /* of them all */
	struct weft_aqm aqm;
};

struct weft_fairq_peer {
	struct entry e;
	struct weft_fairq_turns turns; /* of its flows */
};

static struct weft_fairq_flow *flow_at(const struct weft_fairq *q, uint32_t n)
{
	return &q->flows[n - 1];
}

static struct weft_fairq_peer *peer_at(const struct weft_fairq *q, uint32_t n)
{
	return &q->peers[n - 1];
}

static struct weft_fairq_pkt *pkt_at(const struct weft_fairq *q, uint32_t n)
{
	return &q->pkts[n - 1];
}

/* ---- memory ---- */

static size_t reserve(size_t *total, size_t n, size_t size)
{
	size_t at = (*total + 63) & ~(size_t)63;

	*total = at + n * size;
	return at;
}

int weft_fairq_init(struct weft_fairq *q, const struct weft_mem *mem,
		    const struct weft_fairq_params *params)
{
	uint64_t cells = (uint64_t)params->cells[0] + params->cells[1];
	size_t total = 0, pkts, flows, peers, flow_heads, peer_heads, heads = 1;
	uint8_t *block;

	if (cells == 0 || cells > WEFT_FAIRQ_MAX_CELLS || params->quantum == 0)
		return -EINVAL;
	while (heads < cells)
		heads *= 2;
	pkts = reserve(&total, cells, sizeof(struct weft_fairq_pkt));
	flows = reserve(&total, cells, sizeof(struct weft_fairq_flow));
	peers = reserve(&total, cells, sizeof(struct weft_fairq_peer));
	flow_heads = reserve(&total, heads, sizeof(uint32_t));
	peer_heads = reserve(&total, heads, sizeof(uint32_t));
	block = mem->alloc(mem->ctx, total);
	if (!block)
		return -ENOMEM;
	memset(q, 0, sizeof(*q));
	q->params = *params;
	q->mem = *mem;
	q->block = block;
	q->block_bytes = total;
	q->pkts = (void *)(block + pkts);
	q->flows = (void *)(block + flows);
	q->peers = (void *)(block + peers);
	q->flow_heads = (void *)(block + flow_heads);
	q->peer_heads = (void *)(block + peer_heads);
	q->mask = (uint32_t)heads - 1;
	q->cells = (uint32_t)cells;
	for (uint32_t i = q->cells; i > 0; i--) {
		flow_at(q, i)->e.chain = q->free_flow;
		peer_at(q, i)->e.chain = q->free_peer;
		q->free_flow = q->free_peer = i;
	}
	return 0;
}

void weft_fairq_fini(struct weft_fairq *q)
{
	if (q->block)
		q->mem.free(q->mem.ctx, q->block, q->block_bytes);
	memset(q, 0, sizeof(*q));
}

/* ---- lines ---- */

/* Flows and peers alike: the entry with a number, of the level that `turns` belongs to. */
static struct entry *entry_at(const struct weft_fairq *q, const struct weft_fairq_turns *turns,
			      uint32_t n)
{
	return turns == &q->turns ? &peer_at(q, n)->e : &flow_at(q, n)->e;
}

static void line_append(const struct weft_fairq *q, struct weft_fairq_turns *turns, uint32_t n,
			bool fresh)
{
	struct weft_fairq_line *line = fresh ? &turns->fresh : &turns->old;
	struct entry *e = entry_at(q, turns, n);

	e->fresh = fresh;
	e->next = 0;
	if (line->last)
		entry_at(q, turns, line->last)->next = n;
	else
		line->first = n;
	line->last = n;
}

static void line_remove_first(const struct weft_fairq *q, struct weft_fairq_turns *turns,
			      struct weft_fairq_line *line)
{
	line->first = entry_at(q, turns, line->first)->next;
	if (!line->first)
		line->last = 0;
}

/* From anywhere in its line: for drops alone, which search anyway. */
static void line_remove(const struct weft_fairq *q, struct weft_fairq_turns *turns, uint32_t n)
{
	struct entry *e = entry_at(q, turns, n);
	struct weft_fairq_line *line = e->fresh ? &turns->fresh : &turns->old;
	uint32_t before = 0;

	for (uint32_t i = line->first; i != n; i = entry_at(q, turns, i)->next)
		before = i;
	if (before)
		entry_at(q, turns, before)->next = e->next;
	else
		line->first = e->next;
	if (line->last == n)
		line->last = before;
}

/*
 * Whose turn it is: newcomers first, unless they are a quantum ahead of the others. Who has used
 * up its credit goes to the end of the old line with a new one.
 */
static uint32_t next_turn(const struct weft_fairq *q, struct weft_fairq_turns *turns)
{
	for (;;) {
		bool fresh = turns->fresh.first &&
			     (!turns->old.first || turns->fresh_taken < q->params.quantum);
		struct weft_fairq_line *line = fresh ? &turns->fresh : &turns->old;
		uint32_t n = line->first;
		struct entry *e = entry_at(q, turns, n);

		if (e->credit > 0)
			return n;
		line_remove_first(q, turns, line);
		e->credit += q->params.quantum;
		line_append(q, turns, n, false);
	}
}

/* What newcomers took, the others may take before it is the newcomers' turn again. */
static void charge(const struct weft_fairq *q, struct weft_fairq_turns *turns, struct entry *e,
		   uint32_t cost)
{
	uint64_t taken = (uint64_t)turns->fresh_taken + cost;

	e->credit -= cost;
	if (!e->fresh)
		taken = turns->fresh_taken > cost ? turns->fresh_taken - cost : 0;
	turns->fresh_taken = taken < q->params.quantum ? (uint32_t)taken : q->params.quantum;
}

/* ---- tables ---- */

static uint32_t slot(const struct weft_fairq *q, uint64_t name, uint64_t salt)
{
	uint64_t h = (name ^ salt * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xd6e8feb86659fd93);

	return (uint32_t)(h >> 32) & q->mask;
}

static uint32_t find_peer(struct weft_fairq *q, uint64_t name)
{
	uint32_t *head = &q->peer_heads[slot(q, name, 0)], n;
	struct weft_fairq_peer *p;

	for (n = *head; n; n = peer_at(q, n)->e.chain)
		if (peer_at(q, n)->e.name == name)
			return n;
	n = q->free_peer;
	p = peer_at(q, n);
	q->free_peer = p->e.chain;
	memset(p, 0, sizeof(*p));
	p->e.name = name;
	p->e.credit = q->params.quantum;
	p->e.chain = *head;
	*head = n;
	line_append(q, &q->turns, n, true);
	return n;
}

static uint32_t find_flow(struct weft_fairq *q, uint32_t peer, uint64_t name)
{
	uint32_t *head = &q->flow_heads[slot(q, name, peer)], n;
	struct weft_fairq_flow *f;

	for (n = *head; n; n = f->e.chain) {
		f = flow_at(q, n);
		if (f->e.name == name && f->peer == peer)
			return n;
	}
	n = q->free_flow;
	f = flow_at(q, n);
	q->free_flow = f->e.chain;
	memset(f, 0, sizeof(*f));
	f->e.name = name;
	f->e.credit = q->params.quantum;
	f->peer = peer;
	f->e.chain = *head;
	*head = n;
	line_append(q, &peer_at(q, peer)->turns, n, true);
	return n;
}

static void forget_flow(struct weft_fairq *q, uint32_t n)
{
	struct weft_fairq_flow *f = flow_at(q, n);
	uint32_t *link = &q->flow_heads[slot(q, f->e.name, f->peer)];

	while (*link != n)
		link = &flow_at(q, *link)->e.chain;
	*link = f->e.chain;
	f->e.chain = q->free_flow;
	q->free_flow = n;
}

static void forget_peer(struct weft_fairq *q, uint32_t n)
{
	struct weft_fairq_peer *p = peer_at(q, n);
	uint32_t *link = &q->peer_heads[slot(q, p->e.name, 0)];

	while (*link != n)
		link = &peer_at(q, *link)->e.chain;
	*link = p->e.chain;
	p->e.chain = q->free_peer;
	q->free_peer = n;
}

/* ---- packets ---- */

static unsigned size_of(const struct weft_fairq *q, uint32_t cell)
{
	return cell >= q->params.cells[0];
}

static bool holds_none(const struct entry *e)
{
	return e->held[0] == 0 && e->held[1] == 0;
}

void weft_fairq_push(struct weft_fairq *q, uint32_t cell, uint64_t peer, uint64_t flow,
		     uint32_t cost, uint64_t now_ns)
{
	uint32_t p = find_peer(q, peer), f = find_flow(q, p, flow), n = cell + 1;
	struct weft_fairq_flow *to = flow_at(q, f);
	unsigned size = size_of(q, cell);

	*pkt_at(q, n) = (struct weft_fairq_pkt){.cost = cost, .since_ns = now_ns};
	if (to->last)
		pkt_at(q, to->last)->next = n;
	else
		to->first = n;
	to->last = n;
	to->cost += cost;
	to->e.held[size]++;
	peer_at(q, p)->e.held[size]++;
	q->waiting++;
}

bool weft_fairq_pop(struct weft_fairq *q, uint64_t now_ns, uint32_t *ret_cell, bool *ret_mark)
{
	struct weft_fairq_peer *peer;
	struct weft_fairq_flow *flow;
	struct weft_fairq_pkt *pkt;
	uint32_t p, f, n;
	unsigned size;

	if (!q->waiting)
		return false;
	p = next_turn(q, &q->turns);
	peer = peer_at(q, p);
	f = next_turn(q, &peer->turns);
	flow = flow_at(q, f);
	n = flow->first;
	pkt = pkt_at(q, n);
	size = size_of(q, n - 1);

	flow->first = pkt->next;
	if (!flow->first)
		flow->last = 0;
	flow->cost -= pkt->cost;
	flow->e.held[size]--;
	peer->e.held[size]--;
	q->waiting--;
	charge(q, &peer->turns, &flow->e, pkt->cost);
	charge(q, &q->turns, &peer->e, pkt->cost);
	*ret_mark = weft_aqm_leaves(&flow->aqm, &q->params.aqm, now_ns,
				    now_ns > pkt->since_ns ? now_ns - pkt->since_ns : 0,
				    flow->cost >= q->params.quantum);
	*ret_cell = n - 1;
	/* both are the first of their lines, or nothing waits there */
	if (holds_none(&flow->e)) {
		line_remove_first(q, &peer->turns,
				  flow->e.fresh ? &peer->turns.fresh : &peer->turns.old);
		forget_flow(q, f);
	}
	if (holds_none(&peer->e)) {
		line_remove_first(q, &q->turns, peer->e.fresh ? &q->turns.fresh : &q->turns.old);
		forget_peer(q, p);
	}
	return true;
}

/* ---- drops ---- */

/*
 * The one that holds most cells of that kind, over the first `look` of each line; 0 if none holds
 * any. It looks on until it has found one.
 */
static uint32_t fattest(const struct weft_fairq *q, const struct weft_fairq_turns *turns,
			unsigned size, uint32_t look)
{
	const uint32_t firsts[] = {turns->fresh.first, turns->old.first};
	uint32_t best = 0, most = 0;

	for (unsigned i = 0; i < 2; i++)
		for (uint32_t n = firsts[i], seen = 0; n && (seen < look || !most);
		     n = entry_at(q, turns, n)->next, seen++)
			if (entry_at(q, turns, n)->held[size] > most) {
				best = n;
				most = entry_at(q, turns, n)->held[size];
			}
	return best;
}

/* Unlinks the flow's oldest packet of that kind; there is one. */
static uint32_t unlink_oldest(struct weft_fairq *q, struct weft_fairq_flow *flow, unsigned size)
{
	uint32_t n = flow->first, before = 0;

	while (size_of(q, n - 1) != size) {
		before = n;
		n = pkt_at(q, n)->next;
	}
	if (before)
		pkt_at(q, before)->next = pkt_at(q, n)->next;
	else
		flow->first = pkt_at(q, n)->next;
	if (flow->last == n)
		flow->last = before;
	return n;
}

bool weft_fairq_drop(struct weft_fairq *q, unsigned size, uint32_t *ret_cell)
{
	uint32_t p = fattest(q, &q->turns, size, UINT32_MAX), f, n;
	struct weft_fairq_peer *peer;
	struct weft_fairq_flow *flow;

	if (!p)
		return false;
	peer = peer_at(q, p);
	f = fattest(q, &peer->turns, size, LOOK_FLOWS);
	flow = flow_at(q, f);
	n = unlink_oldest(q, flow, size);
	flow->cost -= pkt_at(q, n)->cost;
	*ret_cell = n - 1;
	flow->e.held[size]--;
	peer->e.held[size]--;
	q->waiting--;
	if (holds_none(&flow->e)) {
		line_remove(q, &peer->turns, f);
		forget_flow(q, f);
	}
	if (holds_none(&peer->e)) {
		line_remove(q, &q->turns, p);
		forget_peer(q, p);
	}
	return true;
}
