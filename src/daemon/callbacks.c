/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the core asks of the machine: memory, randomness, the wall clock, the static key, sending
 * of handshakes, and the log. Whether an endpoint would loop is routes.c's question.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "linux/privilege.h"
#include "util/encoding.h"

static void *cb_alloc(void *ctx, size_t size)
{
	(void)ctx;
	return weft_secmem_alloc(size);
}

static void cb_free(void *ctx, void *p, size_t size)
{
	(void)ctx;
	weft_secmem_free(p, size);
}

static void cb_random(void *ctx, void *out, size_t len)
{
	(void)ctx;
	if (weft_random(out, len)) {
		weftd_log(WEFTD_LOG_ERROR, "no_randomness", NULL);
		abort(); /* nothing that WireGuard promises holds without it */
	}
}

static void cb_wall_time(void *ctx, uint64_t *ret_sec, uint32_t *ret_nsec)
{
	struct timespec ts;

	(void)ctx;
	clock_gettime(CLOCK_REALTIME, &ts);
	*ret_sec = (uint64_t)ts.tv_sec;
	*ret_nsec = (uint32_t)ts.tv_nsec;
}

static int cb_static_dh(void *ctx, struct weft_secret *ret_shared,
			const uint8_t point[WEFT_KEY_LEN])
{
	struct weftd *d = ctx;

	return weft_x25519(d->crypto, ret_shared, &d->keys->private_key, point);
}

static int cb_send(void *ctx, const struct weft_endpoint *to, uint8_t tos, const uint8_t *pkt,
		   size_t len)
{
	struct weftd *d = ctx;
	bool stale = false;
	int rc;

	if (!d->udp) /* the owner alone writes this: no lock for reading */
		return -ENOTCONN;
	rc = weft_udp_send(d->udp, to, tos, pkt, len, len, &stale);
	if (rc < 0)
		return rc;
	return stale ? 1 : 0;
}

static void cb_send_many(void *ctx, struct weft_datagram *datagrams, unsigned n)
{
	struct weft_udp_single s[WEFT_UDP_SINGLES];
	struct weftd *d = ctx;

	for (unsigned i = 0, k; i < n; i += k) {
		for (k = 0; k < WEFT_UDP_SINGLES && i + k < n; k++)
			s[k] = (struct weft_udp_single){.to = datagrams[i + k].to,
							.data = datagrams[i + k].pkt,
							.len = datagrams[i + k].len,
							.tos = datagrams[i + k].tos,
							.result = -ENOTCONN};
		if (d->udp)
			weft_udp_send_singles(d->udp, s, k);
		for (unsigned j = 0; j < k; j++)
			datagrams[i + j].result = s[j].result < 0 ? s[j].result : s[j].source_stale;
	}
}

/* Nobody else sends meanwhile: probes are rare, and this takes some microseconds. */
static int cb_send_whole(void *ctx, const struct weft_endpoint *to, uint8_t tos, const uint8_t *pkt,
			 size_t len)
{
	struct weftd *d = ctx;
	bool stale = false;
	int rc = -ENOTCONN;

	pthread_rwlock_wrlock(&d->udp_lock);
	if (d->udp)
		rc = weft_udp_send_whole(d->udp, to, tos, pkt, len, &stale);
	pthread_rwlock_unlock(&d->udp_lock);
	return rc < 0 ? rc : stale;
}

static void cb_wake(void *ctx)
{
	struct weftd *d = ctx;
	uint64_t one = 1;
	ssize_t n;

	if (atomic_exchange(&d->wake_pending, true))
		return;
	n = write(d->wake_fd, &one, sizeof(one));
	(void)n;
}

static const struct {
	const char *name;
	enum weftd_log_level level;
} event_names[] = {
	[WEFT_EVENT_PEER_UP] = {"peer_up", WEFTD_LOG_INFO},
	[WEFT_EVENT_PEER_REKEYED] = {"peer_rekeyed", WEFTD_LOG_DEBUG},
	[WEFT_EVENT_PEER_SILENT] = {"peer_silent", WEFTD_LOG_INFO},
	[WEFT_EVENT_ENDPOINT_MOVED] = {"endpoint_moved", WEFTD_LOG_INFO},
	[WEFT_EVENT_KEYS_ZEROED] = {"keys_zeroed", WEFTD_LOG_DEBUG},
	[WEFT_EVENT_UNDER_LOAD_BEGIN] = {"under_load", WEFTD_LOG_INFO},
	[WEFT_EVENT_UNDER_LOAD_END] = {"load_over", WEFTD_LOG_INFO},
};

void weftd_log_peer(enum weftd_log_level level, unsigned kind, const char *name,
		    const struct weft_peer *peer, const struct weft_endpoint *endpoint)
{
	static const uint8_t nobody[WEFT_KEY_LEN];
	const uint8_t *key = peer ? weft_peer_public_key(peer) : nobody;
	char key_text[WEFT_KEY_BASE64_LEN + 1], endpoint_text[WEFT_ENDPOINT_TEXT_LEN];
	char held_text[21];
	uint64_t held;

	if (!weftd_log_allowed(kind, key, WEFT_KEY_LEN, weftd_now_ns(), &held))
		return;
	weft_key_to_base64(key_text, key);
	weftd_log(level, name, "peer", peer ? key_text : NULL, "endpoint",
		  endpoint && endpoint->ip.family ? weft_endpoint_format(endpoint, endpoint_text)
						  : NULL,
		  "held_back", held ? weftd_log_u64(held_text, held) : NULL, NULL);
}

static void cb_event(void *ctx, const struct weft_event *event)
{
	struct weftd *d = ctx;

	if (event->type == WEFT_EVENT_KEYS_ZEROED)
		weftd_workers_forget(d);
	if ((size_t)event->type < sizeof(event_names) / sizeof(event_names[0]))
		weftd_log_peer(event_names[event->type].level, event->type,
			       event_names[event->type].name, event->peer, &event->endpoint);
}

void weftd_callbacks_init(struct weftd *d, struct weft_callbacks *ret_cb)
{
	*ret_cb = (struct weft_callbacks){
		.ctx = d,
		.alloc = cb_alloc,
		.free = cb_free,
		.random = cb_random,
		.wall_time = cb_wall_time,
		.static_dh = cb_static_dh,
		.send = cb_send,
		.send_many = cb_send_many,
		.event = cb_event,
		.wake = cb_wake,
		.endpoint_allowed = weftd_endpoint_allowed,
		.source_allowed = weftd_source_allowed,
		.send_whole = cb_send_whole,
		.path_mtu = weftd_path_mtu,
		.tunnel_source = weftd_tunnel_source,
	};
}
