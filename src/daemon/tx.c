/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outwards: takes what a TUN queue has (never waits for more) in fair order (txq.h), cuts it and
 * puts the pieces into a train (train.h), which seals and sends them. One train's worth, then it
 * looks at the TUN again: so long a lone packet waits at most. Knows no protocol: core/worker.h
 * does.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/icmp.h"
#include "core/inner.h"
#include "core/pmtu.h"
#include "daemon/daemon.h"
#include "daemon/share.h"
#include "daemon/train.h"
#include "daemon/txq.h"
#include "linux/offload.h"

#define ICMP_PER_SECOND 100
#define ROUND_BYTES     65536

struct tx {
	struct weftd *d;
	struct weft_worker *w;
	struct weft_tun *tun;
	struct weftd_train *train;
	struct weftd_txq *queue;
	/* ICMP errors written in this second */
	uint64_t icmp_second;
	unsigned icmp_count;
	_Alignas(64) uint8_t scratch[WEFT_TUN_MAX_PACKET + 1];
};

/* As large as this thread's share of what is left of the budget allows, up to a bound. */
static int new_queue(struct weftd_worker *me, struct tx *t)
{
	struct weft_budget *b = &me->d->packets;
	size_t share = weft_budget_left(b) / (me->d->n_tx - me->number);
	uint32_t small = WEFTD_TXQ_SMALL, large = WEFTD_TXQ_LARGE;
	int rc;

	while (weftd_txq_bytes(small, large) > share && large > 1) {
		small = small * 7 / 8;
		large = large * 7 / 8;
	}
	if (small < WEFTD_TXQ_MIN_SMALL || large < WEFTD_TXQ_MIN_LARGE)
		return WEFT_E_LIMIT;
	rc = weft_budget_take(b, weftd_txq_bytes(small, large));
	return rc ? rc : weftd_txq_new(me->d->dev, me->w, small, large, &t->queue);
}

int weftd_tx_init(struct weftd_worker *me)
{
	struct tx *t = aligned_alloc(64, (sizeof(*t) + 63) / 64 * 64);
	int rc = weft_budget_take(&me->d->packets, sizeof(*t));

	if (!t)
		rc = -ENOMEM;
	if (rc) {
		free(t);
		return rc;
	}
	memset(t, 0, sizeof(*t));
	t->d = me->d;
	t->w = me->w;
	t->tun = me->tun;
	me->private_ = t;
	rc = weftd_train_new(me->d, me->w, &t->train);
	return rc ? rc : new_queue(me, t);
}

void weftd_tx_fini(struct weftd_worker *me)
{
	struct tx *t = me->private_;

	if (!t)
		return;
	weftd_train_free(t->train);
	weftd_txq_free(t->queue);
	weft_wipe(t, sizeof(*t));
	free(t);
	me->private_ = NULL;
}

/* Segments that have a session: sealed into the train. `mark`: the first one tells its sender. */
static void seal_segments(struct tx *t, struct weft_split *s, const struct weft_tx *to, bool mark)
{
	size_t most = weft_split_segment_len(s), len;
	uint8_t *room;

	weftd_train_begin(t->train, to);
	for (;; mark = false) {
		room = weftd_train_room(t->train, most);
		len = weft_split_next(s, room);
		if (len == 0)
			return;
		if (mark && weft_ecn_mark(room, len))
			weft_worker_count_drop(t->w, WEFT_DROP_TX_DELAY, 1);
		else
			weftd_train_add(t->train, len);
	}
}

static void stage_segments(struct tx *t, struct weft_split *s, struct weft_peer *peer)
{
	size_t len;

	while ((len = weft_split_next(s, t->scratch)) > 0)
		weft_tx_stage(t->w, peer, t->scratch, len);
}

/*
 * No peer, no endpoint, or too long for the peer's path: the sender is told, as the kernel does of
 * the first two (wg_xmit, icmp_ndo_send). The error comes from the address that was asked for: from
 * one of our own, arriving through the interface, the host would drop it as a martian.
 */
static void answer(struct tx *t, const struct weft_icmp_error *error, const uint8_t *inner,
		   size_t len, uint64_t now_ns)
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
	n = weft_icmp_error(t->scratch, error, inner, len);
	if (n == 0)
		return;
	t->icmp_count++;
	iov = (struct iovec){.iov_base = t->scratch, .iov_len = n};
	if (weft_tun_write(t->tun, &plain, &iov, 1))
		weft_worker_count_drop(t->w, WEFT_DROP_TUN_WRITE, 1);
}

/*
 * Its pieces are too long for the peer's path, and may not be fragmented: dropped, and the sender
 * is told. False: they may, and are, outside.
 */
static bool refuse(struct tx *t, const struct weftd_txq_pkt *p, const struct weft_split *split,
		   const struct weft_tx *to, unsigned n, uint64_t now_ns)
{
	struct weft_icmp_error too_big = {.kind = WEFT_ICMP_TOO_BIG};

	if (!weft_pmtu_too_long(p->data, p->len, weft_split_segment_len(split), weft_tx_limit(to),
				&too_big.mtu))
		return false;
	weft_worker_count_drop(t->w, WEFT_DROP_TX_PATH_MTU, n);
	answer(t, &too_big, p->data, p->len, now_ns);
	return true;
}

static void send_packet(struct tx *t, const struct weftd_txq_pkt *p, uint64_t now_ns)
{
	static const struct weft_icmp_error unreachable = {.kind = WEFT_ICMP_UNREACHABLE};
	struct weft_split split;
	struct weft_tx to;
	int n, rc;

	n = weft_split_init(&split, &p->hdr, p->data, p->len);
	if (n < 1) {
		weft_worker_count_drop(t->w, WEFT_DROP_TX_INNER, 1);
		return;
	}
	rc = weft_tx_begin(t->w, p->data, p->len, (unsigned)n, &to);
	switch (rc) {
	case 0:
		if (weft_split_segment_len(&split) > weft_tx_limit(&to) &&
		    refuse(t, p, &split, &to, (unsigned)n, now_ns))
			break;
		seal_segments(t, &split, &to, p->mark);
		break;
	case WEFT_E_NO_SESSION:
		stage_segments(t, &split, to.peer);
		break;
	case WEFT_E_NO_PEER:
	case WEFT_E_NO_ENDPOINT:
		answer(t, &unreachable, p->data, p->len, now_ns);
		break;
	default:
		break; /* counted */
	}
}

/* One batch. Returns the number of packets sent, or a negative code that ends the thread. */
static int batch(struct tx *t)
{
	uint64_t now_ns = weftd_now_ns();
	struct weftd_txq_pkt pkt;
	size_t bytes = 0;
	int n = 0, rc;

	weft_worker_enter(t->w, now_ns);
	rc = weftd_txq_fill(t->queue, t->tun, now_ns);
	while (n < WEFTD_TX_BATCH && bytes < ROUND_BYTES &&
	       weftd_txq_next(t->queue, now_ns, &pkt)) {
		send_packet(t, &pkt, now_ns);
		bytes += pkt.len;
		n++;
	}
	weftd_train_flush(t->train);
	weft_worker_leave(t->w);
	return rc < 0 ? rc : n;
}

int weftd_tx_round(struct weftd_worker *tx)
{
	return batch(tx->private_);
}

bool weftd_tx_waiting(const struct weftd_worker *tx)
{
	const struct tx *t = tx->private_;

	return weftd_txq_waiting(t->queue);
}

/* The receiver does our work, with our worker: sleeps until it is ours again, or over. */
static void sit_out(struct weftd_worker *me)
{
	struct pollfd pfd = {.fd = me->kick_fd, .events = POLLIN};
	uint64_t count;
	ssize_t n;

	weftd_burn_stack();
	(void)poll(&pfd, 1, -1);
	n = read(me->kick_fd, &count, sizeof(count));
	(void)n;
}

/* Gives the work to the receiver's thread where two threads are all and this one has little. */
static bool lend(struct weftd_worker *me, struct weftd_share *share, uint64_t worked_ns)
{
	struct weftd *d = me->d;
	struct weftd_share_verdict v;
	uint64_t now_ns = weftd_now_ns();

	if (d->n_tx + d->n_rx > 2 ||
	    !weftd_share_worked(share, now_ns, 0, worked_ns, WEFTD_SHARE_TOGETHER_NS))
		return false;
	v = weftd_share_decide(share, now_ns, weftd_thread_now());
	if (v.crowded)
		atomic_store(&d->crowded, true);
	if (!v.idle && !atomic_load(&d->crowded))
		return false;
	atomic_store(&d->tx_lent, true);
	weftd_worker_kick(&d->rx[0], false);
	return true;
}

void *weftd_tx_main(void *arg)
{
	struct weftd_worker *me = arg;
	struct weftd *d = me->d;
	struct tx *t = me->private_;
	struct pollfd pfd[2] = {{.fd = me->tun->fd, .events = POLLIN},
				{.fd = me->kick_fd, .events = POLLIN}};
	struct weftd_share share = {0};
	bool holds_keys = true;
	uint64_t begin_ns;
	int n;

	while (!atomic_load(&d->stopping)) {
		if (atomic_load(&d->tx_lent)) {
			sit_out(me);
			if (!atomic_load(&d->tx_lent) && atomic_exchange(&me->forget, false))
				weftd_worker_forget(me);
			share = (struct weftd_share){0};
			holds_keys = true;
			continue;
		}
		begin_ns = weftd_now_ns();
		n = batch(t);
		if (n < 0) {
			weftd_tun_error(d, n);
			break;
		}
		if (lend(me, &share, n > 0 ? weftd_now_ns() - begin_ns : 0))
			continue;
		if (n > 0) {
			holds_keys = true;
			if (!atomic_load(&me->forget))
				continue;
		}
		n = poll(pfd, 2,
			 weftd_txq_waiting(t->queue) || n > 0 ? 0
			 : holds_keys                         ? WEFTD_KEEP_KEYS_MS
							      : -1);
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
