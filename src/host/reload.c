/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what is there to what the file says now, whole or not at all. docs/decisions/0019.
 *
 * A child does it, in a session of its own and deaf to signals that end programs: it goes to the
 * end, forward or back, also when its parent is killed. If the child itself dies the parent, which
 * knows what was, brings that back.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/device.h"
#include "host/apply.h"
#include "host/internal.h"
#include "host/rundir.h"

/* All that a reload knows once it has looked. */
struct reload {
	struct weft_host_job *job;
	struct weft_host_record old_record, new_record, between;
	bool has_record;
	struct weft_host_whole was;
	struct weft_host_state wanted;
};

struct answer {
	int rc;
	struct weft_diag diag;
};

static struct weft_host_goal goal_of(const struct reload *r, bool forward)
{
	return (struct weft_host_goal){
		.dev = forward ? &r->job->quick->wg.dev : &r->was.dev,
		.host = forward ? &r->wanted : &r->was.host,
		.ours = r->has_record ? &r->between.state : NULL,
		.dns = forward ? r->was.host.dns : r->wanted.dns,
	};
}

/* The same in the file as last time: where the peer is by now is known better there. */
static int keep_endpoint(struct reload *r, size_t i, const struct weft_conf_peer *there,
			 bool *ret_kept)
{
	struct weft_conf_peer *p = &r->job->quick->wg.dev.peers[i];
	const char *recorded = weft_host_record_find(&r->old_record, p->public_key);
	char *text;

	*ret_kept = false;
	if (!recorded || there->endpoint.ip.family == WEFT_NONE)
		return 0;
	text = weft_host_endpoints_text(&r->job->quick->peers[i]);
	if (!text)
		return -ENOMEM;
	if (strcmp(text, recorded) == 0) {
		p->endpoint = there->endpoint;
		memcpy(p->endpoint_zone, there->endpoint_zone, sizeof(p->endpoint_zone));
		*ret_kept = r->job->quick->peers[i].settled = true;
	}
	free(text);
	return 0;
}

/* Endpoints that stay need no name to be asked for; the others are. */
static int settle_endpoints(struct reload *r)
{
	struct weft_quick *q = r->job->quick;
	struct weft_conf_names *names = &q->wg.names;
	const struct weft_conf_peer **sorted = weft_host_sort_peers(&r->was.dev);
	size_t left = 0, next = 0;
	int rc = sorted ? 0 : -ENOMEM;

	for (size_t i = 0; i < q->n_peers && !rc; i++) {
		const struct weft_conf_peer *const *there = weft_host_find_peer(
			sorted, r->was.dev.n_peers, q->wg.dev.peers[i].public_key);
		bool kept = false;

		if (there)
			rc = keep_endpoint(r, i, *there, &kept);
		for (; next < names->n && names->v[next].peer == i; next++)
			if (!kept)
				names->v[left++] = names->v[next];
	}
	free(sorted);
	if (rc)
		return rc;
	names->n = left;
	return r->job->resolve(r->job->ctx, q);
}

/* A Relay that has left the file goes back to what the daemon was started with. */
static void settle_relay(struct reload *r)
{
	struct weft_conf_device *dev = &r->job->quick->wg.dev;

	if (r->has_record && r->old_record.relay && !(dev->has & WEFT_DEVICE_HAS_RELAY) &&
	    r->was.dev.relay == WEFT_CONF_RELAY_FAST) {
		dev->has |= WEFT_DEVICE_HAS_RELAY;
		dev->relay = WEFT_CONF_RELAY_DEFAULT;
	}
}

/* What may be taken away, forward or back: what the last file and this one ask for. */
static int find_ours(struct reload *r)
{
	struct weft_host_record both = {0};
	const struct weft_host_state *old = &r->old_record.state;
	int rc = weft_host_record_add(&both, r->job->quick, &r->wanted);

	for (size_t i = 0; i < old->n_addresses && !rc; i++)
		rc = weft_host_add_address(&both.state, &old->addresses[i]);
	for (size_t i = 0; i < old->n_routes && !rc; i++)
		rc = weft_host_add_route(&both.state, &old->routes[i].to, old->routes[i].table);
	r->between = both;
	return rc;
}

static int find_wanted(struct reload *r, struct weft_ifconf *conf)
{
	struct weft_host_facts facts = {0};
	int rc = weft_host_find_facts(conf, r->job->quick, r->was.dev.fwmark, &facts);

	facts.probes = r->job->quick->wg.dev.path_mtu == WEFT_CONF_PATH_MTU_PROBE;
	if (!rc)
		rc = weft_host_wanted(r->job->quick, &facts, &r->wanted);
	if (!rc)
		rc = weft_host_record_add(&r->new_record, r->job->quick, &r->wanted);
	return rc ? rc : find_ours(r);
}

/* To them nothing is to be done, wherever they are by the time that all is done. */
static void leave_endpoints(struct weft_quick *q)
{
	for (size_t i = 0; i < q->n_peers; i++)
		if (q->peers[i].settled)
			q->wg.dev.peers[i].endpoint.ip.family = WEFT_NONE;
}

/* One that somebody has taken rules out of does not say its mark: the device does. */
static int mend_fence(struct reload *r)
{
	struct weft_fence *f = &r->was.host.fence;

	if (!f->kill_switch || f->mark)
		return 0;
	f->mark = r->was.dev.fwmark;
	return weft_fence_seal(f);
}

/* Everything that is to be known before anything is changed. */
static int prepare(struct reload *r, struct weft_ifconf *conf)
{
	struct weft_host_goal goal;
	int rc = weft_host_read_record(r->job->ifname, &r->old_record);

	r->has_record = !rc;
	if (rc && rc != -ENOENT)
		return rc;
	rc = weft_control_get(r->job->backend, r->job->ifname, &r->was.dev);
	if (!rc)
		rc = weft_host_check_excludes(r->job);
	if (!rc)
		rc = weft_host_fix_mark(r->job, r->was.dev.fwmark);
	if (!rc)
		rc = settle_endpoints(r);
	if (rc)
		return rc;
	settle_relay(r);
	if (r->job->quick->mtu_auto && r->was.dev.version[0]) /* weftd alone measures paths */
		r->job->quick->wg.dev.path_mtu = WEFT_CONF_PATH_MTU_PROBE;
	rc = find_wanted(r, conf);
	if (rc)
		return rc;
	goal = goal_of(r, true);
	goal.dns = r->old_record.state.dns;
	weft_conf_device_clear(&r->was.dev);
	rc = weft_host_look(r->job, conf, &goal, &r->was);
	/* taken back, it is all wanted, the lack of a key too */
	r->was.dev.has |= WEFT_DEVICE_HAS_PRIVATE_KEY;
	leave_endpoints(r->job->quick);
	return rc ? rc : mend_fence(r);
}

static void clear(struct reload *r)
{
	weft_host_record_clear(&r->old_record);
	weft_host_record_clear(&r->new_record);
	weft_host_record_clear(&r->between);
	weft_host_whole_clear(&r->was);
	weft_host_state_clear(&r->wanted);
}

/* That it cannot be kept is no reason to take back what was done. */
static void write_record(struct reload *r, struct weft_host_record *rec)
{
	int rc = weft_host_write_record(r->job->ifname, rec);

	if (rc)
		weft_host_warn(r->job, "%s/%s/record: %s", WEFT_HOST_RUN_DIR, r->job->ifname,
			       weft_strerror(rc));
}

/* Brings back what was. `why` is a part of what people are told. */
static void go_back(struct reload *r)
{
	struct weft_host_goal goal = goal_of(r, false);
	int rc = weft_host_converge(r->job, &goal);

	weft_diag_hint(&r->job->diag,
		       rc ? "not all of it could be taken back" : "all is as it was before");
	if (r->has_record)
		write_record(r, &r->old_record);
}

static int go(struct reload *r)
{
	struct weft_host_goal goal = goal_of(r, true);
	int rc;

	if (r->has_record) { /* else what is made now might never be known for weft's own */
		rc = weft_host_write_record(r->job->ifname, &r->between);
		if (rc) {
			weft_host_error(r->job, "%s/%s/record: %s", WEFT_HOST_RUN_DIR,
					r->job->ifname, weft_strerror(rc));
			weft_diag_hint(&r->job->diag, "nothing was changed");
			return rc;
		}
	}
	rc = weft_host_converge(r->job, &goal);
	if (rc)
		go_back(r);
	else
		write_record(r, &r->new_record);
	return rc;
}

static const int deaf_to[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGTSTP};

#define N_DEAF (sizeof(deaf_to) / sizeof(deaf_to[0]))

static void __attribute__((noreturn)) child(struct reload *r, int fd)
{
	struct answer answer = {.rc = 0};
	const char *p = (const char *)&answer;
	size_t left = sizeof(answer);

	(void)setsid();
	answer.rc = go(r);
	answer.diag = r->job->diag;
	while (left) {
		ssize_t n = write(fd, p, left);

		if (n < 0 && errno != EINTR)
			break;
		p += n > 0 ? n : 0;
		left -= n > 0 ? (size_t)n : 0;
	}
	_exit(0);
}

static void wait_for(pid_t pid)
{
	while (waitpid(pid, NULL, 0) > 0 || errno == EINTR)
		;
}

/* Waits for the child's answer, and if it died brings back what was. */
static int listen_to(struct reload *r, pid_t pid, int fd)
{
	struct answer answer;
	char *p = (char *)&answer;
	size_t left = sizeof(answer);
	ssize_t n;

	while (left && ((n = read(fd, p, left)) > 0 || (n < 0 && errno == EINTR))) {
		p += n > 0 ? n : 0;
		left -= n > 0 ? (size_t)n : 0;
	}
	wait_for(pid);
	if (!left) {
		r->job->diag = answer.diag;
		return answer.rc;
	}
	wait_for(-pid); /* programs that it ran, which would go on behind us */
	weft_host_error(r->job, "%s: what was to change it was killed", r->job->ifname);
	go_back(r);
	return -ECANCELED;
}

static int carry_out(struct reload *r)
{
	struct sigaction deaf = {.sa_handler = SIG_IGN}, before[N_DEAF];
	int fds[2], rc;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return weft_host_failed(r->job, r->job->ifname, -errno);
	r->job->stopped = NULL; /* from here on to the end */
	for (size_t i = 0; i < N_DEAF; i++)
		sigaction(deaf_to[i], &deaf, &before[i]);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L); /* to wait for what it ran, too */
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		child(r, fds[1]);
	}
	rc = -errno;
	close(fds[1]);
	rc = pid < 0 ? weft_host_failed(r->job, "fork", rc) : listen_to(r, pid, fds[0]);
	close(fds[0]);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 0L, 0L, 0L, 0L);
	for (size_t i = 0; i < N_DEAF; i++)
		sigaction(deaf_to[i], &before[i], NULL);
	return rc;
}

static int plan_and_do(struct reload *r, bool dry_run)
{
	struct weft_host_goal goal = goal_of(r, true);
	struct weft_host_plan plan = {0};
	int rc = weft_host_make_plan(&r->was, &goal, &plan);
	bool empty = weft_host_plan_is_empty(&plan);

	if (rc)
		weft_host_failed(r->job, r->job->ifname, rc);
	else if (r->job->plan)
		r->job->plan(r->job->ctx, &plan);
	weft_host_plan_clear(&plan);
	if (rc || dry_run)
		return rc;
	if (weft_host_stopped(r->job))
		return -EINTR;
	if (!empty)
		return carry_out(r);
	write_record(r, &r->new_record);
	return 0;
}

int weft_host_reload(struct weft_host_job *job, bool dry_run)
{
	struct reload r = {.job = job};
	struct weft_host_lock lock = {.fd = -1};
	struct weft_ifconf *conf = NULL;
	int rc = weft_host_take_lock(job, "weft reload", &lock);

	if (rc)
		return rc;
	rc = weft_ifconf_open(&conf, job->ifname);
	if (!rc)
		rc = prepare(&r, conf);
	if (rc == -ENODEV || rc == -EOPNOTSUPP) {
		weft_host_error(job, "`%s' is not a WireGuard interface", job->ifname);
		weft_diag_hint(&job->diag, "`weft up` makes one");
	} else if (rc && rc != -EHOSTUNREACH && !job->diag.message[0]) {
		weft_host_failed(job, job->ifname, rc);
	}
	if (!rc)
		rc = plan_and_do(&r, dry_run);
	if (!rc && !dry_run)
		weft_host_keep(job);
	clear(&r);
	weft_ifconf_close(conf);
	weft_host_unlock(&lock, rc == -ENODEV);
	return rc;
}
