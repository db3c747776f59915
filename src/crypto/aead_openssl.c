/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ChaCha20-Poly1305 over OpenSSL, with one context a direction that keeps its key from call to
 * call. It knows no packet format but the nonce's.
 *
 * The default provider's functions are called directly (provider-cipher(7); they are what
 * OSSL_PROVIDER_query_operation(3) hands out): EVP above them costs every packet a fifth of what
 * an empty one costs, to check and convert what is always the same here.
 */
#include "crypto/internal.h"

#include <openssl/core_names.h>
#include <openssl/err.h>

#include "util/cursor.h"

#define CIPHER_NAME "ChaCha20-Poly1305"

static bool take_functions(struct weft_openssl_aead *f, const OSSL_DISPATCH *d)
{
	for (; d->function_id; d++) {
		switch (d->function_id) {
		case OSSL_FUNC_CIPHER_NEWCTX:
			f->newctx = OSSL_FUNC_cipher_newctx(d);
			break;
		case OSSL_FUNC_CIPHER_FREECTX:
			f->freectx = OSSL_FUNC_cipher_freectx(d);
			break;
		case OSSL_FUNC_CIPHER_ENCRYPT_INIT:
			f->encrypt_init = OSSL_FUNC_cipher_encrypt_init(d);
			break;
		case OSSL_FUNC_CIPHER_DECRYPT_INIT:
			f->decrypt_init = OSSL_FUNC_cipher_decrypt_init(d);
			break;
		case OSSL_FUNC_CIPHER_UPDATE:
			f->update = OSSL_FUNC_cipher_update(d);
			break;
		case OSSL_FUNC_CIPHER_FINAL:
			f->final = OSSL_FUNC_cipher_final(d);
			break;
		case OSSL_FUNC_CIPHER_GET_CTX_PARAMS:
			f->get_ctx_params = OSSL_FUNC_cipher_get_ctx_params(d);
			break;
		default:
			break;
		}
	}
	return f->newctx && f->freectx && f->encrypt_init && f->decrypt_init && f->update &&
	       f->final && f->get_ctx_params;
}

int weft_openssl_aead_fetch(struct weft_algorithms *a)
{
	const OSSL_DISPATCH *d = weft_openssl_functions(a, OSSL_OP_CIPHER, CIPHER_NAME);

	return d && take_functions(&a->openssl_aead, d) ? 0 : WEFT_E_CRYPTO;
}

static int acquire(struct weft_crypto *c)
{
	(void)c; /* made with the first key */
	return 0;
}

static void forget_one(struct weft_aead *a)
{
	/* wipes the cipher's state; the next key makes a new one */
	if (a->ctx)
		weft_algorithms.openssl_aead.freectx(a->ctx);
	a->ctx = NULL;
	weft_secret_clear(&a->key);
	a->keyed = false;
}

static void forget(struct weft_crypto *c)
{
	forget_one(&c->seal);
	forget_one(&c->open);
}

/* Sees to it that `a` has this key. */
static bool set_key(struct weft_aead *a, bool sealing, const struct weft_secret *key)
{
	const struct weft_openssl_aead *f = &weft_algorithms.openssl_aead;
	static const uint8_t nonce[WEFT_NONCE_LEN];
	int ok = 0;

	if (a->keyed && weft_ct_equal(a->key.b, key->b, sizeof(a->key.b)))
		return true;
	if (!a->ctx)
		a->ctx = f->newctx(weft_algorithms.provctx);
	if (a->ctx && sealing)
		ok = f->encrypt_init(a->ctx, key->b, sizeof(key->b), nonce, sizeof(nonce), NULL);
	else if (a->ctx)
		ok = f->decrypt_init(a->ctx, key->b, sizeof(key->b), nonce, sizeof(nonce), NULL);
	if (ok != 1) {
		forget_one(a); /* whatever state it is in, it has to go */
		ERR_clear_error();
		return false;
	}
	a->key = *key;
	a->keyed = true;
	return true;
}

static void fail_all(struct weft_aead_msg *msgs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		msgs[i].result = WEFT_E_CRYPTO;
}

static void seal(struct weft_crypto *c, const struct weft_secret *key, const void *ad,
		 size_t ad_len, struct weft_aead_msg *msgs, size_t n)
{
	const struct weft_openssl_aead *f = &weft_algorithms.openssl_aead;
	uint8_t nonce[WEFT_NONCE_LEN] = {0};
	OSSL_PARAM tag[] = {
		OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, WEFT_TAG_LEN),
		OSSL_PARAM_construct_end(),
	};
	bool failed = false;

	if (!set_key(&c->seal, true, key)) {
		fail_all(msgs, n);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct weft_aead_msg *m = &msgs[i];
		void *ctx = c->seal.ctx;
		size_t done;
		bool ok;

		weft_put_le64(nonce + 4, m->counter);
		tag[0].data = m->out + m->len;
		ok = f->encrypt_init(ctx, NULL, 0, nonce, sizeof(nonce), NULL) == 1 &&
		     (!ad_len || f->update(ctx, NULL, &done, ad_len, ad, ad_len) == 1) &&
		     (!m->len || f->update(ctx, m->out, &done, m->len, m->in, m->len) == 1) &&
		     f->final(ctx, m->out + m->len, &done, WEFT_TAG_LEN) == 1 &&
		     f->get_ctx_params(ctx, tag) == 1;
		m->result = ok ? 0 : WEFT_E_CRYPTO;
		failed |= !ok;
	}
	if (failed)
		ERR_clear_error();
}

static int open_one(void *ctx, OSSL_PARAM *tag, const void *ad, size_t ad_len,
		    const struct weft_aead_msg *m)
{
	const struct weft_openssl_aead *f = &weft_algorithms.openssl_aead;
	uint8_t nonce[WEFT_NONCE_LEN] = {0}, end[WEFT_TAG_LEN];
	size_t len = m->len - WEFT_TAG_LEN, done;

	weft_put_le64(nonce + 4, m->counter);
	memcpy(tag[0].data, m->in + len, WEFT_TAG_LEN);
	if (f->decrypt_init(ctx, NULL, 0, nonce, sizeof(nonce), tag) != 1 ||
	    (ad_len && f->update(ctx, NULL, &done, ad_len, ad, ad_len) != 1) ||
	    (len && f->update(ctx, m->out, &done, len, m->in, len) != 1)) {
		weft_wipe(m->out, len);
		return WEFT_E_CRYPTO;
	}
	/* the library compares the tags, in constant time (CRYPTO_memcmp) */
	if (f->final(ctx, end, &done, sizeof(end)) != 1) {
		weft_wipe(m->out, len);
		return WEFT_E_AUTH;
	}
	return 0;
}

static void open(struct weft_crypto *c, const struct weft_secret *key, const void *ad,
		 size_t ad_len, struct weft_aead_msg *msgs, size_t n)
{
	uint8_t expected[WEFT_TAG_LEN];
	OSSL_PARAM tag[] = {
		OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, expected,
						  sizeof(expected)),
		OSSL_PARAM_construct_end(),
	};
	bool failed = false;

	if (!set_key(&c->open, false, key)) {
		fail_all(msgs, n);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		msgs[i].result = open_one(c->open.ctx, tag, ad, ad_len, &msgs[i]);
		failed |= msgs[i].result != 0;
	}
	if (failed)
		ERR_clear_error();
}

const struct weft_aead_backend weft_aead_openssl = {
	.name = "openssl",
	.acquire = acquire,
	.release = forget,
	.forget = forget,
	.seal = seal,
	.open = open,
};
