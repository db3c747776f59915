/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bounded queue of ring.h. A cell's sequence number is its position when it may be claimed,
 * position + 1 when it is filled, and position + cells once it was taken.
 */
#include "util/ring.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define CELL_HEADER 16

struct cell {
	_Atomic uint64_t seq;
	uint64_t position; /* of the producer that holds it */
};

static_assert(sizeof(struct cell) == CELL_HEADER, "cells stay aligned to 16");

static struct cell *cell_at(const struct weft_ring *r, uint64_t position)
{
	return (struct cell *)(void *)(r->mem + (position & r->mask) * r->stride);
}

static void *payload(struct cell *c)
{
	return (uint8_t *)c + CELL_HEADER;
}

static size_t stride_of(size_t cell_size)
{
	return CELL_HEADER + (cell_size + 15) / 16 * 16;
}

size_t weft_ring_mem_size(size_t cells, size_t cell_size)
{
	if (cell_size > SIZE_MAX - 64 || cells == 0 || cells > SIZE_MAX / stride_of(cell_size))
		return 0;
	return cells * stride_of(cell_size);
}

int weft_ring_init(struct weft_ring *r, void *mem, size_t cells, size_t cell_size)
{
	if (cells < 2 || (cells & (cells - 1)) != 0 || weft_ring_mem_size(cells, cell_size) == 0 ||
	    (uintptr_t)mem % 16 != 0)
		return -EINVAL;
	r->mem = mem;
	r->mask = cells - 1;
	r->stride = stride_of(cell_size);
	r->cell_size = cell_size;
	for (uint64_t i = 0; i < cells; i++)
		atomic_store_explicit(&cell_at(r, i)->seq, i, memory_order_relaxed);
	atomic_store_explicit(&r->head, 0, memory_order_relaxed);
	atomic_store_explicit(&r->tail, 0, memory_order_release);
	return 0;
}

void *weft_ring_claim(struct weft_ring *r)
{
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	for (;;) {
		struct cell *c = cell_at(r, tail);
		uint64_t seq = atomic_load_explicit(&c->seq, memory_order_acquire);

		if (seq == tail) {
			if (atomic_compare_exchange_weak_explicit(&r->tail, &tail, tail + 1,
								  memory_order_relaxed,
								  memory_order_relaxed)) {
				c->position = tail;
				return payload(c);
			}
		} else if (seq < tail) {
			return NULL; /* still holds what was put there a turn ago */
		} else {
			tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
		}
	}
}

void weft_ring_commit(struct weft_ring *r, void *data)
{
	struct cell *c = (struct cell *)(void *)((uint8_t *)data - CELL_HEADER);

	(void)r;
	atomic_store_explicit(&c->seq, c->position + 1, memory_order_release);
}

bool weft_ring_push(struct weft_ring *r, const void *data, size_t len)
{
	void *p;

	if (len > r->cell_size)
		return false;
	p = weft_ring_claim(r);
	if (!p)
		return false;
	memcpy(p, data, len);
	weft_ring_commit(r, p);
	return true;
}

void *weft_ring_front(struct weft_ring *r)
{
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	struct cell *c = cell_at(r, head);

	if (atomic_load_explicit(&c->seq, memory_order_acquire) != head + 1)
		return NULL;
	return payload(c);
}

void weft_ring_pop(struct weft_ring *r)
{
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	atomic_store_explicit(&cell_at(r, head)->seq, head + r->mask + 1, memory_order_release);
	atomic_store_explicit(&r->head, head + 1, memory_order_release);
}

size_t weft_ring_count(const struct weft_ring *r)
{
	uint64_t head = atomic_load_explicit(&r->head, memory_order_acquire);
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	/* the head may have passed the tail that we saw */
	return tail > head ? (size_t)(tail - head) : 0;
}
