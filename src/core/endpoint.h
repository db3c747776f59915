/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer's endpoint: read by any thread without a lock; written by the owner, and by a worker whose
 * packet came from elsewhere: at once, for the answer to that very packet may leave before the
 * owner wakes up. It decides nothing.
 *
 * The words are atomics with release and acquire order, without fences: a reader that sees a new
 * word sees the odd sequence number before it, and tries again.
 */
#ifndef WEFT_CORE_ENDPOINT_H
#define WEFT_CORE_ENDPOINT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "util/inet.h"

#define WEFT_ENDPOINT_WORDS (sizeof(struct weft_endpoint) / sizeof(uint64_t))

_Static_assert(sizeof(struct weft_endpoint) % sizeof(uint64_t) == 0, "endpoint is whole words");

struct weft_shared_endpoint {
	_Atomic uint32_t seq; /* odd while words change */
	atomic_flag writing;  /* one writer at a time */
	_Atomic uint64_t word[WEFT_ENDPOINT_WORDS];
};

/* Any thread. `ret_seq` (may be NULL) names this version of it. */
void weft_shared_endpoint_get(const struct weft_shared_endpoint *s,
			      struct weft_endpoint *ret_endpoint, uint32_t *ret_seq);
/* Any thread. */
void weft_shared_endpoint_set(struct weft_shared_endpoint *s, const struct weft_endpoint *e);
/* Forgets the local side alone, whoever moves the remote one meanwhile. Any thread. */
void weft_shared_endpoint_clear_source(struct weft_shared_endpoint *s);

static inline uint32_t weft_shared_endpoint_seq(const struct weft_shared_endpoint *s)
{
	return atomic_load_explicit(&s->seq, memory_order_acquire);
}

/* True if remote side and local side are equal (scope and interface included). */
static inline bool weft_endpoint_equal(const struct weft_endpoint *a, const struct weft_endpoint *b)
{
	return memcmp(&a->ip, &b->ip, sizeof(a->ip)) == 0 && a->port == b->port &&
	       a->scope_id == b->scope_id && memcmp(&a->local, &b->local, sizeof(a->local)) == 0 &&
	       a->local_ifindex == b->local_ifindex;
}

#endif
