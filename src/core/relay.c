/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One router hop inside the tunnel (relay.h). Knows the core's tables, no machine.
 */
#include "core/relay.h"

#include <string.h>

#include "core/inner.h"
#include "core/peer.h"
#include "util/cursor.h"

#define V4_HEADER    20
#define V4_TTL       8
#define V6_HOP_LIMIT 7
#define V4_DF        0x4000
#define V6_HOPBYHOP  0
#define V6_LEAST_MTU 1280

void weft_relay_init(struct weft_relay *r, struct weft_worker *w,
		     const struct weft_relay_hooks *hooks)
{
	memset(r, 0, sizeof(*r));
	r->w = w;
	r->hooks = *hooks;
}

void weft_relay_end(struct weft_relay *r)
{
	r->known = false;
}

/* Addresses that a router forwards between: of one host, and not of one link (RFC 6890). */
static bool routable_v4(const uint8_t *ip)
{
	return ip[0] != 0 && ip[0] != 127 && ip[0] < 224 && !(ip[0] == 169 && ip[1] == 254);
}

static bool routable_v6(const uint8_t *ip)
{
	static const uint8_t low[15]; /* "::", "::1" and what else lies there */

	return ip[0] != 0xff && !(ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80) &&
	       memcmp(ip, low, sizeof(low)) != 0;
}

static bool v4_sum_is_right(const uint8_t *pkt)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < V4_HEADER; i += 2)
		sum += weft_get_be16(pkt + i);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

/* No more than an address and a hop limit to look at. */
static bool plain(const uint8_t *pkt, const struct weft_inner *in)
{
	if (in->version == 4)
		return in->header_len == V4_HEADER && routable_v4(in->src.b) &&
		       routable_v4(in->dst.b) && v4_sum_is_right(pkt);
	return in->proto != V6_HOPBYHOP && routable_v6(in->src.b) && routable_v6(in->dst.b);
}

/* Where packets of this flow go. Fills what the relay remembers of it. */
static void look_up(struct weft_relay *r, struct weft_peer *from, const struct weft_inner *in)
{
	struct weft_device *dev = r->w->dev;
	struct weft_peer *to = weft_peer_of_set(weft_allowedips_lookup(&dev->allowed, &in->dst));
	uint32_t limit;
	int rc;

	r->known = true;
	r->from = from;
	r->src = in->src;
	r->dst = in->dst;
	r->max_len = 0;
	/* back to the same peer: a matter of redirects and routes, so the host's */
	if (!to || to == from || !r->hooks.route)
		return;
	rc = weft_tx_begin_peer(r->w, to, &r->to);
	if (rc != 0 && rc != WEFT_E_NO_SESSION)
		return; /* the host's way ends in the error that is due */
	r->session = rc == 0;
	r->max_len = r->hooks.route(r->hooks.ctx, &in->src, &in->dst);
	limit = weft_tx_limit(&r->to);
	if (in->version == 6 && limit < V6_LEAST_MTU)
		limit = V6_LEAST_MTU; /* in pieces, if need be */
	if (r->max_len > limit)
		r->max_len = limit;
}

static bool answer_is_due(struct weft_relay *r, const struct weft_peer *from)
{
	uint64_t second = r->w->now_ns / WEFT_NS_PER_S;
	uint8_t *n = &r->answers[((uintptr_t)from >> 6) % WEFT_RELAY_ICMP_BUCKETS];

	if (r->second != second) {
		r->second = second;
		memset(r->answers, 0, sizeof(r->answers));
	}
	if (*n >= WEFT_RELAY_ICMP_PER_SECOND)
		return false;
	(*n)++;
	return true;
}

/* Drops the packet for `reason`, and says so to its sender if that is due. */
static enum weft_relay_verdict answer(struct weft_relay *r, struct weft_peer *from,
				      const struct weft_icmp_error *error, enum weft_drop reason,
				      const uint8_t *inner, size_t len, struct weft_relayed *ret)
{
	struct weft_icmp_error e = *error;
	struct weft_ip own;
	size_t n;
	int rc;

	weft_worker_count_drop(r->w, reason, 1);
	if (!answer_is_due(r, from))
		return WEFT_RELAY_DROP;
	if (r->hooks.source && r->hooks.source(r->hooks.ctx, &r->src, &own) &&
	    own.family == r->src.family)
		e.from = &own;
	n = weft_icmp_error(r->icmp, &e, inner, len);
	if (n == 0)
		return WEFT_RELAY_DROP;
	r->known = false; /* its place is needed */
	rc = weft_tx_begin_peer(r->w, from, &r->to);
	if (rc != 0 && rc != WEFT_E_NO_SESSION)
		return WEFT_RELAY_DROP;
	*ret = (struct weft_relayed){.to = &r->to, .pkt = r->icmp, .len = n, .session = rc == 0};
	return WEFT_RELAY_ANSWER;
}

/* RFC 1624, equation 3, for the 16-bit word that the TTL is the upper half of. */
static void lower_hop_limit(uint8_t *pkt, unsigned version)
{
	uint32_t sum;

	if (version == 6) {
		pkt[V6_HOP_LIMIT]--;
		return;
	}
	sum = (uint16_t)~weft_get_be16(pkt + 10);
	sum += (uint16_t)~weft_get_be16(pkt + V4_TTL);
	pkt[V4_TTL]--;
	sum += weft_get_be16(pkt + V4_TTL);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	weft_put_be16(pkt + 10, (uint16_t)~sum);
}

static enum weft_relay_verdict forward(struct weft_relay *r, struct weft_peer *from,
				       const struct weft_inner *in, uint8_t *inner, size_t len,
				       struct weft_relayed *ret)
{
	static const struct weft_icmp_error exceeded = {.kind = WEFT_ICMP_TIME_EXCEEDED};
	uint32_t mtu = atomic_load_explicit(&r->w->dev->mtu, memory_order_relaxed);

	if (mtu > r->max_len)
		mtu = r->max_len;
	if (in->version == 4 && len > mtu && !(weft_get_be16(inner + 6) & V4_DF))
		return WEFT_RELAY_HOST; /* it fragments */
	if (r->hooks.allowed &&
	    !r->hooks.allowed(r->hooks.ctx, from, r->to.peer, inner, in->total_len)) {
		weft_worker_count_drop(r->w, WEFT_DROP_RELAY_POLICY, 1);
		return WEFT_RELAY_DROP;
	}
	if (inner[in->version == 4 ? V4_TTL : V6_HOP_LIMIT] <= 1)
		return answer(r, from, &exceeded, WEFT_DROP_RELAY_TTL, inner, len, ret);
	if (len > mtu) {
		const struct weft_icmp_error too_big = {
			.kind = WEFT_ICMP_TOO_BIG,
			.mtu = in->version == 6 && mtu < V6_LEAST_MTU ? V6_LEAST_MTU : mtu,
		};

		return answer(r, from, &too_big, WEFT_DROP_RELAY_MTU, inner, len, ret);
	}
	lower_hop_limit(inner, in->version);
	weft_worker_count_relayed(r->w, len);
	*ret = (struct weft_relayed){.to = &r->to, .pkt = inner, .len = len, .session = r->session};
	return WEFT_RELAY_FORWARD;
}

enum weft_relay_verdict weft_relay_packet(struct weft_relay *r, struct weft_peer *from,
					  uint8_t *inner, size_t len,
					  struct weft_relayed *ret_relayed)
{
	struct weft_inner in;

	if (weft_inner_parse(inner, len, &in) != 0 || in.total_len != len || !plain(inner, &in))
		return WEFT_RELAY_HOST;
	if (!r->known || r->from != from || !weft_ip_equal(&r->dst, &in.dst) ||
	    !weft_ip_equal(&r->src, &in.src))
		look_up(r, from, &in);
	if (r->max_len == 0)
		return WEFT_RELAY_HOST;
	return forward(r, from, &in, inner, len, ret_relayed);
}
