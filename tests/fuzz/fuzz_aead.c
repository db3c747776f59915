/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The libraries' ChaCha20-Poly1305 against each other, over any length, alignment and additional
 * data: the same sealed text, each opens what the other sealed, and neither takes an altered one.
 */
#include <string.h>

#include "crypto/internal.h"
#include "fuzz.h"

static struct weft_crypto *one, *other; /* `other` is OpenSSL too where there is no second */

static void start(void)
{
	if (one)
		return;
	FUZZ_CHECK(!weft_crypto_init());
	FUZZ_CHECK(!weft_crypto_new_with(&weft_aead_openssl, &one));
	FUZZ_CHECK(!weft_crypto_new(&other));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {.p = data, .left = size};
	struct weft_secret key;
	uint64_t counter = fuzz_u16(&in);
	size_t ad_len = fuzz_u8(&in), offset = fuzz_u8(&in) % 16, len, bit;
	uint8_t *a, *b, *text;
	const uint8_t *ad;

	start();
	for (size_t i = 0; i < sizeof(key.b); i++)
		key.b[i] = i < 8 ? fuzz_u8(&in) : (uint8_t)i;
	bit = fuzz_u16(&in);
	ad = fuzz_bytes(&in, &ad_len);
	len = in.left;
	/* of exactly the right size, so that a byte too far is seen */
	a = malloc(offset + len + WEFT_TAG_LEN);
	b = malloc(offset + len + WEFT_TAG_LEN);
	text = malloc(len + 1);
	FUZZ_CHECK(a && b && text);
	if (len)
		memcpy(text, in.p, len);
	FUZZ_CHECK(!weft_aead_seal(one, &key, counter, ad, ad_len, a + offset, text, len));
	if (len)
		memcpy(b + offset, text, len);
	FUZZ_CHECK(!weft_aead_seal(other, &key, counter, ad, ad_len, b + offset, b + offset, len));
	FUZZ_CHECK(memcmp(a + offset, b + offset, len + WEFT_TAG_LEN) == 0);
	bit %= (len + WEFT_TAG_LEN) * 8;
	b[offset + bit / 8] ^= (uint8_t)(1u << bit % 8);
	FUZZ_CHECK(weft_aead_open(other, &key, counter, ad, ad_len, b + offset, b + offset,
				  len + WEFT_TAG_LEN) == WEFT_E_AUTH);
	FUZZ_CHECK(weft_ct_is_zero(b + offset, len));
	FUZZ_CHECK(!weft_aead_open(other, &key, counter, ad, ad_len, b + offset, a + offset,
				   len + WEFT_TAG_LEN));
	FUZZ_CHECK(memcmp(b + offset, text, len) == 0);
	free(a);
	free(b);
	free(text);
	return 0;
}
