/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A train in the making: sealed datagrams for one peer, of one size but for the last, sent with
 * one call so that GSO here and GRO over there can work. Whichever data thread seals owns one (or
 * several), with its own worker; nothing in it is shared.
 *
 *     weft_worker_enter(w, now);
 *     for each destination: weft_tx_begin(w, …, &to); weftd_train_begin(t, &to);
 *             for each packet: p = weftd_train_room(t, max); write to p; weftd_train_add(t, len);
 *     weftd_train_flush(t);
 *     weft_worker_leave(w);
 */
#ifndef WEFT_DAEMON_TRAIN_H
#define WEFT_DAEMON_TRAIN_H

#include "core/worker.h"
#include "util/error.h"

struct weftd;
struct weftd_train;

/* `d` and `w` are borrowed. 0, -ENOMEM or WEFT_E_LIMIT (packet memory). The train belongs to the
 * thread that `w` belongs to. */
WEFT_MUST_CHECK int weftd_train_new(struct weftd *d, struct weft_worker *w,
				    struct weftd_train **ret_t);
/* Wipes it. What was not flushed is lost. Takes NULL. */
void weftd_train_free(struct weftd_train *t);

/*
 * What is added from here on goes to `to`, as weft_tx_begin gave it in this batch (copied). Sends
 * what was there if that goes another way.
 */
void weftd_train_begin(struct weftd_train *t, const struct weft_tx *to);

/*
 * Where to write the next inner packet: at most `inner_len` bytes (0 to WEFT_TUN_MAX_PACKET) may be
 * written there. Sends what was there if a packet of that length could not join. Valid until the
 * next call on this train; calling again without adding is harmless.
 */
uint8_t *weftd_train_room(struct weftd_train *t, size_t inner_len);

/*
 * Takes in the inner packet of `inner_len` bytes that was written to the room, to be sealed with
 * others. Without a session it is staged instead; what cannot be sealed is dropped and counted.
 * Sends the train when it is full or the packet was a short one.
 */
void weftd_train_add(struct weftd_train *t, size_t inner_len);

/* Sends what is there. At the end of each batch, before the worker leaves. */
void weftd_train_flush(struct weftd_train *t);

#endif
