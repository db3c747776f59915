/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interface's watcher and what we set on it, against the real kernel.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "linux/link.h"
#include "linux/tun.h"
#include "netns.h"

static struct weft_tun tun;
static struct weft_link *link_;

static int setup(void **state)
{
	(void)state;
	if (!have_netns)
		return 0;
	if (weft_tun_open(&tun, "wlink%d", true, false) < 0)
		return -1;
	return weft_link_open(&link_, tun.ifindex) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	if (!have_netns)
		return 0;
	weft_link_close(link_);
	weft_tun_close(&tun);
	return 0;
}

/* All that is there to read; nothing more may come after. */
static int changes(void)
{
	int all = 0, r;

	while (poll(&(struct pollfd){.fd = weft_link_fd(link_), .events = POLLIN}, 1, 0) > 0) {
		r = weft_link_read(link_);
		assert_true(r >= 0);
		all |= r;
	}
	return all;
}

static void test_state_and_changes(void **state)
{
	(void)state;
	NEEDS_NETNS();
	assert_false(weft_link_is_up(link_));
	assert_int_equal(weft_link_mtu(link_), WEFT_TUN_DEFAULT_MTU);
	(void)changes();
	assert_int_equal(weft_link_read(link_), 0);

	sh("ip link set %s up", tun.name);
	assert_true(changes() & WEFT_LINK_UP);
	assert_true(weft_link_is_up(link_));
	sh("ip link set %s mtu 1300", tun.name);
	assert_true(changes() & WEFT_LINK_MTU);
	assert_int_equal(weft_link_mtu(link_), 1300);
	/* Other interfaces are no business of ours, but for their addresses and MTU. */
	sh("ip link add x0 type veth peer x1 && ip link set x0 mtu 1200");
	assert_int_equal(changes() & ~(WEFT_LINK_ROUTE | WEFT_LINK_ADDRESS), WEFT_LINK_OTHER_MTU);
	sh("ip link set x0 up && ip link set x0 down");
	assert_false(changes() & WEFT_LINK_OTHER_MTU); /* it is as it was */
	sh("ip link set x0 mtu 1250");
	assert_true(changes() & WEFT_LINK_OTHER_MTU);
	assert_int_equal(weft_link_mtu(link_), 1300);
	sh("ip addr add 192.0.2.1/24 dev x0");
	assert_true(changes() & WEFT_LINK_ADDRESS);
	sh("ip link del x0");
	assert_false(changes() & WEFT_LINK_DELETED);

	sh("ip link set %s down", tun.name);
	assert_true(changes() & WEFT_LINK_DOWN);
	assert_false(weft_link_is_up(link_));
	sh("ip link set %s up && ip link set %s down", tun.name, tun.name);
	assert_true((changes() & (WEFT_LINK_UP | WEFT_LINK_DOWN)) ==
		    (WEFT_LINK_UP | WEFT_LINK_DOWN));
	assert_false(weft_link_is_up(link_));
}

static void test_routes(void **state)
{
	struct weft_ip ip, source;
	unsigned ifindex = 0;

	(void)state;
	NEEDS_NETNS();
	sh("ip link set %s up", tun.name);
	(void)changes();
	assert_int_equal(weft_ip_parse("198.51.100.9", 12, &ip), 0);
	assert_int_equal(weft_route_lookup(link_, &ip, NULL, 0, &ifindex), -ENETUNREACH);
	assert_int_equal(ifindex, 0);
	sh("ip route add 198.51.100.0/24 dev %s", tun.name);
	assert_true(changes() & WEFT_LINK_ROUTE);
	assert_int_equal(weft_route_lookup(link_, &ip, NULL, 0, &ifindex), 0);
	assert_int_equal(ifindex, tun.ifindex);
	/* With our mark it goes elsewhere, as wg-quick arranges it. */
	sh("ip route add local 198.51.100.0/24 dev lo table 77");
	sh("ip rule add fwmark 0xca6c lookup 77");
	assert_true(changes() & WEFT_LINK_ROUTE);
	assert_int_equal(weft_route_lookup(link_, &ip, NULL, 0xca6c, &ifindex), 0);
	assert_int_equal(ifindex, if_nametoindex("lo"));
	assert_int_equal(weft_route_lookup(link_, &ip, NULL, 0, &ifindex), 0);
	assert_int_equal(ifindex, tun.ifindex);
	sh("ip -6 rule add fwmark 0xca6c lookup 77");
	assert_true(changes() & WEFT_LINK_ROUTE);

	/* A rule may look at the source; one that is not ours has no route. */
	sh("ip addr add 10.1.0.1/32 dev %s", tun.name);
	assert_int_equal(weft_ip_parse("10.1.0.1", 8, &source), 0);
	assert_int_equal(weft_route_lookup(link_, &ip, &source, 0, &ifindex), 0);
	assert_int_equal(ifindex, tun.ifindex);
	sh("ip rule add from 10.1.0.1 lookup 77");
	assert_int_equal(weft_route_lookup(link_, &ip, &source, 0, &ifindex), 0);
	assert_int_equal(ifindex, if_nametoindex("lo"));
	assert_int_equal(weft_ip_parse("10.1.0.9", 8, &source), 0);
	assert_true(weft_route_lookup(link_, &ip, &source, 0, &ifindex) < 0);

	assert_int_equal(weft_ip_parse("2001:db8::9", 11, &ip), 0);
	assert_int_equal(weft_route_lookup(link_, &ip, &source, 0, &ifindex), -EAFNOSUPPORT);
	assert_int_equal(weft_route_lookup(link_, &ip, NULL, 0, &ifindex), -ENETUNREACH);
	sh("ip -6 route add 2001:db8::/64 dev %s", tun.name);
	assert_true(changes() & WEFT_LINK_ROUTE);
	assert_int_equal(weft_route_lookup(link_, &ip, NULL, 0, &ifindex), 0);
	assert_int_equal(ifindex, tun.ifindex);
	sh("ip -6 route add unreachable 2001:db8:1::/64");
	assert_int_equal(weft_ip_parse("2001:db8:1::9", 13, &ip), 0);
	assert_int_equal(weft_route_lookup(link_, &ip, NULL, 0, &ifindex), -EHOSTUNREACH);
	ip.family = WEFT_NONE;
	assert_int_equal(weft_route_lookup(link_, &ip, NULL, 0, &ifindex), -EAFNOSUPPORT);
}

static void check_route_mtu(const char *to, uint32_t fwmark, uint32_t want)
{
	struct weft_endpoint e = {.port = 1};
	uint32_t mtu = 0, learned = 1;

	assert_int_equal(weft_ip_parse(to, strlen(to), &e.ip), 0);
	assert_int_equal(weft_route_mtu(link_, &e, fwmark, &mtu, &learned), 0);
	assert_int_equal(mtu, want);
	assert_int_equal(learned, 0);
	/* a source that is not ours any more is passed over */
	e.local = e.ip;
	assert_int_equal(weft_route_mtu(link_, &e, fwmark, &mtu, &learned), 0);
	assert_int_equal(mtu, want);
}

static void test_route_mtu(void **state)
{
	struct weft_endpoint none = {.port = 1};
	uint32_t mtu, learned;

	(void)state;
	NEEDS_NETNS();
	sh("ip link set %s mtu 1400 up", tun.name);
	sh("ip route add 198.51.100.0/24 dev %s", tun.name);
	check_route_mtu("198.51.100.9", 0, 1400); /* the interface's */
	sh("ip route add 198.51.100.0/25 dev %s mtu 1300", tun.name);
	check_route_mtu("198.51.100.9", 0, 1300); /* the route's own */
	sh("ip route add local 198.51.100.0/24 dev lo table 78");
	sh("ip rule add fwmark 7 lookup 78");
	check_route_mtu("198.51.100.9", 7, 65536); /* by the mark */
	sh("ip -6 route add 2001:db8::/64 dev %s mtu 1290", tun.name);
	check_route_mtu("2001:db8::9", 0, 1290);
	assert_int_equal(weft_ip_parse("203.0.113.1", 11, &none.ip), 0);
	assert_int_equal(weft_route_mtu(link_, &none, 0, &mtu, &learned), -ENETUNREACH);
	none.ip.family = WEFT_NONE;
	assert_int_equal(weft_route_mtu(link_, &none, 0, &mtu, &learned), -EAFNOSUPPORT);
}

static void test_deletion(void **state)
{
	struct weft_link *l;

	(void)state;
	NEEDS_NETNS();
	sh("ip link set %s up", tun.name);
	(void)changes();
	sh("ip link del %s", tun.name);
	assert_true(changes() & WEFT_LINK_DELETED);
	assert_false(weft_link_is_up(link_));
	assert_int_equal(weft_link_open(&l, tun.ifindex), -ENODEV);
}

/* The socket's buffer overflows: the state is read anew, and the caller is told. */
static void test_overrun(void **state)
{
	int size = 1, r;

	(void)state;
	NEEDS_NETNS();
	(void)changes();
	assert_int_equal(
		setsockopt(weft_link_fd(link_), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
	sh("ip link set %s up", tun.name);
	sh("for i in 1 2 3 4 5 6 7 8 9 10 11 12; do ip addr add 10.1.$i.1/24 dev %s; done",
	   tun.name);
	sh("ip link set %s mtu 1333", tun.name);
	r = changes();
	assert_true(r & WEFT_LINK_OVERRUN);
	assert_true(r & WEFT_LINK_UP);
	assert_true(r & WEFT_LINK_MTU);
	assert_true(weft_link_is_up(link_));
	assert_int_equal(weft_link_mtu(link_), 1333);
	/* Gone, and nobody could say so. */
	sh("for i in 1 2 3 4 5 6 7 8 9 10 11 12; do ip addr add 10.2.$i.1/24 dev %s; done",
	   tun.name);
	sh("ip link del %s", tun.name);
	assert_true(changes() & WEFT_LINK_DELETED);
}

static void test_quiet(void **state)
{
	(void)state;
	NEEDS_NETNS();
	sh("echo 1 > /proc/sys/net/ipv4/conf/all/send_redirects");
	sh("echo 0 > /proc/sys/net/ipv4/conf/lo/send_redirects");
	assert_int_equal(weft_link_quiet(tun.name, tun.ifindex), 0);
	sh("ip link set %s up", tun.name);
	/* Linux gives a TUN its link-local address the moment it comes up. */
	assert_false(sh_ok("ip -6 addr show | grep fe80"));
	sh("grep -qx 0 /proc/sys/net/ipv6/conf/%s/router_solicitations", tun.name);
	sh("grep -qx 0 /proc/sys/net/ipv4/conf/%s/send_redirects", tun.name);
	/* Redirects are off here, and for the others what it was: on. */
	sh("grep -qx 0 /proc/sys/net/ipv4/conf/all/send_redirects");
	sh("grep -qx 1 /proc/sys/net/ipv4/conf/lo/send_redirects");
	sh("grep -qx 1 /proc/sys/net/ipv4/conf/default/send_redirects");
	/* Off everywhere before: then nobody's is turned on. */
	sh("echo 0 > /proc/sys/net/ipv4/conf/lo/send_redirects");
	assert_int_equal(weft_link_quiet(tun.name, tun.ifindex), 0);
	sh("grep -qx 0 /proc/sys/net/ipv4/conf/lo/send_redirects");
}

static void test_mtu_and_segments(void **state)
{
	(void)state;
	NEEDS_NETNS();
	assert_int_equal(weft_link_set_mtu(tun.ifindex, 1280), 0);
	assert_true(changes() & WEFT_LINK_MTU);
	assert_int_equal(weft_link_mtu(link_), 1280);
	assert_true(weft_link_set_mtu(tun.ifindex, 10) < 0);
	assert_int_equal(weft_link_set_mtu(99999, 1280), -ENODEV);
	assert_int_equal(weft_link_limit_gso(tun.ifindex, 1420), 0);
	sh("ip -d link show %s | grep -q 'gso_max_segs 45 '", tun.name);
	assert_int_equal(weft_link_limit_gso(tun.ifindex, 65535), 0);
	sh("ip -d link show %s | grep -q 'gso_max_segs 1 '", tun.name);
	assert_false(changes() & WEFT_LINK_MTU);
}

#define WITH_LINK(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_LINK(test_state_and_changes),
		WITH_LINK(test_route_mtu),
		WITH_LINK(test_routes),
		WITH_LINK(test_deletion),
		WITH_LINK(test_overrun),
		WITH_LINK(test_quiet),
		WITH_LINK(test_mtu_and_segments),
	};

	return cmocka_run_group_tests(tests, enter_netns, NULL);
}
