/* SPDX-License-Identifier: Apache-2.0 */
/* The values that people write: each with what is taken and what is refused, and wg's sentences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "conf/value.h"

static const struct {
	const char *text;
	uint64_t port, fwmark, keepalive; /* UINT64_MAX: refused */
} numbers[] = {
	{"0", 0, 0, 0},
	{"1", 1, 1, 1},
	{"0051820", 51820, 51820, 51820},
	{"65535", 65535, 65535, 65535},
	{"65536", UINT64_MAX, 65536, UINT64_MAX},
	{"4294967295", UINT64_MAX, 4294967295, UINT64_MAX},
	{"4294967296", UINT64_MAX, UINT64_MAX, UINT64_MAX},
	{"18446744073709551617", UINT64_MAX, UINT64_MAX, UINT64_MAX},
	{"0x10", UINT64_MAX, 16, UINT64_MAX},
	{"0XfF", UINT64_MAX, 255, UINT64_MAX},
	{"0x", UINT64_MAX, UINT64_MAX, UINT64_MAX},
	{"0x1ffffffff", UINT64_MAX, UINT64_MAX, UINT64_MAX},
	{"off", UINT64_MAX, 0, 0},
	{"oFf", UINT64_MAX, 0, 0},
	{"offf", UINT64_MAX, UINT64_MAX, UINT64_MAX},
	{"", UINT64_MAX, UINT64_MAX, UINT64_MAX},
	{"-1", UINT64_MAX, UINT64_MAX, UINT64_MAX},
	{"+1", UINT64_MAX, UINT64_MAX, UINT64_MAX},
	{"1a", UINT64_MAX, UINT64_MAX, UINT64_MAX},
	{" 1", UINT64_MAX, UINT64_MAX, UINT64_MAX},
};

static void number_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		const char *t = numbers[i].text;
		uint16_t port = 7, keepalive = 7;
		uint32_t fwmark = 7;
		bool ok = weft_value_port(t, strlen(t), &port) == WEFT_FAULT_NONE;

		assert_int_equal(ok, numbers[i].port != UINT64_MAX);
		assert_int_equal(port, ok ? numbers[i].port : 7);
		ok = weft_value_fwmark(t, strlen(t), &fwmark) == WEFT_FAULT_NONE;
		assert_int_equal(ok, numbers[i].fwmark != UINT64_MAX);
		assert_int_equal(fwmark, ok ? numbers[i].fwmark : 7);
		ok = weft_value_keepalive(t, strlen(t), &keepalive) == WEFT_FAULT_NONE;
		assert_int_equal(ok, numbers[i].keepalive != UINT64_MAX);
		assert_int_equal(keepalive, ok ? numbers[i].keepalive : 7);
	}
}

static const struct {
	const char *text;
	enum weft_fault_kind fault;
	const char *host, *port; /* of a name; NULL: numeric */
	const char *shown;       /* of a numeric one */
} endpoints[] = {
	{"192.0.2.1:1", WEFT_FAULT_NONE, NULL, NULL, "192.0.2.1:1"},
	{"[2001:db8::1]:65535", WEFT_FAULT_NONE, NULL, NULL, "[2001:db8::1]:65535"},
	{"2001:db8::1:5", WEFT_FAULT_NONE, NULL, NULL, "[2001:db8::1]:5"},
	{"[fe80::1%eth0]:5", WEFT_FAULT_NONE, "fe80::1%eth0", "5", NULL},
	{"host.example:51820", WEFT_FAULT_NONE, "host.example", "51820", NULL},
	{"[host]:domain", WEFT_FAULT_NONE, "host", "domain", NULL},
	{"", WEFT_FAULT_ENDPOINT_EMPTY, NULL, NULL, NULL},
	{"host", WEFT_FAULT_ENDPOINT_PORT, NULL, NULL, NULL},
	{"host:", WEFT_FAULT_ENDPOINT_PORT, NULL, NULL, NULL},
	{":5", WEFT_FAULT_ENDPOINT_PORT, NULL, NULL, NULL},
	{"[]:5", WEFT_FAULT_ENDPOINT_PORT, NULL, NULL, NULL},
	{"[::1]", WEFT_FAULT_ENDPOINT_PORT, NULL, NULL, NULL},
	{"[::1]5", WEFT_FAULT_ENDPOINT_PORT, NULL, NULL, NULL},
	{"[::1:5", WEFT_FAULT_ENDPOINT_BRACE, NULL, NULL, NULL},
	{"host:65536", WEFT_FAULT_PORT, NULL, NULL, NULL},
	{"192.0.2.1:5x", WEFT_FAULT_PORT, NULL, NULL, NULL},
};

static void endpoint_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++) {
		char text[WEFT_CONF_ENDPOINT_LEN];
		struct weft_conf_peer peer = {0};
		struct weft_conf_name name = {0};
		bool is_name = false;
		enum weft_fault_kind fault = weft_value_endpoint(
			endpoints[i].text, strlen(endpoints[i].text), &peer, &name, &is_name);

		if (fault != endpoints[i].fault)
			fail_msg("%s: fault %d", endpoints[i].text, (int)fault);
		if (fault != WEFT_FAULT_NONE)
			continue;
		assert_int_equal(is_name, endpoints[i].host != NULL);
		if (is_name) {
			assert_string_equal(name.host, endpoints[i].host);
			assert_string_equal(name.port, endpoints[i].port);
		} else {
			assert_string_equal(weft_conf_endpoint_text(&peer, text),
					    endpoints[i].shown);
		}
	}
}

static void long_host(void **state)
{
	struct weft_conf_peer peer = {0};
	struct weft_conf_name name = {0};
	char text[300];
	bool is_name;

	(void)state;
	memset(text, 'h', sizeof(text));
	memcpy(text + 255, ":5", 2);
	assert_int_equal(weft_value_endpoint(text, 257, &peer, &name, &is_name), WEFT_FAULT_NONE);
	memcpy(text + 255, "h:5", 3);
	assert_int_equal(weft_value_endpoint(text, 258, &peer, &name, &is_name),
			 WEFT_FAULT_ENDPOINT_PORT);
}

static void prefixes(void **state)
{
	struct weft_prefix p;

	(void)state;
	assert_int_equal(weft_value_prefix("10.1.2.3", 8, &p), WEFT_FAULT_NONE);
	assert_int_equal(p.len, 32);
	assert_int_equal(weft_value_prefix("::1/0", 5, &p), WEFT_FAULT_NONE);
	assert_int_equal(p.ip.b[15], 1);
	assert_int_equal(weft_value_prefix("x/8", 3, &p), WEFT_FAULT_ADDRESS);
	assert_int_equal(weft_value_prefix("", 0, &p), WEFT_FAULT_ADDRESS);
	assert_int_equal(weft_value_prefix("1.2.3.4/", 8, &p), WEFT_FAULT_PREFIX);
	assert_int_equal(weft_value_prefix("1.2.3.4/33", 10, &p), WEFT_FAULT_PREFIX);
}

static void sentences(void **state)
{
	struct weft_fault f = {0};
	char out[512];

	(void)state;
	weft_fault_set(&f, WEFT_FAULT_KEY, "ab\x1b", 3);
	assert_string_equal(weft_fault_wg_sentence(&f, out, sizeof(out)),
			    "Key is not the correct length or format: `ab?'");
	weft_fault_set(&f, WEFT_FAULT_SECRET_KEY, "secret", 6);
	assert_string_equal(f.found, "");
	assert_string_equal(weft_fault_wg_sentence(&f, out, sizeof(out)),
			    "Key is not the correct length or format");
	for (int k = WEFT_FAULT_LINE; k <= WEFT_FAULT_NO_PUBLIC_KEY; k++) {
		weft_fault_set(&f, (enum weft_fault_kind)k, "x", 1);
		assert_true(strlen(weft_fault_wg_sentence(&f, out, sizeof(out))) > 10);
		assert_true(strlen(weft_fault_expected((enum weft_fault_kind)k)) > 10);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(number_table), cmocka_unit_test(endpoint_table),
		cmocka_unit_test(long_host),    cmocka_unit_test(prefixes),
		cmocka_unit_test(sentences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
