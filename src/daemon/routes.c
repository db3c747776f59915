/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the routing table means for endpoints: none may be routed back into its own tunnel, and a
 * sticky source goes when the route leaves by another interface (kernel: socket.c, send4, send6).
 * The kernel is asked once per address until something changes, never per packet.
 */
#include <errno.h>
#include <string.h>

#include "daemon/daemon.h"

#define MAX_NESTING     8    /* tunnels through peers of the same interface */
#define LOG_LOOP        1000 /* beside enum weft_event_type */
#define SOURCES_A_SLICE 64

void weftd_routes_forget(struct weftd *d)
{
	pthread_mutex_lock(&d->route_lock);
	memset(d->routes, 0, sizeof(d->routes));
	d->route_mark = d->fwmark;
	pthread_mutex_unlock(&d->route_lock);
	weftd_endpoints_changed(d);
}

void weftd_endpoints_changed(struct weftd *d)
{
	atomic_fetch_add(&d->route_generation, 1);
}

/* The place for a question: where it is answered, or that of the answer which makes room for it. */
static struct weftd_route *find_route(struct weftd *d, const struct weft_ip *ip,
				      const struct weft_ip *source)
{
	const struct weft_ip name[2] = {*ip, *source};
	uint64_t hash = weft_siphash(d->route_key, name, sizeof(name));
	struct weftd_route *set, *free = NULL;

	set = &d->routes[hash % (WEFTD_ROUTE_CACHE / WEFTD_ROUTE_WAYS) * WEFTD_ROUTE_WAYS];
	for (unsigned i = 0; i < WEFTD_ROUTE_WAYS; i++) {
		if (set[i].ip.family == WEFT_NONE)
			free = &set[i];
		else if (weft_ip_equal(&set[i].ip, ip) && weft_ip_equal(&set[i].source, source))
			return &set[i];
	}
	/* the upper bits have not chosen the set: another question pushes another one out */
	return free ? free : &set[(hash >> 32) % WEFTD_ROUTE_WAYS];
}

/*
 * The interface that packets to `ip` leave by, from `source` if that is an address; 0: none, or not
 * known. With the source in the question: rules may route by it, on hosts with several uplinks.
 */
static unsigned route_of(struct weftd *d, const struct weft_ip *ip, const struct weft_ip *source)
{
	struct weftd_route *r;
	unsigned ifindex = 0;

	pthread_mutex_lock(&d->route_lock);
	r = find_route(d, ip, source);
	if (r->ip.family == WEFT_NONE || !weft_ip_equal(&r->ip, ip) ||
	    !weft_ip_equal(&r->source, source)) {
		if (weft_route_lookup(d->link, ip, source->family == WEFT_NONE ? NULL : source,
				      d->route_mark, &ifindex))
			ifindex = 0;
		r->ip = *ip;
		r->source = *source;
		r->ifindex = ifindex;
	}
	ifindex = r->ifindex;
	pthread_mutex_unlock(&d->route_lock);
	return ifindex;
}

static bool into_tunnel(struct weftd *d, const struct weft_endpoint *e)
{
	static const struct weft_ip any;

	if (atomic_load_explicit(&d->link_foreign, memory_order_relaxed))
		return false; /* its namespace's routes are not ours */
	return (e->scope_id ? e->scope_id : route_of(d, &e->ip, &any)) == d->tun.ifindex;
}

/*
 * An endpoint routed into our interface is fine if the peer that carries it there is another one,
 * which in turn is reached outside (or through yet another): tunnels may nest, not loop.
 */
bool weftd_endpoint_allowed(void *ctx, struct weft_peer *peer, const struct weft_endpoint *endpoint)
{
	struct weftd *d = ctx;
	struct weft_endpoint at = *endpoint;

	for (unsigned i = 0; i < MAX_NESTING; i++) {
		struct weft_peer *carrier;

		if (!into_tunnel(d, &at))
			return true;
		carrier = weft_peer_by_allowed_ip(d->dev, &at.ip);
		if (!carrier || carrier == peer)
			break;
		weft_peer_endpoint(carrier, &at);
		if (at.ip.family == WEFT_NONE)
			return true;
	}
	weftd_log_peer(WEFTD_LOG_ERROR, LOG_LOOP, "endpoint_refused_loop", peer, endpoint);
	return false;
}

/* ---- paths ---- */

int weftd_path_mtu(void *ctx, const struct weft_endpoint *to, uint32_t *ret_mtu,
		   uint32_t *ret_learned)
{
	struct weftd *d = ctx;
	int rc;

	pthread_mutex_lock(&d->route_lock);
	rc = weft_route_mtu(d->link, to, d->route_mark, ret_mtu, ret_learned);
	pthread_mutex_unlock(&d->route_lock);
	return rc;
}

int weftd_tunnel_source(void *ctx, const struct weft_ip *to, struct weft_ip *ret_ip)
{
	struct weftd *d = ctx;
	int rc;

	if (atomic_load_explicit(&d->link_foreign, memory_order_relaxed))
		return -ENETUNREACH; /* its addresses cannot be seen from here */
	pthread_mutex_lock(&d->route_lock);
	rc = weft_route_source(d->link, to, d->tun.ifindex, ret_ip);
	pthread_mutex_unlock(&d->route_lock);
	return rc;
}

/* ---- sticky sources ---- */

static bool source_fits(struct weftd *d, const struct weft_endpoint *e)
{
	return e->ip.family == WEFT_NONE || e->local.family == WEFT_NONE || e->scope_id ||
	       route_of(d, &e->ip, &e->local) == e->local_ifindex;
}

/*
 * Packets that were under way to the old address when the route changed would bring it back as the
 * source: each is authentic, and answers leave from where they were asked. So for a while no source
 * is taken that the routes do not fit, and the walk is made again, for those taken meanwhile.
 */
bool weftd_source_allowed(void *ctx, const struct weft_endpoint *from)
{
	struct weftd *d = ctx;

	return !atomic_load(&d->routes_settling) || source_fits(d, from);
}

static const uint64_t again_ns[] = {WEFTD_CHECK_SOURCES_NS, WEFT_NS_PER_S, 5 * WEFT_NS_PER_S};

void weftd_sources_check(struct weftd *d, uint64_t now_ns)
{
	uint64_t due = d->sources_checked_ns + WEFTD_CHECK_SOURCES_NS;

	if (due < now_ns)
		due = now_ns;
	if (due < d->check_sources_ns)
		d->check_sources_ns = due;
	d->check_sources_again = 0;
	atomic_store(&d->routes_settling, true);
}

static void check_source(struct weftd *d, struct weft_peer *peer)
{
	struct weft_endpoint e;

	weft_peer_endpoint(peer, &e);
	if (!source_fits(d, &e))
		weft_peer_clear_source(peer);
}

/*
 * In slices, for there may be very many peers. Between two slices the next peer is remembered by
 * its key: it may be gone then, and the walk begins anew.
 */
void weftd_sources_run(struct weftd *d, uint64_t now_ns)
{
	struct weft_peer *p = NULL;

	if (now_ns < d->check_sources_ns)
		return;
	if (d->checking_sources)
		p = weft_peer_find(d->dev, d->check_sources_next);
	if (!p) {
		d->sources_checked_ns = now_ns;
		p = weft_peer_next(d->dev, NULL);
	}
	for (unsigned i = 0; p && i < SOURCES_A_SLICE; i++, p = weft_peer_next(d->dev, p))
		check_source(d, p);
	d->checking_sources = p != NULL;
	if (p)
		memcpy(d->check_sources_next, weft_peer_public_key(p), WEFT_KEY_LEN);
	else if (d->check_sources_again < sizeof(again_ns) / sizeof(again_ns[0]))
		d->check_sources_ns = now_ns + again_ns[d->check_sources_again++];
	else {
		d->check_sources_ns = WEFT_NEVER;
		atomic_store(&d->routes_settling, false);
	}
}
