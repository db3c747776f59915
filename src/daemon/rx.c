/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inwards: receives trains of datagrams, opens them in place and hands them on to the delivery
 * (deliver.h). Knows no protocol: core/worker.h does.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/daemon.h"
#include "daemon/deliver.h"

struct rx {
	struct weft_udp_rx *bufs;
	struct weftd_deliver *deliver;
	struct weft_rx_item items[WEFT_BATCH_MAX];
};

int weftd_rx_init(struct weftd *d)
{
	struct rx *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return -ENOMEM;
	d->rx.private_ = r;
	rc = weft_udp_rx_new(&r->bufs);
	return rc ? rc : weftd_deliver_new(d, d->rx.w, &r->deliver);
}

void weftd_rx_fini(struct weftd *d)
{
	struct rx *r = d->rx.private_;

	if (!r)
		return;
	weft_udp_rx_free(r->bufs);
	weftd_deliver_free(r->deliver);
	free(r);
	d->rx.private_ = NULL;
}

static void take_train(struct weftd *d, struct rx *r, const struct weft_udp_train *train)
{
	size_t next;
	unsigned n = weftd_open_train(d->rx.w, train, 0, r->items, &next);

	weftd_deliver_train(r->deliver, train, r->items, n, next);
}

/* What is there on one socket, once. Returns the number of trains, or a negative code. */
static int receive(struct weftd *d, struct rx *r, bool v6)
{
	const struct weft_udp_train *trains;
	int n = 0, fd;

	pthread_rwlock_rdlock(&d->udp_lock);
	fd = !d->udp ? -1 : v6 ? d->udp->fd6 : d->udp->fd4;
	if (fd >= 0)
		n = weft_udp_recv(d->udp, fd, r->bufs, &trains);
	pthread_rwlock_unlock(&d->udp_lock);
	if (n <= 0)
		return n;
	weft_worker_enter(d->rx.w, weftd_now_ns());
	for (int i = 0; i < n; i++)
		take_train(d, r, &trains[i]);
	weftd_deliver_flush(r->deliver);
	weft_worker_leave(d->rx.w);
	return n;
}

/* Errors that pass by themselves: memory is short. Everything else ends the daemon. */
static bool ride_out(struct weftd *d, int rc)
{
	const struct timespec nap = {.tv_nsec = 10 * 1000000};

	if (rc != -ENOMEM && rc != -ENOBUFS) {
		weftd_fail(d, "receiving on the UDP socket", rc);
		return false;
	}
	nanosleep(&nap, NULL);
	return true;
}

static void poll_set(struct weftd *d, struct pollfd pfd[3])
{
	pthread_rwlock_rdlock(&d->udp_lock);
	pfd[0] = (struct pollfd){.fd = d->udp ? d->udp->fd4 : -1, .events = POLLIN};
	pfd[1] = (struct pollfd){.fd = d->udp ? d->udp->fd6 : -1, .events = POLLIN};
	pthread_rwlock_unlock(&d->udp_lock);
	pfd[2] = (struct pollfd){.fd = d->rx.kick_fd, .events = POLLIN};
}

void *weftd_rx_main(void *arg)
{
	struct weftd *d = arg;
	struct rx *r = d->rx.private_;
	struct pollfd pfd[3];
	bool holds_keys = true;
	int n4, n6, n;

	while (!atomic_load(&d->stopping)) {
		n4 = receive(d, r, false);
		n6 = n4 < 0 ? 0 : receive(d, r, true);
		if (n4 < 0 || n6 < 0) {
			if (!ride_out(d, n4 < 0 ? n4 : n6))
				break;
			continue;
		}
		if (n4 + n6 > 0) {
			holds_keys = true;
			if (!atomic_load(&d->rx.forget))
				continue;
		}
		/* a pair that is replaced from here on comes with a kick */
		poll_set(d, pfd);
		n = poll(pfd, 3, n4 + n6 > 0 ? 0 : holds_keys ? WEFTD_KEEP_KEYS_MS : -1);
		if (n < 0 && errno != EINTR) {
			weftd_fail(d, "poll of the UDP sockets", -errno);
			break;
		}
		if (n == 0 && holds_keys) {
			weftd_worker_forget(&d->rx);
			holds_keys = false;
		}
		if (n > 0 && (pfd[2].revents & POLLIN))
			weftd_worker_kicked(&d->rx);
	}
	return NULL;
}
