/* SPDX-License-Identifier: Apache-2.0 */
/* Allowed IPs without excluded ranges: known answers, and address by address in a small network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "host/exclude.h"

#define MAX 64

static size_t parse(const char *list, struct weft_prefix *out)
{
	size_t n = 0;

	while (*list) {
		size_t len = strcspn(list, " ");

		assert_true(n < MAX);
		assert_int_equal(weft_prefix_parse(list, len, &out[n++]), 0);
		list += len + (list[len] == ' ');
	}
	return n;
}

/* Separated by blanks; to be freed. */
static char *text_of(const struct weft_prefixes *p)
{
	struct weft_text text = {0};
	char one[WEFT_PREFIX_TEXT_LEN];

	for (size_t i = 0; i < p->n; i++)
		assert_int_equal(weft_text_printf(&text, "%s%s", i ? " " : "",
						  weft_prefix_format(&p->v[i], one)),
				 0);
	assert_int_equal(weft_text_append(&text, "", 1), 0);
	return text.p;
}

static void known(void **state)
{
	static const struct {
		const char *from, *ranges, *left;
	} cases[] = {
		{"10.0.0.0/8", "", "10.0.0.0/8"},
		{"10.0.0.0/8", "192.0.2.0/24 fd00::/8", "10.0.0.0/8"},
		{"10.0.0.0/8", "10.0.0.0/8", ""},
		{"10.0.0.0/8", "8.0.0.0/6", ""},
		{"10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9"},
		{"10.0.0.0/8", "10.128.0.0/9", "10.0.0.0/9"},
		{"10.0.0.0/8", "10.0.0.0/9 10.128.0.0/9", ""},
		{"0.0.0.0/0", "0.0.0.0/0", ""},
		{"10.0.0.9/30", "10.0.0.9", "10.0.0.8/32 10.0.0.10/31"},
		{"10.0.0.9", "10.0.0.8", "10.0.0.9/32"},
		{"0.0.0.0/0", "0.0.0.0/2 192.0.0.0/2", "64.0.0.0/2 128.0.0.0/2"},
		{"0.0.0.0/0", "255.255.255.255", NULL},
		{"10.0.0.0/24", "10.0.0.64/26 10.0.0.128/26 10.0.0.96/28",
		 "10.0.0.0/26 10.0.0.192/26"},
		{"0.0.0.0/0", "192.168.0.0/16",
		 "0.0.0.0/1 128.0.0.0/2 192.0.0.0/9 192.128.0.0/11 192.160.0.0/13 192.169.0.0/16 "
		 "192.170.0.0/15 192.172.0.0/14 192.176.0.0/12 192.192.0.0/10 193.0.0.0/8 "
		 "194.0.0.0/7 196.0.0.0/6 200.0.0.0/5 208.0.0.0/4 224.0.0.0/3"},
		{"fd00::/8", "fd80::/9", "fd00::/9"},
		{"::/0", "8000::/1", "::/1"},
		{"2001:db8::/126", "2001:db8::2", "2001:db8::/127 2001:db8::3/128"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weft_prefix from[MAX], ranges[MAX];
		struct weft_prefixes tidy = {0}, left = {0};
		char *text;

		assert_int_equal(parse(cases[i].from, from), 1);
		assert_int_equal(weft_exclude_tidy(ranges, parse(cases[i].ranges, ranges), &tidy),
				 0);
		assert_int_equal(weft_exclude_cut(from, &tidy, &left), 0);
		text = text_of(&left);
		if (cases[i].left)
			assert_string_equal(text, cases[i].left);
		else
			assert_int_equal(left.n, 32);
		free(text);
		weft_prefixes_clear(&tidy);
		weft_prefixes_clear(&left);
	}
}

static void tidy(void **state)
{
	struct weft_prefix v[MAX];
	struct weft_prefixes ret = {0};
	char *text;

	(void)state;
	assert_int_equal(weft_exclude_tidy(v,
					   parse("fd00::1/64 10.1.0.0/16 10.0.0.0/16 10.0.7.1/24 "
						 "10.0.0.0/16 ::/0 10.2.0.0",
						 v),
					   &ret),
			 0);
	text = text_of(&ret);
	assert_string_equal(text, "10.0.0.0/16 10.1.0.0/16 10.2.0.0/32 ::/0");
	free(text);
	weft_prefixes_clear(&ret);
}

static bool in(const struct weft_prefix *v, size_t n, const struct weft_ip *ip)
{
	for (size_t i = 0; i < n; i++)
		if (weft_prefix_contains(&v[i], ip))
			return true;
	return false;
}

/* How many prefixes hold those of 2^bits addresses that are wanted: by halves. */
static unsigned fewest(const bool *wanted, unsigned bits)
{
	size_t n = (size_t)1 << bits, have = 0;

	for (size_t i = 0; i < n; i++)
		have += wanted[i];
	if (!have || have == n)
		return have ? 1 : 0;
	return fewest(wanted, bits - 1) + fewest(wanted + n / 2, bits - 1);
}

/* Each address of 2001:db8::/120 is in the list once if it is to be there, and else not at all. */
static void each_address(void **state)
{
	unsigned seed = 1;

	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		struct weft_prefix from = {.ip = {.family = WEFT_IPV6, .b = {0x20, 1, 0xd, 0xb8}},
					   .len = 120};
		struct weft_prefix ranges[8];
		struct weft_prefixes ordered = {0}, left = {0};
		size_t n = round % 9;
		bool wanted[256];

		for (size_t i = 0; i < n; i++) {
			seed = seed * 1103515245 + 12345;
			ranges[i] = from;
			ranges[i].ip.b[15] = (uint8_t)(seed >> 16);
			ranges[i].len = (uint8_t)(121 + (seed >> 24) % 8);
			(void)weft_prefix_mask(&ranges[i]);
		}
		assert_int_equal(weft_exclude_tidy(ranges, n, &ordered), 0);
		assert_int_equal(weft_exclude_cut(&from, &ordered, &left), 0);
		for (unsigned a = 0; a < 256; a++) {
			struct weft_ip ip = from.ip;
			unsigned times = 0;

			ip.b[15] = (uint8_t)a;
			wanted[a] = !in(ranges, n, &ip);
			for (size_t i = 0; i < left.n; i++)
				times += weft_prefix_contains(&left.v[i], &ip);
			assert_int_equal(times, wanted[a]);
		}
		assert_int_equal(left.n, fewest(wanted, 8));
		weft_prefixes_clear(&ordered);
		weft_prefixes_clear(&left);
	}
}

static void limit(void **state)
{
	struct weft_prefix from = {.ip = {.family = WEFT_IPV6}, .len = 0};
	struct weft_prefix *ranges = calloc(4096, sizeof(*ranges));
	struct weft_prefixes ordered = {0}, left = {0};

	(void)state;
	assert_non_null(ranges);
	for (unsigned i = 0; i < 4096; i++) {
		ranges[i] = (struct weft_prefix){.ip.family = WEFT_IPV6, .len = 128};
		ranges[i].ip.b[0] = (uint8_t)(i >> 4);
		ranges[i].ip.b[1] = (uint8_t)(i << 4);
	}
	assert_int_equal(weft_exclude_tidy(ranges, 4096, &ordered), 0);
	assert_int_equal(ordered.n, 4096);
	assert_int_equal(weft_exclude_cut(&from, &ordered, &left), WEFT_E_LIMIT);
	assert_int_equal(left.n, WEFT_EXCLUDE_MAX_ROUTES);
	weft_prefixes_clear(&ordered);
	weft_prefixes_clear(&left);
	free(ranges);
}

static void checks(void **state)
{
	static const char file[] =
		"[Interface]\nAddress = 10.9.0.1/24, fd09::1/64\n"
		"Exclude = 192.168.0.0/16, 10.9.0.0/28\n  Exclude = 172.16.0.0/12\n"
		"[Peer]\nPublicKey=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n"
		"AllowedIPs=10.0.0.0/8,192.168.7.0/24\n";
	struct weft_quick q = {0};
	struct weft_diag diag = {0};
	char text[1024];

	(void)state;
	assert_int_equal(weft_quick_parse(file, strlen(file), &q, NULL, NULL, NULL), 0);
	assert_int_equal(q.n_excludes, 3);
	assert_int_equal(weft_exclude_check(&q, 0, &diag), 0);
	assert_int_equal(weft_exclude_check(&q, 1, &diag), WEFT_E_PARSE);
	assert_string_equal(
		weft_diag_format(&diag, text, sizeof(text)),
		"line 3:27: Exclude: 10.9.0.0/28 holds 10.9.0.1, an address of the interface "
		"itself (list the ranges around the tunnel's own network instead)");
	assert_int_equal(weft_exclude_check(&q, 2, &diag), 1);
	assert_string_equal(weft_diag_format(&diag, text, sizeof(text)),
			    "line 4:13: Exclude: no AllowedIPs have any of 172.16.0.0/12: it stays "
			    "outside anyway");
	/* and from the command line */
	assert_int_equal(weft_quick_add_excludes(&q, "10.5.0.1/16,fd00::/8", &diag), 0);
	assert_int_equal(q.n_excludes, 5);
	assert_int_equal(weft_exclude_check(&q, 3, &diag), 0);
	assert_int_equal(weft_exclude_check(&q, 4, &diag), WEFT_E_PARSE);
	assert_int_equal(diag.line, 0);
	assert_int_equal(weft_quick_add_excludes(&q, "10.5.0.1/33", &diag), WEFT_E_PARSE);
	weft_quick_clear(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known), cmocka_unit_test(tidy),   cmocka_unit_test(each_address),
		cmocka_unit_test(limit), cmocka_unit_test(checks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
