/* SPDX-License-Identifier: Apache-2.0 */
/* systemd-networkd's files: what is read of them, what is left out with a warning, where an error
 * is found, and the file for `weft up` that is made of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "conf/networkd.h"

#define K1     "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
#define K2     "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="
#define NETDEV "[NetDev]\nName=wg7\nKind=wireguard\n"
#define PEER   "[WireGuardPeer]\nPublicKey=" K2 "\n"

/* The warnings, one a line. */
struct heard {
	char text[2048];
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

/* Reads what has to be right. */
static void read_good(const char *text, struct weft_networkd *n, const char *warnings)
{
	struct heard heard = {0};
	struct weft_diag diag = {0};
	int rc = weft_networkd_parse(text, strlen(text), n, hear, &heard, &diag);

	if (rc)
		print_error("%u:%u: %s\n", diag.line, diag.column, diag.message);
	assert_int_equal(rc, 0);
	assert_string_equal(heard.text, warnings);
}

/* What becomes of a .netdev and a .network, and that weft reads it. */
static void check_made(const char *netdev_text, const char *network_text, const char *expected)
{
	struct weft_networkd netdev = {0}, network = {0};
	const struct weft_networkd *networks[] = {&network};
	struct weft_text out = {0};
	struct weft_quick q = {0};

	read_good(netdev_text, &netdev, "");
	read_good(network_text, &network, "");
	assert_int_equal(weft_networkd_write(&out, &netdev, networks, 1), 0);
	assert_int_equal(weft_text_append(&out, "", 1), 0);
	assert_string_equal(out.p, expected);
	assert_int_equal(weft_quick_parse(out.p, out.len - 1, &q, NULL, NULL, NULL), 0);
	weft_quick_clear(&q);
	weft_text_clear(&out);
	weft_networkd_clear(&netdev);
	weft_networkd_clear(&network);
}

static void test_whole(void **state)
{
	(void)state;
	check_made(
		"# c\n; c\n" NETDEV "Description=x\nMTUBytes=1400\n\n[WireGuard]\n"
		"PrivateKey = " K1 "\nListenPort=51820\nFirewallMark=0x1234\nRouteTable=1000\n"
		"[WireGuardPeer]\n  PublicKey=" K2 "  \nPresharedKey=" K1 "\n"
		"AllowedIPs=10.7.0.0/24,fd07::/64 \\\n# within\n 10.8.0.1\nAllowedIPs=::/0\n"
		"Endpoint=gw.example.com:51820\nPersistentKeepalive=25\n" PEER
		"Endpoint=[2001:db8::1]:5\r\nPersistentKeepalive=off\n",
		"[Match]\nName=wg7\n[Network]\nAddress=10.7.0.2/24\nDNS=10.7.0.1 ::1\nDNS=1.1.1.1\n"
		"Domains=a.example ~. b.example\n[Address]\nAddress=fd07::2/64\n",
		"[Interface]\nPrivateKey = " K1 "\nListenPort = 51820\nFwMark = 0x1234\n"
		"Address = 10.7.0.2/24\nAddress = fd07::2/64\n"
		"DNS = 10.7.0.1\nDNS = ::1\nDNS = 1.1.1.1\nDNS = a.example\nDNS = b.example\n"
		"MTU = 1400\nTable = 1000\n"
		"\n[Peer]\nPublicKey = " K2 "\nPresharedKey = " K1 "\n"
		"AllowedIPs = 10.7.0.0/24, fd07::/64, 10.8.0.1/32, ::/0\n"
		"Endpoint = gw.example.com:51820\nPersistentKeepalive = 25\n"
		"\n[Peer]\nPublicKey = " K2 "\nEndpoint = [2001:db8::1]:5\n");
}

static void test_routes(void **state)
{
	(void)state;
	/* networkd makes none of allowed IPs by itself */
	check_made(NETDEV PEER "AllowedIPs=0.0.0.0/0\n", "[Network]\n",
		   "[Interface]\nTable = off\n\n[Peer]\nPublicKey = " K2
		   "\nAllowedIPs = 0.0.0.0/0\n");
	/* those of the allowed IPs, in any order and more than once */
	check_made(NETDEV PEER "AllowedIPs=10.0.0.0/8,fd07::/64\n",
		   "[Route]\nDestination=fd07::/64\nScope=link\n[Route]\nDestination=10.0.0.0/8\n"
		   "[Route]\nDestination=10.0.0.0/8\n",
		   "[Interface]\nTable = auto\n\n[Peer]\nPublicKey = " K2
		   "\nAllowedIPs = 10.0.0.0/8, fd07::/64\n");
	check_made(NETDEV PEER "AllowedIPs=10.0.0.0/8\n",
		   "[Route]\nDestination=10.0.0.0/8\nTable=77\n",
		   "[Interface]\nTable = 77\n\n[Peer]\nPublicKey = " K2
		   "\nAllowedIPs = 10.0.0.0/8\n");
	/* but for default routes, for which "auto" would make rules */
	check_made(NETDEV "[WireGuard]\nRouteTable=main\n" PEER "AllowedIPs=::/0\n", "[Network]\n",
		   "[Interface]\nTable = main\n\n[Peer]\nPublicKey = " K2 "\nAllowedIPs = ::/0\n");
	/* others are hooks */
	check_made(NETDEV PEER "AllowedIPs=10.0.0.0/8\n",
		   "[Route]\nDestination=10.1.0.7/16\nMetric=5\nTable=77\n"
		   "[Route]\nGateway=fd07::1\nGatewayOnLink=yes\n",
		   "[Interface]\nTable = off\n"
		   "PostUp = ip route add 10.1.0.0/16 dev %i table 77 metric 5\n"
		   "PostUp = ip route add ::/0 via fd07::1 dev %i onlink\n"
		   "\n[Peer]\nPublicKey = " K2 "\nAllowedIPs = 10.0.0.0/8\n");
	/* nor do they take the place of a table */
	check_made(NETDEV "[WireGuard]\nRouteTable=main\n" PEER "AllowedIPs=10.0.0.0/8\n",
		   "[Route]\nDestination=10.0.0.0/8\nTable=7\n",
		   "[Interface]\nTable = auto\nPostUp = ip route add 10.0.0.0/8 dev %i table 7\n"
		   "\n[Peer]\nPublicKey = " K2 "\nAllowedIPs = 10.0.0.0/8\n");
}

static void test_keys_elsewhere(void **state)
{
	struct weft_networkd n = {0};

	(void)state;
	check_made(NETDEV "[WireGuard]\nPrivateKey=@network.wireguard.private.wg7\n" PEER
			  "PresharedKey=@psk\n",
		   "[Network]\n",
		   "[Interface]\nTable = off\n"
		   "PostUp = weft set %i private-key "
		   "${CREDENTIALS_DIRECTORY}/network.wireguard.private.wg7\n"
		   "PostUp = weft set %i peer " K2 " preshared-key ${CREDENTIALS_DIRECTORY}/psk\n"
		   "\n[Peer]\nPublicKey = " K2 "\n");
	read_good(NETDEV "[WireGuard]\nPrivateKeyFile=/k/a b\n[WireGuardPeer]\nPublicKeyFile=/k/p\n"
			 "PresharedKeyFile=/k/s\n",
		  &n, "");
	assert_string_equal(n.private_key.file, "/k/a b");
	assert_int_equal(n.private_key.line, 5);
	assert_int_equal(n.private_key.column, 16);
	assert_string_equal(n.peers[0].public_key.file, "/k/p");
	assert_string_equal(n.peers[0].psk.file, "/k/s");
	assert_false(n.peers[0].has_key);
	weft_networkd_clear(&n);
}

/* An empty value takes back what was said. */
static void test_empty(void **state)
{
	(void)state;
	check_made(NETDEV "MTUBytes=2K\nMTUBytes=\n[WireGuard]\nPrivateKey=" K1 "\nPrivateKey=\n"
			  "ListenPort=5\nListenPort=auto\nFirewallMark=5\nFirewallMark=\n"
			  "RouteTable=5\nRouteTable=off\n" PEER "PresharedKey=" K1
			  "\nPresharedKey=\nAllowedIPs=::/0\nAllowedIPs=\n"
			  "Endpoint=a:1\nEndpoint=\nPersistentKeepalive=5\nPersistentKeepalive=\n",
		   "[Network]\nAddress=10.0.0.1/8\nAddress=\nAddress=10.0.0.2/8\n",
		   "[Interface]\nAddress = 10.0.0.2/8\nTable = off\n\n[Peer]\nPublicKey = " K2
		   "\n");
}

static void test_mtu(void **state)
{
	struct weft_networkd n = {0};

	(void)state;
	read_good("[Link]\nMTUBytes=2K\n", &n, "");
	assert_int_equal(n.mtu, 2048);
	weft_networkd_clear(&n);
}

static void test_warnings(void **state)
{
	static const struct {
		const char *text, *warnings;
	} cases[] = {
		{"[Network]\nIPForward=yes\n", "2:1: IPForward in [Network] is left out\n"},
		{"[Network]\nAdress=10.0.0.1/8\n",
		 "2:1: Adress in [Network] is left out (did you mean Address?)\n"},
		{"[network]\nAddress=x\n",
		 "1:2: [network] and all in it is left out (did you mean [Network]?)\n"},
		{"[RoutingPolicyRule]\nTable=x\n",
		 "1:2: [RoutingPolicyRule] and all in it is left out\n"},
		{"[X-mine]\nAddress=x\n", ""},
		{"Address=x\n", ""},
		{"[Network]\nDNS=1.1.1.1:53 [fd00::1]:53#x fe80::1%eth0 1.1.1.1\n",
		 "2:5: DNS: of 1.1.1.1:53 the address alone is taken over\n"
		 "2:16: DNS: of [fd00::1]:53#x the address alone is taken over\n"
		 "2:31: DNS: of fe80::1%eth0 the address alone is taken over\n"},
		{"[Network]\nDomains=~corp.example\n",
		 "2:9: Domains: ~corp.example becomes a domain to search in\n"},
		{"[Address]\nAddress=10.0.0.1\n",
		 "2:9: Address: without a length it is taken for /32\n"},
		{PEER "AllowedIPs=::/0,10.0.0.1/8\n",
		 "3:17: AllowedIPs: bits after the prefix are cleared in 10.0.0.1/8\n"},
		{PEER "RouteTable=7\n", "3:12: RouteTable: of a single peer it is left out; Table "
					"in [Interface] is for all of them\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weft_networkd n = {0};

		read_good(cases[i].text, &n, cases[i].warnings);
		weft_networkd_clear(&n);
	}
}

static void test_bad(void **state)
{
	static const struct {
		const char *text;
		unsigned line, column;
		const char *message; /* a part of it */
	} cases[] = {
		{"[NetDev]\nName=wg7\nKind=vlan\n", 3, 6,
		 "Kind: expected wireguard, found \"vlan\""},
		{"[NetDev]\nName=a/b\n", 2, 6, "an interface's name"},
		{"[NetDev]\nName=a234567890123456\n", 2, 6, "an interface's name"},
		{"[NetDev]\nKind=wireguard\n", 0, 0, "[NetDev] has no Name"},
		{"[NetDev]\nName=wg7\n", 0, 0, "[NetDev] has no Kind=wireguard"},
		{"[NetDev\n", 1, 1, "expected [section]"},
		{"[NetDev] x\n", 1, 1, "expected [section]"},
		{"[WireGuard]\nPrivateKey\n", 2, 1, "expected Key=value"},
		{"[WireGuard]\n =x\n", 2, 2, "expected Key=value"},
		{"[WireGuard]\nPrivateKey=@a/b\n", 2, 12, "the name of a credential"},
		{"[WireGuard]\nPrivateKey=@\n", 2, 12, "the name of a credential"},
		{"[WireGuard]\nPrivateKey=@$(x)\n", 2, 12, "the name of a credential"},
		{"[WireGuard]\nPrivateKeyFile=key\n", 2, 16, "a file's path from the root"},
		{"[WireGuard]\nListenPort=65536\n", 2, 12, "a port from 0 to 65535, or auto"},
		{"[WireGuard]\nFirewallMark=x\n", 2, 14, "FirewallMark: expected"},
		{"[WireGuard]\nRouteTable=a;b\n", 2, 12, "a routing table"},
		{"[WireGuard]\nRouteTable=5a\n", 2, 12, "a routing table"},
		{"[WireGuard]\nRouteTable=4294967296\n", 2, 12, "a routing table"},
		{"[WireGuardPeer]\nAllowedIPs=::/0\n", 1, 1, "neither PublicKey nor PublicKeyFile"},
		{"[WireGuardPeer]\nPublicKey=" K1 "x\n", 2, 11, "PublicKey: expected a key"},
		{PEER "AllowedIPs=::/0, 10.0.0.0/33\n", 3, 18, "AllowedIPs: expected"},
		{PEER "AllowedIPs=::/0 \\\n 10.0.0.0/33\n", 3, 19, "AllowedIPs: expected"},
		{PEER "Endpoint=1.2.3.4\n", 3, 10, "host:port"},
		{PEER "Endpoint=a:1#b\n", 3, 10, "host:port"},
		{PEER "PersistentKeepalive=65536\n", 3, 21, "PersistentKeepalive: expected"},
		{"[Link]\nMTUBytes=67\n", 2, 10, "from 68 to 65535"},
		{"[Link]\nMTUBytes=64K\n", 2, 10, "from 68 to 65535"},
		{"[Link]\nMTUBytes=K\n", 2, 10, "from 68 to 65535"},
		{"[Link]\nMTUBytes=4294968796\n", 2, 10, "from 68 to 65535"},
		{"[Network]\nAddress=dhcp\n", 2, 9, "Address: expected"},
		{"[Network]\nDNS=a.example\n", 2, 5, "the address of a name server"},
		{"[Network]\nDomains=1.2\n", 2, 9, "a domain"},
		{"[Network]\nDomains=~\n", 2, 9, "a domain"},
		{"[Network]\nDomains=a,b\n", 2, 9, "a domain"},
		{"[Route]\nMetric=5\n", 1, 1, "neither Destination nor Gateway"},
		{"[Route]\nDestination=a\n", 2, 13, "Destination: expected"},
		{"[Route]\nGateway=_dhcp4\n", 2, 9, "an address"},
		{"[Route]\nMetric=4294967296\n", 2, 8, "a number"},
		{"[Route]\nTable=-f\n", 2, 7, "a routing table"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weft_networkd n = {0};
		struct weft_diag diag = {0};
		struct heard heard = {0};
		int rc = weft_networkd_parse(cases[i].text, strlen(cases[i].text), &n, hear, &heard,
					     &diag);

		if (rc != WEFT_E_PARSE || !strstr(diag.message, cases[i].message) ||
		    diag.line != cases[i].line || diag.column != cases[i].column)
			fail_msg("%s: %d, %u:%u: %s", cases[i].text, rc, diag.line, diag.column,
				 diag.message);
		weft_networkd_clear(&n);
	}
}

/* A key that is wrong is still one. */
static void test_no_key_is_shown(void **state)
{
	static const char *const texts[] = {
		"[WireGuard]\nPrivateKey=" K1 "x\n",
		"[WireGuard]\nPrivateKeyFile\n" K1 "\n",
		PEER "PresharedKey=" K1 "x\n",
		"[WireGuard]\nPrivateKy=" K1 "\nx\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct weft_networkd n = {0};
		struct weft_diag diag = {0};
		struct heard heard = {0};

		assert_int_equal(
			weft_networkd_parse(texts[i], strlen(texts[i]), &n, hear, &heard, &diag),
			WEFT_E_PARSE);
		assert_null(strstr(diag.message, "AQEB"));
		assert_null(strstr(heard.text, "AQEB"));
		weft_networkd_clear(&n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole), cmocka_unit_test(test_routes),
		cmocka_unit_test(test_empty), cmocka_unit_test(test_keys_elsewhere),
		cmocka_unit_test(test_mtu),   cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_bad),   cmocka_unit_test(test_no_key_is_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
