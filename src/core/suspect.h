/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sources whose handshakes keep failing. Each costs us a Diffie-Hellman; one flow that sends many
 * is therefore treated as if we were under load, alone: it has to show a cookie (WireGuard paper,
 * 5.3), while everyone else's handshake goes on at once. Nobody is refused for what another sends
 * in its name: a cookie gets through.
 *
 * A fixed table; a collision forgets a source, no more. Threads: owner only. Time comes in.
 */
#ifndef WEFT_CORE_SUSPECT_H
#define WEFT_CORE_SUSPECT_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/crypto.h"
#include "util/inet.h"

#define WEFT_SUSPECT_ENTRIES  256
#define WEFT_SUSPECT_FAILURES 20            /* within the time below */
#define WEFT_SUSPECT_HOLD_NS  1000000000ULL /* as long as load is held */

struct weft_suspects {
	uint8_t key[WEFT_SIPHASH_KEY_LEN];
	struct {
		uint64_t name; /* hash of address and port; 0: free */
		uint64_t since_ns;
		uint32_t failures;
	} entry[WEFT_SUSPECT_ENTRIES];
};

/* Empties it, under a random key. */
void weft_suspects_init(struct weft_suspects *s, const uint8_t key[WEFT_SIPHASH_KEY_LEN]);
/* A handshake from there did not authenticate, or a suspect showed no cookie. */
void weft_suspects_note(struct weft_suspects *s, const struct weft_endpoint *from, uint64_t now_ns);
/* True if a cookie must be shown. */
bool weft_suspects_has(const struct weft_suspects *s, const struct weft_endpoint *from,
		       uint64_t now_ns);

#endif
