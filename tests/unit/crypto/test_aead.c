/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The AEAD's treatment of keys that stay and change, of buffers that overlap, and of everything
 * that was altered. The known answers are in tests/vectors.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "crypto/crypto.h"
#include "crypto_choice.h"

static int setup(void **state)
{
	return crypto_choice_init() || weft_crypto_new((struct weft_crypto **)state);
}

static int teardown(void **state)
{
	weft_crypto_free(*state);
	return 0;
}

static void key_of(struct weft_secret *key, unsigned i)
{
	memset(key->b, (int)i, sizeof(key->b));
}

/* A context that keeps its keys gives what a fresh context gives, in any order of keys. */
static void cached_keys(void **state)
{
	static const unsigned order[] = {1, 1, 2, 1, 1, 3, 3, 2, 2, 1};
	uint8_t text[100], a[116], b[116], back[116];
	struct weft_secret key;

	memset(text, 0x33, sizeof(text));
	for (uint64_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		struct weft_crypto *fresh;
		uint64_t counter = i << (6 * i);

		key_of(&key, order[i]);
		assert_int_equal(weft_crypto_new(&fresh), 0);
		assert_int_equal(
			weft_aead_seal(fresh, &key, counter, "ad", i % 3, a, text, sizeof(text)),
			0);
		assert_int_equal(
			weft_aead_seal(*state, &key, counter, "ad", i % 3, b, text, sizeof(text)),
			0);
		assert_memory_equal(a, b, sizeof(a));
		memset(back, 0, sizeof(back));
		assert_int_equal(
			weft_aead_open(*state, &key, counter, "ad", i % 3, back, b, sizeof(b)), 0);
		assert_memory_equal(back, text, sizeof(text));
		weft_crypto_free(fresh);
	}
}

static void in_place_and_lengths(void **state)
{
	uint8_t text[1500], apart[1516], buf[1516];
	struct weft_secret key;

	key_of(&key, 7);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 31);
	for (size_t len = 0; len <= sizeof(text); len += len < 130 ? 1 : 137) {
		assert_int_equal(weft_aead_seal(*state, &key, len, NULL, 0, apart, text, len), 0);
		memcpy(buf, text, len);
		assert_int_equal(weft_aead_seal(*state, &key, len, NULL, 0, buf, buf, len), 0);
		assert_memory_equal(buf, apart, len + 16);
		assert_int_equal(weft_aead_open(*state, &key, len, NULL, 0, buf, buf, len + 16), 0);
		if (len)
			assert_memory_equal(buf, text, len);
	}
}

static void altered(void **state)
{
	uint8_t sealed[40], back[24], text[24];
	struct weft_secret key, other;

	key_of(&key, 7);
	key_of(&other, 8);
	memset(text, 0x11, sizeof(text));
	assert_int_equal(weft_aead_seal(*state, &key, 9, "ad", 2, sealed, text, 24), 0);
	for (size_t bit = 0; bit < 40 * 8; bit++) {
		sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(weft_aead_open(*state, &key, 9, "ad", 2, back, sealed, 40),
				 WEFT_E_AUTH);
		assert_true(weft_ct_is_zero(back, sizeof(back)));
		sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(weft_aead_open(*state, &key, 8, "ad", 2, back, sealed, 40), WEFT_E_AUTH);
	assert_int_equal(weft_aead_open(*state, &key, 9, "aD", 2, back, sealed, 40), WEFT_E_AUTH);
	assert_int_equal(weft_aead_open(*state, &key, 9, "ad", 1, back, sealed, 40), WEFT_E_AUTH);
	assert_int_equal(weft_aead_open(*state, &other, 9, "ad", 2, back, sealed, 40), WEFT_E_AUTH);
	for (size_t len = 0; len < 40; len++)
		assert_int_equal(weft_aead_open(*state, &key, 9, "ad", 2, back, sealed, len),
				 WEFT_E_AUTH);
	/* after all that, the good one still opens */
	assert_int_equal(weft_aead_open(*state, &key, 9, "ad", 2, back, sealed, 40), 0);
	assert_memory_equal(back, text, sizeof(text));
}

static void extended_nonce(void **state)
{
	uint8_t nonce[24], sealed[32], back[16], text[16];
	struct weft_secret key;

	key_of(&key, 1);
	memset(nonce, 2, sizeof(nonce));
	memset(text, 3, sizeof(text));
	assert_int_equal(weft_xaead_seal(*state, &key, nonce, "ad", 2, sealed, text, 16), 0);
	assert_int_equal(weft_xaead_open(*state, &key, nonce, "ad", 2, back, sealed, 32), 0);
	assert_memory_equal(back, text, 16);
	for (size_t i = 0; i < 32; i++) {
		sealed[i] ^= 0x80;
		assert_int_equal(weft_xaead_open(*state, &key, nonce, "ad", 2, back, sealed, 32),
				 WEFT_E_AUTH);
		sealed[i] ^= 0x80;
	}
	for (size_t i = 0; i < 24; i++) {
		nonce[i] ^= 1;
		assert_int_equal(weft_xaead_open(*state, &key, nonce, "ad", 2, back, sealed, 32),
				 WEFT_E_AUTH);
		nonce[i] ^= 1;
	}
	for (size_t len = 0; len < 32; len++)
		assert_int_equal(weft_xaead_open(*state, &key, nonce, "ad", 2, back, sealed, len),
				 WEFT_E_AUTH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cached_keys),
		cmocka_unit_test(in_place_and_lengths),
		cmocka_unit_test(altered),
		cmocka_unit_test(extended_nonce),
	};

	return cmocka_run_group_tests_name("crypto-aead", tests, setup, teardown);
}
