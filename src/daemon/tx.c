/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outwards: reads what the TUN has (never waits for more), cuts it and puts the pieces into a train
 * (train.h), which seals and sends them. Knows no protocol: core/worker.h does.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "core/icmp.h"
#include "daemon/daemon.h"
#include "daemon/train.h"
#include "linux/offload.h"

#define ICMP_PER_SECOND 100

struct tx {
	struct weftd *d;
	struct weft_worker *w;
	struct weft_tun *tun;
	struct weftd_train *train;
	/* ICMP errors written in this second */
	uint64_t icmp_second;
	unsigned icmp_count;
	_Alignas(64) uint8_t packet[WEFT_TUN_MAX_PACKET + 1];
	_Alignas(64) uint8_t scratch[WEFT_TUN_MAX_PACKET + 1];
};

int weftd_tx_init(struct weftd_worker *me)
{
	struct tx *t = aligned_alloc(64, (sizeof(*t) + 63) / 64 * 64);

	if (!t)
		return -ENOMEM;
	memset(t, 0, sizeof(*t));
	t->d = me->d;
	t->w = me->w;
	t->tun = me->tun;
	me->private_ = t;
	return weftd_train_new(me->d, me->w, &t->train);
}

void weftd_tx_fini(struct weftd_worker *me)
{
	struct tx *t = me->private_;

	if (!t)
		return;
	weftd_train_free(t->train);
	weft_wipe(t, sizeof(*t));
	free(t);
	me->private_ = NULL;
}

/* Segments that have a session: sealed into the train. */
static void seal_segments(struct tx *t, struct weft_split *s, const struct weft_tx *to)
{
	size_t most = weft_split_segment_len(s), len;

	weftd_train_begin(t->train, to);
	while ((len = weft_split_next(s, weftd_train_room(t->train, most))) > 0)
		weftd_train_add(t->train, len);
}

static void stage_segments(struct tx *t, struct weft_split *s, struct weft_peer *peer)
{
	size_t len;

	while ((len = weft_split_next(s, t->scratch)) > 0)
		weft_tx_stage(t->w, peer, t->scratch, len);
}

/*
 * No peer or no endpoint: the sender is told, as the kernel does (wg_xmit, icmp_ndo_send). The
 * error comes from the address that was asked for: from one of our own, arriving through the
 * interface, the host would drop it as a martian.
 */
static void answer_unreachable(struct tx *t, const uint8_t *inner, size_t len, uint64_t now_ns)
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
	if (weft_tun_write(t->tun, &plain, &iov, 1))
		weft_worker_count_drop(t->w, WEFT_DROP_TUN_WRITE, 1);
}

static void take_packet(struct tx *t, const struct virtio_net_hdr *hdr, size_t len, uint64_t now_ns)
{
	struct weft_split split;
	struct weft_tx to;
	int n, rc;

	n = weft_split_init(&split, hdr, t->packet, len);
	if (n < 1) {
		weft_worker_count_drop(t->w, WEFT_DROP_TX_INNER, 1);
		return;
	}
	rc = weft_tx_begin(t->w, t->packet, len, (unsigned)n, &to);
	switch (rc) {
	case 0:
		seal_segments(t, &split, &to);
		break;
	case WEFT_E_NO_SESSION:
		stage_segments(t, &split, to.peer);
		break;
	case WEFT_E_NO_PEER:
	case WEFT_E_NO_ENDPOINT:
		answer_unreachable(t, t->packet, len, now_ns);
		break;
	default:
		break; /* counted */
	}
}

/* One batch. Returns the number of packets read, or a negative code that ends the thread. */
static int batch(struct tx *t)
{
	uint64_t now_ns = weftd_now_ns();
	struct virtio_net_hdr hdr;
	int n, len = 0;

	weft_worker_enter(t->w, now_ns);
	for (n = 0; n < WEFTD_TX_BATCH; n++) {
		len = weft_tun_read(t->tun, &hdr, t->packet, WEFT_TUN_MAX_PACKET);
		if (len <= 0)
			break;
		take_packet(t, &hdr, (size_t)len, now_ns);
	}
	weftd_train_flush(t->train);
	weft_worker_leave(t->w);
	if (len < 0 && len != -EAGAIN && len != -EINTR)
		return len;
	return n;
}

void *weftd_tx_main(void *arg)
{
	struct weftd_worker *me = arg;
	struct weftd *d = me->d;
	struct tx *t = me->private_;
	struct pollfd pfd[2] = {{.fd = me->tun->fd, .events = POLLIN},
				{.fd = me->kick_fd, .events = POLLIN}};
	bool holds_keys = true;
	int n;

	while (!atomic_load(&d->stopping)) {
		n = batch(t);
		if (n < 0) {
			weftd_tun_error(d, n);
			break;
		}
		if (n > 0) {
			holds_keys = true;
			if (!atomic_load(&me->forget))
				continue;
		}
		n = poll(pfd, 2, n > 0 ? 0 : holds_keys ? WEFTD_KEEP_KEYS_MS : -1);
		if (n < 0 && errno != EINTR) {
			weftd_fail(d, "poll of the tunnel device", -errno);
			break;
		}
		if (n == 0 && holds_keys) {
			weftd_worker_forget(me);
			holds_keys = false;
		}
		if (n > 0 && (pfd[1].revents & POLLIN))
			weftd_worker_kicked(me);
	}
	return NULL;
}
