/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Poly1305 of src/crypto/poly1305_avx512.c by itself, against OpenSSL's: keys and texts that
 * cannot be had through the AEAD, because there the key is what ChaCha20 makes of it. They are the
 * kinds of RFC 8439, appendix A.3: r and s at their extremes, texts of ones, and sums on either
 * side of p = 2^130 - 5 and of 2^130.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "crypto/avx512.h"
#include "crypto/internal.h"
#include "unit_random.h"
#include "util/cursor.h"

#define SKIPPED  77
#define LEN_MAX  3000
#define AD_MAX   80
#define MSGS     WEFT_POLY_LANES
#define KEY_LEN  32
#define PADDED_2 (2 * 16) /* bytes of padding of additional data and text, at most */

static EVP_MAC *poly1305;
static uint64_t random_state;
static uint8_t text[MSGS][LEN_MAX], key[MSGS][KEY_LEN], ad[AD_MAX];

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
	poly1305 = EVP_MAC_fetch(weft_algorithms.lib, "POLY1305", NULL);
	return !poly1305;
}

static int teardown(void **state)
{
	(void)state;
	EVP_MAC_free(poly1305);
	return 0;
}

/* RFC 8439, 2.8: additional data and text, each padded, and their lengths. */
static void reference(uint8_t tag[16], unsigned i, size_t ad_len, size_t len)
{
	static uint8_t input[LEN_MAX + AD_MAX + PADDED_2 + 16];
	size_t ad_padded = (ad_len + 15) / 16 * 16, padded = (len + 15) / 16 * 16, n;
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(poly1305);

	memset(input, 0, sizeof(input));
	memcpy(input, ad, ad_len);
	memcpy(input + ad_padded, text[i], len);
	weft_put_le64(input + ad_padded + padded, ad_len);
	weft_put_le64(input + ad_padded + padded + 8, len);
	assert_non_null(ctx);
	assert_int_equal(EVP_MAC_init(ctx, key[i], KEY_LEN, NULL), 1);
	assert_int_equal(EVP_MAC_update(ctx, input, ad_padded + padded + 16), 1);
	assert_int_equal(EVP_MAC_final(ctx, tag, &n, 16), 1);
	EVP_MAC_CTX_free(ctx);
}

/* The first `n` texts, under the first `n` keys. */
static void check(const size_t lens[MSGS], unsigned n, size_t ad_len)
{
	struct weft_poly_scratch scratch;
	struct weft_poly_msg msgs[MSGS];
	uint8_t tags[MSGS][16], want[16];

	for (unsigned i = 0; i < n; i++)
		msgs[i] = (struct weft_poly_msg){.key = key[i], .text = text[i], .len = lens[i]};
	weft_poly1305_x8(&scratch, msgs, n, ad, ad_len, tags);
	for (unsigned i = 0; i < n; i++) {
		reference(want, i, ad_len, lens[i]);
		assert_memory_equal(tags[i], want, sizeof(want));
	}
}

/* All n from 1 to 8, as they are divided among the lanes in different ways. */
static void check_all(size_t len, size_t ad_len)
{
	size_t lens[MSGS];

	for (unsigned i = 0; i < MSGS; i++)
		lens[i] = len;
	for (unsigned n = 1; n <= MSGS; n++)
		check(lens, n, ad_len);
}

/* r and s out of all ones, all zeros, single bits and random ones. */
static void extreme_keys(void)
{
	for (unsigned i = 0; i < MSGS; i++) {
		for (unsigned half = 0; half < 2; half++) {
			uint8_t *p = key[i] + 16 * half;
			uint32_t kind = below(4);

			memset(p, kind == 0 ? 0xff : 0, 16);
			if (kind == 1)
				p[below(16)] = (uint8_t)(1u << below(8));
			for (unsigned k = 0; kind == 2 && k < 16; k++)
				p[k] = (uint8_t)below(256);
		}
	}
}

static void extremes(void **state)
{
	static const uint8_t fills[] = {0xff, 0x00, 0xfb, 0x80};

	(void)state;
	memset(ad, 0xff, sizeof(ad));
	memset(key, 0xff, sizeof(key)); /* the largest r there is, and s */
	memset(text, 0xff, sizeof(text));
	for (size_t len = 0; len <= LEN_MAX; len += len < 300 ? 1 : 61)
		check_all(len, 0);
	for (unsigned round = 0; round < 300; round++) {
		extreme_keys();
		memset(text, fills[round % sizeof(fills)], sizeof(text));
		check_all(below(round % 2 ? 200 : LEN_MAX), round % 3 ? 0 : below(AD_MAX));
	}
}

/* Each message of another length, random and empty ones among them, with additional data or not. */
static void mixed(void **state)
{
	size_t lens[MSGS];

	(void)state;
	for (unsigned i = 0; i < MSGS; i++) {
		for (size_t k = 0; k < LEN_MAX; k++)
			text[i][k] = (uint8_t)below(256);
	}
	for (unsigned round = 0; round < 2000; round++) {
		extreme_keys();
		for (unsigned i = 0; i < MSGS; i++)
			lens[i] = below(5) ? below(1u << (1 + below(11))) : 0;
		check(lens, 1 + below(MSGS), below(2) * below(AD_MAX));
	}
}

/*
 * With r = 1 the blocks are just added up, each with its 2^128. Four blocks and the lengths make
 * 5 * 2^128 + 3 * 2^128 - 128 - 2 - 2^70 + low + 64 * 2^64 = 2^131 - 130 + low, which is
 * 2^130 - 125 + low modulo p: `low` moves it across p, at 120, and 2^130, at 125. With 2^44 or
 * 2^45 added, 2^130 comes back as 5 to a lowest limb that is almost full.
 */
static void around_p_with(unsigned low, uint8_t above)
{
	size_t lens[MSGS];

	memset(key, 0, sizeof(key));
	memset(text, 0, sizeof(text));
	for (unsigned i = 0; i < MSGS; i++) {
		lens[i] = 64;
		key[i][0] = 1;
		memset(key[i] + 16, low % 2 ? 0xff : 0, 16);
		memset(text[i], 0xff, 48);
		text[i][32] = 0x80;
		text[i][32 + 8] = 0xbf; /* less 2^70 */
		text[i][48] = (uint8_t)(low + i);
		text[i][48 + 5] = above;
	}
	for (unsigned n = 1; n <= MSGS; n++)
		check(lens, n, 0);
}

static void around_p(void **state)
{
	(void)state;
	for (unsigned low = 100; low < 150; low++) {
		around_p_with(low, 0);
		around_p_with(low, 0x10);
		around_p_with(low, 0x20);
	}
}

/* Any multiple of r = 2 and so on: sums that are wrapped many times, with the last block aimed. */
static void small_r(void **state)
{
	size_t lens[MSGS];

	(void)state;
	for (unsigned round = 0; round < 500; round++) {
		memset(key, 0, sizeof(key));
		for (unsigned i = 0; i < MSGS; i++) {
			lens[i] = 16 * (1 + below(30));
			key[i][0] = (uint8_t)below(9);
			memset(text[i], below(2) ? 0xff : 0, lens[i]);
			text[i][lens[i] - 16] = (uint8_t)below(256);
			text[i][0] = (uint8_t)below(256);
		}
		check(lens, 1 + below(MSGS), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(extremes),
		cmocka_unit_test(mixed),
		cmocka_unit_test(around_p),
		cmocka_unit_test(small_r),
	};

	if (!__builtin_cpu_supports("avx512ifma") || !__builtin_cpu_supports("avx512bw")) {
		(void)printf("1..0 # SKIP no AVX-512 IFMA\n");
		return SKIPPED;
	}
	return cmocka_run_group_tests_name("crypto-poly1305-avx512", tests, setup, teardown);
}
