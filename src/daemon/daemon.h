/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weftd from the inside: one interface, an owner, and threads that move data.
 *
 *     tx     TUN queue -> fair queue -> split -> seal -> UDP trains; one for each queue
 *     rx     UDP trains -> open -> coalesce -> TUN; the first one receives, and the others, if
 *            there are any, open what it has no time for (pipeline.h)
 *            where there are only these two, the receiver does both while load is light (share.h)
 *     owner  handshakes, timers, configuration, link events, signals
 *
 * Who touches what is said at each field. The data threads never wait for the owner: they share
 * with it the sockets (under `udp_lock`, read side, for one batch at a time) and what the core
 * promises in core/worker.h.
 */
#ifndef WEFT_DAEMON_DAEMON_H
#define WEFT_DAEMON_DAEMON_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "conf/device.h"
#include "conf/uapi.h"
#include "control/uapi_server.h"
#include "core/device.h"
#include "core/worker.h"
#include "crypto/crypto.h"
#include "daemon/options.h"
#include "daemon/share.h"
#include "daemon/threads.h"
#include "linux/link.h"
#include "linux/tun.h"
#include "linux/udp.h"
#include "util/budget.h"

#define WEFTD_MAX_TX      (WEFTD_MAX_THREADS / 2)
#define WEFTD_MAX_RX      (WEFTD_MAX_THREADS - WEFTD_MAX_TX)
#define WEFTD_MAX_WORKERS (WEFTD_MAX_THREADS + 1) /* and the delivery */
#define WEFTD_RX_SLOTS    32 /* of 64 KiB: trains received and not yet delivered, at most */
/* The kernel has 4096. All of 10,000 spokes that come with cookies, some seconds of work, fit. */
#define WEFTD_HANDSHAKE_QUEUE   16384 /* packets */
#define WEFTD_RATELIMIT_ENTRIES 8192  /* source addresses */
#define WEFTD_HANDSHAKE_SLICE   16    /* handshakes between looks at other work */
#define WEFTD_ROUTE_CACHE       16384 /* endpoints whose route is remembered: 384 KiB */
#define WEFTD_ROUTE_WAYS        4     /* places among which a route may be remembered */
#define WEFTD_RELAY_FLOWS       1024  /* pairs of addresses whose way is remembered */
#define WEFTD_RELAY_QUESTIONS   16    /* for routes, of the kernel, a batch of received trains */
#define WEFTD_TX_BATCH          64    /* packets sent between looks at the TUN */
#define WEFTD_TXQ_SMALL         2048  /* packets of up to 2 KiB that wait, per thread, at most */
#define WEFTD_TXQ_LARGE         128   /* larger ones, of up to 64 KiB */
#define WEFTD_RX_STANDS_BYTES   16384 /* less in one receive call is no queue */
#define WEFTD_RX_TARGET_NS      WEFT_NS_PER_MS /* wait in the sockets' buffers, on average */
#define WEFTD_RX_INTERVAL_NS    (100 * WEFT_NS_PER_MS) /* see core/aqm.h */
#define WEFTD_SOCKET_RETRY_NS   (5 * WEFT_NS_PER_S)
#define WEFTD_CHECK_SOURCES_NS  (100 * WEFT_NS_PER_MS) /* at most this often */
#define WEFTD_FOREIGN_POLL_NS   WEFT_NS_PER_S          /* link in another namespace: looked at */
#define WEFTD_NAP_NS            500000                 /* see rx.c, nap */
#define WEFTD_NAP_HANDSHAKES    8            /* that wait: a millisecond's work of the owner */
#define WEFTD_KEEP_KEYS_MS      500          /* an idle worker forgets its keys after this */
#define WEFTD_STACK_BYTES       (512u << 10) /* of a data thread: locked, left out of dumps */
#define WEFTD_OWNER_NICE        5

struct weftd;

/* A data thread. */
struct weftd_worker {
	struct weftd *d;
	struct weft_worker *w;
	unsigned number;      /* among those of its kind */
	struct weft_tun *tun; /* tx: its queue */
	pthread_t thread;
	bool started;
	void *stack;
	int kick_fd;         /* eventfd: look up from poll (new sockets, forget keys, stop) */
	_Atomic bool forget; /* drop cached keys at the next chance */
	void *private_;      /* buffers of tx.c or rx.c */
};

struct weftd_route {
	struct weft_ip ip;     /* family WEFT_NONE: free */
	struct weft_ip source; /* family WEFT_NONE: the kernel chooses */
	unsigned ifindex;      /* 0: no route */
};

struct weftd {
	/*
	 * All memory for packets, taken at start: --packet-memory. A quarter is for those that wait
	 * for handshakes; what the parts of fixed size leave is for those that wait to be sent.
	 */
	struct weft_budget packets;
	struct weftd_options opt;                      /* constant after start */
	struct weft_tun tun;                           /* constant after start */
	struct weft_device *dev;                       /* see core */
	struct weft_tun more_queues[WEFTD_MAX_TX - 1]; /* beside that of `tun` */
	struct weftd_worker tx[WEFTD_MAX_TX], rx[WEFTD_MAX_RX];
	/* rx[0]'s thread does tx[0]'s work, alone; only where there are no others (share.h) */
	_Atomic bool tx_lent;
	_Atomic bool crowded;       /* one of two data threads had to wait for a processor */
	unsigned n_tx, n_rx;        /* constant after start */
	struct weftd_receiver *rcv; /* rx.c */

	/* sockets: written by the owner under the write lock; NULL while down */
	pthread_rwlock_t udp_lock;
	struct weft_udp *udp;

	/* routes of endpoints, under the lock; the generation grows when an answer may differ */
	pthread_mutex_t route_lock;
	struct weftd_route routes[WEFTD_ROUTE_CACHE];
	uint32_t route_mark;
	uint8_t route_key[WEFT_SIPHASH_KEY_LEN];
	_Atomic uint32_t route_generation;
	_Atomic bool routes_settling; /* they changed a moment ago: sources are looked at closely */

	/* any thread */
	_Atomic bool relay; /* packets from peer to peer go past the host; set by the owner */
	_Atomic bool link_foreign; /* the interface was moved to another network namespace */
	int wake_fd;               /* eventfd: the owner has something to do */
	_Atomic bool wake_pending;
	_Atomic bool stopping;
	_Atomic int exit_code;

	/* owner alone */
	struct weft_crypto *crypto;
	struct weft_link *link;
	struct weft_uapi_server *uapi;
	struct weftd_keys *keys; /* in memory for keys */
	uint8_t public_key[WEFT_KEY_LEN];
	bool has_key;
	uint16_t listen_port; /* wanted; 0: none chosen yet */
	uint32_t fwmark;
	uint32_t mtu; /* of the tunnel, as the core knows it */
	bool link_up;
	uint64_t socket_retry_ns, foreign_poll_ns; /* WEFT_NEVER: not due */
	uint64_t check_sources_ns;                 /* likewise */
	uint64_t sources_checked_ns;               /* when the last walk began */
	bool checking_sources;                     /* a walk is under way, and where it is */
	uint8_t check_sources_next[WEFT_KEY_LEN];
	unsigned check_sources_again; /* walks made since the last change */
	int signal_fd, epoll_fd;
};

struct weftd_keys {
	struct weft_secret private_key;
};

/* ---- loop.c: owner ---- */

/* Monotonic time that goes on while the machine sleeps, as the kernel's WireGuard counts it. */
uint64_t weftd_now_ns(void);
/* What the kernel knows of the calling thread. */
struct weftd_share_thread weftd_thread_now(void);

/* Serves until something ends the daemon; returns its exit code. */
int weftd_loop(struct weftd *d);

/* Ends the daemon: logs the reason, wakes the owner. Any thread. */
void weftd_fail(struct weftd *d, const char *what, int code);
/* The TUN answered `code`: a device that is gone ends the daemon well, anything else badly. */
void weftd_tun_error(struct weftd *d, int code);
/* Ends the daemon with this exit code unless it is ending already. Any thread. */
void weftd_stop(struct weftd *d, int exit_code);

/* ---- sockets.c: owner ---- */

/* Opens a pair on `port` (0: any free one). 0 or negated errno. */
WEFT_MUST_CHECK int weftd_sockets_open(struct weftd *d, uint16_t port, uint32_t fwmark,
				       struct weft_udp **ret_udp);
/* Puts `udp` (or NULL) in place of what was; closes that. Takes ownership. */
void weftd_sockets_swap(struct weftd *d, struct weft_udp *udp);
void weftd_sockets_free(struct weft_udp *udp); /* takes NULL */

/* The link went up: sockets, then the core. 0, or why it stays down (tried again later). */
int weftd_go_up(struct weftd *d, uint64_t now_ns);
void weftd_go_down(struct weftd *d, uint64_t now_ns);

/* ---- callbacks.c ---- */

/* What the core asks of the machine; ctx is the struct weftd. */
void weftd_callbacks_init(struct weftd *d, struct weft_callbacks *ret_cb);

/* A line about a peer (or NULL), rate-limited by peer and `kind`. Any thread. */
void weftd_log_peer(enum weftd_log_level level, unsigned kind, const char *name,
		    const struct weft_peer *peer, const struct weft_endpoint *endpoint);

/* ---- routes.c ---- */

/* weft_callbacks.source_allowed; as the next. */
bool weftd_source_allowed(void *ctx, const struct weft_endpoint *from);
/* weft_callbacks.endpoint_allowed; ctx is the struct weftd. Any thread, workers inside a batch. */
bool weftd_endpoint_allowed(void *ctx, struct weft_peer *peer,
			    const struct weft_endpoint *endpoint);
/* weft_callbacks.path_mtu and .tunnel_source. Owner. */
int weftd_path_mtu(void *ctx, const struct weft_endpoint *to, uint32_t *ret_mtu,
		   uint32_t *ret_learned);
int weftd_tunnel_source(void *ctx, const struct weft_ip *to, struct weft_ip *ret_ip);
/* Routes, addresses or the mark changed: ask anew. Owner. */
void weftd_routes_forget(struct weftd *d);
/* Allowed IPs or endpoints were configured: what was allowed may loop now. Any thread. */
void weftd_endpoints_changed(struct weftd *d);
/* Lets every sticky source be looked at, soon; and does so, a slice at a time. Owner. */
void weftd_sources_check(struct weftd *d, uint64_t now_ns);
void weftd_sources_run(struct weftd *d, uint64_t now_ns);

/* ---- configure.c: owner; ctx is the struct weftd ---- */
int weftd_configure_get(void *ctx, struct weft_text *out);
int weftd_configure_set(void *ctx, const struct weft_conf_device *change);

/* ---- tx.c, rx.c ---- */
WEFT_MUST_CHECK int weftd_tx_init(struct weftd_worker *me); /* buffers; 0, -ENOMEM, WEFT_E_LIMIT */
void weftd_tx_fini(struct weftd_worker *me);
WEFT_MUST_CHECK int weftd_rx_init(struct weftd *d); /* of all rx threads; 0 or negative */
void weftd_rx_fini(struct weftd *d);
/* One round of tx[0], lent. Packets sent, or a negative code of the TUN. The receiver's thread. */
int weftd_tx_round(struct weftd_worker *tx);
bool weftd_tx_waiting(const struct weftd_worker *tx); /* something is left for the next round */
void *weftd_tx_main(void *me);                        /* the threads; me is a struct weftd_worker */
void *weftd_rx_main(void *me);                        /* the first one: receives */
void *weftd_rx_help_main(void *me);

/* ---- worker.c: what all data threads share ---- */

/* Starts / stops and joins a thread. Owner. */
WEFT_MUST_CHECK int weftd_worker_start(struct weftd_worker *w, const char *name,
				       void *(*main)(void *));
void weftd_worker_stop(struct weftd_worker *w);
void weftd_worker_kick(struct weftd_worker *w, bool forget); /* any thread */
/* Every data thread forgets the keys that it still holds. Any thread. */
void weftd_workers_forget(struct weftd *d);
/*
 * Overwrites the part of the caller's stack that functions left behind: the libraries leave pieces
 * of keys there. Before sleeping.
 */
void weftd_burn_stack(void);
/* After a wake-up by kick_fd. The worker's own thread. */
void weftd_worker_kicked(struct weftd_worker *w);
/* Before a long sleep: no key stays behind in this thread. The worker's own thread. */
void weftd_worker_forget(struct weftd_worker *w);

#endif
