/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner's loop: handshakes and timers in slices, and between them configuration, the link,
 * signals. Sleeps in epoll until something is due.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/resource.h>
#include <net/if.h>
#include <linux/if_tun.h>
#include <time.h>
#include <unistd.h>

#include "daemon/daemon.h"

#define MAX_EVENTS 8

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * WEFT_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t weftd_now_ns(void)
{
	return clock_ns(CLOCK_BOOTTIME);
}

struct weftd_share_thread weftd_thread_now(void)
{
	struct rusage used = {0};

	(void)getrusage(RUSAGE_THREAD, &used);
	return (struct weftd_share_thread){.cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID),
					   .preempted = (uint64_t)used.ru_nivcsw};
}

void weftd_stop(struct weftd *d, int exit_code)
{
	uint64_t one = 1;
	ssize_t n;

	if (!atomic_exchange(&d->stopping, true))
		atomic_store(&d->exit_code, exit_code);
	n = write(d->wake_fd, &one, sizeof(one));
	(void)n;
}

void weftd_fail(struct weftd *d, const char *what, int code)
{
	weftd_log(WEFTD_LOG_ERROR, "failed", "what", what, "reason", weft_strerror(code), NULL);
	weftd_stop(d, 1);
}

void weftd_tun_error(struct weftd *d, int code)
{
	if (atomic_load(&d->stopping))
		return;
	if (code == -EBADFD || code == -EIO) {
		weftd_log(WEFTD_LOG_INFO, "interface_deleted", NULL);
		weftd_stop(d, 0);
		return;
	}
	weftd_fail(d, "the tunnel device", code);
}

/* ---- the link ---- */

/* The TUN still answers: the interface was not deleted but moved to another namespace. */
static bool tun_lives(const struct weftd *d)
{
	struct ifreq ifr;

	memset(&ifr, 0, sizeof(ifr));
	return ioctl(d->tun.fd, TUNGETIFF, &ifr) == 0;
}

/* Up or down is all that can be seen from here: a TUN can be written to only while it is up. */
static void look_at_foreign_link(struct weftd *d, uint64_t now_ns)
{
	struct pollfd pfd = {.fd = d->tun.fd, .events = POLLOUT};
	bool up = poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLOUT);

	d->foreign_poll_ns = now_ns + WEFTD_FOREIGN_POLL_NS;
	if (!tun_lives(d)) {
		weftd_tun_error(d, -EBADFD);
		return;
	}
	if (up && !d->link_up)
		(void)!weftd_go_up(d, now_ns);
	else if (!up && d->link_up)
		weftd_go_down(d, now_ns);
}

static void link_gone(struct weftd *d, uint64_t now_ns)
{
	if (!tun_lives(d)) {
		weftd_tun_error(d, -EBADFD);
		return;
	}
	if (!d->link_foreign)
		weftd_log(WEFTD_LOG_INFO, "interface_moved", "to", "another network namespace",
			  NULL);
	d->link_foreign = true;
	look_at_foreign_link(d, now_ns);
}

static void update_mtu(struct weftd *d)
{
	uint32_t mtu = weft_link_mtu(d->link);

	if (mtu == d->mtu)
		return;
	d->mtu = mtu;
	weft_device_set_mtu(d->dev, mtu);
	(void)!weft_link_limit_gso(d->tun.ifindex, mtu); /* speed only */
	weft_device_routes_changed(d->dev, weftd_now_ns());
}

static void apply_link_state(struct weftd *d, uint64_t now_ns)
{
	update_mtu(d);
	if (weft_link_is_up(d->link) && !d->link_up)
		(void)!weftd_go_up(d, now_ns);
	else if (!weft_link_is_up(d->link) && d->link_up)
		weftd_go_down(d, now_ns);
}

static void on_link(struct weftd *d, uint64_t now_ns)
{
	int mask = weft_link_read(d->link);

	if (mask < 0) {
		weftd_fail(d, "reading link changes", mask);
		return;
	}
	if (mask & WEFT_LINK_DELETED) {
		link_gone(d, now_ns);
		mask &= WEFT_LINK_ADDRESS | WEFT_LINK_ROUTE | WEFT_LINK_OTHER_MTU;
	}
	if (mask & (WEFT_LINK_ADDRESS | WEFT_LINK_ROUTE | WEFT_LINK_OVERRUN)) {
		weftd_routes_forget(d);
		weftd_sources_check(d, now_ns);
	}
	if (mask & (WEFT_LINK_ROUTE | WEFT_LINK_OTHER_MTU | WEFT_LINK_OVERRUN))
		weft_device_routes_changed(d->dev, now_ns);
	if (d->link_foreign || atomic_load(&d->stopping))
		return;
	/* down and up again within one read: the sockets are made anew in between */
	if ((mask & WEFT_LINK_DOWN) && d->link_up)
		weftd_go_down(d, now_ns);
	if (mask)
		apply_link_state(d, now_ns);
}

/* ---- the rest ---- */

static void on_signal(struct weftd *d)
{
	struct signalfd_siginfo si;

	while (read(d->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo == SIGHUP)
			continue; /* nothing to read again */
		weftd_log(WEFTD_LOG_INFO, "signal", "name",
			  si.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT", NULL);
		weftd_stop(d, 0);
	}
}

static void on_uapi(struct weftd *d)
{
	int rc = weft_uapi_server_run(d->uapi);

	if (rc == 1) {
		weftd_log(WEFTD_LOG_INFO, "control_socket_removed", NULL);
		weftd_stop(d, 0);
	} else if (rc < 0) {
		weftd_fail(d, "the control socket", rc);
	}
}

static void on_wake(struct weftd *d)
{
	uint64_t count;
	ssize_t n = read(d->wake_fd, &count, sizeof(count));

	(void)n;
	/* cleared before the core looks: what comes later wakes again */
	atomic_store(&d->wake_pending, false);
}

static void run_due(struct weftd *d, uint64_t now_ns)
{
	weftd_sources_run(d, now_ns);
	if (now_ns >= d->socket_retry_ns && d->link_up)
		(void)!weftd_go_up(d, now_ns);
	if (d->link_foreign && now_ns >= d->foreign_poll_ns)
		look_at_foreign_link(d, now_ns);
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int timeout_ms(const struct weftd *d, uint64_t now_ns)
{
	uint64_t due = weft_device_next_ns(d->dev), ms;

	due = min_u64(due, min_u64(d->check_sources_ns, d->socket_retry_ns));
	if (d->link_foreign)
		due = min_u64(due, d->foreign_poll_ns);
	if (due == WEFT_NEVER)
		return -1;
	if (due <= now_ns)
		return 0;
	ms = (due - now_ns + WEFT_NS_PER_MS - 1) / WEFT_NS_PER_MS;
	return ms > 3600 * 1000 ? 3600 * 1000 : (int)ms;
}

static int watch(struct weftd *d, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

static int watch_all(struct weftd *d)
{
	const int fds[] = {d->signal_fd, d->wake_fd, weft_uapi_server_fd(d->uapi),
			   weft_link_fd(d->link)};
	int rc = 0;

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]) && !rc; i++)
		rc = watch(d, fds[i]);
	return rc;
}

static void dispatch(struct weftd *d, const struct epoll_event *ev, int n)
{
	uint64_t now_ns = weftd_now_ns();

	for (int i = 0; i < n && !atomic_load(&d->stopping); i++) {
		int fd = ev[i].data.fd;

		if (fd == d->signal_fd)
			on_signal(d);
		else if (fd == d->wake_fd)
			on_wake(d);
		else if (fd == weft_link_fd(d->link))
			on_link(d, now_ns);
		else
			on_uapi(d);
	}
}

int weftd_loop(struct weftd *d)
{
	struct epoll_event ev[MAX_EVENTS];
	int rc = watch_all(d), n;
	bool more;

	if (rc) {
		weftd_fail(d, "epoll", rc);
		return 1;
	}
	/* handshakes are the expensive part: data threads go first when there is a flood of them */
	setpriority(PRIO_PROCESS, (id_t)gettid(), WEFTD_OWNER_NICE);
	apply_link_state(d, weftd_now_ns());
	while (!atomic_load(&d->stopping)) {
		uint64_t now_ns = weftd_now_ns();

		more = weft_device_run(d->dev, now_ns, WEFTD_HANDSHAKE_SLICE);
		run_due(d, now_ns);
		weftd_burn_stack();
		n = epoll_wait(d->epoll_fd, ev, MAX_EVENTS,
			       more ? 0 : timeout_ms(d, weftd_now_ns()));
		if (n < 0 && errno != EINTR) {
			weftd_fail(d, "epoll", -errno);
			break;
		}
		dispatch(d, ev, n > 0 ? n : 0);
	}
	return atomic_load(&d->exit_code);
}
