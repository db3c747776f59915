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

void weft_shared_endpoint_set(struct weft_shared_endpoint *s, const struct weft_endpoint *e)
{
	uint32_t seq = atomic_load_explicit(&s->seq, memory_order_relaxed);
	uint64_t words[WEFT_ENDPOINT_WORDS];

	memcpy(words, e, sizeof(words));
	atomic_store_explicit(&s->seq, seq + 1, memory_order_relaxed);
	for (size_t i = 0; i < WEFT_ENDPOINT_WORDS; i++)
		atomic_store_explicit(&s->word[i], words[i], memory_order_release);
	atomic_store_explicit(&s->seq, seq + 2, memory_order_release);
}

bool weft_seen_endpoint_put(struct weft_seen_endpoint *s, const struct weft_endpoint *e)
{
	if (atomic_flag_test_and_set_explicit(&s->busy, memory_order_acquire))
		return false;
	s->endpoint = *e;
	atomic_flag_clear_explicit(&s->busy, memory_order_release);
	return true;
}

void weft_seen_endpoint_take(struct weft_seen_endpoint *s, struct weft_endpoint *ret_endpoint)
{
	while (atomic_flag_test_and_set_explicit(&s->busy, memory_order_acquire))
		;
	*ret_endpoint = s->endpoint;
	atomic_flag_clear_explicit(&s->busy, memory_order_release);
}
