/* SPDX-License-Identifier: Apache-2.0 */
/* To nothing: the interface goes, and with it its daemon and all that `up` has done for it. */
#include <errno.h>
#include <net/if.h>

#include "control/device.h"
#include "host/internal.h"
#include "host/keep.h"

/* What does not go with the link itself. */
static bool outlives_link(const struct weft_host_change *c)
{
	return c->kind != WEFT_HOST_ADDRESS && (c->kind != WEFT_HOST_ROUTE || c->thrown);
}

static int undo_changes(const struct weft_host_job *job, struct weft_ifconf *conf, uint32_t mark)
{
	struct weft_host_state none = {0}, is = {0};
	struct weft_host_changes changes = {0};
	int rc = weft_host_observe(conf, job->ifname, mark, &is), first;

	if (job->keep_kill_switch && is.fence.kill_switch)
		none.fence = is.fence; /* borrowed */
	if (!rc)
		rc = weft_host_diff(&is, &none, &changes);
	first = rc;
	for (size_t i = 0; i < changes.n; i++) {
		struct weft_text line = {0};

		if (!outlives_link(&changes.v[i]))
			continue;
		rc = weft_host_change_text(&changes.v[i], job->ifname, &line);
		if (!rc)
			weft_host_step(job, "%s", line.p);
		weft_text_clear(&line);
		rc = weft_host_apply(conf, job->ifname, &changes.v[i], &is);
		first = first ? first : rc;
	}
	weft_host_changes_clear(&changes);
	weft_host_state_clear(&is);
	return first;
}

/* Also if the file no longer says so. */
static bool has_dns(const struct weft_host_job *job)
{
	struct weft_host_record rec = {0};
	bool recorded = weft_host_read_record(job->ifname, &rec) == 0 && rec.state.dns;

	weft_host_record_clear(&rec);
	return recorded || job->quick->dns_servers.n;
}

static int take_dns_back(struct weft_host_job *job)
{
	int rc;

	weft_host_step(job, "resolvconf -d %s -f", job->ifname);
	rc = weft_host_set_dns(job->ifname, NULL);
	return rc && rc != -ENOENT ? weft_host_failed(job, "resolvconf", rc) : 0;
}

int weft_host_take_down(struct weft_host_job *job, uint32_t mark)
{
	struct weft_ifconf *conf = NULL;
	int rc = weft_ifconf_open(&conf, job->ifname), deleted, dns;
	bool told = has_dns(job);

	weft_keep_stop(job->ifname);
	if (!rc) {
		rc = undo_changes(job, conf, mark);
		weft_host_step(job, "ip link delete dev %s", job->ifname);
		deleted = weft_ifconf_delete(conf);
		rc = rc ? rc : deleted;
	}
	weft_ifconf_close(conf);
	if (rc)
		weft_host_failed(job, job->ifname, rc);
	dns = told ? take_dns_back(job) : 0;
	return rc ? rc : dns;
}

static int down(struct weft_host_job *job)
{
	struct weft_conf_device dev = {0};
	int rc = weft_control_get(job->backend, job->ifname, &dev), after;
	uint32_t mark = dev.fwmark;

	weft_conf_device_clear(&dev);
	if (rc) {
		weft_host_error(job, "`%s' is not a WireGuard interface", job->ifname);
		if (weft_host_is_closed(job->ifname))
			weft_diag_hint(
				&job->diag,
				"its kill switch is closed: `weft killswitch off %s' opens it",
				job->ifname);
		return -ENODEV;
	}
	rc = weft_host_hooks(job, "PreDown", &job->quick->pre_down);
	if (!rc && job->quick->save_config)
		rc = weft_host_save_locked(job);
	if (rc)
		return rc;
	rc = weft_host_take_down(job, mark);
	after = weft_host_hooks(job, "PostDown", &job->quick->post_down);
	return rc ? rc : after;
}

int weft_host_down(struct weft_host_job *job)
{
	struct weft_host_lock lock = {.fd = -1};
	int rc = weft_host_take_lock(job, "weft down", &lock);

	if (rc)
		return rc;
	rc = down(job);
	weft_host_unlock(&lock, !if_nametoindex(job->ifname));
	return rc;
}
