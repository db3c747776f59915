/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ethtool(8) -k and -l show of an interface, as far as a tunnel's packets depend on it, and
 * the buffers of a UDP port's sockets, as ss(8) -m shows them. Reading only. Any thread.
 */
#ifndef WEFT_LINUX_NICINFO_H
#define WEFT_LINUX_NICINFO_H

#include <stdint.h>

#include "util/error.h"

/* Each 0 or 1, or a number; -1: the device or the kernel does not say. */
struct weft_ethtool {
	long gro, gso, tso;
	long udp_gro_forwarding, gro_list; /* rx-udp-gro-forwarding, rx-gro-list */
	long channels, max_channels;       /* combined */
};

/* 0 or negated errno: no socket, or -ENODEV. SIOCETHTOOL. */
WEFT_MUST_CHECK int weft_ethtool_read(const char *ifname, struct weft_ethtool *ret);

struct weft_udp_buffers {
	long rcvbuf, sndbuf; /* bytes, the kernel's overhead included: the least of all sockets */
	long drops;          /* datagrams that found no room, of all sockets */
};

/*
 * Of the sockets of this network namespace that are bound to `port`. 0, -ENOENT: there are none,
 * or negated errno (-ENOENT also: a kernel without udp_diag). sock_diag(7).
 */
WEFT_MUST_CHECK int weft_udp_buffers(uint16_t port, struct weft_udp_buffers *ret);

#endif
