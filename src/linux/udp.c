/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and closing the outer sockets. Sending and receiving are in udp_send.c and udp_recv.c.
 * ip(7), ipv6(7), udp(7), socket(7).
 */
#include "linux/udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

/* How often a port that IPv4 got is tried for IPv6, before "in use" is believed. */
#define PORT_TRIES 100

static int set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* UDP_GRO is there since 5.0, but before 5.12 the kernel may hand out trains cut wrongly. */
static bool kernel_has_sound_gro(void)
{
	struct utsname u;
	unsigned major, minor;

	if (uname(&u) < 0 || sscanf(u.release, "%u.%u", &major, &minor) != 2)
		return false;
	return major > 5 || (major == 5 && minor >= 12);
}

static void grow_buffer(int fd, int name_force, int name)
{
	/* Past net.core.rmem_max with CAP_NET_ADMIN, else as far as it goes. */
	if (set_int(fd, SOL_SOCKET, name_force, WEFT_UDP_SOCKET_BYTES) < 0)
		(void)set_int(fd, SOL_SOCKET, name, WEFT_UDP_SOCKET_BYTES);
}

/*
 * PMTUDISC_DONT: DF is never set, and what does not fit is fragmented, by us or on the way. With
 * the default, a path narrower than the tunnel's MTU would swallow every big packet, for nobody
 * tells the sender inside. The kernel's WireGuard sends with DF clear as well.
 */
static int set_options4(int fd)
{
	int err = set_int(fd, IPPROTO_IP, IP_PKTINFO, 1);

	if (err < 0)
		return err;
	err = set_int(fd, IPPROTO_IP, IP_RECVTOS, 1);
	if (err < 0)
		return err;
	return set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
}

static int set_options6(int fd)
{
	int err = set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);

	if (err < 0)
		return err;
	err = set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	if (err < 0)
		return err;
	err = set_int(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
	if (err < 0)
		return err;
	return set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
}

/* Returns a bound descriptor or negated errno. -EAFNOSUPPORT: the family is not there. */
static int open_family(int family, uint16_t port, uint32_t fwmark)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int fd, err;

	fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	err = family == AF_INET ? set_options4(fd) : set_options6(fd);
	if (err < 0)
		goto fail;
	if (fwmark) {
		err = set_int(fd, SOL_SOCKET, SO_MARK, (int)fwmark);
		if (err < 0)
			goto fail;
	}
	(void)set_int(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1); /* without: no delay control */
	grow_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF);
	grow_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF);
	if (family == AF_INET)
		err = bind(fd, (struct sockaddr *)&sin, sizeof(sin));
	else
		err = bind(fd, (struct sockaddr *)&sin6, sizeof(sin6));
	if (err < 0) {
		/* Any address of a family that was turned off after boot. */
		err = errno == EADDRNOTAVAIL ? -EAFNOSUPPORT : -errno;
		goto fail;
	}
	return fd;
fail:
	close(fd);
	return err;
}

static int bound_port(int fd, uint16_t *ret_port)
{
	struct sockaddr_in6 name = {0}; /* the port lies at the same place in both families */
	socklen_t len = sizeof(name);

	_Static_assert(offsetof(struct sockaddr_in, sin_port) ==
			       offsetof(struct sockaddr_in6, sin6_port),
		       "one place for the port");
	if (getsockname(fd, (struct sockaddr *)&name, &len) < 0)
		return -errno;
	*ret_port = ntohs(name.sin6_port);
	return 0;
}

/* Both families on one port, once. */
static int open_pair(uint16_t port, uint32_t fwmark, int *ret_fd4, int *ret_fd6, uint16_t *ret_port)
{
	int fd4 = -1, fd6 = -1, err = 0;

	fd4 = open_family(AF_INET, port, fwmark);
	if (fd4 < 0 && fd4 != -EAFNOSUPPORT)
		return fd4;
	if (fd4 >= 0)
		err = bound_port(fd4, &port);
	if (err < 0) {
		close(fd4);
		return err;
	}
	fd6 = open_family(AF_INET6, port, fwmark);
	if (fd6 < 0 && (fd6 != -EAFNOSUPPORT || fd4 < 0)) {
		if (fd4 >= 0)
			close(fd4);
		return fd6;
	}
	if (fd4 < 0) {
		err = bound_port(fd6, &port);
		if (err < 0) {
			close(fd6);
			return err;
		}
	}
	*ret_fd4 = fd4 < 0 ? -1 : fd4;
	*ret_fd6 = fd6 < 0 ? -1 : fd6;
	*ret_port = port;
	return 0;
}

static bool enable_gro(const struct weft_udp *udp)
{
	if (!kernel_has_sound_gro())
		return false;
	if (udp->fd4 >= 0 && set_int(udp->fd4, SOL_UDP, UDP_GRO, 1) < 0)
		return false;
	if (udp->fd6 >= 0 && set_int(udp->fd6, SOL_UDP, UDP_GRO, 1) < 0) {
		if (udp->fd4 >= 0)
			(void)set_int(udp->fd4, SOL_UDP, UDP_GRO, 0);
		return false;
	}
	return true;
}

/* UDP_SEGMENT (4.18): 0 is the default, and setting it tells whether the kernel knows it. */
static bool probe_gso(const struct weft_udp *udp)
{
	return set_int(udp->fd4 >= 0 ? udp->fd4 : udp->fd6, SOL_UDP, UDP_SEGMENT, 0) == 0;
}

int weft_udp_open(struct weft_udp *ret_udp, uint16_t port, uint32_t fwmark, bool offload)
{
	int fd4 = -1, fd6 = -1, err = -EADDRINUSE;
	uint16_t bound = 0;

	for (unsigned i = 0; i < (port ? 1 : PORT_TRIES); i++) {
		err = open_pair(port, fwmark, &fd4, &fd6, &bound);
		if (err != -EADDRINUSE)
			break;
	}
	if (err < 0)
		return err;

	memset(ret_udp, 0, sizeof(*ret_udp));
	ret_udp->fd4 = fd4;
	ret_udp->fd6 = fd6;
	ret_udp->port = bound;
	ret_udp->fwmark = fwmark;
	if (offload) {
		ret_udp->gro = enable_gro(ret_udp);
		atomic_store(&ret_udp->gso, probe_gso(ret_udp));
	}
	return 0;
}

void weft_udp_close(struct weft_udp *udp)
{
	if (udp->fd4 >= 0)
		close(udp->fd4);
	if (udp->fd6 >= 0)
		close(udp->fd6);
	udp->fd4 = udp->fd6 = -1;
}

int weft_udp_set_fwmark(struct weft_udp *udp, uint32_t fwmark)
{
	int err = 0;

	if (udp->fd4 >= 0)
		err = set_int(udp->fd4, SOL_SOCKET, SO_MARK, (int)fwmark);
	if (err == 0 && udp->fd6 >= 0) {
		err = set_int(udp->fd6, SOL_SOCKET, SO_MARK, (int)fwmark);
		if (err < 0 && udp->fd4 >= 0)
			(void)set_int(udp->fd4, SOL_SOCKET, SO_MARK, (int)udp->fwmark);
	}
	if (err == 0)
		udp->fwmark = fwmark;
	return err;
}
