/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done to one interface as a whole: `up` is a reconcile from nothing, `down` one to
 * nothing. Says nothing itself: steps and warnings go to the caller, and so does what failed.
 * wg-quick(8) has the order in which things happen. One thread at a time.
 */
#ifndef WEFT_HOST_JOB_H
#define WEFT_HOST_JOB_H

#include "conf/quick.h"
#include "util/diag.h"

struct weft_host_plan;

struct weft_host_job {
	const char *ifname;
	const char *path;         /* where the file is */
	struct weft_quick *quick; /* what it says */
	enum weft_backend backend;
	/* About to happen, or not done but no failure; without a newline. Each may be NULL. */
	void (*step)(void *ctx, const char *line);
	void (*warn)(void *ctx, const char *line);
	/* What is going to be done, or would be. May be NULL. */
	void (*plan)(void *ctx, const struct weft_host_plan *plan);
	/* True once it is to be given up: asked between steps. May be NULL. */
	bool (*stopped)(void *ctx);
	/*
	 * Gives every peer whose endpoint is a name, and is not known yet, an address.
	 * -EHOSTUNREACH: some name has none, and the caller's user knows by now.
	 */
	int (*resolve)(void *ctx, struct weft_quick *quick);
	void *ctx;
	struct weft_diag diag; /* what failed first; no message: `resolve` did, or it was stopped */
};

/*
 * Makes the interface and all that its file wants around it. Whatever fails, or being stopped,
 * takes all of it away again. -EEXIST: there is one of this name, and nothing was changed. 0 or a
 * negative code.
 */
WEFT_MUST_CHECK int weft_host_up(struct weft_host_job *job);

/*
 * Takes the interface away and all that is there for it, as far as it can. -ENODEV: it is no
 * WireGuard interface. If a hook of PreDown fails nothing is changed. 0 or the first negative code.
 */
WEFT_MUST_CHECK int weft_host_down(struct weft_host_job *job);

/*
 * Makes a running interface what its file says by now: what differs and no more, without its hooks.
 * Whatever fails is taken back, and the interface is as before; `job->diag.hint` says so. Goes on
 * to the end if this process is killed: a child does it. `dry_run`: `job->plan` hears what would be
 * done, and nothing is. Addresses and routes that neither this file nor the last one asked for
 * stay. -ENODEV: there is no such interface. 0 or a negative code.
 */
WEFT_MUST_CHECK int weft_host_reload(struct weft_host_job *job, bool dry_run);

#endif
