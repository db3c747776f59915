/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search for a path's MTU, its probes and their answers (pmtu.h). RFC 8899 5.3, with the order
 * of sizes that finds the common case at once: the most that the route takes, the tunnel's MTU,
 * 1280, then halves. RFC 792, RFC 4443 for what is sent and understood.
 */
#include "core/pmtu.h"

#include <string.h>

#include "util/cursor.h"

#define V4_HEADER   20
#define V6_HEADER   40
#define ICMP_HEADER 8
#define V4_DF       0x4000

#define PROTO_ICMP   1
#define PROTO_ICMPV6 58

/* ---- the search ---- */

/* A size between what is carried and what is not; false if none is worth a try. */
static bool between(const struct weft_pmtu_search *s, uint32_t *ret_size)
{
	uint32_t low = s->lo ? s->lo : WEFT_PMTU_FLOOR - 1, middle;

	if (s->hi > s->top) {
		*ret_size = s->top;
		return s->lo < s->top;
	}
	if (s->link > low && s->link < s->hi) {
		*ret_size = s->link;
		return true;
	}
	if (s->hi > WEFT_PMTU_BASE && low < WEFT_PMTU_BASE) {
		*ret_size = WEFT_PMTU_BASE;
		return true;
	}
	middle = (low + s->hi) / 2 / WEFT_PMTU_STEP * WEFT_PMTU_STEP;
	if (middle <= low)
		middle += WEFT_PMTU_STEP;
	*ret_size = middle;
	return middle > low && middle < s->hi;
}

static bool next(struct weft_pmtu_search *s)
{
	s->lost = 0;
	if (between(s, &s->size))
		return true;
	if (s->hi > s->top || s->again)
		return false;
	/* Bad luck must not decide for ten minutes: the size that failed is tried once more. */
	s->again = true;
	s->size = s->hi;
	return true;
}

void weft_pmtu_begin(struct weft_pmtu_search *s, uint32_t top, uint32_t link)
{
	if (top < WEFT_PMTU_FLOOR)
		top = WEFT_PMTU_FLOOR;
	*s = (struct weft_pmtu_search){.top = top, .link = link, .hi = top + 1, .size = top};
}

bool weft_pmtu_carried(struct weft_pmtu_search *s)
{
	if (s->size > s->lo)
		s->lo = s->size;
	if (s->size >= s->hi) { /* it was bad luck */
		s->hi = s->top + 1;
		s->again = false;
	}
	return next(s);
}

static bool failed(struct weft_pmtu_search *s, bool certain)
{
	if (s->size != s->hi)
		s->again = false;
	if (certain)
		s->again = true;
	s->hi = s->size;
	return next(s);
}

bool weft_pmtu_lost(struct weft_pmtu_search *s)
{
	if (++s->lost < WEFT_PMTU_TRIES)
		return true;
	return failed(s, false);
}

bool weft_pmtu_refused(struct weft_pmtu_search *s)
{
	return failed(s, true);
}

uint32_t weft_pmtu_result(const struct weft_pmtu_search *s)
{
	return s->lo > WEFT_PMTU_FLOOR ? s->lo : WEFT_PMTU_FLOOR;
}

uint32_t weft_pmtu_limit(uint32_t path, uint32_t link)
{
	return path == link ? path : path / WEFT_PMTU_STEP * WEFT_PMTU_STEP;
}

/* ---- probes and answers ---- */

static uint16_t checksum(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += weft_get_be16(p + i);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static size_t probe_v4(uint8_t *out, const struct weft_ip *from, const struct weft_ip *to,
		       uint32_t cookie)
{
	const size_t len = V4_HEADER + ICMP_HEADER;

	out[0] = 0x45;
	weft_put_be16(out + 2, (uint16_t)len);
	weft_put_be16(out + 6, V4_DF); /* atomic, so no identification (RFC 6864) */
	out[8] = 1;
	out[9] = PROTO_ICMP;
	memcpy(out + 12, from->b, 4);
	memcpy(out + 16, to->b, 4);
	weft_put_be16(out + 10, checksum(0, out, V4_HEADER));
	out[V4_HEADER] = 8;
	weft_put_be32(out + V4_HEADER + 4, cookie);
	weft_put_be16(out + V4_HEADER + 2, checksum(0, out + V4_HEADER, ICMP_HEADER));
	return len;
}

static size_t probe_v6(uint8_t *out, const struct weft_ip *from, const struct weft_ip *to,
		       uint32_t cookie)
{
	uint8_t *icmp = out + V6_HEADER;

	out[0] = 0x60;
	weft_put_be16(out + 4, ICMP_HEADER);
	out[6] = PROTO_ICMPV6;
	out[7] = 1;
	memcpy(out + 8, from->b, 16);
	memcpy(out + 24, to->b, 16);
	icmp[0] = 128;
	weft_put_be32(icmp + 4, cookie);
	/* pseudo-header (RFC 8200 8.1): the addresses lie before */
	weft_put_be16(icmp + 2, checksum(ICMP_HEADER + PROTO_ICMPV6, out + 8, 32 + ICMP_HEADER));
	return V6_HEADER + ICMP_HEADER;
}

size_t weft_pmtu_probe(uint8_t out[WEFT_PMTU_PROBE_LEN], const struct weft_ip *from,
		       const struct weft_ip *to, uint32_t cookie)
{
	memset(out, 0, WEFT_PMTU_PROBE_LEN);
	return to->family == WEFT_IPV6 ? probe_v6(out, from, to, cookie)
				       : probe_v4(out, from, to, cookie);
}

/* `at` is ICMP, `len` bytes of it, `quoted` the packet that an error is about. */
static bool answer_v4(const uint8_t *at, size_t len, uint32_t *ret_cookie)
{
	size_t head;

	if (at[0] == 0) { /* echo reply */
		*ret_cookie = weft_get_be32(at + 4);
		return true;
	}
	if ((at[0] != 3 && at[0] != 11) || len < ICMP_HEADER + V4_HEADER + ICMP_HEADER)
		return false;
	at += ICMP_HEADER;
	len -= ICMP_HEADER;
	head = 4 * (size_t)(at[0] & 15);
	if (at[0] >> 4 != 4 || head < V4_HEADER || head + ICMP_HEADER > len ||
	    at[9] != PROTO_ICMP || at[head] != 8)
		return false;
	*ret_cookie = weft_get_be32(at + head + 4);
	return true;
}

static bool answer_v6(const uint8_t *at, size_t len, uint32_t *ret_cookie)
{
	if (at[0] == 129) { /* echo reply */
		*ret_cookie = weft_get_be32(at + 4);
		return true;
	}
	if ((at[0] != 1 && at[0] != 3) || len < ICMP_HEADER + V6_HEADER + ICMP_HEADER)
		return false;
	at += ICMP_HEADER;
	if (at[0] >> 4 != 6 || at[6] != PROTO_ICMPV6 || at[V6_HEADER] != 128)
		return false;
	*ret_cookie = weft_get_be32(at + V6_HEADER + 4);
	return true;
}

bool weft_pmtu_answer(const uint8_t *pkt, const struct weft_inner *in, uint32_t *ret_cookie)
{
	const uint8_t *icmp = pkt + in->header_len;
	size_t len = in->total_len - in->header_len;

	if (len < ICMP_HEADER)
		return false;
	if (in->version == 4)
		return in->proto == PROTO_ICMP && (weft_get_be16(pkt + 6) & 0x3fff) == 0 &&
		       answer_v4(icmp, len, ret_cookie);
	return in->proto == PROTO_ICMPV6 && answer_v6(icmp, len, ret_cookie);
}

static bool unicast(const struct weft_ip *ip)
{
	if (ip->family == WEFT_IPV4)
		return ip->b[0] != 0 && ip->b[0] != 127 && ip->b[0] < 224;
	return ip->b[0] != 0 && ip->b[0] != 0xff;
}

bool weft_pmtu_target(const struct weft_prefix *allowed, struct weft_ip *ret_ip)
{
	/* Nobody's address: with a hop limit of 1 it gets no further than the peer. RFC 5737, 3849
	 */
	static const struct weft_ip nobody4 = {.b = {192, 0, 2, 1}, .family = WEFT_IPV4};
	static const struct weft_ip nobody6 = {.b = {0x20, 0x01, 0x0d, 0xb8, [15] = 1},
					       .family = WEFT_IPV6};
	struct weft_ip ip = allowed->ip;
	unsigned bytes = weft_family_bytes(ip.family);

	if (bytes == 0)
		return false;
	if (allowed->len == 0)
		ip = ip.family == WEFT_IPV4 ? nobody4 : nobody6;
	else if (allowed->len < 8 * bytes - 1)
		ip.b[bytes - 1] |= 1; /* the prefix has its host bits cleared */
	if (!unicast(&ip))
		return false;
	*ret_ip = ip;
	return true;
}

bool weft_pmtu_too_long(const uint8_t *pkt, size_t pkt_len, size_t len, uint32_t limit,
			uint32_t *ret_mtu)
{
	if (pkt_len < V4_HEADER)
		return false;
	if (pkt[0] >> 4 == 6) {
		/* a link for IPv6 must carry 1280, in pieces if need be (RFC 8200 5) */
		if (limit < WEFT_PMTU_BASE)
			limit = WEFT_PMTU_BASE;
	} else if (!(weft_get_be16(pkt + 6) & V4_DF)) {
		return false;
	}
	*ret_mtu = limit;
	return len > limit;
}
