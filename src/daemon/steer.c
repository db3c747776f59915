/* SPDX-License-Identifier: Apache-2.0 */
/* Flows to queues: see steer.h. */
#include "daemon/steer.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

/* Addresses and ports of both ends, the smaller end first. */
struct flow {
	uint8_t end[2][16 + 2];
	uint8_t proto;
};

static bool has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP ||
	       proto == IPPROTO_UDPLITE;
}

static void read_flow(struct flow *f, const uint8_t *pkt, size_t len)
{
	size_t addr_at, addr_len, l4;

	if (len >= 20 && pkt[0] >> 4 == 4) {
		addr_at = 12;
		addr_len = 4;
		l4 = (pkt[0] & 15u) * 4;
		f->proto = pkt[9];
		if ((pkt[6] & 0x3f) || pkt[7]) /* the pieces of a packet go one way: no ports */
			l4 = len;
	} else if (len >= 40 && pkt[0] >> 4 == 6) {
		addr_at = 8;
		addr_len = 16;
		l4 = 40;
		f->proto = pkt[6];
	} else {
		return;
	}
	for (unsigned i = 0; i < 2; i++) {
		memcpy(f->end[i], pkt + addr_at + i * addr_len, addr_len);
		if (has_ports(f->proto) && l4 + 4 <= len)
			memcpy(f->end[i] + 16, pkt + l4 + (size_t)i * 2, 2);
	}
}

unsigned weftd_steer(const uint8_t key[WEFT_SIPHASH_KEY_LEN], const uint8_t *pkt, size_t len,
		     unsigned queues)
{
	struct flow f;
	uint8_t smaller[sizeof(f.end[0])];

	if (queues <= 1)
		return 0;
	memset(&f, 0, sizeof(f));
	read_flow(&f, pkt, len);
	if (!f.proto)
		return 0;
	if (memcmp(f.end[0], f.end[1], sizeof(f.end[0])) > 0) {
		memcpy(smaller, f.end[1], sizeof(smaller));
		memcpy(f.end[1], f.end[0], sizeof(smaller));
		memcpy(f.end[0], smaller, sizeof(smaller));
	}
	return (unsigned)((weft_siphash(key, &f, sizeof(f)) >> 32) * queues >> 32);
}
