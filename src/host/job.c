/* SPDX-License-Identifier: Apache-2.0 */
/* What the caller of a job hears of it. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/internal.h"

static void tell(void (*hear)(void *, const char *), void *ctx, const char *fmt, va_list ap)
{
	char *line = NULL;

	if (!hear || vasprintf(&line, fmt, ap) < 0)
		return;
	hear(ctx, line);
	weft_wipe(line, strlen(line)); /* a hook may hold secrets */
	free(line);
}

void weft_host_step(const struct weft_host_job *job, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(job->step, job->ctx, fmt, ap);
	va_end(ap);
}

void weft_host_warn(const struct weft_host_job *job, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(job->warn, job->ctx, fmt, ap);
	va_end(ap);
}

void weft_host_error(struct weft_host_job *job, const char *fmt, ...)
{
	char text[sizeof(job->diag.message)];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (job->diag.message[0])
		weft_host_warn(job, "%s", text);
	else
		weft_diag_set(&job->diag, 0, 0, "%s", text);
}

int weft_host_failed(struct weft_host_job *job, const char *what, int rc)
{
	weft_host_error(job, "%s: %s", what, weft_strerror(rc));
	return rc;
}

bool weft_host_stopped(const struct weft_host_job *job)
{
	return job->stopped && job->stopped(job->ctx);
}

int weft_host_apply_all(struct weft_host_job *job, struct weft_ifconf *conf,
			const struct weft_host_changes *changes,
			const struct weft_host_state *wanted)
{
	int rc = 0;

	for (size_t i = 0; i < changes->n && !rc; i++) {
		struct weft_text line = {0};

		if (weft_host_stopped(job))
			return -EINTR;
		rc = weft_host_change_text(&changes->v[i], job->ifname, &line);
		if (!rc) {
			weft_host_step(job, "%s", line.p);
			rc = weft_host_apply(conf, job->ifname, &changes->v[i], wanted);
		}
		if (rc)
			weft_host_failed(job, line.p ? line.p : job->ifname, rc);
		weft_text_clear(&line);
	}
	return rc;
}
