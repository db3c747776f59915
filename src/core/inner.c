/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inner packets: RFC 791 and RFC 8200 headers, as far as a tunnel looks, and RFC 6040's tables.
 */
#include "core/inner.h"

#include <stdbool.h>
#include <string.h>

#include "util/cursor.h"

#define IPV4_MIN_HEADER 20
#define IPV6_HEADER     40

static int parse_v4(const uint8_t *pkt, size_t len, struct weft_inner *in)
{
	if (len < IPV4_MIN_HEADER)
		return WEFT_E_TRUNCATED;
	in->header_len = (uint8_t)((pkt[0] & 0x0f) * 4);
	in->total_len = weft_get_be16(pkt + 2);
	if (in->header_len < IPV4_MIN_HEADER || in->total_len < in->header_len)
		return WEFT_E_PARSE;
	in->ecn = pkt[1] & 3;
	in->proto = pkt[9];
	in->src.family = in->dst.family = WEFT_IPV4;
	memcpy(in->src.b, pkt + 12, 4);
	memcpy(in->dst.b, pkt + 16, 4);
	return 0;
}

static int parse_v6(const uint8_t *pkt, size_t len, struct weft_inner *in)
{
	if (len < IPV6_HEADER)
		return WEFT_E_TRUNCATED;
	in->header_len = IPV6_HEADER;
	in->total_len = IPV6_HEADER + (size_t)weft_get_be16(pkt + 4);
	in->ecn = (pkt[1] >> 4) & 3;
	in->proto = pkt[6];
	in->src.family = in->dst.family = WEFT_IPV6;
	memcpy(in->src.b, pkt + 8, 16);
	memcpy(in->dst.b, pkt + 24, 16);
	return 0;
}

int weft_inner_parse(const uint8_t *pkt, size_t len, struct weft_inner *ret_inner)
{
	struct weft_inner in = {0};
	int rc;

	if (len == 0)
		return WEFT_E_TRUNCATED;
	in.version = pkt[0] >> 4;
	if (in.version == 4)
		rc = parse_v4(pkt, len, &in);
	else if (in.version == 6)
		rc = parse_v6(pkt, len, &in);
	else
		rc = WEFT_E_PARSE;
	if (rc == 0 && in.total_len > len)
		rc = WEFT_E_TRUNCATED;
	if (rc == 0)
		*ret_inner = in;
	return rc;
}

/* RFC 6040, figure 4: the outgoing mark for [inner][outer]; 4 stands for drop. */
#define ECN_DROP 4
static const uint8_t decap_table[4][4] = {
	/* outer:            Not-ECT         ECT(1)          ECT(0)          CE */
	[WEFT_ECN_NOT_ECT] = {WEFT_ECN_NOT_ECT, WEFT_ECN_NOT_ECT, WEFT_ECN_NOT_ECT, ECN_DROP},
	[WEFT_ECN_ECT1] = {WEFT_ECN_ECT1, WEFT_ECN_ECT1, WEFT_ECN_ECT1, WEFT_ECN_CE},
	[WEFT_ECN_ECT0] = {WEFT_ECN_ECT0, WEFT_ECN_ECT1, WEFT_ECN_ECT0, WEFT_ECN_CE},
	[WEFT_ECN_CE] = {WEFT_ECN_CE, WEFT_ECN_CE, WEFT_ECN_CE, WEFT_ECN_CE},
};

/* RFC 1624, equation 3, for the 16-bit word that holds version, header length, DSCP and ECN. */
static void set_v4_ecn(uint8_t *pkt, uint8_t ecn)
{
	uint32_t sum = (uint16_t)~weft_get_be16(pkt + 10);

	sum += (uint16_t)~weft_get_be16(pkt);
	pkt[1] = (uint8_t)((pkt[1] & ~3u) | ecn);
	sum += weft_get_be16(pkt);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	weft_put_be16(pkt + 10, (uint16_t)~sum);
}

int weft_ecn_decap(uint8_t *pkt, struct weft_inner *inner, uint8_t outer_tos)
{
	uint8_t ecn = decap_table[inner->ecn & 3][outer_tos & 3];

	if (ecn == ECN_DROP)
		return WEFT_E_DROP;
	if (ecn == inner->ecn)
		return 0;
	if (inner->version == 4)
		set_v4_ecn(pkt, ecn);
	else
		pkt[1] = (uint8_t)((pkt[1] & ~0x30u) | (unsigned)ecn << 4);
	inner->ecn = ecn;
	return 0;
}

int weft_ecn_mark(uint8_t *pkt, size_t len)
{
	struct weft_inner inner;

	if (weft_inner_parse(pkt, len, &inner) < 0)
		return WEFT_E_DROP;
	return weft_ecn_decap(pkt, &inner, WEFT_ECN_CE);
}

static bool has_ports(uint8_t proto)
{
	return proto == 6 || proto == 17 || proto == 33 || proto == 132 || proto == 136;
}

/* Takes in 4 bytes: one multiplication each, and the seed keeps collisions from being made. */
static uint64_t mix(uint64_t h, const uint8_t *p)
{
	h = (h ^ weft_get_le32(p)) * UINT64_C(0xd6e8feb86659fd93);
	return h ^ h >> 32;
}

uint64_t weft_inner_flow(const uint8_t *pkt, size_t len, uint64_t seed)
{
	size_t addresses, end, l4;
	uint8_t proto;
	bool fragment = false;

	if (len >= 20 && pkt[0] >> 4 == 4) {
		addresses = 12;
		end = 20;
		l4 = (size_t)(pkt[0] & 15) * 4;
		proto = pkt[9];
		fragment = (weft_get_be16(pkt + 6) & 0x3fff) != 0;
	} else if (len >= 40 && pkt[0] >> 4 == 6) {
		addresses = 8;
		end = l4 = 40;
		proto = pkt[6];
	} else {
		return 0;
	}
	seed ^= proto;
	for (size_t i = addresses; i < end; i += 4)
		seed = mix(seed, pkt + i);
	if (has_ports(proto) && !fragment && l4 >= 20 && l4 + 4 <= len)
		seed = mix(seed, pkt + l4);
	return seed;
}
