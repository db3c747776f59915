/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chosen library's ChaCha20-Poly1305 against OpenSSL's: where two libraries that share no code
 * agree over every length at which one of them takes another path, neither is broken here. Known
 * answers alone would show a few lengths.
 */
#include "crypto/internal.h"

#include <string.h>

#define EVERY_LEN 320 /* every length up to here */
#define LEN_MAX   2080
#define AD_MAX    32

struct pair {
	struct weft_crypto *tested, *reference;
	struct weft_secret key;
	uint8_t text[LEN_MAX], a[LEN_MAX + WEFT_TAG_LEN], b[LEN_MAX + WEFT_TAG_LEN];
};

/* Text and key need not be random, but no two blocks may be alike. */
static void fill(struct pair *p)
{
	uint32_t x = 2463534242;

	for (size_t i = 0; i < sizeof(p->text); i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		p->text[i] = (uint8_t)x;
	}
	memcpy(p->key.b, p->text + 77, sizeof(p->key.b));
}

static bool agree(struct pair *p, size_t len)
{
	const size_t sealed = len + WEFT_TAG_LEN, ad_len = len % 3 ? 0 : len % AD_MAX;
	const uint64_t counter = (uint64_t)len << (len % 53);

	if (weft_aead_seal(p->tested, &p->key, counter, p->text, ad_len, p->a, p->text, len) ||
	    weft_aead_seal(p->reference, &p->key, counter, p->text, ad_len, p->b, p->text, len) ||
	    memcmp(p->a, p->b, sealed) != 0)
		return false;
	/* what the other one sealed, in place */
	if (weft_aead_open(p->tested, &p->key, counter, p->text, ad_len, p->b, p->b, sealed) ||
	    memcmp(p->b, p->text, len) != 0)
		return false;
	memcpy(p->b, p->a, sealed);
	p->b[len * 7 % sealed] ^= 0x40;
	return weft_aead_open(p->tested, &p->key, counter, p->text, ad_len, p->b, p->b, sealed) ==
		       WEFT_E_AUTH &&
	       weft_ct_is_zero(p->b, len);
}

static bool all_agree(struct pair *p)
{
	static const uint8_t around[] = {0, 1, 15, 16, 17, 31, 32, 33, 48, 63};

	for (size_t len = 0; len <= EVERY_LEN; len++) {
		if (!agree(p, len))
			return false;
	}
	for (size_t block = EVERY_LEN; block + 64 <= LEN_MAX; block += 64) {
		for (size_t i = 0; i < sizeof(around); i++) {
			if (!agree(p, block + around[i]))
				return false;
		}
	}
	return true;
}

int weft_aead_self_test(struct weft_crypto *c)
{
	struct pair *p = OPENSSL_zalloc(sizeof(*p));
	int r = WEFT_E_CRYPTO;

	if (!p)
		return WEFT_E_CRYPTO;
	fill(p);
	p->tested = c;
	if (weft_crypto_new_with(&weft_aead_openssl, &p->reference) == 0 && all_agree(p))
		r = 0;
	weft_crypto_free(p->reference);
	OPENSSL_clear_free(p, sizeof(*p));
	return r;
}
