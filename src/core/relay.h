/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hub's fast path: may an inner packet that came from one peer go straight to another, and as
 * what? It stands for one router hop: RFC 1812 (5.2, 5.3.1, 4.3), RFC 8200 and RFC 4443 say what
 * that does. Whatever needs more than forwarding (options, fragmenting, the host's own addresses)
 * is left to the host. Pure: routes and policy are asked through hooks.
 */
#ifndef WEFT_CORE_RELAY_H
#define WEFT_CORE_RELAY_H

#include "core/icmp.h"
#include "core/worker.h"

/* Of ICMP errors to peers whose keys fall into one bucket, in one second. */
#define WEFT_RELAY_ICMP_BUCKETS    64
#define WEFT_RELAY_ICMP_PER_SECOND 32

enum weft_relay_verdict {
	WEFT_RELAY_HOST,    /* the host's: to the TUN, as it is */
	WEFT_RELAY_FORWARD, /* to another peer, its hop limit lowered */
	WEFT_RELAY_ANSWER,  /* dropped and counted; an ICMP error goes back to its sender */
	WEFT_RELAY_DROP,    /* dropped and counted */
};

struct weft_relay_hooks {
	void *ctx;
	/*
	 * How many bytes long may a packet from `src` to `dst` be that came out of the tunnel, if
	 * the host would do nothing but forward it back into the tunnel? 0: the host has other
	 * plans. NULL: nothing is relayed.
	 */
	uint32_t (*route)(void *ctx, const struct weft_ip *src, const struct weft_ip *dst);
	/* Our address in the tunnel that `to` would know us by; false if there is none. */
	bool (*source)(void *ctx, const struct weft_ip *to, struct weft_ip *ret_ip);
	/*
	 * Policy: false drops the packet (and counts it). NULL: whatever is routed may pass. Asked
	 * for every packet; `inner` is whole and has not been changed.
	 */
	bool (*allowed)(void *ctx, const struct weft_peer *from, const struct weft_peer *to,
			const uint8_t *inner, size_t len);
};

/* One for each thread that delivers. */
struct weft_relay {
	struct weft_worker *w;
	struct weft_relay_hooks hooks;
	/* the flow that was looked at last in this batch */
	bool known;
	struct weft_peer *from;
	struct weft_ip src, dst;
	struct weft_tx to;
	uint32_t max_len; /* 0: left to the host */
	bool session;
	/* ICMP errors */
	uint64_t second;
	uint8_t answers[WEFT_RELAY_ICMP_BUCKETS]; /* in this second */
	uint8_t icmp[WEFT_ICMP_MAX_LEN];
};

/* What is to be sent, for WEFT_RELAY_FORWARD and _ANSWER. */
struct weft_relayed {
	const struct weft_tx *to; /* valid until the batch ends or the next packet */
	const uint8_t *pkt;       /* inner packet, borrowed: in the buffer given, or in the relay */
	size_t len;
	bool session; /* false: to weft_tx_stage */
};

/* `w` is borrowed, and `hooks` copied. */
void weft_relay_init(struct weft_relay *r, struct weft_worker *w,
		     const struct weft_relay_hooks *hooks);

/*
 * Decides about one inner packet that weft_rx_packet accepted from `from`, inside the batch.
 * `inner` is `len` bytes, writable, of the length that its header says.
 */
enum weft_relay_verdict weft_relay_packet(struct weft_relay *r, struct weft_peer *from,
					  uint8_t *inner, size_t len,
					  struct weft_relayed *ret_relayed);

/* The batch ends: forgets peers and keypairs. Before the worker leaves. */
void weft_relay_end(struct weft_relay *r);

#endif
