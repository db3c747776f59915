/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data path through the core: what the threads that move packets call, beside the owner.
 * One `struct weft_worker` per thread. No lock is taken where there is a session.
 *
 * Shape of a batch:
 *     weft_worker_enter(w, now);
 *     ... weft_tx_* / weft_rx_* ...
 *     weft_worker_leave(w);
 * Peers and keypairs that a call returned are valid until the worker leaves.
 */
#ifndef WEFT_CORE_WORKER_H
#define WEFT_CORE_WORKER_H

#include "core/device.h"

#define WEFT_DATA_HEADER_LEN 16 /* type, receiver index, counter */
#define WEFT_DATA_OVERHEAD   32 /* header and tag */
#define WEFT_PADDING         16
#define WEFT_BATCH_MAX       64 /* packets that are sealed or opened at once; more are cut up */

struct weft_keypair;
struct weft_worker;

/* Owner, before the thread starts. 0, -ENOMEM, WEFT_E_LIMIT (max_workers), WEFT_E_CRYPTO. */
WEFT_MUST_CHECK int weft_worker_new(struct weft_device *dev, struct weft_worker **ret_w);
/* Owner, after the thread has ended. Takes NULL. Its counters are kept in the device's sums. */
void weft_worker_free(struct weft_worker *w);

void weft_worker_enter(struct weft_worker *w, uint64_t now_ns);
void weft_worker_leave(struct weft_worker *w);
/* Before sleeping: forgets the keys that the library contexts still hold. Outside a batch. */
void weft_worker_idle(struct weft_worker *w);
void weft_worker_count_drop(struct weft_worker *w, enum weft_drop reason, uint64_t n);
/* An inner packet of `len` bytes goes from one peer to another past the host. */
void weft_worker_count_relayed(struct weft_worker *w, size_t len);

/* ---- out: inner packet -> datagram ---- */

struct weft_tx {
	struct weft_peer *peer;
	struct weft_keypair *keypair;
	struct weft_endpoint endpoint;
};

/*
 * Finds peer (longest prefix of the destination), endpoint and session for an inner packet. One
 * call serves all packets of a batch with the same destination.
 * Returns 0; WEFT_E_DOWN, WEFT_E_DROP (malformed), WEFT_E_NO_PEER, WEFT_E_NO_ENDPOINT: the packet
 * is dropped and counted, `n_pkts` times (for the last two the caller answers with ICMP,
 * core/icmp.h); WEFT_E_NO_SESSION: hand each packet to weft_tx_stage. `ret_tx->peer` is set in
 * the case of WEFT_E_NO_SESSION too.
 */
WEFT_MUST_CHECK int weft_tx_begin(struct weft_worker *w, const uint8_t *inner, size_t len,
				  unsigned n_pkts, struct weft_tx *ret_tx);

/*
 * The same for a peer that is known already, and without counting: 0, WEFT_E_DOWN,
 * WEFT_E_NO_ENDPOINT or WEFT_E_NO_SESSION.
 */
WEFT_MUST_CHECK int weft_tx_begin_peer(struct weft_worker *w, struct weft_peer *peer,
				       struct weft_tx *ret_tx);

/*
 * The longest inner packet that this peer's path carries, in bytes; UINT32_MAX: any. Whoever has a
 * longer one asks weft_pmtu_too_long (core/pmtu.h) what is to be done about it.
 */
uint32_t weft_tx_limit(const struct weft_tx *tx);

/* Length of the datagram for an inner packet: padded to 16, but not past the MTU, plus 32. */
size_t weft_tx_datagram_len(const struct weft_worker *w, size_t inner_len);

/* The outer DS field of an inner packet: its ECN mark (RFC 6040), no DSCP. */
uint8_t weft_tx_tos(const uint8_t *inner, size_t inner_len);

struct weft_tx_item {
	uint8_t *buf;     /* 16 free bytes, then the inner packet; weft_tx_datagram_len() long */
	size_t inner_len; /* bytes */
	/*
	 * In: what weft_tx_datagram_len said when the place was chosen (the MTU may have changed
	 * since), or 0 for now. Out: bytes of the datagram at `buf`, when `result` is 0.
	 */
	size_t len;
	/* out */
	uint8_t tos; /* inner ECN (RFC 6040; no DSCP) */
	int result;  /* 0, WEFT_E_NO_SESSION (counter ran out: stage it), WEFT_E_DROP (counted) */
};

/*
 * Seals `n` packets of one session in place, in the array's order, which the counters follow.
 * Returns how many have result 0; when that is `n`, nobody need look at the results.
 */
unsigned weft_tx_seal_many(struct weft_worker *w, struct weft_tx *tx, struct weft_tx_item *items,
			   unsigned n);

/* The same for one packet: returns its result, and writes the rest when that is 0. */
WEFT_MUST_CHECK int weft_tx_seal(struct weft_worker *w, struct weft_tx *tx, uint8_t *buf,
				 size_t inner_len, size_t *ret_len, uint8_t *ret_tos);

/*
 * After a batch went to the socket: timers and statistics. `bytes` is of datagrams; keepalives
 * (inner_len 0) do not count as data.
 */
void weft_tx_done(struct weft_worker *w, const struct weft_tx *tx, unsigned pkts, size_t bytes,
		  bool any_data);

/*
 * Copies an inner packet to the peer's queue of those that wait (at most 128, oldest dropped; one
 * budget for the device) and asks the owner for a handshake. Drops are counted.
 */
void weft_tx_stage(struct weft_worker *w, struct weft_peer *peer, const uint8_t *inner, size_t len);

/* ---- in: datagram -> inner packet ---- */

struct weft_rx {
	struct weft_peer *peer;
	const uint8_t *inner; /* inside `pkt`; NULL for a keepalive, or an answer to a probe */
	size_t inner_len;     /* trimmed to the inner header's length */
};

/*
 * Receiving has two steps, so that many threads can open what one thread then accepts in the order
 * in which it came. An item may be opened in one batch and accepted in another, by another worker.
 */
struct weft_rx_item {
	uint8_t *pkt; /* the datagram, opened in place; at least 0 bytes, any alignment */
	size_t len;
	const struct weft_endpoint *from; /* borrowed until it is accepted */
	uint8_t tos;                      /* the outer DS field */
	/* out */
	int result; /* 0: accept it; 1: a handshake, queued for the owner; WEFT_E_DROP (counted) */
	/* Whose key opened it: for accept alone, which looks for that session again. */
	const struct weft_keypair *keypair; /* not followed: it may be gone */
	uint64_t born_ns;
	uint64_t counter;
	uint32_t index;
};

/*
 * First step, any worker: handshake messages and cookie replies are checked for form and mac1 and
 * queued for the owner; transport data is authenticated and opened. The replay window is looked at
 * and not changed, nothing of the peer is written. Packets of one session that follow each other
 * are opened together. Returns how many have result 0.
 */
unsigned weft_rx_open_many(struct weft_worker *w, struct weft_rx_item *items, unsigned n);

/*
 * Second step, for items with result 0, each once and in the order of arrival: session looked up
 * again (WEFT_DROP_RX_NO_INDEX when it is gone, or its index another's), replay window committed,
 * endpoint noted, inner source checked, ECN merged from `tos`, timers told.
 * Returns 0 with `ret_rx` filled, or WEFT_E_DROP (counted). Any worker; callers see to the order.
 */
WEFT_MUST_CHECK int weft_rx_accept(struct weft_worker *w, const struct weft_rx_item *item,
				   struct weft_rx *ret_rx);

/* Both steps for one datagram: returns 0 with `ret_rx` filled, 1 or WEFT_E_DROP, as above. */
WEFT_MUST_CHECK int weft_rx_packet(struct weft_worker *w, const struct weft_endpoint *from,
				   uint8_t tos, uint8_t *pkt, size_t len, struct weft_rx *ret_rx);

#endif
