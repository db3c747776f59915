/* SPDX-License-Identifier: Apache-2.0 */
/* Every code has a sentence of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "util/error.h"

static void sentences(void **state)
{
	(void)state;
	for (int a = WEFT_E_IN_USE; a <= WEFT_E_TRUNCATED; a++) {
		assert_string_not_equal(weft_strerror(a), "unknown error");
		for (int b = WEFT_E_IN_USE; b < a; b++)
			assert_string_not_equal(weft_strerror(a), weft_strerror(b));
	}
	assert_string_equal(weft_strerror(0), "success");
	assert_string_equal(weft_strerror(-ENOENT), strerror(ENOENT));
	assert_string_equal(weft_strerror(WEFT_E_IN_USE - 1), "unknown error");
	assert_string_equal(weft_strerror(1), "unknown error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(sentences)};

	return cmocka_run_group_tests_name("util-error", tests, NULL, NULL);
}
