/* SPDX-License-Identifier: Apache-2.0 */
/* The small world of world.h. */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void *alloc_mem(void *ctx, size_t size)
{
	return unit_mem_alloc(&((struct node *)ctx)->mem, size);
}

static void free_mem(void *ctx, void *p, size_t size)
{
	unit_mem_free(&((struct node *)ctx)->mem, p, size);
}

static void fill(void *ctx, void *out, size_t len)
{
	struct node *n = ctx;
	uint8_t *p = out;

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)unit_random(&n->world->seed);
}

static void wall_time(void *ctx, uint64_t *ret_sec, uint32_t *ret_nsec)
{
	struct world *w = ((struct node *)ctx)->world;

	*ret_sec = w->wall_sec + w->now_ns / WEFT_NS_PER_S;
	*ret_nsec = (uint32_t)(w->now_ns % WEFT_NS_PER_S);
}

static int static_dh(void *ctx, struct weft_secret *ret_shared, const uint8_t point[WEFT_KEY_LEN])
{
	struct node *n = ctx;

	return weft_x25519(n->crypto, ret_shared, &n->secret, point);
}

static int put_on_wire(struct node *n, const struct weft_endpoint *to, uint8_t tos,
		       const uint8_t *pkt, size_t len)
{
	struct world *w = n->world;
	struct datagram *d;
	unsigned type = pkt[0];

	assert_true(type >= 1 && type <= 4 && len <= sizeof(d->pkt));
	n->sent[type]++;
	n->sent_ns[type] = w->now_ns;
	n->last_tos[type] = tos;
	if (n->cut)
		return 0;
	assert_true(w->wire_len < WORLD_WIRE);
	d = &w->wire[w->wire_len++];
	d->from = n->addr;
	if (to->local.family != WEFT_NONE)
		d->from.ip = to->local;
	d->to = *to;
	d->tos = tos;
	d->len = len;
	memcpy(d->pkt, pkt, len);
	return 0;
}

static int send_datagram(void *ctx, const struct weft_endpoint *to, uint8_t tos, const uint8_t *pkt,
			 size_t len)
{
	const struct node *node = ctx;
	int r = node->send_error ? node->send_error : put_on_wire(ctx, to, tos, pkt, len);

	return r < 0 ? r : ((struct node *)ctx)->stale_source;
}

static void send_many(void *ctx, struct weft_datagram *d, unsigned n)
{
	struct node *node = ctx;

	node->send_calls++;
	if (n > node->most_at_once)
		node->most_at_once = n;
	for (unsigned i = 0; i < n; i++)
		d[i].result = send_datagram(ctx, d[i].to, d[i].tos, d[i].pkt, d[i].len);
}

static void event(void *ctx, const struct weft_event *e)
{
	((struct node *)ctx)->events[e->type]++;
}

static void wake(void *ctx)
{
	((struct node *)ctx)->wakes++;
}

static bool endpoint_allowed(void *ctx, struct weft_peer *peer, const struct weft_endpoint *e)
{
	(void)peer;
	(void)e;
	return !((struct node *)ctx)->refuse_endpoints;
}

static void node_init(struct world *w, unsigned number)
{
	const struct weft_device_params params = {.max_workers = 2,
						  .handshake_queue_pkts = 64,
						  .stage_bytes = 1 << 20,
						  .ratelimit_entries = 1024};
	struct node *n = &w->node[number];
	const struct weft_callbacks cb = {.ctx = n,
					  .alloc = alloc_mem,
					  .free = free_mem,
					  .random = fill,
					  .wall_time = wall_time,
					  .static_dh = static_dh,
					  .send = send_datagram,
					  .send_many = send_many,
					  .event = event,
					  .wake = wake,
					  .endpoint_allowed = endpoint_allowed};

	n->world = w;
	n->number = number;
	assert_int_equal(weft_crypto_new(&n->crypto), 0);
	fill(n, n->secret.b, sizeof(n->secret.b));
	weft_x25519_clamp(&n->secret);
	assert_int_equal(weft_x25519_public(n->crypto, n->public_key, &n->secret), 0);
	n->addr.ip = (struct weft_ip){.b = {192, 0, 2, (uint8_t)(number + 1)}, .family = WEFT_IPV4};
	n->addr.port = (uint16_t)(51820 + number);
	assert_int_equal(weft_device_new(&params, &cb, &n->dev), 0);
	assert_int_equal(weft_worker_new(n->dev, &n->worker), 0);
	weft_device_set_static(n->dev, n->public_key, w->now_ns);
	weft_device_set_mtu(n->dev, WORLD_MTU);
}

void world_init(struct world *w, unsigned nodes)
{
	memset(w, 0, sizeof(*w));
	w->seed = unit_seed();
	w->now_ns = 1000 * WEFT_NS_PER_S;
	w->wall_sec = 1700000000;
	w->wire = calloc(WORLD_WIRE, sizeof(*w->wire));
	assert_non_null(w->wire);
	w->nodes = nodes;
	for (unsigned i = 0; i < nodes; i++)
		node_init(w, i);
}

void world_fini(struct world *w)
{
	for (unsigned i = 0; i < w->nodes; i++) {
		weft_worker_free(w->node[i].worker);
		weft_device_free(w->node[i].dev);
		weft_crypto_free(w->node[i].crypto);
		assert_int_equal(w->node[i].mem.blocks, 0);
		assert_int_equal(w->node[i].mem.bytes, 0);
	}
	free(w->wire);
}

struct weft_peer *world_find(struct node *a, struct node *b)
{
	return weft_peer_find(a->dev, b->public_key);
}

static struct weft_ip inner_v4(const struct node *n)
{
	return (struct weft_ip){.b = {10, 0, 0, (uint8_t)(n->number + 1)}, .family = WEFT_IPV4};
}

static struct weft_ip inner_v6(const struct node *n)
{
	struct weft_ip ip = {.b = {0xfd}, .family = WEFT_IPV6};

	ip.b[15] = (uint8_t)(n->number + 1);
	return ip;
}

struct weft_peer *world_peer(struct node *a, struct node *b, bool endpoint)
{
	const struct weft_prefix v4 = {.ip = inner_v4(b), .len = 32};
	const struct weft_prefix v6 = {.ip = inner_v6(b), .len = 128};
	struct weft_peer *peer;

	assert_int_equal(weft_peer_add(a->dev, b->public_key, &peer), 0);
	assert_int_equal(weft_peer_allow(a->dev, peer, &v4), 0);
	assert_int_equal(weft_peer_allow(a->dev, peer, &v6), 0);
	if (endpoint)
		weft_peer_set_endpoint(a->dev, peer, &b->addr, a->world->now_ns);
	return peer;
}

void world_connect(struct node *a, struct node *b)
{
	(void)world_peer(a, b, true);
	(void)world_peer(b, a, true);
	weft_device_up(a->dev, a->world->now_ns);
	weft_device_up(b->dev, b->world->now_ns);
}

static size_t make_v4(uint8_t *p, const struct node *a, const struct node *b, uint8_t tos)
{
	struct weft_ip src = inner_v4(a), dst = inner_v4(b);
	uint32_t sum = 0;

	memset(p, 0, 41);
	p[0] = 0x45;
	p[1] = tos;
	p[3] = 41;
	p[8] = 64;
	p[9] = 253;
	memcpy(p + 12, src.b, 4);
	memcpy(p + 16, dst.b, 4);
	for (unsigned i = 0; i < 20; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
	p[10] = (uint8_t)(sum >> 8);
	p[11] = (uint8_t)sum;
	memcpy(p + 20, "what is said in private", 21);
	return 41;
}

static size_t make_v6(uint8_t *p, const struct node *a, const struct node *b)
{
	memset(p, 0, 50);
	p[0] = 0x60;
	p[5] = 10;
	p[6] = 253;
	p[7] = 64;
	memcpy(p + 8, inner_v6(a).b, 16);
	memcpy(p + 24, inner_v6(b).b, 16);
	return 50;
}

static int transmit(struct node *a, uint8_t *buf, size_t len)
{
	struct weft_tx tx;
	size_t out_len;
	uint8_t tos;
	int r, sealed;

	weft_worker_enter(a->worker, a->world->now_ns);
	r = weft_tx_begin(a->worker, buf + WEFT_DATA_HEADER_LEN, len, 1, &tx);
	if (r == WEFT_E_NO_SESSION) {
		weft_tx_stage(a->worker, tx.peer, buf + WEFT_DATA_HEADER_LEN, len);
	} else if (r == 0) {
		sealed = weft_tx_seal(a->worker, &tx, buf, len, &out_len, &tos);
		if (sealed == 0) {
			assert_int_equal(out_len, weft_tx_datagram_len(a->worker, len));
			(void)put_on_wire(a, &tx.endpoint, tos, buf, out_len);
			weft_tx_done(a->worker, &tx, 1, out_len, true);
		} else if (sealed == WEFT_E_NO_SESSION) {
			weft_tx_stage(a->worker, tx.peer, buf + WEFT_DATA_HEADER_LEN, len);
		}
		r = sealed;
	}
	weft_worker_leave(a->worker);
	return r;
}

int world_send(struct node *a, struct node *b, uint8_t tos)
{
	uint8_t buf[256];

	return transmit(a, buf, make_v4(buf + WEFT_DATA_HEADER_LEN, a, b, tos));
}

int world_send6(struct node *a, struct node *b)
{
	uint8_t buf[256];

	return transmit(a, buf, make_v6(buf + WEFT_DATA_HEADER_LEN, a, b));
}

int world_feed(struct node *n, const struct datagram *d)
{
	struct weft_endpoint from = d->from;
	struct datagram copy = *d;
	struct weft_rx rx;
	int r;

	from.local = d->to.ip;
	from.local_ifindex = 7;
	weft_worker_enter(n->worker, n->world->now_ns);
	r = weft_rx_packet(n->worker, &from, copy.tos, copy.pkt, copy.len, &rx);
	if (r == 0 && rx.inner) {
		n->received++;
		memcpy(n->last, rx.inner, rx.inner_len);
		n->last_len = rx.inner_len;
	} else if (r == 0) {
		n->keepalives++;
	}
	weft_worker_leave(n->worker);
	return r;
}

static void deliver(struct world *w, const struct datagram *d)
{
	for (unsigned i = 0; i < w->nodes; i++) {
		struct node *n = &w->node[i];

		if (!n->cut && weft_ip_equal(&n->addr.ip, &d->to.ip) && n->addr.port == d->to.port)
			(void)world_feed(n, d);
	}
}

void world_settle(struct world *w)
{
	bool moved = true;

	while (moved) {
		moved = false;
		while (w->wire_len && !w->hold) {
			struct datagram d = w->wire[0];

			memmove(w->wire, w->wire + 1, --w->wire_len * sizeof(*w->wire));
			deliver(w, &d);
			moved = true;
		}
		for (unsigned i = 0; i < w->nodes; i++) {
			struct node *n = &w->node[i];
			unsigned before = w->wire_len;

			while (weft_device_run(n->dev, w->now_ns, 8))
				;
			moved |= w->wire_len > before && !w->hold;
		}
	}
}

void world_advance(struct world *w, uint64_t ns)
{
	uint64_t end = w->now_ns + ns;

	world_settle(w);
	while (w->now_ns < end) {
		uint64_t next = end;

		for (unsigned i = 0; i < w->nodes; i++) {
			uint64_t t = weft_device_next_ns(w->node[i].dev);

			next = t < next ? t : next;
		}
		w->now_ns = next > w->now_ns ? next : w->now_ns + 1;
		world_settle(w);
	}
}

uint64_t world_drops(struct node *n, enum weft_drop reason)
{
	struct weft_device_stats stats;

	weft_device_stats(n->dev, &stats);
	return stats.drops[reason];
}

struct weft_peer_info world_info(struct node *a, struct node *b)
{
	struct weft_peer_info info;

	weft_peer_info(a->dev, world_find(a, b), &info);
	return info;
}
