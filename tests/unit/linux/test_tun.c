/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TUN against the real kernel. TCP and UDP run through an echo: each packet comes back with
 * its addresses exchanged, so the kernel talks to itself through split and coalesce.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cmocka.h>

#include "linux/link.h"
#include "linux/offload.h"
#include "linux/tun.h"
#include "netns.h"

#define BULK_BYTES (4u << 20)
#define BATCH_PKTS 128

struct echo {
	struct weft_tun tun;
	unsigned super_read, super_written, packets;
	uint8_t in[WEFT_TUN_MAX_PACKET];
	uint8_t out[BATCH_PKTS][WEFT_TUN_MAX_PACKET];
};

static struct echo e;

static void write_out(void *ctx, struct weft_coalesced *c)
{
	struct echo *echo = ctx;

	echo->super_written += c->n_pkts > 1;
	assert_int_equal(weft_tun_write(&echo->tun, &c->hdr, c->iov, c->n_iov), 0);
}

static void exchange_addresses(uint8_t *p)
{
	size_t n = p[0] >> 4 == 4 ? 4 : 16, at = p[0] >> 4 == 4 ? 12 : 8;
	uint8_t tmp[16];

	/* The checksums stay right: the same words are summed. */
	memcpy(tmp, p + at, n);
	memcpy(p + at, p + at + n, n);
	memcpy(p + at + n, tmp, n);
}

/* Takes what the kernel sent and gives it back. */
static void pump(struct echo *echo)
{
	struct weft_coalesce c;
	struct virtio_net_hdr hdr;
	int len;

	weft_coalesce_init(&c, echo->tun.tso, echo->tun.uso, write_out, echo);
	while ((len = weft_tun_read_pieces(&echo->tun, &hdr, echo->in, 1000, echo->in + 1000,
					   sizeof(echo->in) - 1000)) > 0) {
		struct weft_split split;
		unsigned i = 0;
		int n = weft_split_init(&split, &hdr, echo->in, (size_t)len);
		size_t piece;

		assert_true(n > 0 && n <= BATCH_PKTS);
		echo->super_read += n > 1;
		while ((piece = weft_split_next(&split, echo->out[i])) > 0) {
			exchange_addresses(echo->out[i]);
			weft_coalesce_add(&c, echo->out[i], piece);
			echo->packets++;
			i++;
		}
		assert_int_equal(i, n);
		weft_coalesce_flush(&c);
	}
	assert_int_equal(len, -EAGAIN);
}

static void open_echo(bool offload)
{
	memset(&e, 0, sizeof(e));
	assert_int_equal(weft_tun_open(&e.tun, "wecho%d", offload, false), 0);
	assert_int_equal(weft_link_quiet(e.tun.name, e.tun.ifindex), 0);
	assert_int_equal(weft_link_limit_gso(e.tun.ifindex, WEFT_TUN_DEFAULT_MTU), 0);
	sh("ip addr add 10.7.0.1/24 dev %s && ip -6 addr add fd07::1/64 dev %s && ip link set %s "
	   "up",
	   e.tun.name, e.tun.name, e.tun.name);
}

/* `far`: behind the TUN. Returns the address's length. */
static socklen_t address(struct sockaddr_storage *ss, int family, bool far, uint16_t port)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	ss->ss_family = (sa_family_t)family;
	if (family == AF_INET) {
		v4->sin_port = htons(port);
		inet_pton(family, far ? "10.7.0.2" : "10.7.0.1", &v4->sin_addr);
		return sizeof(*v4);
	}
	v6->sin6_port = htons(port);
	inet_pton(family, far ? "fd07::2" : "fd07::1", &v6->sin6_addr);
	return sizeof(*v6);
}

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 2654435761u >> 13);
}

static void bulk_tcp(int family)
{
	static uint8_t chunk[65536];
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, family, false, 7000);
	size_t written = 0, read_ = 0;
	int listener, client, server = -1, one = 1;

	listener = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(listener, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	client = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	/* No pacing: super-packets as large as they get. */
	setsockopt(client, IPPROTO_TCP, 13 /* TCP_CONGESTION */, "cubic", 5);
	len = address(&ss, family, true, 7000);
	assert_int_equal(connect(client, (struct sockaddr *)&ss, len), -1);
	assert_int_equal(errno, EINPROGRESS);
	for (unsigned idle = 0; read_ < BULK_BYTES; idle++) {
		ssize_t n;

		if (idle > 300)
			fail_msg("stuck after %zu bytes", read_);
		(void)poll(&(struct pollfd){.fd = e.tun.fd, .events = POLLIN}, 1, 10);
		pump(&e);
		if (server < 0)
			server = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
		if (server < 0)
			continue;
		for (size_t i = 0; i < sizeof(chunk); i++)
			chunk[i] = pattern(written + i);
		n = send(client, chunk, sizeof(chunk), MSG_NOSIGNAL);
		if (n > 0)
			written += (size_t)n;
		while ((n = recv(server, chunk, sizeof(chunk), 0)) > 0) {
			for (ssize_t i = 0; i < n; i++)
				if (chunk[i] != pattern(read_ + (size_t)i))
					fail_msg("byte %zu is wrong", read_ + (size_t)i);
			read_ += (size_t)n;
			idle = 0;
		}
	}
	close(client);
	close(server);
	close(listener);
	pump(&e);
}

static void test_tcp(void **state)
{
	(void)state;
	NEEDS_NETNS();
	open_echo(true);
	assert_true(e.tun.vnet_hdr && e.tun.tso);
	bulk_tcp(AF_INET);
	assert_true(e.super_read > 20 && e.super_written > 20);
	e.super_read = e.super_written = 0;
	bulk_tcp(AF_INET6);
	assert_true(e.super_read > 20 && e.super_written > 20);
	/* Trains: far fewer reads than packets. */
	assert_true(e.packets > 2 * BULK_BYTES / 1420);
	weft_tun_close(&e.tun);
}

static void test_tcp_without_offload(void **state)
{
	(void)state;
	NEEDS_NETNS();
	open_echo(false);
	assert_false(e.tun.vnet_hdr || e.tun.tso || e.tun.uso);
	bulk_tcp(AF_INET);
	bulk_tcp(AF_INET6);
	assert_int_equal(e.super_read + e.super_written, 0);
	weft_tun_close(&e.tun);
}

static void test_udp(void **state)
{
	static const int families[] = {AF_INET, AF_INET6};
	uint8_t train[20 * 500 + 7];

	(void)state;
	NEEDS_NETNS();
	open_echo(true);
	if (!e.tun.uso) {
		weft_tun_close(&e.tun);
		skip();
	}
	for (size_t i = 0; i < sizeof(train); i++)
		train[i] = pattern(i);
	for (unsigned f = 0; f < 2; f++) {
		struct sockaddr_storage near, far;
		socklen_t len = address(&near, families[f], false, 7001);
		int fd = socket(families[f], SOCK_DGRAM | SOCK_NONBLOCK, 0), segment = 500;
		uint8_t buf[2000];

		assert_int_equal(bind(fd, (struct sockaddr *)&near, len), 0);
		assert_int_equal(setsockopt(fd, SOL_UDP, UDP_SEGMENT, &segment, sizeof(segment)),
				 0);
		(void)address(&far, families[f], true, 7001);
		e.super_read = e.super_written = e.packets = 0;
		assert_int_equal(sendto(fd, train, sizeof(train), 0, (struct sockaddr *)&far, len),
				 (ssize_t)sizeof(train));
		(void)poll(&(struct pollfd){.fd = e.tun.fd, .events = POLLIN}, 1, 1000);
		pump(&e);
		assert_int_equal(e.packets, 21);
		assert_int_equal(e.super_read, 1);
		assert_int_equal(e.super_written, 1);
		for (unsigned i = 0; i < 21; i++) {
			size_t want = i < 20 ? 500 : 7;

			(void)poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 1000);
			assert_int_equal(recv(fd, buf, sizeof(buf), 0), (ssize_t)want);
			assert_memory_equal(buf, train + (size_t)i * 500, want);
		}
		close(fd);
	}
	weft_tun_close(&e.tun);
}

static void test_open(void **state)
{
	struct weft_tun t, again;
	int plain;

	(void)state;
	NEEDS_NETNS();
	assert_int_equal(weft_tun_open(&t, "", true, false), -EINVAL);
	assert_int_equal(weft_tun_open(&t, "name-of-sixteen-", true, false), -EINVAL);
	assert_int_equal(weft_tun_open(&t, "wopen0", true, false), 0);
	assert_string_equal(t.name, "wopen0");
	assert_true(t.ifindex > 0);
	sh("ip link show wopen0 | grep -q 'mtu 1420 '");
	sh("ip link show wopen0 | grep -q 'qlen 1024'");
	assert_int_equal(weft_tun_open(&again, "wopen0", true, false), -EBUSY);
	/* Not persistent. */
	weft_tun_close(&t);
	assert_int_equal(t.fd, -1);
	assert_false(sh_ok("ip link show wopen0 2>/dev/null"));
	/* One that was there keeps its MTU. */
	sh("ip tuntap add wopen1 mode tun vnet_hdr && ip link set wopen1 mtu 1234 txqueuelen 77");
	assert_int_equal(weft_tun_open(&t, "wopen1", true, false), 0);
	sh("ip link show wopen1 | grep -q 'mtu 1234 '");
	sh("ip link show wopen1 | grep -q 'qlen 77'");
	weft_tun_close(&t);
	sh("ip link del wopen1");
	plain = open("/dev/null", O_RDWR);
	assert_true(weft_tun_from_fd(&t, plain, true) < 0);
	assert_int_equal(fcntl(plain, F_GETFD), 0);
	close(plain);
}

/* How many queues the kernel says there are. */
static void queues(const char *name, unsigned n)
{
	sh("ip -d link show %s | grep -q 'numqueues %u '", name, n);
}

static void test_queues(void **state)
{
	struct weft_tun t, more[3], again;

	(void)state;
	NEEDS_NETNS();
	for (unsigned offload = 0; offload < 2; offload++) {
		assert_int_equal(weft_tun_open(&t, "wmq0", offload, true), 0);
		assert_true(t.multi_queue);
		for (unsigned i = 0; i < 3; i++) {
			assert_int_equal(weft_tun_add_queue(&t, &more[i]), 0);
			assert_true(more[i].fd >= 0 && more[i].fd != t.fd);
			assert_int_equal(more[i].vnet_hdr, t.vnet_hdr);
			assert_int_equal(more[i].ifindex, t.ifindex);
		}
		queues("wmq0", 4);
		/* nobody comes in beside */
		assert_int_equal(weft_tun_open(&again, "wmq0", offload, true), -EBUSY);
		assert_int_equal(weft_tun_open(&again, "wmq0", offload, false), -EBUSY);
		queues("wmq0", 4);
		weft_tun_close(&t);
		for (unsigned i = 0; i < 3; i++)
			weft_tun_close(&more[i]);
		assert_false(sh_ok("ip link show wmq0 2>/dev/null"));
	}
}

/* Devices that were there stay of their kind, whatever is asked for. */
static void test_queues_of_existing(void **state)
{
	struct weft_tun t, more;

	(void)state;
	NEEDS_NETNS();
	sh("ip tuntap add wmq1 mode tun multi_queue && ip link set wmq1 up");
	sh("ip tuntap add wmq2 mode tun && ip link set wmq2 up");
	for (unsigned wanted = 0; wanted < 2; wanted++) {
		assert_int_equal(weft_tun_open(&t, "wmq1", true, wanted), 0);
		assert_true(t.multi_queue && t.vnet_hdr);
		assert_int_equal(weft_tun_add_queue(&t, &more), 0);
		weft_tun_close(&more);
		weft_tun_close(&t);
		assert_int_equal(weft_tun_open(&t, "wmq2", true, wanted), 0);
		assert_false(t.multi_queue);
		assert_true(t.vnet_hdr);
		assert_int_equal(weft_tun_add_queue(&t, &more), -EINVAL);
		assert_int_equal(weft_tun_open(&more, "wmq2", true, wanted), -EBUSY);
		weft_tun_close(&t);
	}
	sh("ip link del wmq1 && ip link del wmq2");
	/* what is no TUN at all is not called busy */
	assert_int_equal(weft_tun_open(&t, "lo", true, true), -EINVAL);
}

static void test_from_fd(void **state)
{
	struct weft_tun first, t;

	(void)state;
	NEEDS_NETNS();
	for (unsigned offload = 0; offload < 2; offload++) {
		assert_int_equal(weft_tun_open(&first, "wfd%d", offload, false), 0);
		fcntl(first.fd, F_SETFL, 0);
		assert_int_equal(weft_tun_from_fd(&t, first.fd, true), 0);
		assert_string_equal(t.name, first.name);
		assert_int_equal(t.ifindex, first.ifindex);
		assert_int_equal(t.vnet_hdr, offload);
		assert_int_equal(t.tso, first.tso);
		assert_true(fcntl(t.fd, F_GETFL) & O_NONBLOCK);
		/* The header stays, the offload goes. */
		assert_int_equal(weft_tun_from_fd(&t, first.fd, false), 0);
		assert_int_equal(t.vnet_hdr, offload);
		assert_false(t.tso || t.uso);
		weft_tun_close(&t);
	}
}

static void test_down_and_gone(void **state)
{
	static uint8_t buf[2000];
	struct virtio_net_hdr hdr;
	struct iovec iov = {buf, 40};
	struct weft_tun t;

	(void)state;
	NEEDS_NETNS();
	assert_int_equal(weft_tun_open(&t, "wgone", true, false), 0);
	buf[0] = 0x45;
	assert_int_equal(weft_tun_read(&t, &hdr, buf, sizeof(buf)), -EAGAIN);
	assert_int_equal(weft_tun_write(&t, NULL, &iov, 1), -EIO);
	sh("ip link set wgone up");
	assert_int_equal(weft_tun_write(&t, NULL, &iov, 1), 0);
	assert_int_equal(weft_tun_write(&t, NULL, &iov, 200), -EMSGSIZE);
	sh("ip link del wgone");
	assert_int_equal(weft_tun_read(&t, &hdr, buf, sizeof(buf)), -EBADFD);
	assert_int_equal(weft_tun_write(&t, NULL, &iov, 1), -EBADFD);
	weft_tun_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_queues),
		cmocka_unit_test(test_queues_of_existing),
		cmocka_unit_test(test_from_fd),
		cmocka_unit_test(test_down_and_gone),
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_tcp_without_offload),
		cmocka_unit_test(test_udp),
	};

	return cmocka_run_group_tests(tests, enter_netns, NULL);
}
