/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ChaCha20-Poly1305 (RFC 8439) over whichever implementation was chosen, and XChaCha20-Poly1305
 * (draft-irtf-cfrg-xchacha-03) over libsodium. It knows no packet format.
 */
#include "crypto/internal.h"

#include <sodium.h>

int weft_aead_seal(struct weft_crypto *c, const struct weft_secret *key, uint64_t counter,
		   const void *ad, size_t ad_len, uint8_t *out, const uint8_t *in, size_t len)
{
	struct weft_aead_msg m = {.counter = counter, .in = in, .out = out, .len = len};

	if (len > WEFT_AEAD_LEN_MAX || ad_len > WEFT_AEAD_LEN_MAX)
		return WEFT_E_CRYPTO;
	c->aead->seal(c, key, ad, ad_len, &m, 1);
	return m.result;
}

int weft_aead_open(struct weft_crypto *c, const struct weft_secret *key, uint64_t counter,
		   const void *ad, size_t ad_len, uint8_t *out, const uint8_t *in, size_t len)
{
	struct weft_aead_msg m = {.counter = counter, .in = in, .out = out, .len = len};

	if (len < WEFT_TAG_LEN)
		return WEFT_E_AUTH;
	if (len > WEFT_AEAD_LEN_MAX || ad_len > WEFT_AEAD_LEN_MAX)
		return WEFT_E_CRYPTO;
	c->aead->open(c, key, ad, ad_len, &m, 1);
	return m.result;
}

/* Where a stretch of messages of proper length, from `from` on, ends. */
static size_t proper(const struct weft_aead_msg *msgs, size_t from, size_t n, size_t min)
{
	while (from < n && msgs[from].len >= min && msgs[from].len <= WEFT_AEAD_LEN_MAX)
		from++;
	return from;
}

static size_t successes(const struct weft_aead_msg *msgs, size_t n)
{
	size_t good = 0;

	for (size_t i = 0; i < n; i++)
		good += msgs[i].result == 0;
	return good;
}

size_t weft_aead_seal_many(struct weft_crypto *c, const struct weft_secret *key,
			   struct weft_aead_msg *msgs, size_t n)
{
	for (size_t i = 0, end; i < n; i = end + 1) {
		end = proper(msgs, i, n, 0);
		if (end > i)
			c->aead->seal(c, key, NULL, 0, msgs + i, end - i);
		if (end < n)
			msgs[end].result = WEFT_E_CRYPTO;
	}
	return successes(msgs, n);
}

size_t weft_aead_open_many(struct weft_crypto *c, const struct weft_secret *key,
			   struct weft_aead_msg *msgs, size_t n)
{
	for (size_t i = 0, end; i < n; i = end + 1) {
		end = proper(msgs, i, n, WEFT_TAG_LEN);
		if (end > i)
			c->aead->open(c, key, NULL, 0, msgs + i, end - i);
		if (end < n)
			msgs[end].result =
				msgs[end].len < WEFT_TAG_LEN ? WEFT_E_AUTH : WEFT_E_CRYPTO;
	}
	return successes(msgs, n);
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
