/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small world for tests of whole devices: nodes with one device and one worker each, datagrams
 * in a queue between them, a virtual clock. Nothing sleeps, nothing reads a real clock. Every
 * datagram can be looked at, dropped or kept by the test.
 */
#ifndef WEFT_TESTS_UNIT_CORE_WORLD_H
#define WEFT_TESTS_UNIT_CORE_WORLD_H

#include <stdbool.h>

#include "core/device.h"
#include "core/worker.h"
#include "crypto/crypto.h"
#include "unit_mem.h"
#include "unit_random.h"

#define WORLD_NODES  4
#define WORLD_WIRE   4096
#define WORLD_MTU    1420
#define WORLD_EVENTS (WEFT_EVENT_UNDER_LOAD_END + 1)

struct datagram {
	struct weft_endpoint from, to;
	uint8_t tos;
	size_t len;
	uint8_t pkt[2048];
};

struct world;

struct node {
	struct world *world;
	unsigned number;
	struct unit_mem mem;
	struct weft_secret secret;
	uint8_t public_key[WEFT_KEY_LEN];
	struct weft_crypto *crypto;
	struct weft_device *dev;
	struct weft_worker *worker;
	struct weft_endpoint addr; /* where it can be reached */
	bool cut;                  /* datagrams to and from it are lost */
	bool refuse_endpoints;
	bool stale_source;                 /* nothing can leave from where it should */
	int send_error;                    /* 0: none */
	unsigned send_calls, most_at_once; /* of several datagrams together */
	unsigned wakes;
	unsigned events[WORLD_EVENTS];
	unsigned received; /* inner packets delivered */
	unsigned keepalives;
	uint8_t last[2048]; /* the last one of them */
	size_t last_len;
	unsigned sent[5]; /* datagrams by type */
	uint8_t last_tos[5];
	uint64_t sent_ns[5]; /* when last */
};

struct world {
	uint64_t now_ns;
	uint64_t wall_sec; /* at now_ns = 0 */
	uint64_t seed;
	struct node node[WORLD_NODES];
	unsigned nodes;
	struct datagram *wire;
	unsigned wire_len;
	bool hold; /* settle() does not deliver */
};

void world_init(struct world *w, unsigned nodes);
void world_fini(struct world *w);

/* Makes `b` a peer of `a`, allowed 10.0.0.<b>/32 and fd00::<b>/128, with or without endpoint. */
struct weft_peer *world_peer(struct node *a, struct node *b, bool endpoint);
/* The same in both directions, both up. */
void world_connect(struct node *a, struct node *b);
struct weft_peer *world_find(struct node *a, struct node *b);

/* Sends an inner packet of `a` to `b`; returns what weft_tx_begin said. */
int world_send(struct node *a, struct node *b, uint8_t tos);
int world_send6(struct node *a, struct node *b);

/* Feeds one datagram to a node's worker; returns what weft_rx_packet said. */
int world_feed(struct node *n, const struct datagram *d);
/* Delivers and runs until nothing moves. Time stands still. */
void world_settle(struct world *w);
/* Lets time pass, every timer at its time. */
void world_advance(struct world *w, uint64_t ns);

uint64_t world_drops(struct node *n, enum weft_drop reason);
struct weft_peer_info world_info(struct node *a, struct node *b);

#endif
