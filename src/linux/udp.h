/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The outer sockets: one per family on the same port, with GSO and GRO, sticky source addresses
 * (IP_PKTINFO), DS field both ways, fwmark, and no DF bit (the path may fragment).
 * ip(7), ipv6(7), udp(7).
 */
#ifndef WEFT_LINUX_UDP_H
#define WEFT_LINUX_UDP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"
#include "util/inet.h"

#define WEFT_UDP_MAX_SEGMENTS 64 /* of one GSO send (kernel: UDP_MAX_SEGMENTS) */
#define WEFT_UDP_MAX_DATAGRAM 65535
#define WEFT_UDP_BATCH        16    /* trains per receive call, at most */
#define WEFT_UDP_RX_BYTES     65536 /* of a buffer to receive into */
/* Asked of the kernel for each socket and direction: about 4,800 datagrams of a full train's size,
 * which a burst of 64 KiB trains needs. */
#define WEFT_UDP_SOCKET_BYTES (7 << 20)

struct weft_udp {
	int fd4, fd6;  /* -1: that family is missing or closed */
	uint16_t port; /* bound, host order */
	uint32_t fwmark;
	bool gro;         /* UDP_GRO is on */
	_Atomic bool gso; /* UDP_SEGMENT works; turned off for good on EIO */
	/* destinations for which GSO failed (path narrower than a segment): plain for a while */
	_Atomic uint64_t no_gso[16];
};

/*
 * Opens both families on `port`; 0 picks one that is free for both (retried on races). A missing
 * IPv6 (or IPv4) stack leaves that descriptor -1. `offload` false: neither GSO nor GRO.
 * Returns 0, -EADDRINUSE, -EAFNOSUPPORT when neither family is there, or other. Non-blocking.
 */
WEFT_MUST_CHECK int weft_udp_open(struct weft_udp *ret_udp, uint16_t port, uint32_t fwmark,
				  bool offload);
void weft_udp_close(struct weft_udp *udp);
/* SO_MARK on open sockets. Needs CAP_NET_ADMIN. */
WEFT_MUST_CHECK int weft_udp_set_fwmark(struct weft_udp *udp, uint32_t fwmark);

/* What receive calls need beside buffers. One per receiving thread. */
struct weft_udp_rx;
WEFT_MUST_CHECK int weft_udp_rx_new(struct weft_udp_rx **ret_rx);
void weft_udp_rx_free(struct weft_udp_rx *rx);

/* One received datagram train: `len` bytes cut every `segment` bytes, the last one shorter. */
struct weft_udp_train {
	uint8_t *data; /* writable: the caller's buffer */
	size_t len;
	size_t segment;            /* = len when it was not coalesced */
	uint8_t tos;               /* DS field */
	bool truncated;            /* MSG_TRUNC: drop it */
	uint64_t read_ns;          /* CLOCK_MONOTONIC of the call that received it */
	uint64_t waited_ns;        /* in the socket's buffer; 0: not known */
	size_t together;           /* bytes of all trains that this call received */
	struct weft_endpoint from; /* with local address and interface */
};

/*
 * Receives what is there on `fd` (one of udp's) into `n` buffers of WEFT_UDP_RX_BYTES, one train
 * each, at most WEFT_UDP_BATCH; fewer where the last call's were large. Returns how many (0:
 * nothing there), or negated errno (soft errors such as ECONNREFUSED are swallowed). `ret_trains`
 * is valid until the next call.
 */
WEFT_MUST_CHECK int weft_udp_recv(struct weft_udp *udp, int fd, struct weft_udp_rx *rx,
				  uint8_t *const *bufs, unsigned n,
				  const struct weft_udp_train **ret_trains);
/* Did the last call take as many trains as it could, so that there may be more? */
bool weft_udp_rx_filled(const struct weft_udp_rx *rx);

/*
 * Sends `len` bytes as datagrams of `segment` bytes (the last may be shorter), all to one
 * endpoint, all with `tos`. Uses GSO where it can; falls back to single sends, remembers per
 * destination. Segments beyond 64 or 65,507 bytes are split into several sends. `endpoint->local`
 * that stopped being valid is retried without (and *ret_source_stale set true, else untouched).
 * A full socket buffer is waited for, briefly (poll, 10 ms), then dropped.
 * Returns the number of datagrams sent, or negated errno if none was. Any thread.
 */
WEFT_MUST_CHECK int weft_udp_send(struct weft_udp *udp, const struct weft_endpoint *endpoint,
				  uint8_t tos, const uint8_t *data, size_t len, size_t segment,
				  bool *ret_source_stale);

/*
 * Sends one datagram that must not be fragmented: DF is set, and what ICMP taught the host of the
 * path is not heeded (IP_PMTUDISC_PROBE). -EMSGSIZE: longer than the interface takes. While it runs
 * nobody else may send: the option is the socket's. Else as weft_udp_send.
 */
WEFT_MUST_CHECK int weft_udp_send_whole(struct weft_udp *udp, const struct weft_endpoint *endpoint,
					uint8_t tos, const uint8_t *data, size_t len,
					bool *ret_source_stale);

#define WEFT_UDP_SINGLES 16 /* of one call below */

struct weft_udp_single {
	const struct weft_endpoint *to;
	const uint8_t *data;
	size_t len; /* 1 to 65,507 */
	uint8_t tos;
	/* out */
	int result; /* 0, or negated errno */
	bool source_stale;
};

/*
 * Sends datagrams to an endpoint each, with as few calls as the families allow; each as
 * weft_udp_send would have. `n` is at most WEFT_UDP_SINGLES. Any thread.
 */
void weft_udp_send_singles(struct weft_udp *udp, struct weft_udp_single *s, unsigned n);

#endif
