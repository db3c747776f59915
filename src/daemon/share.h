/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread or two? With two data threads the receiver serves both directions while load is light:
 * a packet and its answer then cost one wake-up less. When it hardly rests any more, the sender's
 * thread takes its half over, until there is next to nothing to do in it. But only where there is a
 * processor to spare: a thread that is kept from its own by other programs gains nothing by
 * another one, which would have to share it as well. Pure arithmetic on times that are handed in;
 * each thread owns its counts.
 */
#ifndef WEFT_DAEMON_SHARE_H
#define WEFT_DAEMON_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#define WEFTD_SHARE_APART_NS    5000000u /* the one thread looks back this long before it decides */
#define WEFTD_SHARE_TOGETHER_NS 50000000u /* and each of two this long */
/* Once two threads have stood in each other's way, one serves both for so long at least. */
#define WEFTD_SHARE_CROWDED_NS UINT64_C(1000000000)

/* What the kernel knows of a thread, since its start. */
struct weftd_share_thread {
	uint64_t cpu_ns;    /* processor time */
	uint64_t preempted; /* how often the processor was taken from it */
};

/* What a thread did since its look began. Times in ns on one clock; all zeros to begin with. */
struct weftd_share {
	uint64_t since_ns;               /* when this look began; 0: not yet */
	struct weftd_share_thread since; /* then */
	uint64_t rx_ns, tx_ns;           /* worked in it, each direction, all waits included */
};

/* Adds what was worked up to `now_ns`. True when the look, of `length_ns`, is over: decide(). */
bool weftd_share_worked(struct weftd_share *s, uint64_t now_ns, uint64_t rx_ns, uint64_t tx_ns,
			uint64_t length_ns);

struct weftd_share_verdict {
	bool busy; /* nine tenths of the time, three hundredths or more in each direction */
	bool idle; /* under a hundredth of the time */
	/*
	 * A tenth of the time it was at work and yet not on a processor, which was taken from it
	 * once in 5 ms or more: it did not just wait for the socket.
	 */
	bool crowded;
};

/*
 * What the look that is over says; `thread` is as of now. The next look begins. The first look does
 * not know the thread as of its beginning, and says nothing.
 */
struct weftd_share_verdict weftd_share_decide(struct weftd_share *s, uint64_t now_ns,
					      struct weftd_share_thread thread);

#endif
