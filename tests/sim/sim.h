/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A deterministic simulation: whole devices on a virtual clock, joined by a network that loses,
 * delays, reorders, repeats and corrupts, with NATs that forget. One seed gives one run, to the
 * last byte. Invariants are checked at every datagram (spy.c) and at every delivery (node.c); a
 * breach prints the seed and the virtual time, and ends the program.
 */
#ifndef WEFT_TESTS_SIM_H
#define WEFT_TESTS_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/device.h"
#include "core/worker.h"
#include "crypto/crypto.h"

#define SIM_MAX_NODES 24
#define SIM_PORT      51820
#define SIM_NAT_FLOWS 32
#define SIM_KEPT      64 /* datagrams that may be replayed */
#define SIM_MTU       1420

#define MS UINT64_C(1000000)
#define S  UINT64_C(1000000000)
/* A timer may be late by one tick of the wheel; the jitter of retries is at most this. */
#define SIM_TICK   (2 * MS)
#define SIM_JITTER (334 * MS)

/*
 * How long after a fault has cleared two peers that both have something to send may stay apart:
 * one side notices silence after 15 s (Keepalive-Timeout + Rekey-Timeout, with jitter) and starts
 * a handshake, and if that just failed, the next try comes 5 s later (with jitter). The last second
 * is for the packets' way.
 */
#define SIM_RECOVERY (15 * S + 5 * S + 2 * SIM_JITTER + 1 * S)

struct sim;
struct sim_node;

/* Of every thousand datagrams, so many are... */
struct sim_net {
	unsigned loss, dup, corrupt, replay;
	uint64_t delay_ns;
	uint64_t jitter_ns; /* more than the packets' distance: they overtake each other */
};

struct sim_nat {
	bool on;
	struct weft_ip public_ip;
	uint16_t public_port; /* 0: no mapping */
	uint16_t last_port;
	uint64_t timeout_ns;
	uint64_t used_ns;
	struct {
		struct weft_ip ip;
		uint16_t port;
		uint64_t used_ns;
	} flow[SIM_NAT_FLOWS];
};

/* What one node has to do with another. */
struct sim_pair {
	bool wanted;         /* they are to be peers */
	bool endpoint_known; /* configured */
	uint16_t keepalive_s;
	uint32_t carries; /* bytes of an outer packet with DF that arrives there; 0: any */
	bool told;        /* by ICMP, of that */
	struct weft_secret psk;
	uint64_t gap_ns;      /* mean distance of data packets; 0: none */
	uint32_t traffic_run; /* so that an old generator stops */
	uint64_t offered, delivered, delivered_ns;
	/* the spy's */
	uint64_t transport_sent_ns, sent_ns, received_ns, data_received_ns;
	uint64_t sessions, keepalives, initiations, transports;
};

/* What one owner's work takes in virtual time; all zeros: none. The rest that it does is free. */
struct sim_service {
	uint64_t dh_ns;       /* each Diffie-Hellman with the static key: two per new initiator */
	uint64_t response_ns; /* everything else of an initiation that is answered */
	uint64_t cookie_ns;   /* a cookie reply, instead of all that */
};

struct sim_node {
	struct sim *sim;
	int id;
	uint32_t life; /* counts restarts */
	bool alive;
	struct weft_device *dev;
	struct weft_worker *worker;
	struct weft_secret key;
	uint8_t public_key[WEFT_KEY_LEN];
	struct weft_ip ip;
	uint16_t port;
	struct sim_nat nat;
	int64_t wall_offset_s;
	struct weft_device_params params; /* counts from the next start */
	uint32_t route_mtu;               /* of its only interface */
	bool silent;                      /* answers no echo request */
	uint64_t probes;                  /* echo requests that came to it */
	unsigned handshakes_per_ms;       /* 0: as many as come */
	struct sim_service service;       /* another way to be busy: it excludes the one above */
	uint64_t owed_ns, busy_until_ns;
	size_t mem_bytes, mem_peak, allocs;
	uint64_t run_at;
	uint64_t runs;
	bool woken;
	uint64_t datagrams, handshake_datagrams;
	uint64_t spoofed; /* authentic packets whose inner source was refused */
	uint64_t events[16];
	struct sim_pair pair[SIM_MAX_NODES];
};

struct sim_event;
struct sim_message;
struct sim_spy;

struct sim {
	uint64_t seed, random;
	uint64_t now;
	uint64_t trace; /* hash over every datagram and delivery */
	int nodes;
	struct sim_node node[SIM_MAX_NODES];
	struct sim_net net;
	bool cut[SIM_MAX_NODES][SIM_MAX_NODES];
	struct sim_event **heap;
	size_t heap_len, heap_cap;
	uint64_t heap_seq;
	struct sim_message *messages;
	size_t messages_len, messages_cap;
	uint64_t delivered;
	struct sim_spy *spy;
	/* Takes what goes to an address that is no node's; with it, peers may be no nodes. */
	void (*elsewhere)(struct sim *s, const struct weft_endpoint *to, const uint8_t *pkt,
			  size_t len);
	uint8_t *kept[SIM_KEPT];
	size_t kept_len[SIM_KEPT];
	struct weft_endpoint kept_to[SIM_KEPT];
};

/* ---- sim.c: the world ---- */

struct sim *sim_new(uint64_t seed);
void sim_free(struct sim *s); /* also checks that all memory came back */

uint64_t sim_random(struct sim *s);
uint64_t sim_below(struct sim *s, uint64_t n);
bool sim_chance(struct sim *s, unsigned per_mille);
void sim_mix(struct sim *s, const void *p, size_t len);

_Noreturn void sim_fail(const struct sim *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
#define sim_check(s, cond, ...)                   \
	do {                                      \
		if (!(cond))                      \
			sim_fail(s, __VA_ARGS__); \
	} while (0)

/* Lets virtual time go on. */
void sim_run(struct sim *s, uint64_t duration_ns);
void sim_at(struct sim *s, uint64_t delay_ns, void (*fn)(struct sim *s, void *arg), void *arg);
void sim_schedule_run(struct sim_node *n, uint64_t at);
void sim_schedule_traffic(struct sim_node *n, int to, uint64_t at);

/* From a node, through its NAT; or from anywhere (`from` NULL: `source` as it is). */
void sim_send(struct sim *s, struct sim_node *from, const struct weft_endpoint *source,
	      const struct weft_endpoint *to, uint8_t tos, const uint8_t *pkt, size_t len);

/* The address that others see now: the NAT's if there is one (a mapping may not exist). */
struct weft_endpoint sim_public(const struct sim_node *n);
void sim_nat_on(struct sim_node *n, uint64_t timeout_ns);
void sim_nat_rebind(struct sim_node *n); /* forgets; the next mapping has another port */
void sim_move(struct sim_node *n);       /* another address and port */
void sim_cut(struct sim *s, int a, int b, bool cut);
void sim_heal(struct sim *s); /* the network is perfect again */

/* ---- node.c ---- */

struct sim_node *sim_node_add(struct sim *s);
void sim_node_start(struct sim_node *n); /* a fresh daemon, configured, up */
void sim_node_stop(struct sim_node *n);  /* the daemon and its state go */
void sim_node_restart(struct sim_node *n);
void sim_node_new_key(struct sim_node *n); /* and all others are told */
void sim_node_settle(struct sim_node *n);
void sim_node_receive(struct sim_node *n, const struct weft_endpoint *from, uint8_t tos,
		      const uint8_t *pkt, size_t len);
void sim_node_tick(struct sim_node *n);
void sim_node_traffic(struct sim_node *n, int to, uint32_t run);

/* Makes them peers; each knows where the other is, unless that is behind a NAT. */
void sim_link(struct sim_node *a, struct sim_node *b);
void sim_set_psk(struct sim_node *a, struct sim_node *b, bool some);
void sim_set_keepalive(struct sim_node *a, struct sim_node *b, uint16_t seconds);
void sim_set_endpoint(struct sim_node *a, struct sim_node *b);
void sim_forget_peer(struct sim_node *a, struct sim_node *b);
void sim_add_peer(struct sim_node *a, struct sim_node *b);
struct weft_peer *sim_peer(struct sim_node *a, struct sim_node *b); /* NULL: none */

/* One packet now; or packets at random distances (mean `gap_ns`; 0 stops). */
void sim_offer(struct sim_node *a, struct sim_node *b, size_t len);
/* One whose inner source is another node's: it must not come out. */
void sim_offer_spoofed(struct sim_node *a, struct sim_node *b, struct sim_node *claimed,
		       size_t len);
void sim_traffic(struct sim_node *a, struct sim_node *b, uint64_t gap_ns);
void sim_traffic_both(struct sim_node *a, struct sim_node *b, uint64_t gap_ns);

/* Fails unless both directions deliver something offered within `duration_ns` from now. */
void sim_expect_flow(struct sim_node *a, struct sim_node *b, uint64_t duration_ns);

/* ---- spy.c ---- */

struct sim_spy *sim_spy_new(void);
void sim_spy_free(struct sim_spy *spy);
void sim_spy_sent(struct sim_node *n, const uint8_t *pkt, size_t len);
void sim_spy_arrives(struct sim_node *n, const uint8_t *pkt, size_t len); /* unaltered */
void sim_spy_accepted(struct sim_node *n, struct sim_node *from, bool data);

#endif
