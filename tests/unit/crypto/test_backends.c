/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The libraries against each other: every length from 0 to 65535 by chance, in place and not, with
 * additional data, whole batches with bad messages in between, tags and texts that were altered.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "crypto/internal.h"
#include "unit_random.h"

#define LEN_MAX 65535
#define BATCH   64

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
static uint64_t random_state;
static uint8_t text[LEN_MAX + 1], a[LEN_MAX + 17], b[LEN_MAX + 17];

static uint32_t below(uint32_t n)
{
	return (uint32_t)(unit_random(&random_state) % n);
}

static int setup(void **state)
{
	(void)state;
	random_state = unit_seed();
	if (weft_crypto_init())
		return 1;
	for (size_t i = 0; i < BACKENDS; i++) {
		if (weft_crypto_new_with(backends[i], &c[i]) && i == 0)
			return 1;
	}
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)below(256);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < BACKENDS; i++)
		weft_crypto_free(c[i]);
	return 0;
}

static void new_key(struct weft_secret *key)
{
	for (size_t i = 0; i < sizeof(key->b); i++)
		key->b[i] = (uint8_t)below(256);
}

/* Short ones are as frequent as long ones. */
static size_t some_length(void)
{
	return below(1u << (1 + below(16)));
}

static void one_by_one(void **state)
{
	struct weft_secret key;

	(void)state;
	for (unsigned round = 0; round < 600; round++) {
		size_t len = round < 4 ? LEN_MAX - round : some_length(),
		       ad_len = below(2) * below(80);
		uint64_t counter = unit_random(&random_state);

		if (round % 4 == 0)
			new_key(&key);
		assert_int_equal(weft_aead_seal(c[0], &key, counter, text, ad_len, a, text, len),
				 0);
		for (size_t i = 0; i < BACKENDS; i++) {
			if (!c[i])
				continue;
			memcpy(b, text, len);
			assert_int_equal(
				weft_aead_seal(c[i], &key, counter, text, ad_len, b, b, len), 0);
			assert_memory_equal(a, b, len + 16);
			b[below((uint32_t)len + 16)] ^= (uint8_t)(1u << below(8));
			assert_int_equal(
				weft_aead_open(c[i], &key, counter, text, ad_len, b, b, len + 16),
				WEFT_E_AUTH);
			assert_true(weft_ct_is_zero(b, len));
			assert_int_equal(
				weft_aead_open(c[i], &key, counter, text, ad_len, b, a, len + 16),
				0);
			assert_memory_equal(b, text, len);
		}
	}
}

/* A batch gives what its messages give singly, whatever is wrong with some of them. */
static void batches(struct weft_crypto *tested, unsigned n)
{
	static uint8_t sealed[BATCH][2100], opened[BATCH][2100];
	struct weft_aead_msg msgs[BATCH];
	int want[BATCH];
	struct weft_secret key;
	size_t good = 0;

	new_key(&key);
	for (unsigned i = 0; i < n; i++)
		msgs[i] = (struct weft_aead_msg){.counter = 1000 + i,
						 .in = text + i,
						 .out = sealed[i],
						 .len = below(2000),
						 .result = 1};
	assert_int_equal(weft_aead_seal_many(tested, &key, msgs, n), n);
	for (unsigned i = 0; i < n; i++) {
		size_t len = msgs[i].len;

		assert_int_equal(msgs[i].result, 0);
		assert_int_equal(weft_aead_seal(c[0], &key, 1000 + i, NULL, 0, a, text + i, len),
				 0);
		assert_memory_equal(sealed[i], a, len + 16);
		want[i] = below(4) ? 0 : WEFT_E_AUTH;
		if (want[i])
			sealed[i][below((uint32_t)len + 16)] ^= 1;
		msgs[i] = (struct weft_aead_msg){.counter = 1000 + i,
						 .in = sealed[i],
						 .out = below(2) ? opened[i] : sealed[i],
						 .len = len + 16,
						 .result = 1};
		if (want[i] && below(2))
			msgs[i].len = below(16); /* no room for a tag */
		good += !want[i];
	}
	assert_int_equal(weft_aead_open_many(tested, &key, msgs, n), good);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(msgs[i].result, want[i]);
		if (!want[i])
			assert_memory_equal(msgs[i].out, text + i, msgs[i].len - 16);
		else if (msgs[i].len >= 16)
			assert_true(weft_ct_is_zero(msgs[i].out, msgs[i].len - 16));
	}
}

static void many(void **state)
{
	(void)state;
	for (size_t i = 0; i < BACKENDS; i++) {
		for (unsigned round = 0; c[i] && round < 60; round++)
			batches(c[i], round % 3 ? BATCH : below(BATCH));
	}
}

/* Lengths that no library is asked to take are refused, and do not stop the others. */
static void too_long(void **state)
{
	struct weft_aead_msg msgs[3] = {
		{.in = text, .out = a, .len = 40},
		{.in = text, .out = a, .len = WEFT_AEAD_LEN_MAX + 1},
		{.in = text, .out = b, .len = 40},
	};
	struct weft_secret key;

	(void)state;
	new_key(&key);
	assert_int_equal(weft_aead_seal_many(c[0], &key, msgs, 3), 2);
	assert_int_equal(msgs[1].result, WEFT_E_CRYPTO);
	assert_memory_equal(a, b, 56);
	assert_int_equal(weft_aead_open_many(c[0], &key, msgs + 1, 1), 0);
	assert_int_equal(msgs[1].result, WEFT_E_CRYPTO);
	assert_int_equal(weft_aead_seal(c[0], &key, 0, NULL, 0, a, text, WEFT_AEAD_LEN_MAX + 1),
			 WEFT_E_CRYPTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_by_one),
		cmocka_unit_test(many),
		cmocka_unit_test(too_long),
	};

	return cmocka_run_group_tests_name("crypto-backends", tests, setup, teardown);
}
