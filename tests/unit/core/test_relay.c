/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hub's fast path: which packets go across, with what changed; which are answered, with what;
 * which are the host's or nobody's. Node 0 is the hub, 1 and 2 are spokes with sessions, 3 has
 * none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/relay.h"
#include "core/inner.h"
#include "world.h"

static struct world w;
static struct weft_relay relay;
static struct weft_relayed out;
static uint8_t pkt[2048];

/* what the hooks answer, and what they were asked */
static uint32_t route_len;
static unsigned routes_asked;
static bool has_source, policy;
static unsigned policy_asked;
static size_t policy_len;
static uint8_t policy_ttl;
static const struct weft_peer *policy_from, *policy_to;

static uint32_t route(void *ctx, const struct weft_ip *src, const struct weft_ip *dst)
{
	assert_ptr_equal(ctx, &w);
	assert_int_equal(src->family, dst->family);
	routes_asked++;
	return route_len;
}

static bool source(void *ctx, const struct weft_ip *to, struct weft_ip *ret_ip)
{
	assert_ptr_equal(ctx, &w);
	if (!has_source)
		return false;
	*ret_ip = (struct weft_ip){.b = {10, 0, 0, 99}, .family = WEFT_IPV4};
	if (to->family == WEFT_IPV6)
		*ret_ip = (struct weft_ip){.b = {0xfd, 0, 0, 9}, .family = WEFT_IPV6};
	return true;
}

static bool allowed(void *ctx, const struct weft_peer *from, const struct weft_peer *to,
		    const uint8_t *inner, size_t len)
{
	assert_ptr_equal(ctx, &w);
	policy_asked++;
	policy_from = from;
	policy_to = to;
	policy_len = len;
	policy_ttl = inner[inner[0] >> 4 == 4 ? 8 : 7];
	return policy;
}

static int setup(void **state)
{
	struct weft_relay_hooks hooks = {.ctx = &w, .route = route, .source = source};

	(void)state;
	world_init(&w, 4);
	for (unsigned i = 1; i <= 3; i++)
		world_connect(&w.node[0], &w.node[i]);
	for (unsigned i = 1; i <= 2; i++)
		world_send(&w.node[i], &w.node[0], 0);
	world_settle(&w);
	route_len = UINT32_MAX;
	routes_asked = policy_asked = 0;
	has_source = true;
	weft_relay_init(&relay, w.node[0].worker, &hooks);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_fini(&w);
	return 0;
}

static uint16_t folded(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void fix_sum(void)
{
	uint16_t sum;

	pkt[10] = pkt[11] = 0;
	sum = (uint16_t)~folded(pkt, 20);
	pkt[10] = (uint8_t)(sum >> 8);
	pkt[11] = (uint8_t)sum;
}

/* Spokes are 10.0.0.<node + 1> and fd00::<node + 1>. */
static void make_v4(unsigned to, size_t len, uint8_t ttl)
{
	for (size_t i = 0; i < sizeof(pkt); i++)
		pkt[i] = (uint8_t)(i * 7);
	memcpy(pkt, ((uint8_t[20]){0x45,
				   1,
				   (uint8_t)(len >> 8),
				   (uint8_t)len,
				   0,
				   1,
				   0x40,
				   0,
				   ttl,
				   17,
				   0,
				   0,
				   10,
				   0,
				   0,
				   2,
				   10,
				   0,
				   0,
				   (uint8_t)(to + 1)}),
	       20);
	fix_sum();
}

static void make_v6(unsigned to, size_t len, uint8_t hops)
{
	for (size_t i = 0; i < sizeof(pkt); i++)
		pkt[i] = (uint8_t)(i * 5);
	memset(pkt, 0, 40);
	pkt[0] = 0x60;
	pkt[4] = (uint8_t)((len - 40) >> 8);
	pkt[5] = (uint8_t)(len - 40);
	pkt[6] = 17;
	pkt[7] = hops;
	pkt[8] = pkt[24] = 0xfd;
	pkt[23] = 2;
	pkt[39] = (uint8_t)(to + 1);
}

/* From spoke 1, in a batch of its own. */
static enum weft_relay_verdict take(size_t len)
{
	enum weft_relay_verdict v;

	weft_worker_enter(w.node[0].worker, w.now_ns);
	v = weft_relay_packet(&relay, world_find(&w.node[0], &w.node[1]), pkt, len, &out);
	weft_relay_end(&relay);
	weft_worker_leave(w.node[0].worker);
	return v;
}

static uint64_t relayed(void)
{
	struct weft_device_stats stats;

	weft_device_stats(w.node[0].dev, &stats);
	return stats.relayed_pkts;
}

static void forwards(void **state)
{
	uint8_t before[100];

	(void)state;
	for (unsigned ttl = 2; ttl < 256; ttl++) {
		make_v4(2, 100, (uint8_t)ttl);
		memcpy(before, pkt, sizeof(before));
		assert_int_equal(take(100), WEFT_RELAY_FORWARD);
		assert_int_equal(pkt[8], ttl - 1);
		assert_int_equal(folded(pkt, 20), 0xffff);
		before[8] = pkt[8];
		memcpy(before + 10, pkt + 10, 2);
		assert_memory_equal(pkt, before, sizeof(before));
	}
	assert_ptr_equal(out.pkt, pkt);
	assert_int_equal(out.len, 100);
	assert_true(out.session);
	assert_ptr_equal(out.to->peer, world_find(&w.node[0], &w.node[2]));
	make_v6(2, 100, 2);
	memcpy(before, pkt, sizeof(before));
	assert_int_equal(take(100), WEFT_RELAY_FORWARD);
	before[7]--;
	assert_memory_equal(pkt, before, sizeof(before));
	assert_int_equal(relayed(), 255);
}

/* The checksum's corners: every value that a header can add up to. */
static void checksums(void **state)
{
	(void)state;
	for (unsigned id = 0; id < 0x10000; id += 3) {
		make_v4(2, 100, 64);
		pkt[4] = (uint8_t)(id >> 8);
		pkt[5] = (uint8_t)id;
		fix_sum();
		assert_int_equal(take(100), WEFT_RELAY_FORWARD);
		assert_int_equal(folded(pkt, 20), 0xffff);
	}
}

static void waits_for_session(void **state)
{
	(void)state;
	make_v4(3, 100, 64);
	assert_int_equal(take(100), WEFT_RELAY_FORWARD);
	assert_false(out.session);
	assert_ptr_equal(out.to->peer, world_find(&w.node[0], &w.node[3]));
}

static void assert_host(size_t len)
{
	uint8_t before[sizeof(pkt)];

	memcpy(before, pkt, sizeof(pkt));
	assert_int_equal(take(len), WEFT_RELAY_HOST);
	assert_memory_equal(pkt, before, sizeof(pkt));
	assert_int_equal(relayed(), 0);
}

static void leaves_to_host(void **state)
{
	static const uint8_t hosts[][4] = {{0, 1, 2, 3},   {127, 0, 0, 1},       {169, 254, 9, 9},
					   {224, 0, 0, 1}, {255, 255, 255, 255}, {240, 0, 0, 1},
					   {10, 0, 9, 9}}; /* the last is no peer's */
	static const struct weft_prefix all[] = {{.ip = {.family = WEFT_IPV4}},
						 {.ip = {.family = WEFT_IPV6}}};
	static const uint8_t hosts6[][2] = {{0xff, 2}, {0xfe, 0x80}, {0xfe, 0xbf}, {0, 0}};
	struct weft_prefix none = {.ip = {.b = {10, 0, 9}, .family = WEFT_IPV4}, .len = 24};

	(void)state;
	for (unsigned i = 0; i < 2; i++) /* the others would be forwarded but for what they are */
		assert_int_equal(
			weft_peer_allow(w.node[0].dev, world_find(&w.node[0], &w.node[2]), &all[i]),
			0);
	for (unsigned i = 0; i < sizeof(hosts) / sizeof(hosts[0]) - 1; i++)
		for (unsigned at = 12; at <= 16; at += 4) {
			make_v4(2, 100, 64);
			memcpy(pkt + at, hosts[i], 4);
			fix_sum();
			assert_host(100);
		}
	for (unsigned i = 0; i < sizeof(hosts6) / sizeof(hosts6[0]); i++)
		for (unsigned at = 8; at <= 24; at += 16) {
			make_v6(2, 100, 64);
			memset(pkt + at, 0, 15);
			memcpy(pkt + at, hosts6[i], 2);
			assert_host(100);
		}
	make_v4(2, 100, 64); /* options */
	pkt[0] = 0x46;
	fix_sum();
	assert_host(100);
	make_v4(2, 100, 64); /* a wrong checksum */
	pkt[10] ^= 1;
	assert_host(100);
	make_v6(2, 100, 64); /* hop by hop */
	pkt[6] = 0;
	assert_host(100);
	make_v4(1, 100, 64); /* where it came from */
	assert_host(100);
	make_v4(2, 100, 64); /* not cut to its length */
	assert_host(101);
	pkt[0] = 0x55;
	assert_host(100);
	assert_host(0);
	weft_peer_disallow(w.node[0].dev, world_find(&w.node[0], &w.node[2]), &all[0]);
	make_v4(2, 100, 64);
	memcpy(pkt + 16, none.ip.b, 4);
	fix_sum();
	assert_host(100);
	assert_int_equal(routes_asked, 0);
}

static void routes_decide(void **state)
{
	(void)state;
	route_len = 0;
	make_v4(2, 100, 1); /* not even an answer comes from us */
	assert_host(100);
	assert_int_equal(routes_asked, 1);
	relay.hooks.route = NULL;
	assert_host(100);
	relay.hooks.route = route;
	weft_device_down(w.node[0].dev, w.now_ns);
	assert_host(100);
}

static void no_endpoint(void **state)
{
	static const struct weft_endpoint none = {.port = 0};

	(void)state;
	weft_peer_set_endpoint(w.node[0].dev, world_find(&w.node[0], &w.node[2]), &none, w.now_ns);
	make_v4(2, 100, 64);
	assert_host(100);
}

/* One question a flow and batch; another flow, or another sender, is looked at anew. */
static void remembers_a_flow(void **state)
{
	struct weft_peer *one = world_find(&w.node[0], &w.node[1]);
	struct weft_peer *three = world_find(&w.node[0], &w.node[3]);

	(void)state;
	weft_worker_enter(w.node[0].worker, w.now_ns);
	for (unsigned i = 0; i < 5; i++) {
		make_v4(2, 100, 64);
		assert_int_equal(weft_relay_packet(&relay, one, pkt, 100, &out),
				 WEFT_RELAY_FORWARD);
	}
	assert_int_equal(routes_asked, 1);
	make_v4(3, 100, 64);
	assert_int_equal(weft_relay_packet(&relay, one, pkt, 100, &out), WEFT_RELAY_FORWARD);
	assert_ptr_equal(out.to->peer, three);
	make_v6(2, 100, 64);
	assert_int_equal(weft_relay_packet(&relay, one, pkt, 100, &out), WEFT_RELAY_FORWARD);
	assert_int_equal(routes_asked, 3);
	assert_int_equal(weft_relay_packet(&relay, three, pkt, 100, &out), WEFT_RELAY_FORWARD);
	assert_int_equal(routes_asked, 4);
	/* an answer uses the same place: what follows is looked up anew */
	make_v4(2, 100, 1);
	assert_int_equal(weft_relay_packet(&relay, one, pkt, 100, &out), WEFT_RELAY_ANSWER);
	assert_ptr_equal(out.to->peer, one);
	make_v4(2, 100, 64);
	assert_int_equal(weft_relay_packet(&relay, one, pkt, 100, &out), WEFT_RELAY_FORWARD);
	assert_ptr_equal(out.to->peer, world_find(&w.node[0], &w.node[2]));
	weft_relay_end(&relay);
	weft_worker_leave(w.node[0].worker);
}

static void policy_drops(void **state)
{
	(void)state;
	relay.hooks.allowed = allowed;
	policy = false;
	make_v4(2, 100, 64);
	assert_int_equal(take(100), WEFT_RELAY_DROP);
	assert_int_equal(policy_asked, 1);
	assert_int_equal(policy_len, 100);
	assert_int_equal(policy_ttl, 64);
	assert_ptr_equal(policy_from, world_find(&w.node[0], &w.node[1]));
	assert_ptr_equal(policy_to, world_find(&w.node[0], &w.node[2]));
	assert_int_equal(world_drops(&w.node[0], WEFT_DROP_RELAY_POLICY), 1);
	assert_int_equal(relayed(), 0);
	/* nothing is told to whom it does not let pass */
	make_v4(2, 100, 1);
	assert_int_equal(take(100), WEFT_RELAY_DROP);
	policy = true;
	make_v4(2, 100, 64);
	assert_int_equal(take(100), WEFT_RELAY_FORWARD);
	assert_int_equal(policy_asked, 3);
}

static void last_hop(void **state)
{
	struct weft_inner in;

	(void)state;
	for (uint8_t ttl = 0; ttl <= 1; ttl++) {
		make_v4(2, 100, ttl);
		assert_int_equal(take(100), WEFT_RELAY_ANSWER);
		assert_ptr_equal(out.to->peer, world_find(&w.node[0], &w.node[1]));
		assert_true(out.session);
		assert_int_equal(weft_inner_parse(out.pkt, out.len, &in), 0);
		assert_memory_equal(in.src.b, ((uint8_t[4]){10, 0, 0, 99}), 4);
		assert_memory_equal(in.dst.b, pkt + 12, 4);
		assert_memory_equal(out.pkt + 20, ((uint8_t[2]){11, 0}), 2);
		assert_memory_equal(out.pkt + 28, pkt, 100);
		assert_int_equal(folded(out.pkt, 20), 0xffff);
		assert_int_equal(folded(out.pkt + 20, out.len - 20), 0xffff);
	}
	make_v6(2, 100, 1);
	assert_int_equal(take(100), WEFT_RELAY_ANSWER);
	assert_memory_equal(out.pkt + 40, ((uint8_t[2]){3, 0}), 2);
	assert_memory_equal(out.pkt + 8, ((uint8_t[4]){0xfd, 0, 0, 9}), 4);
	assert_int_equal(world_drops(&w.node[0], WEFT_DROP_RELAY_TTL), 3);
	/* without an address of our own: from where it was going */
	has_source = false;
	make_v4(2, 100, 1);
	assert_int_equal(take(100), WEFT_RELAY_ANSWER);
	assert_memory_equal(out.pkt + 12, pkt + 16, 4);
	/* no error about an error */
	make_v4(2, 100, 1);
	pkt[9] = 1;
	pkt[20] = 3;
	fix_sum();
	assert_int_equal(take(100), WEFT_RELAY_DROP);
	assert_int_equal(relayed(), 0);
}

static void mtu(void **state)
{
	(void)state;
	make_v4(2, WORLD_MTU, 64);
	assert_int_equal(take(WORLD_MTU), WEFT_RELAY_FORWARD);
	make_v4(2, WORLD_MTU + 1, 64);
	assert_int_equal(take(WORLD_MTU + 1), WEFT_RELAY_ANSWER);
	assert_memory_equal(out.pkt + 20, ((uint8_t[2]){3, 4}), 2);
	assert_int_equal(out.pkt[26] << 8 | out.pkt[27], WORLD_MTU);
	assert_int_equal(pkt[8], 64);
	make_v4(2, WORLD_MTU + 1, 64); /* may be cut: the host does that */
	pkt[6] = 0;
	fix_sum();
	assert_int_equal(take(WORLD_MTU + 1), WEFT_RELAY_HOST);
	make_v6(2, WORLD_MTU + 1, 64);
	assert_int_equal(take(WORLD_MTU + 1), WEFT_RELAY_ANSWER);
	assert_memory_equal(out.pkt + 40, ((uint8_t[2]){2, 0}), 2);
	assert_int_equal(out.pkt[46] << 8 | out.pkt[47], WORLD_MTU);
	/* a route may be narrower; IPv6 knows nothing below 1280 */
	route_len = 600;
	make_v4(2, 601, 64);
	assert_int_equal(take(601), WEFT_RELAY_ANSWER);
	assert_int_equal(out.pkt[26] << 8 | out.pkt[27], 600);
	make_v6(2, 601, 64);
	assert_int_equal(take(601), WEFT_RELAY_ANSWER);
	assert_int_equal(out.pkt[46] << 8 | out.pkt[47], 1280);
	assert_int_equal(world_drops(&w.node[0], WEFT_DROP_RELAY_MTU), 4);
	assert_int_equal(relayed(), 1);
}

static void answers_are_few(void **state)
{
	unsigned answered = 0;

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		make_v4(2, 100, 1);
		answered += take(100) == WEFT_RELAY_ANSWER;
	}
	assert_int_equal(answered, WEFT_RELAY_ICMP_PER_SECOND);
	assert_int_equal(world_drops(&w.node[0], WEFT_DROP_RELAY_TTL), 100);
	w.now_ns += WEFT_NS_PER_S;
	make_v4(2, 100, 1);
	assert_int_equal(take(100), WEFT_RELAY_ANSWER);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(forwards),      T(checksums),   T(waits_for_session), T(leaves_to_host),
		T(routes_decide), T(no_endpoint), T(remembers_a_flow),  T(policy_drops),
		T(last_hop),      T(mtu),         T(answers_are_few),
	};

	if (weft_crypto_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
