/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hub's fast path. Which packets take it is core/relay.h's matter; here is what it asks of the
 * machine. The kernel is asked about each pair of addresses, as it would route the packet if it
 * came out of the interface, and the answer is kept until routes, addresses, rules or forwarding
 * change: never more than one question for a packet, and none for most.
 */
#include "daemon/relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/relay.h"
#include "daemon/daemon.h"
#include "daemon/train.h"

struct pair {
	struct weft_ip src, dst; /* no padding: hashed as bytes */
};

struct flow {
	struct pair pair; /* family WEFT_NONE: free */
	uint32_t generation;
	uint32_t max_len; /* 0: the host's */
};

struct weftd_relay {
	struct weftd *d;
	struct weft_worker *w;
	struct weftd_train *train;
	struct weft_relay core;
	unsigned questions; /* asked of the kernel in this batch */
	struct flow flows[WEFTD_RELAY_FLOWS];
};

_Static_assert(sizeof(struct pair) == 2 * 17, "padding would be hashed");

static uint32_t hook_route(void *ctx, const struct weft_ip *src, const struct weft_ip *dst)
{
	struct weftd_relay *r = ctx;
	struct weftd *d = r->d;
	const struct pair pair = {.src = *src, .dst = *dst};
	/* before the question: an answer that is out of date by then is asked for again */
	uint32_t generation = atomic_load(&d->route_generation);
	struct flow *f =
		&r->flows[weft_siphash(d->route_key, &pair, sizeof(pair)) % WEFTD_RELAY_FLOWS];
	uint32_t max_len = 0;

	if (atomic_load_explicit(&d->link_foreign, memory_order_relaxed))
		return 0; /* its namespace's routes cannot be seen from here */
	if (f->generation == generation && memcmp(&f->pair, &pair, sizeof(pair)) == 0)
		return f->max_len;
	/* who scans makes nobody wait: the host's way is right, too */
	if (r->questions++ >= WEFTD_RELAY_QUESTIONS)
		return 0;
	pthread_mutex_lock(&d->route_lock);
	if (weft_route_forward(d->link, src, dst, d->tun.ifindex, &max_len))
		max_len = 0;
	pthread_mutex_unlock(&d->route_lock);
	*f = (struct flow){.pair = pair, .generation = generation, .max_len = max_len};
	return max_len;
}

static bool hook_source(void *ctx, const struct weft_ip *to, struct weft_ip *ret_ip)
{
	struct weftd *d = ((struct weftd_relay *)ctx)->d;
	int rc;

	pthread_mutex_lock(&d->route_lock);
	rc = weft_route_source(d->link, to, d->tun.ifindex, ret_ip);
	pthread_mutex_unlock(&d->route_lock);
	return rc == 0;
}

int weftd_relay_new(struct weftd *d, struct weft_worker *w, struct weftd_relay **ret_r)
{
	struct weftd_relay *r = calloc(1, sizeof(*r));
	const struct weft_relay_hooks hooks = {
		.ctx = r,
		.route = hook_route,
		.source = hook_source,
	};
	int rc;

	if (!r)
		return -ENOMEM;
	r->d = d;
	r->w = w;
	weft_relay_init(&r->core, w, &hooks);
	rc = weftd_train_new(d, w, &r->train);
	if (rc) {
		free(r);
		return rc;
	}
	*ret_r = r;
	return 0;
}

void weftd_relay_free(struct weftd_relay *r)
{
	if (!r)
		return;
	weftd_train_free(r->train);
	weft_wipe(r, sizeof(*r));
	free(r);
}

bool weftd_relay_take(struct weftd_relay *r, struct weft_peer *from, uint8_t *inner, size_t len)
{
	struct weft_relayed out;

	if (!atomic_load_explicit(&r->d->relay, memory_order_relaxed))
		return false;
	switch (weft_relay_packet(&r->core, from, inner, len, &out)) {
	case WEFT_RELAY_HOST:
		return false;
	case WEFT_RELAY_DROP:
		return true;
	case WEFT_RELAY_FORWARD:
	case WEFT_RELAY_ANSWER:
		break;
	}
	if (!out.session) {
		weft_tx_stage(r->w, out.to->peer, out.pkt, out.len);
		return true;
	}
	weftd_train_begin(r->train, out.to);
	memcpy(weftd_train_room(r->train, out.len), out.pkt, out.len);
	weftd_train_add(r->train, out.len);
	return true;
}

void weftd_relay_flush(struct weftd_relay *r)
{
	r->questions = 0;
	weftd_train_flush(r->train);
	weft_relay_end(&r->core);
}
