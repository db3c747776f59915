/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spy on the wire: sees datagrams only, never a device's inside, and holds them against the
 * WireGuard paper's section 6. What it knows of a session: who sends under it, the receiver index
 * that names it, since when it can exist at the sender, and the last counter.
 */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

#include "util/cursor.h"

struct session {
	uint64_t key; /* sender, its life, receiver index; 0: free */
	uint64_t born_ns;
	uint64_t next_counter;
	int peer; /* whose index it is */
};

struct index {
	uint32_t index;
	int owner; /* + 1; 0: free */
};

struct sim_spy {
	struct session *sessions;
	struct index *indices;
	size_t cap, used, index_used; /* cap: a power of two, for both */
};

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 31)) * UINT64_C(0x7fb5d329728ea185);
	return x ^ (x >> 27);
}

static struct session *find_session(const struct sim_spy *spy, uint64_t key)
{
	size_t i = mix(key) & (spy->cap - 1);

	while (spy->sessions[i].key && spy->sessions[i].key != key)
		i = (i + 1) & (spy->cap - 1);
	return &spy->sessions[i];
}

static struct index *find_index(const struct sim_spy *spy, uint32_t index)
{
	size_t i = mix(index) & (spy->cap - 1);

	while (spy->indices[i].owner && spy->indices[i].index != index)
		i = (i + 1) & (spy->cap - 1);
	return &spy->indices[i];
}

static void grow(struct sim_spy *spy)
{
	struct sim_spy old = *spy;

	spy->cap *= 2;
	spy->sessions = calloc(spy->cap, sizeof(*spy->sessions));
	spy->indices = calloc(spy->cap, sizeof(*spy->indices));
	if (!spy->sessions || !spy->indices)
		abort();
	for (size_t i = 0; old.sessions && i < old.cap; i++) {
		if (old.sessions[i].key)
			*find_session(spy, old.sessions[i].key) = old.sessions[i];
		if (old.indices[i].owner)
			*find_index(spy, old.indices[i].index) = old.indices[i];
	}
	free(old.sessions);
	free(old.indices);
}

struct sim_spy *sim_spy_new(void)
{
	struct sim_spy *spy = calloc(1, sizeof(*spy));

	if (!spy)
		abort();
	spy->cap = 512;
	grow(spy);
	return spy;
}

void sim_spy_free(struct sim_spy *spy)
{
	free(spy->sessions);
	free(spy->indices);
	free(spy);
}

static uint64_t session_key(const struct sim_node *n, uint32_t index)
{
	return (uint64_t)(n->id + 1) << 56 | (uint64_t)(n->life & 0xffffff) << 32 | index;
}

static void own_index(struct sim_node *n, uint32_t index)
{
	struct sim_spy *spy = n->sim->spy;
	struct index *i = find_index(spy, index);

	sim_check(n->sim, !i->owner, "receiver index %08x is given out twice", index);
	i->owner = n->id + 1;
	i->index = index;
	if (++spy->index_used * 2 > spy->cap)
		grow(spy);
}

static int owner_of(struct sim_node *n, uint32_t index)
{
	return find_index(n->sim->spy, index)->owner - 1;
}

static void session_begins(struct sim_node *n, uint32_t index)
{
	struct sim_spy *spy = n->sim->spy;
	struct session *s = find_session(spy, session_key(n, index));
	int peer = owner_of(n, index);

	if (s->key || peer < 0)
		return;
	s->key = session_key(n, index);
	s->born_ns = n->sim->now;
	s->next_counter = 0;
	s->peer = peer;
	n->pair[peer].sessions++;
	if (++spy->used * 2 > spy->cap)
		grow(spy);
}

static void check_keepalive(struct sim_node *n, const struct sim_pair *p, uint64_t counter)
{
	struct sim *s = n->sim;

	/* The first packet of an initiator confirms the session, even if empty. */
	if (p->keepalive_s || counter == 0)
		return;
	sim_check(s, p->data_received_ns, "node %d: keepalive, but no data came", n->id);
	/* 10 s after data; or 20 s if data came while the timer ran */
	sim_check(s, s->now <= p->data_received_ns + 20 * S + 2 * SIM_TICK,
		  "node %d: keepalive %llu ms after the last data", n->id,
		  (unsigned long long)((s->now - p->data_received_ns) / MS));
	sim_check(s, s->now >= p->transport_sent_ns + 10 * S,
		  "node %d: keepalive %llu ms after something else was sent", n->id,
		  (unsigned long long)((s->now - p->transport_sent_ns) / MS));
}

static void transport_sent(struct sim_node *n, const uint8_t *pkt, size_t len)
{
	uint32_t index = weft_get_le32(pkt + 4);
	uint64_t counter = weft_get_le64(pkt + 8);
	struct sim *s = n->sim;
	struct session *session = find_session(s->spy, session_key(n, index));
	struct sim_pair *p;

	sim_check(s, session->key, "node %d sends under a session that nobody saw begin", n->id);
	sim_check(s, counter >= session->next_counter,
		  "node %d uses counter %llu of session %08x again", n->id,
		  (unsigned long long)counter, index);
	sim_check(s, counter < UINT64_MAX - 8192, "node %d: counter past the limit", n->id);
	sim_check(s, s->now < session->born_ns + 180 * S,
		  "node %d sends under a session of %llu ms", n->id,
		  (unsigned long long)((s->now - session->born_ns) / MS));
	sim_check(s,
		  len >= 32 && (len % 16 == 0 || len == SIM_MTU + 32 ||
				len == n->route_mtu - 28), /* a probe */
		  "node %d: datagram of %zu bytes", n->id, len);
	session->next_counter = counter + 1;
	p = &n->pair[session->peer];
	if (len == 32) {
		check_keepalive(n, p, counter);
		p->keepalives++;
	}
	p->transports++;
	p->transport_sent_ns = p->sent_ns = s->now;
}

void sim_spy_sent(struct sim_node *n, const uint8_t *pkt, size_t len)
{
	struct sim *s = n->sim;
	int peer;

	n->datagrams++;
	sim_check(s, len >= 32, "node %d: datagram of %zu bytes", n->id, len);
	sim_check(s, !pkt[1] && !pkt[2] && !pkt[3], "node %d: reserved bytes are set", n->id);
	switch (pkt[0]) {
	case 1:
		sim_check(s, len == 148, "node %d: initiation of %zu bytes", n->id, len);
		own_index(n, weft_get_le32(pkt + 4));
		n->handshake_datagrams++;
		break;
	case 2:
		sim_check(s, len == 92, "node %d: response of %zu bytes", n->id, len);
		own_index(n, weft_get_le32(pkt + 4));
		session_begins(n, weft_get_le32(pkt + 8));
		peer = owner_of(n, weft_get_le32(pkt + 8));
		if (peer >= 0)
			n->pair[peer].sent_ns = s->now;
		n->handshake_datagrams++;
		break;
	case 3:
		sim_check(s, len == 64, "node %d: cookie reply of %zu bytes", n->id, len);
		break;
	case 4:
		transport_sent(n, pkt, len);
		break;
	default:
		sim_fail(s, "node %d: message of type %u", n->id, pkt[0]);
	}
}

/* The response reaches the initiator: from now on it can send. */
void sim_spy_arrives(struct sim_node *n, const uint8_t *pkt, size_t len)
{
	if (len == 92 && pkt[0] == 2 && owner_of(n, weft_get_le32(pkt + 8)) == n->id)
		session_begins(n, weft_get_le32(pkt + 4));
}

void sim_spy_accepted(struct sim_node *n, struct sim_node *from, bool data)
{
	struct sim_pair *p = &n->pair[from->id];

	p->received_ns = n->sim->now;
	if (data)
		p->data_received_ns = n->sim->now;
}
