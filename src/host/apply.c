/* SPDX-License-Identifier: Apache-2.0 */
/* Look, plan, carry out; again, until nothing is left. */
#include "host/apply.h"

#include <errno.h>
#include <string.h>

#include "control/device.h"
#include "host/internal.h"

void weft_host_whole_clear(struct weft_host_whole *w)
{
	weft_conf_device_clear(&w->dev);
	weft_host_state_clear(&w->host);
}

int weft_host_look(struct weft_host_job *job, struct weft_ifconf *conf,
		   const struct weft_host_goal *goal, struct weft_host_whole *ret)
{
	int rc = weft_control_get(job->backend, job->ifname, &ret->dev);

	if (!rc)
		rc = weft_host_observe(conf, job->ifname, ret->dev.fwmark, &ret->host);
	if (!rc)
		rc = weft_host_forget_others(&ret->host, goal->host, goal->ours);
	if (rc)
		return rc;
	ret->host.dns = goal->dns ? strdup(goal->dns) : NULL;
	return goal->dns && !ret->host.dns ? -ENOMEM : 0;
}

int weft_host_make_plan(const struct weft_host_whole *is, const struct weft_host_goal *goal,
			struct weft_host_plan *ret)
{
	/* weftd says what it is; another daemon may be too old, and so may a kernel */
	bool takes_away = is->dev.version[0] != '\0';
	int rc = weft_host_diff_device(&is->dev, goal->dev, takes_away, &ret->device);

	/* said once: what the daemon was started with cannot be looked up */
	if (goal->relay_said && ret->device.relay == WEFT_CONF_RELAY_DEFAULT)
		ret->device.has &= ~(unsigned)WEFT_DEVICE_HAS_RELAY;

	return rc ? rc : weft_host_diff(&is->host, goal->host, &ret->changes);
}

/* Said line by line, done at once. */
static int change_device(struct weft_host_job *job, const struct weft_conf_device *change)
{
	struct weft_text text = {0};
	char *line, *save = NULL;
	int rc;

	if (weft_host_device_is_empty(change))
		return 0;
	rc = weft_host_device_text(change, job->ifname, &text);
	if (!rc)
		rc = weft_text_append(&text, "", 1);
	for (line = rc ? NULL : strtok_r(text.p, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		weft_host_step(job, "%s", line);
	weft_text_clear(&text);
	if (!rc)
		rc = weft_control_set(job->backend, job->ifname, change);
	return rc ? weft_host_failed(job, "Unable to modify interface", rc) : 0;
}

static int carry_out(struct weft_host_job *job, struct weft_ifconf *conf,
		     const struct weft_host_plan *plan, struct weft_host_goal *goal)
{
	int rc = change_device(job, &plan->device);

	if (!rc) {
		goal->relay_said = true;
		rc = weft_host_apply_all(job, conf, &plan->changes, goal->host);
	}
	if (!rc)
		goal->dns = goal->host->dns;
	return rc;
}

/* After as many rounds as there are it should be so. */
static int complain(struct weft_host_job *job, const struct weft_host_plan *plan)
{
	struct weft_text text = {0};
	int rc = weft_host_plan_text(plan, job->ifname, &text);

	if (!rc)
		rc = weft_text_append(&text, "", 1);
	if (!rc) {
		text.p[strcspn(text.p, "\n")] = '\0';
		weft_host_error(job, "%s does not stay as it is made; what is left: %s",
				job->ifname, text.p);
	}
	weft_text_clear(&text);
	return rc ? rc : -EIO;
}

/* 1: there was nothing to do, 0: it was done. */
static int one_round(struct weft_host_job *job, struct weft_ifconf *conf,
		     struct weft_host_goal *goal, bool last)
{
	struct weft_host_whole is = {0};
	struct weft_host_plan plan = {0};
	int rc = weft_host_look(job, conf, goal, &is);

	if (!rc)
		rc = weft_host_make_plan(&is, goal, &plan);
	if (rc)
		weft_host_failed(job, job->ifname, rc);
	else if (weft_host_plan_is_empty(&plan))
		rc = 1;
	else
		rc = last ? complain(job, &plan) : carry_out(job, conf, &plan, goal);
	weft_host_plan_clear(&plan);
	weft_host_whole_clear(&is);
	return rc;
}

int weft_host_converge(struct weft_host_job *job, struct weft_host_goal *goal)
{
	struct weft_ifconf *conf = NULL;
	int rc = weft_ifconf_open(&conf, job->ifname);

	if (rc)
		return weft_host_failed(job, job->ifname, rc);
	for (int i = 0; i <= WEFT_HOST_ROUNDS && !rc; i++)
		rc = one_round(job, conf, goal, i == WEFT_HOST_ROUNDS);
	weft_ifconf_close(conf);
	return rc < 0 ? rc : 0;
}
