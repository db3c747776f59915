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

/* Run in turn by bash, until one fails. 0 or a negative code. */
WEFT_MUST_CHECK int weft_host_hooks(struct weft_host_job *job,
				    const struct weft_quick_texts *hooks);

/* down without hooks. `mark`: of the device. 0 or the first negative code. */
int weft_host_take_down(struct weft_host_job *job, uint32_t mark);

/* Does changes in order, each said before. 0 or a negative code; -EINTR: stopped. */
WEFT_MUST_CHECK int weft_host_apply_all(struct weft_host_job *job, struct weft_ifconf *conf,
					const struct weft_host_changes *changes,
					const struct weft_host_state *wanted);

#endif
