/* SPDX-License-Identifier: Apache-2.0 */
/* Ways, echo requests, ports that refuse and ports that are held, in a namespace with a veth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "linux/probe.h"
#include "linux/way.h"
#include "netns.h"

static struct weft_ip ip(const char *text)
{
	struct weft_ip ret;

	assert_int_equal(weft_ip_parse(text, strlen(text), &ret), 0);
	return ret;
}

static int setup(void **state)
{
	int rc = enter_netns(state);

	if (have_netns)
		sh("ip link add v0 mtu 1400 type veth peer name v1 && ip link set v0 up && "
		   "ip link set v1 up && ip addr add 192.0.2.1/24 dev v0 && "
		   "ip addr add fd00::1/64 dev v0 nodad && ip route add 10.0.0.0/8 via 192.0.2.7 "
		   "&& "
		   "ip route add 10.1.0.0/16 dev v0 mtu 1300 && ip route add unreachable "
		   "10.2.0.0/16 "
		   "&& ip rule add fwmark 5 table 5 && ip route add 10.3.0.0/16 dev v1 table 5");
	return rc;
}

static void expect_way(const char *to, uint32_t mark, const char *ifname, const char *matched,
		       uint32_t mtu)
{
	struct weft_ip address = ip(to);
	char text[WEFT_PREFIX_TEXT_LEN];
	struct weft_way way;

	assert_int_equal(weft_way_find(&address, mark, &way), 0);
	assert_string_equal(way.ifname, ifname);
	assert_string_equal(weft_prefix_format(&way.matched, text), matched);
	assert_int_equal(way.mtu, mtu);
}

static void ways(void **state)
{
	struct weft_way way;
	struct weft_ip to;

	(void)state;
	NEEDS_NETNS();
	expect_way("192.0.2.9", 0, "v0", "192.0.2.0/24", 1400);
	expect_way("10.3.0.1", 0, "v0", "10.0.0.0/8", 1400);
	expect_way("10.1.2.3", 0, "v0", "10.1.0.0/16", 1300);
	expect_way("10.3.0.1", 5, "v1", "10.3.0.0/16", 1500);
	expect_way("fd00::7", 0, "v0", "fd00::/64", 1400);
	to = ip("192.0.2.9");
	assert_int_equal(weft_way_find(&to, 0, &way), 0);
	assert_false(way.local);
	to = ip("192.0.2.1");
	assert_true(weft_ip_equal(&way.source, &to));
	assert_int_equal(weft_way_find(&to, 0, &way), 0);
	assert_true(way.local);
	to = ip("10.2.0.1");
	assert_int_equal(weft_way_find(&to, 0, &way), -EHOSTUNREACH);
	to = ip("203.0.113.1");
	assert_int_equal(weft_way_find(&to, 0, &way), -ENETUNREACH);
	to = ip("2001:db8::1");
	assert_int_equal(weft_way_find(&to, 0, &way), -ENETUNREACH);
}

static void echoes(void **state)
{
	struct weft_ip here = ip("127.0.0.1"), here6 = ip("::1"), nobody = ip("192.0.2.9");

	(void)state;
	NEEDS_NETNS();
	assert_int_equal(weft_probe_echo("lo", &here, 84, 5000), 1);
	assert_int_equal(weft_probe_echo("lo", &here, 1499, 5000), 1);
	assert_int_equal(weft_probe_echo("lo", &here6, 104, 5000), 1);
	assert_int_equal(weft_probe_echo("v0", &nobody, 84, 10), 0);
	assert_int_equal(weft_probe_echo("v0", &nobody, 1401, 10), -EMSGSIZE);
	assert_int_equal(weft_probe_echo("v0", &nobody, 27, 10), -EINVAL);
	assert_int_equal(weft_probe_echo("v9", &nobody, 84, 10), -ENODEV);
}

static void ports(void **state)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(51999)};
	struct weft_endpoint to = {.ip = ip("127.0.0.1"), .port = 51999};
	struct weft_port_holder holder;
	int fd;

	(void)state;
	NEEDS_NETNS();
	assert_int_equal(weft_probe_port(&to, 0, 5000), -ECONNREFUSED);
	assert_int_equal(weft_port_find(51999, 0, &holder), 0);
	assert_false(holder.taken);
	fd = socket(AF_INET6, SOCK_DGRAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(weft_probe_port(&to, 0, 10), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(weft_port_find(51999, i ? getpid() : 0, &holder), 0);
		assert_true(holder.taken);
		assert_int_equal(holder.pid, getpid());
		assert_true(strncmp(holder.name, "test_linux_prob", 15) == 0);
	}
	close(fd);
	to.ip = ip("203.0.113.1");
	assert_int_equal(weft_probe_port(&to, 0, 10), -ENETUNREACH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ways),
		cmocka_unit_test(echoes),
		cmocka_unit_test(ports),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
