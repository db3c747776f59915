/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inner packets for the tests of split and coalesce, made the slow and obvious way: one byte pair
 * at a time, with nothing shared with the code under test.
 */
#ifndef WEFT_TEST_LINUX_PACKETS_H
#define WEFT_TEST_LINUX_PACKETS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* What a packet is to be made of. */
struct packet_spec {
	uint8_t family, proto;
	uint8_t host, tos, ttl;
	uint8_t tcp_flags;
	uint8_t tcp_options; /* bytes, a multiple of 4 */
	uint8_t v6_ext;      /* bytes of destination options, 0 or a multiple of 8 */
	uint16_t sport, dport, ip_id, window;
	bool df;
	uint32_t seq, ack;
	uint32_t stream_off; /* where the payload stands in the test's byte stream */
	size_t payload;
};

static inline uint8_t stream_byte(uint32_t off)
{
	return (uint8_t)(off * 2654435761u >> 24);
}

static inline void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline uint32_t slow_sum(const uint8_t *p, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++) {
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

static inline uint32_t slow_pseudo(const uint8_t *ip, uint8_t proto, size_t l4_len)
{
	uint8_t tail[8] = {0, 0, (uint8_t)(l4_len >> 8), (uint8_t)l4_len, 0, 0, 0, proto};
	uint32_t sum = ip[0] >> 4 == 4 ? slow_sum(ip + 12, 8, 0) : slow_sum(ip + 8, 32, 0);

	return slow_sum(tail, sizeof(tail), sum);
}

static inline size_t spec_l4(const struct packet_spec *s)
{
	return s->family == 4 ? 20u : 40u + s->v6_ext;
}

static inline size_t spec_header(const struct packet_spec *s)
{
	return spec_l4(s) + (s->proto == IPPROTO_TCP ? 20u + s->tcp_options : 8u);
}

/* Writes the packet with right checksums and returns its length. */
static inline size_t build_packet(const struct packet_spec *s, uint8_t *out)
{
	size_t l4 = spec_l4(s), header = spec_header(s), len = header + s->payload;
	uint8_t *p = out + l4;
	uint32_t sum;

	memset(out, 0, header);
	if (s->family == 4) {
		out[0] = 0x45;
		out[1] = s->tos;
		put16(out + 2, (unsigned)len);
		put16(out + 4, s->ip_id);
		out[6] = s->df ? 0x40 : 0;
		out[8] = s->ttl;
		out[9] = s->proto;
		memcpy(out + 12, (uint8_t[]){10, 0, 0, s->host, 10, 0, 0, 200}, 8);
		put16(out + 10, ~slow_sum(out, 20, 0) & 0xffff);
	} else {
		out[0] = (uint8_t)(0x60 | s->tos >> 4);
		out[1] = (uint8_t)(s->tos << 4);
		put16(out + 4, (unsigned)(len - 40));
		out[6] = s->v6_ext ? IPPROTO_DSTOPTS : s->proto;
		out[7] = s->ttl;
		out[8] = 0xfd;
		out[23] = s->host;
		out[24] = 0xfd;
		out[39] = 200;
		if (s->v6_ext) {
			/* One PadN over the whole of it. */
			out[40] = s->proto;
			out[41] = (uint8_t)(s->v6_ext / 8 - 1);
			out[42] = 1;
			out[43] = (uint8_t)(s->v6_ext - 4);
		}
	}
	put16(p, s->sport);
	put16(p + 2, s->dport);
	if (s->proto == IPPROTO_TCP) {
		put16(p + 4, s->seq >> 16);
		put16(p + 6, s->seq & 0xffff);
		put16(p + 8, s->ack >> 16);
		put16(p + 10, s->ack & 0xffff);
		p[12] = (uint8_t)((20 + s->tcp_options) / 4 << 4);
		p[13] = s->tcp_flags;
		put16(p + 14, s->window);
		memset(p + 20, 1, s->tcp_options);
	} else {
		put16(p + 4, (unsigned)(8 + s->payload));
	}
	for (size_t i = 0; i < s->payload; i++)
		out[header + i] = stream_byte(s->stream_off + (uint32_t)i);
	sum = slow_sum(p, len - l4, slow_pseudo(out, s->proto, len - l4));
	sum = ~sum & 0xffff;
	if (s->proto == IPPROTO_UDP && sum == 0)
		sum = 0xffff;
	put16(p + (s->proto == IPPROTO_TCP ? 16 : 6), sum);
	return len;
}

#endif
