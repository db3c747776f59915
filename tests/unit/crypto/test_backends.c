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
#include <sys/mman.h>

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
static void batches(struct weft_crypto *tested, unsigned n, bool alike)
{
	static uint8_t sealed[BATCH][2100], opened[BATCH][2100];
	struct weft_aead_msg msgs[BATCH];
	uint64_t counters[BATCH];
	int want[BATCH];
	struct weft_secret key;
	size_t good = 0, len_of_all = below(2000);

	new_key(&key);
	for (unsigned i = 0; i < n; i++) {
		counters[i] = unit_random(&random_state);
		msgs[i] = (struct weft_aead_msg){.counter = counters[i],
						 .in = text + i,
						 .out = sealed[i],
						 .len = alike ? len_of_all : below(2000),
						 .result = 1};
	}
	assert_int_equal(weft_aead_seal_many(tested, &key, msgs, n), n);
	for (unsigned i = 0; i < n; i++) {
		size_t len = msgs[i].len;

		assert_int_equal(msgs[i].result, 0);
		assert_int_equal(weft_aead_seal(c[0], &key, counters[i], NULL, 0, a, text + i, len),
				 0);
		assert_memory_equal(sealed[i], a, len + 16);
		want[i] = below(4) ? 0 : WEFT_E_AUTH;
		if (want[i])
			sealed[i][below((uint32_t)len + 16)] ^= 1;
		msgs[i] = (struct weft_aead_msg){.counter = counters[i],
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

/* Sealed, opened and refused in place, right between two pages that are not there. */
static void fenced(struct weft_crypto *tested, uint8_t *page, size_t page_len, size_t len)
{
	uint8_t *ends[2] = {page, page + page_len - len - 16};
	struct weft_secret key;

	new_key(&key);
	assert_int_equal(weft_aead_seal(c[0], &key, len, NULL, 0, a, text, len), 0);
	for (unsigned i = 0; i < 2; i++) {
		uint8_t *p = ends[i];

		memset(page, 0x5a, page_len);
		memcpy(p, text, len);
		assert_int_equal(weft_aead_seal(tested, &key, len, NULL, 0, p, p, len), 0);
		assert_memory_equal(p, a, len + 16);
		assert_int_equal(weft_aead_open(tested, &key, len, NULL, 0, p, p, len + 16), 0);
		assert_memory_equal(p, text, len);
		assert_memory_equal(p + len, a + len, 16);
		/* what is beside it stays */
		for (size_t k = 0; k < page_len; k++)
			assert_true((page + k >= p && page + k < p + len + 16) || page[k] == 0x5a);
	}
}

static void edges(void **state)
{
	const size_t size = 4096;
	uint8_t *pages = mmap(NULL, 3 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(pages, MAP_FAILED);
	assert_int_equal(mprotect(pages + size, size, PROT_READ | PROT_WRITE), 0);
	for (size_t i = 0; i < BACKENDS; i++) {
		for (size_t len = 0; c[i] && len <= size - 16; len += len < 200 ? 1 : 97)
			fenced(c[i], pages + size, size, len);
	}
	munmap(pages, 3 * size);
}

static void many(void **state)
{
	(void)state;
	for (size_t i = 0; i < BACKENDS; i++) {
		for (unsigned round = 0; c[i] && round < 80; round++)
			batches(c[i], round % 3 ? BATCH : below(BATCH), round % 2);
		for (unsigned n = 0; c[i] && n < 400; n++)
			batches(c[i], n % 20, n % 3);
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
		cmocka_unit_test(edges),
		cmocka_unit_test(many),
		cmocka_unit_test(too_long),
	};

	return cmocka_run_group_tests_name("crypto-backends", tests, setup, teardown);
}
