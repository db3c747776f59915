/* SPDX-License-Identifier: Apache-2.0 */
/* What a firewall does with datagrams to port 51820: plain rules, and what is not understood. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "host/ruleset.h"

#define CHAIN(policy)                                                                         \
	"{\"chain\":{\"family\":\"inet\",\"table\":\"t\",\"name\":\"i\",\"type\":\"filter\"," \
	"\"hook\":\"input\",\"prio\":0,\"policy\":\"" policy "\"}}"
#define RULE(expr)                                                                               \
	",{\"rule\":{\"family\":\"inet\",\"table\":\"t\",\"chain\":\"i\",\"handle\":1,\"expr\":" \
	"[" expr "]}}"
#define MATCH(op, left, right) \
	"{\"match\":{\"op\":\"" op "\",\"left\":" left ",\"right\":" right "}}"
#define DPORT     "{\"payload\":{\"protocol\":\"udp\",\"field\":\"dport\"}}"
#define TCP_DPORT "{\"payload\":{\"protocol\":\"tcp\",\"field\":\"dport\"}}"
#define L4PROTO   "{\"meta\":{\"key\":\"l4proto\"}}"
#define IIF       "{\"meta\":{\"key\":\"iifname\"}}"
#define SADDR     "{\"payload\":{\"protocol\":\"ip\",\"field\":\"saddr\"}}"
#define STATE     "{\"ct\":{\"key\":\"state\"}}"
#define ACCEPT    ",{\"counter\":{\"packets\":1,\"bytes\":2}},{\"accept\":null}"
#define DROP      ",{\"drop\":null}"
#define LOG       "{\"log\":null}"

static void judge(const char *list, struct weft_ruleset_verdict *ret)
{
	char json[4096];
	int n = snprintf(json, sizeof(json), "{\"nftables\":[{\"metainfo\":{}},%s]}", list);

	assert_in_range(n, 1, sizeof(json) - 1);
	assert_int_equal(weft_ruleset_judge(json, (size_t)n, "wg0", 51820, ret), 0);
}

static void cases(void **state)
{
	static const struct {
		const char *list;
		bool new, answers;
	} table[] = {
		{CHAIN("accept"), false, false},
		{CHAIN("drop"), true, true},
		{CHAIN("drop") RULE(LOG ACCEPT), false, false},
		{CHAIN("drop") RULE(MATCH("==", DPORT, "51820") ACCEPT), false, false},
		{CHAIN("drop") RULE(MATCH("==", DPORT, "51821") ACCEPT), true, true},
		{CHAIN("drop") RULE(MATCH("!=", DPORT, "51821") ACCEPT), false, false},
		{CHAIN("drop") RULE(MATCH("==", DPORT, "{\"set\":[53,51820]}") ACCEPT), false,
		 false},
		{CHAIN("drop") RULE(MATCH("==", DPORT, "{\"set\":[53,54]}") ACCEPT), true, true},
		{CHAIN("drop") RULE(MATCH("==", DPORT, "{\"range\":[51800,51830]}") ACCEPT), false,
		 false},
		{CHAIN("drop") RULE(MATCH("==", DPORT, "{\"range\":[1,51819]}") ACCEPT), true,
		 true},
		/* a named set may hold it */
		{CHAIN("drop") RULE(MATCH("==", DPORT, "\"@ports\"") ACCEPT), false, false},
		{CHAIN("drop") RULE(MATCH("==", TCP_DPORT, "51820") ACCEPT), true, true},
		{CHAIN("drop") RULE(MATCH("==", L4PROTO, "\"udp\"") ACCEPT), false, false},
		{CHAIN("drop") RULE(MATCH("==", L4PROTO, "17") ACCEPT), false, false},
		{CHAIN("drop") RULE(MATCH("==", L4PROTO, "\"tcp\"") ACCEPT), true, true},
		{CHAIN("drop") RULE(MATCH("==", IIF, "\"lo\"") ACCEPT), true, true},
		{CHAIN("drop") RULE(MATCH("==", IIF, "\"eth0\"") ACCEPT), false, false},
		{CHAIN("drop") RULE(MATCH("==", IIF, "{\"set\":[\"lo\",\"wg0\"]}") ACCEPT), true,
		 true},
		{CHAIN("drop") RULE(MATCH("==", IIF, "{\"set\":[\"lo\",\"eth0\"]}") ACCEPT), false,
		 false},
		{CHAIN("drop") RULE(MATCH("!=", IIF, "\"wg0\"") ACCEPT), false, false},
		{CHAIN("drop") RULE(MATCH("in", STATE, "[\"established\",\"related\"]") ACCEPT),
		 true, false},
		/* who may begin is let in: then the rest is not looked at */
		{CHAIN("drop") RULE(MATCH("in", STATE, "\"new\"") ACCEPT), false, false},
		{CHAIN("drop") RULE(MATCH("==", SADDR, "\"192.0.2.1\"") ACCEPT), false, false},
		{CHAIN("accept") RULE(MATCH("==", DPORT, "51820") DROP), true, true},
		{CHAIN("accept") RULE(MATCH("==", DPORT, "51820") ",{\"reject\":null}"), true,
		 true},
		{CHAIN("accept") RULE(MATCH("==", SADDR, "\"192.0.2.1\"") DROP), false, false},
		{CHAIN("accept") RULE(MATCH("==", DPORT, "51820") ACCEPT) RULE(LOG DROP), false,
		 false},
		{CHAIN("accept") RULE("{\"limit\":{\"rate\":1,\"per\":\"second\"}}" ACCEPT)
			 RULE(LOG DROP),
		 false, false},
		/* where it leads to is not followed */
		{CHAIN("drop") RULE("{\"jump\":{\"target\":\"x\"}}"), false, false},
		/* of another chain, of another hook, of IPv6 alone */
		{CHAIN("accept") ",{\"rule\":{\"family\":\"inet\",\"table\":\"t\",\"chain\":\"x\","
				 "\"expr\":[{\"drop\":null}]}}",
		 false, false},
		{"{\"chain\":{\"family\":\"inet\",\"table\":\"t\",\"name\":\"o\",\"type\":"
		 "\"filter\","
		 "\"hook\":\"output\",\"policy\":\"drop\"}}",
		 false, false},
		{"{\"chain\":{\"family\":\"ip6\",\"table\":\"t\",\"name\":\"i\",\"type\":"
		 "\"filter\","
		 "\"hook\":\"input\",\"policy\":\"drop\"}}",
		 false, false},
	};
	struct weft_ruleset_verdict v;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		judge(table[i].list, &v);
		if (v.drops_new != table[i].new || v.drops_answers != table[i].answers)
			fail_msg("case %zu: %s", i, table[i].list);
		assert_string_equal(v.chain, v.drops_new ? "inet t i" : "");
	}
}

static void not_a_list(void **state)
{
	static const char *const texts[] = {"", "{", "[]", "{}", "{\"nftables\":5}"};
	struct weft_ruleset_verdict v;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(weft_ruleset_judge(texts[i], strlen(texts[i]), "wg0", 1, &v),
				 WEFT_E_PARSE);
	assert_int_equal(weft_ruleset_judge("{\"nftables\":[1,{}]}", 19, "wg0", 1, &v), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cases),
		cmocka_unit_test(not_a_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
