/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending a train of datagrams to one endpoint: with UDP_SEGMENT where it works, singly where it
 * does not, from the address that the peer knows us by while we still have it.
 * sendmmsg(2), udp(7), ip(7); net/ipv4/udp.c (udp_send_skb) for what each error means.
 */
#include "linux/udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define MAX_PAYLOAD    65507 /* of an IPv4 datagram without options */
#define SEND_WAIT_MS   10
#define NO_GSO_SECONDS 60 /* routes and interfaces change; trying again costs one failed call */
#define NO_GSO_SLOTS   (sizeof(((struct weft_udp *)0)->no_gso) / sizeof(uint64_t))
#define PLAIN_PER_CALL 64
#define CONTROL_BYTES                                                       \
	(CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int)) + \
	 CMSG_SPACE(sizeof(uint16_t)))

/* All that the datagrams of one call have in common. */
struct target {
	int fd;
	union {
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} name;
	socklen_t name_len;
	const struct weft_endpoint *endpoint;
	uint8_t tos;
	bool source;  /* endpoint->local is still believed in */
	uint32_t tag; /* hash of the address */
};

union control {
	struct cmsghdr align;
	uint8_t bytes[CONTROL_BYTES];
};

static bool is_link_local(const struct weft_ip *ip)
{
	return ip->family == WEFT_IPV6 && ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80;
}

static uint32_t hash_ip(const struct weft_ip *ip)
{
	uint32_t h = 2166136261u;

	for (unsigned i = 0; i < sizeof(ip->b); i++)
		h = (h ^ ip->b[i]) * 16777619u;
	return h ^ h >> 15;
}

static uint32_t now_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (uint32_t)ts.tv_sec;
}

/* Each slot: hash of the address above, the second at which it is forgotten below. */
static bool gso_works(struct weft_udp *udp, const struct target *t)
{
	uint64_t slot;

	if (!atomic_load_explicit(&udp->gso, memory_order_relaxed))
		return false;
	slot = atomic_load_explicit(&udp->no_gso[t->tag % NO_GSO_SLOTS], memory_order_relaxed);
	return slot == 0 || slot >> 32 != t->tag || (int32_t)((uint32_t)slot - now_seconds()) <= 0;
}

static void note_no_gso(struct weft_udp *udp, const struct target *t)
{
	uint64_t slot = (uint64_t)t->tag << 32 | (uint32_t)(now_seconds() + NO_GSO_SECONDS);

	atomic_store_explicit(&udp->no_gso[t->tag % NO_GSO_SLOTS], slot, memory_order_relaxed);
}

static void *put_control(struct msghdr *m, size_t *used, int level, int type, size_t len)
{
	struct cmsghdr *c = (struct cmsghdr *)((uint8_t *)m->msg_control + *used);

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	*used += CMSG_SPACE(len);
	return CMSG_DATA(c);
}

/*
 * The source goes by address alone. An interface index beside it would make the kernel send there
 * whatever the routing table says, and a changed route would be a black hole; only a link-local
 * source means nothing without one.
 */
static void put_source(const struct weft_endpoint *e, struct msghdr *m, size_t *used)
{
	if (e->local.family == WEFT_IPV4) {
		struct in_pktinfo info = {0};

		memcpy(&info.ipi_spec_dst, e->local.b, 4);
		memcpy(put_control(m, used, IPPROTO_IP, IP_PKTINFO, sizeof(info)), &info,
		       sizeof(info));
	} else {
		struct in6_pktinfo info = {0};

		memcpy(&info.ipi6_addr, e->local.b, 16);
		if (is_link_local(&e->local))
			info.ipi6_ifindex = e->local_ifindex;
		memcpy(put_control(m, used, IPPROTO_IPV6, IPV6_PKTINFO, sizeof(info)), &info,
		       sizeof(info));
	}
}

/* Name and control data. `segment` 0: no UDP_SEGMENT. */
static void fill_header(const struct target *t, struct msghdr *m, union control *control,
			uint16_t segment)
{
	size_t used = 0;

	memset(control, 0, sizeof(*control));
	memset(m, 0, sizeof(*m));
	m->msg_name = (void *)(uintptr_t)&t->name;
	m->msg_namelen = t->name_len;
	m->msg_control = control;
	if (t->source)
		put_source(t->endpoint, m, &used);
	if (t->tos) {
		int tos = t->tos;
		bool v4 = t->endpoint->ip.family == WEFT_IPV4;

		memcpy(put_control(m, &used, v4 ? IPPROTO_IP : IPPROTO_IPV6,
				   v4 ? IP_TOS : IPV6_TCLASS, sizeof(tos)),
		       &tos, sizeof(tos));
	}
	if (segment)
		memcpy(put_control(m, &used, SOL_UDP, UDP_SEGMENT, sizeof(segment)), &segment,
		       sizeof(segment));
	m->msg_controllen = used;
	if (!used)
		m->msg_control = NULL;
}

static int wait_writable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	return poll(&p, 1, SEND_WAIT_MS) > 0;
}

/* sendmmsg that waits once for a full buffer. Returns messages sent (1 or more) or -errno. */
static int send_messages(int fd, struct mmsghdr *msgs, unsigned n)
{
	bool waited = false;

	for (;;) {
		int sent = sendmmsg(fd, msgs, n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent > 0)
			return sent;
		if (sent == 0)
			return -EIO;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || waited || !wait_writable(fd))
			return -errno;
		waited = true;
	}
}

/* One call with UDP_SEGMENT. Returns 0 or -errno. */
static int send_gso(const struct target *t, const uint8_t *data, size_t len, size_t segment)
{
	struct iovec iov = {(void *)(uintptr_t)data, len};
	union control control;
	struct mmsghdr msg = {0};
	int n;

	fill_header(t, &msg.msg_hdr, &control, (uint16_t)segment);
	msg.msg_hdr.msg_iov = &iov;
	msg.msg_hdr.msg_iovlen = 1;
	n = send_messages(t->fd, &msg, 1);
	return n < 0 ? n : 0;
}

/*
 * Up to PLAIN_PER_CALL datagrams in one call. Returns how many went, perhaps fewer than there are,
 * or -errno if the first one failed.
 */
static int send_plain(const struct target *t, const uint8_t *data, size_t len, size_t segment)
{
	struct iovec iov[PLAIN_PER_CALL];
	struct mmsghdr msg[PLAIN_PER_CALL];
	union control control;
	struct msghdr header;
	unsigned n = 0;

	fill_header(t, &header, &control, 0);
	for (size_t off = 0; n < PLAIN_PER_CALL && (off < len || n == 0); off += segment, n++) {
		size_t piece = len - off < segment ? len - off : segment;

		iov[n] = (struct iovec){(void *)(uintptr_t)(data + off), piece};
		msg[n].msg_hdr = header;
		msg[n].msg_hdr.msg_iov = &iov[n];
		msg[n].msg_hdr.msg_iovlen = 1;
		msg[n].msg_len = 0;
	}
	return send_messages(t->fd, msg, n);
}

/* Could this error come of a source address that is not ours any more, or has no route? */
static bool blames_source(int err)
{
	switch (-err) {
	case EINVAL:
	case EADDRNOTAVAIL:
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
	case ENODEV:
	case ENXIO:
		return true;
	default:
		return false;
	}
}

/* send_plain, and once more without the source if that seems to be what is wrong. */
static int send_plain_any(struct target *t, const uint8_t *data, size_t len, size_t segment,
			  bool *ret_source_stale)
{
	int sent = send_plain(t, data, len, segment);

	if (sent < 0 && t->source && blames_source(sent)) {
		int again;

		t->source = false;
		again = send_plain(t, data, len, segment);
		if (again < 0) {
			/* Not the source's fault. */
			t->source = true;
			return sent;
		}
		*ret_source_stale = true;
		return again;
	}
	return sent;
}

/*
 * One call's worth, at most 64 segments. Returns datagrams sent, perhaps fewer, or -errno.
 * EINVAL may mean the source or the segments: single datagrams tell which.
 */
static int send_chunk(struct weft_udp *udp, struct target *t, const uint8_t *data, size_t len,
		      size_t segment, bool *ret_source_stale)
{
	unsigned n = (unsigned)((len + segment - 1) / segment);
	bool had_source = t->source;
	int err, sent;

	if (n <= 1 || !gso_works(udp, t))
		return send_plain_any(t, data, len, segment, ret_source_stale);
	err = send_gso(t, data, len, segment);
	if (err == 0)
		return (int)n;
	if (err == -EIO)
		/* No checksum offload on the way out (udp(7)): it will not get better. */
		atomic_store_explicit(&udp->gso, false, memory_order_relaxed);
	else if (err != -EINVAL && err != -EMSGSIZE && !(t->source && blames_source(err)))
		return err;

	sent = send_plain_any(t, data, len, segment, ret_source_stale);
	if (sent > 0 && (err == -EMSGSIZE || err == -EINVAL) && t->source == had_source)
		note_no_gso(udp, t);
	return sent;
}

static int set_target(const struct weft_udp *udp, const struct weft_endpoint *e, uint8_t tos,
		      struct target *t)
{
	memset(t, 0, sizeof(*t));
	if (e->ip.family == WEFT_IPV4) {
		t->fd = udp->fd4;
		t->name.v4.sin_family = AF_INET;
		t->name.v4.sin_port = htons(e->port);
		memcpy(&t->name.v4.sin_addr, e->ip.b, 4);
		t->name_len = sizeof(t->name.v4);
	} else if (e->ip.family == WEFT_IPV6) {
		t->fd = udp->fd6;
		t->name.v6.sin6_family = AF_INET6;
		t->name.v6.sin6_port = htons(e->port);
		t->name.v6.sin6_scope_id = e->scope_id;
		memcpy(&t->name.v6.sin6_addr, e->ip.b, 16);
		t->name_len = sizeof(t->name.v6);
	} else {
		return -EDESTADDRREQ;
	}
	if (t->fd < 0)
		return -EAFNOSUPPORT;
	t->endpoint = e;
	t->tos = tos;
	t->source = e->local.family == e->ip.family;
	t->tag = hash_ip(&e->ip);
	return 0;
}

int weft_udp_send(struct weft_udp *udp, const struct weft_endpoint *endpoint, uint8_t tos,
		  const uint8_t *data, size_t len, size_t segment, bool *ret_source_stale)
{
	struct target t;
	size_t per_call;
	int total = 0;
	int err = set_target(udp, endpoint, tos, &t);

	if (err < 0)
		return err;
	if (segment == 0 || segment > len)
		segment = len;
	if (segment > MAX_PAYLOAD)
		return -EMSGSIZE;
	if (len == 0)
		return send_plain_any(&t, data, 0, 1, ret_source_stale);
	per_call = MAX_PAYLOAD / segment;
	if (per_call > WEFT_UDP_MAX_SEGMENTS)
		per_call = WEFT_UDP_MAX_SEGMENTS;

	for (size_t off = 0; off < len;) {
		size_t chunk = len - off < per_call * segment ? len - off : per_call * segment;
		int sent = send_chunk(udp, &t, data + off, chunk, segment, ret_source_stale);

		if (sent < 0)
			return total ? total : sent;
		total += sent;
		off += (size_t)sent * segment;
	}
	return total;
}

/* All or nothing: a socket must not be left with DF. */
static int set_whole(const struct target *t, bool whole)
{
	bool v4 = t->endpoint->ip.family == WEFT_IPV4;
	int level = v4 ? IPPROTO_IP : IPPROTO_IPV6, dontfrag = whole;
	int mode = whole ? IP_PMTUDISC_PROBE : IP_PMTUDISC_DONT; /* IPv6 has the same numbers */

	if (setsockopt(t->fd, level, v4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, &mode,
		       sizeof(mode)) < 0)
		return -errno;
	if (!v4 && setsockopt(t->fd, level, IPV6_DONTFRAG, &dontfrag, sizeof(dontfrag)) < 0)
		return -errno;
	return 0;
}

int weft_udp_send_whole(struct weft_udp *udp, const struct weft_endpoint *endpoint, uint8_t tos,
			const uint8_t *data, size_t len, bool *ret_source_stale)
{
	struct target t;
	int err = set_target(udp, endpoint, tos, &t), sent;

	if (err < 0)
		return err;
	if (len == 0 || len > MAX_PAYLOAD)
		return -EMSGSIZE;
	sent = set_whole(&t, true);
	if (sent == 0)
		sent = send_plain_any(&t, data, len, len, ret_source_stale);
	err = set_whole(&t, false);
	return err < 0 ? err : sent;
}

/* By itself: waits, tries without the source, and knows what is wrong. */
static void send_one(struct weft_udp *udp, struct weft_udp_single *s)
{
	int sent = weft_udp_send(udp, s->to, s->tos, s->data, s->len, s->len, &s->source_stale);

	s->result = sent < 0 ? sent : 0;
}

void weft_udp_send_singles(struct weft_udp *udp, struct weft_udp_single *s, unsigned n)
{
	struct target t[WEFT_UDP_SINGLES];
	union control control[WEFT_UDP_SINGLES];
	struct iovec iov[WEFT_UDP_SINGLES];
	struct mmsghdr msg[WEFT_UDP_SINGLES];
	bool fits[WEFT_UDP_SINGLES];

	for (unsigned i = 0; i < n; i++) {
		s[i].result = set_target(udp, s[i].to, s[i].tos, &t[i]);
		s[i].source_stale = false;
		fits[i] = s[i].result == 0;
		if (!fits[i])
			continue;
		fill_header(&t[i], &msg[i].msg_hdr, &control[i], 0);
		iov[i] = (struct iovec){(void *)(uintptr_t)s[i].data, s[i].len};
		msg[i].msg_hdr.msg_iov = &iov[i];
		msg[i].msg_hdr.msg_iovlen = 1;
		msg[i].msg_len = 0;
	}
	for (unsigned i = 0, k; i < n; i += k) {
		int sent;

		k = 1;
		if (!fits[i])
			continue;
		while (i + k < n && fits[i + k] && t[i + k].fd == t[i].fd)
			k++;
		sent = send_messages(t[i].fd, msg + i, k);
		if (sent > 0) {
			k = (unsigned)sent;
		} else if (sent == -EAGAIN || sent == -ENOBUFS) {
			/* it was waited for: the others would find no more room */
			for (unsigned j = i; j < i + k; j++)
				s[j].result = sent;
		} else {
			k = 1;
			send_one(udp, &s[i]);
		}
	}
}
