/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Staged packets: chains of cells. The first cell of a packet holds its length and the link to the
 * packet behind it; cells are named by 32-bit numbers from 1, so that an empty queue is 12 bytes
 * of zeros. Cells are taken and linked under the flag, filled outside it.
 */
#include "core/stage.h"

#include <errno.h>
#include <string.h>

#define CELL_DATA (WEFT_STAGE_CELL - 12)

struct weft_stage_cell {
	uint32_t more;     /* next cell of this packet, or of the free list */
	uint32_t next_pkt; /* first cell of the packet behind, in a first cell */
	uint32_t len;      /* of the packet, in a first cell */
	uint8_t data[CELL_DATA];
};

static void lock(struct weft_stage *s)
{
	while (atomic_flag_test_and_set_explicit(&s->busy, memory_order_acquire))
		;
}

static void unlock(struct weft_stage *s)
{
	atomic_flag_clear_explicit(&s->busy, memory_order_release);
}

static struct weft_stage_cell *cell(const struct weft_stage *s, uint32_t n)
{
	return &s->cells[n - 1];
}

static uint32_t cells_for(size_t len)
{
	return (uint32_t)((len + CELL_DATA - 1) / CELL_DATA);
}

int weft_stage_init(struct weft_stage *s, const struct weft_mem *mem, size_t budget_bytes)
{
	if (budget_bytes < 65536 || budget_bytes >= (size_t)1 << 30)
		return -EINVAL;
	memset(s, 0, sizeof(*s));
	s->mem = *mem;
	s->count = (uint32_t)(budget_bytes / sizeof(struct weft_stage_cell));
	s->budget_bytes = s->count * sizeof(struct weft_stage_cell);
	s->cells = mem->alloc(mem->ctx, s->budget_bytes);
	if (!s->cells)
		return -ENOMEM;
	for (uint32_t i = s->count; i > 0; i--) {
		cell(s, i)->more = s->free;
		s->free = i;
	}
	s->free_count = s->count;
	unlock(s);
	return 0;
}

void weft_stage_fini(struct weft_stage *s)
{
	if (s->cells)
		s->mem.free(s->mem.ctx, s->cells, s->budget_bytes);
	s->cells = NULL;
}

/* Under the flag: a chain of `n` cells, which must be free. */
static uint32_t take_cells(struct weft_stage *s, uint32_t n)
{
	uint32_t first = s->free, last = first;

	for (uint32_t i = 1; i < n; i++)
		last = cell(s, last)->more;
	s->free = cell(s, last)->more;
	cell(s, last)->more = 0;
	s->free_count -= n;
	return first;
}

static void give_cells(struct weft_stage *s, uint32_t first)
{
	uint32_t last = first, n = 1;

	while (cell(s, last)->more) {
		last = cell(s, last)->more;
		n++;
	}
	cell(s, last)->more = s->free;
	s->free = first;
	s->free_count += n;
}

static void count_pkts(struct weft_stage *s, struct weft_stage_queue *q, int n)
{
	atomic_fetch_add_explicit(&q->pkts, (uint32_t)n, memory_order_release);
	atomic_fetch_add_explicit(&s->pkts, (size_t)(ptrdiff_t)n, memory_order_relaxed);
}

/* Under the flag: unlinks the oldest packet and returns its first cell, or 0. */
static uint32_t unlink_oldest(struct weft_stage *s, struct weft_stage_queue *q)
{
	uint32_t first = q->first;

	if (!first)
		return 0;
	q->first = cell(s, first)->next_pkt;
	if (!q->first)
		q->last = 0;
	count_pkts(s, q, -1);
	return first;
}

static void drop_oldest(struct weft_stage *s, struct weft_stage_queue *q)
{
	give_cells(s, unlink_oldest(s, q));
}

static void fill(struct weft_stage *s, uint32_t first, const uint8_t *pkt, size_t len)
{
	cell(s, first)->len = (uint32_t)len;
	cell(s, first)->next_pkt = 0;
	for (uint32_t i = first; i; i = cell(s, i)->more) {
		size_t n = len < CELL_DATA ? len : CELL_DATA;

		memcpy(cell(s, i)->data, pkt, n);
		pkt += n;
		len -= n;
	}
}

struct weft_stage_drops weft_stage_push(struct weft_stage *s, struct weft_stage_queue *q,
					const uint8_t *pkt, size_t len)
{
	struct weft_stage_drops drops = {0};
	uint32_t n = cells_for(len), first;

	if (len == 0 || len > WEFT_STAGE_MAX_BYTES || n > s->count) {
		drops.budget++;
		return drops;
	}
	lock(s);
	while (s->free_count < n && q->first) {
		drop_oldest(s, q);
		drops.budget++;
	}
	if (s->free_count < n) {
		unlock(s);
		drops.budget++;
		return drops;
	}
	first = take_cells(s, n);
	unlock(s);

	fill(s, first, pkt, len);

	lock(s);
	if (atomic_load_explicit(&q->pkts, memory_order_relaxed) >= WEFT_STAGE_MAX_PKTS) {
		drop_oldest(s, q);
		drops.full++;
	}
	if (q->last)
		cell(s, q->last)->next_pkt = first;
	else
		q->first = first;
	q->last = first;
	count_pkts(s, q, 1);
	unlock(s);
	return drops;
}

size_t weft_stage_pop(struct weft_stage *s, struct weft_stage_queue *q, uint8_t *out)
{
	uint32_t first;
	size_t len, left;

	lock(s);
	first = unlink_oldest(s, q);
	unlock(s);
	if (!first)
		return 0;
	len = left = cell(s, first)->len;
	for (uint32_t i = first; i; i = cell(s, i)->more) {
		size_t n = left < CELL_DATA ? left : CELL_DATA;

		memcpy(out, cell(s, i)->data, n);
		out += n;
		left -= n;
	}
	lock(s);
	give_cells(s, first);
	unlock(s);
	return len;
}

unsigned weft_stage_clear(struct weft_stage *s, struct weft_stage_queue *q)
{
	unsigned n = 0;

	lock(s);
	while (q->first) {
		drop_oldest(s, q);
		n++;
	}
	unlock(s);
	return n;
}

size_t weft_stage_bytes(struct weft_stage *s)
{
	uint32_t used;

	lock(s);
	used = s->count - s->free_count;
	unlock(s);
	return used * sizeof(struct weft_stage_cell);
}
