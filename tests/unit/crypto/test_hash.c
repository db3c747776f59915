/* SPDX-License-Identifier: Apache-2.0 */
/* How the hash functions treat their arguments; the known answers are in tests/vectors. */
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

static void hash_concatenates(void **state)
{
	uint8_t in[200], whole[32], split[32];

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 7);
	assert_int_equal(weft_hash(*state, whole, in, sizeof(in), NULL, 0), 0);
	for (size_t i = 0; i <= sizeof(in); i++) {
		assert_int_equal(weft_hash(*state, split, in, i, in + i, sizeof(in) - i), 0);
		assert_memory_equal(whole, split, 32);
	}
	/* out may be an input */
	memcpy(split, in, 32);
	assert_int_equal(weft_hash(*state, split, split, 32, in + 32, sizeof(in) - 32), 0);
	assert_memory_equal(whole, split, 32);
}

static void mac_arguments(void **state)
{
	uint8_t key[33], a[16], b[16];

	memset(key, 9, sizeof(key));
	assert_int_equal(weft_mac(*state, a, key, 32, "x", 1), 0);
	assert_int_equal(weft_mac(*state, b, key, 31, "x", 1), 0);
	assert_memory_not_equal(a, b, 16);
	assert_int_equal(weft_mac(*state, b, key, 32, "x", 1), 0);
	assert_memory_equal(a, b, 16);
	assert_int_equal(weft_mac(*state, b, key, 1, NULL, 0), 0);
	assert_memory_not_equal(a, b, 16);
	memcpy(a, b, 16);
	assert_int_equal(weft_mac(*state, b, key, 33, "x", 1), WEFT_E_CRYPTO);
	assert_memory_equal(a, b, 16);
}

static void kdf_outputs(void **state)
{
	uint8_t key[32], t1[32], t2[32], t3[32], a1[32], a2[32], a3[32];

	memset(key, 3, sizeof(key));
	assert_int_equal(weft_kdf(*state, t1, t2, t3, key, "data", 4), 0);
	assert_memory_not_equal(t1, t2, 32);
	assert_memory_not_equal(t2, t3, 32);
	assert_int_equal(weft_kdf(*state, a1, NULL, NULL, key, "data", 4), 0);
	assert_memory_equal(a1, t1, 32);
	memset(a1, 0, 32);
	assert_int_equal(weft_kdf(*state, a1, a2, NULL, key, "data", 4), 0);
	assert_memory_equal(a1, t1, 32);
	assert_memory_equal(a2, t2, 32);
	assert_int_equal(weft_kdf(*state, a1, NULL, a3, key, "data", 4), 0);
	assert_memory_equal(a3, t3, 32);
	/* outputs over the key and the data */
	memcpy(a2, "data", 4);
	assert_int_equal(weft_kdf(*state, key, a2, a3, key, a2, 4), 0);
	assert_memory_equal(key, t1, 32);
	assert_memory_equal(a2, t2, 32);
	assert_memory_equal(a3, t3, 32);
}

static void siphash(void **state)
{
	uint8_t key[16], in[16];

	(void)state;
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = in[i] = (uint8_t)i;
	/* the SipHash paper, appendix A; the empty string from its reference vectors */
	assert_true(weft_siphash(key, in, 15) == 0xa129ca6149be45e5);
	assert_true(weft_siphash(key, in, 0) == 0x726fdb47dd0e0e31);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hash_concatenates),
		cmocka_unit_test(mac_arguments),
		cmocka_unit_test(kdf_outputs),
		cmocka_unit_test(siphash),
	};

	return cmocka_run_group_tests_name("crypto-hash", tests, setup, teardown);
}
