/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hub's fast path on a thread that delivers (core/relay.h decides): what goes to another peer
 * is sealed and sent from here, as a train. One for each delivering thread, with its own worker.
 */
#ifndef WEFT_DAEMON_RELAY_H
#define WEFT_DAEMON_RELAY_H

#include <stdbool.h>

#include "core/worker.h"
#include "util/error.h"

struct weftd;
struct weftd_relay;

/* `d` and `w` are borrowed. 0, -ENOMEM or WEFT_E_LIMIT (packet memory). */
WEFT_MUST_CHECK int weftd_relay_new(struct weftd *d, struct weft_worker *w,
				    struct weftd_relay **ret_r);
void weftd_relay_free(struct weftd_relay *r); /* takes NULL */

/*
 * An inner packet that was accepted from `from`, in this batch of the worker. True: it is dealt
 * with, and its bytes may be used again. False: it is for the TUN, unchanged. Always false while
 * relaying is off.
 */
bool weftd_relay_take(struct weftd_relay *r, struct weft_peer *from, uint8_t *inner, size_t len);

/* Sends what is left. At the end of each batch, before the worker leaves. */
void weftd_relay_flush(struct weftd_relay *r);

#endif
