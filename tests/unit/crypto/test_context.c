/* SPDX-License-Identifier: Apache-2.0 */
/* Start-up, contexts, forgetting keys, random bytes, and threads with a context each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "crypto/internal.h"

static void before_init(void **state)
{
	struct weft_crypto *c = NULL;

	(void)state;
	assert_int_equal(weft_crypto_new(&c), WEFT_E_CRYPTO);
	assert_null(c);
	weft_crypto_free(NULL);
	assert_int_equal(weft_crypto_init(), 0);
	assert_int_equal(weft_crypto_init(), 0);
	assert_int_equal(weft_crypto_new(&c), 0);
	assert_non_null(c);
	weft_crypto_free(c);
}

/* The self-test must notice a wrong algorithm, not only pass with the right ones. */
static void self_test_can_fail(void **state)
{
	struct weft_crypto *c;
	EVP_MD *sha256;

	(void)state;
	assert_int_equal(weft_crypto_new(&c), 0);
	assert_int_equal(weft_crypto_self_test(c), 0);
	sha256 = EVP_MD_fetch(weft_algorithms.lib, "SHA2-256", NULL);
	assert_non_null(sha256);
	assert_int_equal(EVP_DigestInit_ex2(c->hash, sha256, NULL), 1);
	assert_int_equal(weft_crypto_self_test(c), WEFT_E_CRYPTO);
	EVP_MD_free(sha256);
	weft_crypto_free(c);
}

static void forget(void **state)
{
	static const uint8_t text[] = "some text to seal";
	struct weft_secret key;
	uint8_t first[sizeof(text) + 16], second[sizeof(text) + 16], mac1[16], mac2[16];
	struct weft_crypto *c;

	(void)state;
	memset(key.b, 0x42, sizeof(key.b));
	assert_int_equal(weft_crypto_new(&c), 0);
	weft_crypto_forget(c); /* nothing to forget */
	assert_int_equal(weft_aead_seal(c, &key, 5, NULL, 0, first, text, sizeof(text)), 0);
	assert_int_equal(weft_aead_open(c, &key, 5, NULL, 0, second, first, sizeof(first)), 0);
	assert_int_equal(weft_mac(c, mac1, key.b, 32, text, sizeof(text)), 0);
	assert_true(c->seal.keyed && c->open.keyed && c->mac_keyed);
	assert_memory_equal(c->seal.key.b, key.b, 32);
	weft_crypto_forget(c);
	assert_false(c->seal.keyed || c->open.keyed || c->mac_keyed);
	assert_true(weft_ct_is_zero(c->seal.key.b, 32));
	assert_true(weft_ct_is_zero(c->open.key.b, 32));
	/* and works again afterwards */
	assert_int_equal(weft_aead_seal(c, &key, 5, NULL, 0, second, text, sizeof(text)), 0);
	assert_memory_equal(first, second, sizeof(first));
	assert_int_equal(weft_mac(c, mac2, key.b, 32, text, sizeof(text)), 0);
	assert_memory_equal(mac1, mac2, sizeof(mac1));
	weft_crypto_free(c);
}

static void random_bytes(void **state)
{
	uint8_t a[600], b[600];

	(void)state;
	memset(a, 0, sizeof(a));
	memset(b, 0, sizeof(b));
	assert_int_equal(weft_random(a, sizeof(a) - 8), 0);
	assert_int_equal(weft_random(b, sizeof(b) - 8), 0);
	assert_memory_not_equal(a, b, 32);
	assert_memory_not_equal(a + 560, b + 560, 32);
	assert_true(weft_ct_is_zero(a + 592, 8));
	assert_int_equal(weft_random(a, 0), 0);
}

static void *work(void *arg)
{
	struct weft_crypto *c;
	int failed = 0;

	(void)arg;
	if (weft_crypto_new(&c))
		return (void *)1;
	for (int i = 0; i < 20; i++)
		failed |= weft_crypto_self_test(c);
	weft_crypto_free(c);
	return failed ? (void *)1 : NULL;
}

static void threads(void **state)
{
	pthread_t t[4];

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, work, NULL), 0);
	for (size_t i = 0; i < 4; i++) {
		void *failed;

		assert_int_equal(pthread_join(t[i], &failed), 0);
		assert_null(failed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(before_init), cmocka_unit_test(self_test_can_fail),
		cmocka_unit_test(forget),      cmocka_unit_test(random_bytes),
		cmocka_unit_test(threads),
	};

	return cmocka_run_group_tests_name("crypto-context", tests, NULL, NULL);
}
