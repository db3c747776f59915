/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICMP and ICMPv6 errors (RFC 792, RFC 1812 4.3.2, RFC 4443) about inner packets. An
 * IPv4 error quotes what makes it 576 bytes long, an IPv6 error what makes it 1280.
 */
#include "core/icmp.h"

#include <stdbool.h>
#include <string.h>

#include "core/inner.h"
#include "util/cursor.h"

#define V4_HEADER    20
#define V6_HEADER    40
#define ICMP_HEADER  8
#define V4_MAX_ERROR 576
#define V6_MAX_ERROR 1280

#define PROTO_ICMP   1
#define PROTO_ICMPV6 58

/* type and code, by enum weft_icmp_kind */
static const uint8_t types_v4[][2] = {
	[WEFT_ICMP_UNREACHABLE] = {3, 1},
	[WEFT_ICMP_TIME_EXCEEDED] = {11, 0},
	[WEFT_ICMP_TOO_BIG] = {3, 4},
};
static const uint8_t types_v6[][2] = {
	[WEFT_ICMP_UNREACHABLE] = {1, 3},
	[WEFT_ICMP_TIME_EXCEEDED] = {3, 0},
	[WEFT_ICMP_TOO_BIG] = {2, 0},
};

static uint32_t sum_bytes(uint32_t sum, const uint8_t *p, size_t len)
{
	for (; len > 1; p += 2, len -= 2)
		sum += weft_get_be16(p);
	return len ? sum + ((uint32_t)p[0] << 8) : sum;
}

static uint16_t finish_sum(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* May an error be sent about this packet (RFC 1122 3.2.2)? */
static bool due_v4(const uint8_t *pkt, const struct weft_inner *in)
{
	unsigned type;

	if ((weft_get_be16(pkt + 6) & 0x1fff) != 0) /* a fragment, not the first */
		return false;
	if (in->dst.b[0] >= 224 || in->src.b[0] >= 224 || in->src.b[0] == 127 || in->src.b[0] == 0)
		return false;
	if (in->proto != PROTO_ICMP)
		return true;
	if (in->total_len <= in->header_len)
		return false;
	type = pkt[in->header_len];
	/* errors: unreachable, source quench, redirect, time exceeded, parameter problem */
	return type != 3 && type != 4 && type != 5 && type != 11 && type != 12;
}

/*
 * Walks over the extension headers. False if the packet is a fragment other than the first, an
 * ICMPv6 error or redirect, or ends before it says (RFC 4443 2.4 e).
 */
static bool due_v6_upper(const uint8_t *pkt, const struct weft_inner *in)
{
	size_t at = in->header_len, ext;
	uint8_t next = in->proto;

	while (next == 0 || next == 43 || next == 44 || next == 60) {
		if (in->total_len - at < 8)
			return false;
		if (next == 44 && (weft_get_be16(pkt + at + 2) & 0xfff8) != 0)
			return false;
		ext = next == 44 ? 8 : 8 * ((size_t)pkt[at + 1] + 1);
		if (in->total_len - at < ext)
			return false;
		next = pkt[at];
		at += ext;
	}
	if (next != PROTO_ICMPV6)
		return true;
	/* errors have types below 128; 137 is the redirect */
	return at < in->total_len && pkt[at] >= 128 && pkt[at] != 137;
}

static bool due_v6(const uint8_t *pkt, const struct weft_inner *in)
{
	static const uint8_t unspecified[16];

	if (in->dst.b[0] == 0xff || in->src.b[0] == 0xff ||
	    memcmp(in->src.b, unspecified, sizeof(unspecified)) == 0)
		return false;
	return due_v6_upper(pkt, in);
}

static size_t build_v4(uint8_t *out, const struct weft_icmp_error *error, const uint8_t *pkt,
		       const struct weft_inner *in)
{
	size_t quote = V4_MAX_ERROR - V4_HEADER - ICMP_HEADER, total;
	uint8_t *icmp = out + V4_HEADER;

	if (quote > in->total_len)
		quote = in->total_len;
	total = V4_HEADER + ICMP_HEADER + quote;
	memset(out, 0, V4_HEADER + ICMP_HEADER);
	out[0] = 0x45;
	out[1] = 0xc0; /* internetwork control (RFC 1812 4.3.2.5) */
	weft_put_be16(out + 2, (uint16_t)total);
	weft_put_be16(out + 6, 0x4000); /* atomic, so no identification (RFC 6864) */
	out[8] = 64;
	out[9] = PROTO_ICMP;
	memcpy(out + 12, error->from ? error->from->b : in->dst.b, 4);
	memcpy(out + 16, in->src.b, 4);
	weft_put_be16(out + 10, finish_sum(sum_bytes(0, out, V4_HEADER)));
	memcpy(icmp, types_v4[error->kind], 2);
	if (error->kind == WEFT_ICMP_TOO_BIG) /* RFC 1191 4: the lower half */
		weft_put_be16(icmp + 6, (uint16_t)(error->mtu > 0xffff ? 0xffff : error->mtu));
	memcpy(icmp + ICMP_HEADER, pkt, quote);
	weft_put_be16(icmp + 2, finish_sum(sum_bytes(0, icmp, ICMP_HEADER + quote)));
	return total;
}

static size_t build_v6(uint8_t *out, const struct weft_icmp_error *error, const uint8_t *pkt,
		       const struct weft_inner *in)
{
	size_t quote = V6_MAX_ERROR - V6_HEADER - ICMP_HEADER, payload;
	uint8_t *icmp = out + V6_HEADER;
	uint32_t sum;

	if (quote > in->total_len)
		quote = in->total_len;
	payload = ICMP_HEADER + quote;
	memset(out, 0, V6_HEADER + ICMP_HEADER);
	out[0] = 0x60;
	weft_put_be16(out + 4, (uint16_t)payload);
	out[6] = PROTO_ICMPV6;
	out[7] = 64;
	memcpy(out + 8, error->from ? error->from->b : in->dst.b, 16);
	memcpy(out + 24, in->src.b, 16);
	memcpy(icmp, types_v6[error->kind], 2);
	if (error->kind == WEFT_ICMP_TOO_BIG)
		weft_put_be32(icmp + 4, error->mtu);
	memcpy(icmp + ICMP_HEADER, pkt, quote);
	/* pseudo-header (RFC 8200 8.1) */
	sum = sum_bytes((uint32_t)payload + PROTO_ICMPV6, out + 8, 32);
	weft_put_be16(icmp + 2, finish_sum(sum_bytes(sum, icmp, payload)));
	return V6_HEADER + payload;
}

size_t weft_icmp_error(uint8_t out[WEFT_ICMP_MAX_LEN], const struct weft_icmp_error *error,
		       const uint8_t *inner, size_t len)
{
	struct weft_inner in;

	if (weft_inner_parse(inner, len, &in) != 0)
		return 0;
	if (in.version == 4)
		return due_v4(inner, &in) ? build_v4(out, error, inner, &in) : 0;
	return due_v6(inner, &in) ? build_v6(out, error, inner, &in) : 0;
}

size_t weft_icmp_unreachable(uint8_t out[WEFT_ICMP_MAX_LEN], const uint8_t *inner, size_t len)
{
	static const struct weft_icmp_error unreachable = {.kind = WEFT_ICMP_UNREACHABLE};

	return weft_icmp_error(out, &unreachable, inner, len);
}
