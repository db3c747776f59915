/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handshakes per source address: a token bucket of 20 a second with a burst of 5 for each IPv4
 * address or IPv6 /64 (WireGuard paper 5.3; the figures are the kernel's). The table is bounded:
 * sets of eight entries, chosen by SipHash under a random key, so that nobody can aim at another's
 * set. An entry whose bucket is full again says nothing and is used anew; if a set has none, the
 * fullest goes, so that those over their rate stay known and a newcomer is never refused for want
 * of room.
 *
 * Threads: owner only. Time comes in.
 */
#ifndef WEFT_CORE_RATELIMIT_H
#define WEFT_CORE_RATELIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/mem.h"
#include "crypto/crypto.h"
#include "util/error.h"
#include "util/inet.h"

#define WEFT_RATELIMIT_PER_SECOND 20
#define WEFT_RATELIMIT_BURST      5
#define WEFT_RATELIMIT_WAYS       8

struct weft_ratelimit_entry;

struct weft_ratelimit {
	struct weft_ratelimit_entry *entries;
	size_t count;
	uint8_t key[WEFT_SIPHASH_KEY_LEN];
	struct weft_mem mem;
};

/* `entries`: a power of two from 8 to 2^24. Returns 0, -EINVAL or -ENOMEM. */
WEFT_MUST_CHECK int weft_ratelimit_init(struct weft_ratelimit *r, const struct weft_mem *mem,
					const uint8_t key[WEFT_SIPHASH_KEY_LEN], size_t entries);
void weft_ratelimit_fini(struct weft_ratelimit *r);

/* True if a handshake from `ip` may be worked on now; a token is then taken. */
bool weft_ratelimit_allow(struct weft_ratelimit *r, const struct weft_ip *ip, uint64_t now_ns);

#endif
