/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carrying out: from what is there, whatever it is, to what is wanted, by as many looks and plans
 * as it takes. What was is wanted again when something fails: so undoing is the same as doing.
 */
#ifndef WEFT_HOST_APPLY_H
#define WEFT_HOST_APPLY_H

#include "host/host.h"
#include "host/job.h"
#include "host/plan.h"

#define WEFT_HOST_ROUNDS 3 /* a kernel may take away more than it was told to */

/* An interface as it is. */
struct weft_host_whole {
	struct weft_conf_device dev;
	struct weft_host_state host;
};

/* What it is to be. Everything in it is borrowed. */
struct weft_host_goal {
	const struct weft_conf_device *dev;
	const struct weft_host_state *host;
	/* The only addresses and routes that may be taken away. NULL: all that are there. */
	const struct weft_host_state *ours;
	const char *dns; /* name servers that are set now. NULL: none */
	bool relay_said; /* the device was told to relay as it was started */
};

/*
 * Looks. Of addresses and routes it sees those that are wanted or ours. `ret` starts zeroed and is
 * cleared by the caller. 0 or a negative code: -ENODEV, no such interface.
 */
WEFT_MUST_CHECK int weft_host_look(struct weft_host_job *job, struct weft_ifconf *conf,
				   const struct weft_host_goal *goal, struct weft_host_whole *ret);

/* What is to be done. `ret` starts zeroed, is cleared by the caller, and borrows from both. */
WEFT_MUST_CHECK int weft_host_make_plan(const struct weft_host_whole *is,
					const struct weft_host_goal *goal,
					struct weft_host_plan *ret);

/*
 * Does it, and looks again, until there is nothing to do. Stops at the first thing that fails, or
 * if after WEFT_HOST_ROUNDS there still is; `goal->dns` follows what was done. 0 or a negative
 * code.
 */
WEFT_MUST_CHECK int weft_host_converge(struct weft_host_job *job, struct weft_host_goal *goal);

void weft_host_whole_clear(struct weft_host_whole *w);

#endif
