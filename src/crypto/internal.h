/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of src/crypto share: the fetched algorithms and the contexts of one thread.
 * Nobody outside this folder includes it.
 */
#ifndef WEFT_CRYPTO_INTERNAL_H
#define WEFT_CRYPTO_INTERNAL_H

#include <stdbool.h>

#include <openssl/core_dispatch.h>
#include <openssl/evp.h>
#include <openssl/provider.h>

#include "crypto/crypto.h"

#define WEFT_NONCE_LEN    12
#define WEFT_AEAD_LEN_MAX ((size_t)1 << 30) /* bytes of one message; every library takes more */

/* What of the provider's ChaCha20-Poly1305 is called. */
struct weft_openssl_aead {
	OSSL_FUNC_cipher_newctx_fn *newctx;
	OSSL_FUNC_cipher_freectx_fn *freectx;
	OSSL_FUNC_cipher_encrypt_init_fn *encrypt_init;
	OSSL_FUNC_cipher_decrypt_init_fn *decrypt_init;
	OSSL_FUNC_cipher_update_fn *update;
	OSSL_FUNC_cipher_final_fn *final;
	OSSL_FUNC_cipher_get_ctx_params_fn *get_ctx_params;
};

/* And of its BLAKE2s. */
struct weft_openssl_digest {
	OSSL_FUNC_digest_newctx_fn *newctx;
	OSSL_FUNC_digest_freectx_fn *freectx;
	OSSL_FUNC_digest_init_fn *init;
	OSSL_FUNC_digest_update_fn *update;
	OSSL_FUNC_digest_final_fn *final;
};

/*
 * Fetched once by weft_crypto_init and only read afterwards, by any thread. A library context of
 * our own: neither the system's OpenSSL configuration nor another user of the library in the
 * process can exchange the algorithms.
 */
struct weft_algorithms {
	OSSL_LIB_CTX *lib;
	OSSL_PROVIDER *provider;
	void *provctx;
	EVP_MAC *blake2s_mac;
	EVP_CIPHER *chacha20_poly1305;
	struct weft_openssl_aead openssl_aead;
	struct weft_openssl_digest blake2s;
	const struct weft_aead_backend *aead; /* of contexts to come */
	char aead_text[160];                  /* weft_crypto_aead */
};

extern struct weft_algorithms weft_algorithms;

/*
 * One library's ChaCha20-Poly1305. `seal` and `open` are weft_aead_seal_many and _open_many with
 * the same additional data for all messages; lengths have been checked (open: at least a tag).
 * `open` leaves nothing of a message that does not authenticate. `n` is at least 1.
 */
struct weft_aead_backend {
	const char *name;
	/*
	 * The contexts of one thread, in `c`. 0, -ENOMEM, -ENOTSUP (not on this processor) or
	 * WEFT_E_CRYPTO. Release takes none.
	 */
	int (*acquire)(struct weft_crypto *c);
	void (*release)(struct weft_crypto *c);
	/* Forgets the last key. */
	void (*forget)(struct weft_crypto *c);
	void (*seal)(struct weft_crypto *c, const struct weft_secret *key, const void *ad,
		     size_t ad_len, struct weft_aead_msg *msgs, size_t n);
	void (*open)(struct weft_crypto *c, const struct weft_secret *key, const void *ad,
		     size_t ad_len, struct weft_aead_msg *msgs, size_t n);
};

extern const struct weft_aead_backend weft_aead_openssl;
#ifdef WEFT_WITH_AVX512_AEAD
extern const struct weft_aead_backend weft_aead_avx512;
#endif
#ifdef WEFT_WITH_IPSEC_MB
extern const struct weft_aead_backend weft_aead_ipsec_mb;
/* Version and instructions in use, as "1.3.0, AVX2"; for a thread's context. */
void weft_ipsec_mb_describe(const struct weft_crypto *c, char *out, size_t size);
#endif

/* One direction of OpenSSL's ChaCha20-Poly1305, keyed with `key` while `keyed`. */
struct weft_aead {
	void *ctx; /* the provider's; NULL until it is needed */
	struct weft_secret key;
	bool keyed;
};

struct weft_crypto {
	void *hash; /* the provider's */
	EVP_MAC_CTX *mac;
	const struct weft_aead_backend *aead;
	struct weft_aead seal, open; /* OpenSSL's */
	void *ipsec_mb;              /* its manager */
	bool mac_keyed;              /* `mac` still holds the last key */
};

/* As weft_crypto_new, with the AEAD of `backend`; -ENOTSUP where the processor lacks it. */
WEFT_MUST_CHECK int weft_crypto_new_with(const struct weft_aead_backend *backend,
					 struct weft_crypto **ret_c);

/*
 * The provider's functions for an algorithm of that name, or NULL. They are its code: they stay
 * while it is loaded.
 */
const OSSL_DISPATCH *weft_openssl_functions(const struct weft_algorithms *a, int operation,
					    const char *name);
/* Those of a digest. 0 or WEFT_E_CRYPTO. */
WEFT_MUST_CHECK int weft_openssl_digest_fetch(const struct weft_algorithms *a, const char *name,
					      struct weft_openssl_digest *ret_digest);
/* Fills weft_algorithms.openssl_aead from the provider. 0 or WEFT_E_CRYPTO. */
WEFT_MUST_CHECK int weft_openssl_aead_fetch(struct weft_algorithms *a);

/*
 * The AEAD of `c` against a known answer, and against OpenSSL's over every length from 0 to 320
 * and those around the ends of the longer blocks, singly and in batches. 0 or WEFT_E_CRYPTO.
 */
WEFT_MUST_CHECK int weft_aead_self_test(struct weft_crypto *c);

/* Each algorithm against a known answer. 0 or WEFT_E_CRYPTO. */
WEFT_MUST_CHECK int weft_crypto_self_test(struct weft_crypto *c);

#endif
