/* SPDX-License-Identifier: Apache-2.0 */
/* The KDF of the paper, section 5.4, against the answers of wireguard-go's test. */
#include "load.h"

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

static void kdf(void **state)
{
	json_t *root = vectors_load("wireguard/kdf.json"), *v;
	json_t *list = json_object_get(root, "vectors");
	size_t i;

	assert_int_equal(json_array_size(list), 3);
	json_array_foreach(list, i, v)
	{
		/* HMAC pads its key with zeros: the short keys equal their padded form */
		uint8_t key[32] = {0}, in[64], want[3][32], t1[32], t2[32], t3[32];
		size_t len = vectors_hex(v, "input", in, sizeof(in));
		const json_t *answers = json_object_get(v, "t");

		(void)vectors_hex(v, "key", key, sizeof(key));
		for (size_t k = 0; k < 3; k++) {
			const char *hex = json_string_value(json_array_get(answers, k));

			assert_non_null(hex);
			assert_int_equal(vectors_unhex(hex, want[k], 32), 32);
		}
		assert_int_equal(weft_kdf(*state, t1, NULL, NULL, key, in, len), 0);
		assert_memory_equal(t1, want[0], 32);
		assert_int_equal(weft_kdf(*state, t1, t2, NULL, key, in, len), 0);
		assert_memory_equal(t1, want[0], 32);
		assert_memory_equal(t2, want[1], 32);
		assert_int_equal(weft_kdf(*state, t1, t2, t3, key, in, len), 0);
		assert_memory_equal(t1, want[0], 32);
		assert_memory_equal(t2, want[1], 32);
		assert_memory_equal(t3, want[2], 32);
	}
	json_decref(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kdf),
	};

	return cmocka_run_group_tests_name("vectors-kdf", tests, setup, teardown);
}
