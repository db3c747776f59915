/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receiving: many trains a call, each with the address that it was sent to. recvmmsg(2), udp(7).
 */
#include "linux/udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* Errors that earlier datagrams left behind are taken one a call; so many in a row are enough. */
#define SOFT_ERRORS_MAX 16

/* PKTINFO of either family, the DS field, the segment size, the time of arrival. */
#define CONTROL_BYTES                                                       \
	(CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int)) + \
	 CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct timespec)))
/*
 * Received at once, about: what is opened next should still lie in the second-level cache. Four
 * full trains.
 */
#define CALL_BYTES (256u << 10)
/* A wait beyond this is a wall clock that was set, not a wait. */
#define MAX_WAIT_NS UINT64_C(2000000000)

struct weft_udp_rx {
	unsigned most; /* trains of the next call, by the size of the last one's */
	bool filled;   /* the last call took as many as it could */
	struct mmsghdr msg[WEFT_UDP_BATCH];
	struct iovec iov[WEFT_UDP_BATCH];
	struct sockaddr_in6 name[WEFT_UDP_BATCH]; /* large enough for both families */
	struct weft_udp_train train[WEFT_UDP_BATCH];
	union {
		struct cmsghdr align;
		uint8_t bytes[CONTROL_BYTES];
	} control[WEFT_UDP_BATCH];
};

int weft_udp_rx_new(struct weft_udp_rx **ret_rx)
{
	struct weft_udp_rx *rx = calloc(1, sizeof(*rx));

	if (!rx)
		return -ENOMEM;
	rx->most = WEFT_UDP_BATCH;
	for (unsigned i = 0; i < WEFT_UDP_BATCH; i++) {
		rx->msg[i].msg_hdr.msg_iov = &rx->iov[i];
		rx->msg[i].msg_hdr.msg_iovlen = 1;
		rx->msg[i].msg_hdr.msg_name = &rx->name[i];
		rx->msg[i].msg_hdr.msg_control = &rx->control[i];
	}
	*ret_rx = rx;
	return 0;
}

void weft_udp_rx_free(struct weft_udp_rx *rx)
{
	free(rx);
}

bool weft_udp_rx_filled(const struct weft_udp_rx *rx)
{
	return rx->filled;
}

static void read_name(const struct sockaddr_in6 *name, struct weft_endpoint *from)
{
	if (name->sin6_family == AF_INET) {
		struct sockaddr_in sin;

		memcpy(&sin, name, sizeof(sin));
		from->ip.family = WEFT_IPV4;
		memcpy(from->ip.b, &sin.sin_addr, 4);
		from->port = ntohs(sin.sin_port);
	} else {
		from->ip.family = WEFT_IPV6;
		memcpy(from->ip.b, &name->sin6_addr, 16);
		from->port = ntohs(name->sin6_port);
		from->scope_id = name->sin6_scope_id;
	}
}

/* How long ago `at` was, on the wall clock; 0 if that cannot be. */
static uint64_t waited_ns(const struct timespec *at, uint64_t now_ns)
{
	uint64_t at_ns = (uint64_t)at->tv_sec * 1000000000u + (uint64_t)at->tv_nsec;

	return at_ns < now_ns && now_ns - at_ns < MAX_WAIT_NS ? now_ns - at_ns : 0;
}

static void read_control(const struct cmsghdr *c, uint64_t now_ns, struct weft_udp_train *t)
{
	const void *data = CMSG_DATA(c);
	size_t len = c->cmsg_len - CMSG_LEN(0);

	if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO &&
	    len >= sizeof(struct in_pktinfo)) {
		struct in_pktinfo info;

		/* spec_dst, not addr: for a broadcast it is the address to answer from. */
		memcpy(&info, data, sizeof(info));
		t->from.local.family = WEFT_IPV4;
		memcpy(t->from.local.b, &info.ipi_spec_dst, 4);
		t->from.local_ifindex = (uint32_t)info.ipi_ifindex;
	} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO &&
		   len >= sizeof(struct in6_pktinfo)) {
		struct in6_pktinfo info;

		memcpy(&info, data, sizeof(info));
		t->from.local_ifindex = info.ipi6_ifindex;
		if (IN6_IS_ADDR_MULTICAST(&info.ipi6_addr))
			return;
		t->from.local.family = WEFT_IPV6;
		memcpy(t->from.local.b, &info.ipi6_addr, 16);
	} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS && len >= 1) {
		memcpy(&t->tos, data, 1);
	} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS &&
		   len >= sizeof(int)) {
		int tclass;

		memcpy(&tclass, data, sizeof(tclass));
		t->tos = (uint8_t)tclass;
	} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS &&
		   len >= sizeof(struct timespec)) {
		struct timespec at;

		memcpy(&at, data, sizeof(at));
		t->waited_ns = waited_ns(&at, now_ns);
	} else if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO && len >= sizeof(int)) {
		int segment;

		memcpy(&segment, data, sizeof(segment));
		if (segment > 0 && (size_t)segment < t->len)
			t->segment = (size_t)segment;
	}
}

static void read_message(struct weft_udp_rx *rx, unsigned i, uint64_t now_ns)
{
	struct msghdr *m = &rx->msg[i].msg_hdr;
	struct weft_udp_train *t = &rx->train[i];

	memset(t, 0, sizeof(*t));
	t->data = rx->iov[i].iov_base;
	t->len = t->segment = rx->msg[i].msg_len;
	t->truncated = (m->msg_flags & MSG_TRUNC) != 0;
	read_name(&rx->name[i], &t->from);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		read_control(c, now_ns, t);
	/* Without its segment size a train cannot be cut: as good as truncated. */
	if (m->msg_flags & MSG_CTRUNC)
		t->truncated = true;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* `n`: one at least. */
static void read_messages(struct weft_udp_rx *rx, unsigned n)
{
	uint64_t read_ns = clock_ns(CLOCK_MONOTONIC);
	uint64_t now_ns = clock_ns(CLOCK_REALTIME); /* the clock of the socket's time stamps */
	size_t together = 0;

	for (unsigned i = 0; i < n; i++) {
		read_message(rx, i, now_ns);
		together += rx->train[i].len;
	}
	for (unsigned i = 0; i < n; i++) {
		rx->train[i].read_ns = read_ns;
		rx->train[i].together = together;
	}
	rx->most = together ? (unsigned)(CALL_BYTES * n / together) : WEFT_UDP_BATCH;
}

/* What ICMP told the socket of an earlier datagram, or passing trouble of the network. */
static bool is_soft_error(int err)
{
	switch (err) {
	case EINTR:
	case ECONNREFUSED:
	case ECONNRESET:
	case EHOSTUNREACH:
	case EHOSTDOWN:
	case ENETUNREACH:
	case ENETDOWN:
	case ENONET:
	case ENOPROTOOPT:
	case EPROTO:
	case EOPNOTSUPP:
	case EACCES:
	case EPERM:
	case EMSGSIZE:
		return true;
	default:
		return false;
	}
}

int weft_udp_recv(struct weft_udp *udp, int fd, struct weft_udp_rx *rx, uint8_t *const *bufs,
		  unsigned n_bufs, const struct weft_udp_train **ret_trains)
{
	unsigned most = rx->most < WEFT_UDP_BATCH ? rx->most : WEFT_UDP_BATCH;
	int n = -1;

	(void)udp;
	if (most > n_bufs)
		most = n_bufs;
	for (unsigned i = 0; i < most; i++) {
		rx->iov[i] = (struct iovec){bufs[i], WEFT_UDP_MAX_DATAGRAM};
		rx->msg[i].msg_hdr.msg_namelen = sizeof(rx->name[i]);
		rx->msg[i].msg_hdr.msg_controllen = sizeof(rx->control[i].bytes);
		rx->msg[i].msg_hdr.msg_flags = 0;
	}
	for (unsigned tries = 0; tries < SOFT_ERRORS_MAX; tries++) {
		n = recvmmsg(fd, rx->msg, most, MSG_DONTWAIT, NULL);
		if (n >= 0 || !is_soft_error(errno))
			break;
	}
	if (n < 0) {
		if (errno == EAGAIN || is_soft_error(errno))
			return 0;
		return -errno;
	}
	rx->filled = (unsigned)n == most;
	read_messages(rx, (unsigned)n);
	*ret_trains = rx->train;
	return n;
}
