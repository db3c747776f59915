/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread or two? With two data threads the receiver serves both directions while load is light:
 * a packet and its answer then cost one wake-up less. When it hardly rests any more, the sender's
 * thread takes its half over, until there is next to nothing to do in it. Pure arithmetic on times
 * that are handed in; each thread owns its counts.
 */
#ifndef WEFT_DAEMON_SHARE_H
#define WEFT_DAEMON_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#define WEFTD_SHARE_APART_NS    5000000u  /* the receiver looks back this long before it decides */
#define WEFTD_SHARE_TOGETHER_NS 50000000u /* and the sender this long */

/* Times in ns on one clock; all zeros to begin with. */
struct weftd_share {
	uint64_t since_ns;     /* when this look began; 0: not yet */
	uint64_t rx_ns, tx_ns; /* worked in it, each direction */
};

/*
 * The thread that serves both directions worked `rx_ns` and `tx_ns` up to `now_ns`. True if two
 * threads should: it worked nine tenths of the time, and three hundredths or more in each
 * direction.
 */
bool weftd_share_apart(struct weftd_share *s, uint64_t now_ns, uint64_t rx_ns, uint64_t tx_ns);

/* The sender's own thread worked `tx_ns` up to `now_ns`. True if that was under a hundredth. */
bool weftd_share_together(struct weftd_share *s, uint64_t now_ns, uint64_t tx_ns);

#endif
