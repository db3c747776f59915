/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The outer sockets against the real kernel, over loopback: trains, sources, DS field, ports.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "linux/udp.h"
#include "netns.h"

#define TRAIN_BYTES 200000

static uint8_t sent[TRAIN_BYTES], got[TRAIN_BYTES];
static struct weft_udp a, b;
static struct weft_udp_rx *rx;
static uint8_t buffers[WEFT_UDP_BATCH][WEFT_UDP_RX_BYTES];
static uint8_t *bufs[WEFT_UDP_BATCH];

static struct weft_endpoint at(const char *ip, uint16_t port)
{
	struct weft_endpoint e = {.port = port};

	assert_int_equal(weft_ip_parse(ip, strlen(ip), &e.ip), 0);
	return e;
}

static int fd_for(const struct weft_udp *u, const char *ip)
{
	return strchr(ip, ':') ? u->fd6 : u->fd4;
}

/* What arrived until `bytes` were there: gathered in `got`, with the last train's details. */
struct arrival {
	size_t bytes;
	unsigned trains, datagrams, joined;
	struct weft_udp_train last;
};

static struct arrival receive(struct weft_udp *u, int fd, size_t bytes)
{
	const struct weft_udp_train *t;
	struct arrival r = {0};
	int n;

	do {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		if (poll(&p, 1, 2000) <= 0)
			fail_msg("%zu of %zu bytes came", r.bytes, bytes);
		n = weft_udp_recv(u, fd, rx, bufs, WEFT_UDP_BATCH, &t);
		assert_true(n >= 0);
		for (int i = 0; i < n; i++) {
			assert_false(t[i].truncated);
			assert_true(r.bytes + t[i].len <= sizeof(got));
			memcpy(got + r.bytes, t[i].data, t[i].len);
			r.bytes += t[i].len;
			r.trains++;
			r.joined += t[i].len > t[i].segment;
			r.datagrams += (unsigned)((t[i].len + t[i].segment - 1) /
						  (t[i].segment ? t[i].segment : 1));
			r.last = t[i];
		}
	} while (r.bytes < bytes);
	return r;
}

static int setup_pair(void **state)
{
	(void)state;
	if (!have_netns)
		return 0;
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (uint8_t)(i * 2654435761u >> 11);
	memset(got, 0, sizeof(got));
	for (unsigned i = 0; i < WEFT_UDP_BATCH; i++)
		bufs[i] = buffers[i];
	if (weft_udp_rx_new(&rx) < 0)
		return -1;
	return weft_udp_open(&a, 0, 0, true) < 0 || weft_udp_open(&b, 0, 0, true) < 0 ? -1 : 0;
}

static int teardown_pair(void **state)
{
	(void)state;
	if (!have_netns)
		return 0;
	weft_udp_close(&a);
	weft_udp_close(&b);
	weft_udp_rx_free(rx);
	return 0;
}

static const char *const loopbacks[] = {"127.0.0.1", "::1"};

static bool any_no_gso(const struct weft_udp *u)
{
	for (size_t i = 0; i < sizeof(u->no_gso) / sizeof(u->no_gso[0]); i++)
		if (atomic_load(&u->no_gso[i]))
			return true;
	return false;
}

static void test_open(void **state)
{
	struct weft_udp taken;

	(void)state;
	NEEDS_NETNS();
	assert_true(a.fd4 >= 0 && a.fd6 >= 0 && a.port != 0);
	assert_true(a.gro);
	assert_true(atomic_load(&a.gso));
	assert_int_equal(weft_udp_open(&taken, a.port, 0, true), -EADDRINUSE);
	/* A port that is taken in one family only is taken. */
	close(a.fd4);
	a.fd4 = -1;
	assert_int_equal(weft_udp_open(&taken, a.port, 0, true), -EADDRINUSE);
	assert_int_equal(weft_udp_open(&taken, 51820, 0, false), 0);
	assert_int_equal(taken.port, 51820);
	assert_false(taken.gro);
	assert_false(atomic_load(&taken.gso));
	weft_udp_close(&taken);
	assert_int_equal(taken.fd4, -1);
	assert_int_equal(taken.fd6, -1);
	weft_udp_close(&taken);
}

/* Five ports to choose from, four of them taken in IPv6: the race is lost until the fifth. */
static void test_port_for_both_families(void **state)
{
	struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6};
	struct weft_udp u;
	int fd[5], one = 1;

	(void)state;
	NEEDS_NETNS();
	sh("echo 45000 45004 > /proc/sys/net/ipv4/ip_local_port_range");
	for (unsigned i = 0; i < 5; i++) {
		fd[i] = socket(AF_INET6, SOCK_DGRAM, 0);
		assert_int_equal(setsockopt(fd[i], IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)),
				 0);
		sin6.sin6_port = htons((uint16_t)(45000 + i));
		if (i != 3)
			assert_int_equal(bind(fd[i], (struct sockaddr *)&sin6, sizeof(sin6)), 0);
	}
	assert_int_equal(weft_udp_open(&u, 0, 0, true), 0);
	assert_int_equal(u.port, 45003);
	weft_udp_close(&u);
	sin6.sin6_port = htons(45003);
	assert_int_equal(bind(fd[3], (struct sockaddr *)&sin6, sizeof(sin6)), 0);
	assert_int_equal(weft_udp_open(&u, 0, 0, true), -EADDRINUSE);
	for (unsigned i = 0; i < 5; i++)
		close(fd[i]);
	sh("echo 32768 60999 > /proc/sys/net/ipv4/ip_local_port_range");
}

/* A kernel without one of the families, as seccomp can play it. Exit code 0: as it should be. */
static int child_without(int family)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)family, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {sizeof(code) / sizeof(code[0]), code};
	struct weft_endpoint other = {.ip = {.family = family == AF_INET ? WEFT_IPV4 : WEFT_IPV6},
				      .port = 9};
	struct weft_udp u;
	bool stale = false;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0)
		return 1;
	if (weft_udp_open(&u, 0, 0, true) != 0 || u.port == 0)
		return 2;
	if ((family == AF_INET6 ? u.fd6 : u.fd4) != -1 || (family == AF_INET6 ? u.fd4 : u.fd6) < 0)
		return 3;
	if (weft_udp_send(&u, &other, 0, sent, 10, 10, &stale) != -EAFNOSUPPORT)
		return 4;
	if (weft_udp_set_fwmark(&u, 3) != 0)
		return 5;
	return 0;
}

static void test_one_family_missing(void **state)
{
	static const int families[] = {AF_INET, AF_INET6};

	(void)state;
	NEEDS_NETNS();
	for (unsigned i = 0; i < 2; i++) {
		int status;
		pid_t pid = fork();

		if (pid == 0)
			_exit(child_without(families[i]));
		assert_true(pid > 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

static void test_trains(void **state)
{
	static const struct {
		size_t len, segment;
		unsigned datagrams;
	} cases[] = {
		{1452, 1452, 1},   {1, 1452, 1},      {2904, 1452, 2},     {65000, 1452, 45},
		{65340, 1452, 45}, {65341, 1452, 46}, {150000, 1452, 104}, {20000, 100, 200},
		{64, 1, 64},       {65, 1, 65},       {65507, 65507, 1},   {131014, 65507, 2},
	};

	(void)state;
	NEEDS_NETNS();
	for (unsigned f = 0; f < 2; f++) {
		struct weft_endpoint to = at(loopbacks[f], b.port);

		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			bool stale = false;
			struct arrival r;
			int n = weft_udp_send(&a, &to, 0, sent, cases[i].len, cases[i].segment,
					      &stale);

			assert_int_equal(n, (int)cases[i].datagrams);
			r = receive(&b, fd_for(&b, loopbacks[f]), cases[i].len);
			assert_int_equal(r.bytes, cases[i].len);
			assert_memory_equal(got, sent, cases[i].len);
			assert_int_equal(r.datagrams, cases[i].datagrams);
			/* Loopback keeps a train whole: that it came as one shows that it went as
			 * one. */
			if (cases[i].datagrams > 1 && cases[i].segment < 60000)
				assert_true(r.joined >= 1 && r.trains <= 4);
			assert_int_equal(r.last.from.port, a.port);
			assert_true(weft_ip_equal(&r.last.from.ip, &to.ip));
			assert_true(weft_ip_equal(&r.last.from.local, &to.ip));
			assert_int_equal(r.last.from.local_ifindex, if_nametoindex("lo"));
			assert_false(stale);
		}
	}
	assert_false(any_no_gso(&a));
}

static void test_without_offload(void **state)
{
	struct weft_endpoint to;
	bool stale = false;
	struct weft_udp plain;
	struct arrival r;

	(void)state;
	NEEDS_NETNS();
	assert_int_equal(weft_udp_open(&plain, 0, 0, false), 0);
	to = at("127.0.0.1", plain.port);
	assert_int_equal(weft_udp_send(&a, &to, 0, sent, 20000, 1000, &stale), 20);
	r = receive(&plain, plain.fd4, 20000);
	assert_int_equal(r.trains, 20);
	to = at("127.0.0.1", b.port);
	assert_int_equal(weft_udp_send(&plain, &to, 0, sent, 100000, 1000, &stale), 100);
	r = receive(&b, b.fd4, 100000);
	assert_int_equal(r.datagrams, 100);
	assert_memory_equal(got, sent, 100000);
	weft_udp_close(&plain);
}

static void test_sizes_refused(void **state)
{
	struct weft_endpoint to, none = {0};
	bool stale = false;
	struct arrival r;

	(void)state;
	NEEDS_NETNS();
	to = at("127.0.0.1", b.port);
	assert_int_equal(weft_udp_send(&a, &to, 0, sent, 65508, 65508, &stale), -EMSGSIZE);
	assert_int_equal(weft_udp_send(&a, &to, 0, sent, 70000, 0, &stale), -EMSGSIZE);
	assert_int_equal(weft_udp_send(&a, &none, 0, sent, 10, 10, &stale), -EDESTADDRREQ);
	/* An empty datagram is one, and does not count as a train of anything. */
	assert_int_equal(weft_udp_send(&a, &to, 0, sent, 0, 0, &stale), 1);
	r = receive(&b, b.fd4, 0);
	assert_int_equal(r.trains, 1);
	assert_int_equal(r.last.len, 0);
}

/* The kernel makes an IPv6 address ours from a work queue, a little after it was added. */
static void wait_for_ip6(const char *ip)
{
	sh("for i in $(seq 100); do ip -6 route show table local | grep -q '^local %s ' && exit 0; "
	   "sleep 0.02; done; exit 1",
	   ip);
}

static void test_source_sticks(void **state)
{
	static const char *const ours[] = {"127.0.0.7", "fd77::7"};

	(void)state;
	NEEDS_NETNS();
	sh("ip -6 addr replace fd77::7/128 dev lo nodad");
	sh("ip -6 addr replace fd77::1/128 dev lo nodad");
	wait_for_ip6("fd77::7");
	wait_for_ip6("fd77::1");
	for (unsigned f = 0; f < 2; f++) {
		/* One datagram, and a train. */
		for (size_t len = 1000; len <= 30000; len += 29000) {
			struct weft_endpoint to = at(ours[f], b.port), back;
			bool stale = false;
			struct arrival r;

			assert_true(weft_udp_send(&a, &to, 0, sent, len, 1000, &stale) > 0);
			r = receive(&b, fd_for(&b, ours[f]), len);
			assert_true(weft_ip_equal(&r.last.from.local, &to.ip));
			back = r.last.from;
			assert_true(weft_udp_send(&b, &back, 0, sent, len, 1000, &stale) > 0);
			r = receive(&a, fd_for(&a, ours[f]), len);
			assert_true(weft_ip_equal(&r.last.from.ip, &to.ip));
			assert_int_equal(r.last.from.port, b.port);
			assert_false(stale);
		}
	}
}

/* A source that is not ours any more: sent from another, and said so. */
static void test_source_goes_stale(void **state)
{
	static const char *const gone[] = {"10.99.0.1", "fd99::1"};

	(void)state;
	NEEDS_NETNS();
	for (unsigned f = 0; f < 2; f++) {
		for (size_t len = 1000; len <= 30000; len += 29000) {
			struct weft_endpoint to = at(loopbacks[f], b.port);
			struct weft_endpoint source = at(gone[f], 1);
			bool stale = false;
			struct arrival r;

			to.local = source.ip;
			to.local_ifindex = if_nametoindex("lo");
			assert_int_equal(weft_udp_send(&a, &to, 0, sent, len, 1000, &stale),
					 (int)(len / 1000));
			assert_true(stale);
			r = receive(&b, fd_for(&b, loopbacks[f]), len);
			assert_memory_equal(got, sent, len);
			assert_true(weft_ip_equal(&r.last.from.ip, &to.ip));
		}
	}
	/* It was the source, not the segments. */
	assert_false(any_no_gso(&a));
}

/* No route at all is not the source's fault. */
static void test_no_route(void **state)
{
	struct weft_endpoint to;
	bool stale = false;

	(void)state;
	NEEDS_NETNS();
	to = at("198.51.100.1", 9);
	to.local = at("127.0.0.7", 9).ip;
	assert_true(weft_udp_send(&a, &to, 0, sent, 5000, 1000, &stale) < 0);
	assert_true(weft_udp_send(&a, &to, 0, sent, 1000, 1000, &stale) < 0);
	assert_false(stale);
	to.local.family = WEFT_NONE;
	assert_int_equal(weft_udp_send(&a, &to, 0, sent, 5000, 1000, &stale), -ENETUNREACH);
	assert_false(any_no_gso(&a));
}

/* Both families in turn, one from a source that is gone, one without a route, one without a family:
 * each fares as if it were alone. */
static void test_singles(void **state)
{
	enum { N = 9, STALE = 3, NO_ROUTE = 5, NOWHERE = 6 };
	struct weft_udp_single s[N];
	struct weft_endpoint to[N];
	struct arrival r[2];

	(void)state;
	NEEDS_NETNS();
	for (unsigned i = 0; i < N; i++) {
		to[i] = at(loopbacks[i > 3], b.port);
		s[i] = (struct weft_udp_single){&to[i], sent, 100 + i, (uint8_t)(4 * i), 1, true};
	}
	to[STALE].local = at("10.99.0.1", 1).ip;
	to[NO_ROUTE] = at("198.51.100.1", 9);
	memset(&to[NOWHERE], 0, sizeof(to[NOWHERE]));
	weft_udp_send_singles(&a, s, N);
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(s[i].result, i == NO_ROUTE  ? -ENETUNREACH
					      : i == NOWHERE ? -EDESTADDRREQ
							     : 0);
		assert_int_equal(s[i].source_stale, i == STALE);
	}
	r[0] = receive(&b, b.fd4, 100 + 101 + 102 + 103);
	r[1] = receive(&b, b.fd6, 104 + 107 + 108);
	assert_int_equal(r[0].datagrams, 4);
	assert_int_equal(r[0].last.tos, 4 * STALE);
	assert_int_equal(r[1].datagrams, 3);
	assert_int_equal(r[1].last.tos, 4 * 8);
	assert_int_equal(r[1].last.len, 108);
}

static void test_ds_field(void **state)
{
	static const uint8_t values[] = {0, 1, 2, 3, 0x88, 0xb9, 0xff};

	(void)state;
	NEEDS_NETNS();
	for (unsigned f = 0; f < 2; f++) {
		for (size_t i = 0; i < sizeof(values); i++) {
			for (size_t len = 1000; len <= 30000; len += 29000) {
				struct weft_endpoint to = at(loopbacks[f], b.port);
				bool stale = false;

				to.local = to.ip;
				assert_true(weft_udp_send(&a, &to, values[i], sent, len, 1000,
							  &stale) > 0);
				assert_int_equal(
					receive(&b, fd_for(&b, loopbacks[f]), len).last.tos,
					values[i]);
			}
		}
	}
}

/* A path narrower than the segment: fragments, plain sends, and GSO for that destination alone. */
static void test_narrow_path(void **state)
{
	(void)state;
	NEEDS_NETNS();
	sh("ip link set lo mtu 1280");
	for (unsigned f = 0; f < 2; f++) {
		struct weft_endpoint to = at(loopbacks[f], b.port);
		bool stale = false;
		struct arrival r;

		memset(a.no_gso, 0, sizeof(a.no_gso));
		to.local = to.ip;
		assert_int_equal(weft_udp_send(&a, &to, 0, sent, 1452, 1452, &stale), 1);
		/* One alone never asks for segmentation, so there was nothing to refuse. */
		assert_false(any_no_gso(&a));
		(void)receive(&b, fd_for(&b, loopbacks[f]), 1452);
		assert_int_equal(weft_udp_send(&a, &to, 0, sent, 14520, 1452, &stale), 10);
		assert_true(any_no_gso(&a));
		assert_true(atomic_load(&a.gso));
		r = receive(&b, fd_for(&b, loopbacks[f]), 14520);
		assert_int_equal(r.datagrams, 10);
		assert_memory_equal(got, sent, 14520);
		assert_false(stale);
	}
	sh("ip link set lo mtu 65536");
	{
		/* Remembered for that address; others are not affected. */
		struct weft_endpoint same = at("::1", b.port), other = at("127.0.0.9", b.port);
		bool stale = false;

		assert_int_equal(weft_udp_send(&a, &same, 0, sent, 14520, 1452, &stale), 10);
		assert_int_equal(receive(&b, b.fd6, 14520).trains, 10);
		assert_int_equal(weft_udp_send(&a, &other, 0, sent, 14520, 1452, &stale), 10);
		assert_int_equal(receive(&b, b.fd4, 14520).trains, 1);
	}
}

/* Control data that does not fit would lose the segment size. */
static void test_truncated_control(void **state)
{
	const struct weft_udp_train *t;
	struct weft_endpoint to;
	bool stale = false;
	int one = 1;

	(void)state;
	NEEDS_NETNS();
	to = at("127.0.0.1", b.port);
	assert_int_equal(setsockopt(b.fd4, IPPROTO_IP, IP_RECVTTL, &one, sizeof(one)), 0);
	assert_int_equal(weft_udp_send(&a, &to, 3, sent, 3000, 1000, &stale), 3);
	poll(&(struct pollfd){.fd = b.fd4, .events = POLLIN}, 1, 2000);
	assert_int_equal(weft_udp_recv(&b, b.fd4, rx, bufs, WEFT_UDP_BATCH, &t), 1);
	assert_true(t[0].truncated);
}

/* As many trains a call as stay in the cache: many small ones, few large ones. */
static void test_trains_a_call(void **state)
{
	enum { SENT = 8, LARGE = 60000, SMALL = 100 };
	static const struct {
		size_t len;
		int n; /* received by the first call; the size of what came before decides */
	} cases[] = {{LARGE, SENT}, {LARGE, 4}, {SMALL, 4}, {SMALL, SENT}};
	const struct weft_udp_train *t;
	struct weft_endpoint to;
	bool stale = false;

	(void)state;
	NEEDS_NETNS();
	to = at("127.0.0.1", b.port);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int n;

		for (unsigned k = 0; k < SENT; k++)
			assert_int_equal(
				weft_udp_send(&a, &to, 0, sent, cases[i].len, cases[i].len, &stale),
				1);
		n = weft_udp_recv(&b, b.fd4, rx, bufs, WEFT_UDP_BATCH, &t);
		assert_int_equal(n, cases[i].n);
		assert_int_equal(weft_udp_rx_filled(rx), n < SENT);
		for (int left = SENT - n; left > 0; left -= n) {
			n = weft_udp_recv(&b, b.fd4, rx, bufs, WEFT_UDP_BATCH, &t);
			assert_true(n > 0);
		}
	}
}

static void test_nobody_listens(void **state)
{
	const struct weft_udp_train *t;
	struct weft_endpoint to;
	bool stale = false;

	(void)state;
	NEEDS_NETNS();
	to = at("127.0.0.1", 1);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(weft_udp_send(&a, &to, 0, sent, 3000, 1000, &stale), 3);
	assert_int_equal(weft_udp_recv(&a, a.fd4, rx, bufs, WEFT_UDP_BATCH, &t), 0);
	assert_false(stale);
}

static void test_link_local_scope(void **state)
{
	struct weft_endpoint to, back;
	bool stale = false;
	struct arrival r;

	(void)state;
	NEEDS_NETNS();
	/* Its other end is up too: without a carrier the kernel holds the address back. */
	sh("ip link add w0 type veth peer w1 && ip link set w1 up && ip link set w0 up && "
	   "ip -6 addr add fe80::77/64 dev w0 nodad");
	wait_for_ip6("fe80::77");
	to = at("fe80::77", b.port);
	to.scope_id = if_nametoindex("w0");
	assert_int_equal(weft_udp_send(&a, &to, 0, sent, 100, 100, &stale), 1);
	r = receive(&b, b.fd6, 100);
	assert_int_equal(r.last.from.scope_id, to.scope_id);
	assert_true(weft_ip_equal(&r.last.from.local, &to.ip));
	back = r.last.from;
	assert_int_equal(weft_udp_send(&b, &back, 0, sent, 3000, 1000, &stale), 3);
	r = receive(&a, a.fd6, 3000);
	assert_int_equal(r.last.from.scope_id, to.scope_id);
	assert_false(stale);
	sh("ip link del w0");
}

static void test_fwmark(void **state)
{
	int mark = 0;
	socklen_t len = sizeof(mark);

	(void)state;
	NEEDS_NETNS();
	assert_int_equal(weft_udp_set_fwmark(&a, 0xca6c), 0);
	assert_int_equal(a.fwmark, 0xca6c);
	assert_int_equal(getsockopt(a.fd6, SOL_SOCKET, SO_MARK, &mark, &len), 0);
	assert_int_equal(mark, 0xca6c);
	assert_int_equal(weft_udp_set_fwmark(&a, 0), 0);
	assert_int_equal(getsockopt(a.fd4, SOL_SOCKET, SO_MARK, &mark, &len), 0);
	assert_int_equal(mark, 0);
}

#define WITH_PAIR(f) cmocka_unit_test_setup_teardown(f, setup_pair, teardown_pair)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PAIR(test_open),
		WITH_PAIR(test_port_for_both_families),
		WITH_PAIR(test_one_family_missing),
		WITH_PAIR(test_trains),
		WITH_PAIR(test_without_offload),
		WITH_PAIR(test_sizes_refused),
		WITH_PAIR(test_source_sticks),
		WITH_PAIR(test_source_goes_stale),
		WITH_PAIR(test_no_route),
		WITH_PAIR(test_singles),
		WITH_PAIR(test_ds_field),
		WITH_PAIR(test_narrow_path),
		WITH_PAIR(test_truncated_control),
		WITH_PAIR(test_trains_a_call),
		WITH_PAIR(test_nobody_listens),
		WITH_PAIR(test_link_local_scope),
		WITH_PAIR(test_fwmark),
	};

	return cmocka_run_group_tests(tests, enter_netns, NULL);
}
