/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the log: both formats, hostile values, cutting, and rates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "daemon/log.h"

#define S 1000000000ULL

static char line[WEFTD_LOG_MAX_LINE + 1];

static const char *format(bool json, const struct weftd_log_field *f, size_t n)
{
	line[weftd_log_format(line, json, f, n)] = '\0';
	return line;
}

static void both_formats(void **state)
{
	const struct weftd_log_field f[] = {
		{"level", "info"}, {"left_out", NULL}, {"reason", "no such device"}, {"x", ""}};

	(void)state;
	assert_string_equal(format(false, f, 4), "level=info reason=\"no such device\" x=\"\"\n");
	assert_string_equal(format(true, f, 4),
			    "{\"level\":\"info\",\"reason\":\"no such device\",\"x\":\"\"}\n");
}

static void one_line_whatever_comes(void **state)
{
	const struct weftd_log_field f[] = {{"v", "a\"b\\c\nd\x7f\xff"}};

	(void)state;
	assert_string_equal(format(true, f, 1), "{\"v\":\"a\\\"b\\\\c\\u000ad\\u007f\\u00ff\"}\n");
	assert_string_equal(format(false, f, 1), "v=\"a\\\"b\\\\c\\u000ad\\u007f\\u00ff\"\n");
}

static void cut_at_a_field(void **state)
{
	static char big[3 * WEFTD_LOG_MAX_LINE];
	const struct weftd_log_field f[] = {{"a", "1"}, {"b", big}, {"c", "3"}};

	(void)state;
	memset(big, '\n', sizeof(big) - 1);
	assert_string_equal(format(true, f, 3), "{\"a\":\"1\"}\n");
	assert_string_equal(format(false, f, 3), "a=1\n");
	/* every length near the edge gives a whole line within the buffer */
	for (size_t n = WEFTD_LOG_MAX_LINE - 40; n < WEFTD_LOG_MAX_LINE + 4; n++) {
		memset(big, 'x', n);
		big[n] = '\0';
		format(true, f, 2);
		assert_true(strlen(line) <= WEFTD_LOG_MAX_LINE);
		assert_string_equal(line + strlen(line) - 3, "\"}\n");
	}
}

static int level_of(const char *word)
{
	enum weftd_log_level level = WEFTD_LOG_ERROR;

	return weftd_log_level_parse(word, &level) ? (int)level : -1;
}

static void levels(void **state)
{
	(void)state;
	assert_int_equal(level_of("nonsense"), -1);
	assert_int_equal(level_of(""), -1);
	assert_int_equal(level_of("error"), WEFTD_LOG_ERROR);
	assert_int_equal(level_of("silent"), WEFTD_LOG_SILENT);
	assert_int_equal(level_of("info"), WEFTD_LOG_INFO);
	assert_int_equal(level_of("verbose"), WEFTD_LOG_DEBUG);
	assert_int_equal(level_of("debug"), WEFTD_LOG_DEBUG);
}

static void rates(void **state)
{
	uint64_t held = 77, now = 1000 * S;
	unsigned allowed = 0;

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		allowed += weftd_log_allowed(1, "peer a", 6, now, &held);
	assert_int_equal(allowed, 5);
	assert_int_equal(held, 0);
	/* another peer is not held up by the first one */
	assert_true(weftd_log_allowed(1, "peer b", 6, now, &held));
	assert_false(weftd_log_allowed(1, "peer a", 6, now + 9 * S, &held));
	assert_true(weftd_log_allowed(1, "peer a", 6, now + 11 * S, &held));
	assert_int_equal(held, 96);
	/* and all peers together are held to a rate */
	allowed = 0;
	for (unsigned i = 0; i < 10000; i++)
		allowed += weftd_log_allowed(2, &i, sizeof(i), now + 20 * S, &held);
	assert_in_range(allowed, 1, 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_formats),   cmocka_unit_test(one_line_whatever_comes),
		cmocka_unit_test(cut_at_a_field), cmocka_unit_test(levels),
		cmocka_unit_test(rates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
