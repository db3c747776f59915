/* SPDX-License-Identifier: Apache-2.0 */
/* What a file wants on the host, and the changes that lead there; compared as command lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "host/state.h"

#define HEAD "[Interface]\nAddress = 10.0.0.1/24, fd00::1/64\n"
#define PEER "[Peer]\nPublicKey=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\nAllowedIPs="

static const struct weft_host_facts facts = {.mtu = 1400, .mark = 51820, .table = 7};

static void want(const char *file, struct weft_host_state *ret)
{
	struct weft_quick q = {0};

	*ret = (struct weft_host_state){0};
	assert_int_equal(weft_quick_parse(file, strlen(file), &q, NULL, NULL, NULL), 0);
	assert_int_equal(weft_host_wanted(&q, &facts, ret), 0);
	weft_quick_clear(&q);
}

static void check(const struct weft_host_state *is, const struct weft_host_state *wanted,
		  const char *lines)
{
	struct weft_host_changes changes = {0};
	struct weft_text text = {0};

	assert_int_equal(weft_host_diff(is, wanted, &changes), 0);
	for (size_t i = 0; i < changes.n; i++) {
		assert_int_equal(weft_host_change_text(&changes.v[i], "wg0", &text), 0);
		assert_int_equal(weft_text_append(&text, "\n", 1), 0);
	}
	assert_int_equal(weft_text_append(&text, "", 1), 0);
	assert_string_equal(text.p, lines);
	weft_text_clear(&text);
	weft_host_changes_clear(&changes);
}

#define BASE                                      \
	"ip -4 address add 10.0.0.1/24 dev wg0\n" \
	"ip -6 address add fd00::1/64 dev wg0\n"  \
	"ip link set mtu 1320 up dev wg0\n"

static void from_nothing(void **state)
{
	static const struct {
		const char *file, *lines;
	} cases[] = {
		{"[Interface]\n", "ip link set mtu 1320 up dev wg0\n"},
		{"[Interface]\nMTU = 1280\n", "ip link set mtu 1280 up dev wg0\n"},
		/* connected ones need no route; the longest comes first; one of two is enough */
		{HEAD PEER "10.1.0.0/16, 10.0.0.2, fd00::/64, 10.1.2.0/24\n" PEER "10.1.0.0/16\n",
		 BASE "ip -4 route add 10.1.2.0/24 dev wg0\nip -4 route add 10.1.0.0/16 dev wg0\n"},
		{"[Interface]\nAddress=10.0.0.1\n" PEER "10.0.0.1/32\n",
		 "ip -4 address add 10.0.0.1/32 dev wg0\nip link set mtu 1320 up dev wg0\n"
		 "ip -4 route add 10.0.0.1/32 dev wg0\n"},
		{HEAD "Table=off\n" PEER "0.0.0.0/0,10.1.0.0/16\n", BASE},
		{HEAD "Table=123\n" PEER "0.0.0.0/0,10.0.0.2\n",
		 BASE "ip -4 route add 10.0.0.2/32 dev wg0 table 123\n"
		      "ip -4 route add 0.0.0.0/0 dev wg0 table 123\n"},
		{HEAD "Table=x\n" PEER "::/0\n", BASE "ip -6 route add ::/0 dev wg0 table 7\n"},
		{HEAD "FwMark=5\n" PEER "0.0.0.0/0\n",
		 BASE "weft set wg0 fwmark 5\n"
		      "ip -4 route add 0.0.0.0/0 dev wg0 table 5\n"
		      "ip -4 rule add not fwmark 5 table 5\n"
		      "ip -4 rule add table main suppress_prefixlength 0\n"
		      "sysctl -q net.ipv4.conf.all.src_valid_mark=1\n"
		      "nft add table ip wg-quick-wg0\n"},
		{HEAD PEER "::/0\n", BASE "weft set wg0 fwmark 51820\n"
					  "ip -6 route add ::/0 dev wg0 table 51820\n"
					  "ip -6 rule add not fwmark 51820 table 51820\n"
					  "ip -6 rule add table main suppress_prefixlength 0\n"
					  "nft add table ip6 wg-quick-wg0\n"},
	};
	struct weft_host_state none = {0}, wanted;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		want(cases[i].file, &wanted);
		check(&none, &wanted, cases[i].lines);
		check(&wanted, &wanted, "");
		weft_host_state_clear(&wanted);
	}
}

/* MTU = auto: the widest way where the device measures paths, else as without it. */
static void mtu_auto(void **state)
{
	static const struct {
		const char *file;
		uint32_t widest;
		bool probes;
		uint32_t mtu;
	} cases[] = {
		{"[Interface]\nMTU = auto\n", 1440, true, 1440},
		{"[Interface]\nMTU = auto\n", 1440, false, 1320},
		{"[Interface]\nMTU = auto\n", 0, true, 1320},
		{"[Interface]\nMTU = 1280\n", 1440, true, 1280},
		{"[Interface]\n", 1440, true, 1320},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weft_host_facts f = facts;
		struct weft_host_state s = {0};
		struct weft_quick q = {0};

		f.widest = cases[i].widest;
		f.probes = cases[i].probes;
		assert_int_equal(weft_quick_parse(cases[i].file, strlen(cases[i].file), &q, NULL,
						  NULL, NULL),
				 0);
		assert_int_equal(weft_host_wanted(&q, &f, &s), 0);
		assert_int_equal(s.mtu, cases[i].mtu);
		weft_quick_clear(&q);
		weft_host_state_clear(&s);
	}
}

static void smallest(void **state)
{
	struct weft_host_state a, b, none = {0};

	(void)state;
	want(HEAD PEER "0.0.0.0/0, 10.1.0.0/16\n", &a);
	want("[Interface]\nAddress = fd00::1/64, 10.0.0.9/24\nMTU = 1300\n" PEER
	     "0.0.0.0/0, 10.2.0.0/16\n",
	     &b);
	check(&a, &b,
	      "ip -4 address add 10.0.0.9/24 dev wg0\n"
	      "ip link set mtu 1300 up dev wg0\n"
	      "ip -4 route add 10.2.0.0/16 dev wg0\n"
	      "nft add table ip wg-quick-wg0\n"
	      "ip -4 route delete 10.1.0.0/16 dev wg0\n"
	      "ip -4 address delete 10.0.0.1/24 dev wg0\n");
	weft_host_state_clear(&b);
	want(HEAD "FwMark = 9\n" PEER "0.0.0.0/0, 10.1.0.0/16\n", &b);
	check(&a, &b,
	      "weft set wg0 fwmark 9\n"
	      "ip -4 route add 0.0.0.0/0 dev wg0 table 9\n"
	      "ip -4 rule add not fwmark 9 table 9\n"
	      "ip -4 rule delete table main suppress_prefixlength 0\n"
	      "ip -4 rule add table main suppress_prefixlength 0\n"
	      "nft add table ip wg-quick-wg0\n"
	      "ip -4 rule delete not fwmark 51820 table 51820\n"
	      "ip -4 route delete 0.0.0.0/0 dev wg0 table 51820\n");
	weft_host_state_clear(&b);
	check(&a, &none,
	      "ip -4 rule delete not fwmark 51820 table 51820\n"
	      "ip -4 rule delete table main suppress_prefixlength 0\n"
	      "nft delete table ip wg-quick-wg0\n"
	      "ip -4 route delete 10.1.0.0/16 dev wg0\n"
	      "ip -4 route delete 0.0.0.0/0 dev wg0 table 51820\n"
	      "ip -4 address delete 10.0.0.1/24 dev wg0\n"
	      "ip -6 address delete fd00::1/64 dev wg0\n");
	weft_host_state_clear(&a);
}

/* What the kernel would refuse while the old is there comes after it. */
static void in_the_way(void **state)
{
	struct weft_host_state a, b;

	(void)state;
	want(HEAD PEER "10.1.0.0/16\n", &a);
	want("[Interface]\nAddress = 10.9.0.1/24, fd00::1/48\n" PEER "10.0.0.0/24\n", &b);
	check(&a, &b,
	      "ip -6 address delete fd00::1/64 dev wg0\n"
	      "ip -4 address add 10.9.0.1/24 dev wg0\n"
	      "ip -6 address add fd00::1/48 dev wg0\n"
	      "ip -4 route delete 10.1.0.0/16 dev wg0\n"
	      "ip -4 address delete 10.0.0.1/24 dev wg0\n"
	      "ip -4 route add 10.0.0.0/24 dev wg0\n");
	weft_host_state_clear(&b);
	weft_host_state_clear(&a);
}

/* A default route that goes: the mark stays until the rules are gone. */
static void mark_and_dns(void **state)
{
	struct weft_host_state a, b;

	(void)state;
	want(HEAD "DNS = 10.0.0.53, a.example\n" PEER "::/0\n", &a);
	want(HEAD "DNS = 10.0.0.53, b.example\n" PEER "10.1.0.0/16\n", &b);
	assert_string_equal(a.dns, "nameserver 10.0.0.53\nsearch a.example\n");
	check(&a, &b,
	      "resolvconf -a wg0 -m 0 -x\n"
	      "ip -4 route add 10.1.0.0/16 dev wg0\n"
	      "ip -6 rule delete not fwmark 51820 table 51820\n"
	      "ip -6 rule delete table main suppress_prefixlength 0\n"
	      "nft delete table ip6 wg-quick-wg0\n"
	      "weft set wg0 fwmark off\n"
	      "ip -6 route delete ::/0 dev wg0 table 51820\n");
	weft_host_state_clear(&a);
	want(HEAD "DNS = a.example\n" PEER "10.1.0.0/16\n", &a);
	assert_null(a.dns);
	check(&b, &a, "resolvconf -d wg0 -f\n");
	weft_host_state_clear(&a);
	weft_host_state_clear(&b);
}

/* Weft's own keys: what they add, and in which order it comes and goes. */
static void weft_keys(void **state)
{
	struct weft_host_state plain, a, b, none = {0};

	(void)state;
	want(HEAD PEER "0.0.0.0/0, 172.16.0.0/12\n", &plain);
	assert_false(weft_fence_is_wanted(&plain.fence));
	want(HEAD "Exclude = 172.16.0.0/13, 192.0.2.7, fd77::/16\n" PEER
		  "0.0.0.0/0, 172.16.0.0/12\n",
	     &a);
	check(&none, &a,
	      BASE "weft set wg0 fwmark 51820\n"
		   "ip -4 route add 172.24.0.0/13 dev wg0\n"
		   "ip -4 route add throw 172.16.0.0/13 table 51820\n"
		   "ip -4 route add throw 192.0.2.7/32 table 51820\n"
		   "ip -4 route add 0.0.0.0/0 dev wg0 table 51820\n"
		   "ip -4 rule add not fwmark 51820 table 51820\n"
		   "ip -4 rule add table main suppress_prefixlength 0\n"
		   "sysctl -q net.ipv4.conf.all.src_valid_mark=1\n"
		   "nft add table ip wg-quick-wg0\n");
	check(&plain, &a,
	      "ip -4 route add 172.24.0.0/13 dev wg0\n"
	      "ip -4 route add throw 172.16.0.0/13 table 51820\n"
	      "ip -4 route add throw 192.0.2.7/32 table 51820\n"
	      "ip -4 route delete 172.16.0.0/12 dev wg0\n");
	weft_host_state_clear(&plain);
	want(HEAD "KillSwitch = on\n" PEER "10.1.0.0/16\n", &plain);
	assert_int_equal(plain.fence.mark, 51820);
	/* closed before all else, opened after all else */
	check(&none, &plain,
	      "nft add table inet weft-wg0 # kill switch, mark 51820\n" BASE
	      "weft set wg0 fwmark 51820\nip -4 route add 10.1.0.0/16 dev wg0\n");
	plain.fence.intact = true;
	want(HEAD PEER "10.2.0.0/16\n", &b);
	check(&plain, &b,
	      "ip -4 route add 10.2.0.0/16 dev wg0\nip -4 route delete 10.1.0.0/16 dev wg0\n"
	      "nft delete table inet weft-wg0\nweft set wg0 fwmark off\n");
	/* the tunnel's own packets pass all the time */
	check(&b, &plain,
	      "weft set wg0 fwmark 51820\nnft add table inet weft-wg0 # kill switch, mark 51820\n"
	      "ip -4 route add 10.1.0.0/16 dev wg0\nip -4 route delete 10.2.0.0/16 dev wg0\n");
	weft_host_state_clear(&b);
	want(HEAD "MTU = auto\n" PEER "10.1.0.0/16\n", &b);
	check(&plain, &b, "nft add table inet weft-wg0\nweft set wg0 fwmark off\n");
	weft_host_state_clear(&b);
	want(HEAD "KillSwitch = on\nExclude = 192.0.2.0/24\n" PEER "10.1.0.0/16\n", &b);
	check(&plain, &b, "nft add table inet weft-wg0 # kill switch, mark 51820\n");
	weft_host_state_clear(&b);
	weft_host_state_clear(&a);
	weft_host_state_clear(&plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_nothing), cmocka_unit_test(weft_keys),
		cmocka_unit_test(mtu_auto),     cmocka_unit_test(smallest),
		cmocka_unit_test(in_the_way),   cmocka_unit_test(mark_and_dns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
