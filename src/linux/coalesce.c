/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decrypted packets of one flow become one super-packet for the TUN. Pure; trusts nothing in the
 * packets. The rules are those of the kernel's tcp_gro_receive and udp_gro_receive_segment: only
 * what split.c or a network card would cut into the same packets again is merged.
 *
 * A super-packet's checksum is left to the kernel to fill in, so a packet with a wrong one would
 * leave with a right one. Therefore whatever is merged is verified first; what stays alone is
 * handed over as it came.
 */
#include <netinet/in.h>

#include "linux/csum.h"
#include "linux/offload.h"
#include "util/cursor.h"

#define IP4_HEADER 20
#define IP6_HEADER 40
#define TCP_HEADER 20
#define UDP_HEADER 8
#define IP4_DF     0x4000

/* Of byte 13 of the TCP header. */
#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_URG 0x20
#define TCP_CWR 0x80

#define MAX_SUPER_PACKET 65535

struct parsed {
	uint8_t *pkt;
	size_t len;
	size_t payload;
	uint8_t family; /* 4, 6, or 0: neither */
	uint8_t proto;  /* 0: no flow that we know (fragment, options, extension headers) */
	uint8_t l3_len, l4_len;
	bool mergeable;
	bool ends; /* nothing may follow in the same super-packet */
};

void weft_coalesce_init(struct weft_coalesce *c, bool tso, bool uso,
			void (*emit)(void *ctx, struct weft_coalesced *c), void *ctx)
{
	for (unsigned i = 0; i < WEFT_COALESCE_FLOWS; i++)
		c->flow[i].n_pkts = 0;
	c->n = 0;
	c->tso = tso;
	c->uso = uso;
	c->emit = emit;
	c->ctx = ctx;
}

static void parse_tcp(struct parsed *p)
{
	const uint8_t *th = p->pkt + p->l3_len;
	size_t room = p->len - p->l3_len;
	uint8_t flags;

	if (room < TCP_HEADER || (size_t)(th[12] >> 4) * 4 < TCP_HEADER ||
	    (size_t)(th[12] >> 4) * 4 > room)
		return;
	p->proto = IPPROTO_TCP;
	p->l4_len = (uint8_t)((th[12] >> 4) * 4);
	p->payload = room - p->l4_len;
	flags = th[13];
	p->ends = (flags & TCP_PSH) != 0;
	p->mergeable = p->payload > 0 && (flags & TCP_ACK) &&
		       !(flags & (TCP_FIN | TCP_SYN | TCP_RST | TCP_URG | TCP_CWR));
}

static void parse_udp(struct parsed *p)
{
	const uint8_t *uh = p->pkt + p->l3_len;
	size_t room = p->len - p->l3_len;

	if (room < UDP_HEADER)
		return;
	p->proto = IPPROTO_UDP;
	p->l4_len = UDP_HEADER;
	p->payload = room - UDP_HEADER;
	/* Without a checksum it stays alone: the super-packet would give it one. */
	p->mergeable = p->payload > 0 && weft_get_be16(uh + 4) == room && weft_get_be16(uh + 6);
}

static void parse(struct parsed *p, uint8_t *pkt, size_t len)
{
	uint8_t proto = 0;

	*p = (struct parsed){.pkt = pkt, .len = len};
	if (len >= IP4_HEADER && pkt[0] >> 4 == 4) {
		p->family = 4;
		/* Options and fragments never; trailing bytes are not ours to judge. */
		if (pkt[0] != 0x45 || weft_get_be16(pkt + 2) != len ||
		    weft_get_be16(pkt + 6) & 0xbfff)
			return;
		p->l3_len = IP4_HEADER;
		proto = pkt[9];
	} else if (len >= IP6_HEADER && pkt[0] >> 4 == 6) {
		p->family = 6;
		if ((size_t)weft_get_be16(pkt + 4) + IP6_HEADER != len)
			return;
		p->l3_len = IP6_HEADER;
		proto = pkt[6];
	}
	if (proto == IPPROTO_TCP)
		parse_tcp(p);
	else if (proto == IPPROTO_UDP)
		parse_udp(p);
}

static bool checksums_valid(const uint8_t *pkt, size_t len, uint8_t l3_len, uint8_t proto)
{
	uint64_t sum;

	if (pkt[0] >> 4 == 4 && weft_csum_fold(weft_csum_tail(pkt, l3_len, 0)) != 0xffff)
		return false;
	sum = weft_csum_pseudo(pkt, proto, len - l3_len);
	return weft_csum_fold(weft_csum_add(NULL, pkt + l3_len, len - l3_len, sum)) == 0xffff;
}

static bool same_addresses(const struct weft_coalesced *f, const struct parsed *p)
{
	const uint8_t *first = f->iov[0].iov_base;

	if (f->family != p->family)
		return false;
	return p->family == 4 ? memcmp(first + 12, p->pkt + 12, 8) == 0
			      : memcmp(first + 8, p->pkt + 8, 32) == 0;
}

static bool same_flow(const struct weft_coalesced *f, const struct parsed *p)
{
	const uint8_t *first = f->iov[0].iov_base;

	return f->proto == p->proto && same_addresses(f, p) &&
	       memcmp(first + f->l3_len, p->pkt + p->l3_len, 4) == 0;
}

/* All that the segments of one super-packet share in the IP header. */
static bool same_ip_header(const struct weft_coalesced *f, const struct parsed *p)
{
	const uint8_t *a = f->iov[0].iov_base, *b = p->pkt;

	if (p->family == 6)
		return memcmp(a, b, 4) == 0 && a[7] == b[7];
	if (a[1] != b[1] || memcmp(a + 6, b + 6, 3) != 0)
		return false;
	/* With DF set the identification means nothing (RFC 6864, 4.1). */
	return weft_get_be16(a + 6) & IP4_DF ||
	       (uint16_t)(weft_get_be16(a + 4) + f->n_pkts) == weft_get_be16(b + 4);
}

static bool same_tcp_header(const struct weft_coalesced *f, const struct parsed *p)
{
	const uint8_t *a = (const uint8_t *)f->iov[0].iov_base + f->l3_len;
	const uint8_t *b = p->pkt + p->l3_len;

	/* Acknowledgement, data offset and reserved bits, flags but PSH, window, options. */
	return f->l4_len == p->l4_len && weft_get_be32(b + 4) == f->next_seq &&
	       memcmp(a + 8, b + 8, 5) == 0 && ((a[13] ^ b[13]) & ~TCP_PSH) == 0 &&
	       memcmp(a + 14, b + 14, 2) == 0 && memcmp(a + 18, b + 18, p->l4_len - 18u) == 0;
}

static bool can_join(const struct weft_coalesced *f, const struct parsed *p)
{
	if (p->payload > f->gso_size || f->len + p->payload > MAX_SUPER_PACKET)
		return false;
	if (!same_ip_header(f, p))
		return false;
	if (p->proto == IPPROTO_TCP && !same_tcp_header(f, p))
		return false;
	return checksums_valid(p->pkt, p->len, p->l3_len, p->proto);
}

/* Makes the first packet's headers those of the whole. */
static void patch_headers(struct weft_coalesced *f)
{
	uint8_t *ip = f->iov[0].iov_base;
	uint8_t *l4 = ip + f->l3_len;
	size_t l4_total = f->len - f->l3_len;
	uint16_t pseudo = weft_csum_fold(weft_csum_pseudo(ip, f->proto, l4_total));

	if (f->family == 4) {
		weft_put_be16(ip + 2, (uint16_t)f->len);
		weft_csum_store(ip + 10, 0);
		weft_csum_store(ip + 10,
				(uint16_t)~weft_csum_fold(weft_csum_tail(ip, f->l3_len, 0)));
	} else {
		weft_put_be16(ip + 4, (uint16_t)l4_total);
	}
	f->hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	f->hdr.hdr_len = (uint16_t)(f->l3_len + f->l4_len);
	f->hdr.gso_size = f->gso_size;
	f->hdr.csum_start = f->l3_len;
	if (f->proto == IPPROTO_UDP) {
		weft_put_be16(l4 + 4, (uint16_t)l4_total);
		weft_csum_store(l4 + 6, pseudo);
		f->hdr.csum_offset = 6;
		f->hdr.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
	} else {
		if (f->closed_by_psh)
			l4[13] |= TCP_PSH;
		weft_csum_store(l4 + 16, pseudo);
		f->hdr.csum_offset = 16;
		f->hdr.gso_type =
			f->family == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
	}
}

static void emit_flow(struct weft_coalesce *c, struct weft_coalesced *f)
{
	if (f->n_pkts == 0)
		return;
	memset(&f->hdr, 0, sizeof(f->hdr));
	if (f->n_pkts > 1)
		patch_headers(f);
	c->emit(c->ctx, f);
	f->n_pkts = 0;
}

static void start(struct weft_coalesced *f, const struct parsed *p)
{
	f->iov[0] = (struct iovec){p->pkt, p->len};
	f->n_iov = 1;
	f->n_pkts = 1;
	f->len = p->len;
	f->l3_len = p->l3_len;
	f->l4_len = p->l4_len;
	f->family = p->family;
	f->proto = p->proto;
	f->gso_size = (uint16_t)p->payload;
	f->first_verified = false;
	f->closed_by_psh = false;
	if (p->proto == IPPROTO_TCP)
		f->next_seq = weft_get_be32(p->pkt + p->l3_len + 4) + (uint32_t)p->payload;
}

static void emit_single(struct weft_coalesce *c, const struct parsed *p)
{
	struct weft_coalesced one;

	start(&one, p);
	emit_flow(c, &one);
}

static bool first_valid(struct weft_coalesced *f)
{
	if (!f->first_verified)
		f->first_verified =
			checksums_valid(f->iov[0].iov_base, f->iov[0].iov_len, f->l3_len, f->proto);
	return f->first_verified;
}

/* Adds to a flow that is there; what does not fit goes out first, and a new one begins. */
static void add_to(struct weft_coalesce *c, struct weft_coalesced *f, const struct parsed *p)
{
	if (!can_join(f, p) || !first_valid(f)) {
		emit_flow(c, f);
		start(f, p);
		if (p->ends)
			emit_flow(c, f);
		return;
	}
	f->iov[f->n_iov++] = (struct iovec){p->pkt + p->l3_len + p->l4_len, p->payload};
	f->n_pkts++;
	f->len += p->payload;
	f->next_seq += (uint32_t)p->payload;
	f->closed_by_psh = p->ends;
	if (p->ends || p->payload < f->gso_size || f->n_iov == WEFT_COALESCE_MAX_PKTS)
		emit_flow(c, f);
}

void weft_coalesce_add(struct weft_coalesce *c, uint8_t *pkt, size_t len)
{
	struct weft_coalesced *slot = NULL;
	struct parsed p;
	bool wanted;

	parse(&p, pkt, len);
	wanted = p.mergeable && (p.proto == IPPROTO_TCP ? c->tso : c->uso);
	for (unsigned i = 0; i < WEFT_COALESCE_FLOWS; i++) {
		struct weft_coalesced *f = &c->flow[i];

		if (f->n_pkts == 0)
			continue;
		if (p.proto == 0) {
			/* Perhaps a piece of any flow between the two: it must not overtake. */
			if (same_addresses(f, &p))
				emit_flow(c, f);
		} else if (same_flow(f, &p)) {
			slot = f;
			break;
		}
	}
	if (slot && wanted) {
		add_to(c, slot, &p);
		return;
	}
	if (slot)
		emit_flow(c, slot);
	if (!wanted || p.ends) {
		emit_single(c, &p);
		return;
	}
	/* A ring: the slot that was begun longest ago gives way. */
	slot = &c->flow[c->n];
	c->n = (c->n + 1) % WEFT_COALESCE_FLOWS;
	emit_flow(c, slot);
	start(slot, &p);
}

void weft_coalesce_flush(struct weft_coalesce *c)
{
	for (unsigned i = 0; i < WEFT_COALESCE_FLOWS; i++)
		emit_flow(c, &c->flow[(c->n + i) % WEFT_COALESCE_FLOWS]);
}
