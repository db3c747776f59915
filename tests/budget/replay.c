/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fixed replay of packets through core and offload code, for counting instructions under
 * callgrind (budget.py). Each kind of work is dumped by itself; its name and its number of packets
 * go to the standard output. The same work each time: no clock, no random source, one library.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <valgrind/callgrind.h>

#include "../unit/core/world.h"
#include "../unit/linux/packets.h"
#include "core/worker.h"
#include "linux/offload.h"

#define MSS    1380
#define BULK   45 /* segments of a super-packet */
#define SMALL  64
#define ROOM   1536
#define ROUNDS 20

static struct world world;
static struct node *from = &world.node[0], *to = &world.node[1];
static struct weft_coalesce coalesce;
static unsigned emitted; /* packets that came out at the far end */
static uint8_t super[65536], small[SMALL][128];
static size_t super_len, small_len;
static struct virtio_net_hdr super_hdr;
/* A train: where datagrams are sealed and opened. */
static uint8_t train[SMALL][ROOM];
static struct weft_tx_item out[SMALL];
static struct weft_rx_item in[SMALL];

#if defined(__clang__)
#define COMPILER       "clang"
#define COMPILER_MAJOR __clang_major__
#else
#define COMPILER       "gcc"
#define COMPILER_MAJOR __GNUC__
#endif
#if defined(__x86_64__)
#define MACHINE "x86-64"
#elif defined(__aarch64__)
#define MACHINE "aarch64"
#else
#define MACHINE "other"
#endif

static void must(int cond, const char *what)
{
	if (!cond) {
		fprintf(stderr, "replay: %s\n", what);
		exit(1);
	}
}

static void emit(void *ctx, struct weft_coalesced *c)
{
	(void)ctx;
	emitted += c->n_pkts;
}

static void prepare(void)
{
	const struct weft_prefix far = {.ip = {.b = {10, 0, 0, 200}, .family = WEFT_IPV4},
					.len = 32};
	struct packet_spec spec = {.family = 4,
				   .proto = IPPROTO_TCP,
				   .host = 1,
				   .ttl = 64,
				   .tcp_flags = 0x10,
				   .sport = 5001,
				   .dport = 40000,
				   .window = 500,
				   .df = true,
				   .payload = (size_t)BULK * MSS};

	world_init(&world, 2);
	world_connect(from, to);
	must(weft_peer_allow(from->dev, world_find(from, to), &far) == 0, "allowed IPs");
	(void)world_send(from, to, 0);
	world_settle(&world);
	must(world_send(to, from, 0) == 0, "a session");
	world_settle(&world);
	super_len = build_packet(&spec, super);
	super_hdr = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					    .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
					    .hdr_len = 40,
					    .gso_size = MSS,
					    .csum_start = 20,
					    .csum_offset = 16};
	spec.proto = IPPROTO_UDP;
	spec.payload = 64;
	for (unsigned i = 0; i < SMALL; i++) {
		spec.stream_off += 64;
		small_len = build_packet(&spec, small[i]);
	}
	weft_coalesce_init(&coalesce, true, true, emit, NULL);
}

/* Outwards: one super-packet, cut and sealed. */
static unsigned bulk_out(void)
{
	struct weft_split split;
	struct weft_tx tx;
	unsigned n = 0;
	size_t bytes = 0, len;

	weft_worker_enter(from->worker, world.now_ns);
	must(weft_split_init(&split, &super_hdr, super, super_len) == BULK, "split");
	must(weft_tx_begin(from->worker, super, super_len, BULK, &tx) == 0, "begin");
	while ((len = weft_split_next(&split, train[n] + WEFT_DATA_HEADER_LEN)) > 0) {
		out[n] = (struct weft_tx_item){.buf = train[n], .inner_len = len};
		n++;
	}
	must(weft_tx_seal_many(from->worker, &tx, out, n) == n, "seal");
	for (unsigned i = 0; i < n; i++)
		bytes += out[i].len;
	weft_tx_done(from->worker, &tx, n, bytes, true);
	weft_worker_leave(from->worker);
	return n;
}

/* Outwards: small packets, each looked up by itself, sealed together. */
static unsigned small_out(void)
{
	struct weft_tx tx;
	size_t bytes = 0;

	weft_worker_enter(from->worker, world.now_ns);
	for (unsigned i = 0; i < SMALL; i++) {
		must(weft_tx_begin(from->worker, small[i], small_len, 1, &tx) == 0, "begin");
		memcpy(train[i] + WEFT_DATA_HEADER_LEN, small[i], small_len);
		out[i] = (struct weft_tx_item){.buf = train[i], .inner_len = small_len};
	}
	must(weft_tx_seal_many(from->worker, &tx, out, SMALL) == SMALL, "seal");
	for (unsigned i = 0; i < SMALL; i++)
		bytes += out[i].len;
	weft_tx_done(from->worker, &tx, SMALL, bytes, true);
	weft_worker_leave(from->worker);
	return SMALL;
}

/* Outwards: one packet, alone in its batch. */
static unsigned single_out(void)
{
	struct weft_tx tx;

	weft_worker_enter(from->worker, world.now_ns);
	must(weft_tx_begin(from->worker, small[0], small_len, 1, &tx) == 0, "begin");
	memcpy(train[0] + WEFT_DATA_HEADER_LEN, small[0], small_len);
	must(weft_tx_seal(from->worker, &tx, train[0], small_len, &out[0].len, &out[0].tos) == 0,
	     "seal");
	weft_tx_done(from->worker, &tx, 1, out[0].len, true);
	weft_worker_leave(from->worker);
	return 1;
}

/* Inwards: `n` datagrams of the train, opened together, accepted and coalesced. */
static unsigned take(unsigned n)
{
	struct weft_rx got;

	emitted = 0;
	for (unsigned i = 0; i < n; i++)
		in[i] = (struct weft_rx_item){
			.pkt = train[i], .len = out[i].len, .from = &from->addr};
	weft_worker_enter(to->worker, world.now_ns);
	must(weft_rx_open_many(to->worker, in, n) == n, "open");
	for (unsigned i = 0; i < n; i++) {
		must(weft_rx_accept(to->worker, &in[i], &got) == 0 && got.inner, "accept");
		weft_coalesce_add(&coalesce, train[i] + WEFT_DATA_HEADER_LEN, got.inner_len);
	}
	weft_coalesce_flush(&coalesce);
	weft_worker_leave(to->worker);
	must(emitted == n, "coalesce");
	return n;
}

struct kind {
	const char *name;
	unsigned (*send)(void);
	bool receive; /* what is counted: the receiving of it, or the sending */
};

static const struct kind kinds[] = {
	{"tcp-bulk-out", bulk_out, false},   {"tcp-bulk-in", bulk_out, true},
	{"udp-small-out", small_out, false}, {"udp-small-in", small_out, true},
	{"single-out", single_out, false},   {"single-in", single_out, true},
};

static void replay(const struct kind *k)
{
	unsigned packets = 0, n;

	CALLGRIND_ZERO_STATS;
	for (unsigned round = 0; round < ROUNDS; round++) {
		if (k->receive) {
			CALLGRIND_TOGGLE_COLLECT;
			n = k->send();
			CALLGRIND_TOGGLE_COLLECT;
			n = take(n);
		} else {
			n = k->send();
			CALLGRIND_TOGGLE_COLLECT;
			(void)take(n);
			CALLGRIND_TOGGLE_COLLECT;
		}
		packets += n;
	}
	CALLGRIND_DUMP_STATS_AT(k->name);
	printf("%s %u\n", k->name, packets);
}

int main(void)
{
	/* one library, whatever the processor has: its code is not counted, the way to it is */
	must(weft_crypto_init_with(WEFT_AEAD_OPENSSL) == 0, "crypto");
	must(RUNNING_ON_VALGRIND != 0, "not under callgrind: nothing is counted");
	printf("compiler: %s %d %s\n", COMPILER, COMPILER_MAJOR, MACHINE);
	prepare();
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		/* once before, so that what is set up at the first packet does not count */
		(void)take(kinds[i].send());
		replay(&kinds[i]);
	}
	world_fini(&world);
	return 0;
}
