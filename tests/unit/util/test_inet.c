/* SPDX-License-Identifier: Apache-2.0 */
/* Numeric addresses, prefixes and endpoints, in and out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "util/inet.h"

static void ip_text(void **state)
{
	static const struct {
		const char *in, *out; /* out NULL: refused */
	} cases[] = {
		{"192.0.2.1", "192.0.2.1"},
		{"0.0.0.0", "0.0.0.0"},
		{"2001:DB8::1", "2001:db8::1"},
		{"::", "::"},
		{"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"", NULL},
		{"192.0.2", NULL},
		{"192.0.2.256", NULL},
		{"192.0.2.1 ", NULL},
		{"1.2.3.4.5", NULL},
		{"host", NULL},
		{"fe80::1%2", NULL},
		{":::", NULL},
		{"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555555", NULL},
	};
	char out[WEFT_IP_TEXT_LEN];
	struct weft_ip ip;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int ret = weft_ip_parse(cases[i].in, strlen(cases[i].in), &ip);

		assert_int_equal(ret, cases[i].out ? 0 : WEFT_E_PARSE);
		if (cases[i].out)
			assert_string_equal(weft_ip_format(&ip, out), cases[i].out);
	}
	assert_int_equal(weft_ip_parse("1.2.3.4\0", 8, &ip), WEFT_E_PARSE);
	assert_int_equal(weft_ip_parse("1.2.3.45", 7, &ip), 0);
	assert_string_equal(weft_ip_format(&ip, out), "1.2.3.4");
	for (size_t i = 4; i < 16; i++)
		assert_int_equal(ip.b[i], 0);
	ip.family = WEFT_NONE;
	assert_string_equal(weft_ip_format(&ip, out), "(none)");
}

static void prefix_text(void **state)
{
	static const struct {
		const char *in, *out, *masked;
	} cases[] = {
		{"10.1.2.3/8", "10.1.2.3/8", "10.0.0.0/8"},
		{"10.1.2.3", "10.1.2.3/32", "10.1.2.3/32"},
		{"10.255.2.3/9", "10.255.2.3/9", "10.128.0.0/9"},
		{"255.255.255.255/0", "255.255.255.255/0", "0.0.0.0/0"},
		{"2001:db8::1", "2001:db8::1/128", "2001:db8::1/128"},
		{"2001:db8:ffff::/33", "2001:db8:ffff::/33", "2001:db8:8000::/33"},
		{"::1/0", "::1/0", "::/0"},
		{"10.0.0.0/33", NULL, NULL},
		{"::/129", NULL, NULL},
		{"10.0.0.0/", NULL, NULL},
		{"10.0.0.0/-1", NULL, NULL},
		{"10.0.0.0/ 8", NULL, NULL},
		{"10.0.0.0/8/8", NULL, NULL},
		{"10.0.0.0/008", NULL, NULL},
		{"/8", NULL, NULL},
		{"", NULL, NULL},
	};
	char out[WEFT_PREFIX_TEXT_LEN];
	struct weft_prefix p;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int ret = weft_prefix_parse(cases[i].in, strlen(cases[i].in), &p);

		assert_int_equal(ret, cases[i].out ? 0 : WEFT_E_PARSE);
		if (!cases[i].out)
			continue;
		assert_string_equal(weft_prefix_format(&p, out), cases[i].out);
		assert_int_equal(weft_prefix_mask(&p), strcmp(cases[i].out, cases[i].masked) != 0);
		assert_string_equal(weft_prefix_format(&p, out), cases[i].masked);
		assert_false(weft_prefix_mask(&p));
	}
}

static bool contains(const char *prefix, const char *ip)
{
	struct weft_prefix p;
	struct weft_ip a;

	assert_int_equal(weft_prefix_parse(prefix, strlen(prefix), &p), 0);
	assert_int_equal(weft_ip_parse(ip, strlen(ip), &a), 0);
	return weft_prefix_contains(&p, &a);
}

static void containment(void **state)
{
	struct weft_prefix none = {.len = 0};
	struct weft_ip unset = {.family = WEFT_NONE};

	(void)state;
	assert_true(contains("10.0.0.0/8", "10.255.255.255"));
	assert_false(contains("10.0.0.0/8", "11.0.0.0"));
	assert_true(contains("10.128.0.0/9", "10.200.0.1"));
	assert_false(contains("10.128.0.0/9", "10.127.255.255"));
	assert_true(contains("0.0.0.0/0", "1.2.3.4"));
	assert_false(contains("0.0.0.0/0", "::1"));
	assert_true(contains("2001:db8::/127", "2001:db8::1"));
	assert_false(contains("2001:db8::/127", "2001:db8::2"));
	assert_true(contains("10.1.2.3/8", "10.9.9.9"));
	assert_false(weft_prefix_contains(&none, &unset));
}

static void endpoint_text(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"192.0.2.1:51820", "192.0.2.1:51820"},
		{"[2001:db8::1]:65535", "[2001:db8::1]:65535"},
		{"[fe80::1%3]:1", "[fe80::1%3]:1"},
		{"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535",
		 "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535"},
		{"192.0.2.1:0", NULL},
		{"192.0.2.1:65536", NULL},
		{"192.0.2.1:123456", NULL},
		{"192.0.2.1:", NULL},
		{"192.0.2.1", NULL},
		{"192.0.2.1:+5", NULL},
		{"2001:db8::1:51820", NULL},
		{"[192.0.2.1]:51820", NULL},
		{"[2001:db8::1]", NULL},
		{"[2001:db8::1]51820", NULL},
		{"[2001:db8::1", NULL},
		{"[fe80::1%]:1", NULL},
		{"[fe80::1%eth0]:1", NULL},
		{"[fe80::1%4294967296]:1", NULL},
		{"[]:1", NULL},
		{"[", NULL},
		{":1", NULL},
		{"", NULL},
	};
	char out[WEFT_ENDPOINT_TEXT_LEN];
	struct weft_endpoint e;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int ret = weft_endpoint_parse(cases[i].in, strlen(cases[i].in), &e);

		assert_int_equal(ret, cases[i].out ? 0 : WEFT_E_PARSE);
		if (cases[i].out)
			assert_string_equal(weft_endpoint_format(&e, out), cases[i].out);
	}
	memset(&e, 0, sizeof(e));
	assert_string_equal(weft_endpoint_format(&e, out), "(none)");
}

static void same_remote(void **state)
{
	struct weft_endpoint a, b;

	(void)state;
	assert_int_equal(weft_endpoint_parse("[fe80::1%3]:5", 13, &a), 0);
	b = a;
	b.local_ifindex = 9;
	b.local.family = WEFT_IPV6;
	assert_true(weft_endpoint_same_remote(&a, &b));
	b.port++;
	assert_false(weft_endpoint_same_remote(&a, &b));
	b = a;
	b.scope_id++;
	assert_false(weft_endpoint_same_remote(&a, &b));
	b = a;
	b.ip.b[15] ^= 1;
	assert_false(weft_endpoint_same_remote(&a, &b));
	assert_false(weft_ip_equal(&a.ip, &b.ip));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ip_text),     cmocka_unit_test(prefix_text),
		cmocka_unit_test(containment), cmocka_unit_test(endpoint_text),
		cmocka_unit_test(same_remote),
	};

	return cmocka_run_group_tests_name("util-inet", tests, NULL, NULL);
}
