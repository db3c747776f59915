/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration file: what is read, where an error is found and what is said, what is written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "conf/ini.h"

#define K1   "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
#define K2   "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="
#define PEER "[Peer]\nPublicKey=" K1 "\n"

struct bad_case {
	const char *text;
	unsigned line, column;
	const char *message, *hint; /* parts of them */
	const char *wg;             /* what wg 1.0.20210914 says */
};

static const struct bad_case bad_cases[] = {
	{"Foo=1\n", 1, 1, "before any section", "", "Line unrecognized: `Foo=1'"},
	{"ListenPort=1\n", 1, 1, "before any section", "", "Line unrecognized: `ListenPort=1'"},
	{"\n\n  [Foo]\n", 3, 3, "no section", "", "Line unrecognized: `[Foo]'"},
	{"[Interface]\nFoo = bar # c\n", 2, 1, "[Interface] has no key \"Foo\"", "PrivateKey",
	 "Line unrecognized: `Foo=bar'"},
	{"[Interface]\nListnPort = 5\n", 2, 1, "no key", "did you mean ListenPort?",
	 "Line unrecognized: `ListnPort=5'"},
	{"[Interface]\nListenPort=1\n# x\nFwMark=1\n\n[Peer]\n  AllowdIPs = ::/0\n", 7, 3,
	 "[Peer] has no key \"AllowdIPs\"", "did you mean AllowedIPs?",
	 "Line unrecognized: `AllowdIPs=::/0'"},
	{"[Interface]\nAddress = 10.0.0.1/24\n", 2, 1, "no key", "weft strip",
	 "Line unrecognized: `Address=10.0.0.1/24'"},
	{"[Interface]\nPublicKey=" K1 "\n", 2, 1, "no key", "PublicKey belongs to [Peer]",
	 "Line unrecognized: `PublicKey=" K1 "'"},
	{PEER "ListenPort=5\n", 3, 1, "no key", "belongs to [Interface]",
	 "Line unrecognized: `ListenPort=5'"},
	{PEER "Endpoint\n", 3, 1, "expected Key = value", "", "Line unrecognized: `Endpoint'"},
	{"[Interface]\nListenPort = x\n", 2, 14, "a port from 0 to 65535, found \"x\"", "",
	 "Servname not supported for ai_socktype: `x'"},
	{"[Interface]\nListenPort =\n", 2, 13, "no value", "", "Line unrecognized: `ListenPort='"},
	{"[Interface]\nFwMark=y\n", 2, 8, "a mark", "",
	 "Fwmark is neither 0/off nor 0-0xffffffff: `y'"},
	{"[Interface]\nRelay = slow\n", 2, 9, "\"fast\" or \"off\"", "",
	 "Line unrecognized: `slow'"},
	{"[Interface]\nPrivateKey = hunter2\n", 2, 14, "found 7 characters", "",
	 "Key is not the correct length or format"},
	{"[Peer]\nPublicKey=abc\n", 2, 11, "found \"abc\"", "",
	 "Key is not the correct length or format: `abc'"},
	{PEER "PresharedKey=hunter2\n", 3, 14, "44 characters of base64", "",
	 "Key is not the correct length or format"},
	{PEER "AllowedIPs = 10.0.0.0/8 , 1.2.3.4/33\n", 3, 27, "a length after the slash", "",
	 "AllowedIP is not in the correct format: `1.2.3.4/33'"},
	{PEER "AllowedIPs = 10.0.0.0/8,\n", 3, 25, "AllowedIPs has no value", "",
	 "Unable to parse IP address: `'"},
	{PEER "AllowedIPs = ,10.0.0.0/8\n", 3, 14, "AllowedIPs has no value", "",
	 "Unable to parse IP address: `'"},
	{PEER "AllowedIPs = -10.0.0.0/8\n", 3, 14, "an IPv4 or IPv6 address", "",
	 "Unable to parse IP address: `-10.0.0.0/8'"},
	{PEER "Endpoint = host\n", 3, 12, "host:port", "",
	 "Unable to find port of endpoint: `host'"},
	{PEER "Endpoint = [::1\n", 3, 12, "\"]\"", "",
	 "Unable to find matching brace of endpoint: `[::1'"},
	{PEER "PersistentKeepalive = 65536\n", 3, 23, "seconds", "",
	 "Persistent keepalive interval is neither 0/off nor 1-65535: `65536'"},
	{"[Interface]\n\n[Peer]\n[Peer]\nPublicKey=" K1 "\n", 3, 0, "no PublicKey", "",
	 "A peer is missing a public key"},
	{"[Peer]\nEndpoint=1.2.3.4:5", 1, 0, "no PublicKey", "", "A peer is missing a public key"},
};

static void bad_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad_cases) / sizeof(bad_cases[0]); i++) {
		const struct bad_case *c = &bad_cases[i];
		struct weft_ini_result r = {0};
		struct weft_diag diag = {0};
		char wg[512];
		int rc = weft_ini_parse(c->text, strlen(c->text), &r, NULL, NULL, &diag);

		weft_fault_wg_sentence(&r.fault, wg, sizeof(wg));
		if (rc != WEFT_E_PARSE || diag.line != c->line || diag.column != c->column ||
		    !strstr(diag.message, c->message) || !strstr(diag.hint, c->hint) ||
		    (!c->hint[0] && diag.hint[0]) || strcmp(wg, c->wg) != 0 ||
		    strstr(diag.message, "hunter2"))
			fail_msg("case %zu: %d at %u:%u: %s (%s) / %s", i, rc, diag.line,
				 diag.column, diag.message, diag.hint, wg);
		weft_ini_result_clear(&r);
	}
}

static unsigned warnings;
static char warned[64];

static void on_host_bits(void *ctx, unsigned line, const char *text, size_t len)
{
	assert_ptr_equal(ctx, warned);
	assert_int_equal(line, 11);
	warnings++;
	memcpy(warned, text, len);
	warned[len] = '\0';
}

static void all_values(void **state)
{
	static const char text[] =
		"# a file\r\n[ inter FACE ]\r\n\tListenPort = 51 820 # white space counts "
		"nowhere\r\n"
		"FWMARK = 0xCA6C\nPrivateKey=" K1 "\n\n[Peer]#x\nPublicKey = " K2 "\n"
		"PresharedKey = " K1 "\nAllowedIPs =\n"
		"AllowedIPs = 10.0.0.1/24, ::/0,10.9.9.9\nAllowedIPs=192.168.0.0/16\n"
		"Endpoint = first.example:5\nEndpoint = [2001:db8::1]:7\nPersistentKeepalive = "
		"oFF\n"
		"[Peer]\nPublicKey=" K1 "\nEndpoint = host.example:5\n[Interface]\nListenPort=7";
	struct weft_ini_result r = {0};
	struct weft_diag diag = {0};
	const struct weft_conf_peer *p;

	(void)state;
	warnings = 0;
	if (weft_ini_parse(text, sizeof(text) - 1, &r, on_host_bits, warned, &diag))
		fail_msg("%u:%u %s", diag.line, diag.column, diag.message);
	assert_int_equal(r.dev.has, WEFT_DEVICE_HAS_PRIVATE_KEY | WEFT_DEVICE_HAS_LISTEN_PORT |
					    WEFT_DEVICE_HAS_FWMARK);
	assert_int_equal(r.dev.listen_port, 7);
	assert_int_equal(r.dev.fwmark, 0xca6c);
	assert_int_equal(r.dev.private_key.b[31], 1);
	assert_int_equal(r.dev.n_peers, 2);
	p = &r.dev.peers[0];
	assert_int_equal(p->has, WEFT_PEER_HAS_PSK | WEFT_PEER_HAS_ENDPOINT |
					 WEFT_PEER_HAS_KEEPALIVE | WEFT_PEER_REPLACE_ALLOWED_IPS);
	assert_int_equal(p->public_key[0], 2);
	assert_int_equal(p->psk.b[0], 1);
	assert_int_equal(p->n_allowed_ips, 4);
	assert_int_equal(p->allowed_ips[0].prefix.ip.b[3], 0);
	assert_int_equal(p->allowed_ips[2].prefix.len, 32);
	assert_int_equal(p->endpoint.port, 7);
	assert_int_equal(p->keepalive_s, 0);
	assert_int_equal(warnings, 1);
	assert_string_equal(warned, "10.0.0.1/24");
	assert_int_equal(r.names.n, 1); /* the first peer's name gave way to an address */
	assert_int_equal(r.names.v[0].peer, 1);
	assert_int_equal(r.names.v[0].line, 18);
	assert_int_equal(r.names.v[0].column, 12);
	assert_string_equal(r.names.v[0].host, "host.example");
	assert_int_equal(r.dev.peers[1].has,
			 WEFT_PEER_HAS_ENDPOINT | WEFT_PEER_REPLACE_ALLOWED_IPS);
	weft_ini_result_clear(&r);
}

static void empty_and_nul(void **state)
{
	struct weft_ini_result r = {0};
	struct weft_diag diag = {0};

	(void)state;
	assert_int_equal(weft_ini_parse("", 0, &r, NULL, NULL, NULL), 0);
	assert_int_equal(r.dev.has, 0);
	assert_int_equal(weft_ini_parse("[Interface]\n\0\n", 14, &r, NULL, NULL, &diag),
			 WEFT_E_PARSE);
	assert_int_equal(diag.line, 2);
	weft_ini_result_clear(&r);
}

/* weft's own key: written while it is on, read in both words. */
static void relay(void **state)
{
	static const char on[] = "[Interface]\nRelay = fast\n\n",
			  off[] = "[Interface]\nRelay=off\n";
	struct weft_ini_result r = {0};
	struct weft_text out = {0};

	(void)state;
	assert_int_equal(weft_ini_parse(on, sizeof(on) - 1, &r, NULL, NULL, NULL), 0);
	assert_int_equal(r.dev.has, WEFT_DEVICE_HAS_RELAY);
	assert_int_equal(r.dev.relay, WEFT_CONF_RELAY_FAST);
	assert_int_equal(weft_ini_write(&out, &r.dev), 0);
	assert_int_equal(out.len, sizeof(on) - 1);
	assert_memory_equal(out.p, on, out.len);
	weft_text_clear(&out);
	assert_int_equal(weft_ini_parse(off, sizeof(off) - 1, &r, NULL, NULL, NULL), 0);
	assert_int_equal(r.dev.relay, WEFT_CONF_RELAY_OFF);
	weft_ini_result_clear(&r);
}

static void written_as_wg_does(void **state)
{
	static const char text[] =
		"[Interface]\nListenPort = 51820\nFwMark = 0x20\nPrivateKey = " K1
		"\n\n[Peer]\nPublicKey = " K2 "\nPresharedKey = " K1
		"\nAllowedIPs = 10.0.0.0/24, fd00::/64\nEndpoint = 127.0.0.1:5\n"
		"PersistentKeepalive = 25\n\n[Peer]\nPublicKey = " K1 "\n";
	struct weft_ini_result r = {0};
	struct weft_conf_device none = {0};
	struct weft_text out = {0};

	(void)state;
	assert_int_equal(weft_ini_parse(text, sizeof(text) - 1, &r, NULL, NULL, NULL), 0);
	assert_int_equal(weft_ini_write(&out, &r.dev), 0);
	assert_int_equal(out.len, sizeof(text) - 1);
	assert_memory_equal(out.p, text, out.len);
	weft_text_clear(&out);
	assert_int_equal(weft_ini_write(&out, &none), 0);
	assert_int_equal(out.len, 13);
	assert_memory_equal(out.p, "[Interface]\n\n", 13);
	weft_text_clear(&out);
	weft_ini_result_clear(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_table),          cmocka_unit_test(all_values),
		cmocka_unit_test(empty_and_nul),      cmocka_unit_test(relay),
		cmocka_unit_test(written_as_wg_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
