/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segmentation offload in user space, both ways. Pure functions over hostile bytes.
 *   split: one TSO/USO super-packet read from the TUN -> packets of at most gso_size payload, with
 *          their headers, lengths, sequence numbers and checksums (copy and checksum in one pass).
 *   coalesce: inner packets of one flow -> one super-packet for the TUN.
 * Follows the kernel's tcp_gso_segment, udp4_ufo_fragment, tcp_gro_receive and the virtio spec.
 */
#ifndef WEFT_LINUX_OFFLOAD_H
#define WEFT_LINUX_OFFLOAD_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "util/error.h"

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4 /* Linux 6.2 */
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

#define WEFT_SPLIT_MAX_PACKET (65535 + 40) /* of IPv6, whose length leaves out its header */

/* Cuts a packet as the TUN gave it. Initialised by weft_split_init, one packet per _next call. */
struct weft_split {
	const uint8_t *pkt;
	size_t len;
	size_t header_len; /* IP and TCP/UDP headers, repeated in each segment */
	size_t gso_size;   /* payload bytes per segment; 0: not GSO, one packet */
	size_t offset;     /* payload already handed out */
	unsigned index;
	uint8_t gso_type;
	uint8_t l4_offset;
	uint16_t csum_start, csum_offset;
	bool needs_csum;
};

/*
 * Checks the header against the packet. Nothing of hdr is trusted. `pkt` is borrowed.
 * Returns the number of segments (1 for a plain packet; up to 65,535: gso_size may be 1), or
 * -EINVAL. A plain packet is not looked into.
 */
WEFT_MUST_CHECK int weft_split_init(struct weft_split *s, const struct virtio_net_hdr *hdr,
				    const uint8_t *pkt, size_t len);

/* Length of every segment but the last (or of the only one). */
size_t weft_split_segment_len(const struct weft_split *s);

/*
 * Writes the next segment into `out` (at least weft_split_segment_len bytes). Returns its length,
 * 0 when there are no more.
 */
size_t weft_split_next(struct weft_split *s, uint8_t *out);

#define WEFT_COALESCE_MAX_PKTS 64 /* of one super-packet (kernel: UDP_GRO_CNT_MAX) */
#define WEFT_COALESCE_FLOWS    8

/* One super-packet in the making: borrowed pieces of the decrypted packets. */
struct weft_coalesced {
	struct virtio_net_hdr hdr;                /* all zeros for a packet that stayed alone */
	struct iovec iov[WEFT_COALESCE_MAX_PKTS]; /* first packet whole, then payloads */
	unsigned n_iov;
	unsigned n_pkts;
	size_t len; /* bytes of the super-packet */
	/* private from here */
	uint8_t l3_len, l4_len, family, proto;
	uint16_t gso_size;
	uint32_t next_seq;
	bool first_verified; /* checksums of the first packet; those that join are, before */
	bool closed_by_psh;
};

/*
 * A small table of flows. Packets of a flow leave in the order they came in; a packet that cannot
 * join its flow's super-packet flushes it first. The bytes stay the caller's and must live, and may
 * be written to (headers are patched), until flushed. A super-packet that the kernel refuses can be
 * gathered into one buffer and cut with weft_split, which gives the packets back as they were.
 */
struct weft_coalesce {
	struct weft_coalesced flow[WEFT_COALESCE_FLOWS];
	unsigned n;                                        /* the slot that gives way next */
	bool tso, uso;                                     /* which kinds may be built */
	void (*emit)(void *ctx, struct weft_coalesced *c); /* headers patched, hdr filled */
	void *ctx;
};

void weft_coalesce_init(struct weft_coalesce *c, bool tso, bool uso,
			void (*emit)(void *ctx, struct weft_coalesced *c), void *ctx);
/*
 * Any inner packet; expected to be IPv4 or IPv6 of its header's length (others pass singly). May
 * call emit, several times; what emit is given is valid during the call.
 */
void weft_coalesce_add(struct weft_coalesce *c, uint8_t *pkt, size_t len);
void weft_coalesce_flush(struct weft_coalesce *c);

#endif
