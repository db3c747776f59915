/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing and wiping. That no time depends on the bytes is for tests/ct. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "util/secret.h"

static void equal(void **state)
{
	uint8_t a[40], b[40];

	(void)state;
	memset(a, 0x5a, sizeof(a));
	memcpy(b, a, sizeof(a));
	assert_true(weft_ct_equal(a, b, sizeof(a)));
	assert_true(weft_ct_equal(a, b, 0));
	for (size_t i = 0; i < sizeof(a); i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			b[i] ^= (uint8_t)(1u << bit);
			assert_false(weft_ct_equal(a, b, sizeof(a)));
			assert_true(weft_ct_equal(a, b, i));
			b[i] ^= (uint8_t)(1u << bit);
		}
	}
}

static void zero(void **state)
{
	struct weft_secret s;

	(void)state;
	memset(s.b, 0xff, sizeof(s.b));
	assert_false(weft_ct_is_zero(s.b, sizeof(s.b)));
	weft_secret_clear(&s);
	assert_true(weft_ct_is_zero(s.b, sizeof(s.b)));
	for (size_t i = 0; i < sizeof(s.b); i++) {
		s.b[i] = 0x80;
		assert_false(weft_ct_is_zero(s.b, sizeof(s.b)));
		s.b[i] = 0;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(equal), cmocka_unit_test(zero)};

	return cmocka_run_group_tests_name("util-secret", tests, NULL, NULL);
}
