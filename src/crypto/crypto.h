/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One small interface over the cryptographic libraries: what WireGuard needs, and nothing else.
 * No primitive is written here but one (aead_avx512.c). It must not know about packets, peers or
 * the protocol's state.
 *
 * Every function that works takes a `struct weft_crypto`: the library contexts of one thread,
 * made once, so that nothing is allocated by us per packet. A context is not shared by threads.
 */
#ifndef WEFT_CRYPTO_CRYPTO_H
#define WEFT_CRYPTO_CRYPTO_H

#include <stddef.h>
#include <stdint.h>

#include "util/error.h"
#include "util/secret.h"

#define WEFT_HASH_LEN        32 /* BLAKE2s-256 */
#define WEFT_MAC_LEN         16 /* keyed BLAKE2s with a 16-byte digest (mac1, mac2) */
#define WEFT_TAG_LEN         16 /* Poly1305 */
#define WEFT_XNONCE_LEN      24 /* XChaCha20-Poly1305 */
#define WEFT_SIPHASH_KEY_LEN 16

struct weft_crypto;

/*
 * Fetches the algorithms and checks each against a known answer. Call once, before any other
 * function and before threads. Returns 0 or WEFT_E_CRYPTO.
 */
WEFT_MUST_CHECK int weft_crypto_init(void);

/*
 * The same with a say in what does ChaCha20-Poly1305. AUTO takes the first of these that was built
 * in, suits the processor and agrees with OpenSSL: weft's own of many packets side by side
 * (AVX-512 with IFMA), libipsec-mb (AVX2 or AVX-512), OpenSSL. One that was asked for and is not to
 * be had is WEFT_E_CRYPTO.
 */
enum weft_aead_choice { WEFT_AEAD_AUTO, WEFT_AEAD_AVX512, WEFT_AEAD_IPSEC_MB, WEFT_AEAD_OPENSSL };
WEFT_MUST_CHECK int weft_crypto_init_with(enum weft_aead_choice choice);

/* Which one it is, its version, and why: "ipsec-mb (1.3.0, AVX2)". Empty before init. */
const char *weft_crypto_aead(void);

/* Contexts for one thread. Returns 0, -ENOMEM or WEFT_E_CRYPTO. Free takes NULL and wipes. */
WEFT_MUST_CHECK int weft_crypto_new(struct weft_crypto **ret_c);
void weft_crypto_free(struct weft_crypto *c);

/*
 * Forgets every key that the contexts still hold from the last call (the AEAD contexts keep the
 * last key so that a batch of packets of one key pays for it once). Call before going idle.
 */
void weft_crypto_forget(struct weft_crypto *c);

/* HASH(a || b): BLAKE2s-256 (RFC 7693), WireGuard paper 5.4. `b` may be NULL with length 0. */
WEFT_MUST_CHECK int weft_hash(struct weft_crypto *c, uint8_t out[WEFT_HASH_LEN], const void *a,
			      size_t a_len, const void *b, size_t b_len);

/* MAC(key, data): keyed BLAKE2s, 16-byte digest; key_len 1 to 32. Paper 5.4. */
WEFT_MUST_CHECK int weft_mac(struct weft_crypto *c, uint8_t out[WEFT_MAC_LEN], const uint8_t *key,
			     size_t key_len, const void *data, size_t len);

/*
 * KDF1, KDF2, KDF3 of the paper (5.4): HKDF with HMAC-BLAKE2s. A NULL among `out2` and `out3` is
 * left out. Outputs may alias `key` and `data`.
 */
WEFT_MUST_CHECK int weft_kdf(struct weft_crypto *c, uint8_t out1[WEFT_HASH_LEN], uint8_t *out2,
			     uint8_t *out3, const uint8_t key[WEFT_HASH_LEN], const void *data,
			     size_t len);

/*
 * X25519 (RFC 7748). `weft_x25519` returns WEFT_E_WEAK_KEY when the result is all zeros, and
 * then `ret_shared` is not written. `weft_x25519_public` derives a public key.
 * `weft_x25519_clamp` clamps in place.
 */
WEFT_MUST_CHECK int weft_x25519(struct weft_crypto *c, struct weft_secret *ret_shared,
				const struct weft_secret *secret,
				const uint8_t point[WEFT_KEY_LEN]);
WEFT_MUST_CHECK int weft_x25519_public(struct weft_crypto *c, uint8_t ret_public[WEFT_KEY_LEN],
				       const struct weft_secret *secret);
void weft_x25519_clamp(struct weft_secret *secret);

/*
 * ChaCha20-Poly1305 (RFC 8439) with WireGuard's nonce: 32 zero bits, then the counter, LE.
 * seal: `out` is at least len + 16 bytes; `out` == `in` is allowed.
 * open: `len` counts the tag (at least 16); `out` takes len - 16 bytes; `out` == `in` is allowed;
 * returns WEFT_E_AUTH when the tag is wrong, and then `out` holds nothing of use.
 * `ad` may be NULL with length 0.
 */
WEFT_MUST_CHECK int weft_aead_seal(struct weft_crypto *c, const struct weft_secret *key,
				   uint64_t counter, const void *ad, size_t ad_len, uint8_t *out,
				   const uint8_t *in, size_t len);
WEFT_MUST_CHECK int weft_aead_open(struct weft_crypto *c, const struct weft_secret *key,
				   uint64_t counter, const void *ad, size_t ad_len, uint8_t *out,
				   const uint8_t *in, size_t len);

/*
 * The same for many messages under one key, whose setup is paid for once. No additional data.
 * `result` of each is what the call for one message returns; a bad one does not stop the others.
 * Both return how many succeeded.
 */
struct weft_aead_msg {
	uint64_t counter;
	const uint8_t *in;
	uint8_t *out; /* may be `in`; no message's `out` overlaps another message */
	size_t len;   /* of `in`: seal: without the tag; open: with it */
	int result;
};

size_t weft_aead_seal_many(struct weft_crypto *c, const struct weft_secret *key,
			   struct weft_aead_msg *msgs, size_t n);
size_t weft_aead_open_many(struct weft_crypto *c, const struct weft_secret *key,
			   struct weft_aead_msg *msgs, size_t n);

/* XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha), for cookie replies. Sizes as above. */
WEFT_MUST_CHECK int weft_xaead_seal(struct weft_crypto *c, const struct weft_secret *key,
				    const uint8_t nonce[WEFT_XNONCE_LEN], const void *ad,
				    size_t ad_len, uint8_t *out, const uint8_t *in, size_t len);
WEFT_MUST_CHECK int weft_xaead_open(struct weft_crypto *c, const struct weft_secret *key,
				    const uint8_t nonce[WEFT_XNONCE_LEN], const void *ad,
				    size_t ad_len, uint8_t *out, const uint8_t *in, size_t len);

/* SipHash-2-4, 64-bit. Stateless; any thread; no context needed. */
uint64_t weft_siphash(const uint8_t key[WEFT_SIPHASH_KEY_LEN], const void *data, size_t len);

/* Fills `out` from the system's random source. Returns 0 or WEFT_E_CRYPTO. Any thread. */
WEFT_MUST_CHECK int weft_random(void *out, size_t len);

#endif
