/* SPDX-License-Identifier: Apache-2.0 */
/* Agreement, clamping and points of low order; the known answers are in tests/vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "crypto/crypto.h"

static int setup(void **state)
{
	return weft_crypto_init() || weft_crypto_new((struct weft_crypto **)state);
}

static int teardown(void **state)
{
	weft_crypto_free(*state);
	return 0;
}

static void agreement(void **state)
{
	struct weft_secret a, b, ab, ba;
	uint8_t pa[32], pb[32];

	for (int i = 0; i < 20; i++) {
		assert_int_equal(weft_random(a.b, 32), 0);
		assert_int_equal(weft_random(b.b, 32), 0);
		assert_int_equal(weft_x25519_public(*state, pa, &a), 0);
		assert_int_equal(weft_x25519_public(*state, pb, &b), 0);
		assert_int_equal(weft_x25519(*state, &ab, &a, pb), 0);
		/* the private key may be overwritten by the result */
		ba = b;
		assert_int_equal(weft_x25519(*state, &ba, &ba, pa), 0);
		assert_memory_equal(ab.b, ba.b, 32);
	}
}

static void clamping(void **state)
{
	struct weft_secret s, clamped;
	uint8_t p1[32], p2[32];

	memset(s.b, 0xff, 32);
	clamped = s;
	weft_x25519_clamp(&clamped);
	assert_int_equal(clamped.b[0], 0xf8);
	assert_int_equal(clamped.b[31], 0x7f);
	assert_int_equal(weft_x25519_public(*state, p1, &s), 0);
	assert_int_equal(weft_x25519_public(*state, p2, &clamped), 0);
	assert_memory_equal(p1, p2, 32);
	memset(clamped.b, 0, 32);
	weft_x25519_clamp(&clamped);
	assert_int_equal(clamped.b[0], 0);
	assert_int_equal(clamped.b[31], 0x40);
}

/* The points whose multiples by a clamped scalar are the neutral element. */
static void low_order(void **state)
{
	static const uint8_t order8[32] = {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae,
					   0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
					   0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd,
					   0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00};
	struct weft_secret s, out, untouched;
	uint8_t point[32] = {0};

	memset(s.b, 0x77, 32);
	memset(untouched.b, 0xa5, 32);
	out = untouched;
	assert_int_equal(weft_x25519(*state, &out, &s, point), WEFT_E_WEAK_KEY);
	point[0] = 1;
	assert_int_equal(weft_x25519(*state, &out, &s, point), WEFT_E_WEAK_KEY);
	assert_int_equal(weft_x25519(*state, &out, &s, order8), WEFT_E_WEAK_KEY);
	assert_memory_equal(out.b, untouched.b, 32);
	point[0] = 9;
	assert_int_equal(weft_x25519(*state, &out, &s, point), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agreement),
		cmocka_unit_test(clamping),
		cmocka_unit_test(low_order),
	};

	return cmocka_run_group_tests_name("crypto-x25519", tests, setup, teardown);
}
