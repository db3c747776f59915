/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading ahead: what the TUN has is taken into memory of our own at once and leaves it in fair
 * order (core/fairq.h). The device's own ring is first in, first out: there a ping stands behind
 * megabytes, and a flood fills it for everybody. While little waits, packets go straight through,
 * in the order they came.
 *
 * One per sending thread; nothing in it is shared. Packets of up to 2 KiB lie in small cells,
 * larger ones in cells of 64 KiB.
 */
#ifndef WEFT_DAEMON_TXQ_H
#define WEFT_DAEMON_TXQ_H

#include <linux/virtio_net.h>
#include <stdbool.h>

#include "core/worker.h"
#include "linux/tun.h"

#define WEFTD_TXQ_MIN_SMALL 128
#define WEFTD_TXQ_MIN_LARGE 8

struct weftd_txq;

struct weftd_txq_pkt {
	struct virtio_net_hdr hdr;
	uint8_t *data; /* valid until the next call of weftd_txq_next or weftd_txq_fill */
	size_t len;
	bool mark; /* its flow's queue stands: one segment is to be marked, or lost */
};

/*
 * `small`, `large`: cells of either kind, at least the minima above. Everything is allocated here.
 * `d` and `w` are borrowed. 0, -EINVAL or -ENOMEM.
 */
WEFT_MUST_CHECK int weftd_txq_new(struct weft_device *dev, struct weft_worker *w, uint32_t small,
				  uint32_t large, struct weftd_txq **ret_q);
void weftd_txq_free(struct weftd_txq *q); /* wipes; takes NULL */

/* Bytes that weftd_txq_new takes for packets. */
size_t weftd_txq_bytes(uint32_t small, uint32_t large);

/*
 * Reads what is there, within bounds. In a batch of the worker. Returns 0 or a negative code that
 * ends the thread (see weft_tun_read); what was read before that is there nevertheless.
 */
WEFT_MUST_CHECK int weftd_txq_fill(struct weftd_txq *q, struct weft_tun *tun, uint64_t now_ns);

/* The packet whose turn it is. False if there is none. */
bool weftd_txq_next(struct weftd_txq *q, uint64_t now_ns, struct weftd_txq_pkt *ret_pkt);

/* True if packets wait. */
bool weftd_txq_waiting(const struct weftd_txq *q);

#endif
