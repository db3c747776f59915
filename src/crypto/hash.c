/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BLAKE2s as hash and MAC (RFC 7693), HMAC over it (RFC 2104) and the paper's KDF (section 5.4,
 * HKDF of RFC 5869), and SipHash-2-4 for tables.
 *
 * The provider's functions are called directly, as for the AEAD (aead_openssl.c): a handshake is
 * some sixty short hashes. HMAC is two hashes on the reused context: OpenSSL's own HMAC duplicates
 * three digest contexts on the heap for each key, and a KDF has a new key in every step.
 */
#include "crypto/internal.h"

#include <string.h>

#include <openssl/err.h>
#include <sodium.h>

#define BLAKE2S_BLOCK_LEN 64

struct piece {
	const void *p;
	size_t len;
};

static bool take_functions(struct weft_openssl_digest *f, const OSSL_DISPATCH *d)
{
	for (; d->function_id; d++) {
		switch (d->function_id) {
		case OSSL_FUNC_DIGEST_NEWCTX:
			f->newctx = OSSL_FUNC_digest_newctx(d);
			break;
		case OSSL_FUNC_DIGEST_FREECTX:
			f->freectx = OSSL_FUNC_digest_freectx(d);
			break;
		case OSSL_FUNC_DIGEST_INIT:
			f->init = OSSL_FUNC_digest_init(d);
			break;
		case OSSL_FUNC_DIGEST_UPDATE:
			f->update = OSSL_FUNC_digest_update(d);
			break;
		case OSSL_FUNC_DIGEST_FINAL:
			f->final = OSSL_FUNC_digest_final(d);
			break;
		default:
			break;
		}
	}
	return f->newctx && f->freectx && f->init && f->update && f->final;
}

int weft_openssl_digest_fetch(const struct weft_algorithms *a, const char *name,
			      struct weft_openssl_digest *ret_digest)
{
	const OSSL_DISPATCH *d = weft_openssl_functions(a, OSSL_OP_DIGEST, name);
	struct weft_openssl_digest f = {NULL, NULL, NULL, NULL, NULL};

	if (!d || !take_functions(&f, d))
		return WEFT_E_CRYPTO;
	*ret_digest = f;
	return 0;
}

static int hash_pieces(struct weft_crypto *c, uint8_t out[WEFT_HASH_LEN],
		       const struct piece *pieces, size_t n)
{
	const struct weft_openssl_digest *f = &weft_algorithms.blake2s;
	uint8_t digest[WEFT_HASH_LEN];
	size_t len = 0;
	bool ok = f->init(c->hash, NULL) == 1;

	for (size_t i = 0; ok && i < n; i++) {
		if (pieces[i].len)
			ok = f->update(c->hash, pieces[i].p, pieces[i].len) == 1;
	}
	ok = ok && f->final(c->hash, digest, &len, sizeof(digest)) == 1 && len == sizeof(digest);
	if (ok)
		memcpy(out, digest, sizeof(digest));
	else
		ERR_clear_error();
	weft_wipe(digest, sizeof(digest));
	return ok ? 0 : WEFT_E_CRYPTO;
}

int weft_hash(struct weft_crypto *c, uint8_t out[WEFT_HASH_LEN], const void *a, size_t a_len,
	      const void *b, size_t b_len)
{
	const struct piece pieces[] = {{a, a_len}, {b, b_len}};

	return hash_pieces(c, out, pieces, 2);
}

int weft_mac(struct weft_crypto *c, uint8_t out[WEFT_MAC_LEN], const uint8_t *key, size_t key_len,
	     const void *data, size_t len)
{
	uint8_t mac[WEFT_MAC_LEN];
	size_t mac_len = 0;
	bool ok;

	c->mac_keyed = true;
	ok = EVP_MAC_init(c->mac, key, key_len, NULL) == 1;
	if (ok && len)
		ok = EVP_MAC_update(c->mac, data, len) == 1;
	ok = ok && EVP_MAC_final(c->mac, mac, &mac_len, sizeof(mac)) == 1 && mac_len == sizeof(mac);
	if (ok)
		memcpy(out, mac, sizeof(mac));
	else
		ERR_clear_error();
	weft_wipe(mac, sizeof(mac));
	return ok ? 0 : WEFT_E_CRYPTO;
}

/* HMAC-BLAKE2s with a 32-byte key over a || b. */
static int hmac(struct weft_crypto *c, uint8_t out[WEFT_HASH_LEN], const uint8_t key[WEFT_HASH_LEN],
		struct piece a, struct piece b)
{
	uint8_t pad[BLAKE2S_BLOCK_LEN], inner[WEFT_HASH_LEN];
	const struct piece in[] = {{pad, sizeof(pad)}, a, b};
	const struct piece outer[] = {{pad, sizeof(pad)}, {inner, sizeof(inner)}};
	int ret;

	memset(pad, 0x36, sizeof(pad));
	for (size_t i = 0; i < WEFT_HASH_LEN; i++)
		pad[i] ^= key[i];
	ret = hash_pieces(c, inner, in, 3);
	for (size_t i = 0; i < sizeof(pad); i++)
		pad[i] ^= 0x36 ^ 0x5c;
	if (!ret)
		ret = hash_pieces(c, out, outer, 2);
	weft_wipe(pad, sizeof(pad));
	weft_wipe(inner, sizeof(inner));
	return ret;
}

int weft_kdf(struct weft_crypto *c, uint8_t out1[WEFT_HASH_LEN], uint8_t *out2, uint8_t *out3,
	     const uint8_t key[WEFT_HASH_LEN], const void *data, size_t len)
{
	static const uint8_t numbers[] = {1, 2, 3};
	uint8_t *const outs[] = {out1, out2, out3};
	uint8_t secret[WEFT_HASH_LEN], t[3][WEFT_HASH_LEN];
	size_t n = out3 ? 3 : out2 ? 2 : 1;
	int ret;

	ret = hmac(c, secret, key, (struct piece){data, len}, (struct piece){NULL, 0});
	for (size_t i = 0; !ret && i < n; i++) {
		struct piece last = {i ? t[i - 1] : NULL, i ? WEFT_HASH_LEN : 0};

		ret = hmac(c, t[i], secret, last, (struct piece){&numbers[i], 1});
	}
	for (size_t i = 0; !ret && i < n; i++) {
		if (outs[i])
			memcpy(outs[i], t[i], WEFT_HASH_LEN);
	}
	weft_wipe(secret, sizeof(secret));
	weft_wipe(t, sizeof(t));
	return ret;
}

uint64_t weft_siphash(const uint8_t key[WEFT_SIPHASH_KEY_LEN], const void *data, size_t len)
{
	uint8_t out[crypto_shorthash_siphash24_BYTES];
	uint64_t v = 0;

	(void)crypto_shorthash_siphash24(out, data, len, key);
	for (size_t i = 0; i < sizeof(out); i++)
		v |= (uint64_t)out[i] << (8 * i);
	return v;
}
