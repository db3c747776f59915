/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of src/crypto share: the fetched algorithms and the contexts of one thread.
 * Nobody outside this folder includes it.
 */
#ifndef WEFT_CRYPTO_INTERNAL_H
#define WEFT_CRYPTO_INTERNAL_H

#include <stdbool.h>

#include <openssl/evp.h>

#include "crypto/crypto.h"

/*
 * Fetched once by weft_crypto_init and only read afterwards, by any thread. A library context of
 * our own: neither the system's OpenSSL configuration nor another user of the library in the
 * process can exchange the algorithms.
 */
struct weft_algorithms {
	OSSL_LIB_CTX *lib;
	EVP_MD *blake2s;
	EVP_MAC *blake2s_mac;
	EVP_CIPHER *chacha20_poly1305;
};

extern struct weft_algorithms weft_algorithms;

/* One direction of ChaCha20-Poly1305, keyed with `key` while `keyed`. */
struct weft_aead {
	EVP_CIPHER_CTX *ctx;
	struct weft_secret key;
	bool keyed;
};

struct weft_crypto {
	EVP_MD_CTX *hash;
	EVP_MAC_CTX *mac;
	struct weft_aead seal, open;
	bool mac_keyed; /* `mac` still holds the last key */
};

/* Forgets the key and, with it, the library's key schedule. */
void weft_aead_forget(struct weft_aead *a);

/* Each algorithm against a known answer. 0 or WEFT_E_CRYPTO. */
WEFT_MUST_CHECK int weft_crypto_self_test(struct weft_crypto *c);

#endif
