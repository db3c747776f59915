/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weftd: start-up in order, the way into the background, and the end. What happens in between is
 * loop.c (owner), tx.c and rx.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "linux/notify.h"
#include "linux/privilege.h"

/* --cpus: before the process has a child or threads. False: said. */
static bool take_cpus(const struct weftd_options *opt)
{
	char asked[WEFT_CPUS_LIST_LEN], have[WEFT_CPUS_LIST_LEN];
	struct weft_cpus there, missing;
	int rc;

	if (!weft_cpus_count(&opt->cpus))
		return true;
	rc = weftd_cpus_take(&opt->cpus, &there);
	if (rc == -ENXIO) {
		missing = weft_cpus_without(&opt->cpus, &there);
		fprintf(stderr, "weftd: --cpus: %s not to be had, there are %s\n",
			weft_cpus_format(&missing, asked), weft_cpus_format(&there, have));
	} else if (rc) {
		fprintf(stderr, "weftd: --cpus: %s\n", weft_strerror(rc));
	}
	return rc == 0;
}

/* What failed, for the person at the terminal: says it, and returns `rc`. */
static int complain(const struct weftd *d, const char *what, int rc)
{
	const char *name = d->tun.name[0] ? d->tun.name : d->opt.ifname;
	const char *hint = "";

	if (rc == -EPERM || rc == -EACCES)
		hint = " (CAP_NET_ADMIN is needed: run as root)";
	else if (rc == -EBUSY || rc == WEFT_E_IN_USE)
		hint = " (is another daemon serving it?)";
	fprintf(stderr, "weftd: %s: %s: %s%s\n", name, what, weft_strerror(rc), hint);
	return rc;
}

static int make_fds(struct weftd *d)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	/* before any thread: all of them inherit it */
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	d->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	d->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (d->signal_fd < 0 || d->wake_fd < 0 || d->epoll_fd < 0)
		return complain(d, "descriptors", -errno);
	return 0;
}

/* Keys are not yet here, but nothing that may hold one comes before this. */
static int make_keys(struct weftd *d)
{
	const struct rlimit none = {0, 0};
	int rc;

	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &none);
	rc = weft_secmem_adopt_openssl();
	if (!rc)
		rc = weft_crypto_init_with(d->opt.crypto);
	if (rc && d->opt.crypto == WEFT_AEAD_AVX512)
		return complain(d, "--crypto avx512 (built in? AVX-512 with IFMA?)", rc);
	if (rc && d->opt.crypto == WEFT_AEAD_IPSEC_MB)
		return complain(d, "--crypto ipsec-mb (built in? AVX2?)", rc);
	if (!rc)
		rc = weft_crypto_new(&d->crypto);
	if (!rc)
		rc = weft_random(d->route_key, sizeof(d->route_key));
	if (rc)
		return complain(d, "cryptographic library", rc);
	d->keys = weft_secmem_alloc(sizeof(*d->keys));
	return d->keys ? 0 : complain(d, "memory for keys", -ENOMEM);
}

/* One queue for each thread that sends, if the device is of the kind that has several. */
static int make_queues(struct weftd *d)
{
	int rc = 0;

	if (d->n_tx > 1 && !d->tun.multi_queue) {
		weftd_log(WEFTD_LOG_INFO, "single_queue", "reason",
			  d->opt.tun_fd >= 0 ? "the tunnel device was handed over"
					     : "the tunnel device was made so",
			  NULL);
		d->n_tx = 1;
	}
	for (unsigned i = 1; i < d->n_tx && !rc; i++)
		rc = weft_tun_add_queue(&d->tun, &d->more_queues[i - 1]);
	return rc;
}

static int make_link(struct weftd *d)
{
	int rc;

	if (d->opt.tun_fd >= 0)
		rc = weft_tun_from_fd(&d->tun, d->opt.tun_fd, d->opt.tun_offload);
	else
		rc = weft_tun_open(&d->tun, d->opt.ifname, d->opt.tun_offload, d->n_tx > 1);
	if (rc == -EINVAL && d->opt.tun_fd < 0 && if_nametoindex(d->opt.ifname) != 0)
		return complain(
			d,
			"an interface of this name is there and cannot be used as a tunnel device",
			rc);
	if (rc)
		return complain(d, "tunnel device", rc);
	rc = make_queues(d);
	if (rc)
		return complain(d, "queues of the tunnel device", rc);
	weftd_log_set_ifname(d->tun.name);
	rc = weft_link_quiet(d->tun.name, d->tun.ifindex);
	if (rc) /* a container may have /proc/sys read-only: not quiet, but it works */
		weftd_log(WEFTD_LOG_INFO, "link_not_quiet", "reason", weft_strerror(rc), NULL);
	if (d->opt.tun_fd >= 0) {
		rc = weft_link_set_mtu(d->tun.ifindex, WEFT_TUN_DEFAULT_MTU);
		if (rc)
			return complain(d, "MTU of the interface", rc);
	}
	rc = weft_link_open(&d->link, d->tun.ifindex);
	return rc ? complain(d, "watching the interface", rc) : 0;
}

static int make_worker(struct weftd *d, struct weftd_worker *w, unsigned number)
{
	w->d = d;
	w->number = number;
	w->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return w->kick_fd < 0 ? -errno : weft_worker_new(d->dev, &w->w);
}

static int make_device(struct weftd *d)
{
	const struct weft_device_params params = {
		.max_workers = WEFTD_MAX_WORKERS,
		.handshake_queue_pkts = WEFTD_HANDSHAKE_QUEUE,
		.stage_bytes = d->opt.packet_memory / 4,
		.ratelimit_entries = WEFTD_RATELIMIT_ENTRIES,
	};
	struct weft_callbacks cb;
	int rc;

	weftd_callbacks_init(d, &cb);
	weft_budget_init(&d->packets, d->opt.packet_memory);
	rc = weft_budget_take(&d->packets, weft_device_packet_bytes(&params));
	if (!rc)
		rc = weft_device_new(&params, &cb, &d->dev);
	for (unsigned i = 0; i < d->n_tx && !rc; i++) {
		rc = make_worker(d, &d->tx[i], i);
		d->tx[i].tun = i == 0 ? &d->tun : &d->more_queues[i - 1];
	}
	for (unsigned i = 0; i < d->n_rx && !rc; i++)
		rc = make_worker(d, &d->rx[i], i);
	if (!rc)
		rc = weftd_rx_init(d);
	for (unsigned i = 0; i < d->n_tx && !rc; i++) /* last: they share what is left */
		rc = weftd_tx_init(&d->tx[i]);
	if (rc == WEFT_E_LIMIT)
		return complain(d, "packet memory for so many threads (--packet-memory)", rc);
	return rc ? complain(d, "start", rc) : 0;
}

static int make_control(struct weftd *d)
{
	const struct weft_uapi_handlers handlers = {
		.ctx = d, .get = weftd_configure_get, .set = weftd_configure_set};
	int rc = weft_uapi_server_new(&d->uapi, d->tun.name, d->opt.uapi_fd, &handlers);

	return rc ? complain(d, "control socket", rc) : 0;
}

static int start_threads(struct weftd *d)
{
	char name[16];
	int rc = 0;

	atomic_store(&d->tx_lent, d->n_tx + d->n_rx == 2);
	for (unsigned i = 0; i < d->n_tx && !rc; i++) {
		snprintf(name, sizeof(name), d->n_tx > 1 ? "weftd-tx%u" : "weftd-tx", i);
		rc = weftd_worker_start(&d->tx[i], name, weftd_tx_main);
	}
	for (unsigned i = 0; i < d->n_rx && !rc; i++) {
		snprintf(name, sizeof(name), d->n_rx > 1 ? "weftd-rx%u" : "weftd-rx", i);
		rc = weftd_worker_start(&d->rx[i], name,
					i == 0 ? weftd_rx_main : weftd_rx_help_main);
	}
	return rc;
}

static int start(struct weftd *d)
{
	int rc;

	d->n_tx = weftd_threads_tx(d->opt.workers);
	d->n_rx = d->opt.workers - d->n_tx;
	d->link_up = false;
	d->socket_retry_ns = d->check_sources_ns = WEFT_NEVER;
	rc = make_fds(d);
	if (!rc)
		rc = make_keys(d);
	if (!rc)
		rc = make_link(d);
	if (!rc)
		rc = make_device(d);
	if (!rc)
		rc = make_control(d);
	if (rc)
		return rc;
	/* capabilities are each thread's own: dropped before there are others */
	rc = weft_priv_drop();
	if (rc)
		return complain(d, "dropping privileges", rc);
	if (weft_secmem_unlocked_bytes() > 0)
		weftd_log(WEFTD_LOG_ERROR, "keys_not_locked", "reason",
			  "RLIMIT_MEMLOCK is too small", NULL);
	rc = start_threads(d);
	return rc ? complain(d, "threads", rc) : 0;
}

static void finish(struct weftd *d)
{
	atomic_store(&d->stopping, true);
	for (unsigned i = 0; i < d->n_tx; i++)
		weftd_worker_stop(&d->tx[i]);
	for (unsigned i = 0; i < d->n_rx; i++)
		weftd_worker_stop(&d->rx[i]);
	weft_uapi_server_free(d->uapi);
	if (d->dev && weft_device_is_up(d->dev))
		weft_device_down(d->dev, weftd_now_ns());
	weftd_rx_fini(d);
	for (unsigned i = 0; i < d->n_tx; i++) {
		weftd_tx_fini(&d->tx[i]);
		weft_worker_free(d->tx[i].w);
	}
	for (unsigned i = 0; i < d->n_rx; i++)
		weft_worker_free(d->rx[i].w);
	weft_device_free(d->dev);
	weftd_sockets_free(d->udp);
	if (d->link)
		weft_link_close(d->link);
	for (unsigned i = 1; i < d->n_tx; i++)
		weft_tun_close(&d->more_queues[i - 1]);
	if (d->tun.fd >= 0)
		weft_tun_close(&d->tun);
	if (d->keys)
		weft_secmem_free(d->keys, sizeof(*d->keys));
	weft_crypto_free(d->crypto);
}

/* ---- the background ---- */

/* Descriptors that a caller left open by accident (a lock, a pipe) must not live on in us. */
static void close_inherited(const struct weftd_options *opt, int ready_fd)
{
	const int keep[3] = {ready_fd, opt->tun_fd, opt->uapi_fd};
	unsigned from = 3;

	for (;;) {
		int next = -1;

		for (int i = 0; i < 3; i++)
			if (keep[i] >= (int)from && (next < 0 || keep[i] < next))
				next = keep[i];
		if (next < 0)
			break;
		if ((unsigned)next > from)
			close_range(from, (unsigned)next - 1, 0);
		from = (unsigned)next + 1;
	}
	close_range(from, ~0u, 0);
}

/*
 * Forks. The child returns 0 with the descriptor on which it reports; the parent waits for that
 * report and does not return: 0 once the child serves, else 1 (the child has said why).
 */
static int into_background(int *ret_ready_fd)
{
	int fds[2], status;
	char byte = 1;
	ssize_t n;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		close(fds[0]);
		setsid();
		*ret_ready_fd = fds[1];
		return 0;
	}
	close(fds[1]);
	do
		n = read(fds[0], &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1 && byte == 0)
		_exit(0);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	_exit(1);
}

/* The last step of start-up: `wg` can talk to us, and whoever waits for that is told. */
static int report_ready(struct weftd *d, int ready_fd)
{
	char state[64];
	int null, rc;

	snprintf(state, sizeof(state), "MAINPID=%ld\nREADY=1\nSTATUS=Serving", (long)getpid());
	rc = weft_notify(d->opt.notify_socket, state);
	if (rc)
		weftd_log(WEFTD_LOG_ERROR, "notify_failed", "reason", weft_strerror(rc), NULL);
	if (ready_fd < 0)
		return 0;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || chdir("/"))
		return complain(d, "into the background", -errno);
	dup2(null, 0);
	dup2(null, 1);
	if (!d->opt.keep_stderr)
		dup2(null, 2);
	close(null);
	if (write(ready_fd, "", 1) != 1) /* the parent was killed: go on without it */
		weftd_log(WEFTD_LOG_ERROR, "parent_gone", NULL);
	close(ready_fd);
	return 0;
}

static int serve(struct weftd *d, int ready_fd)
{
	int rc = start(d), code = 1;

	if (!rc)
		rc = report_ready(d, ready_fd);
	if (!rc) {
		weftd_log(WEFTD_LOG_INFO, "started", "version", WEFT_VERSION, "crypto",
			  weft_crypto_aead(), NULL);
		code = weftd_loop(d);
		(void)!weft_notify(d->opt.notify_socket, "STOPPING=1");
	}
	finish(d);
	if (!rc)
		weftd_log(WEFTD_LOG_INFO, "stopped", NULL);
	return code;
}

int main(int argc, char **argv)
{
	static struct weftd d = {
		.tun = {.fd = -1},
		.udp_lock = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP,
		.route_lock = PTHREAD_MUTEX_INITIALIZER,
	};
	struct weft_diag diag = {.line = 0};
	char text[1024];
	int ready_fd = -1, rc;

	rc = weftd_options_parse(&d.opt, argc, argv, &diag);
	if (rc) {
		fprintf(stderr, "weftd: %s\n", weft_diag_format(&diag, text, sizeof(text)));
		return 1;
	}
	if (d.opt.help || d.opt.version) {
		fputs(d.opt.help ? weftd_help() : "weftd " WEFT_VERSION "\n", stdout);
		return fflush(stdout) ? 1 : 0;
	}
	if (!take_cpus(&d.opt))
		return 1;
	if (!d.opt.foreground) {
		rc = into_background(&ready_fd);
		if (rc) {
			fprintf(stderr, "weftd: fork: %s\n", weft_strerror(rc));
			return 1;
		}
		close_inherited(&d.opt, ready_fd);
	}
	for (unsigned i = 0; i < WEFTD_MAX_TX; i++)
		d.tx[i].kick_fd = -1;
	for (unsigned i = 0; i < WEFTD_MAX_RX; i++)
		d.rx[i].kick_fd = -1;
	for (unsigned i = 0; i < WEFTD_MAX_TX - 1; i++)
		d.more_queues[i].fd = -1;
	atomic_store(&d.relay, d.opt.relay);
	weftd_log_init(d.opt.log_level, d.opt.log_json, d.opt.ifname);
	if (d.opt.unknown_log_level)
		weftd_log(WEFTD_LOG_ERROR, "log_level_unknown", "value", d.opt.unknown_log_level,
			  NULL);
	return serve(&d, ready_fd);
}
