/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The replay window (RFC 6479): words of the bitmap are used round, and clearing those that the
 * window enters takes the place of shifting. It knows nothing of keys and packets.
 */
#include "core/replay.h"

#include <string.h>

static bool in_window(uint64_t next, uint64_t counter)
{
	if (counter >= WEFT_REJECT_AFTER_MESSAGES)
		return false;
	/* counter + 1 cannot wrap: it is below the limit */
	return counter >= next || next - (counter + 1) <= WEFT_REPLAY_WINDOW;
}

static uint64_t bit_of(uint64_t counter)
{
	return UINT64_C(1) << (counter % WEFT_REPLAY_WORD_BITS);
}

static uint64_t word_of(uint64_t counter)
{
	return counter / WEFT_REPLAY_WORD_BITS;
}

void weft_replay_init(struct weft_replay *r)
{
	atomic_store_explicit(&r->next, 0, memory_order_relaxed);
	for (size_t i = 0; i < WEFT_REPLAY_WORDS; i++)
		atomic_store_explicit(&r->words[i], 0, memory_order_relaxed);
	atomic_flag_clear_explicit(&r->busy, memory_order_release);
}

bool weft_replay_check(const struct weft_replay *r, uint64_t counter)
{
	uint64_t next = atomic_load_explicit(&r->next, memory_order_acquire);
	uint64_t word;

	if (!in_window(next, counter))
		return false;
	if (counter >= next)
		return true;
	word = atomic_load_explicit(&r->words[word_of(counter) % WEFT_REPLAY_WORDS],
				    memory_order_relaxed);
	return !(word & bit_of(counter));
}

/* Clears the words between the one that holds the highest counter so far and that of `counter`. */
static void advance(struct weft_replay *r, uint64_t next, uint64_t counter)
{
	uint64_t from = next ? word_of(next - 1) + 1 : 0;
	uint64_t to = word_of(counter);

	if (to >= WEFT_REPLAY_WORDS && from < to - WEFT_REPLAY_WORDS + 1)
		from = to - WEFT_REPLAY_WORDS + 1;
	for (uint64_t w = from; w <= to; w++)
		atomic_store_explicit(&r->words[w % WEFT_REPLAY_WORDS], 0, memory_order_relaxed);
	atomic_store_explicit(&r->next, counter + 1, memory_order_release);
}

bool weft_replay_commit(struct weft_replay *r, uint64_t counter)
{
	_Atomic uint64_t *word = &r->words[word_of(counter) % WEFT_REPLAY_WORDS];
	uint64_t next, seen;
	bool fresh = false;

	while (atomic_flag_test_and_set_explicit(&r->busy, memory_order_acquire))
		;
	next = atomic_load_explicit(&r->next, memory_order_relaxed);
	if (in_window(next, counter)) {
		if (counter >= next)
			advance(r, next, counter);
		seen = atomic_load_explicit(word, memory_order_relaxed);
		fresh = !(seen & bit_of(counter));
		atomic_store_explicit(word, seen | bit_of(counter), memory_order_relaxed);
	}
	atomic_flag_clear_explicit(&r->busy, memory_order_release);
	return fresh;
}
