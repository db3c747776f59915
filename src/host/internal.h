/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of src/host share, and nobody else sees. */
#ifndef WEFT_HOST_INTERNAL_H
#define WEFT_HOST_INTERNAL_H

#include "host/host.h"
#include "host/job.h"
#include "host/rundir.h"

/* printf style. */
void weft_host_step(const struct weft_host_job *job, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void weft_host_warn(const struct weft_host_job *job, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* "<what>: <the code's sentence>" as what failed, or a warning if something has before. `rc`. */
int weft_host_failed(struct weft_host_job *job, const char *what, int rc);
/* The same in words, printf style. */
void weft_host_error(struct weft_host_job *job, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

bool weft_host_stopped(const struct weft_host_job *job);

/* The interface's lock. 0 or a negative code, -EBUSY: another holds it. What failed was said. */
WEFT_MUST_CHECK int weft_host_take_lock(struct weft_host_job *job, const char *what,
					struct weft_host_lock *ret_lock);

/* The hooks of that key, run in turn by bash until one fails. 0 or a negative code. */
WEFT_MUST_CHECK int weft_host_hooks(struct weft_host_job *job, const char *key,
				    const struct weft_quick_texts *hooks);

/* weft_host_save for whoever has the lock. */
WEFT_MUST_CHECK int weft_host_save_locked(struct weft_host_job *job);

/*
 * Whether the file's excludes make sense: before anything is changed. 0 or a negative code; what
 * makes no difference is a warning.
 */
WEFT_MUST_CHECK int weft_host_check_excludes(struct weft_host_job *job);

/*
 * If the file asks for the kill switch, which needs a mark, and has none: that of the device (0:
 * none), of the switch as it is, or a free one is the file's from here on; so that a restart finds
 * what it would make. Changes nothing on the host. 0 or a negative code.
 */
WEFT_MUST_CHECK int weft_host_fix_mark(struct weft_host_job *job, uint32_t device_mark);

/*
 * If the file asks for the kill switch: fixes the mark and closes it. Before there is an interface.
 * 0 or a negative code.
 */
WEFT_MUST_CHECK int weft_host_close(struct weft_host_job *job);

/* True if the kill switch is closed now. */
bool weft_host_is_closed(const char *ifname);

/* Starts, tells or ends the keeper, as the file wants it. That it cannot is a warning. */
void weft_host_keep(struct weft_host_job *job);

/* down without hooks. `mark`: of the device. 0 or the first negative code. */
int weft_host_take_down(struct weft_host_job *job, uint32_t mark);

/* Does changes in order, each said before. 0 or a negative code; -EINTR: stopped. */
WEFT_MUST_CHECK int weft_host_apply_all(struct weft_host_job *job, struct weft_ifconf *conf,
					const struct weft_host_changes *changes,
					const struct weft_host_state *wanted);

#endif
