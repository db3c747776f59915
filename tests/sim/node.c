/* SPDX-License-Identifier: Apache-2.0 */
/* A node: a whole device with one worker, its configuration, and the packets that it carries. */
#include "sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/messages.h"
#include "util/cursor.h"

#define WALL_EPOCH 1700000000

/* What a data packet must be when it comes out. */
struct sim_message {
	uint8_t from, to, delivered, v6;
	uint16_t len;
};

/* ---- the callbacks ---- */

static void *cb_alloc(void *ctx, size_t size)
{
	struct sim_node *n = ctx;
	void *p = aligned_alloc(64, (size + 63) / 64 * 64);

	if (!p)
		abort();
	memset(p, 0, size);
	n->allocs++;
	n->mem_bytes += size;
	if (n->mem_bytes > n->mem_peak)
		n->mem_peak = n->mem_bytes;
	return p;
}

static void cb_free(void *ctx, void *p, size_t size)
{
	struct sim_node *n = ctx;

	n->mem_bytes -= size;
	memset(p, 0xdd, size);
	free(p);
}

static void cb_random(void *ctx, void *out, size_t len)
{
	struct sim_node *n = ctx;
	uint8_t *p = out;

	while (len--)
		*p++ = (uint8_t)sim_random(n->sim);
}

static void cb_wall(void *ctx, uint64_t *ret_sec, uint32_t *ret_nsec)
{
	struct sim_node *n = ctx;

	*ret_sec = (uint64_t)((int64_t)(WALL_EPOCH + n->sim->now / S) + n->wall_offset_s);
	*ret_nsec = (uint32_t)(n->sim->now % S);
}

/* Points that came lately are remembered: who sends the same one again costs the test nothing. */
static int cb_dh(void *ctx, struct weft_secret *ret_shared, const uint8_t point[WEFT_KEY_LEN])
{
	static struct {
		struct weft_secret key, shared;
		uint8_t point[WEFT_KEY_LEN];
	} memo[256], *m;
	static struct weft_crypto *c;
	struct sim_node *n = ctx;
	int rc;

	if (!c && weft_crypto_new(&c))
		abort();
	n->owed_ns += n->service.dh_ns;
	m = &memo[point[0]];
	if (memcmp(m->point, point, WEFT_KEY_LEN) != 0 ||
	    memcmp(m->key.b, n->key.b, WEFT_KEY_LEN) != 0) {
		rc = weft_x25519(c, &m->shared, &n->key, point);
		if (rc) {
			memset(m, 0, sizeof(*m));
			return rc;
		}
		m->key = n->key;
		memcpy(m->point, point, WEFT_KEY_LEN);
	}
	*ret_shared = m->shared;
	return 0;
}

static int cb_send(void *ctx, const struct weft_endpoint *to, uint8_t tos, const uint8_t *pkt,
		   size_t len)
{
	struct sim_node *n = ctx;

	if (pkt[0] == WEFT_MSG_RESPONSE)
		n->owed_ns += n->service.response_ns;
	else if (pkt[0] == WEFT_MSG_COOKIE)
		n->owed_ns += n->service.cookie_ns;
	sim_spy_sent(n, pkt, len);
	sim_send(n->sim, n, NULL, to, tos, pkt, len);
	return 0;
}

static void cb_send_many(void *ctx, struct weft_datagram *d, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		d[i].result = cb_send(ctx, d[i].to, d[i].tos, d[i].pkt, d[i].len);
}

static struct sim_node *node_at(struct sim *s, const struct weft_endpoint *to)
{
	for (int i = 0; i < s->nodes; i++) {
		struct weft_endpoint at = sim_public(&s->node[i]);

		if (weft_ip_equal(&at.ip, &to->ip) && at.port == to->port)
			return &s->node[i];
	}
	return NULL;
}

/* With DF: what is too long for the way is lost there. */
static int cb_send_whole(void *ctx, const struct weft_endpoint *to, uint8_t tos, const uint8_t *pkt,
			 size_t len)
{
	struct sim_node *n = ctx, *there = node_at(n->sim, to);
	uint32_t carries = there ? n->pair[there->id].carries : 0;

	if (len + 28 > n->route_mtu)
		return -EMSGSIZE;
	if (!carries || len + 28 <= carries)
		return cb_send(ctx, to, tos, pkt, len);
	sim_spy_sent(n, pkt, len);
	return 0;
}

static int cb_path_mtu(void *ctx, const struct weft_endpoint *to, uint32_t *ret_mtu,
		       uint32_t *ret_learned)
{
	struct sim_node *n = ctx, *there = node_at(n->sim, to);

	*ret_mtu = n->route_mtu;
	*ret_learned = there && n->pair[there->id].told ? n->pair[there->id].carries : 0;
	return 0;
}

static int cb_tunnel_source(void *ctx, const struct weft_ip *to, struct weft_ip *ret_ip)
{
	struct sim_node *n = ctx;

	*ret_ip = *to;
	ret_ip->b[to->family == WEFT_IPV4 ? 3 : 15] = (uint8_t)(n->id + 1);
	return 0;
}

static void cb_event(void *ctx, const struct weft_event *event)
{
	struct sim_node *n = ctx;

	n->events[event->type]++;
}

static void cb_wake(void *ctx)
{
	struct sim_node *n = ctx;

	n->woken = true;
}

/* ---- life ---- */

static void make_key(struct sim_node *n)
{
	static struct weft_crypto *c;

	if (!c && weft_crypto_new(&c))
		abort();
	cb_random(n, n->key.b, sizeof(n->key.b));
	weft_x25519_clamp(&n->key);
	if (weft_x25519_public(c, n->public_key, &n->key))
		abort();
}

struct sim_node *sim_node_add(struct sim *s)
{
	struct sim_node *n = &s->node[s->nodes];

	if (s->nodes == SIM_MAX_NODES)
		abort();
	n->sim = s;
	n->id = s->nodes++;
	n->ip = (struct weft_ip){{192, 0, 0, (uint8_t)(n->id + 1)}, WEFT_IPV4};
	n->port = SIM_PORT;
	n->route_mtu = 1500;
	n->params = (struct weft_device_params){.max_workers = 1,
						.handshake_queue_pkts = 1024,
						.stage_bytes = 1 << 19,
						.ratelimit_entries = 1024};
	make_key(n);
	sim_node_start(n);
	return n;
}

struct weft_peer *sim_peer(struct sim_node *a, struct sim_node *b)
{
	return a->alive ? weft_peer_find(a->dev, b->public_key) : NULL;
}

void sim_set_endpoint(struct sim_node *a, struct sim_node *b)
{
	struct weft_endpoint e = sim_public(b);
	struct weft_peer *peer = sim_peer(a, b);

	if (!peer || !a->pair[b->id].endpoint_known)
		return;
	if (b->nat.on && !e.port)
		e.port = SIM_PORT; /* the mapping that its first packet makes */
	weft_peer_set_endpoint(a->dev, peer, &e, a->sim->now);
	sim_node_settle(a);
}

void sim_add_peer(struct sim_node *a, struct sim_node *b)
{
	struct weft_prefix v4 = {.ip = {{10, 0, 0, (uint8_t)(b->id + 1)}, WEFT_IPV4}, .len = 32};
	struct weft_prefix v6 = {.ip = {{0xfd, [15] = (uint8_t)(b->id + 1)}, WEFT_IPV6},
				 .len = 128};
	struct weft_peer *peer;
	int rc;

	if (!a->alive || sim_peer(a, b))
		return;
	rc = weft_peer_add(a->dev, b->public_key, &peer);
	if (rc == 0)
		rc = weft_peer_allow(a->dev, peer, &v4);
	if (rc == 0)
		rc = weft_peer_allow(a->dev, peer, &v6);
	sim_check(a->sim, rc == 0, "node %d: adding peer %d: %d", a->id, b->id, rc);
	weft_peer_set_psk(a->dev, peer, &a->pair[b->id].psk);
	sim_set_endpoint(a, b);
	weft_peer_set_keepalive(a->dev, peer, a->pair[b->id].keepalive_s, a->sim->now);
	sim_node_settle(a);
}

void sim_forget_peer(struct sim_node *a, struct sim_node *b)
{
	struct weft_peer *peer = sim_peer(a, b);

	if (!peer)
		return;
	weft_peer_remove(a->dev, peer);
	sim_node_settle(a);
}

void sim_node_start(struct sim_node *n)
{
	struct weft_callbacks cb = {.ctx = n,
				    .alloc = cb_alloc,
				    .free = cb_free,
				    .random = cb_random,
				    .wall_time = cb_wall,
				    .static_dh = cb_dh,
				    .send = cb_send,
				    .send_many = cb_send_many,
				    .send_whole = cb_send_whole,
				    .path_mtu = cb_path_mtu,
				    .tunnel_source = cb_tunnel_source,
				    .event = cb_event,
				    .wake = cb_wake};

	n->life++;
	n->spoofed = 0;
	n->busy_until_ns = 0;
	if (weft_device_new(&n->params, &cb, &n->dev) || weft_worker_new(n->dev, &n->worker))
		sim_fail(n->sim, "node %d does not start", n->id);
	n->alive = true;
	weft_device_set_static(n->dev, n->public_key, n->sim->now);
	weft_device_set_mtu(n->dev, SIM_MTU);
	for (int i = 0; i < n->sim->nodes; i++)
		if (n->pair[i].wanted)
			sim_add_peer(n, &n->sim->node[i]);
	weft_device_up(n->dev, n->sim->now);
	sim_node_settle(n);
}

void sim_node_stop(struct sim_node *n)
{
	weft_worker_free(n->worker);
	weft_device_free(n->dev);
	n->worker = NULL;
	n->dev = NULL;
	n->alive = false;
	sim_check(n->sim, n->mem_bytes == 0, "node %d leaves %zu bytes behind", n->id,
		  n->mem_bytes);
}

void sim_node_restart(struct sim_node *n)
{
	sim_node_stop(n);
	sim_node_start(n);
}

void sim_node_new_key(struct sim_node *n)
{
	struct sim *s = n->sim;

	for (int i = 0; i < s->nodes; i++)
		if (s->node[i].pair[n->id].wanted)
			sim_forget_peer(&s->node[i], n);
	make_key(n);
	if (n->alive) {
		weft_device_set_static(n->dev, n->public_key, s->now);
		sim_node_settle(n);
	}
	for (int i = 0; i < s->nodes; i++)
		if (s->node[i].pair[n->id].wanted)
			sim_add_peer(&s->node[i], n);
}

static bool is_charged(const struct sim_node *n)
{
	return n->service.dh_ns || n->service.response_ns || n->service.cookie_ns;
}

/* One handshake, and the next when the time that it takes has passed. */
static void charged_turn(struct sim_node *n)
{
	uint64_t next;
	bool more;

	if (n->sim->now < n->busy_until_ns) {
		sim_schedule_run(n, n->busy_until_ns);
		return;
	}
	n->woken = false;
	n->owed_ns = 0;
	n->runs++;
	more = weft_device_run(n->dev, n->sim->now, 1);
	n->busy_until_ns = n->sim->now + n->owed_ns;
	next = more || n->woken ? n->busy_until_ns : weft_device_next_ns(n->dev);
	if (next != WEFT_NEVER)
		sim_schedule_run(n, next > n->busy_until_ns ? next : n->busy_until_ns);
}

/* The owner's turn, until it has nothing to do, and an appointment for the next. */
static void owner_turn(struct sim_node *n)
{
	bool more;
	int turns = 0;

	do {
		n->woken = false;
		n->runs++;
		more = weft_device_run(n->dev, n->sim->now,
				       n->handshakes_per_ms ? n->handshakes_per_ms : 1000000);
		sim_check(n->sim, ++turns < 100, "node %d: its owner finds no rest", n->id);
	} while (n->woken || (more && !n->handshakes_per_ms));
	if (more)
		sim_schedule_run(n, n->sim->now + MS);
	else if (weft_device_next_ns(n->dev) != WEFT_NEVER)
		sim_schedule_run(n, weft_device_next_ns(n->dev));
}

void sim_node_settle(struct sim_node *n)
{
	if (!n->alive)
		return;
	if (is_charged(n)) {
		if (n->woken)
			charged_turn(n);
		return;
	}
	if (!n->handshakes_per_ms)
		owner_turn(n);
	else if (n->woken) /* a busy owner: its turn comes once in a millisecond */
		sim_schedule_run(n, (n->sim->now / MS + 1) * MS);
}

void sim_node_tick(struct sim_node *n)
{
	n->run_at = 0;
	if (!n->alive)
		return;
	if (is_charged(n))
		charged_turn(n);
	else
		owner_turn(n);
}

/* ---- peers ---- */

void sim_link(struct sim_node *a, struct sim_node *b)
{
	a->pair[b->id].wanted = b->pair[a->id].wanted = true;
	a->pair[b->id].endpoint_known = !b->nat.on;
	b->pair[a->id].endpoint_known = !a->nat.on;
	sim_add_peer(a, b);
	sim_add_peer(b, a);
}

void sim_set_psk(struct sim_node *a, struct sim_node *b, bool some)
{
	struct weft_secret psk = {{0}};

	if (some)
		cb_random(a, psk.b, sizeof(psk.b));
	a->pair[b->id].psk = b->pair[a->id].psk = psk;
	if (sim_peer(a, b))
		weft_peer_set_psk(a->dev, sim_peer(a, b), &psk);
	if (sim_peer(b, a))
		weft_peer_set_psk(b->dev, sim_peer(b, a), &psk);
}

void sim_set_keepalive(struct sim_node *a, struct sim_node *b, uint16_t seconds)
{
	a->pair[b->id].keepalive_s = seconds;
	if (!sim_peer(a, b))
		return;
	weft_peer_set_keepalive(a->dev, sim_peer(a, b), seconds, a->sim->now);
	sim_node_settle(a);
}

/* ---- data ---- */

static uint8_t payload_byte(uint64_t id, size_t i)
{
	return (uint8_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> (i % 8 * 8)) ^ (uint8_t)i;
}

static uint64_t new_message(struct sim *s, int from, int to, size_t len, bool v6)
{
	if (s->messages_len == s->messages_cap) {
		s->messages_cap = s->messages_cap ? 2 * s->messages_cap : 1024;
		s->messages = realloc(s->messages, s->messages_cap * sizeof(*s->messages));
		if (!s->messages)
			abort();
	}
	s->messages[s->messages_len] = (struct sim_message){
		.from = (uint8_t)from, .to = (uint8_t)to, .v6 = v6, .len = (uint16_t)len};
	return s->messages_len++;
}

/* The IP header, then the message's number, then bytes that follow from it. */
static void build(const struct sim_message *m, uint64_t id, uint8_t *p)
{
	size_t head = m->v6 ? 40 : 20;

	memset(p, 0, head);
	if (m->v6) {
		p[0] = 0x60;
		weft_put_be16(p + 4, (uint16_t)(m->len - 40));
		p[6] = 17;
		p[8] = p[24] = 0xfd;
		p[23] = (uint8_t)(m->from + 1);
		p[39] = (uint8_t)(m->to + 1);
	} else {
		p[0] = 0x45;
		weft_put_be16(p + 2, m->len);
		p[9] = 17;
		p[12] = p[16] = 10;
		p[15] = (uint8_t)(m->from + 1);
		p[19] = (uint8_t)(m->to + 1);
	}
	weft_put_le64(p + head, id);
	for (size_t i = head + 8; i < m->len; i++)
		p[i] = payload_byte(id, i);
}

static void offer(struct sim_node *a, struct sim_node *b, int claimed, size_t len)
{
	static uint8_t buf[WEFT_DATA_OVERHEAD + SIM_MTU + 16];
	struct sim *s = a->sim;
	bool v6 = sim_chance(s, 300) && len >= 48;
	struct weft_tx tx;
	size_t out_len;
	uint64_t id;
	uint8_t tos;
	int rc;

	if (!a->alive)
		return;
	id = new_message(s, claimed, b->id, len, v6);
	a->pair[b->id].offered += claimed == a->id;
	build(&s->messages[id], id, buf + WEFT_DATA_HEADER_LEN);
	weft_worker_enter(a->worker, s->now);
	rc = weft_tx_begin(a->worker, buf + WEFT_DATA_HEADER_LEN, len, 1, &tx);
	if (rc == 0) {
		rc = weft_tx_seal(a->worker, &tx, buf, len, &out_len, &tos);
		if (rc == 0) {
			sim_spy_sent(a, buf, out_len);
			sim_send(s, a, NULL, &tx.endpoint, tos, buf, out_len);
			weft_tx_done(a->worker, &tx, 1, out_len, true);
		}
	}
	if (rc == WEFT_E_NO_SESSION)
		weft_tx_stage(a->worker, tx.peer, buf + WEFT_DATA_HEADER_LEN, len);
	weft_worker_leave(a->worker);
	sim_node_settle(a);
}

void sim_offer(struct sim_node *a, struct sim_node *b, size_t len)
{
	offer(a, b, a->id, len);
}

void sim_offer_spoofed(struct sim_node *a, struct sim_node *b, struct sim_node *claimed, size_t len)
{
	if (claimed != a)
		offer(a, b, claimed->id, len);
}

static void accept_data(struct sim_node *n, struct sim_node *from, const struct weft_rx *rx)
{
	static uint8_t want[SIM_MTU + 16];
	struct sim *s = n->sim;
	struct sim_message *m;
	uint64_t id;
	size_t head;

	sim_check(s, rx->inner_len >= 28, "node %d: delivered %zu bytes", n->id, rx->inner_len);
	head = rx->inner[0] >> 4 == 6 ? 40 : 20;
	id = weft_get_le64(rx->inner + head);
	sim_check(s, id < s->messages_len, "node %d: delivered what nobody sent", n->id);
	m = &s->messages[id];
	sim_check(s, !m->delivered, "node %d: message %llu delivered twice", n->id,
		  (unsigned long long)id);
	sim_check(s, m->to == n->id && m->from == from->id,
		  "node %d: message from %d to %d came from peer %d", n->id, m->from, m->to,
		  from->id);
	build(m, id, want);
	sim_check(s, rx->inner_len == m->len && memcmp(want, rx->inner, m->len) == 0,
		  "node %d: message %llu was altered", n->id, (unsigned long long)id);
	m->delivered = 1;
	s->delivered++;
	n->pair[from->id].delivered++;
	n->pair[from->id].delivered_ns = s->now;
	sim_mix(s, &id, sizeof(id));
}

static bool is_ping(const struct weft_rx *rx)
{
	return (rx->inner_len == 28 && rx->inner[9] == 1 && rx->inner[20] == 8) ||
	       (rx->inner_len == 48 && rx->inner[6] == 58 && rx->inner[40] == 128);
}

/* As the host would: a probe is a ping whose hop limit just reaches. In the receiver's batch. */
static void answer_ping(struct sim_node *n, const struct weft_rx *rx)
{
	uint8_t buf[WEFT_DATA_OVERHEAD + 64] = {0}, *p = buf + WEFT_DATA_HEADER_LEN;
	bool v6 = rx->inner[0] >> 4 == 6;
	size_t at = v6 ? 8 : 12, len = v6 ? 16 : 4, out_len;
	struct weft_tx tx;
	uint8_t tos;

	n->probes++;
	sim_check(n->sim, rx->inner[v6 ? 7 : 8] == 1, "node %d: a probe that goes on", n->id);
	if (n->silent)
		return;
	memcpy(p, rx->inner, rx->inner_len);
	memcpy(p + at, rx->inner + at + len, len);
	memcpy(p + at + len, rx->inner + at, len);
	p[v6 ? 40 : 20] = v6 ? 129 : 0;
	if (weft_tx_begin(n->worker, p, rx->inner_len, 1, &tx) != 0 ||
	    weft_tx_seal(n->worker, &tx, buf, rx->inner_len, &out_len, &tos) != 0)
		return;
	sim_spy_sent(n, buf, out_len);
	sim_send(n->sim, n, NULL, &tx.endpoint, tos, buf, out_len);
	weft_tx_done(n->worker, &tx, 1, out_len, true);
}

/* NULL: one of the peers that are no nodes. */
static struct sim_node *node_of(struct sim_node *n, const struct weft_peer *peer)
{
	for (int i = 0; i < n->sim->nodes; i++)
		if (memcmp(weft_peer_public_key(peer), n->sim->node[i].public_key, 32) == 0)
			return &n->sim->node[i];
	sim_check(n->sim, n->sim->elsewhere, "node %d: accepted from a key that is nobody's",
		  n->id);
	return NULL;
}

/* Data that was authentic counts for the timers, even if its inner source is refused. */
static void look_for_spoofed(struct sim_node *n)
{
	struct weft_device_stats st;

	weft_device_stats(n->dev, &st);
	if (st.drops[WEFT_DROP_RX_ALLOWED_IPS] == n->spoofed)
		return;
	n->spoofed = st.drops[WEFT_DROP_RX_ALLOWED_IPS];
	for (int i = 0; i < n->sim->nodes; i++)
		n->pair[i].data_received_ns = n->sim->now; /* from one of them */
}

void sim_node_receive(struct sim_node *n, const struct weft_endpoint *from, uint8_t tos,
		      const uint8_t *pkt, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1); /* exactly as long: the sanitizers watch */
	struct weft_rx rx;

	if (!copy)
		abort();
	memcpy(copy, pkt, len);
	weft_worker_enter(n->worker, n->sim->now);
	if (weft_rx_packet(n->worker, from, tos, copy, len, &rx) == 0) {
		struct sim_node *sender = node_of(n, rx.peer);

		if (sender)
			sim_spy_accepted(n, sender, len > WEFT_DATA_OVERHEAD);
		if (sender && rx.inner && is_ping(&rx))
			answer_ping(n, &rx);
		else if (sender && rx.inner)
			accept_data(n, sender, &rx);
	} else if (len > WEFT_DATA_OVERHEAD && pkt[0] == 4) {
		look_for_spoofed(n);
	}
	weft_worker_leave(n->worker);
	free(copy);
	sim_node_settle(n);
}

void sim_traffic(struct sim_node *a, struct sim_node *b, uint64_t gap_ns)
{
	struct sim_pair *p = &a->pair[b->id];

	p->gap_ns = gap_ns;
	p->traffic_run++;
	if (gap_ns)
		sim_schedule_traffic(a, b->id, a->sim->now + sim_below(a->sim, gap_ns));
}

void sim_traffic_both(struct sim_node *a, struct sim_node *b, uint64_t gap_ns)
{
	sim_traffic(a, b, gap_ns);
	sim_traffic(b, a, gap_ns);
}

void sim_node_traffic(struct sim_node *n, int to, uint32_t run)
{
	struct sim_pair *p = &n->pair[to];
	struct sim *s = n->sim;

	if (run != p->traffic_run || !p->gap_ns)
		return;
	sim_offer(n, &s->node[to], 48 + sim_below(s, SIM_MTU - 47));
	sim_schedule_traffic(n, to, s->now + p->gap_ns / 2 + sim_below(s, p->gap_ns + 1));
}

void sim_expect_flow(struct sim_node *a, struct sim_node *b, uint64_t duration_ns)
{
	uint64_t ab = b->pair[a->id].delivered, ba = a->pair[b->id].delivered;

	sim_run(a->sim, duration_ns);
	sim_check(a->sim, b->pair[a->id].delivered > ab, "nothing came from node %d to %d", a->id,
		  b->id);
	sim_check(a->sim, a->pair[b->id].delivered > ba, "nothing came from node %d to %d", b->id,
		  a->id);
}
