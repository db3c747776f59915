/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated world: virtual time, the network between the nodes, and their NATs. */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum event_type { EV_DATAGRAM, EV_RUN, EV_TRAFFIC, EV_CALL };

struct sim_event {
	uint64_t at, seq;
	enum event_type type;
	int node, to_node;
	uint32_t run;
	struct weft_endpoint from, to;
	uint8_t tos;
	bool altered;
	uint8_t *pkt;
	size_t len;
	void (*fn)(struct sim *s, void *arg);
	void *arg;
};

/* ---- small things ---- */

uint64_t sim_random(struct sim *s)
{
	uint64_t z = (s->random += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t sim_below(struct sim *s, uint64_t n)
{
	return n ? sim_random(s) % n : 0;
}

bool sim_chance(struct sim *s, unsigned per_mille)
{
	return per_mille && sim_below(s, 1000) < per_mille;
}

void sim_mix(struct sim *s, const void *p, size_t len)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < len; i++)
		s->trace = (s->trace ^ b[i]) * UINT64_C(0x100000001b3);
}

void sim_fail(const struct sim *s, const char *format, ...)
{
	va_list ap;

	printf("\nBail out! seed %llu, virtual time %llu.%09llu s: ", (unsigned long long)s->seed,
	       (unsigned long long)(s->now / S), (unsigned long long)(s->now % S));
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	exit(1);
}

/* ---- events: a binary heap ---- */

static bool before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static struct sim_event *push(struct sim *s, uint64_t at, enum event_type type)
{
	struct sim_event *e = calloc(1, sizeof(*e));
	size_t i = s->heap_len++;

	if (s->heap_len > s->heap_cap) {
		s->heap_cap = s->heap_cap ? 2 * s->heap_cap : 256;
		s->heap = realloc(s->heap, s->heap_cap * sizeof(*s->heap));
	}
	if (!e || !s->heap)
		abort();
	e->at = at;
	e->seq = s->heap_seq++;
	e->type = type;
	for (; i > 0 && before(e, s->heap[(i - 1) / 2]); i = (i - 1) / 2)
		s->heap[i] = s->heap[(i - 1) / 2];
	s->heap[i] = e;
	return e;
}

static struct sim_event *pop(struct sim *s)
{
	struct sim_event *top = s->heap[0], *last = s->heap[--s->heap_len];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < s->heap_len) {
		if (child + 1 < s->heap_len && before(s->heap[child + 1], s->heap[child]))
			child++;
		if (!before(s->heap[child], last))
			break;
		s->heap[i] = s->heap[child];
		i = child;
	}
	s->heap[i] = last;
	return top;
}

void sim_at(struct sim *s, uint64_t delay_ns, void (*fn)(struct sim *s, void *arg), void *arg)
{
	struct sim_event *e = push(s, s->now + delay_ns, EV_CALL);

	e->fn = fn;
	e->arg = arg;
}

void sim_schedule_run(struct sim_node *n, uint64_t at)
{
	if (at <= n->sim->now)
		at = n->sim->now + 1;
	if (n->run_at && n->run_at <= at && n->run_at >= n->sim->now)
		return;
	n->run_at = at;
	push(n->sim, at, EV_RUN)->node = n->id;
}

void sim_schedule_traffic(struct sim_node *n, int to, uint64_t at)
{
	struct sim_event *e = push(n->sim, at, EV_TRAFFIC);

	e->node = n->id;
	e->to_node = to;
	e->run = n->pair[to].traffic_run;
}

/* ---- NAT ---- */

struct weft_endpoint sim_public(const struct sim_node *n)
{
	struct weft_endpoint e = {.ip = n->ip, .port = n->port};

	if (n->nat.on) {
		e.ip = n->nat.public_ip;
		e.port = n->nat.public_port;
	}
	return e;
}

void sim_nat_on(struct sim_node *n, uint64_t timeout_ns)
{
	memset(&n->nat, 0, sizeof(n->nat));
	n->nat.on = true;
	n->nat.public_ip = (struct weft_ip){{198, 51, 100, (uint8_t)(n->id + 1)}, WEFT_IPV4};
	n->nat.last_port = SIM_PORT - 1;
	n->nat.timeout_ns = timeout_ns;
}

void sim_nat_rebind(struct sim_node *n)
{
	n->nat.public_port = 0;
	memset(n->nat.flow, 0, sizeof(n->nat.flow));
}

static void nat_expire(struct sim_node *n)
{
	struct sim_nat *nat = &n->nat;

	if (nat->public_port && n->sim->now > nat->used_ns + nat->timeout_ns)
		sim_nat_rebind(n);
}

/* A packet goes out: makes or refreshes the mapping, and opens it for answers. */
static void nat_out(struct sim_node *n, const struct weft_endpoint *to)
{
	struct sim_nat *nat = &n->nat;
	int at = 0;

	nat_expire(n);
	if (!nat->public_port)
		nat->public_port = ++nat->last_port;
	nat->used_ns = n->sim->now;
	for (int i = 0; i < SIM_NAT_FLOWS; i++) {
		if (weft_ip_equal(&nat->flow[i].ip, &to->ip) && nat->flow[i].port == to->port) {
			at = i;
			break;
		}
		if (nat->flow[i].used_ns < nat->flow[at].used_ns)
			at = i;
	}
	nat->flow[at].ip = to->ip;
	nat->flow[at].port = to->port;
	nat->flow[at].used_ns = n->sim->now;
}

static bool nat_in(struct sim_node *n, const struct weft_endpoint *from)
{
	struct sim_nat *nat = &n->nat;

	nat_expire(n);
	for (int i = 0; i < SIM_NAT_FLOWS; i++)
		if (nat->flow[i].used_ns && weft_ip_equal(&nat->flow[i].ip, &from->ip) &&
		    nat->flow[i].port == from->port &&
		    n->sim->now <= nat->flow[i].used_ns + nat->timeout_ns) {
			nat->used_ns = nat->flow[i].used_ns = n->sim->now; /* as conntrack does */
			return true;
		}
	return false;
}

void sim_move(struct sim_node *n)
{
	n->ip.b[2] = (uint8_t)(n->ip.b[2] + 1);
	n->port = (uint16_t)(1024 + sim_below(n->sim, 60000));
}

void sim_cut(struct sim *s, int a, int b, bool cut)
{
	s->cut[a][b] = s->cut[b][a] = cut;
}

void sim_heal(struct sim *s)
{
	s->net = (struct sim_net){.delay_ns = 20 * MS, .jitter_ns = 0};
	memset(s->cut, 0, sizeof(s->cut));
}

/* ---- datagrams ---- */

static void launch(struct sim *s, int from_node, const struct weft_endpoint *from,
		   const struct weft_endpoint *to, uint8_t tos, const uint8_t *pkt, size_t len)
{
	struct sim_event *e =
		push(s, s->now + s->net.delay_ns + sim_below(s, s->net.jitter_ns + 1), EV_DATAGRAM);

	e->node = from_node;
	e->from = *from;
	e->to = *to;
	e->tos = tos;
	e->len = len;
	e->pkt = malloc(len ? len : 1);
	if (!e->pkt)
		abort();
	memcpy(e->pkt, pkt, len);
	if (sim_chance(s, s->net.corrupt) && len) {
		size_t at = sim_below(s, len);

		/* mac2 is looked at only under load: without it the message still counts */
		e->altered = !((len == 148 || len == 92) && at >= len - 16);
		if (e->altered && sim_chance(s, 300))
			e->len = at;
		else
			e->pkt[at] ^= (uint8_t)(1 + sim_below(s, 255));
	}
}

/*
 * Some datagrams are kept once they have arrived. (One that was lost may not be sent again from
 * elsewhere: it would be authentic and new, and so move the endpoint, as it should.)
 */
static void keep(struct sim *s, const struct sim_event *e)
{
	size_t i = sim_below(s, SIM_KEPT);

	free(s->kept[i]);
	s->kept[i] = malloc(e->len ? e->len : 1);
	if (!s->kept[i])
		abort();
	memcpy(s->kept[i], e->pkt, e->len);
	s->kept_len[i] = e->len;
	s->kept_to[i] = e->to;
}

/* One that was kept comes again, from somewhere else. */
static void replay(struct sim *s)
{
	size_t i = sim_below(s, SIM_KEPT);
	struct weft_endpoint from = {.ip = {{203, 0, 113, (uint8_t)i}, WEFT_IPV4}, .port = 666};

	if (s->kept[i])
		launch(s, -1, &from, &s->kept_to[i], 0, s->kept[i], s->kept_len[i]);
}

void sim_send(struct sim *s, struct sim_node *from, const struct weft_endpoint *source,
	      const struct weft_endpoint *to, uint8_t tos, const uint8_t *pkt, size_t len)
{
	struct weft_endpoint src;

	if (from) {
		if (from->nat.on)
			nat_out(from, to);
		src = sim_public(from);
	} else {
		src = *source;
	}
	sim_mix(s, &s->now, sizeof(s->now));
	sim_mix(s, pkt, len);
	if (sim_chance(s, s->net.replay))
		replay(s);
	if (sim_chance(s, s->net.loss))
		return;
	launch(s, from ? from->id : -1, &src, to, tos, pkt, len);
	if (sim_chance(s, s->net.dup))
		launch(s, from ? from->id : -1, &src, to, tos, pkt, len);
}

static void arrive(struct sim *s, const struct sim_event *e)
{
	for (int i = 0; i < s->nodes; i++) {
		struct sim_node *n = &s->node[i];
		struct weft_endpoint at = sim_public(n), from = e->from;

		if (!weft_ip_equal(&at.ip, &e->to.ip) || at.port != e->to.port || at.port == 0)
			continue;
		if (e->node >= 0 && s->cut[e->node][i])
			return;
		if (n->nat.on && !nat_in(n, &from))
			return;
		if (!n->alive)
			return;
		from.local = n->ip;
		from.local_ifindex = 1;
		if (!e->altered)
			sim_spy_arrives(n, e->pkt, e->len);
		if (!e->altered && e->node >= 0 && sim_chance(s, s->net.replay))
			keep(s, e);
		sim_node_receive(n, &from, e->tos, e->pkt, e->len);
		return;
	}
	if (s->elsewhere)
		s->elsewhere(s, &e->to, e->pkt, e->len);
}

static void handle(struct sim *s, struct sim_event *e)
{
	switch (e->type) {
	case EV_DATAGRAM:
		arrive(s, e);
		free(e->pkt);
		break;
	case EV_RUN:
		if (s->node[e->node].run_at == e->at)
			sim_node_tick(&s->node[e->node]);
		break;
	case EV_TRAFFIC:
		sim_node_traffic(&s->node[e->node], e->to_node, e->run);
		break;
	case EV_CALL:
		e->fn(s, e->arg);
		break;
	}
}

void sim_run(struct sim *s, uint64_t duration_ns)
{
	uint64_t end = s->now + duration_ns;

	while (s->heap_len && s->heap[0]->at <= end) {
		struct sim_event *e = pop(s);

		s->now = e->at;
		handle(s, e);
		free(e);
	}
	s->now = end;
}

/* ---- life ---- */

struct sim *sim_new(uint64_t seed)
{
	struct sim *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->seed = s->random = seed;
	s->now = 1000 * S;
	s->trace = UINT64_C(0xcbf29ce484222325);
	s->spy = sim_spy_new();
	sim_heal(s);
	return s;
}

void sim_free(struct sim *s)
{
	for (int i = 0; i < s->nodes; i++)
		if (s->node[i].alive)
			sim_node_stop(&s->node[i]);
	while (s->heap_len) {
		struct sim_event *e = pop(s);

		free(e->pkt);
		free(e);
	}
	for (size_t i = 0; i < SIM_KEPT; i++)
		free(s->kept[i]);
	free(s->heap);
	free(s->messages);
	sim_spy_free(s->spy);
	free(s);
}
