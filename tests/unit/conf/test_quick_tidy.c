/* SPDX-License-Identifier: Apache-2.0 */
/* wg-quick's file as `weft import` writes it, and what is noted about it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "conf/quick_tidy.h"

#define K1   "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
#define IF   "[Interface]\n"
#define PEER "[Peer]\nPublicKey = " K1 "\n"

struct heard {
	char text[1024];
	size_t len;
};

static void hear(void *ctx, const struct weft_diag *diag)
{
	struct heard *h = ctx;
	bool hint = diag->hint[0] != '\0';

	h->len += (size_t)snprintf(h->text + h->len, sizeof(h->text) - h->len, "%u:%u: %s%s%s%s\n",
				   diag->line, diag->column, diag->message, hint ? " (" : "",
				   diag->hint, hint ? ")" : "");
	assert_true(h->len < sizeof(h->text));
}

static void check(const char *text, const char *expected, const char *notes)
{
	struct weft_text out = {0};
	struct weft_quick q = {0};
	struct weft_diag diag = {0};
	struct heard heard = {0};

	assert_int_equal(weft_quick_parse(text, strlen(text), &q, NULL, NULL, NULL), 0);
	assert_int_equal(weft_quick_tidy(text, strlen(text), &out, hear, &heard, &diag), 0);
	assert_int_equal(weft_text_append(&out, "", 1), 0);
	assert_string_equal(out.p, expected);
	assert_string_equal(heard.text, notes);
	weft_text_clear(&out);
	weft_quick_clear(&q);
}

static void test_spelling(void **state)
{
	(void)state;
	check("\n\n# top\n[interface] # mine\r\nADDRESS=10.0.0.1/8\n\n\n  postup=echo a = b\n"
	      "fwmark = off # none\nDNS=\n\n[ Peer ]\n\t# Name = x\nPublic Key=" K1
	      "\nallowedips=::/0 , 10.0.0.0/8\nendpoint=a:1",
	      "# top\n[Interface] # mine\nAddress = 10.0.0.1/8\n\nPostUp = echo a = b\n"
	      "FwMark = off # none\nDNS =\n\n[Peer]\n# Name = x\nPublicKey = " K1
	      "\nAllowedIPs = ::/0 , 10.0.0.0/8\nEndpoint = a:1\n",
	      "");
}

static void test_notes(void **state)
{
	static const struct {
		const char *text, *notes;
	} cases[] = {
		{IF "PostUp = echo # x\n",
		 "2:15: PostUp: \"#\" and what is after it belongs to the command; wg-quick of "
		 "2021 cut it off\n"},
		{IF "PreUp = iptables -I OUTPUT ! -o %i -m mark ! --mark 7 -j REJECT\n"
		    "PreDown = iptables -D OUTPUT ! -o %i -j REJECT\n",
		 "2:9: PreUp: a kill switch: KillSwitch = on is one that holds while the interface "
		 "is down, too\n"},
		{IF "PostUp = ip6tables -A FORWARD ! -o %i -j DROP\n",
		 "2:10: PostUp: a kill switch: KillSwitch = on is one that holds while the "
		 "interface is down, too\n"},
		{IF "PostUp = iptables -A FORWARD -i %i -j ACCEPT\n", ""},
		{IF "PostUp = resolvectl dns %i 1.1.1.1\n", "2:10: PostUp: DNS = does this\n"},
		{IF "PostUp = wg set %i private-key /k\n",
		 "2:10: PostUp: weft set takes the same words\n"},
		{IF "KillSwitch = on\n",
		 "2:14: KillSwitch: weft's own: wg-quick does not take this file\n"},
		{IF "Relay = fast\n", "2:9: Relay: weft's own: wg does not take this file\n"},
		{PEER "Endpoint = a:1\n[Peer]\nPublicKey = " K1
		      "\nEndpoint = b:1\nEndpoint = c:1\n",
		 "7:12: Endpoint: weft tries all of a peer's in turn; wg-quick takes the last\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(cases[i].text, cases[i].text, cases[i].notes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spelling),
		cmocka_unit_test(test_notes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
