/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The implementations of ChaCha20-Poly1305 against OpenSSL's, over any length, alignment and
 * additional data: the same sealed text, each opens what the other sealed, and neither takes an
 * altered one. Then the text again as a batch of messages of any lengths.
 */
#include <string.h>

#include "crypto/internal.h"
#include "fuzz.h"

#define BATCH_MAX 40

static const struct weft_aead_backend *const backends[] = {
	&weft_aead_openssl,
#ifdef WEFT_WITH_IPSEC_MB
	&weft_aead_ipsec_mb,
#endif
#ifdef WEFT_WITH_AVX512_AEAD
	&weft_aead_avx512,
#endif
};

#define BACKENDS (sizeof(backends) / sizeof(backends[0]))

static struct weft_crypto *c[BACKENDS]; /* NULL: not for this processor */

static void start(void)
{
	if (c[0])
		return;
	FUZZ_CHECK(!weft_crypto_init());
	for (size_t i = 0; i < BACKENDS; i++) {
		if (weft_crypto_new_with(backends[i], &c[i]))
			c[i] = NULL;
	}
	FUZZ_CHECK(c[0]);
}

struct single {
	struct weft_secret key;
	uint64_t counter;
	const uint8_t *ad, *text;
	size_t ad_len, offset, len, bit;
};

static void single(struct weft_crypto *other, const struct single *t)
{
	size_t sealed = t->len + WEFT_TAG_LEN, bit = t->bit % (sealed * 8);
	/* of exactly the right size, so that a byte too far is seen */
	uint8_t *a = malloc(t->offset + sealed), *b = malloc(t->offset + sealed);
	uint8_t *p = b + t->offset, *q = a + t->offset;

	FUZZ_CHECK(a && b);
	FUZZ_CHECK(
		!weft_aead_seal(c[0], &t->key, t->counter, t->ad, t->ad_len, q, t->text, t->len));
	if (t->len)
		memcpy(p, t->text, t->len);
	FUZZ_CHECK(!weft_aead_seal(other, &t->key, t->counter, t->ad, t->ad_len, p, p, t->len));
	FUZZ_CHECK(memcmp(q, p, sealed) == 0);
	p[bit / 8] ^= (uint8_t)(1u << bit % 8);
	FUZZ_CHECK(weft_aead_open(other, &t->key, t->counter, t->ad, t->ad_len, p, p, sealed) ==
		   WEFT_E_AUTH);
	FUZZ_CHECK(weft_ct_is_zero(p, t->len));
	FUZZ_CHECK(!weft_aead_open(other, &t->key, t->counter, t->ad, t->ad_len, p, q, sealed));
	FUZZ_CHECK(t->len == 0 || memcmp(p, t->text, t->len) == 0);
	free(a);
	free(b);
}

/* Cut into messages, each of whose lengths is a byte of the text times 1 or 7. */
static void batch(struct weft_crypto *other, const struct single *t)
{
	struct weft_aead_msg msgs[BATCH_MAX];
	uint8_t *buf[BATCH_MAX], *one;
	size_t n = 0, at = 0, altered = t->bit % (BATCH_MAX + 1);

	while (n < BATCH_MAX && at < t->len) {
		size_t len = t->text[at] * (n % 3 ? 1u : 7u);

		if (len > t->len - at)
			len = t->len - at;
		buf[n] = malloc(len + WEFT_TAG_LEN);
		FUZZ_CHECK(buf[n]);
		memcpy(buf[n], t->text + at, len);
		msgs[n] = (struct weft_aead_msg){
			.counter = t->counter + n, .in = buf[n], .out = buf[n], .len = len};
		at += len ? len : 1;
		n++;
	}
	FUZZ_CHECK(weft_aead_seal_many(other, &t->key, msgs, n) == n);
	for (size_t i = 0; i < n; i++) {
		one = malloc(msgs[i].len + WEFT_TAG_LEN);
		FUZZ_CHECK(one);
		FUZZ_CHECK(!weft_aead_open(c[0], &t->key, msgs[i].counter, NULL, 0, one, buf[i],
					   msgs[i].len + WEFT_TAG_LEN));
		free(one);
		msgs[i].len += WEFT_TAG_LEN;
	}
	if (altered < n)
		buf[altered][t->bit % msgs[altered].len] ^= 1;
	FUZZ_CHECK(weft_aead_open_many(other, &t->key, msgs, n) == n - (altered < n));
	at = 0;
	for (size_t i = 0; i < n; i++) {
		size_t len = msgs[i].len - WEFT_TAG_LEN;

		if (i == altered)
			FUZZ_CHECK(msgs[i].result == WEFT_E_AUTH && weft_ct_is_zero(buf[i], len));
		else
			FUZZ_CHECK(msgs[i].result == 0 && memcmp(buf[i], t->text + at, len) == 0);
		at += len ? len : 1;
		free(buf[i]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {.p = data, .left = size};
	struct single t = {.counter = fuzz_u16(&in)};
	uint8_t *text;

	start();
	t.ad_len = fuzz_u8(&in);
	t.offset = fuzz_u8(&in) % 16;
	for (size_t i = 0; i < sizeof(t.key.b); i++)
		t.key.b[i] = i < 8 ? fuzz_u8(&in) : (uint8_t)i;
	t.bit = fuzz_u16(&in);
	t.ad = fuzz_bytes(&in, &t.ad_len);
	t.len = in.left;
	text = malloc(t.len + 1);
	FUZZ_CHECK(text);
	if (t.len)
		memcpy(text, in.p, t.len);
	t.text = text;
	for (size_t i = 0; i < BACKENDS; i++) {
		if (c[i]) {
			single(c[i], &t);
			batch(c[i], &t);
		}
	}
	free(text);
	return 0;
}
