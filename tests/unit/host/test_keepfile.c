/* SPDX-License-Identifier: Apache-2.0 */
/* keep.json: what a file for up becomes in it, what is read back, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "host/keepfile.h"

#define KEY "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
#define PSK "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="
#define PEER \
	"[Interface]\nPrivateKey = " PSK "\n[Peer]\nPublicKey = " KEY "\nPresharedKey = " PSK "\n"

static int parse(const char *text, struct weft_keep *k, struct weft_diag *diag)
{
	*k = (struct weft_keep){0};
	return weft_keep_parse(text, strlen(text), k, diag);
}

static bool wanted(const char *file, struct weft_text *out)
{
	struct weft_quick q = {0};
	bool yes;

	assert_int_equal(weft_quick_parse(file, strlen(file), &q, NULL, NULL, NULL), 0);
	yes = weft_keep_wanted(&q);
	assert_int_equal(weft_keep_write(&q, "/etc/wireguard/wg0.conf", out), 0);
	assert_int_equal(weft_text_append(out, "", 1), 0);
	weft_quick_clear(&q);
	return yes;
}

static void out_and_in(void **state)
{
	struct weft_text text = {0};
	struct weft_keep k;

	(void)state;
	assert_true(wanted(PEER "Endpoint = hub.example:51820\nEndpoint = _wireguard._udp.example\n"
				"Endpoint = [2001:db8::1]:443\n",
			   &text));
	assert_null(strstr(text.p, PSK));
	assert_int_equal(parse(text.p, &k, NULL), 0);
	weft_text_clear(&text);
	assert_string_equal(k.source, "/etc/wireguard/wg0.conf");
	assert_int_equal(k.times.stale_s, 135);
	assert_int_equal(k.n_peers, 1);
	assert_int_equal(k.peers[0].key[0], 1);
	assert_int_equal(k.peers[0].n_lines, 3);
	assert_int_equal(k.peers[0].lines[0].kind, WEFT_CAND_NAME);
	assert_int_equal(k.peers[0].lines[0].number, 6);
	assert_string_equal(k.peers[0].lines[0].text, "hub.example:51820");
	assert_int_equal(k.peers[0].lines[1].kind, WEFT_CAND_SRV);
	assert_int_equal(k.peers[0].lines[2].kind, WEFT_CAND_ADDRESS);
	assert_int_equal(k.peers[0].lines[2].answer.v[0].ep.port, 443);
	weft_keep_clear(&k);
}

static void when_wanted(void **state)
{
	static const struct {
		const char *file;
		bool wanted;
	} cases[] = {
		{"[Interface]\n", false},
		{PEER, false},
		{PEER "Endpoint = 192.0.2.1:1\n", false},
		{PEER "Endpoint = [2001:db8::1]:1\n", false},
		{PEER "Endpoint = [fe80::1%eth0]:1\n", false},
		{PEER "Endpoint = a:1\n", true},
		{PEER "Endpoint = _x\n", true},
		{PEER "Endpoint = 192.0.2.1:1\nEndpoint = 192.0.2.2:1\n", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weft_text text = {0};
		struct weft_keep k;

		assert_int_equal(wanted(cases[i].file, &text), cases[i].wanted);
		assert_int_equal(parse(text.p, &k, NULL), 0);
		assert_int_equal(k.n_peers, cases[i].wanted);
		weft_text_clear(&text);
		weft_keep_clear(&k);
	}
}

#define FILE_OF(peers, more) "{\"version\": 1, \"peers\": [" peers "]" more "}"
#define PEER_OF(key, ends)   "{\"public_key\": \"" key "\", \"endpoints\": [" ends "]}"

static void refused(void **state)
{
	static const char *const cases[] = {
		"",
		"{",
		"[]",
		"{}",
		"{\"version\": 2, \"peers\": []}",
		"{\"version\": 1}",
		"{\"version\": 1, \"version\": 1, \"peers\": []}",
		FILE_OF("1", ""),
		FILE_OF(PEER_OF("x", "{\"text\": \"a:1\"}"), ""),
		FILE_OF(PEER_OF(KEY, ""), ""),
		FILE_OF(PEER_OF(KEY, "{}"), ""),
		FILE_OF(PEER_OF(KEY, "{\"text\": \"a\"}"), ""),
		FILE_OF(PEER_OF(KEY, "{\"text\": \"_\"}"), ""),
		FILE_OF(PEER_OF(KEY, "{\"text\": \"1.2.3.4:99999\"}"), ""),
		FILE_OF("", ", \"times\": {\"stale_s\": 0}"),
		FILE_OF("", ", \"times\": {\"try_s\": 86401}"),
		FILE_OF("", ", \"times\": {\"try_s\": \"1\"}"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weft_diag diag = {0};
		struct weft_keep k;

		assert_int_equal(parse(cases[i], &k, &diag), WEFT_E_PARSE);
		assert_true(diag.message[0]);
		weft_keep_clear(&k);
	}
}

static void times(void **state)
{
	struct weft_keep k;

	(void)state;
	assert_int_equal(
		parse(FILE_OF("", ", \"times\": {\"stale_s\": 3, \"ttl_min_s\": 1}"), &k, NULL), 0);
	assert_int_equal(k.times.stale_s, 3);
	assert_int_equal(k.times.ttl_min_s, 1);
	assert_int_equal(k.times.try_s, weft_cand_times_default.try_s);
	weft_keep_clear(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(out_and_in),
		cmocka_unit_test(when_wanted),
		cmocka_unit_test(refused),
		cmocka_unit_test(times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
