/* SPDX-License-Identifier: Apache-2.0 */
/* Start-up, contexts, forgetting keys, random bytes, and threads with a context each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#ifdef WEFT_WITH_IPSEC_MB
#include <intel-ipsec-mb.h>
#endif

#include "crypto/internal.h"
#include "crypto_choice.h"

static void before_init(void **state)
{
	struct weft_crypto *c = NULL;

	(void)state;
	assert_int_equal(weft_crypto_new(&c), WEFT_E_CRYPTO);
	assert_null(c);
	weft_crypto_free(NULL);
	assert_int_equal(crypto_choice_init(), 0);
	assert_int_equal(crypto_choice_init(), 0);
	assert_int_equal(weft_crypto_new(&c), 0);
	assert_non_null(c);
	weft_crypto_free(c);
}

/* The self-test must notice a wrong algorithm, not only pass with the right ones. */
static void self_test_can_fail(void **state)
{
	struct weft_crypto *c;
	struct weft_openssl_digest blake2s = weft_algorithms.blake2s, sha256;

	(void)state;
	assert_int_equal(weft_openssl_digest_fetch(&weft_algorithms, "no such", &sha256),
			 WEFT_E_CRYPTO);
	assert_int_equal(weft_openssl_digest_fetch(&weft_algorithms, "SHA2-256", &sha256), 0);
	assert_int_equal(weft_crypto_new(&c), 0);
	assert_int_equal(weft_crypto_self_test(c), 0);
	weft_crypto_free(c);
	weft_algorithms.blake2s = sha256;
	assert_int_equal(weft_crypto_new(&c), 0);
	assert_int_equal(weft_crypto_self_test(c), WEFT_E_CRYPTO);
	weft_crypto_free(c);
	weft_algorithms.blake2s = blake2s;
}

/* What the contexts still know of a key: OpenSSL's are looked at, ipsec-mb's are searched. */
static bool holds(const struct weft_crypto *c, const struct weft_secret *key)
{
	static const struct weft_secret zero;
	bool found = c->seal.keyed || c->open.keyed || c->seal.ctx || c->open.ctx ||
		     memcmp(&c->seal.key, &zero, sizeof(zero)) != 0 ||
		     memcmp(&c->open.key, &zero, sizeof(zero)) != 0;
#ifdef WEFT_WITH_IPSEC_MB
	const uint8_t *p = c->ipsec_mb;

	for (size_t i = 0; p && i + 8 <= imb_get_mb_mgr_size(); i++)
		found = found || memcmp(p + i, key->b, 8) == 0 ||
			memcmp(p + i, key->b + 24, 8) == 0;
#endif
	(void)key;
	return found;
}

static void forget(void **state)
{
	static const uint8_t text[] = "some text to seal";
	struct weft_secret key;
	uint8_t first[sizeof(text) + 16], second[sizeof(text) + 16], mac1[16], mac2[16];
	struct weft_crypto *c;

	(void)state;
	for (size_t i = 0; i < sizeof(key.b); i++)
		key.b[i] = (uint8_t)(0x42 + 5 * i);
	assert_int_equal(weft_crypto_new(&c), 0);
	weft_crypto_forget(c); /* nothing to forget */
	assert_int_equal(weft_aead_seal(c, &key, 5, NULL, 0, first, text, sizeof(text)), 0);
	assert_int_equal(weft_aead_open(c, &key, 5, NULL, 0, second, first, sizeof(first)), 0);
	assert_int_equal(weft_mac(c, mac1, key.b, 32, text, sizeof(text)), 0);
	assert_true(c->mac_keyed);
	if (c->aead == &weft_aead_openssl)
		assert_true(holds(c, &key) && c->seal.keyed && c->open.keyed);
	weft_crypto_forget(c);
	assert_false(c->mac_keyed);
	assert_false(holds(c, &key));
	/* and works again afterwards */
	assert_int_equal(weft_aead_seal(c, &key, 5, NULL, 0, second, text, sizeof(text)), 0);
	assert_memory_equal(first, second, sizeof(first));
	assert_int_equal(weft_mac(c, mac2, key.b, 32, text, sizeof(text)), 0);
	assert_memory_equal(mac1, mac2, sizeof(mac1));
	weft_crypto_free(c);
}

/* The name of what was chosen, and that the choice was followed. */
static void chosen(void **state)
{
	const char *name = getenv("WEFT_TEST_CRYPTO");
	struct weft_crypto *c;

	(void)state;
	assert_int_equal(weft_crypto_new(&c), 0);
	assert_int_equal(strncmp(weft_crypto_aead(), c->aead->name, strlen(c->aead->name)), 0);
	if (name)
		assert_string_equal(c->aead->name, name);
	weft_crypto_free(c);
}

/* A library that seals wrongly at one length only must not get through. */
static void wrong_seal(struct weft_crypto *c, const struct weft_secret *key, const void *ad,
		       size_t ad_len, struct weft_aead_msg *msgs, size_t n)
{
	weft_aead_openssl.seal(c, key, ad, ad_len, msgs, n);
	if (msgs[0].len == 1025)
		msgs[0].out[1024] ^= 1;
}

/* Nor one that takes everything for authentic. */
static void wrong_open(struct weft_crypto *c, const struct weft_secret *key, const void *ad,
		       size_t ad_len, struct weft_aead_msg *msgs, size_t n)
{
	weft_aead_openssl.open(c, key, ad, ad_len, msgs, n);
	msgs[0].result = 0;
}

/* Nor one that takes a later message of a batch for the one before. */
static void wrong_batch(struct weft_crypto *c, const struct weft_secret *key, const void *ad,
			size_t ad_len, struct weft_aead_msg *msgs, size_t n)
{
	if (n == 17)
		msgs[16].counter--;
	weft_aead_openssl.seal(c, key, ad, ad_len, msgs, n);
}

static void aead_self_test_can_fail(void **state)
{
	struct weft_aead_backend wrong = weft_aead_openssl;
	struct weft_crypto *c;

	(void)state;
	assert_int_equal(weft_crypto_new_with(&wrong, &c), 0);
	assert_int_equal(weft_aead_self_test(c), 0);
	wrong.seal = wrong_seal;
	assert_int_equal(weft_aead_self_test(c), WEFT_E_CRYPTO);
	wrong.seal = wrong_batch;
	assert_int_equal(weft_aead_self_test(c), WEFT_E_CRYPTO);
	wrong.seal = weft_aead_openssl.seal;
	wrong.open = wrong_open;
	assert_int_equal(weft_aead_self_test(c), WEFT_E_CRYPTO);
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
		cmocka_unit_test(before_init),
		cmocka_unit_test(self_test_can_fail),
		cmocka_unit_test(forget),
		cmocka_unit_test(random_bytes),
		cmocka_unit_test(threads),
		cmocka_unit_test(chosen),
		cmocka_unit_test(aead_self_test_can_fail),
	};

	return cmocka_run_group_tests_name("crypto-context", tests, NULL, NULL);
}
