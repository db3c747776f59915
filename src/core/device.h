/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WireGuard without a machine under it: a device, its peers, its sessions. No system call, no
 * clock, no random source, no allocation but through the callbacks. Time comes in with each call.
 *
 * Threads: "owner" functions are called by one thread at a time, the one that owns the device.
 * Workers (worker.h) run beside it and see peers, keypairs and allowed IPs without a lock; what
 * the owner takes out of their sight is freed once every worker has left the batch it was in.
 *
 * Follows the WireGuard paper (sections 5 and 6) and, where that is silent, the Linux kernel.
 */
#ifndef WEFT_CORE_DEVICE_H
#define WEFT_CORE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/drop.h"
#include "util/error.h"
#include "util/inet.h"
#include "util/secret.h"

#define WEFT_NS_PER_MS 1000000ULL
#define WEFT_NS_PER_S  1000000000ULL
#define WEFT_NEVER     UINT64_MAX

#define WEFT_MAX_PEERS     (1u << 20)
#define WEFT_MAX_STAGED    128  /* packets per peer that wait for a handshake */
#define WEFT_TOS_HANDSHAKE 0x88 /* AF41, no ECN: as the kernel marks handshakes */

struct weft_device;
struct weft_peer;

enum weft_event_type {
	WEFT_EVENT_PEER_UP,      /* a session was derived (first handshake, or after silence) */
	WEFT_EVENT_PEER_REKEYED, /* a session replaced a live one */
	WEFT_EVENT_PEER_SILENT,  /* handshake given up after 90 s, or session expired unanswered */
	WEFT_EVENT_ENDPOINT_MOVED,   /* an authenticated packet came from elsewhere */
	WEFT_EVENT_KEYS_ZEROED,      /* 540 s without a new session */
	WEFT_EVENT_UNDER_LOAD_BEGIN, /* no peer */
	WEFT_EVENT_UNDER_LOAD_END,   /* no peer */
};

/* What is known of the way to a peer (weft_device_probe_paths). The numbers are seen outside. */
enum weft_path_state {
	WEFT_PATH_UNKNOWN = 0,
	WEFT_PATH_SEARCHING = 1,
	WEFT_PATH_MEASURED = 2,
	WEFT_PATH_BLACK_HOLE = 3, /* measured; what is longer is lost, and no ICMP says so */
	WEFT_PATH_UNANSWERED = 4, /* the peer answers no probe: the route's MTU is believed */
};

/* One of several datagrams that are sent together. */
struct weft_datagram {
	const struct weft_endpoint *to;
	const uint8_t *pkt;
	size_t len;
	uint8_t tos;
	int result; /* out: what weft_callbacks.send returns */
};

struct weft_event {
	enum weft_event_type type;
	struct weft_peer *peer; /* borrowed for the call; NULL for device events */
	struct weft_endpoint endpoint;
};

/*
 * What the core needs of its surroundings. `random`, `alloc`, `free`, `wake`, `endpoint_allowed`
 * and `source_allowed` may be called by any thread; the others by the owner only, from inside an
 * owner function. No callback may call an owner function in turn, weft_peer_info excepted.
 */
struct weft_callbacks {
	void *ctx;
	/* Zeroed memory fit for keys (locked, undumpable), or NULL. Aligned to 64 bytes. */
	void *(*alloc)(void *ctx, size_t size);
	/* Wipes and frees. `size` as given to alloc. `p` is never NULL. */
	void (*free)(void *ctx, void *p, size_t size);
	/* Fills `out`. Cannot fail: a program without randomness must end itself. */
	void (*random)(void *ctx, void *out, size_t len);
	/* Wall time since 1970, for TAI64N timestamps and "latest handshake". */
	void (*wall_time)(void *ctx, uint64_t *ret_sec, uint32_t *ret_nsec);
	/* X25519 of the static private key with `point`; 0 or WEFT_E_WEAK_KEY. */
	int (*static_dh)(void *ctx, struct weft_secret *ret_shared,
			 const uint8_t point[WEFT_KEY_LEN]);
	/*
	 * Send one datagram. `tos` is the outer DS field. Returns 0; 1 if it went, but not from
	 * to->local, which is no address of ours any more (the core forgets it); or a negative
	 * code that the core counts as WEFT_DROP_TX_SOCKET (WEFT_E_DROP: already counted).
	 */
	int (*send)(void *ctx, const struct weft_endpoint *to, uint8_t tos, const uint8_t *pkt,
		    size_t len);
	/* The same for `n` datagrams in one go, to save the machine calls. May be NULL. */
	void (*send_many)(void *ctx, struct weft_datagram *datagrams, unsigned n);
	void (*event)(void *ctx, const struct weft_event *event);
	/* A worker left something for the owner: make it call weft_device_run soon. */
	void (*wake)(void *ctx);
	/*
	 * True if `peer` may be reached at `endpoint`: false when it is routed into our own tunnel
	 * and would come back to the same peer. Asked before the endpoint moves there, and before
	 * each datagram of the owner's; whoever sends sealed packets asks likewise. The peer is
	 * borrowed for the call. May be NULL.
	 */
	bool (*endpoint_allowed)(void *ctx, struct weft_peer *peer,
				 const struct weft_endpoint *endpoint);
	/*
	 * True if what goes to `from` may leave from from->local, where a packet has just come in.
	 * Asked before an endpoint changes; if not, the routing table chooses. May be NULL.
	 */
	bool (*source_allowed)(void *ctx, const struct weft_endpoint *from);
	/*
	 * `send` for a datagram that nobody may fragment, here or on the way: -EMSGSIZE if it is
	 * longer than the host's own MTU for it. NULL: `send`.
	 */
	int (*send_whole)(void *ctx, const struct weft_endpoint *to, uint8_t tos,
			  const uint8_t *pkt, size_t len);
	/*
	 * The MTU of the route to `to`, and in `ret_learned` what ICMP taught the host beside it
	 * (0: nothing). 0 or negative. NULL: paths are not probed.
	 */
	int (*path_mtu)(void *ctx, const struct weft_endpoint *to, uint32_t *ret_mtu,
			uint32_t *ret_learned);
	/* The address that the host sends from to `to` inside the tunnel. 0 or negative. */
	int (*tunnel_source)(void *ctx, const struct weft_ip *to, struct weft_ip *ret_ip);
};

struct weft_device_params {
	unsigned max_workers;        /* 1 to 64 */
	size_t handshake_queue_pkts; /* power of two, 16 to 65536; the kernel has 4096 */
	size_t stage_bytes;          /* budget for packets that wait, for the whole device */
	size_t ratelimit_entries;    /* power of two; the bounded table of source addresses */
};

/* Bytes that weft_device_new takes for packets that wait: staged ones and handshakes. */
size_t weft_device_packet_bytes(const struct weft_device_params *params);

/*
 * Makes a device: down, no key, no peers. `cb` is copied. weft_crypto_init must have succeeded.
 * Returns 0, -ENOMEM, -EINVAL (a parameter out of range) or WEFT_E_CRYPTO. Owner.
 */
WEFT_MUST_CHECK int weft_device_new(const struct weft_device_params *params,
				    const struct weft_callbacks *cb, struct weft_device **ret_dev);

/* Frees everything, wiped. Every worker must have ended. Takes NULL. Owner. */
void weft_device_free(struct weft_device *dev);

/*
 * Up: peers with persistent keepalive send one; what waits is retried. Down: nothing is sent,
 * sessions are cleared (as in the kernel), staged packets dropped. Idempotent. Owner.
 */
void weft_device_up(struct weft_device *dev, uint64_t now_ns);
void weft_device_down(struct weft_device *dev, uint64_t now_ns);
bool weft_device_is_up(const struct weft_device *dev); /* any thread */

/*
 * The static public key that `static_dh` answers for, or NULL for none (then no handshake takes
 * place). Sessions and handshakes under way end, precomputed secrets are dropped, and a peer with
 * this very key is removed. Setting the same key again does nothing. Owner.
 */
void weft_device_set_static(struct weft_device *dev, const uint8_t *public_key, uint64_t now_ns);

/* The MTU of the tunnel, for padding. Any thread. */
void weft_device_set_mtu(struct weft_device *dev, uint32_t mtu);

/*
 * Paths are probed (off at first): how long a packet each peer's path carries is measured while
 * there are sessions and traffic, and whatever is longer is refused by weft_tx_limit. Off: what is
 * known is forgotten. Owner.
 */
void weft_device_probe_paths(struct weft_device *dev, bool on, uint64_t now_ns);
bool weft_device_probes_paths(const struct weft_device *dev);
/* Routes or an interface's MTU changed: each path whose route's MTU did is measured anew. Owner. */
void weft_device_routes_changed(struct weft_device *dev, uint64_t now_ns);

/*
 * Does all work that is due: messages that workers left, handshakes that wait (at most
 * `max_handshakes` of them), timers, freeing. Returns true if handshakes still wait (call again
 * soon, after looking at other work). Owner.
 */
bool weft_device_run(struct weft_device *dev, uint64_t now_ns, unsigned max_handshakes);

/* How many messages wait for the owner: a snapshot. Any thread. */
size_t weft_device_handshakes_waiting(const struct weft_device *dev);

/* When weft_device_run must be called at the latest, or WEFT_NEVER. Owner. */
uint64_t weft_device_next_ns(const struct weft_device *dev);

/* ---- peers; all owner ---- */

/*
 * Makes sure that this many more peers and allowed IPs can be added without failing.
 * Returns 0, -ENOMEM or WEFT_E_LIMIT. What is not used is kept for later.
 */
WEFT_MUST_CHECK int weft_device_reserve(struct weft_device *dev, size_t peers, size_t allowed_ips);

struct weft_peer *weft_peer_find(struct weft_device *dev, const uint8_t public_key[WEFT_KEY_LEN]);

/*
 * The peer that packets to `ip` inside the tunnel go to (longest allowed prefix), or NULL. Any
 * thread, workers inside a batch.
 */
struct weft_peer *weft_peer_by_allowed_ip(struct weft_device *dev, const struct weft_ip *ip);

/*
 * Adds a peer. Returns 0; -EEXIST; -EADDRNOTAVAIL if the key is our own (ignore it, as the kernel
 * does); WEFT_E_LIMIT; -ENOMEM.
 */
WEFT_MUST_CHECK int weft_peer_add(struct weft_device *dev, const uint8_t public_key[WEFT_KEY_LEN],
				  struct weft_peer **ret_peer);

/* Removes it from sight at once, wipes its keys, frees it when no worker can hold it. */
void weft_peer_remove(struct weft_device *dev, struct weft_peer *peer);

/* All zeros: none. Counts from the next handshake; the session goes on. */
void weft_peer_set_psk(struct weft_device *dev, struct weft_peer *peer,
		       const struct weft_secret *psk);

/* Clears the sticky source. Family WEFT_NONE clears the endpoint. */
void weft_peer_set_endpoint(struct weft_device *dev, struct weft_peer *peer,
			    const struct weft_endpoint *endpoint, uint64_t now_ns);

/* Seconds, 0 = off. From 0 to more, on an interface that is up: one keepalive at once. */
void weft_peer_set_keepalive(struct weft_device *dev, struct weft_peer *peer, uint16_t seconds,
			     uint64_t now_ns);

/* Adds a prefix (host bits are cleared); takes it from the peer that had it. 0 or -ENOMEM. */
WEFT_MUST_CHECK int weft_peer_allow(struct weft_device *dev, struct weft_peer *peer,
				    const struct weft_prefix *prefix);
/* Removes the prefix if this peer has exactly it. */
void weft_peer_disallow(struct weft_device *dev, struct weft_peer *peer,
			const struct weft_prefix *prefix);
void weft_peer_clear_allowed(struct weft_device *dev, struct weft_peer *peer);

/*
 * Forgets a peer's sticky source, so that the next packet lets the routing table choose (kernel:
 * per route; a client that roams depends on it). Any thread, in a batch.
 */
void weft_peer_clear_source(struct weft_peer *peer);

/* ---- reading; owner ---- */

struct weft_peer_info {
	uint8_t public_key[WEFT_KEY_LEN];
	struct weft_secret psk; /* the caller wipes */
	struct weft_endpoint endpoint;
	uint64_t endpoint_since_ns;  /* when the endpoint last changed, to a second; 0: never set */
	uint64_t last_handshake_sec; /* wall time; 0: never */
	uint32_t last_handshake_nsec;
	uint64_t last_received_ns; /* last authenticated packet, monotonic; 0: never */
	uint64_t up_since_ns; /* since when one session has followed another, to a second; 0: there
				 is none */
	uint64_t tx_bytes, rx_bytes; /* datagram bytes, handshakes included, as the kernel */
	uint16_t keepalive_s;
	uint64_t handshakes_initiated;  /* initiations sent */
	uint64_t handshakes_answered;   /* responses sent */
	uint64_t handshakes_completed;  /* sessions derived and confirmed, either role */
	uint64_t handshakes_failed;     /* given up after 90 s */
	uint32_t handshakes_unanswered; /* initiations since anything authentic came */
	uint64_t cookies_received;
	uint64_t endpoint_changes; /* roaming, not configuration */
	enum weft_path_state path_state;
	uint32_t path_mtu; /* the longest inner packet that the path carries; 0: not measured */
	uint32_t path_route_mtu; /* of the route to the endpoint, when it was measured; 0: never */
	uint64_t path_since_ns;  /* when it was; 0: never */
	uint64_t path_probes;    /* sent so far */
};

/* Peers in the order in which they were added. NULL begins; NULL ends. */
struct weft_peer *weft_peer_next(struct weft_device *dev, const struct weft_peer *after);
void weft_peer_info(const struct weft_device *dev, const struct weft_peer *peer,
		    struct weft_peer_info *ret_info);
/* Where it is now. Any thread, workers inside a batch. */
void weft_peer_endpoint(const struct weft_peer *peer, struct weft_endpoint *ret_endpoint);
const uint8_t *weft_peer_public_key(const struct weft_peer *peer); /* borrowed, 32 bytes */

/* Calls `fn` for each allowed IP of the peer (v4 first, ascending). */
void weft_peer_each_allowed(const struct weft_device *dev, const struct weft_peer *peer,
			    void (*fn)(void *arg, const struct weft_prefix *prefix), void *arg);
/* Allowed IPs of the peer that also moved away from another are counted once. */
size_t weft_peer_allowed_count(const struct weft_peer *peer);

struct weft_device_stats {
	uint64_t drops[WEFT_DROP_COUNT];      /* all workers and the owner summed */
	uint64_t relayed_pkts, relayed_bytes; /* inner packets from peer to peer, core/relay.h */
	uint64_t cookies_sent;
	uint64_t under_load_ns; /* total time under load */
	size_t staged_bytes, staged_pkts;
	size_t peers;
	size_t handshakes_queued;
};
void weft_device_stats(const struct weft_device *dev, struct weft_device_stats *ret_stats);

#endif
