/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handshake, Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s, both roles. Computes on states and
 * messages; it knows nothing of peers, tables, timers or sockets, draws no randomness and reads no
 * clock: ephemeral keys, timestamps and indices come in. All functions: owner.
 *
 * Every function that takes a message works on a copy of the state and commits it at the end, so
 * that a message which does not authenticate changes nothing.
 *
 * Follows the WireGuard paper, section 5.4, and the kernel's order of checks.
 */
#ifndef WEFT_CORE_NOISE_H
#define WEFT_CORE_NOISE_H

#include "core/messages.h"

enum weft_handshake_state {
	WEFT_HANDSHAKE_NONE,
	WEFT_HANDSHAKE_CREATED_INITIATION,
	WEFT_HANDSHAKE_CONSUMED_INITIATION,
	WEFT_HANDSHAKE_CREATED_RESPONSE,
	WEFT_HANDSHAKE_CONSUMED_RESPONSE,
};

/* What is the same for every handshake of a device. */
struct weft_noise {
	struct weft_crypto *crypto; /* borrowed */
	int (*static_dh)(void *ctx, struct weft_secret *ret_shared,
			 const uint8_t point[WEFT_KEY_LEN]);
	void *dh_ctx;
	uint8_t initial_chain[WEFT_HASH_LEN]; /* HASH(construction) */
	uint8_t initial_hash[WEFT_HASH_LEN];  /* HASH(initial_chain || identifier) */
	uint8_t public_key[WEFT_KEY_LEN];
	bool has_static;
};

enum weft_static_static { WEFT_SS_UNKNOWN, WEFT_SS_KNOWN, WEFT_SS_WEAK };

/* What is only needed while a handshake is under way: lent by whoever owns the state. */
struct weft_handshake_run {
	struct weft_secret ephemeral;
	struct weft_secret chain;
	uint8_t hash[WEFT_HASH_LEN];
	uint8_t remote_ephemeral[WEFT_KEY_LEN];
};

/* One per peer. */
struct weft_handshake {
	struct weft_handshake_run *run; /* borrowed; NULL: none can begin */
	uint8_t remote_static[WEFT_KEY_LEN];
	struct weft_secret psk;           /* zeros: none */
	struct weft_secret static_static; /* computed at the first handshake */
	uint64_t last_consumed_ns;        /* initiation; 0: never */
	uint32_t remote_index;
	uint8_t latest_timestamp[WEFT_TIMESTAMP_LEN]; /* greatest received */
	uint8_t state;                                /* enum weft_handshake_state */
	uint8_t static_static_known;                  /* enum weft_static_static */
};

/* An initiation whose sender is known, but not yet proven. Holds secrets. */
struct weft_noise_incoming {
	uint8_t remote_static[WEFT_KEY_LEN];
	struct weft_msg_initiation msg;
	struct weft_secret chain;
	uint8_t hash[WEFT_HASH_LEN];
};

/* What a handshake yields. */
struct weft_noise_keys {
	struct weft_secret send, recv;
	uint32_t remote_index;
	bool initiator;
};

/* Returns 0 or WEFT_E_CRYPTO. */
WEFT_MUST_CHECK int weft_noise_init(struct weft_noise *n, struct weft_crypto *crypto,
				    int (*static_dh)(void *ctx, struct weft_secret *ret_shared,
						     const uint8_t point[WEFT_KEY_LEN]),
				    void *dh_ctx);
/* NULL: no static key; then nothing below succeeds. */
void weft_noise_set_static(struct weft_noise *n, const uint8_t *public_key);

/* A peer's state at its birth: no psk, nothing received, nothing lent to it yet. */
void weft_handshake_init(struct weft_handshake *hs, const uint8_t remote_static[WEFT_KEY_LEN]);
/* Wipes the handshake under way; psk, static-static and the replay state stay. */
void weft_handshake_clear(struct weft_handshake *hs);
/* Our static key changed: the precomputed secret is wiped too. */
void weft_handshake_forget_static(struct weft_handshake *hs);

/*
 * First message. `ephemeral` is clamped. Macs are left zero.
 * Returns 0; WEFT_E_WEAK_KEY (the peer's key yields zeros, or we have none); WEFT_E_PROTOCOL (no
 * memory lent); WEFT_E_CRYPTO.
 */
WEFT_MUST_CHECK int weft_noise_create_initiation(struct weft_noise *n, struct weft_handshake *hs,
						 const struct weft_secret *ephemeral,
						 const uint8_t timestamp[WEFT_TIMESTAMP_LEN],
						 uint32_t sender,
						 uint8_t out[WEFT_MSG_INITIATION_LEN]);

/*
 * First half of consuming an initiation: who says it is from. On error `ret_in` is wiped.
 * Returns 0, WEFT_E_AUTH, WEFT_E_WEAK_KEY, WEFT_E_TRUNCATED, WEFT_E_CRYPTO.
 */
WEFT_MUST_CHECK int weft_noise_open_initiation(struct weft_noise *n, const uint8_t *pkt, size_t len,
					       struct weft_noise_incoming *ret_in);
/*
 * Second half: proves it, and that it is newer than any before and not too soon; commits.
 * `in` is wiped on every exit. Returns 0, or WEFT_E_DROP with `*ret_reason` set to
 * WEFT_DROP_RX_HANDSHAKE, _RX_TIMESTAMP or _RX_FLOOD.
 */
WEFT_MUST_CHECK int weft_noise_accept_initiation(struct weft_noise *n, struct weft_handshake *hs,
						 struct weft_noise_incoming *in, uint64_t now_ns,
						 enum weft_drop *ret_reason);

/* Second message. `ephemeral` is clamped. Returns 0, WEFT_E_PROTOCOL (state), _WEAK_KEY, _CRYPTO.
 */
WEFT_MUST_CHECK int weft_noise_create_response(struct weft_noise *n, struct weft_handshake *hs,
					       const struct weft_secret *ephemeral, uint32_t sender,
					       uint8_t out[WEFT_MSG_RESPONSE_LEN]);

/* Returns 0; WEFT_E_PROTOCOL (none expected), _AUTH, _WEAK_KEY, _TRUNCATED, _CRYPTO. */
WEFT_MUST_CHECK int weft_noise_consume_response(struct weft_noise *n, struct weft_handshake *hs,
						const uint8_t *pkt, size_t len);

/*
 * Derives the transport keys after create_response or consume_response and wipes the handshake.
 * The caller wipes `ret_keys`. Returns 0, WEFT_E_PROTOCOL (state) or WEFT_E_CRYPTO.
 */
WEFT_MUST_CHECK int weft_noise_begin_session(struct weft_noise *n, struct weft_handshake *hs,
					     struct weft_noise_keys *ret_keys);

/*
 * TAI64N of a wall time, its nanoseconds rounded down to 2^24 (about 17 ms) so that it tells an
 * observer no more than the rate of initiations allows anyway, as the kernel does.
 */
void weft_noise_timestamp(uint8_t out[WEFT_TIMESTAMP_LEN], uint64_t sec, uint32_t nsec);
#define WEFT_TIMESTAMP_STEP_NS (1u << 24)

#endif
