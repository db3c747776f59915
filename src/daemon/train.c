/* SPDX-License-Identifier: Apache-2.0 */
/* Builds and sends trains of sealed datagrams. Knows no protocol: core/worker.h does. */
#include "daemon/train.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"

#define TRAIN_BYTES 65507 /* of one send: the largest UDP payload over IPv4 */
#define SEAL_BYTES  16384 /* sealed at once at the latest: while it is in the first-level cache */

struct weftd_train {
	struct weftd *d;
	struct weft_worker *w;
	struct weft_tx to;
	size_t len, segment;
	unsigned n_pkts;
	uint8_t tos;
	unsigned n_sealed; /* of n_pkts */
	size_t unsealed;   /* bytes of the others */
	struct weft_tx_item items[WEFT_UDP_MAX_SEGMENTS];
	/* the last answer of weftd_endpoint_allowed, and for what */
	struct weft_peer *allowed_peer;
	struct weft_ip allowed_ip;
	uint32_t allowed_generation;
	bool allowed;
	_Alignas(64) uint8_t buf[TRAIN_BYTES + WEFT_DATA_OVERHEAD + WEFT_TUN_MAX_PACKET];
};

int weftd_train_new(struct weftd *d, struct weft_worker *w, struct weftd_train **ret_t)
{
	struct weftd_train *t = aligned_alloc(64, (sizeof(*t) + 63) / 64 * 64);
	int rc = weft_budget_take(&d->packets, sizeof(*t));

	if (!t)
		rc = -ENOMEM;
	if (rc) {
		free(t);
		return rc;
	}
	memset(t, 0, sizeof(*t));
	t->d = d;
	t->w = w;
	*ret_t = t;
	return 0;
}

void weftd_train_free(struct weftd_train *t)
{
	if (t)
		weft_wipe(t, sizeof(*t));
	free(t);
}

/* May the train go to its endpoint? Asked again when the peer, the endpoint or the routes differ.
 */
static bool endpoint_allowed(struct weftd_train *t)
{
	uint32_t generation = atomic_load(&t->d->route_generation);

	if (t->allowed_peer != t->to.peer || t->allowed_generation != generation ||
	    !weft_ip_equal(&t->allowed_ip, &t->to.endpoint.ip)) {
		t->allowed_peer = t->to.peer;
		t->allowed_ip = t->to.endpoint.ip;
		t->allowed_generation = generation;
		t->allowed = weftd_endpoint_allowed(t->d, t->to.peer, &t->to.endpoint);
	}
	return t->allowed;
}

/* Sends `len` bytes of the train, from `at` on. */
static void send_train(struct weftd_train *t, const uint8_t *at, size_t len, unsigned n_pkts)
{
	struct weftd *d = t->d;
	bool stale = false;
	int rc = WEFT_E_DOWN;
	unsigned sent = 0;
	size_t bytes;

	if (!endpoint_allowed(t)) {
		weft_worker_count_drop(t->w, WEFT_DROP_TX_LOOP, n_pkts);
		return;
	}
	pthread_rwlock_rdlock(&d->udp_lock);
	if (d->udp)
		rc = weft_udp_send(d->udp, &t->to.endpoint, t->tos, at, len, t->segment, &stale);
	pthread_rwlock_unlock(&d->udp_lock);
	if (stale)
		weft_peer_clear_source(t->to.peer);
	if (rc > 0)
		sent = (unsigned)rc < n_pkts ? (unsigned)rc : n_pkts;
	if (sent < n_pkts)
		weft_worker_count_drop(t->w,
				       rc == WEFT_E_DOWN ? WEFT_DROP_TX_DOWN : WEFT_DROP_TX_SOCKET,
				       n_pkts - sent);
	if (sent == 0)
		return;
	bytes = sent == n_pkts ? len : sent * t->segment;
	weft_tx_done(t->w, &t->to, sent, bytes, true);
}

static void seal_rest(struct weftd_train *t)
{
	unsigned n = t->n_pkts - t->n_sealed;

	if (n)
		(void)weft_tx_seal_many(t->w, &t->to, t->items + t->n_sealed, n);
	t->n_sealed = t->n_pkts;
	t->unsealed = 0;
}

/* Nearly always all goes at once; where one could not be sealed, what is before and behind it. */
void weftd_train_flush(struct weftd_train *t)
{
	unsigned i = 0, first;
	size_t len;

	seal_rest(t);
	while (i < t->n_pkts) {
		for (first = i, len = 0; i < t->n_pkts && t->items[i].result == 0; i++)
			len += t->items[i].len;
		if (i > first)
			send_train(t, t->items[first].buf, len, i - first);
		for (; i < t->n_pkts && t->items[i].result != 0; i++) {
			if (t->items[i].result == WEFT_E_NO_SESSION)
				weft_tx_stage(t->w, t->to.peer,
					      t->items[i].buf + WEFT_DATA_HEADER_LEN,
					      t->items[i].inner_len);
		}
	}
	t->len = 0;
	t->n_pkts = 0;
	t->n_sealed = 0;
}

static bool same_way(const struct weft_tx *a, const struct weft_tx *b)
{
	return a->peer == b->peer && a->keypair == b->keypair &&
	       weft_endpoint_same_remote(&a->endpoint, &b->endpoint) &&
	       weft_ip_equal(&a->endpoint.local, &b->endpoint.local) &&
	       a->endpoint.local_ifindex == b->endpoint.local_ifindex;
}

void weftd_train_begin(struct weftd_train *t, const struct weft_tx *to)
{
	if (t->n_pkts > 0 && !same_way(&t->to, to))
		weftd_train_flush(t);
	t->to = *to;
}

uint8_t *weftd_train_room(struct weftd_train *t, size_t inner_len)
{
	size_t room = weft_tx_datagram_len(t->w, inner_len);

	if (t->n_pkts > 0 && (t->len + room > TRAIN_BYTES || room > t->segment))
		weftd_train_flush(t);
	return t->buf + t->len + WEFT_DATA_HEADER_LEN;
}

void weftd_train_add(struct weftd_train *t, size_t inner_len)
{
	const uint8_t *inner = t->buf + t->len + WEFT_DATA_HEADER_LEN;
	size_t len = weft_tx_datagram_len(t->w, inner_len);
	uint8_t tos = weft_tx_tos(inner, inner_len);
	bool closed = false; /* a short datagram ends it */

	/* another ECN mark: a train has one DS field; or an MTU that changed since the room */
	if (t->n_pkts > 0 && (tos != t->tos || len > t->segment)) {
		weftd_train_flush(t);
		memmove(t->buf + WEFT_DATA_HEADER_LEN, inner, inner_len);
	}
	if (t->n_pkts == 0) {
		t->segment = len;
		t->tos = tos;
	} else {
		closed = len < t->segment;
	}
	t->items[t->n_pkts++] =
		(struct weft_tx_item){.buf = t->buf + t->len, .inner_len = inner_len, .len = len};
	t->len += len;
	t->unsealed += len;
	if (closed || t->n_pkts == WEFT_UDP_MAX_SEGMENTS)
		weftd_train_flush(t);
	else if (t->unsealed >= SEAL_BYTES)
		seal_rest(t);
}
