/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the core: what a device and its peers are made of, and which thread may touch what. The
 * rest of the program sees device.h and worker.h.
 */
#ifndef WEFT_CORE_PEER_H
#define WEFT_CORE_PEER_H

#include <stdatomic.h>

#include "core/allowedips.h"
#include "core/cookie.h"
#include "core/device.h"
#include "core/endpoint.h"
#include "core/epoch.h"
#include "core/keypair.h"
#include "core/mem.h"
#include "core/noise.h"
#include "core/pmtu.h"
#include "core/ratelimit.h"
#include "core/stage.h"
#include "core/suspect.h"
#include "core/table.h"
#include "core/wheel.h"
#include "core/worker.h"
#include "util/ring.h"

enum weft_timer_kind {
	WEFT_TIMER_RETRANSMIT,
	WEFT_TIMER_KEEPALIVE,
	WEFT_TIMER_NEW_HANDSHAKE,
	WEFT_TIMER_ZERO_KEYS,
	WEFT_TIMER_PERSISTENT,
	WEFT_TIMER_COUNT,
	WEFT_TIMER_PATH = WEFT_TIMER_COUNT /* lies in struct weft_path */
};

/* What a worker wants of the owner: bits of weft_peer.asks. */
enum weft_ask {
	WEFT_ASK_STAGED = 1,         /* packets wait */
	WEFT_ASK_HANDSHAKE = 2,      /* the session wants renewal */
	WEFT_ASK_CONFIRMED = 4,      /* a packet came under the next keypair */
	WEFT_ASK_ENDPOINT = 8,       /* a worker has moved the endpoint */
	WEFT_ASK_KEEPALIVE = 16,     /* arm the timer */
	WEFT_ASK_NEW_HANDSHAKE = 32, /* arm the timer */
	WEFT_ASK_PATH = 64           /* a probe of the path was answered */
};

/*
 * What a peer has while it has a handshake or a session. A million idle ones do without. Owner: no
 * worker looks at it.
 */
struct weft_active {
	struct weft_handshake_run run;
	struct weft_cookie_peer cookie;
};

#define WEFT_PATH_COOKIES 4

/* What is known of a peer's path, once there was a session while paths are probed. */
struct weft_path {
	/* Workers read, the owner writes. */
	_Atomic uint32_t limit; /* the longest inner packet that goes out whole; UINT32_MAX: any */
	/*
	 * Of the last long probes; their short ones have the lowest bit set. Kept when the search
	 * is over: no answer, however late, shall come out of the tunnel.
	 */
	_Atomic uint32_t cookies[WEFT_PATH_COOKIES];
	/* Workers write: the cookies of answers. */
	_Atomic uint32_t long_seen, short_seen;
	/* Owner. */
	uint32_t cookie; /* of the long probe under way; 0: none */
	uint32_t path;   /* as measured; 0: not yet */
	uint32_t route;  /* MTU of the outer route at the last search */
	uint32_t probes;
	uint8_t state;     /* enum weft_path_state */
	uint8_t target;    /* which of the allowed IPs is asked */
	uint8_t silent;    /* rounds without any answer */
	bool begun;        /* else the timer begins the search */
	bool short_came;   /* in this round */
	bool refused;      /* by the host, at some size */
	bool suspect;      /* data stayed unanswered: look again with the next session */
	uint8_t n_cookies; /* where the next one goes */
	struct weft_peer *peer;
	struct weft_timer timer;
	struct weft_pmtu_search search;
	struct weft_ip to, from; /* of the probes */
	uint64_t begun_ns;       /* when the last search began; 0: there was none */
	uint64_t since_ns;       /* when it ended */
	uint64_t bytes;          /* sent and received by then */
};

/* After a change of routes all peers are looked at, some at a time: there may be a million. */
struct weft_path_walk {
	struct weft_peer *next; /* NULL: none is under way */
	bool wanted;            /* another one */
	uint64_t begun_ns, turn_ns;
};

struct weft_peer {
	struct weft_device *dev; /* constant */

	/* Workers read, the owner writes. */
	struct weft_sessions sessions;
	struct weft_shared_endpoint endpoint;
	struct weft_allowed_set allowed;
	_Atomic(struct weft_path *) path; /* NULL: none; stays until the peer goes */

	/* Any thread. Times are 0 for "not". */
	_Atomic uint64_t data_sent_ns;     /* first data sent since anything was received */
	_Atomic uint64_t data_received_ns; /* first data received since anything was sent */
	_Atomic uint64_t traversal_ns;     /* last authenticated packet, either way */
	_Atomic uint64_t received_ns;      /* last authenticated packet received */
	_Atomic uint64_t handshake_sent_ns;
	_Atomic uint64_t tx_bytes, rx_bytes;
	_Atomic uint32_t handshake_tries;
	atomic_bool keepalive_armed, new_handshake_armed;
	atomic_bool another_keepalive; /* more data came while the keepalive timer ran */
	atomic_bool lastminute_asked;  /* once per session: rekey on receive */
	_Atomic uint32_t asks;         /* enum weft_ask; not 0: on (or going to) the list */
	_Atomic(struct weft_peer *) asks_next;
	struct weft_stage_queue staged; /* guarded by the stage's flag */

	/* Owner. */
	struct weft_handshake handshake;
	struct weft_active *active;              /* NULL: idle */
	struct weft_index_entry handshake_entry; /* read by workers too */
	uint32_t handshake_index;
	bool has_handshake_index;
	bool up; /* told so by an event */
	/* The last initiation went out by its turn: a cookie may bring the next one forward. */
	bool may_hurry;
	bool hurry;
	bool removed;
	uint16_t keepalive_s;
	uint16_t unanswered; /* initiations since anything authentic came, as of the last one */
	struct weft_timer timer[WEFT_TIMER_COUNT];
	struct weft_peer *prev, *succ; /* in the order in which they were added */
	struct weft_retired retired;
	uint64_t sent_timestamp_sec; /* TAI64N must grow, whatever the wall clock does */
	uint32_t sent_timestamp_nsec;
	uint32_t last_handshake_nsec;
	uint64_t last_handshake_sec;
	uint32_t endpoint_since_s, up_since_s; /* weft_since; of `up` */
	uint32_t initiated, answered, completed, failed, cookies, endpoint_changes;
};

/* A moment in whole seconds of the monotonic clock, for a peer has no room for more; never 0. */
static inline uint32_t weft_since(uint64_t now_ns)
{
	uint32_t s = (uint32_t)(now_ns / WEFT_NS_PER_S);

	return s ? s : 1;
}

/* Handshake messages and cookie replies on their way from workers to the owner. */
struct weft_queued {
	struct weft_endpoint from;
	uint16_t len;
	uint8_t pkt[WEFT_MSG_MAX_HANDSHAKE];
};

/*
 * What the owner sends while it works through its queue goes out together: each datagram alone is
 * a system call, and a wake-up at the other end. No more than this waits, a millisecond or so.
 */
#define WEFT_OUTBOX_PKTS 8

struct weft_outbox {
	struct {
		struct weft_peer *peer; /* NULL: a cookie reply */
		struct weft_endpoint to;
		uint8_t tos;
		uint16_t len;
		uint8_t pkt[WEFT_MSG_MAX_HANDSHAKE];
	} item[WEFT_OUTBOX_PKTS];
	unsigned n;
	bool open; /* else everything is sent at once */
};

struct weft_worker {
	struct weft_device *dev;
	struct weft_crypto *crypto;
	uint64_t now_ns;
	unsigned slot;
	/* The last receiver index that was looked up in this batch, and what it led to. */
	const struct weft_index_entry *rx_entry; /* NULL: none */
	uint32_t rx_index;
	/* Received bytes not yet added to the peer; the endpoint last seen to be the peer's own. */
	struct weft_peer *rx_peer;
	uint64_t rx_bytes;
	uint32_t rx_seq;
	bool rx_seq_known;
	struct weft_endpoint rx_from;
	/* Written by this worker, read by the owner. */
	_Atomic uint64_t drops[WEFT_DROP_COUNT];
	_Atomic uint64_t relayed_pkts, relayed_bytes;
};

struct weft_device {
	struct weft_device *self;         /* for reading what has a lock */
	struct weft_callbacks cb;         /* constant */
	struct weft_device_params params; /* constant */
	struct weft_mem mem;
	struct weft_rng rng;

	/* Any thread. */
	atomic_bool up;
	_Atomic uint32_t mtu;
	atomic_bool woken; /* the owner has been called and has not come yet */
	_Atomic(struct weft_peer *) asks;
	_Atomic uint64_t drops[WEFT_DROP_COUNT];
	_Atomic uint64_t relayed_pkts, relayed_bytes; /* of workers that ended */
	struct weft_stage stage;
	struct weft_ring queue; /* struct weft_queued */
	struct weft_epoch epoch;
	struct weft_allowedips allowed;
	struct weft_table indices; /* receiver index -> struct weft_index_entry */
	struct weft_cookie_checker checker;

	/* Owner. */
	struct weft_keypair_env env;
	struct weft_table peers; /* public key -> peer */
	struct weft_crypto *crypto;
	struct weft_noise noise;
	struct weft_ratelimit ratelimit;
	struct weft_suspects suspects;
	struct weft_wheel wheel;
	struct weft_peer *first, *last;
	struct weft_peer *spare; /* reserved, linked by succ */
	size_t peer_count, spare_count;
	struct weft_worker *workers[WEFT_EPOCH_MAX_WORKERS];
	void *queue_mem;
	size_t queue_mem_size;
	uint8_t *scratch; /* one datagram */
	struct weft_outbox outbox;
	uint64_t now_ns; /* of the last owner call */
	uint64_t load_last_ns, load_since_ns, load_total_ns;
	/* The last timestamp sent to a peer that was removed: it may come back. */
	uint64_t removed_timestamp_sec;
	uint32_t removed_timestamp_nsec;
	uint64_t cookies_sent;
	bool under_load;
	bool probes_paths;
	struct weft_path_walk walk;
};

#define WEFT_SCRATCH_LEN (65535 + 64)

/* 0 means "never" in the fields above. */
static inline uint64_t weft_now(uint64_t now_ns)
{
	return now_ns ? now_ns : 1;
}

static inline uint64_t weft_load64(const _Atomic uint64_t *p)
{
	return atomic_load_explicit(p, memory_order_relaxed);
}

/* Something authentic has come since the last handshake message was sent. Owner. */
static inline bool weft_peer_is_answered(const struct weft_peer *peer)
{
	return weft_load64(&peer->received_ns) >= weft_load64(&peer->handshake_sent_ns);
}

/* Stores only what changes, so that the cache line stays shared. */
static inline void weft_store64(_Atomic uint64_t *p, uint64_t v)
{
	if (atomic_load_explicit(p, memory_order_relaxed) != v)
		atomic_store_explicit(p, v, memory_order_relaxed);
}

static inline void weft_drop(struct weft_device *dev, enum weft_drop reason, uint64_t n)
{
	atomic_fetch_add_explicit(&dev->drops[reason], n, memory_order_relaxed);
}

/* Asks the owner for something. Any worker in a batch. */
void weft_peer_ask(struct weft_peer *peer, uint32_t what);
/* Calls the owner unless it has been called already. Any thread. */
void weft_device_wake(struct weft_device *dev);

/* ---- owner: peer.c ---- */

void weft_peer_event(struct weft_peer *peer, enum weft_event_type type);
/* Handshake under way: its index goes out of the table, its secrets are wiped. */
void weft_peer_clear_handshake(struct weft_peer *peer);
/* Memory for a handshake, if the peer has none. 0, -ENOMEM or WEFT_E_CRYPTO. */
WEFT_MUST_CHECK int weft_peer_activate(struct weft_peer *peer);
/* Gives it back if neither a handshake nor a session needs it. */
void weft_peer_rest(struct weft_peer *peer);
/* An authenticated packet came from `from`. */
void weft_peer_heard_from(struct weft_peer *peer, const struct weft_endpoint *from,
			  uint64_t now_ns);
/* Takes `from` in place of `known`, without the local side if nothing may leave from there. Any
 * thread, in a batch; the remote side has been allowed. */
void weft_peer_adopt_endpoint(struct weft_peer *peer, const struct weft_endpoint *known,
			      const struct weft_endpoint *from);
/* The endpoint was moved: what is to be counted and told. */
void weft_peer_moved(struct weft_peer *peer, uint64_t now_ns);
/* Down, or removal: nothing is pending any more. */
void weft_peer_stop(struct weft_peer *peer, enum weft_drop staged_reason);
struct weft_peer *weft_peer_of_set(struct weft_allowed_set *set); /* NULL: NULL; any thread */
/* Frees a peer that has been removed, or every one when the device ends. */
void weft_peer_destroy(struct weft_peer *peer);

/* ---- owner: send.c ---- */

/*
 * Sends a datagram to the peer's endpoint and counts it, now or with the outbox. 0, or WEFT_E_DROP
 * (counted).
 */
int weft_send_datagram(struct weft_peer *peer, uint8_t tos, const uint8_t *pkt, size_t len);
/* Opens the outbox, if the surroundings can send many; sends what is in it; the same and closes it.
 */
void weft_outbox_open(struct weft_device *dev);
void weft_outbox_flush(struct weft_device *dev);
void weft_outbox_close(struct weft_device *dev);
/* Initiation, unless one was sent within 5 s. Retries do not start the 90 s anew. */
void weft_send_initiation(struct weft_peer *peer, bool retry, uint64_t now_ns);
void weft_send_response(struct weft_peer *peer, uint64_t now_ns);
void weft_send_cookie(struct weft_device *dev, const struct weft_queued *q, uint32_t receiver,
		      uint64_t now_ns);
/* What waits, or an empty packet if nothing waits; or a handshake if there is no session. */
void weft_send_keepalive(struct weft_peer *peer, uint64_t now_ns);
/* What waits, if anything does; or a handshake if there is no session. */
void weft_send_staged(struct weft_peer *peer, uint64_t now_ns);

/* ---- owner: path.c ---- */

/* A session came to be. Takes memory, if it is the first one and paths are probed. */
void weft_path_session(struct weft_peer *peer, uint64_t now_ns);
/* A worker saw answers (WEFT_ASK_PATH). */
void weft_path_answered(struct weft_peer *peer, uint64_t now_ns);
/* The endpoint is another: nothing is known of the new path. */
void weft_path_moved(struct weft_peer *peer, uint64_t now_ns);
/* Data went out and nothing came back: with the next session, the path is measured anew. */
void weft_path_suspect(struct weft_peer *peer);
/* Ends a search under way; `forget`: and what is known. */
void weft_path_stop(struct weft_peer *peer, bool forget);
void weft_path_free(struct weft_peer *peer);
/* WEFT_TIMER_PATH */
void weft_path_expired(struct weft_timer *t, uint64_t now_ns);
/* The walk over all peers goes on, if it is time; when it will be, WEFT_NEVER: there is none. */
void weft_paths_run(struct weft_device *dev, uint64_t now_ns);
uint64_t weft_paths_next_ns(const struct weft_device *dev);
/* Before `peer` leaves the list of peers. */
void weft_paths_peer_goes(struct weft_device *dev, const struct weft_peer *peer);

/* Any worker in a batch: is the inner packet an answer to a probe? Then it goes no further. */
bool weft_path_takes(struct weft_path *p, const uint8_t *inner, const struct weft_inner *in);

/* ---- owner: receive.c ---- */

/* One message out of the queue. */
void weft_receive_handshake(struct weft_device *dev, const struct weft_queued *q, uint64_t now_ns);
/* Looks at the queue's length, and how long ago it was long. */
bool weft_update_load(struct weft_device *dev, uint64_t now_ns);
/* A keypair came to be (initiator) or was confirmed (responder). */
void weft_session_confirmed(struct weft_peer *peer, bool renewed, uint64_t now_ns);

/* ---- owner: timers.c ---- */

void weft_timers_run(struct weft_device *dev, uint64_t now_ns);
void weft_timers_stop(struct weft_peer *peer);
void weft_timers_any_sent(struct weft_peer *peer);
void weft_timers_any_received(struct weft_peer *peer, uint64_t now_ns);
void weft_timers_any_traversal(struct weft_peer *peer, uint64_t now_ns);
void weft_timers_data_sent(struct weft_peer *peer, uint64_t now_ns);
void weft_timers_handshake_initiated(struct weft_peer *peer, uint64_t now_ns);
void weft_timers_handshake_complete(struct weft_peer *peer);
/* The initiation that waits for an answer got a cookie instead. */
void weft_timers_cookie_received(struct weft_peer *peer, uint64_t now_ns);
void weft_timers_session_derived(struct weft_peer *peer, uint64_t now_ns);
/* A worker set the time but found the timer unarmed. */
void weft_timers_arm_keepalive(struct weft_peer *peer, uint64_t now_ns);
void weft_timers_arm_new_handshake(struct weft_peer *peer, uint64_t now_ns);
/* The interval, or whether the interface is up, changed. */
void weft_timers_persistent_changed(struct weft_peer *peer, uint64_t now_ns);

#endif
