/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has to be known and done before an interface is there: whether its excludes make sense, and
 * the kill switch. docs/decisions/0020.
 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>

#include "control/device.h"
#include "host/fence_nft.h"
#include "host/internal.h"

int weft_host_check_excludes(struct weft_host_job *job)
{
	const struct weft_host_facts none = {0};
	struct weft_host_state scratch = {0};
	char text[sizeof(struct weft_diag)];
	int rc = 0;

	for (size_t i = 0; i < job->quick->n_excludes && !rc; i++) {
		struct weft_diag diag = {0};

		snprintf(diag.source, sizeof(diag.source), "%.255s",
			 job->quick->exclude_places[i].line ? job->path : "--exclude");
		rc = weft_exclude_check(job->quick, i, &diag);
		if (rc < 0) {
			job->diag = diag;
		} else if (rc) {
			weft_host_warn(job, "%s", weft_diag_format(&diag, text, sizeof(text)));
			rc = 0;
		}
	}
	if (!rc && job->quick->n_excludes)
		rc = weft_host_wanted(job->quick, &none, &scratch);
	weft_host_state_clear(&scratch);
	if (rc == WEFT_E_LIMIT)
		weft_host_error(job, "%s: Exclude cuts an allowed IP into more than %d routes",
				job->path, WEFT_EXCLUDE_MAX_ROUTES);
	return rc;
}

/* A mark that is free, without an interface to ask. */
static int free_mark(uint32_t *ret)
{
	struct weft_ifconf *conf = NULL;
	int rc = weft_ifconf_open(&conf, NULL);

	if (!rc)
		rc = weft_ifconf_free_table(conf, WEFT_HOST_FIRST_TABLE, ret);
	weft_ifconf_close(conf);
	return rc;
}

static int fix_mark(struct weft_host_job *job, const struct weft_fence *is, uint32_t device_mark)
{
	uint32_t *mark = &job->quick->wg.dev.fwmark;

	if (!*mark)
		*mark = device_mark;
	if (!*mark && is->kill_switch)
		*mark = is->mark;
	return *mark ? 0 : free_mark(mark);
}

int weft_host_fix_mark(struct weft_host_job *job, uint32_t device_mark)
{
	struct weft_fence is = {0};
	int rc;

	if (!job->quick->kill_switch)
		return 0;
	rc = weft_fence_observe(job->ifname, &is);
	if (!rc)
		rc = fix_mark(job, &is, device_mark);
	weft_fence_clear(&is);
	return rc;
}

static int put_up(struct weft_host_job *job, const struct weft_fence *is,
		  const struct weft_fence *wanted)
{
	const struct weft_host_change c = {
		.kind = WEFT_HOST_FENCE, .add = weft_fence_is_wanted(wanted), .fence = wanted};
	struct weft_text line = {0};
	int rc;

	if (weft_fence_is(is, wanted))
		return 0;
	rc = weft_host_change_text(&c, job->ifname, &line);
	if (!rc) {
		weft_host_step(job, "%s", line.p);
		rc = weft_fence_apply(job->ifname, wanted);
	}
	if (rc)
		weft_host_failed(job, line.p ? line.p : job->ifname, rc);
	weft_text_clear(&line);
	return rc;
}

/* The mark of the device, 0 if it has none; or it is not there. */
static uint32_t mark_of_device(const struct weft_host_job *job, bool *ret_there)
{
	struct weft_conf_device dev = {0};
	uint32_t mark;

	*ret_there = weft_control_get(job->backend, job->ifname, &dev) == 0;
	mark = *ret_there ? dev.fwmark : 0;
	weft_conf_device_clear(&dev);
	return mark;
}

static int mark_device(struct weft_host_job *job, uint32_t mark)
{
	const struct weft_conf_device change = {.has = WEFT_DEVICE_HAS_FWMARK, .fwmark = mark};
	int rc;

	weft_host_step(job, "weft set %s fwmark %u", job->ifname, (unsigned)mark);
	rc = weft_control_set(job->backend, job->ifname, &change);
	return rc ? weft_host_failed(job, "Unable to modify interface", rc) : 0;
}

/* Closes it as the file says, but for whether it says so. */
static int close_it(struct weft_host_job *job, const struct weft_fence *is)
{
	const struct weft_quick *q = job->quick;
	struct weft_fence wanted = {.kill_switch = true, .mss = true, .mark = q->wg.dev.fwmark};
	int rc = weft_exclude_tidy(q->excludes, q->n_excludes, &wanted.excludes);

	if (!rc)
		rc = weft_fence_seal(&wanted);
	rc = rc ? weft_host_failed(job, job->ifname, rc) : put_up(job, is, &wanted);
	weft_fence_clear(&wanted);
	return rc;
}

int weft_host_close(struct weft_host_job *job)
{
	struct weft_fence is = {0};
	int rc;

	if (!job->quick->kill_switch)
		return 0;
	rc = weft_fence_observe(job->ifname, &is);
	if (!rc)
		rc = fix_mark(job, &is, 0);
	rc = rc ? weft_host_failed(job, job->ifname, rc) : close_it(job, &is);
	weft_fence_clear(&is);
	return rc;
}

static int turn_on(struct weft_host_job *job, uint32_t device_mark, bool there)
{
	struct weft_fence is = {0};
	int rc = weft_fence_observe(job->ifname, &is);

	if (device_mark) /* whatever the file says now, these are the packets that are to pass */
		job->quick->wg.dev.fwmark = device_mark;
	if (!rc)
		rc = fix_mark(job, &is, 0);
	if (rc)
		weft_host_failed(job, job->ifname, rc);
	else if (there && !device_mark)
		rc = mark_device(job, job->quick->wg.dev.fwmark);
	if (!rc)
		rc = close_it(job, &is);
	weft_fence_clear(&is);
	return rc;
}

int weft_host_kill_switch_on(struct weft_host_job *job)
{
	struct weft_host_lock lock = {.fd = -1};
	bool there = false;
	uint32_t mark;
	int rc = weft_host_take_lock(job, "weft killswitch on", &lock);

	if (rc)
		return rc;
	mark = mark_of_device(job, &there);
	rc = weft_host_check_excludes(job);
	if (!rc)
		rc = turn_on(job, mark, there);
	weft_host_unlock(&lock, !there);
	return rc;
}

static int turn_off(struct weft_host_job *job, bool there)
{
	struct weft_fence is = {0}, wanted = {0};
	int rc = weft_fence_observe(job->ifname, &is);

	wanted.mss = is.mss && there; /* the clamp stays with the interface */
	if (!rc)
		rc = weft_fence_seal(&wanted);
	if (rc)
		weft_host_failed(job, job->ifname, rc);
	else if (is.kill_switch)
		rc = put_up(job, &is, &wanted);
	weft_fence_clear(&is);
	return rc;
}

int weft_host_kill_switch_off(struct weft_host_job *job)
{
	struct weft_host_lock lock = {.fd = -1};
	bool there = if_nametoindex(job->ifname) != 0;
	int rc = weft_host_take_lock(job, "weft killswitch off", &lock);

	if (rc)
		return rc;
	rc = turn_off(job, there);
	weft_host_unlock(&lock, !there);
	return rc;
}

bool weft_host_is_closed(const char *ifname)
{
	struct weft_fence is = {0};
	bool closed = weft_fence_observe(ifname, &is) == 0 && is.kill_switch;

	weft_fence_clear(&is);
	return closed;
}
