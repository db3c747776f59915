/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outwards: reads what the TUN has (never waits for more), seals it in place and sends trains of
 * datagrams of one size, the short one last, so that GSO here and GRO over there can work. Knows
 * no protocol: core/worker.h does.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "core/icmp.h"
#include "daemon/daemon.h"
#include "linux/offload.h"

#define TRAIN_BYTES     65507 /* of one send: the largest UDP payload over IPv4 */
#define ICMP_PER_SECOND 100

struct tx {
	/* the train in the making */
	struct weft_tx to;
	size_t len, segment;
	unsigned n_pkts;
	uint8_t tos;
	bool closed; /* a short datagram ended it */
	/* the last answer of weftd_endpoint_allowed, and for what */
	struct weft_peer *allowed_peer;
	struct weft_ip allowed_ip;
	uint32_t allowed_generation;
	bool allowed;
	/* ICMP errors written in this second */
	uint64_t icmp_second;
	unsigned icmp_count;
	_Alignas(64) uint8_t train[TRAIN_BYTES + WEFT_DATA_OVERHEAD + WEFT_TUN_MAX_PACKET];
	_Alignas(64) uint8_t packet[WEFT_TUN_MAX_PACKET + 1];
	_Alignas(64) uint8_t scratch[WEFT_TUN_MAX_PACKET + 1];
};

int weftd_tx_init(struct weftd *d)
{
	struct tx *t = aligned_alloc(64, (sizeof(*t) + 63) / 64 * 64);

	if (!t)
		return -ENOMEM;
	memset(t, 0, sizeof(*t));
	d->tx.private_ = t;
	return 0;
}

void weftd_tx_fini(struct weftd *d)
{
	if (d->tx.private_)
		weft_wipe(d->tx.private_, sizeof(struct tx));
	free(d->tx.private_);
	d->tx.private_ = NULL;
}

/* May the train go to its endpoint? Asked again when the peer, the endpoint or the routes differ.
 */
static bool endpoint_allowed(struct weftd *d, struct tx *t)
{
	uint32_t generation = atomic_load(&d->route_generation);

	if (t->allowed_peer != t->to.peer || t->allowed_generation != generation ||
	    !weft_ip_equal(&t->allowed_ip, &t->to.endpoint.ip)) {
		t->allowed_peer = t->to.peer;
		t->allowed_ip = t->to.endpoint.ip;
		t->allowed_generation = generation;
		t->allowed = weftd_endpoint_allowed(d, t->to.peer, &t->to.endpoint);
	}
	return t->allowed;
}

/* Sends `len` bytes of the train. */
static void send_train(struct weftd *d, struct tx *t, size_t len, unsigned n_pkts)
{
	struct weft_worker *w = d->tx.w;
	bool stale = false;
	int rc = WEFT_E_DOWN;
	unsigned sent = 0;
	size_t bytes;

	if (n_pkts == 0)
		return;
	if (!endpoint_allowed(d, t)) {
		weft_worker_count_drop(w, WEFT_DROP_TX_LOOP, n_pkts);
		return;
	}
	pthread_rwlock_rdlock(&d->udp_lock);
	if (d->udp)
		rc = weft_udp_send(d->udp, &t->to.endpoint, t->tos, t->train, len, t->segment,
				   &stale);
	pthread_rwlock_unlock(&d->udp_lock);
	if (stale)
		weft_peer_clear_source(t->to.peer);
	if (rc > 0)
		sent = (unsigned)rc < n_pkts ? (unsigned)rc : n_pkts;
	if (sent < n_pkts)
		weft_worker_count_drop(w,
				       rc == WEFT_E_DOWN ? WEFT_DROP_TX_DOWN : WEFT_DROP_TX_SOCKET,
				       n_pkts - sent);
	if (sent == 0)
		return;
	bytes = sent == n_pkts ? len : sent * t->segment;
	weft_tx_done(w, &t->to, sent, bytes, true);
}

static void flush(struct weftd *d, struct tx *t)
{
	send_train(d, t, t->len, t->n_pkts);
	t->len = 0;
	t->n_pkts = 0;
	t->closed = false;
}

static bool same_way(const struct weft_tx *a, const struct weft_tx *b)
{
	return a->peer == b->peer && a->keypair == b->keypair &&
	       weft_endpoint_same_remote(&a->endpoint, &b->endpoint) &&
	       weft_ip_equal(&a->endpoint.local, &b->endpoint.local) &&
	       a->endpoint.local_ifindex == b->endpoint.local_ifindex;
}

/* Takes in the datagram of `len` bytes that was sealed just behind the train. */
static void append(struct weftd *d, struct tx *t, size_t len, uint8_t tos)
{
	if (t->n_pkts > 0 && tos != t->tos) { /* another ECN mark: a train has one DS field */
		size_t before = t->len;

		flush(d, t);
		memmove(t->train, t->train + before, len);
	}
	if (t->n_pkts == 0) {
		t->segment = len;
		t->tos = tos;
	} else if (len < t->segment) {
		t->closed = true;
	}
	t->len += len;
	t->n_pkts++;
	if (t->closed || t->n_pkts == WEFT_UDP_MAX_SEGMENTS)
		flush(d, t);
}

/* Segments that have a session: sealed into the train. */
static void seal_segments(struct weftd *d, struct tx *t, struct weft_split *s)
{
	size_t room = weft_tx_datagram_len(d->tx.w, weft_split_segment_len(s));
	size_t inner_len, len;
	uint8_t tos;
	int rc;

	for (;;) {
		if (t->n_pkts > 0 && (t->len + room > TRAIN_BYTES || room > t->segment))
			flush(d, t);
		inner_len = weft_split_next(s, t->train + t->len + WEFT_DATA_HEADER_LEN);
		if (inner_len == 0)
			return;
		rc = weft_tx_seal(d->tx.w, &t->to, t->train + t->len, inner_len, &len, &tos);
		if (rc == 0)
			append(d, t, len, tos);
		else if (rc == WEFT_E_NO_SESSION)
			weft_tx_stage(d->tx.w, t->to.peer, t->train + t->len + WEFT_DATA_HEADER_LEN,
				      inner_len);
	}
}

static void stage_segments(struct weftd *d, struct tx *t, struct weft_split *s,
			   struct weft_peer *peer)
{
	size_t len;

	while ((len = weft_split_next(s, t->scratch)) > 0)
		weft_tx_stage(d->tx.w, peer, t->scratch, len);
}

/*
 * No peer or no endpoint: the sender is told, as the kernel does (wg_xmit, icmp_ndo_send). The
 * error comes from the address that was asked for: from one of our own, arriving through the
 * interface, the host would drop it as a martian.
 */
static void answer_unreachable(struct weftd *d, struct tx *t, const uint8_t *inner, size_t len,
			       uint64_t now_ns)
{
	static const struct virtio_net_hdr plain;
	struct iovec iov;
	size_t n;

	if (t->icmp_second != now_ns / WEFT_NS_PER_S) {
		t->icmp_second = now_ns / WEFT_NS_PER_S;
		t->icmp_count = 0;
	}
	if (t->icmp_count >= ICMP_PER_SECOND)
		return;
	n = weft_icmp_unreachable(t->scratch, inner, len);
	if (n == 0)
		return;
	t->icmp_count++;
	iov = (struct iovec){.iov_base = t->scratch, .iov_len = n};
	if (weft_tun_write(&d->tun, &plain, &iov, 1))
		weft_worker_count_drop(d->tx.w, WEFT_DROP_TUN_WRITE, 1);
}

static void take_packet(struct weftd *d, struct tx *t, const struct virtio_net_hdr *hdr, size_t len,
			uint64_t now_ns)
{
	struct weft_split split;
	struct weft_tx to;
	int n, rc;

	n = weft_split_init(&split, hdr, t->packet, len);
	if (n < 1) {
		weft_worker_count_drop(d->tx.w, WEFT_DROP_TX_INNER, 1);
		return;
	}
	rc = weft_tx_begin(d->tx.w, t->packet, len, (unsigned)n, &to);
	switch (rc) {
	case 0:
		if (t->n_pkts > 0 && !same_way(&t->to, &to))
			flush(d, t);
		t->to = to;
		seal_segments(d, t, &split);
		break;
	case WEFT_E_NO_SESSION:
		stage_segments(d, t, &split, to.peer);
		break;
	case WEFT_E_NO_PEER:
	case WEFT_E_NO_ENDPOINT:
		answer_unreachable(d, t, t->packet, len, now_ns);
		break;
	default:
		break; /* counted */
	}
}

/* One batch. Returns the number of packets read, or a negative code that ends the thread. */
static int batch(struct weftd *d, struct tx *t)
{
	uint64_t now_ns = weftd_now_ns();
	struct virtio_net_hdr hdr;
	int n, len = 0;

	weft_worker_enter(d->tx.w, now_ns);
	for (n = 0; n < WEFTD_TX_BATCH; n++) {
		len = weft_tun_read(&d->tun, &hdr, t->packet, WEFT_TUN_MAX_PACKET);
		if (len <= 0)
			break;
		take_packet(d, t, &hdr, (size_t)len, now_ns);
	}
	flush(d, t);
	weft_worker_leave(d->tx.w);
	if (len < 0 && len != -EAGAIN && len != -EINTR)
		return len;
	return n;
}

void *weftd_tx_main(void *arg)
{
	struct weftd *d = arg;
	struct tx *t = d->tx.private_;
	struct pollfd pfd[2] = {{.fd = d->tun.fd, .events = POLLIN},
				{.fd = d->tx.kick_fd, .events = POLLIN}};
	bool holds_keys = true;
	int n;

	while (!atomic_load(&d->stopping)) {
		n = batch(d, t);
		if (n < 0) {
			weftd_tun_error(d, n);
			break;
		}
		if (n > 0) {
			holds_keys = true;
			if (!atomic_load(&d->tx.forget))
				continue;
		}
		n = poll(pfd, 2, n > 0 ? 0 : holds_keys ? WEFTD_KEEP_KEYS_MS : -1);
		if (n < 0 && errno != EINTR) {
			weftd_fail(d, "poll of the tunnel device", -errno);
			break;
		}
		if (n == 0 && holds_keys) {
			weftd_worker_forget(&d->tx);
			holds_keys = false;
		}
		if (n > 0 && (pfd[1].revents & POLLIN))
			weftd_worker_kicked(&d->tx);
	}
	return NULL;
}
