/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BLAKE2s against RFC 7693 and the reference implementation's known answers. WireGuard's MAC has
 * 16 bytes and the published keyed answers 32, which the interface cannot express: those go to the
 * same algorithm in the library, the MAC itself to answers of its length.
 */
#include "load.h"

#include <openssl/core_names.h>

#include "crypto/internal.h"

static int setup(void **state)
{
	return weft_crypto_init() || weft_crypto_new((struct weft_crypto **)state);
}

static int teardown(void **state)
{
	weft_crypto_free(*state);
	return 0;
}

#define IN_MAX 1024

static void abc(void **state)
{
	uint8_t out[32], want[32];

	/* RFC 7693, appendix B */
	vectors_unhex("508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982", want, 32);
	assert_int_equal(weft_hash(*state, out, "abc", 3, NULL, 0), 0);
	assert_memory_equal(out, want, 32);
}

static void keyed_in_library(const uint8_t *key, size_t key_len, const uint8_t *in, size_t len,
			     uint8_t out[32])
{
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(weft_algorithms.blake2s_mac);
	size_t size = 32, out_len = 0;
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
		OSSL_PARAM_construct_end(),
	};

	assert_non_null(ctx);
	assert_int_equal(EVP_MAC_init(ctx, key, key_len, params), 1);
	assert_int_equal(EVP_MAC_update(ctx, in, len), 1);
	assert_int_equal(EVP_MAC_final(ctx, out, &out_len, 32), 1);
	assert_int_equal(out_len, 32);
	EVP_MAC_CTX_free(ctx);
}

static void known_answers(void **state)
{
	json_t *root = vectors_load("blake2/blake2s-kat.json"), *v;
	unsigned unkeyed = 0, keyed = 0;
	size_t i;

	json_array_foreach(root, i, v)
	{
		uint8_t in[IN_MAX], key[32], want[32], out[32];
		size_t len = vectors_hex(v, "in", in, sizeof(in));
		size_t key_len = vectors_hex(v, "key", key, sizeof(key));

		assert_string_equal(vectors_string(v, "hash"), "blake2s");
		vectors_hex_exact(v, "out", want, 32);
		if (key_len) {
			keyed_in_library(key, key_len, in, len, out);
			keyed++;
		} else {
			assert_int_equal(
				weft_hash(*state, out, in, len / 3, in + len / 3, len - len / 3),
				0);
			unkeyed++;
		}
		assert_memory_equal(out, want, 32);
	}
	assert_int_equal(unkeyed, 256);
	assert_int_equal(keyed, 256);
	json_decref(root);
}

static void mac(void **state)
{
	json_t *root = vectors_load("blake2/blake2s-mac16.json"), *v;
	json_t *list = json_object_get(root, "vectors");
	size_t i;

	assert_true(json_array_size(list) >= 10);
	json_array_foreach(list, i, v)
	{
		uint8_t in[IN_MAX], key[32], want[16], out[16];
		size_t len = vectors_hex(v, "in", in, sizeof(in));
		size_t key_len = vectors_hex(v, "key", key, sizeof(key));

		vectors_hex_exact(v, "out", want, 16);
		assert_int_equal(weft_mac(*state, out, key, key_len, in, len), 0);
		assert_memory_equal(out, want, 16);
	}
	json_decref(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(abc),
		cmocka_unit_test(known_answers),
		cmocka_unit_test(mac),
	};

	return cmocka_run_group_tests_name("vectors-rfc7693", tests, setup, teardown);
}
