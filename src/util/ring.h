/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded queue of fixed-size cells, many producers, one consumer, no lock: each cell carries a
 * sequence number that says whose turn it is (after D. Vyukov's bounded queue). Memory is the
 * caller's. It knows nothing of what the cells hold.
 *
 * A producer that stops between claim and commit holds up the consumer, not other producers.
 */
#ifndef WEFT_UTIL_RING_H
#define WEFT_UTIL_RING_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

struct weft_ring {
	alignas(64) _Atomic uint64_t tail; /* producers: next to claim */
	alignas(64) _Atomic uint64_t head; /* consumer: next to take; others may read it */
	uint8_t *mem;
	uint64_t mask;
	size_t stride;
	size_t cell_size;
};

/* Bytes of memory for `cells` cells of `cell_size` bytes; 0 on overflow. */
size_t weft_ring_mem_size(size_t cells, size_t cell_size);

/*
 * `cells`: a power of two, at least 2. `mem`: weft_ring_mem_size() bytes, aligned to 16, borrowed.
 * Returns 0 or -EINVAL. Before any other thread.
 */
WEFT_MUST_CHECK int weft_ring_init(struct weft_ring *r, void *mem, size_t cells, size_t cell_size);

/*
 * A cell to fill (16-byte aligned), or NULL if the ring is full. Give the same pointer to commit,
 * soon. Any thread.
 */
void *weft_ring_claim(struct weft_ring *r);
void weft_ring_commit(struct weft_ring *r, void *cell);

/* Copies `len` bytes (at most cell_size) into a cell. False if the ring is full. Any thread. */
bool weft_ring_push(struct weft_ring *r, const void *data, size_t len);

/* The oldest cell, or NULL if there is none; it stays until pop. Consumer. */
void *weft_ring_front(struct weft_ring *r);
/* Gives back what front returned. Consumer. */
void weft_ring_pop(struct weft_ring *r);

/* How many cells are claimed or filled: a snapshot. Any thread. */
size_t weft_ring_count(const struct weft_ring *r);

#endif
