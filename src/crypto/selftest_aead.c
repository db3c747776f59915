/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chosen library's ChaCha20-Poly1305 against OpenSSL's: where two libraries that share no code
 * agree over every length at which one of them takes another path, neither is broken here. Known
 * answers alone would show a few lengths. Batches are tried too, of messages that differ in length:
 * one implementation works on them side by side.
 */
#include "crypto/internal.h"

#include <string.h>

#define EVERY_LEN 320 /* every length up to here */
#define LEN_MAX   2080
#define AD_MAX    32
#define BATCH_MAX 40
#define BATCH_LEN 1500 /* bytes of a message in a batch, at most */

struct pair {
	struct weft_crypto *tested, *reference;
	struct weft_secret key;
	uint8_t text[LEN_MAX], a[LEN_MAX + WEFT_TAG_LEN], b[LEN_MAX + WEFT_TAG_LEN];
	uint8_t batch[BATCH_MAX][BATCH_LEN + WEFT_TAG_LEN];
	uint8_t opened[BATCH_MAX][BATCH_LEN];
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

/* Of one length, or of as many as there are messages, with empty ones among them. */
static size_t batch_len(size_t n, size_t i, bool mixed)
{
	return mixed ? (i * 389 + n * 97) % (i % 4 ? 260 : BATCH_LEN) * (i % 7 != 3) : n * 36;
}

/* A batch, sealed in place, opened in place and not, with every fifth message altered. */
static bool batch_agrees(struct pair *p, size_t n, bool mixed)
{
	struct weft_aead_msg msgs[BATCH_MAX];

	for (size_t i = 0; i < n; i++) {
		size_t len = batch_len(n, i, mixed);

		memcpy(p->batch[i], p->text + i, len);
		msgs[i] = (struct weft_aead_msg){
			.counter = n << i, .in = p->batch[i], .out = p->batch[i], .len = len};
	}
	if (weft_aead_seal_many(p->tested, &p->key, msgs, n) != n)
		return false;
	for (size_t i = 0; i < n; i++) {
		size_t len = msgs[i].len;

		if (weft_aead_seal(p->reference, &p->key, n << i, NULL, 0, p->a, p->text + i,
				   len) ||
		    memcmp(p->a, p->batch[i], len + WEFT_TAG_LEN) != 0)
			return false;
		msgs[i].len += WEFT_TAG_LEN;
		if (i % 2)
			msgs[i].out = p->opened[i];
		if (i % 5 == 4)
			p->batch[i][i * 7 % msgs[i].len] ^= 2;
	}
	if (weft_aead_open_many(p->tested, &p->key, msgs, n) != n - n / 5)
		return false;
	for (size_t i = 0; i < n; i++) {
		size_t len = msgs[i].len - WEFT_TAG_LEN;

		if (msgs[i].result != (i % 5 == 4 ? WEFT_E_AUTH : 0) ||
		    (msgs[i].result ? !weft_ct_is_zero(msgs[i].out, len)
				    : memcmp(msgs[i].out, p->text + i, len) != 0))
			return false;
	}
	return true;
}

static bool batches_agree(struct pair *p)
{
	for (size_t n = 1; n <= BATCH_MAX; n += n < 18 ? 1 : 11) {
		if (!batch_agrees(p, n, false) || !batch_agrees(p, n, true))
			return false;
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
	if (weft_crypto_new_with(&weft_aead_openssl, &p->reference) == 0 && all_agree(p) &&
	    batches_agree(p))
		r = 0;
	weft_crypto_free(p->reference);
	OPENSSL_clear_free(p, sizeof(*p));
	return r;
}
