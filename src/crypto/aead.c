/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ChaCha20-Poly1305 (RFC 8439) over OpenSSL, with one context a direction that keeps its key from
 * packet to packet, and XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) over libsodium. It knows
 * no packet format but the nonce's.
 */
#include "crypto/internal.h"

#include <limits.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <sodium.h>

#include "util/cursor.h"

#define NONCE_LEN 12

void weft_aead_forget(struct weft_aead *a)
{
	if (!a->keyed)
		return;
	/* frees, and with it wipes, the cipher's state; the next key makes a new one */
	(void)EVP_CIPHER_CTX_reset(a->ctx);
	weft_secret_clear(&a->key);
	a->keyed = false;
}

/*
 * Sets the nonce and, if it is not the one that is set, the key. `params` as OpenSSL takes them;
 * may be NULL.
 */
static bool start(struct weft_aead *a, bool seal, const struct weft_secret *key, uint64_t counter,
		  const OSSL_PARAM *params)
{
	const EVP_CIPHER *cipher = NULL;
	const uint8_t *set_key = NULL;
	uint8_t nonce[NONCE_LEN] = {0};
	int ok;

	weft_put_le64(nonce + 4, counter);
	if (!a->keyed || !weft_ct_equal(a->key.b, key->b, sizeof(a->key.b))) {
		cipher = a->keyed ? NULL : weft_algorithms.chacha20_poly1305;
		set_key = key->b;
	}
	if (seal)
		ok = EVP_EncryptInit_ex2(a->ctx, cipher, set_key, nonce, params);
	else
		ok = EVP_DecryptInit_ex2(a->ctx, cipher, set_key, nonce, params);
	if (ok != 1) {
		a->keyed = true; /* whatever state it is in, it has to go */
		weft_aead_forget(a);
		return false;
	}
	if (set_key) {
		a->key = *key;
		a->keyed = true;
	}
	return true;
}

int weft_aead_seal(struct weft_crypto *c, const struct weft_secret *key, uint64_t counter,
		   const void *ad, size_t ad_len, uint8_t *out, const uint8_t *in, size_t len)
{
	EVP_CIPHER_CTX *ctx = c->seal.ctx;
	OSSL_PARAM tag[] = {
		OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, WEFT_TAG_LEN),
		OSSL_PARAM_construct_end(),
	};
	int n;

	if (len > INT_MAX || ad_len > INT_MAX)
		return WEFT_E_CRYPTO;
	tag[0].data = out + len;
	if (!start(&c->seal, true, key, counter, NULL) ||
	    (ad_len && EVP_EncryptUpdate(ctx, NULL, &n, ad, (int)ad_len) != 1) ||
	    (len && EVP_EncryptUpdate(ctx, out, &n, in, (int)len) != 1) ||
	    EVP_EncryptFinal_ex(ctx, out + len, &n) != 1 ||
	    EVP_CIPHER_CTX_get_params(ctx, tag) != 1) {
		ERR_clear_error();
		return WEFT_E_CRYPTO;
	}
	return 0;
}

int weft_aead_open(struct weft_crypto *c, const struct weft_secret *key, uint64_t counter,
		   const void *ad, size_t ad_len, uint8_t *out, const uint8_t *in, size_t len)
{
	EVP_CIPHER_CTX *ctx = c->open.ctx;
	uint8_t expected[WEFT_TAG_LEN], end[1];
	OSSL_PARAM tag[] = {
		OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, expected,
						  sizeof(expected)),
		OSSL_PARAM_construct_end(),
	};
	int n;

	if (len < WEFT_TAG_LEN)
		return WEFT_E_AUTH;
	len -= WEFT_TAG_LEN;
	if (len > INT_MAX || ad_len > INT_MAX)
		return WEFT_E_CRYPTO;
	memcpy(expected, in + len, sizeof(expected));
	if (!start(&c->open, false, key, counter, tag) ||
	    (ad_len && EVP_DecryptUpdate(ctx, NULL, &n, ad, (int)ad_len) != 1) ||
	    (len && EVP_DecryptUpdate(ctx, out, &n, in, (int)len) != 1)) {
		ERR_clear_error();
		return WEFT_E_CRYPTO;
	}
	/* the library compares the tags, in constant time (CRYPTO_memcmp) */
	if (EVP_DecryptFinal_ex(ctx, end, &n) != 1) {
		ERR_clear_error();
		weft_wipe(out, len);
		return WEFT_E_AUTH;
	}
	return 0;
}

size_t weft_aead_seal_many(struct weft_crypto *c, const struct weft_secret *key,
			   struct weft_aead_msg *msgs, size_t n)
{
	size_t good = 0;

	for (size_t i = 0; i < n; i++) {
		struct weft_aead_msg *m = &msgs[i];

		m->result = weft_aead_seal(c, key, m->counter, NULL, 0, m->out, m->in, m->len);
		good += m->result == 0;
	}
	return good;
}

size_t weft_aead_open_many(struct weft_crypto *c, const struct weft_secret *key,
			   struct weft_aead_msg *msgs, size_t n)
{
	size_t good = 0;

	for (size_t i = 0; i < n; i++) {
		struct weft_aead_msg *m = &msgs[i];

		m->result = weft_aead_open(c, key, m->counter, NULL, 0, m->out, m->in, m->len);
		good += m->result == 0;
	}
	return good;
}

int weft_xaead_seal(struct weft_crypto *c, const struct weft_secret *key,
		    const uint8_t nonce[WEFT_XNONCE_LEN], const void *ad, size_t ad_len,
		    uint8_t *out, const uint8_t *in, size_t len)
{
	(void)c;
	if (len > crypto_aead_xchacha20poly1305_ietf_MESSAGEBYTES_MAX ||
	    crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, in, len, ad, ad_len, NULL, nonce,
						       key->b) != 0)
		return WEFT_E_CRYPTO;
	return 0;
}

int weft_xaead_open(struct weft_crypto *c, const struct weft_secret *key,
		    const uint8_t nonce[WEFT_XNONCE_LEN], const void *ad, size_t ad_len,
		    uint8_t *out, const uint8_t *in, size_t len)
{
	int ret;

	(void)c;
	if (len < WEFT_TAG_LEN)
		return WEFT_E_AUTH;
	ret = crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, in, len, ad, ad_len,
							 nonce, key->b);
	weft_declassify(&ret, sizeof(ret)); /* whether the tag is right */
	return ret ? WEFT_E_AUTH : 0;
}
