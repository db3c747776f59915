/* SPDX-License-Identifier: Apache-2.0 */
/* wg-quick's file: what each key means, where an error is found and what is said, what strip
 * leaves. That strip agrees with wg-quick itself is for tests/system/test_strip.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "conf/quick.h"

#define K1   "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
#define K2   "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="
#define IF   "[Interface]\n"
#define PEER "[Peer]\nPublicKey=" K1 "\n"

struct bad_case {
	const char *text;
	unsigned line, column;
	const char *message, *hint; /* parts of them */
};

static const struct bad_case bad_cases[] = {
	{IF "Adress = 10.0.0.1/24\n", 2, 1, "no key \"Adress\"", "did you mean Address?"},
	{IF "PostUpp = x\n", 2, 1, "no key", "did you mean PostUp?"},
	{IF "Colour = x\n", 2, 1, "no key", "MTU, Table, PreUp"},
	{IF "Endpoint = 1.2.3.4:5\n", 2, 1, "no key", "Endpoint belongs to [Peer]"},
	{PEER "Address = 10.0.0.1\n", 3, 1, "[Peer] has no key", "Address belongs to [Interface]"},
	{PEER "AllowdIPs = ::/0\n", 3, 1, "no key", "did you mean AllowedIPs?"},
	{"Address = 10.0.0.1\n" IF, 1, 1, "before any section",
	 "only under a line \"[Interface]\""},
	/* wg takes both of these, wg-quick neither */
	{"[ Interface ]\nAddress = 10.0.0.1\n", 2, 1, "no key", "white space inside"},
	{IF "M T U = 1400\n", 2, 1, "no key", "white space inside"},
	{IF "MTU\n", 2, 1, "expected MTU = value", ""},
	{IF "  PostUp # = x\n", 2, 3, "expected PostUp = value", ""},
	{IF "Address = 10.0.0.1/24, 10.0.0.2/33\n", 2, 24, "a length after the slash", ""},
	{IF "Address = 10.0.0.0.1\n", 2, 11, "an IPv4 or IPv6 address", ""},
	{IF "Address = host\n", 2, 11, "Address: expected an IPv4 or IPv6 address", ""},
	{IF "\tMTU = 1400b # x\n", 2, 8, "from 68 to 65535, or \"auto\", found \"1400b\"", ""},
	{IF "MTU=67\n", 2, 5, "from 68 to 65535", ""},
	{IF "MTU=65536\n", 2, 5, "from 68 to 65535", ""},
	{IF "MTU=18446744073709552896\n", 2, 5, "from 68 to 65535", ""},
	{IF "Table = 4294967296\n", 2, 9, "a table's number or name", ""},
	{IF "Table = a b\n", 2, 9, "a table's number or name", ""},
	{IF "Table = 5a\n", 2, 9, "a table's number or name", ""},
	{IF "Table = a234567890123456789012345678901b\n", 2, 9, "a table's", ""},
	{IF "Table = Off\n", 2, 9, "a table's number or name", "it is written off"},
	{IF "Table = AUTO\n", 2, 9, "a table's number or name", "it is written auto"},
	{IF "DNS = 1.1.1.1, 1.1.1\n", 2, 16, "DNS: expected an IPv4 or IPv6 address", ""},
	{IF "DNS = ::g\n", 2, 7, "DNS: expected an IPv4 or IPv6 address", ""},
	{IF "DNS = a, b\x01\n", 2, 11, "a control character", ""},
	{IF "Backend = wireguard\n", 2, 11, "expected auto, kernel or userspace", ""},
	{IF "Workers = 1\n", 2, 11, "a number from 2 to 16", ""},
	{IF "Workers = 17\n", 2, 11, "a number from 2 to 16", ""},
	{IF "Cpus = 0-3;5\n", 2, 8, "a list of processors", ""},
	{IF "Cpus = 3-0\n", 2, 8, "a list of processors", ""},
	{IF "KillSwitch = true\n", 2, 14, "\"on\" or \"off\"", ""},
	{IF "Exclude = 10.0.0.0/8, office\n", 2, 23, "an IPv4 or IPv6 address", ""},
	{PEER "Exclude = 10.0.0.0/8\n", 3, 1, "no key", "Exclude belongs to [Interface]"},
	{PEER "Endpoint = host\n", 3, 12, "host:port", ""},
	{PEER "Endpoint = _\n", 3, 12, "host:port", ""},
	{IF "SaveConfig = yes\n", 2, 14, "\"true\" or \"false\", found \"yes\"", ""},
	{IF "SaveConfig =\n", 2, 13, "SaveConfig has no value", ""},
	/* WireGuard's own lines keep their places between wg-quick's */
	{IF "MTU = 1400\nListenPort = x\nTable = off\n", 3, 14, "a port from 0 to 65535", ""},
	{IF "Address = ::1\n[Peer]\nAllowedIPs = ::/0\n", 3, 0, "no PublicKey", ""},
	{IF "PrivateKey = hunter2\n", 2, 14, "found 7 characters", ""},
};

static void bad_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad_cases) / sizeof(bad_cases[0]); i++) {
		const struct bad_case *c = &bad_cases[i];
		struct weft_quick q = {0};
		struct weft_diag diag = {0};
		int rc = weft_quick_parse(c->text, strlen(c->text), &q, NULL, NULL, &diag);

		if (rc != WEFT_E_PARSE || diag.line != c->line || diag.column != c->column ||
		    !strstr(diag.message, c->message) || !strstr(diag.hint, c->hint) ||
		    (!c->hint[0] && diag.hint[0]) || strstr(diag.message, "hunter2"))
			fail_msg("case %zu: %d at %u:%u: %s (%s)", i, rc, diag.line, diag.column,
				 diag.message, diag.hint);
		weft_quick_clear(&q);
	}
}

static void parse(const char *text, struct weft_quick *ret)
{
	struct weft_diag diag = {0};

	*ret = (struct weft_quick){0};
	if (weft_quick_parse(text, strlen(text), ret, NULL, NULL, &diag))
		fail_msg("%u:%u %s (%s)", diag.line, diag.column, diag.message, diag.hint);
}

static void texts(const struct weft_quick_texts *t, const char *a, const char *b, const char *c)
{
	const char *want[] = {a, b, c, NULL};
	size_t n = 0;

	for (; want[n]; n++) {
		assert_true(n < t->n);
		assert_string_equal(t->v[n], want[n]);
	}
	assert_int_equal(t->n, n);
}

static void every_key(void **state)
{
	static const char text[] =
		"# a file\r\n\t[INTERFACE] # ours\r\n"
		"address = 10.0.0.1/24,, fd00::1/64 10.9.9.9 # first\r\nADDRESS=\n"
		"Address = ::2/128\nDNS = 10.0.0.53, example.org,fd00::53 fe80::1%eth0\n"
		"dns = corp.example # not here\nMTU = 1400\nMTU=1380\nTable = 51\nTable = main\n"
		"ListenPort = 51820\nPrivateKey = " K1 "\nFwMark = 0x10\n"
		"PreUp = ip rule add x # kept; %i = it\nPreUp = second\n"
		"postup =  iptables -A x -m comment --comment '#1'  \r\n"
		"PostUp = # nothing but this\nPreDown=a=b\nPostDown =\n"
		"saveconfig = TRUE # yes\n"
		"[peer]\nPublicKey = " K2 "\nAllowedIPs = 0.0.0.0/0, ::/0\n"
		"Endpoint = host.example:5\n[Interface]\nAddress = 10.0.1.1";
	struct weft_quick q;

	(void)state;
	parse(text, &q);
	assert_int_equal(q.n_addresses, 5);
	assert_int_equal(q.addresses[0].ip.b[3], 1); /* its host bits are the point */
	assert_int_equal(q.addresses[0].len, 24);
	assert_int_equal(q.addresses[1].ip.family, WEFT_IPV6);
	assert_int_equal(q.addresses[1].len, 64);
	assert_int_equal(q.addresses[2].len, 32);
	assert_int_equal(q.addresses[3].ip.b[15], 2);
	assert_int_equal(q.addresses[4].ip.b[2], 1);
	texts(&q.dns_servers, "10.0.0.53", "fd00::53", "fe80::1%eth0");
	texts(&q.dns_search, "example.org", "corp.example", NULL);
	assert_int_equal(q.mtu, 1380);
	assert_int_equal(q.table, WEFT_QUICK_TABLE_NAME);
	assert_int_equal(q.table_number, 0);
	assert_string_equal(q.table_name, "main");
	texts(&q.pre_up, "ip rule add x # kept; %i = it", "second", NULL);
	texts(&q.post_up, "iptables -A x -m comment --comment '#1'", "# nothing but this", NULL);
	texts(&q.pre_down, "a=b", NULL, NULL);
	texts(&q.post_down, "", NULL, NULL);
	assert_true(q.save_config);
	assert_int_equal(q.wg.dev.has, WEFT_DEVICE_HAS_PRIVATE_KEY | WEFT_DEVICE_HAS_LISTEN_PORT |
					       WEFT_DEVICE_HAS_FWMARK);
	assert_int_equal(q.wg.dev.fwmark, 16);
	assert_int_equal(q.wg.dev.n_peers, 1);
	assert_int_equal(q.wg.dev.peers[0].n_allowed_ips, 2);
	assert_int_equal(q.wg.names.n, 1);
	assert_int_equal(q.wg.names.v[0].line, 25);
	weft_quick_clear(&q);
}

static void own_keys(void **state)
{
	static const char text[] = IF
		"MTU = auto\nBackend = kernel\nBackend = userspace\nWorkers = 4\nCpus = 0-3,5 # x\n"
		"KillSwitch = ON\nExclude = 10.1.2.3/8, fd00::/64\nexclude = 192.0.2.7\n# Name = "
		"no\n"
		"[Peer]\nPublicKey = " K1 "\n";
	struct weft_quick q;

	(void)state;
	parse(text, &q);
	assert_true(q.mtu_auto);
	assert_int_equal(q.mtu, 0);
	assert_true(q.has_backend);
	assert_int_equal(q.backend, WEFT_BACKEND_USERSPACE);
	assert_int_equal(q.workers, 4);
	assert_string_equal(q.cpus, "0-3,5");
	assert_true(q.kill_switch);
	assert_int_equal(q.n_excludes, 3);
	assert_int_equal(q.excludes[0].ip.b[1], 0); /* without host bits */
	assert_int_equal(q.excludes[2].len, 32);
	assert_int_equal(q.n_peers, 1);
	assert_null(q.peers[0].name);
	weft_quick_clear(&q);
	parse(IF "MTU = auto\nMTU = 1400\nBackend =\nWorkers=\nCpus=\nKillSwitch=\n", &q);
	assert_false(q.mtu_auto || q.has_backend || q.workers || q.cpus[0] || q.kill_switch);
	assert_int_equal(q.mtu, 1400);
	weft_quick_clear(&q);
}

static void peers_beyond_wireguard(void **state)
{
	static const char text[] =
		"# Name = before\n" PEER "#Name=  paris, rack 4 \r\n"
		"Endpoint = 192.0.2.1:5\n Endpoint = [2001:db8::1]:6 # x\nEnd point = "
		"host.example:7\n"
		"[Peer]\nPublicKey = " K2 "\n# friendly_name = x\n# Named = y\n# Name =\n"
		"Endpoint = _wireguard._udp.example.com\n" PEER;
	const struct weft_quick_endpoint *e;
	struct weft_text stripped = {0};
	struct weft_quick q;

	(void)state;
	parse(text, &q);
	assert_int_equal(q.n_peers, 3);
	assert_string_equal(q.peers[0].name, "paris, rack 4");
	assert_int_equal(q.peers[0].n_endpoints, 3);
	e = q.peers[0].endpoints;
	assert_string_equal(e[0].text, "192.0.2.1:5");
	assert_string_equal(e[1].text, "[2001:db8::1]:6");
	assert_string_equal(e[2].text, "host.example:7");
	assert_int_equal(e[1].line, 6);
	assert_int_equal(e[1].column, 13);
	assert_int_equal(q.wg.names.n, 1); /* the last one, as wg has it */
	assert_string_equal(q.peers[1].name, "x");
	assert_int_equal(q.peers[1].n_endpoints, 1);
	assert_true(q.peers[1].endpoints[0].srv && !e[2].srv);
	assert_false(q.wg.dev.peers[1].has & WEFT_PEER_HAS_ENDPOINT);
	assert_null(q.peers[2].name);
	assert_int_equal(q.peers[2].n_endpoints, 0);
	weft_quick_clear(&q);
	assert_int_equal(weft_quick_strip(text, strlen(text), &stripped, NULL, NULL), 0);
	assert_int_equal(weft_text_append(&stripped, "", 1), 0);
	assert_null(strstr(stripped.p, "_wireguard"));
	assert_non_null(strstr(stripped.p, "host.example"));
	weft_text_clear(&stripped);
}

static void too_many_endpoints(void **state)
{
	struct weft_text text = {0};
	struct weft_quick q = {0};
	struct weft_diag diag = {0};

	(void)state;
	assert_int_equal(weft_text_append(&text, PEER, sizeof(PEER) - 1), 0);
	for (int i = 0; i <= WEFT_QUICK_MAX_ENDPOINTS; i++)
		assert_int_equal(weft_text_printf(&text, "Endpoint = 192.0.2.1:%d\n", i + 1), 0);
	assert_int_equal(weft_quick_parse(text.p, text.len, &q, NULL, NULL, &diag), WEFT_E_PARSE);
	assert_int_equal(diag.line, 2 + WEFT_QUICK_MAX_ENDPOINTS + 1);
	weft_quick_clear(&q);
	weft_text_clear(&text);
}

static void tables(void **state)
{
	static const struct {
		const char *text;
		enum weft_quick_table table;
		uint32_t n;
	} cases[] = {
		{IF, WEFT_QUICK_TABLE_AUTO, 0},
		{IF "Table = auto\n", WEFT_QUICK_TABLE_AUTO, 0},
		{IF "Table = off # no\n", WEFT_QUICK_TABLE_OFF, 0},
		{IF "Table = off\nTable =\n", WEFT_QUICK_TABLE_AUTO, 0},
		{IF "Table = main\nTable = 4294967295\n", WEFT_QUICK_TABLE_NUMBER, UINT32_MAX},
		{IF "Table = 123\nTable = auto\n", WEFT_QUICK_TABLE_AUTO, 0},
	};
	struct weft_quick q;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		parse(cases[i].text, &q);
		assert_int_equal(q.table, cases[i].table);
		assert_int_equal(q.table_number, cases[i].n);
		assert_string_equal(q.table_name, "");
		weft_quick_clear(&q);
	}
	parse(IF "MTU = 1400\nMTU =\nSaveConfig = true\nSaveConfig = False\n", &q);
	assert_int_equal(q.mtu, 0);
	assert_false(q.save_config);
	weft_quick_clear(&q);
}

static void limits(void **state)
{
	struct weft_quick q = {0};
	struct weft_diag diag = {0};
	struct weft_text text = {0};

	(void)state;
	assert_int_equal(weft_text_printf(&text, IF), 0);
	for (int i = 0; i <= WEFT_QUICK_MAX_ENTRIES; i++)
		assert_int_equal(weft_text_printf(&text, "PostUp = x\n"), 0);
	assert_int_equal(weft_quick_parse(text.p, text.len, &q, NULL, NULL, &diag), WEFT_E_PARSE);
	assert_int_equal(diag.line, WEFT_QUICK_MAX_ENTRIES + 2);
	assert_non_null(strstr(diag.message, "4096 entries of PostUp"));
	assert_int_equal(q.post_up.n, WEFT_QUICK_MAX_ENTRIES);
	weft_quick_clear(&q);
	text.len = sizeof(IF) - 1;
	for (int i = 0; i <= WEFT_QUICK_MAX_ENTRIES; i++)
		assert_int_equal(weft_text_printf(&text, "Address = ::1\n"), 0);
	assert_int_equal(weft_quick_parse(text.p, text.len, &q, NULL, NULL, &diag), WEFT_E_PARSE);
	assert_int_equal(q.n_addresses, WEFT_QUICK_MAX_ENTRIES);
	weft_quick_clear(&q);
	weft_text_clear(&text);
	assert_int_equal(weft_quick_parse(IF "MTU=14\0"
					     "00\n",
					  22, &q, NULL, NULL, &diag),
			 WEFT_E_PARSE);
	assert_int_equal(diag.column, 7);
	weft_quick_clear(&q);
}

static void strip(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"", "\n"},
		{"\n", "\n\n"},
		{"  ", "\n"},
		{" \t\n  ", "\n\n"},
		{IF "Address = 1\n", IF "\n"},
		{IF "Address = 1\nListenPort = 5", IF "ListenPort = 5\n\n"},
		{"  [Interface] # x \n\tMTU=1 # y\n  FwMark = 1 # z\t \n",
		 "[Interface] # x\nFwMark = 1 # z\n\n"},
		{"MTU = 1\n[Peer]\nMTU = 2\n" IF "MTU = 3\n", "MTU = 1\n[Peer]\nMTU = 2\n" IF "\n"},
		{"[ Interface ]\nMTU = 1\n", "[ Interface ]\nMTU = 1\n\n"},
		{IF "#MTU = 1\nMTU\nM TU = 1\n", IF "#MTU = 1\nM TU = 1\n\n"},
		{IF "[Foo = MTU]\nMTU = 1\n", IF "[Foo = MTU]\nMTU = 1\n\n"},
		{"[iNTERFACE]\r\nmtu = 1\r\nX\r\n", "[iNTERFACE]\r\nX\r\n\n"},
		{IF "SaveConfig = fAlse # x\nNoSuchKey = \\n %s\n", IF "NoSuchKey = \\n %s\n\n"},
	};
	struct weft_text out = {0};
	struct weft_fault fault = {0};
	struct weft_diag diag = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(
			weft_quick_strip(cases[i].in, strlen(cases[i].in), &out, NULL, NULL), 0);
		if (out.len != strlen(cases[i].out) || memcmp(out.p, cases[i].out, out.len) != 0)
			fail_msg("case %zu: %.*s", i, (int)out.len, out.p);
		weft_text_clear(&out);
	}
	assert_int_equal(weft_quick_strip(IF "M\0TU=1\na\0\n", 21, &out, NULL, NULL), 0);
	assert_int_equal(out.len, 15);
	assert_memory_equal(out.p, IF "a\n\n", 15);
	weft_text_clear(&out);
	assert_int_equal(weft_quick_strip(IF "\n SaveConfig = 1 # x\n", 33, &out, &fault, &diag),
			 WEFT_E_PARSE);
	assert_int_equal(diag.line, 3);
	assert_int_equal(diag.column, 15);
	assert_int_equal(fault.kind, WEFT_FAULT_BOOLEAN);
	assert_string_equal(fault.found, "1");
	weft_text_clear(&out);
}

static void names(void **state)
{
	static const char *const good[] = {"wg0", "a", "A_=+.-9", "123456789012345", "...", NULL};
	static const char *const bad[] = {
		"", "1234567890123456", "a/b", "a b", "\xc3\xa4", ".", "..", NULL};

	(void)state;
	for (const char *const *p = good; *p; p++)
		assert_true(weft_quick_is_name(*p, strlen(*p)));
	for (const char *const *p = bad; *p; p++)
		assert_false(weft_quick_is_name(*p, strlen(*p)));
	assert_false(weft_quick_is_name("a\0b", 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_keys),
		cmocka_unit_test(peers_beyond_wireguard),
		cmocka_unit_test(too_many_endpoints),
		cmocka_unit_test(bad_table),
		cmocka_unit_test(every_key),
		cmocka_unit_test(tables),
		cmocka_unit_test(limits),
		cmocka_unit_test(strip),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
