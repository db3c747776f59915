/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The replay window of one receiving keypair: a sliding bitmap after RFC 6479, of 8192 bits, of
 * which the word that is being entered cannot be used (as the kernel counts). It knows nothing of
 * keys: whoever calls commit has authenticated the packet.
 *
 * Threads: both functions may be called by any thread. `check` is a lock-free hint; `commit`
 * decides, under a spin flag of its own.
 */
#ifndef WEFT_CORE_REPLAY_H
#define WEFT_CORE_REPLAY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define WEFT_REPLAY_BITS      8192
#define WEFT_REPLAY_WORD_BITS 64
#define WEFT_REPLAY_WORDS     (WEFT_REPLAY_BITS / WEFT_REPLAY_WORD_BITS)
#define WEFT_REPLAY_WINDOW    (WEFT_REPLAY_BITS - WEFT_REPLAY_WORD_BITS)
/* Counters from here on are refused, on both sides (paper 6.1, Reject-After-Messages). */
#define WEFT_REJECT_AFTER_MESSAGES (UINT64_MAX - WEFT_REPLAY_BITS)

struct weft_replay {
	_Atomic uint64_t next; /* highest committed counter, plus one; 0: none yet */
	_Atomic uint64_t words[WEFT_REPLAY_WORDS];
	atomic_flag busy;
};

/* Empties the window. No other thread may use it meanwhile. */
void weft_replay_init(struct weft_replay *r);

/* True if `counter` is new enough, not yet seen, and below the limit. Changes nothing. */
bool weft_replay_check(const struct weft_replay *r, uint64_t counter);

/* Marks `counter` as seen. False if it was seen already, is too old, or past the limit. */
bool weft_replay_commit(struct weft_replay *r, uint64_t counter);

#endif
