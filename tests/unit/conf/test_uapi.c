/* SPDX-License-Identifier: Apache-2.0 */
/* The UAPI's text: what is taken, what is refused with which errno, and there and back again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/uapi.h"

#define K1 "0101010101010101010101010101010101010101010101010101010101010101"
#define K2 "aBCDef0000000000000000000000000000000000000000000000000000000000"
#define P1 "public_key=" K1 "\n"

struct set_case {
	const char *text;
	int rc;
	unsigned line; /* that the diagnosis names */
};

/* 1.x: the device's part; 2.x: a peer's part; 3.x: the form of lines. */
static const struct set_case set_cases[] = {
	/* 1 */ {"", 0, 0},
	{"private_key=" K1 "\n", 0, 0},
	{"private_key=" K2 "\nlisten_port=0\nlisten_port=65535\n", 0, 0},
	{"private_key=\n", -EINVAL, 1},
	{"private_key=" K1 "0\n", -EINVAL, 1},
	{"private_key= " K1 "\n", -EINVAL, 1},
	{"listen_port=65536\n", -EINVAL, 1},
	{"listen_port=-1\n", -EINVAL, 1},
	{"listen_port=+1\n", -EINVAL, 1},
	{"listen_port=\n", -EINVAL, 1},
	{"listen_port=0x10\n", -EINVAL, 1},
	{"listen_port=99999999999999999999999999\n", -EINVAL, 1},
	{"fwmark=4294967295\nfwmark=0xFfffffff\nfwmark=0\n", 0, 0},
	{"fwmark=4294967296\n", -EINVAL, 1},
	{"fwmark=0x100000000\n", -EINVAL, 1},
	{"fwmark=0x\n", -EINVAL, 1},
	{"fwmark=1f\n", -EINVAL, 1},
	{"replace_peers=true\n", 0, 0},
	{"replace_peers=false\n", -EINVAL, 1},
	{"replace_peers=1\n", -EINVAL, 1},
	{"listen_port=1\nlisten_prot=2\n", -EINVAL, 2},
	{"update_only=true\n", -EINVAL, 1},
	{"allowed_ip=10.0.0.0/8\n", -EINVAL, 1},
	/* 2 */ {P1, 0, 0},
	{P1 P1 "public_key=" K2 "\n", 0, 0},
	{"public_key=" K1 "zz\n", -EINVAL, 1},
	{P1 "listen_port=1\n", -EINVAL, 2},
	{P1 "update_only=true\nremove=true\n", 0, 0},
	{P1 "remove=TRUE\n", -EINVAL, 2},
	{P1 "update_only=\n", -EINVAL, 2},
	{P1 "replace_allowed_ips=no\n", -EINVAL, 2},
	{P1 "protocol_version=1\n", 0, 0},
	{P1 "protocol_version=2\n", -EINVAL, 2},
	{P1 "protocol_version=\n", -EINVAL, 2},
	{P1 "protocol_version=11\n", -EINVAL, 2},
	{P1 "preshared_key=" K2 "\n", 0, 0},
	{P1 "preshared_key=g" K2 "\n", -EINVAL, 2},
	{P1 "endpoint=192.0.2.1:51820\nendpoint=[2001:db8::1]:1\nendpoint=[fe80::1%eth0]:1\n", 0,
	 0},
	{P1 "endpoint=localhost:51820\n", -EINVAL, 2},
	{P1 "endpoint=2001:db8::1:51820\n", -EINVAL, 2},
	{P1 "endpoint=192.0.2.1\n", -EINVAL, 2},
	{P1 "endpoint=192.0.2.1:65536\n", -EINVAL, 2},
	{P1 "endpoint=[fe80::1%]:1\n", -EINVAL, 2},
	{P1 "endpoint=[fe80::1%abcdefghijklmnop]:1\n", -EINVAL, 2},
	{P1 "endpoint=\n", -EINVAL, 2},
	{P1 "persistent_keepalive_interval=65535\npersistent_keepalive_interval=0\n", 0, 0},
	{P1 "persistent_keepalive_interval=65536\n", -EINVAL, 2},
	{P1 "persistent_keepalive_interval=off\n", -EINVAL, 2},
	{P1 "allowed_ip=10.1.2.3/8\nallowed_ip=::/0\nallowed_ip=-10.0.0.0/8\n", 0, 0},
	{P1 "allowed_ip=10.0.0.1\n", -EINVAL, 2},
	{P1 "allowed_ip=10.0.0.1/33\n", -EINVAL, 2},
	{P1 "allowed_ip=::/129\n", -EINVAL, 2},
	{P1 "allowed_ip=--10.0.0.0/8\n", -EINVAL, 2},
	{P1 "allowed_ip=-\n", -EINVAL, 2},
	{P1 "allowed_ip=\n", -EINVAL, 2},
	/* 3 */ {"listen_port\n", -EPROTO, 1},
	{"\n", -EPROTO, 1},
	{"=\n", -EINVAL, 1},
	{"listen_port=1\r\n", -EINVAL, 1},
	{"Listen_port=1\n", -EINVAL, 1},
	{"listen_port =1\n", -EINVAL, 1},
	{"listen_port=1", 0, 0},
};

static void set_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(set_cases) / sizeof(set_cases[0]); i++) {
		const struct set_case *c = &set_cases[i];
		struct weft_conf_device dev = {0};
		struct weft_diag diag = {0};
		int rc = weft_uapi_parse_set(c->text, strlen(c->text), &dev, &diag);

		if (rc != c->rc || diag.line != c->line)
			fail_msg("case %zu: got %d at line %u for:\n%s", i, rc, diag.line, c->text);
		weft_conf_device_clear(&dev);
	}
}

static void long_line_and_nul(void **state)
{
	static char text[WEFT_UAPI_MAX_LINE + 64];
	struct weft_conf_device dev = {0};

	(void)state;
	memset(text, '0', sizeof(text));
	memcpy(text, "fwmark=", 7);
	assert_int_equal(weft_uapi_parse_set(text, WEFT_UAPI_MAX_LINE, &dev, NULL), 0);
	assert_int_equal(weft_uapi_parse_set(text, WEFT_UAPI_MAX_LINE + 1, &dev, NULL), -EINVAL);
	assert_int_equal(weft_uapi_parse_set("fwmark=1\0", 9, &dev, NULL), -EINVAL);
	weft_conf_device_clear(&dev);
}

static void values_arrive(void **state)
{
	static const char text[] =
		"private_key=" K1 "\nlisten_port=51820\nfwmark=0x10\n" P1
		"endpoint=[fe80::1%eth0]:7\n"
		"allowed_ip=10.0.0.0/8\nreplace_allowed_ips=true\n"
		"allowed_ip=10.9.8.7/24\nallowed_ip=-::1/64\n"
		"persistent_keepalive_interval=25\npublic_key=" K2 "\nremove=true\n";
	struct weft_conf_device dev = {0};
	const struct weft_conf_peer *p;

	(void)state;
	assert_int_equal(weft_uapi_parse_set(text, sizeof(text) - 1, &dev, NULL), 0);
	assert_int_equal(dev.has, WEFT_DEVICE_HAS_PRIVATE_KEY | WEFT_DEVICE_HAS_LISTEN_PORT |
					  WEFT_DEVICE_HAS_FWMARK);
	assert_int_equal(dev.private_key.b[31], 1);
	assert_int_equal(dev.listen_port, 51820);
	assert_int_equal(dev.fwmark, 16);
	assert_int_equal(dev.n_peers, 2);
	p = &dev.peers[0];
	assert_int_equal(p->has, WEFT_PEER_HAS_ENDPOINT | WEFT_PEER_REPLACE_ALLOWED_IPS |
					 WEFT_PEER_HAS_KEEPALIVE);
	assert_string_equal(p->endpoint_zone, "eth0");
	assert_int_equal(p->endpoint.port, 7);
	assert_int_equal(p->keepalive_s, 25);
	/* What came before replace_allowed_ips is gone; host bits are gone. */
	assert_int_equal(p->n_allowed_ips, 2);
	assert_false(p->allowed_ips[0].remove);
	assert_memory_equal(p->allowed_ips[0].prefix.ip.b, "\x0a\x09\x08\x00", 4);
	assert_int_equal(p->allowed_ips[0].prefix.len, 24);
	assert_true(p->allowed_ips[1].remove);
	assert_int_equal(p->allowed_ips[1].prefix.ip.b[15], 0);
	assert_int_equal(dev.peers[1].has, WEFT_PEER_REMOVE);
	assert_int_equal(dev.peers[1].public_key[0], 0xab);
	weft_conf_device_clear(&dev);
	assert_null(dev.peers);
}

static void secrets_stay_out_of_the_diagnosis(void **state)
{
	static const char text[] = "private_key=" K1 "5\n";
	struct weft_conf_device dev = {0};
	struct weft_diag diag = {0};

	(void)state;
	assert_int_equal(weft_uapi_parse_set(text, sizeof(text) - 1, &dev, &diag), -EINVAL);
	assert_null(strstr(diag.message, "0101"));
	assert_non_null(strstr(diag.message, "private_key"));
	weft_conf_device_clear(&dev);
}

/* A change, written, is the text it was read from. */
static void set_round_trip(void **state)
{
	static const char text[] =
		"private_key=" K1 "\nlisten_port=1\nfwmark=0\nweft_path_mtu=probe\n"
		"replace_peers=true\n" P1 "update_only=true\npreshared_key=" K1
		"\nendpoint=[fe80::1%eth0]:7\n"
		"persistent_keepalive_interval=25\nreplace_allowed_ips=true\n"
		"allowed_ip=10.0.0.0/8\nallowed_ip=-::/0\n";
	struct weft_conf_device dev = {0};
	struct weft_text out = {0};

	(void)state;
	assert_int_equal(weft_uapi_parse_set(text, sizeof(text) - 1, &dev, NULL), 0);
	assert_int_equal(weft_uapi_write_set(&out, &dev), 0);
	assert_int_equal(out.len, 6 + sizeof(text) - 1 + 1);
	assert_memory_equal(out.p, "set=1\n", 6);
	assert_memory_equal(out.p + 6, text, sizeof(text) - 1);
	assert_int_equal(out.p[out.len - 1], '\n');
	weft_text_clear(&out);
	weft_conf_device_clear(&dev);
}

static const char get_text[] =
	"private_key=" K1 "\nlisten_port=51820\nfwmark=16\nweft_version=0.1.0\nweft_relay=fast\n"
	"weft_path_mtu=probe\n"
	"weft_drop_rx_mac1=7\nweft_under_load_ns=18446744073709551615\n" P1 "preshared_key=" K1
	"\nprotocol_version=1\nendpoint=192.0.2.1:7\nlast_handshake_time_sec=1700000000\n"
	"last_handshake_time_nsec=5\ntx_bytes=1\nrx_bytes=18446744073709551615\n"
	"persistent_keepalive_interval=25\nallowed_ip=10.0.0.0/8\nallowed_ip=::/0\n"
	"weft_handshakes_initiated=3\n";

static void get_round_trip(void **state)
{
	struct weft_conf_device dev = {0};
	struct weft_text in = {0}, out = {0};

	(void)state;
	assert_int_equal(weft_text_printf(&in, "%serrno=0\n\n", get_text), 0);
	assert_int_equal(weft_uapi_parse_get(in.p, in.len, &dev), 0);
	assert_string_equal(dev.version, "0.1.0");
	assert_int_equal(dev.relay, WEFT_CONF_RELAY_FAST);
	assert_int_equal(dev.path_mtu, WEFT_CONF_PATH_MTU_PROBE);
	assert_int_equal(weft_conf_find_extra(&dev.extras, "drop_rx_mac1")->value, 7);
	assert_int_equal(dev.n_peers, 1);
	assert_true(dev.peers[0].rx_bytes == UINT64_MAX);
	assert_int_equal(weft_conf_find_extra(&dev.peers[0].extras, "handshakes_initiated")->value,
			 3);
	assert_null(weft_conf_find_extra(&dev.extras, "nothing"));
	assert_int_equal(weft_uapi_write_device(&out, &dev), 0);
	assert_int_equal(weft_uapi_write_peer(&out, &dev.peers[0]), 0);
	assert_int_equal(out.len, sizeof(get_text) - 1);
	assert_memory_equal(out.p, get_text, sizeof(get_text) - 1);
	weft_text_clear(&in);
	weft_text_clear(&out);
	weft_conf_device_clear(&dev);
}

static const struct {
	const char *text;
	int rc;
} get_cases[] = {
	{"errno=0\n\n", 0},
	{"errno=22\n\n", -EINVAL},
	{"errno=-22\n\n", -EINVAL},
	{"errno=0\n", WEFT_E_PROTOCOL},
	{"\n", WEFT_E_PROTOCOL},
	{"", WEFT_E_PROTOCOL},
	{"errno=x\n\n", WEFT_E_PROTOCOL},
	{"listen_port=1\n", WEFT_E_PROTOCOL},
	{"future_key=abc\nerrno=0\n\n", 0},
	{P1 "future_key=abc\nweft_Strange=1\nweft_x=word\nerrno=0\n\n", 0},
	{"listen_port=70000\nerrno=0\n\n", WEFT_E_PROTOCOL},
	{P1 "allowed_ip=1.2.3.4\nerrno=0\n\n", WEFT_E_PROTOCOL},
	{P1 "endpoint=[fe80::1%eth0]:1\nerrno=0\n\n", 0},
	{"no separator\nerrno=0\n\n", WEFT_E_PROTOCOL},
};

static void get_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(get_cases) / sizeof(get_cases[0]); i++) {
		struct weft_conf_device dev = {0};
		int rc = weft_uapi_parse_get(get_cases[i].text, strlen(get_cases[i].text), &dev);

		if (rc != get_cases[i].rc)
			fail_msg("case %zu: got %d for:\n%s", i, rc, get_cases[i].text);
		weft_conf_device_clear(&dev);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_table),
		cmocka_unit_test(long_line_and_nul),
		cmocka_unit_test(values_arrive),
		cmocka_unit_test(secrets_stay_out_of_the_diagnosis),
		cmocka_unit_test(set_round_trip),
		cmocka_unit_test(get_round_trip),
		cmocka_unit_test(get_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
