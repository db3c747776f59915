/* SPDX-License-Identifier: Apache-2.0 */
/* Opened datagrams, in order, to the TUN: see deliver.h. Knows no protocol: core/worker.h does. */
#include "daemon/deliver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/aqm.h"
#include "core/inner.h"
#include "daemon/daemon.h"
#include "daemon/relay.h"
#include "daemon/steer.h"
#include "linux/offload.h"

struct weftd_deliver {
	struct weftd *d;
	struct weft_worker *w;
	struct weftd_relay *relay;
	struct weft_coalesce coalesce;
	struct weft_aqm aqm;                      /* of what waits in the sockets' buffers */
	uint8_t flat[WEFT_TUN_MAX_PACKET + 1];    /* a super-packet that has to be cut again */
	uint8_t segment[WEFT_TUN_MAX_PACKET + 1]; /* one piece of it */
};

/* The TUN queue that the answers to this packet are to be read from. */
static struct weft_tun *queue_for(struct weftd *d, const struct iovec *iov)
{
	return d->tx[weftd_steer(d->route_key, iov->iov_base, iov->iov_len, d->n_tx)].tun;
}

/* Writes one packet; what the device refuses is counted. */
static void write_tun(struct weftd_deliver *dl, const struct virtio_net_hdr *hdr,
		      const struct iovec *iov, unsigned n_iov, unsigned n_pkts)
{
	int rc = weft_tun_write(queue_for(dl->d, iov), hdr, iov, n_iov);

	if (rc == 0)
		return;
	weft_worker_count_drop(dl->w, WEFT_DROP_TUN_WRITE, n_pkts);
	if (rc == -EBADFD)
		weftd_tun_error(dl->d, rc);
}

/* The kernel refused the super-packet: its segments, one by one, now and from here on. */
static void write_singly(struct weftd_deliver *dl, const struct weft_coalesced *c)
{
	static const struct virtio_net_hdr plain;
	struct weft_split split;
	size_t len = 0;

	for (unsigned i = 0; i < c->n_iov; i++) {
		if (c->iov[i].iov_len > sizeof(dl->flat) - len)
			return;
		memcpy(dl->flat + len, c->iov[i].iov_base, c->iov[i].iov_len);
		len += c->iov[i].iov_len;
	}
	if (weft_split_init(&split, &c->hdr, dl->flat, len) < 1) {
		weft_worker_count_drop(dl->w, WEFT_DROP_TUN_WRITE, c->n_pkts);
		return;
	}
	while ((len = weft_split_next(&split, dl->segment)) > 0) {
		struct iovec iov = {.iov_base = dl->segment, .iov_len = len};

		write_tun(dl, &plain, &iov, 1, 1);
	}
}

static void emit(void *ctx, struct weft_coalesced *c)
{
	struct weftd_deliver *dl = ctx;
	int rc;

	if (c->hdr.gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		write_tun(dl, &c->hdr, c->iov, c->n_iov, c->n_pkts);
		return;
	}
	rc = weft_tun_write(queue_for(dl->d, c->iov), &c->hdr, c->iov, c->n_iov);
	if (rc == 0)
		return;
	if (rc == -EINVAL) {
		dl->coalesce.tso = dl->coalesce.uso = false;
		write_singly(dl, c);
		return;
	}
	weft_worker_count_drop(dl->w, WEFT_DROP_TUN_WRITE, c->n_pkts);
	if (rc == -EBADFD)
		weftd_tun_error(dl->d, rc);
}

int weftd_deliver_new(struct weftd *d, struct weft_worker *w, struct weftd_deliver **ret_dl)
{
	struct weftd_deliver *dl = calloc(1, sizeof(*dl));
	int rc = weft_budget_take(&d->packets, sizeof(*dl));

	if (!dl)
		return -ENOMEM;
	if (!rc)
		rc = weftd_relay_new(d, w, &dl->relay);
	if (rc) {
		free(dl);
		return rc;
	}
	dl->d = d;
	dl->w = w;
	weft_coalesce_init(&dl->coalesce, d->tun.tso, d->tun.uso, emit, dl);
	*ret_dl = dl;
	return 0;
}

void weftd_deliver_free(struct weftd_deliver *dl)
{
	if (!dl)
		return;
	weftd_relay_free(dl->relay);
	weft_wipe(dl, sizeof(*dl));
	free(dl);
}

struct weft_worker *weftd_deliver_worker(struct weftd_deliver *dl)
{
	return dl->w;
}

unsigned weftd_open_train(struct weft_worker *w, const struct weft_udp_train *train, size_t offset,
			  struct weft_rx_item *items, size_t *ret_next)
{
	size_t step = train->segment ? train->segment : train->len;
	unsigned n = 0;

	*ret_next = train->len;
	if (train->truncated || train->len == 0) {
		weft_worker_count_drop(w, WEFT_DROP_RX_MALFORMED, 1);
		return 0;
	}
	for (; offset < train->len && n < WEFT_BATCH_MAX; offset += step) {
		size_t left = train->len - offset;

		items[n++] = (struct weft_rx_item){.pkt = train->data + offset,
						   .len = left < step ? left : step,
						   .from = &train->from,
						   .tos = train->tos};
	}
	*ret_next = offset;
	(void)weft_rx_open_many(w, items, n);
	return n;
}

/* One inner packet of `len` bytes, writable, that came from `peer`. */
static void deliver_packet(struct weftd_deliver *dl, struct weft_peer *peer, uint8_t *inner,
			   size_t len)
{
	if (!weftd_relay_take(dl->relay, peer, inner, len))
		weft_coalesce_add(&dl->coalesce, inner, len);
}

static void accept_items(struct weftd_deliver *dl, struct weft_rx_item *items, unsigned n,
			 bool *slow_down)
{
	struct weft_rx got;

	for (unsigned i = 0; i < n; i++) {
		uint8_t *pkt = items[i].pkt, *inner;

		if (items[i].result != 0 || weft_rx_accept(dl->w, &items[i], &got) != 0 ||
		    !got.inner)
			continue;
		inner = pkt + (got.inner - pkt);
		if (*slow_down) {
			*slow_down = false;
			if (weft_ecn_mark(inner, got.inner_len)) {
				weft_worker_count_drop(dl->w, WEFT_DROP_RX_DELAY, 1);
				continue;
			}
		}
		deliver_packet(dl, got.peer, inner, got.inner_len);
	}
}

/*
 * If what comes waits too long in the socket's buffer, one sender is told so: by a mark on one
 * packet, or by its loss (core/aqm.h). That is after it was opened, for the mark is inside.
 */
void weftd_deliver_train(struct weftd_deliver *dl, const struct weft_udp_train *train,
			 struct weft_rx_item *items, unsigned n, size_t next)
{
	static const struct weft_aqm_params params = {.target_ns = WEFTD_RX_TARGET_NS,
						      .interval_ns = WEFTD_RX_INTERVAL_NS};
	bool slow_down = weft_aqm_leaves(&dl->aqm, &params, train->read_ns, train->waited_ns,
					 train->together >= WEFTD_RX_STANDS_BYTES);

	accept_items(dl, items, n, &slow_down);
	while (next < train->len) {
		n = weftd_open_train(dl->w, train, next, items, &next);
		accept_items(dl, items, n, &slow_down);
	}
}

void weftd_deliver_flush(struct weftd_deliver *dl)
{
	weft_coalesce_flush(&dl->coalesce);
	weftd_relay_flush(dl->relay);
}
