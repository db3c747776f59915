/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small questions to the network and the host, each with a short end: does an address answer an
 * echo request, does a port refuse, who has a port. icmp(7), udp(7), proc(5).
 */
#ifndef WEFT_LINUX_PROBE_H
#define WEFT_LINUX_PROBE_H

#include <sys/types.h>

#include "util/inet.h"

/*
 * Sends one echo request of `bytes` (the whole IP packet, not to be cut up) out of `ifname` and
 * waits up to `timeout_ms` for its answer. 1: answered; 0: not, in that time; -EMSGSIZE: it is
 * longer than this host lets out; or another negated errno. One thread at a time.
 */
WEFT_MUST_CHECK int weft_probe_echo(const char *ifname, const struct weft_ip *to, uint32_t bytes,
				    unsigned timeout_ms);

/*
 * Sends one datagram that no WireGuard answers, of one byte, with this mark, and waits up to
 * `timeout_ms` for an error. 0: none came, which says nothing; else negated errno: -ECONNREFUSED
 * (nobody listens), -EHOSTUNREACH and its like from the way, -EPERM (a firewall of this host).
 */
WEFT_MUST_CHECK int weft_probe_port(const struct weft_endpoint *to, uint32_t mark,
				    unsigned timeout_ms);

struct weft_port_holder {
	bool taken;
	pid_t pid;     /* 0: the kernel has it itself, or a process that cannot be seen from here */
	char name[16]; /* of the process; "" with pid 0 */
};

/*
 * Who has the UDP port in this network namespace, on any address; `mine` is preferred among
 * several. 0 or negated errno.
 */
WEFT_MUST_CHECK int weft_port_find(uint16_t port, pid_t mine, struct weft_port_holder *ret);

#endif
