/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft run`: an interface as a service. up, then READY=1; SIGHUP reloads, SIGTERM and SIGINT take
 * it down. An interface that goes by itself, with its daemon, is a failure, so that the service
 * manager starts it again. sd_notify(3), systemd.service(5): Type=notify-reload.
 */
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "control/device.h"
#include "host/keep.h"
#include "host/rundir.h"
#include "linux/link.h"
#include "linux/notify.h"

#define OPTIONS (WEFT_CLI_VERBOSE | WEFT_CLI_KEEP_KILL_SWITCH)

struct run {
	const struct weft_cli *cli;
	struct weft_cli_quick *q;
	char **argv; /* as weft_cli_open_quick takes them */
	int argc;
	const char *notify_socket;
	struct weft_link *link;
	int signal_fd;
	int watchdog_ms; /* -1: nobody waits for a sign of life */
	bool stop;       /* SIGTERM or SIGINT came during a reload */
	bool again;      /* SIGHUP came, and the file may have been read before */
};

static volatile sig_atomic_t hung_up;

static void tell(const struct run *r, const char *state)
{
	int rc = weft_notify(r->notify_socket, state);

	if (rc)
		weft_cli_failed(r->cli, "NOTIFY_SOCKET", rc);
}

static void on_hangup(int number)
{
	hung_up = number;
}

/*
 * Signals wait while nothing is going on, and arrive while something is: what `up` has begun it
 * takes back, and the programs that are run do not inherit that they are blocked.
 */
static void let_signals(bool through)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(through ? SIG_UNBLOCK : SIG_BLOCK, &set, NULL);
}

static int open_signals(void)
{
	const struct sigaction action = {.sa_handler = on_hangup, .sa_flags = SA_RESTART};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaction(SIGHUP, &action, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Half of the time in which the service manager wants to hear of us. */
static int watchdog_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	char *end;
	unsigned long long n;

	if (!usec || (pid && strtol(pid, NULL, 10) != (long)getpid()))
		return -1;
	errno = 0;
	n = strtoull(usec, &end, 10);
	if (errno || *end || !n || n / 2000 > INT_MAX)
		return -1;
	return n < 2000 ? 1 : (int)(n / 2000);
}

static void pat_watchdog(const struct run *r)
{
	struct weft_conf_device dev = {0};
	int rc = weft_control_get(r->cli->backend, r->q->name, &dev);

	weft_conf_device_clear(&dev);
	if (!rc) /* else whoever waits for it acts */
		tell(r, "WATCHDOG=1");
}

/* Takes what is meant for this process alone out of what its children get: the daemon would answer.
 */
static char *take_environment(struct run *r)
{
	const char *path = getenv("NOTIFY_SOCKET");
	char *copy = path ? strdup(path) : NULL;

	r->notify_socket = copy;
	r->watchdog_ms = watchdog_ms();
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return copy;
}

/* The number of a signal that has come, or 0. */
static int take_signal(const struct run *r)
{
	struct signalfd_siginfo info;

	return read(r->signal_fd, &info, sizeof(info)) == sizeof(info) ? (int)info.ssi_signo : 0;
}

static void note_signals(struct run *r)
{
	int number;

	while ((number = take_signal(r))) {
		if (number == SIGHUP)
			r->again = true;
		else
			r->stop = true;
	}
}

/*
 * A reload in a child: it does not heed signals once it has begun, and what it does not heed would
 * be lost to us. main's exit code.
 */
static int reload_in_child(struct run *r, struct weft_cli_quick *q)
{
	struct pollfd fds[2] = {{.fd = r->signal_fd, .events = POLLIN}, {.events = POLLIN}};
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		let_signals(true);
		status = weft_cli_reload_quick(q);
		fflush(NULL);
		_exit(status);
	}
	if (pid < 0)
		return weft_cli_failed(r->cli, "fork", -errno);
	fds[1].fd = pidfd_open(pid, 0);
	while (fds[1].fd >= 0 && !fds[1].revents) {
		if (poll(fds, 2, -1) < 0 || !fds[0].revents)
			continue;
		note_signals(r);
		if (r->stop)
			kill(pid, SIGTERM);
	}
	if (fds[1].fd >= 0)
		close(fds[1].fd);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return weft_cli_failed(r->cli, "waitpid", -errno);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void reload(struct run *r)
{
	struct weft_cli_quick fresh = {0};
	struct timespec t;
	char state[96];
	int code = 1;

	clock_gettime(CLOCK_MONOTONIC, &t);
	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%llu",
		 (unsigned long long)t.tv_sec * 1000000 + (unsigned long long)t.tv_nsec / 1000);
	tell(r, state);
	r->again = false;
	if (weft_cli_open_quick(r->cli, r->argc, r->argv, OPTIONS, &fresh, &code))
		code = reload_in_child(r, &fresh);
	if (code) {
		weft_cli_quick_clear(&fresh); /* what is stays as it is */
	} else {
		weft_cli_quick_clear(r->q);
		*r->q = fresh;
	}
	tell(r,
	     code ? "READY=1\nSTATUS=Serving; the last reload failed" : "READY=1\nSTATUS=Serving");
}

static int take_down(struct run *r)
{
	struct weft_host_job job;
	int code;

	tell(r, "STOPPING=1");
	weft_cli_catch_signals();
	let_signals(true);
	weft_cli_job(r->q, &job);
	job.stopped = NULL; /* once begun it is done to its end */
	code = weft_cli_job_end(&job, weft_host_down(&job));
	return code;
}

static int gone(struct run *r)
{
	weft_cli_error(r->cli,
		       "%s is gone: its daemon has ended, or somebody has "
		       "deleted it",
		       r->q->name);
	tell(r, "STOPPING=1\nSTATUS=The interface is gone");
	weft_keep_stop(r->q->name);
	return 1;
}

/* main's exit code. */
static int serve(struct run *r)
{
	for (;;) {
		struct pollfd fds[] = {{.fd = r->signal_fd, .events = POLLIN},
				       {.fd = weft_link_fd(r->link), .events = POLLIN}};
		int n, changes;

		while (r->again && !r->stop)
			reload(r);
		if (r->stop)
			return take_down(r);
		n = poll(fds, 2, r->watchdog_ms);
		if (n < 0 && errno != EINTR)
			return weft_cli_failed(r->cli, "poll", -errno);
		if (n == 0)
			pat_watchdog(r);
		if (n <= 0)
			continue;
		changes = fds[1].revents ? weft_link_read(r->link) : 0;
		if (changes > 0 && (changes & WEFT_LINK_DELETED))
			return gone(r);
		note_signals(r);
	}
}

/* main's exit code. */
static int begin(struct run *r)
{
	struct weft_host_job job;
	int rc;

	/* one that is there is left of a service that was killed */
	if (if_nametoindex(r->q->name)) {
		let_signals(false);
		return reload_in_child(r, r->q);
	}
	rc = weft_cli_up_quick(r->q);
	let_signals(false);
	weft_cli_job(r->q, &job);
	r->stop = job.stopped(job.ctx); /* too late for `up` to take it back */
	r->again = hung_up;
	return rc;
}

/* One service for an interface. False: what is wrong was printed. */
static bool lock(const struct weft_cli *cli, const char *ifname, struct weft_host_lock *ret_lock)
{
	char holder[64];
	int rc = weft_host_lock_service(ifname, ret_lock, holder, sizeof(holder));

	if (rc == -EBUSY)
		weft_cli_error(cli, "`%s' is served by %s already", ifname, holder);
	else if (rc)
		weft_cli_failed(cli, WEFT_HOST_RUN_DIR, rc);
	return !rc;
}

int weft_cli_run(const struct weft_cli *cli, int argc, char **argv)
{
	struct weft_host_lock service = {.fd = -1};
	struct weft_cli_quick q = {0};
	struct run r = {.cli = cli, .q = &q, .argv = argv, .argc = argc};
	int rc = 1;

	if (weft_cli_open_quick(cli, argc, argv, OPTIONS, &q, &rc) && lock(cli, q.name, &service)) {
		char *notify_socket = take_environment(&r);

		r.signal_fd = open_signals();
		rc = r.signal_fd < 0 ? weft_cli_failed(cli, q.name, -errno) : begin(&r);
		if (!rc) {
			rc = weft_link_open(&r.link, if_nametoindex(q.name));
			if (rc) {
				rc = weft_cli_failed(cli, q.name, rc);
				(void)take_down(&r);
			} else {
				tell(&r, "READY=1\nSTATUS=Serving");
				rc = serve(&r);
				weft_link_close(r.link);
			}
		}
		if (r.signal_fd >= 0)
			close(r.signal_fd);
		free(notify_socket);
		weft_host_unlock_service(&service);
	}
	weft_cli_quick_clear(&q);
	return rc;
}
