/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which queue of the TUN a delivered packet is written to. The kernel remembers the queue and reads
 * the flow's answers from that one (drivers/net/tun.c, automatic queue selection): were all written
 * to one queue, one thread would get to send all answers. Pure.
 */
#ifndef WEFT_DAEMON_STEER_H
#define WEFT_DAEMON_STEER_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/crypto.h"

/*
 * 0 to queues - 1: the same for all packets of a flow, and for those of the other direction;
 * `key` keeps others from choosing. `pkt`: the beginning of an IP packet, of which `len` bytes are
 * there; what is no IP packet goes to the first queue.
 */
unsigned weftd_steer(const uint8_t key[WEFT_SIPHASH_KEY_LEN], const uint8_t *pkt, size_t len,
		     unsigned queues);

#endif
