/* SPDX-License-Identifier: Apache-2.0 */
/* Units and times for people: the right sides were read off wg 1.0.20210914. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "cli/pretty.h"

static const struct {
	uint64_t bytes;
	const char *text;
} bytes_cases[] = {
	{0, "0 B"},
	{1023, "1023 B"},
	{1024, "1.00 KiB"},
	{1536, "1.50 KiB"},
	{1048575, "1024.00 KiB"},
	{1048576, "1.00 MiB"},
	{1073741824, "1.00 GiB"},
	{1099511627776, "1.00 TiB"},
	{123456789012345, "112.28 TiB"},
	{UINT64_MAX, "16777216.00 TiB"},
};

static const struct {
	uint64_t seconds;
	const char *text;
} duration_cases[] = {
	{1, "1 second"},
	{59, "59 seconds"},
	{60, "1 minute"},
	{61, "1 minute, 1 second"},
	{3600, "1 hour"},
	{65535, "18 hours, 12 minutes, 15 seconds"},
	{90061, "1 day, 1 hour, 1 minute, 1 second"},
	{31536000, "1 year"},
	{2 * 31536000 + 3 * 86400 + 7325, "2 years, 3 days, 2 hours, 2 minutes, 5 seconds"},
};

static void plain(void **state)
{
	char out[256];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes_cases) / sizeof(bytes_cases[0]); i++) {
		weft_pretty_bytes(out, sizeof(out), bytes_cases[i].bytes, false);
		assert_string_equal(out, bytes_cases[i].text);
	}
	for (size_t i = 0; i < sizeof(duration_cases) / sizeof(duration_cases[0]); i++) {
		weft_pretty_duration(out, sizeof(out), duration_cases[i].seconds, false);
		assert_string_equal(out, duration_cases[i].text);
	}
	weft_pretty_ago(out, sizeof(out), 100, 100, false);
	assert_string_equal(out, "Now");
	weft_pretty_ago(out, sizeof(out), 100, 161, false);
	assert_string_equal(out, "1 minute, 1 second ago");
	weft_pretty_ago(out, sizeof(out), 101, 100, false);
	assert_string_equal(out, "(System clock wound backward; connection problems may ensue.)");
	weft_pretty_ago(out, sizeof(out), 1, UINT64_MAX, false);
	assert_non_null(strstr(out, "years"));
}

static void coloured(void **state)
{
	char out[256];

	(void)state;
	weft_pretty_bytes(out, sizeof(out), 2048, true);
	assert_string_equal(out, "2.00 \x1b[36mKiB\x1b[0m");
	weft_pretty_duration(out, sizeof(out), 62, true);
	assert_string_equal(out, "1 \x1b[36mminute\x1b[0m, 2 \x1b[36mseconds\x1b[0m");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),
		cmocka_unit_test(coloured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
