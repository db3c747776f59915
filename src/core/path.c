/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the owner does about its peers' paths: when to look for their MTU, sending the probes, and
 * taking the answers that workers saw (pmtu.h has the search). RFC 8899.
 *
 * A search begins with a session that is the peer's first, the first since its endpoint moved,
 * since data stayed unanswered, or since ten minutes in which there was traffic; and when the
 * route's MTU changes. Sessions are renewed every two minutes while there is traffic: so a peer
 * that is idle costs nothing, and needs no timer.
 *
 * Each round sends the probe and a short one behind it. Only a round whose short one was answered
 * says something of the long one: when a path loses packets, or the peer is gone, the MTU is not
 * what is wrong.
 */
#include <errno.h>

#include "core/peer.h"

#define RAISE_NS      (600 * WEFT_NS_PER_S)  /* RFC 8899 5.1.1, PMTU_RAISE_TIMER */
#define ROUND_NS      WEFT_NS_PER_S          /* for the first answer; doubled by each silence */
#define OVERTAKING_NS (250 * WEFT_NS_PER_MS) /* the long one's answer behind the short one's */
#define SPREAD_MS     1000                   /* a route changed: peers are looked at within this */
#define WALK_PEERS    1024                   /* looked at in one turn of the owner, and then it */
#define WALK_NS       WEFT_NS_PER_MS         /* does something else for as long as this */
#define WALK_AGAIN_NS WEFT_NS_PER_S          /* from the beginning of a walk to that of the next */
#define MAX_SILENT    4                      /* rounds: 15 s */
#define MAX_TARGETS   4                      /* allowed IPs that are asked in turn */
#define MAX_PROBE     65440                  /* an IPv4 datagram, less what is around it */

/* Bytes that a session without data may send and receive: keepalives each second, handshakes. */
static uint64_t idle_bytes(uint64_t duration_ns)
{
	return 1024 + duration_ns / WEFT_NS_PER_S * 80;
}

static struct weft_path *path_of(struct weft_peer *peer)
{
	return atomic_load_explicit(&peer->path, memory_order_relaxed);
}

static uint32_t link_mtu(const struct weft_peer *peer)
{
	return atomic_load_explicit(&peer->dev->mtu, memory_order_relaxed);
}

static void set_limit(struct weft_path *p, uint32_t path)
{
	atomic_store_explicit(&p->limit,
			      path ? weft_pmtu_limit(path, link_mtu(p->peer)) : UINT32_MAX,
			      memory_order_relaxed);
}

static void new_cookie(struct weft_path *p)
{
	const struct weft_callbacks *cb = &p->peer->dev->cb;

	cb->random(cb->ctx, &p->cookie, sizeof(p->cookie));
	p->cookie = (p->cookie | 2) & ~UINT32_C(1);
	atomic_store_explicit(&p->cookies[p->n_cookies++ % WEFT_PATH_COOKIES], p->cookie,
			      memory_order_relaxed);
}

static void arm(struct weft_path *p, uint64_t at_ns)
{
	weft_wheel_set(&p->peer->dev->wheel, &p->timer, at_ns);
}

/* Whoever moves with each packet gets no more than a search in a second for it. */
static void search_soon(struct weft_path *p, uint64_t now_ns)
{
	uint64_t earliest_ns = p->begun_ns ? p->begun_ns + ROUND_NS : 0;

	p->state = WEFT_PATH_SEARCHING;
	p->begun = false;
	p->suspect = false;
	p->cookie = 0;
	arm(p, now_ns > earliest_ns ? now_ns : earliest_ns);
}

/* ---- whom to ask ---- */

struct pick {
	struct weft_prefix best[MAX_TARGETS]; /* narrowest first */
	unsigned n;
};

static unsigned host_bits(const struct weft_prefix *p)
{
	return weft_family_bits(p->ip.family) - p->len;
}

static void pick_narrowest(void *arg, const struct weft_prefix *prefix)
{
	struct pick *k = arg;
	struct weft_ip ip;
	unsigned i;

	if (!weft_pmtu_target(prefix, &ip))
		return;
	if (k->n == MAX_TARGETS && host_bits(prefix) >= host_bits(&k->best[k->n - 1]))
		return;
	i = k->n < MAX_TARGETS ? k->n++ : MAX_TARGETS - 1;
	for (; i > 0 && host_bits(prefix) < host_bits(&k->best[i - 1]); i--)
		k->best[i] = k->best[i - 1];
	k->best[i] = *prefix;
}

/* The next target that we have an address to ask from. False: there is none. */
static bool next_target(struct weft_path *p)
{
	const struct weft_callbacks *cb = &p->peer->dev->cb;
	struct pick pick = {.n = 0};

	weft_peer_each_allowed(p->peer->dev, p->peer, pick_narrowest, &pick);
	for (; p->target < pick.n; p->target++) {
		if (weft_pmtu_target(&pick.best[p->target], &p->to) && cb->tunnel_source &&
		    cb->tunnel_source(cb->ctx, &p->to, &p->from) == 0)
			return true;
	}
	return false;
}

/* ---- probes ---- */

/* A probe of `size` bytes, or of no more than its own (0). 0, -EMSGSIZE, or another. */
static int send_probe(struct weft_path *p, struct weft_keypair *kp, uint32_t cookie, size_t size)
{
	struct weft_peer *peer = p->peer;
	struct weft_device *dev = peer->dev;
	const struct weft_callbacks *cb = &dev->cb;
	struct weft_endpoint to;
	size_t len = weft_pmtu_probe(dev->scratch + WEFT_DATA_HEADER_LEN, &p->from, &p->to, cookie);
	int r;

	if (size < len)
		size = (len + WEFT_PADDING - 1) / WEFT_PADDING * WEFT_PADDING;
	r = weft_keypair_seal(kp, dev->crypto, dev->scratch, len, size);
	if (r < 0)
		return r;
	weft_shared_endpoint_get(&peer->endpoint, &to, NULL);
	if (to.ip.family == WEFT_NONE ||
	    (cb->endpoint_allowed && !cb->endpoint_allowed(cb->ctx, peer, &to)))
		return WEFT_E_NO_ENDPOINT;
	r = (cb->send_whole ? cb->send_whole : cb->send)(cb->ctx, &to, 0, dev->scratch,
							 size + WEFT_DATA_OVERHEAD);
	if (r < 0)
		return r;
	if (r > 0)
		weft_peer_clear_source(peer);
	p->probes++;
	atomic_fetch_add_explicit(&peer->tx_bytes, size + WEFT_DATA_OVERHEAD, memory_order_relaxed);
	return 0;
}

static uint64_t bytes_so_far(const struct weft_peer *peer)
{
	return weft_load64(&peer->tx_bytes) + weft_load64(&peer->rx_bytes);
}

static void rest(struct weft_path *p, enum weft_path_state state, uint64_t now_ns)
{
	p->state = (uint8_t)state;
	p->since_ns = now_ns;
	p->bytes = bytes_so_far(p->peer);
	p->target = state == WEFT_PATH_UNANSWERED ? 0 : p->target;
	p->cookie = 0;
	weft_wheel_cancel(&p->peer->dev->wheel, &p->timer);
}

/* Did the host come to know of the narrow place, by ICMP or by itself? */
static bool host_was_told(const struct weft_path *p)
{
	const struct weft_callbacks *cb = &p->peer->dev->cb;
	uint32_t route, learned = 0;
	struct weft_endpoint to;

	weft_shared_endpoint_get(&p->peer->endpoint, &to, NULL);
	return p->refused ||
	       (cb->path_mtu(cb->ctx, &to, &route, &learned) == 0 && learned && learned < route);
}

static void finish(struct weft_path *p, uint64_t now_ns)
{
	bool whole = p->search.lo >= p->search.top;

	p->path = weft_pmtu_result(&p->search);
	set_limit(p, p->path);
	rest(p, whole || host_was_told(p) ? WEFT_PATH_MEASURED : WEFT_PATH_BLACK_HOLE, now_ns);
}

/* Nobody answers: the route's MTU is believed, as without probing, or what was measured before. */
static void give_up(struct weft_path *p, uint64_t now_ns)
{
	if (!p->path)
		set_limit(p, p->search.top);
	rest(p, WEFT_PATH_UNANSWERED, now_ns);
}

static void send_round(struct weft_path *p, uint64_t now_ns)
{
	struct weft_keypair *kp =
		atomic_load_explicit(&p->peer->sessions.current, memory_order_relaxed);
	int r = -EMSGSIZE;

	p->short_came = false;
	atomic_store_explicit(&p->short_seen, 0, memory_order_relaxed);
	while (r == -EMSGSIZE) {
		if (!weft_keypair_can_send(kp, now_ns)) {
			rest(p, WEFT_PATH_UNKNOWN, now_ns); /* the next session begins anew */
			return;
		}
		r = send_probe(p, kp, p->cookie, p->search.size);
		if (r == -EMSGSIZE) {
			p->refused = true;
			if (!weft_pmtu_refused(&p->search)) {
				finish(p, now_ns);
				return;
			}
			continue;
		}
		if (send_probe(p, kp, p->cookie | 1, 0) == 0) {
			weft_timers_any_traversal(p->peer, now_ns);
			weft_timers_any_sent(p->peer);
		}
	}
	arm(p, now_ns + (ROUND_NS << p->silent));
}

static void go_on(struct weft_path *p, bool more, uint64_t now_ns)
{
	if (more)
		send_round(p, now_ns);
	else
		finish(p, now_ns);
}

/* ---- the search ---- */

static void begin(struct weft_path *p, uint64_t now_ns)
{
	const struct weft_callbacks *cb = &p->peer->dev->cb;
	uint32_t route, learned, overhead, top;
	struct weft_endpoint to;

	p->begun_ns = now_ns;
	weft_shared_endpoint_get(&p->peer->endpoint, &to, NULL);
	if (to.ip.family == WEFT_NONE || !cb->path_mtu ||
	    cb->path_mtu(cb->ctx, &to, &route, &learned) != 0) {
		rest(p, WEFT_PATH_UNKNOWN, now_ns);
		return;
	}
	overhead = to.ip.family == WEFT_IPV6 ? WEFT_PMTU_OVERHEAD_V6 : WEFT_PMTU_OVERHEAD_V4;
	top = route > overhead ? route - overhead : 0;
	if (top > MAX_PROBE)
		top = MAX_PROBE;
	weft_pmtu_begin(&p->search, top, link_mtu(p->peer));
	/* a route that got wider says nothing of the path behind it; one that got narrower does */
	if (!p->path || p->path > p->search.top) {
		p->path = 0;
		set_limit(p, p->search.top);
	}
	p->route = route;
	p->begun = true;
	p->refused = false;
	p->silent = 0;
	if (!next_target(p)) {
		give_up(p, now_ns);
		return;
	}
	new_cookie(p);
	send_round(p, now_ns);
}

/* The time for answers is over. */
static void round_over(struct weft_path *p, uint64_t now_ns)
{
	uint32_t size = p->search.size;
	bool more;

	if (p->short_came) {
		p->silent = 0;
		more = weft_pmtu_lost(&p->search);
		if (more && p->search.size != size)
			new_cookie(p);
		go_on(p, more, now_ns);
		return;
	}
	if (++p->silent < MAX_SILENT) {
		send_round(p, now_ns);
		return;
	}
	p->silent = 0;
	p->target++;
	if (p->search.lo || p->search.hi <= p->search.top || !next_target(p)) {
		give_up(p, now_ns);
		return;
	}
	new_cookie(p);
	send_round(p, now_ns);
}

void weft_path_answered(struct weft_peer *peer, uint64_t now_ns)
{
	struct weft_path *p = path_of(peer);

	if (!p || p->state != WEFT_PATH_SEARCHING || !p->begun)
		return;
	if (atomic_load_explicit(&p->long_seen, memory_order_relaxed) == p->cookie) {
		bool more = weft_pmtu_carried(&p->search);

		p->silent = 0;
		new_cookie(p);
		go_on(p, more, now_ns);
	} else if (atomic_load_explicit(&p->short_seen, memory_order_relaxed) == (p->cookie | 1) &&
		   !p->short_came) {
		p->short_came = true;
		arm(p, now_ns + OVERTAKING_NS);
	}
}

/* ---- what brings it about ---- */

static struct weft_path *get_path(struct weft_peer *peer)
{
	struct weft_device *dev = peer->dev;
	struct weft_path *p = path_of(peer);

	if (p)
		return p;
	p = dev->mem.alloc(dev->mem.ctx, sizeof(*p));
	if (!p)
		return NULL;
	p->peer = peer;
	p->timer.tag = WEFT_TIMER_PATH;
	atomic_store_explicit(&p->limit, UINT32_MAX, memory_order_relaxed);
	atomic_store_explicit(&peer->path, p, memory_order_release);
	return p;
}

void weft_path_session(struct weft_peer *peer, uint64_t now_ns)
{
	struct weft_path *p;
	uint64_t rested;

	if (!peer->dev->probes_paths || !(p = get_path(peer)) || p->state == WEFT_PATH_SEARCHING)
		return;
	rested = now_ns - p->since_ns;
	if (p->state == WEFT_PATH_UNKNOWN || p->suspect ||
	    (rested >= RAISE_NS && bytes_so_far(peer) - p->bytes > idle_bytes(rested)))
		search_soon(p, now_ns);
}

void weft_path_moved(struct weft_peer *peer, uint64_t now_ns)
{
	struct weft_path *p = path_of(peer);

	if (!p || !peer->dev->probes_paths)
		return;
	p->path = p->route = 0;
	p->target = 0;
	set_limit(p, 0);
	search_soon(p, now_ns);
}

void weft_path_suspect(struct weft_peer *peer)
{
	struct weft_path *p = path_of(peer);

	if (p)
		p->suspect = true;
}

void weft_path_stop(struct weft_peer *peer, bool forget)
{
	struct weft_path *p = path_of(peer);

	if (!p)
		return;
	if (p->state == WEFT_PATH_SEARCHING || forget)
		rest(p, WEFT_PATH_UNKNOWN, 0);
	weft_wheel_cancel(&peer->dev->wheel, &p->timer);
	if (forget) {
		p->path = p->route = 0;
		set_limit(p, 0);
	}
}

void weft_path_free(struct weft_peer *peer)
{
	struct weft_path *p = path_of(peer);

	atomic_store_explicit(&peer->path, NULL, memory_order_relaxed);
	if (p)
		peer->dev->mem.free(peer->dev->mem.ctx, p, sizeof(*p));
}

void weft_path_expired(struct weft_timer *t, uint64_t now_ns)
{
	struct weft_path *p =
		(struct weft_path *)(void *)((char *)t - offsetof(struct weft_path, timer));
	const struct weft_callbacks *cb = &p->peer->dev->cb;
	uint32_t route, learned;
	struct weft_endpoint to;

	if (p->state == WEFT_PATH_SEARCHING) {
		if (p->begun)
			round_over(p, now_ns);
		else
			begin(p, now_ns);
		return;
	}
	/* routes, or the tunnel's MTU, changed */
	set_limit(p, p->path ? p->path : p->route ? p->search.top : 0);
	weft_shared_endpoint_get(&p->peer->endpoint, &to, NULL);
	if (cb->path_mtu(cb->ctx, &to, &route, &learned) == 0 && route != p->route)
		search_soon(p, now_ns);
}

/* ---- the device ---- */

/* At some time, so that all peers together ask the kernel a thousand times in a second. */
static uint64_t some_time(struct weft_device *dev, uint64_t now_ns)
{
	uint32_t spread;

	dev->cb.random(dev->cb.ctx, &spread, sizeof(spread));
	return now_ns + spread % (SPREAD_MS + dev->peer_count) * WEFT_NS_PER_MS;
}

static void look_at_route(struct weft_peer *peer, uint64_t now_ns)
{
	struct weft_path *p = path_of(peer);

	if (!p || p->state == WEFT_PATH_UNKNOWN)
		return;
	if (p->state == WEFT_PATH_SEARCHING)
		p->suspect = true; /* what it will find may be out of date */
	if (!weft_timer_armed(&p->timer))
		arm(p, some_time(peer->dev, now_ns));
}

void weft_paths_run(struct weft_device *dev, uint64_t now_ns)
{
	struct weft_path_walk *walk = &dev->walk;

	if (now_ns < weft_paths_next_ns(dev))
		return;
	if (!walk->next) {
		walk->wanted = false;
		walk->begun_ns = now_ns;
		walk->next = dev->first;
	}
	for (unsigned i = 0; i < WALK_PEERS && walk->next; i++) {
		look_at_route(walk->next, now_ns);
		walk->next = walk->next->succ;
	}
	walk->turn_ns = now_ns;
}

uint64_t weft_paths_next_ns(const struct weft_device *dev)
{
	const struct weft_path_walk *walk = &dev->walk;

	if (walk->next)
		return walk->turn_ns + WALK_NS;
	if (!walk->wanted)
		return WEFT_NEVER;
	/* a walk that is over at once costs nothing worth waiting for */
	return dev->peer_count > WALK_PEERS ? walk->begun_ns + WALK_AGAIN_NS : 0;
}

void weft_paths_peer_goes(struct weft_device *dev, const struct weft_peer *peer)
{
	if (dev->walk.next == peer)
		dev->walk.next = peer->succ;
}

void weft_device_probe_paths(struct weft_device *dev, bool on, uint64_t now_ns)
{
	now_ns = dev->now_ns = weft_now(now_ns);
	if (dev->probes_paths == on)
		return;
	dev->probes_paths = on;
	dev->walk = (struct weft_path_walk){.next = NULL};
	for (struct weft_peer *peer = dev->first; peer; peer = peer->succ) {
		struct weft_path *p;

		if (!on) {
			weft_path_stop(peer, true);
			continue;
		}
		if (!weft_keypair_can_send(
			    atomic_load_explicit(&peer->sessions.current, memory_order_relaxed),
			    now_ns))
			continue;
		weft_path_session(peer, now_ns);
		p = path_of(peer);
		if (p && dev->peer_count > WALK_PEERS)
			arm(p, some_time(dev, now_ns));
	}
}

bool weft_device_probes_paths(const struct weft_device *dev)
{
	return dev->probes_paths;
}

void weft_device_routes_changed(struct weft_device *dev, uint64_t now_ns)
{
	now_ns = dev->now_ns = weft_now(now_ns);
	if (!dev->probes_paths || !weft_device_is_up(dev))
		return;
	dev->walk.wanted = true;
	weft_paths_run(dev, now_ns);
}

/* ---- workers ---- */

bool weft_path_takes(struct weft_path *p, const uint8_t *inner, const struct weft_inner *in)
{
	uint32_t got;

	if (!weft_pmtu_answer(inner, in, &got) || got < 2)
		return false;
	for (unsigned i = 0; i < WEFT_PATH_COOKIES; i++) {
		if ((got & ~UINT32_C(1)) !=
		    atomic_load_explicit(&p->cookies[i], memory_order_relaxed))
			continue;
		atomic_store_explicit(got & 1 ? &p->short_seen : &p->long_seen, got,
				      memory_order_relaxed);
		weft_peer_ask(p->peer, WEFT_ASK_PATH);
		return true;
	}
	return false;
}

uint32_t weft_tx_limit(const struct weft_tx *tx)
{
	const struct weft_path *p = atomic_load_explicit(&tx->peer->path, memory_order_acquire);

	return p ? atomic_load_explicit(&p->limit, memory_order_relaxed) : UINT32_MAX;
}
