/* SPDX-License-Identifier: Apache-2.0 */
/* What a person is told, and that nothing overflows on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "util/diag.h"

static void formats(void **state)
{
	struct weft_diag d = {.source = "wg0.conf"};
	char out[1200];

	(void)state;
	weft_diag_set(&d, 7, 3, "unknown key \"%s\"", "AllowdIPs");
	assert_string_equal(weft_diag_format(&d, out, sizeof(out)),
			    "wg0.conf:7:3: unknown key \"AllowdIPs\"");
	weft_diag_hint(&d, "did you mean \"%s\"?", "AllowedIPs");
	assert_string_equal(
		weft_diag_format(&d, out, sizeof(out)),
		"wg0.conf:7:3: unknown key \"AllowdIPs\" (did you mean \"AllowedIPs\"?)");
	weft_diag_set(&d, 7, 0, "bad");
	assert_string_equal(weft_diag_format(&d, out, sizeof(out)), "wg0.conf:7: bad");
	weft_diag_set(&d, 0, 0, "bad");
	assert_string_equal(weft_diag_format(&d, out, sizeof(out)), "wg0.conf: bad");
	d.source[0] = '\0';
	assert_string_equal(weft_diag_format(&d, out, sizeof(out)), "bad");
	weft_diag_set(&d, 4, 2, "bad");
	assert_string_equal(weft_diag_format(&d, out, sizeof(out)), "line 4:2: bad");
}

static void cuts(void **state)
{
	struct weft_diag d = {.source = "f"};
	char big[2000], out[64];

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	weft_diag_set(&d, 1, 1, "%s", big);
	weft_diag_hint(&d, "%s", big);
	assert_int_equal(strlen(d.message), sizeof(d.message) - 1);
	assert_int_equal(strlen(d.hint), sizeof(d.hint) - 1);
	for (size_t len = 1; len < sizeof(out); len++) {
		memset(out, 'y', sizeof(out));
		weft_diag_format(&d, out, len);
		assert_int_equal(strlen(out), len - 1);
		assert_int_equal(out[len], 'y');
	}
	out[0] = 'y';
	weft_diag_format(&d, out, 0);
	assert_int_equal(out[0], 'y');
}

static void takes_null(void **state)
{
	(void)state;
	weft_diag_set(NULL, 1, 1, "x");
	weft_diag_hint(NULL, "x");
}

static void nearest(void **state)
{
	static const char *const known[] = {"PrivateKey", "PublicKey", "AllowedIPs", "MTU", NULL};
	char longest[80];

	(void)state;
	assert_string_equal(weft_diag_nearest("allowdips", 9, known), "AllowedIPs");
	assert_string_equal(weft_diag_nearest("PubilcKey", 9, known), "PublicKey");
	assert_string_equal(weft_diag_nearest("MTUxyz", 5, known), "MTU");
	assert_null(weft_diag_nearest("MTUxyz", 6, known));
	assert_null(weft_diag_nearest("Endpoint", 8, known));
	memset(longest, 'a', sizeof(longest));
	assert_null(weft_diag_nearest(longest, sizeof(longest), known));
	assert_null(weft_diag_nearest("", 0, known));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats),
		cmocka_unit_test(cuts),
		cmocka_unit_test(takes_null),
		cmocka_unit_test(nearest),
	};

	return cmocka_run_group_tests_name("util-diag", tests, NULL, NULL);
}
