/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of endpoints to addresses, with TTLs: A and AAAA, /etc/hosts, SRV records, over c-ares.
 * Many at a time, without waiting. With a mark queries leave as the tunnel's own packets do,
 * outside of it; what gets no answer there is asked once more without the mark, for a resolver
 * inside the tunnel. /etc/resolv.conf is read again for each batch.
 */
#ifndef WEFT_HOST_NAMES_H
#define WEFT_HOST_NAMES_H

#include <poll.h>

#include "host/candidates.h"

#define WEFT_NAMES_MAX_FDS     32
#define WEFT_NAMES_PARALLEL    32    /* questions at a time: the others wait */
#define WEFT_NAMES_DEADLINE_MS 15000 /* for each of the two ways */

struct weft_names;

/*
 * One question is done. `rc`: 0, with an answer that the callee may take; -ENOENT: there is no such
 * name; -ETIMEDOUT: no answer; or another negated errno. May ask again from in here.
 */
typedef void (*weft_names_done)(void *ctx, uint64_t id, int rc, struct weft_cand_answer *answer);

/* `seed`: what decides among SRV records of one priority. 0 or -ENOMEM. */
WEFT_MUST_CHECK int weft_names_new(struct weft_names **ret_names, uint64_t seed,
				   weft_names_done done, void *ctx);
void weft_names_free(struct weft_names *n); /* what was asked is forgotten */

/*
 * Asks for "host:port", "[address]:port" or the name of an SRV record. `done` is called exactly
 * once, from in here or from weft_names_process. 0 or -ENOMEM (then it is not). `mark`: 0: none.
 */
WEFT_MUST_CHECK int weft_names_ask(struct weft_names *n, uint64_t id, const char *text,
				   uint32_t mark);

/* What to wait for: fills in at most WEFT_NAMES_MAX_FDS. Returns how many. */
size_t weft_names_fds(struct weft_names *n, struct pollfd fds[WEFT_NAMES_MAX_FDS]);
/* How long at most: ms; -1: nothing is asked. */
int weft_names_wait_ms(struct weft_names *n);
/* After poll(2) on them, and when the time is over. */
void weft_names_process(struct weft_names *n, const struct pollfd *fds, size_t n_fds);

/* Asks, and waits for it: at most twice the deadline. As weft_names_done's `rc`. */
WEFT_MUST_CHECK int weft_names_now(const char *text, uint32_t mark,
				   struct weft_cand_answer *ret_answer);

#endif
