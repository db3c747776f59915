/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of processors: both forms of text, there and back, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "util/cpus.h"

static void test_list(void **state)
{
	static const struct {
		const char *text, *back;
		unsigned n;
	} rows[] = {
		{"0", "0", 1},       {"0-3,5", "0-3,5", 5},      {"5,0-3", "0-3,5", 5},
		{"1,2,3", "1-3", 3}, {"0-3,2-6,6", "0-6", 7},    {"007", "7", 1},
		{"1023", "1023", 1}, {"0-1023", "0-1023", 1024}, {"31-32,63-64", "31-32,63-64", 4},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct weft_cpus set;
		char text[WEFT_CPUS_LIST_LEN];

		assert_int_equal(weft_cpus_parse(rows[i].text, strlen(rows[i].text), &set), 0);
		assert_string_equal(weft_cpus_format(&set, text), rows[i].back);
		assert_int_equal(weft_cpus_count(&set), rows[i].n);
	}
}

static void test_list_refused(void **state)
{
	static const char *const texts[] = {"",       ",",          "0,",    ",0",   "-",
					    "-1",     "1-",         "3-1",   "a",    "0x1",
					    "0 ",     " 0",         "0,,1",  "0--1", "1024",
					    "0-1024", "4294967296", "0-3:2", "0;1",  "0-1-2"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct weft_cpus set, before;

		memset(&set, 0x5a, sizeof(set));
		before = set;
		assert_int_equal(weft_cpus_parse(texts[i], strlen(texts[i]), &set), WEFT_E_PARSE);
		assert_true(weft_cpus_equal(&set, &before));
	}
	/* a NUL is no end */
	assert_int_equal(weft_cpus_parse("1\0,2", 4, &(struct weft_cpus){{0}}), WEFT_E_PARSE);
}

static void test_longest(void **state)
{
	struct weft_cpus set = {{0}}, back;
	char text[WEFT_CPUS_LIST_LEN], mask[WEFT_CPUS_MASK_LEN];

	(void)state;
	for (unsigned cpu = 1; cpu < WEFT_CPUS_MAX; cpu += 2)
		weft_cpus_add(&set, cpu);
	weft_cpus_format(&set, text);
	assert_true(strlen(text) > 2000);
	assert_int_equal(weft_cpus_parse(text, strlen(text), &back), 0);
	assert_true(weft_cpus_equal(&set, &back));
	weft_cpus_format_mask(&set, mask);
	assert_int_equal(strlen(mask), WEFT_CPUS_MASK_LEN - 1);
	assert_int_equal(weft_cpus_parse_mask(mask, strlen(mask), &back), 0);
	assert_true(weft_cpus_equal(&set, &back));
}

static void test_mask(void **state)
{
	static const struct {
		const char *text, *list, *back;
	} rows[] = {
		{"0", "", "0"},
		{"3", "0-1", "3"},
		{"2F", "0-3,5", "2f"},
		{"00000000,0000002f", "0-3,5", "2f"},
		{"1,00000000", "32", "1,00000000"},
		{"80000001,00000001", "0,32,63", "80000001,00000001"},
	};
	static const char *const bad[] = {"", ",", "1,", ",1", "g", "123456789", "1,,1", "0x1"};
	struct weft_cpus set;
	char text[WEFT_CPUS_LIST_LEN];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(weft_cpus_parse_mask(rows[i].text, strlen(rows[i].text), &set), 0);
		assert_string_equal(weft_cpus_format(&set, text), rows[i].list);
		assert_string_equal(weft_cpus_format_mask(&set, text), rows[i].back);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(weft_cpus_parse_mask(bad[i], strlen(bad[i]), &set), WEFT_E_PARSE);
}

static void test_sets(void **state)
{
	struct weft_cpus a, b, got;
	char text[WEFT_CPUS_LIST_LEN];

	(void)state;
	assert_int_equal(weft_cpus_parse("1-4,40", 6, &a), 0);
	assert_int_equal(weft_cpus_parse("3-5", 3, &b), 0);
	got = weft_cpus_and(&a, &b);
	assert_string_equal(weft_cpus_format(&got, text), "3-4");
	got = weft_cpus_without(&a, &b);
	assert_string_equal(weft_cpus_format(&got, text), "1-2,40");
	assert_int_equal(weft_cpus_nth(&a, 0), 1);
	assert_int_equal(weft_cpus_nth(&a, 4), 40);
	assert_int_equal(weft_cpus_nth(&a, 5), WEFT_CPUS_MAX);
	assert_true(weft_cpus_has(&a, 40));
	assert_false(weft_cpus_has(&a, 0) || weft_cpus_has(&a, WEFT_CPUS_MAX + 1));
	assert_false(weft_cpus_equal(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),    cmocka_unit_test(test_list_refused),
		cmocka_unit_test(test_longest), cmocka_unit_test(test_mask),
		cmocka_unit_test(test_sets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
