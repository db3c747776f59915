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

int weft_host_take_lock(struct weft_host_job *job, const char *what,
			struct weft_host_lock *ret_lock)
{
	char holder[128];
	int rc = weft_host_lock(job->ifname, what, ret_lock, holder, sizeof(holder));

	if (rc == -EBUSY)
		weft_host_error(job, "%s is being changed by %s", job->ifname, holder);
	else if (rc)
		weft_host_error(job, "%s/%s/lock: %s", WEFT_HOST_RUN_DIR, job->ifname,
				weft_strerror(rc));
	return rc;
}

/* What is gone already need not be taken away, and a rule is the same whoever made it. */
static int already_so(const struct weft_host_change *c, int rc)
{
	bool rule = c->kind == WEFT_HOST_MARK_RULE || c->kind == WEFT_HOST_SUPPRESS_RULE;

	if (!c->add && (rc == -ENOENT || rc == -ESRCH || rc == -EADDRNOTAVAIL))
		return 0;
	return c->add && rule && rc == -EEXIST ? 0 : rc;
}

/* No failure, as with wg-quick where the user looks after name servers. */
static int nobody_to_tell(const struct weft_host_job *job, const struct weft_host_change *c, int rc)
{
	if (c->kind != WEFT_HOST_DNS || rc != -ENOENT)
		return rc;
	if (c->add)
		weft_host_warn(job,
			       "DNS is not set: there is no resolvconf here, and no resolvectl "
			       "that reaches systemd-resolved");
	return 0;
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
			rc = already_so(&changes->v[i], nobody_to_tell(job, &changes->v[i], rc));
		}
		if (rc)
			weft_host_failed(job, line.p ? line.p : job->ifname, rc);
		weft_text_clear(&line);
	}
	return rc;
}
