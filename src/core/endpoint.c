/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer's endpoint between the owner and the workers. Knows nothing of what it is used for.
 * Roaming: WireGuard paper, section 2.1.
 */
#include "core/endpoint.h"

void weft_shared_endpoint_get(const struct weft_shared_endpoint *s,
			      struct weft_endpoint *ret_endpoint, uint32_t *ret_seq)
{
	uint64_t words[WEFT_ENDPOINT_WORDS] = {0};
	uint32_t before, after;

	do {
		before = atomic_load_explicit(&s->seq, memory_order_acquire);
		for (size_t i = 0; i < WEFT_ENDPOINT_WORDS; i++)
			words[i] = atomic_load_explicit(&s->word[i], memory_order_acquire);
		after = atomic_load_explicit(&s->seq, memory_order_relaxed);
	} while (before != after || (before & 1));
	memcpy(ret_endpoint, words, sizeof(*ret_endpoint));
	if (ret_seq)
		*ret_seq = before;
}

/* Writers only, one at a time. */
static void store(struct weft_shared_endpoint *s, const struct weft_endpoint *e)
{
	uint32_t seq = atomic_load_explicit(&s->seq, memory_order_relaxed);
	uint64_t words[WEFT_ENDPOINT_WORDS];

	memcpy(words, e, sizeof(words));
	atomic_store_explicit(&s->seq, seq + 1, memory_order_relaxed);
	for (size_t i = 0; i < WEFT_ENDPOINT_WORDS; i++)
		atomic_store_explicit(&s->word[i], words[i], memory_order_release);
	atomic_store_explicit(&s->seq, seq + 2, memory_order_release);
}

static void lock(struct weft_shared_endpoint *s)
{
	while (atomic_flag_test_and_set_explicit(&s->writing, memory_order_acquire))
		; /* for a few stores */
}

static void unlock(struct weft_shared_endpoint *s)
{
	atomic_flag_clear_explicit(&s->writing, memory_order_release);
}

void weft_shared_endpoint_set(struct weft_shared_endpoint *s, const struct weft_endpoint *e)
{
	struct weft_endpoint clean; /* without the caller's padding bytes */

	memset(&clean, 0, sizeof(clean));
	clean.ip = e->ip;
	clean.port = e->port;
	clean.scope_id = e->scope_id;
	clean.local = e->local;
	clean.local_ifindex = e->local_ifindex;
	lock(s);
	store(s, &clean);
	unlock(s);
}

void weft_shared_endpoint_clear_source(struct weft_shared_endpoint *s)
{
	struct weft_endpoint e;

	lock(s);
	weft_shared_endpoint_get(s, &e, NULL);
	if (e.local.family != WEFT_NONE || e.local_ifindex) {
		memset(&e.local, 0, sizeof(e.local));
		e.local_ifindex = 0;
		store(s, &e);
	}
	unlock(s);
}
