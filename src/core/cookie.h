/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both sides of WireGuard's denial-of-service protection (paper 5.3, 5.4.4, 5.4.7): the device's
 * checker (mac1, mac2, cookie replies) and each peer's maker (mac1, mac2, cookies received).
 * It knows of messages only that the last 32 bytes are mac1 and mac2.
 */
#ifndef WEFT_CORE_COOKIE_H
#define WEFT_CORE_COOKIE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/mem.h"
#include "crypto/crypto.h"
#include "util/error.h"
#include "util/inet.h"
#include "util/secret.h"

#define WEFT_COOKIE_LEN           16
#define WEFT_COOKIE_MACS_LEN      32 /* mac1, mac2 */
#define WEFT_COOKIE_SEALED        (WEFT_COOKIE_LEN + WEFT_TAG_LEN)
#define WEFT_COOKIE_REPLY_LEN     64 /* type, receiver index, nonce, sealed cookie */
#define WEFT_COOKIE_SECRET_AGE_NS 120000000000ULL
#define WEFT_COOKIE_LATENCY_NS    5000000000ULL

/* ---- the device's side ---- */

struct weft_cookie_checker {
	_Atomic uint32_t seq;         /* odd while mac1_key changes */
	_Atomic uint64_t mac1_key[4]; /* HASH("mac1----" || our public key) */
	atomic_bool has_key;
	struct weft_secret cookie_key; /* owner: HASH("cookie--" || our public key) */
	struct weft_secret secret;     /* owner: what cookies are made with */
	uint64_t secret_born_ns;
	bool has_secret;
	struct weft_rng rng;
};

/* Without a key: every mac1 is wrong. Owner. */
void weft_cookie_checker_init(struct weft_cookie_checker *ck, const struct weft_rng *rng);
/* Wipes. Owner. */
void weft_cookie_checker_fini(struct weft_cookie_checker *ck);

/* Our public key, or NULL for none. Workers may check meanwhile. 0 or WEFT_E_CRYPTO. Owner. */
WEFT_MUST_CHECK int weft_cookie_checker_set_key(struct weft_cookie_checker *ck,
						struct weft_crypto *c, const uint8_t *public_key);

/*
 * Is mac1 of this handshake message right? `len` counts mac1 and mac2.
 * Returns 0, WEFT_E_AUTH, WEFT_E_TRUNCATED or WEFT_E_CRYPTO. Any thread, with its own `c`.
 */
WEFT_MUST_CHECK int weft_cookie_check_mac1(const struct weft_cookie_checker *ck,
					   struct weft_crypto *c, const uint8_t *msg, size_t len);

/*
 * Is mac2 right, so that the sender owns its source address and port? Returns 0, WEFT_E_AUTH,
 * WEFT_E_TRUNCATED or WEFT_E_CRYPTO. Owner.
 */
WEFT_MUST_CHECK int weft_cookie_check_mac2(struct weft_cookie_checker *ck, struct weft_crypto *c,
					   const uint8_t *msg, size_t len,
					   const struct weft_endpoint *from, uint64_t now_ns);

/*
 * Builds the whole cookie reply to a handshake message with a right mac1; `receiver` is the
 * message's sender index. Returns 0, WEFT_E_TRUNCATED or WEFT_E_CRYPTO. Owner.
 */
WEFT_MUST_CHECK int weft_cookie_reply(struct weft_cookie_checker *ck, struct weft_crypto *c,
				      const uint8_t *msg, size_t len, uint32_t receiver,
				      const struct weft_endpoint *from, uint64_t now_ns,
				      uint8_t out[WEFT_COOKIE_REPLY_LEN]);

/* ---- a peer's side; all owner ---- */

struct weft_cookie_peer {
	uint8_t mac1_key[WEFT_HASH_LEN]; /* of the peer's public key */
	uint8_t cookie_key[WEFT_HASH_LEN];
	uint8_t cookie[WEFT_COOKIE_LEN];
	uint8_t last_mac1[WEFT_MAC_LEN]; /* that we sent: cookie replies are bound to it */
	uint64_t born_ns;
	bool has_cookie, has_mac1;
};

/* Returns 0 or WEFT_E_CRYPTO. */
WEFT_MUST_CHECK int weft_cookie_peer_init(struct weft_cookie_peer *p, struct weft_crypto *c,
					  const uint8_t public_key[WEFT_KEY_LEN]);
void weft_cookie_peer_clear(struct weft_cookie_peer *p); /* wipes */

/*
 * Writes mac1 and mac2 into the last 32 bytes of `msg`; mac2 is zeros without a cookie younger
 * than 115 s. Returns 0, WEFT_E_TRUNCATED or WEFT_E_CRYPTO.
 */
WEFT_MUST_CHECK int weft_cookie_add_macs(struct weft_cookie_peer *p, struct weft_crypto *c,
					 uint8_t *msg, size_t len, uint64_t now_ns);

/*
 * Takes a cookie reply (all 64 bytes; the caller has found the peer by its receiver index). It
 * answers the last mac1 that we sent, once. Returns 0, WEFT_E_AUTH, WEFT_E_TRUNCATED or
 * WEFT_E_CRYPTO.
 */
WEFT_MUST_CHECK int weft_cookie_consume(struct weft_cookie_peer *p, struct weft_crypto *c,
					const uint8_t *reply, size_t len, uint64_t now_ns);

#endif
