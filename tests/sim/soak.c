/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A random world for as long as wanted: nodes, some behind NATs, and things that go wrong. Then
 * everything is mended, and after the time that the paper gives, each pair must hear each other
 * in both directions. What must hold always is checked by spy.c and node.c on the way.
 *
 *     soak [--seed N] [--hours H] [--nodes N] [--verbose]
 *
 * The same arguments give the same run; the last line has a hash over all of it.
 */
#include "sim.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DELAY (5 * S)
#define MEM_LIMIT ((size_t)4 << 20)
/* Each time that both sides begin at once costs another try; four in a row do not happen. */
#define RECOVERY (SIM_RECOVERY + 4 * (5 * S + SIM_JITTER))

static struct sim *s;
static bool verbose;
static int64_t highest_offset[SIM_MAX_NODES];
static uint64_t faults, checks;

static struct sim_node *any_node(void)
{
	return &s->node[sim_below(s, (uint64_t)s->nodes)];
}

static bool linked(const struct sim_node *a, const struct sim_node *b)
{
	return a->pair[b->id].wanted;
}

/* Two nodes that are peers; false if chance found none. */
static bool any_pair(struct sim_node **ret_a, struct sim_node **ret_b)
{
	for (int i = 0; i < 50; i++) {
		*ret_a = any_node();
		*ret_b = any_node();
		if (linked(*ret_a, *ret_b))
			return true;
	}
	return false;
}

/* A node that starts has a wall clock that is not behind what its peers have seen. */
static void start_node(struct sim_node *n)
{
	if (n->alive)
		return;
	n->wall_offset_s = highest_offset[n->id];
	sim_node_start(n);
}

/* ---- what goes wrong ---- */

static void random_net(void)
{
	s->net = (struct sim_net){0};
	s->net.delay_ns = sim_below(s, 300 * MS);
	if (sim_chance(s, 400))
		s->net.loss = (unsigned)sim_below(s, 500);
	if (sim_chance(s, 300))
		s->net.dup = (unsigned)sim_below(s, 300);
	if (sim_chance(s, 300))
		s->net.corrupt = (unsigned)sim_below(s, 200);
	if (sim_chance(s, 300))
		s->net.replay = (unsigned)sim_below(s, 300);
	if (sim_chance(s, 300))
		s->net.jitter_ns = sim_below(s, MAX_DELAY - s->net.delay_ns);
}

static void fault_on_node(struct sim_node *n)
{
	switch (sim_below(s, 8)) {
	case 0:
		if (n->alive)
			sim_node_stop(n);
		break;
	case 1:
		if (n->alive)
			sim_node_stop(n);
		start_node(n);
		break;
	case 2:
		if (n->nat.on)
			sim_nat_rebind(n);
		break;
	case 3:
		if (!n->nat.on)
			sim_move(n);
		break;
	case 4:
		if (sim_chance(s, 300))
			sim_node_new_key(n);
		break;
	case 5:
		if (n->alive && weft_device_is_up(n->dev))
			weft_device_down(n->dev, s->now);
		else if (n->alive)
			weft_device_up(n->dev, s->now);
		sim_node_settle(n);
		break;
	case 6:
		n->wall_offset_s += (int64_t)sim_below(s, 172800) - 86400;
		if (n->wall_offset_s > highest_offset[n->id])
			highest_offset[n->id] = n->wall_offset_s;
		break;
	default:
		start_node(n);
		break;
	}
}

static void fault_on_pair(struct sim_node *a, struct sim_node *b)
{
	static const uint64_t gaps[] = {0,         0,      20 * MS, 200 * MS, S,
					9500 * MS, 20 * S, 60 * S,  300 * S};

	switch (sim_below(s, 8)) {
	case 7:
		sim_offer_spoofed(a, b, any_node(), 200);
		break;
	case 0:
		sim_cut(s, a->id, b->id, true);
		break;
	case 1:
		sim_cut(s, a->id, b->id, false);
		break;
	case 2:
		sim_set_psk(a, b, sim_chance(s, 700));
		break;
	case 3:
		sim_forget_peer(a, b);
		break;
	case 4:
		sim_add_peer(a, b);
		break;
	case 5:
		sim_set_keepalive(a, b, (uint16_t)(sim_chance(s, 500) ? 0 : 5 + sim_below(s, 40)));
		break;
	default:
		sim_traffic(a, b, gaps[sim_below(s, sizeof(gaps) / sizeof(gaps[0]))]);
		break;
	}
}

static void one_fault(void)
{
	struct sim_node *a, *b;

	faults++;
	switch (sim_below(s, 6)) {
	case 0:
		random_net();
		break;
	case 1:
	case 2:
		fault_on_node(any_node());
		break;
	default:
		if (any_pair(&a, &b))
			fault_on_pair(a, b);
		break;
	}
}

/* ---- and what must be well again ---- */

static void for_each_link(void (*fn)(struct sim_node *a, struct sim_node *b))
{
	for (int i = 0; i < s->nodes; i++)
		for (int j = 0; j < s->nodes; j++)
			if (linked(&s->node[i], &s->node[j]))
				fn(&s->node[i], &s->node[j]);
}

static void quiet(struct sim_node *a, struct sim_node *b)
{
	sim_traffic(a, b, 0);
}

static void busy(struct sim_node *a, struct sim_node *b)
{
	sim_traffic(a, b, S);
}

static void sparse(struct sim_node *a, struct sim_node *b)
{
	sim_traffic(a, b, sim_chance(s, 250) ? (1 + sim_below(s, 60)) * S : 0);
}

static uint64_t mended_at;

/* What a node knows of another, for whoever looks into a failure. */
static void describe(struct sim_node *a, struct sim_node *b)
{
	struct sim_pair *p = &a->pair[b->id];
	char at[WEFT_ENDPOINT_TEXT_LEN], is[WEFT_ENDPOINT_TEXT_LEN];
	struct weft_endpoint e = sim_public(b);
	struct weft_peer_info info;

	weft_peer_info(a->dev, sim_peer(a, b), &info);
	printf("\n# %d -> %d: endpoint %s (really %s%s), keepalive %u, initiated %llu, answered "
	       "%llu, completed %llu, failed %llu; heard %llu ms ago, sent %llu ms ago; offered "
	       "%llu, delivered to it %llu",
	       a->id, b->id, weft_endpoint_format(&info.endpoint, at), weft_endpoint_format(&e, is),
	       b->nat.on ? ", NAT" : "", info.keepalive_s,
	       (unsigned long long)info.handshakes_initiated,
	       (unsigned long long)info.handshakes_answered,
	       (unsigned long long)info.handshakes_completed,
	       (unsigned long long)info.handshakes_failed,
	       (unsigned long long)((s->now - info.last_received_ns) / MS),
	       (unsigned long long)((s->now - p->sent_ns) / MS), (unsigned long long)p->offered,
	       (unsigned long long)p->delivered);
}

static void describe_drops(struct sim_node *n)
{
	struct weft_device_stats st;

	weft_device_stats(n->dev, &st);
	printf("\n# %d:", n->id);
	for (int i = 0; i < WEFT_DROP_COUNT; i++)
		if (st.drops[i])
			printf(" %s %llu", weft_drop_name((enum weft_drop)i),
			       (unsigned long long)st.drops[i]);
}

static void heard(struct sim_node *a, struct sim_node *b)
{
	const struct sim_pair *p = &b->pair[a->id];

	checks++;
	if (p->delivered_ns < mended_at + RECOVERY) {
		describe(a, b);
		describe(b, a);
		describe_drops(a);
		describe_drops(b);
	}
	sim_check(s, p->delivered_ns >= mended_at + RECOVERY,
		  "node %d has heard nothing of node %d for %llu s, %llu s after all was mended",
		  b->id, a->id, (unsigned long long)((s->now - p->delivered_ns) / S),
		  (unsigned long long)((s->now - mended_at) / S));
}

static void memory(void)
{
	for (int i = 0; i < s->nodes; i++)
		sim_check(s, s->node[i].mem_peak < MEM_LIMIT, "node %d took %zu bytes", i,
			  s->node[i].mem_peak);
}

static void mend(void)
{
	sim_heal(s);
	for (int i = 0; i < s->nodes; i++)
		start_node(&s->node[i]);
	for (int i = 0; i < s->nodes; i++) {
		weft_device_up(s->node[i].dev, s->now);
		sim_node_settle(&s->node[i]);
	}
	for_each_link(sim_add_peer);
	sim_run(s, MAX_DELAY + S); /* what is on its way still comes, from old addresses too */
	for_each_link(sim_set_endpoint);
	for_each_link(busy);
	mended_at = s->now;
	sim_run(s, RECOVERY + 4 * S);
	for_each_link(heard);
	memory();
}

static void one_phase(void)
{
	uint64_t end = s->now + 10 * S + sim_below(s, 600 * S);

	while (s->now < end) {
		sim_run(s, sim_below(s, 30 * S));
		one_fault();
	}
	mend();
	if (verbose)
		printf("# %llu s: %llu faults, %llu delivered\n", (unsigned long long)(s->now / S),
		       (unsigned long long)faults, (unsigned long long)s->delivered);
	if (sim_chance(s, 300))
		for_each_link(quiet);
	else
		for_each_link(sparse);
	sim_run(s, sim_below(s, 3600 * S));
}

static void build(int nodes)
{
	for (int i = 0; i < nodes; i++) {
		struct sim_node *n = sim_node_add(s);

		/* the first is a hub that everybody can reach */
		if (i > 0 && sim_chance(s, 300))
			sim_nat_on(n, (20 + sim_below(s, 160)) * S);
	}
	for (int i = 0; i < nodes; i++)
		for (int j = i + 1; j < nodes; j++)
			if ((i == 0 || nodes <= 5 || sim_chance(s, 100)) &&
			    !(s->node[i].nat.on && s->node[j].nat.on)) {
				sim_link(&s->node[i], &s->node[j]);
				sim_set_psk(&s->node[i], &s->node[j], sim_chance(s, 300));
			}
}

static void run(uint64_t seed, uint64_t hours, int nodes)
{
	uint64_t offered = 0, sessions = 0, datagrams = 0, end;

	s = sim_new(seed);
	if (!nodes)
		nodes = 2 + (int)sim_below(s, 6);
	printf("# --seed %llu --hours %llu --nodes %d\n", (unsigned long long)seed,
	       (unsigned long long)hours, nodes);
	fflush(stdout);
	build(nodes);
	end = s->now + hours * 3600 * S;
	while (s->now < end)
		one_phase();
	for (int i = 0; i < s->nodes; i++) {
		datagrams += s->node[i].datagrams;
		for (int j = 0; j < s->nodes; j++) {
			offered += s->node[i].pair[j].offered;
			sessions += s->node[i].pair[j].sessions;
		}
	}
	printf("# %llu faults, %llu recoveries checked, %llu datagrams, %llu of %llu packets "
	       "delivered, %llu sessions\n# trace %016llx\n",
	       (unsigned long long)faults, (unsigned long long)checks,
	       (unsigned long long)datagrams, (unsigned long long)s->delivered,
	       (unsigned long long)offered, (unsigned long long)sessions / 2,
	       (unsigned long long)s->trace);
	sim_free(s);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"seed", required_argument, NULL, 's'},
						{"hours", required_argument, NULL, 'h'},
						{"nodes", required_argument, NULL, 'n'},
						{"verbose", no_argument, NULL, 'v'},
						{NULL, 0, NULL, 0}};
	uint64_t seed = 1, hours = 24;
	int nodes = 0, c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 's')
			seed = strtoull(optarg, NULL, 0);
		else if (c == 'h')
			hours = strtoull(optarg, NULL, 0);
		else if (c == 'n')
			nodes = atoi(optarg);
		else if (c == 'v')
			verbose = true;
		else
			return 2;
	}
	if (nodes < 0 || nodes == 1 || nodes > SIM_MAX_NODES || weft_crypto_init())
		return 2;
	printf("1..1\n");
	run(seed, hours, nodes);
	printf("ok 1 - soak\n");
	return 0;
}
