/* SPDX-License-Identifier: Apache-2.0 */
/* From nothing to what the file wants, in wg-quick's order. */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>

#include "control/device.h"
#include "host/internal.h"

static int start_daemon(struct weft_host_job *job)
{
	const struct weft_quick *q = job->quick;
	const char *program = getenv("WG_QUICK_USERSPACE_IMPLEMENTATION");
	const char *argv[7] = {program ? program : "weftd"};
	char workers[16];
	size_t n = 1;
	int rc;

	if (q->workers) {
		snprintf(workers, sizeof(workers), "%u", (unsigned)q->workers);
		argv[n++] = "--workers";
		argv[n++] = workers;
	}
	if (q->cpus[0]) {
		argv[n++] = "--cpus";
		argv[n++] = q->cpus;
	}
	argv[n] = job->ifname;
	weft_host_step(job, "%s%s%s%s%s %s", argv[0], q->workers ? " --workers " : "",
		       q->workers ? workers : "", q->cpus[0] ? " --cpus " : "", q->cpus,
		       job->ifname);
	rc = weft_host_run(argv, NULL);
	if (rc < 0)
		return weft_host_failed(job, argv[0], rc);
	if (!rc)
		return 0;
	weft_host_error(job, "%s ended with %d", argv[0], rc);
	return -ECHILD;
}

/* By the kernel where it has WireGuard, else by a daemon; or by the one that is asked for. */
static int make_link(struct weft_host_job *job)
{
	int rc;

	if (job->backend == WEFT_BACKEND_USERSPACE)
		return start_daemon(job);
	weft_host_step(job, "ip link add %s type wireguard", job->ifname);
	rc = weft_ifconf_add_wireguard(job->ifname);
	if (rc == -EOPNOTSUPP && job->backend == WEFT_BACKEND_AUTO) {
		weft_host_step(job, "(this kernel has no WireGuard: a daemon runs it)");
		return start_daemon(job);
	}
	if (rc == -EOPNOTSUPP) {
		weft_host_error(job, "%s: this kernel has no WireGuard", job->ifname);
		weft_diag_hint(&job->diag, "userspace as backend, or auto, runs it by weftd");
		return rc;
	}
	if (!rc && (job->quick->workers || job->quick->cpus[0]))
		weft_host_warn(job,
			       "Workers and Cpus are weftd's: the kernel's WireGuard has none");
	return rc ? weft_host_failed(job, job->ifname, rc) : 0;
}

static int set_device(struct weft_host_job *job, const struct weft_conf_device *change)
{
	int rc = weft_control_set(job->backend, job->ifname, change);

	return rc ? weft_host_failed(job, "Unable to modify interface", rc) : 0;
}

/* Keys, peers and port: the names of endpoints may only be known after PreUp. */
static int configure(struct weft_host_job *job)
{
	struct weft_conf_device *dev = &job->quick->wg.dev;
	int rc = job->resolve(job->ctx, job->quick);

	if (rc)
		return rc;
	dev->has |= WEFT_DEVICE_REPLACE_PEERS | WEFT_DEVICE_HAS_PRIVATE_KEY |
		    WEFT_DEVICE_HAS_FWMARK | WEFT_DEVICE_HAS_LISTEN_PORT;
	weft_host_step(job, "weft setconf %s %s", job->ifname, job->path);
	return set_device(job, dev);
}

static int set_mark(struct weft_host_job *job, uint32_t mark)
{
	const struct weft_conf_device change = {.has = WEFT_DEVICE_HAS_FWMARK, .fwmark = mark};

	weft_host_step(job, "weft set %s fwmark %u", job->ifname, (unsigned)mark);
	return set_device(job, &change);
}

/* MTU = auto: weftd alone measures paths, and is asked to; others refuse the word. */
static void probe_paths(struct weft_host_job *job)
{
	struct weft_conf_device *dev = &job->quick->wg.dev;
	const struct weft_conf_device change = {.has = WEFT_DEVICE_HAS_PATH_MTU,
						.path_mtu = WEFT_CONF_PATH_MTU_PROBE};

	if (!job->quick->mtu_auto)
		return;
	if (weft_control_set(job->backend, job->ifname, &change)) {
		weft_host_warn(
			job,
			"MTU = auto: only weftd measures paths; the narrowest route's is taken");
		return;
	}
	weft_host_step(job, "weft set %s path-mtu probe", job->ifname);
	dev->path_mtu = WEFT_CONF_PATH_MTU_PROBE;
}

/* For reload to know what is of this file. */
static int record(struct weft_host_job *job, const struct weft_host_state *wanted)
{
	struct weft_host_record rec = {0};
	int rc = weft_host_record_add(&rec, job->quick, wanted);

	if (!rc)
		rc = weft_host_write_record(job->ifname, &rec);
	weft_host_record_clear(&rec);
	return rc ? weft_host_failed(job, WEFT_HOST_RUN_DIR, rc) : 0;
}

static int reconcile(struct weft_host_job *job, uint32_t *ret_mark)
{
	struct weft_host_state is = {0}, wanted = {0};
	struct weft_host_changes changes = {0};
	struct weft_host_facts facts = {0};
	struct weft_ifconf *conf = NULL;
	int rc = weft_ifconf_open(&conf, job->ifname);

	if (!rc)
		rc = weft_host_find_facts(conf, job->quick, 0, &facts);
	facts.probes = job->quick->wg.dev.path_mtu == WEFT_CONF_PATH_MTU_PROBE;
	if (!rc)
		rc = weft_host_wanted(job->quick, &facts, &wanted);
	if (!rc)
		rc = weft_host_observe(conf, job->ifname, wanted.mark, &is);
	if (!rc)
		rc = weft_host_diff(&is, &wanted, &changes);
	*ret_mark = wanted.mark;
	if (rc)
		weft_host_failed(job, job->ifname, rc);
	if (!rc && facts.mark)
		rc = set_mark(job, facts.mark);
	if (!rc)
		rc = weft_host_apply_all(job, conf, &changes, &wanted);
	if (!rc)
		rc = record(job, &wanted);
	weft_host_changes_clear(&changes);
	weft_host_state_clear(&wanted);
	weft_host_state_clear(&is);
	weft_ifconf_close(conf);
	return rc;
}

static int bring_up(struct weft_host_job *job, uint32_t *ret_mark)
{
	int rc = weft_host_hooks(job, "PreUp", &job->quick->pre_up);

	if (!rc && weft_host_stopped(job))
		rc = -EINTR;
	if (!rc)
		rc = configure(job);
	if (!rc)
		probe_paths(job);
	if (!rc)
		rc = reconcile(job, ret_mark);
	if (!rc)
		weft_host_keep(job);
	if (!rc)
		rc = weft_host_hooks(job, "PostUp", &job->quick->post_up);
	return !rc && weft_host_stopped(job) ? -EINTR : rc;
}

int weft_host_up(struct weft_host_job *job)
{
	struct weft_host_lock lock = {.fd = -1};
	uint32_t mark = 0;
	int rc = weft_host_take_lock(job, "weft up", &lock);

	if (rc)
		return rc;
	if (if_nametoindex(job->ifname)) {
		weft_host_error(job, "`%s' already exists", job->ifname);
		weft_diag_hint(&job->diag,
			       "`weft reload` makes it what the file says by now, `weft down` "
			       "takes it away");
		weft_host_unlock(&lock, false);
		return -EEXIST;
	}
	rc = weft_host_check_excludes(job);
	if (!rc)
		rc = weft_host_close(job);
	if (rc) {
		weft_host_unlock(&lock, true);
		return rc;
	}
	rc = make_link(job);
	if (!rc) {
		job->keep_kill_switch = true;
		rc = bring_up(job, &mark);
		if (rc)
			weft_host_take_down(job, mark); /* says itself what it cannot */
	}
	if (rc && weft_host_is_closed(job->ifname))
		weft_host_warn(job,
			       "the kill switch is closed: nothing leaves outside the tunnel "
			       "(`weft killswitch off %s' opens it)",
			       job->ifname);
	weft_host_unlock(&lock, rc != 0);
	return rc;
}
