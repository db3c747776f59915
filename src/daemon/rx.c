/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inwards: receives trains of datagrams, opens them in place and writes what is inside to the TUN,
 * the packets of one flow as one super-packet where the kernel takes that. Knows no protocol:
 * core/worker.h does.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/daemon.h"
#include "linux/offload.h"

struct rx {
	struct weft_udp_rx *bufs;
	struct weft_coalesce coalesce;
	uint8_t flat[WEFT_TUN_MAX_PACKET + 1];    /* a super-packet that has to be cut again */
	uint8_t segment[WEFT_TUN_MAX_PACKET + 1]; /* one piece of it */
};

/* Writes one packet; what the device refuses is counted. */
static void write_tun(struct weftd *d, const struct virtio_net_hdr *hdr, const struct iovec *iov,
		      unsigned n_iov, unsigned n_pkts)
{
	int rc = weft_tun_write(&d->tun, hdr, iov, n_iov);

	if (rc == 0)
		return;
	weft_worker_count_drop(d->rx.w, WEFT_DROP_TUN_WRITE, n_pkts);
	if (rc == -EBADFD)
		weftd_tun_error(d, rc);
}

/* The kernel refused the super-packet: its segments, one by one, now and from here on. */
static void write_singly(struct weftd *d, struct rx *r, const struct weft_coalesced *c)
{
	static const struct virtio_net_hdr plain;
	struct weft_split split;
	size_t len = 0;

	for (unsigned i = 0; i < c->n_iov; i++) {
		if (c->iov[i].iov_len > sizeof(r->flat) - len)
			return;
		memcpy(r->flat + len, c->iov[i].iov_base, c->iov[i].iov_len);
		len += c->iov[i].iov_len;
	}
	if (weft_split_init(&split, &c->hdr, r->flat, len) < 1) {
		weft_worker_count_drop(d->rx.w, WEFT_DROP_TUN_WRITE, c->n_pkts);
		return;
	}
	while ((len = weft_split_next(&split, r->segment)) > 0) {
		struct iovec iov = {.iov_base = r->segment, .iov_len = len};

		write_tun(d, &plain, &iov, 1, 1);
	}
}

static void emit(void *ctx, struct weft_coalesced *c)
{
	struct weftd *d = ctx;
	struct rx *r = d->rx.private_;
	int rc;

	if (c->hdr.gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		write_tun(d, &c->hdr, c->iov, c->n_iov, c->n_pkts);
		return;
	}
	rc = weft_tun_write(&d->tun, &c->hdr, c->iov, c->n_iov);
	if (rc == 0)
		return;
	if (rc == -EINVAL) {
		d->tun.gso_write_broken = true;
		r->coalesce.tso = r->coalesce.uso = false;
		write_singly(d, r, c);
		return;
	}
	weft_worker_count_drop(d->rx.w, WEFT_DROP_TUN_WRITE, c->n_pkts);
	if (rc == -EBADFD)
		weftd_tun_error(d, rc);
}

int weftd_rx_init(struct weftd *d)
{
	struct rx *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return -ENOMEM;
	rc = weft_udp_rx_new(&r->bufs);
	if (rc) {
		free(r);
		return rc;
	}
	weft_coalesce_init(&r->coalesce, d->tun.tso, d->tun.uso, emit, d);
	d->rx.private_ = r;
	return 0;
}

void weftd_rx_fini(struct weftd *d)
{
	struct rx *r = d->rx.private_;

	if (!r)
		return;
	weft_udp_rx_free(r->bufs);
	weft_wipe(r, sizeof(*r));
	free(r);
	d->rx.private_ = NULL;
}

static void take_train(struct weftd *d, struct rx *r, const struct weft_udp_train *train)
{
	size_t step = train->segment ? train->segment : train->len;
	size_t offset = 0;
	struct weft_rx got;

	if (train->truncated || train->len == 0) {
		weft_worker_count_drop(d->rx.w, WEFT_DROP_RX_MALFORMED, 1);
		return;
	}
	for (; offset < train->len; offset += step) {
		uint8_t *pkt = train->data + offset;
		size_t len = train->len - offset < step ? train->len - offset : step;

		if (weft_rx_packet(d->rx.w, &train->from, train->tos, pkt, len, &got) == 0 &&
		    got.inner)
			weft_coalesce_add(&r->coalesce, pkt + (got.inner - pkt), got.inner_len);
	}
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
	weft_coalesce_flush(&r->coalesce);
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
