/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the outer sockets exist: only while the interface is up (kernel: wg_open, wg_stop). The
 * pair is replaced as a whole; the old one lives until the new one is in place.
 */
#include <errno.h>
#include <stdlib.h>

#include "daemon/daemon.h"
#include "linux/privilege.h"

int weftd_sockets_open(struct weftd *d, uint16_t port, uint32_t fwmark, struct weft_udp **ret_udp)
{
	struct weft_udp *udp = calloc(1, sizeof(*udp));
	int rc;

	if (!udp)
		return -ENOMEM;
	rc = weft_priv_udp_open(udp, port, fwmark, d->opt.udp_offload);
	if (rc) {
		free(udp);
		return rc;
	}
	*ret_udp = udp;
	return 0;
}

void weftd_sockets_free(struct weft_udp *udp)
{
	if (!udp)
		return;
	weft_udp_close(udp);
	free(udp);
}

void weftd_sockets_swap(struct weftd *d, struct weft_udp *udp)
{
	struct weft_udp *old = d->udp;

	pthread_rwlock_wrlock(&d->udp_lock);
	d->udp = udp;
	pthread_rwlock_unlock(&d->udp_lock);
	weftd_worker_kick(&d->rx[0], false);
	weftd_sockets_free(old);
}

int weftd_go_up(struct weftd *d, uint64_t now_ns)
{
	struct weft_udp *udp;
	char port[21];
	int rc;

	d->link_up = true;
	d->socket_retry_ns = WEFT_NEVER;
	if (!d->udp) {
		rc = weftd_sockets_open(d, d->listen_port, d->fwmark, &udp);
		if (rc) {
			weftd_log(WEFTD_LOG_ERROR, "sockets_failed", "port",
				  weftd_log_u64(port, d->listen_port), "reason", weft_strerror(rc),
				  NULL);
			d->socket_retry_ns = now_ns + WEFTD_SOCKET_RETRY_NS;
			return rc;
		}
		d->listen_port = udp->port;
		weftd_sockets_swap(d, udp);
	}
	if (!weft_device_is_up(d->dev)) {
		weft_device_up(d->dev, now_ns);
		weftd_log(WEFTD_LOG_INFO, "interface_up", "port",
			  weftd_log_u64(port, d->listen_port), "ipv4",
			  d->udp->fd4 >= 0 ? "yes" : "no", "ipv6", d->udp->fd6 >= 0 ? "yes" : "no",
			  NULL);
	}
	return 0;
}

void weftd_go_down(struct weftd *d, uint64_t now_ns)
{
	d->link_up = false;
	d->socket_retry_ns = WEFT_NEVER;
	if (weft_device_is_up(d->dev)) {
		weft_device_down(d->dev, now_ns);
		weftd_log(WEFTD_LOG_INFO, "interface_down", NULL);
	}
	if (d->udp)
		weftd_sockets_swap(d, NULL);
	weftd_workers_forget(d);
}
