/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is kept about an interface while it is there: WEFT_HOST_RUN_DIR/<ifname>/, for root alone,
 * without a secret in it. One thread at a time.
 */
#ifndef WEFT_HOST_RUNDIR_H
#define WEFT_HOST_RUNDIR_H

#include <limits.h>

#include "host/record.h"

#define WEFT_HOST_RUN_DIR "/run/weft"

/* Whoever changes an interface holds its lock, and so do its children: it ends with the last. */
struct weft_host_lock {
	int fd; /* -1: not held */
	char path[PATH_MAX];
};

/*
 * Takes the lock and leaves `what` in it, for others to see, with the number of the process.
 * Does not wait: -EBUSY if another has it, and `ret_holder` (size bytes) says who. Makes the
 * directory. 0 or a negative code.
 */
WEFT_MUST_CHECK int weft_host_lock(const char *ifname, const char *what,
				   struct weft_host_lock *ret_lock, char *ret_holder, size_t size);
/* `gone`: the interface is, and with it goes what was kept. */
void weft_host_unlock(struct weft_host_lock *lock, bool gone);

/*
 * The same for whoever serves the interface as long as it is there (`weft run`), in a file beside
 * the directory. weft_host_unlock_service ends it.
 */
WEFT_MUST_CHECK int weft_host_lock_service(const char *ifname, struct weft_host_lock *ret_lock,
					   char *ret_holder, size_t size);
void weft_host_unlock_service(struct weft_host_lock *lock);

/*
 * The record of the interface that is there now. -ENOENT: there is none of this one, or none that
 * can be read. `ret` is to be cleared either way.
 */
WEFT_MUST_CHECK int weft_host_read_record(const char *ifname, struct weft_host_record *ret);

/* Puts a record in the place of the old one, in one step. Fills in whose it is. */
WEFT_MUST_CHECK int weft_host_write_record(const char *ifname, struct weft_host_record *rec);

#endif
