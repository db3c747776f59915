/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last step inwards: what was opened is accepted in the order in which it came, and what is
 * inside goes to the TUN, the packets of one flow as one super-packet where the kernel takes that,
 * or straight to another peer (relay.h).
 * Everything here has one user at a time, and a core worker of its own role: which thread delivers
 * may change from batch to batch.
 *
 *     weft_worker_enter(weftd_deliver_worker(dl), now);
 *     for each train, in order: weftd_deliver_train(dl, train, items, n);
 *     weftd_deliver_flush(dl);
 *     weft_worker_leave(weftd_deliver_worker(dl));
 */
#ifndef WEFT_DAEMON_DELIVER_H
#define WEFT_DAEMON_DELIVER_H

#include "core/worker.h"
#include "linux/udp.h"
#include "util/error.h"

struct weftd;
struct weftd_deliver;

/* `w` is borrowed: used with the delivery alone, or by the one thread that does all. 0, -ENOMEM. */
WEFT_MUST_CHECK int weftd_deliver_new(struct weftd *d, struct weft_worker *w,
				      struct weftd_deliver **ret_dl);
/* Wipes it. Takes NULL. */
void weftd_deliver_free(struct weftd_deliver *dl);
struct weft_worker *weftd_deliver_worker(struct weftd_deliver *dl);

/*
 * Fills `items` (WEFT_BATCH_MAX) with the datagrams of a train from byte `offset` on and opens
 * them with `w`, in a batch of it. Returns how many there are, and where the next begin. Any
 * thread.
 */
unsigned weftd_open_train(struct weft_worker *w, const struct weft_udp_train *train, size_t offset,
			  struct weft_rx_item *items, size_t *ret_next);

/*
 * Takes a train whose first `n` datagrams were opened into `items`, and which went on at `next`:
 * the rest, if there is any, is opened here. The train's bytes are borrowed until the flush.
 */
void weftd_deliver_train(struct weftd_deliver *dl, const struct weft_udp_train *train,
			 struct weft_rx_item *items, unsigned n, size_t next);

/* Writes what is held back. At the end of each batch. */
void weftd_deliver_flush(struct weftd_deliver *dl);

#endif
