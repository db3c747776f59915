/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One super-packet from the TUN becomes the packets that a network card would have made of it.
 * Pure; trusts neither the vnet header nor the packet. Follows tcp_gso_segment and
 * __udp_gso_segment of the kernel, and the virtio spec, 5.1.6.2.
 */
#include <errno.h>
#include <netinet/in.h>

#include "linux/csum.h"
#include "linux/offload.h"
#include "util/cursor.h"

#define IP4_HEADER 20
#define IP6_HEADER 40
#define TCP_HEADER 20
#define UDP_HEADER 8

/* Of byte 13 of the TCP header. */
#define TCP_FIN 0x01
#define TCP_PSH 0x08
#define TCP_CWR 0x80

/* Where the transport header of a GSO packet starts, or -EINVAL. */
static int find_l4_v4(const uint8_t *pkt, size_t len, uint8_t proto)
{
	size_t ihl;

	if (len < IP4_HEADER || pkt[0] >> 4 != 4)
		return -EINVAL;
	ihl = (size_t)(pkt[0] & 0x0f) * 4;
	if (ihl < IP4_HEADER || ihl > len || pkt[9] != proto)
		return -EINVAL;
	/* A fragment has no transport header to repeat. */
	if (weft_get_be16(pkt + 2) != len || weft_get_be16(pkt + 6) & 0x3fff)
		return -EINVAL;
	return (int)ihl;
}

static int find_l4_v6(const uint8_t *pkt, size_t len, uint8_t proto)
{
	size_t off = IP6_HEADER;
	uint8_t next;

	if (len < IP6_HEADER || pkt[0] >> 4 != 6)
		return -EINVAL;
	if ((size_t)weft_get_be16(pkt + 4) + IP6_HEADER != len)
		return -EINVAL;
	next = pkt[6];
	while (next != proto) {
		/* A fragment header ends it here: not a super-packet's. */
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS)
			return -EINVAL;
		if (len - off < 8)
			return -EINVAL;
		next = pkt[off];
		off += ((size_t)pkt[off + 1] + 1) * 8;
		/* struct weft_split counts the offset in one byte. */
		if (off > len || off > UINT8_MAX)
			return -EINVAL;
	}
	return (int)off;
}

static int init_plain(struct weft_split *s, const struct virtio_net_hdr *hdr, size_t len)
{
	s->needs_csum = (hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0;
	if (!s->needs_csum)
		return 1;
	s->csum_start = hdr->csum_start;
	s->csum_offset = hdr->csum_offset;
	/* The field lies past the place where summing begins. */
	if ((size_t)s->csum_start + s->csum_offset + 2 > len)
		return -EINVAL;
	return 1;
}

int weft_split_init(struct weft_split *s, const struct virtio_net_hdr *hdr, const uint8_t *pkt,
		    size_t len)
{
	uint8_t type = hdr->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
	size_t l4_len;
	int l4;

	memset(s, 0, sizeof(*s));
	s->pkt = pkt;
	s->len = len;
	if (len < 1 || len > WEFT_SPLIT_MAX_PACKET)
		return -EINVAL;
	if (type == VIRTIO_NET_HDR_GSO_NONE)
		return init_plain(s, hdr, len);

	if (type == VIRTIO_NET_HDR_GSO_TCPV4)
		l4 = find_l4_v4(pkt, len, IPPROTO_TCP);
	else if (type == VIRTIO_NET_HDR_GSO_TCPV6)
		l4 = find_l4_v6(pkt, len, IPPROTO_TCP);
	else if (type != VIRTIO_NET_HDR_GSO_UDP_L4)
		l4 = -EINVAL;
	else if (pkt[0] >> 4 == 4)
		l4 = find_l4_v4(pkt, len, IPPROTO_UDP);
	else
		l4 = find_l4_v6(pkt, len, IPPROTO_UDP);
	if (l4 < 0 || hdr->gso_size == 0)
		return -EINVAL;
	if (hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM && hdr->csum_start != l4)
		return -EINVAL;

	l4_len = UDP_HEADER;
	if (type != VIRTIO_NET_HDR_GSO_UDP_L4) {
		if (len - (size_t)l4 < TCP_HEADER)
			return -EINVAL;
		l4_len = (size_t)(pkt[l4 + 12] >> 4) * 4;
		if (l4_len < TCP_HEADER)
			return -EINVAL;
	}
	if (len - (size_t)l4 < l4_len)
		return -EINVAL;

	s->gso_type = type;
	s->gso_size = hdr->gso_size;
	s->l4_offset = (uint8_t)l4;
	s->header_len = (size_t)l4 + l4_len;
	if (len == s->header_len)
		return 1;
	return (int)((len - s->header_len + s->gso_size - 1) / s->gso_size);
}

size_t weft_split_segment_len(const struct weft_split *s)
{
	size_t payload = s->len - s->header_len;

	if (s->gso_size == 0)
		return s->len;
	return s->header_len + (payload < s->gso_size ? payload : s->gso_size);
}

/* A plain packet, with its partial checksum finished. */
static size_t next_plain(struct weft_split *s, uint8_t *out)
{
	uint16_t csum;

	if (s->index++)
		return 0;
	if (!s->needs_csum) {
		memcpy(out, s->pkt, s->len);
		return s->len;
	}
	memcpy(out, s->pkt, s->csum_start);
	csum = (uint16_t)~weft_csum_fold(weft_csum_add(out + s->csum_start, s->pkt + s->csum_start,
						       s->len - s->csum_start, 0));
	/* Zero means "none" in UDP, and 0xffff is the same number. */
	weft_csum_store(out + s->csum_start + s->csum_offset, csum ? csum : 0xffff);
	return s->len;
}

static void patch_ip(const struct weft_split *s, uint8_t *out, size_t total)
{
	if (out[0] >> 4 == 4) {
		weft_put_be16(out + 2, (uint16_t)total);
		weft_put_be16(out + 4, (uint16_t)(weft_get_be16(out + 4) + s->index));
		weft_csum_store(out + 10, 0);
		weft_csum_store(out + 10,
				(uint16_t)~weft_csum_fold(weft_csum_tail(out, s->l4_offset, 0)));
	} else {
		weft_put_be16(out + 4, (uint16_t)(total - IP6_HEADER));
	}
}

size_t weft_split_next(struct weft_split *s, uint8_t *out)
{
	size_t payload, left, total, l4_len;
	uint8_t *l4 = out + s->l4_offset;
	uint8_t proto, *field;
	uint64_t sum;
	uint16_t csum;
	bool last;

	if (s->gso_size == 0)
		return next_plain(s, out);
	left = s->len - s->header_len - s->offset;
	if (left == 0 && s->index)
		return 0;
	last = left <= s->gso_size;
	payload = last ? left : s->gso_size;
	total = s->header_len + payload;
	l4_len = total - s->l4_offset;

	memcpy(out, s->pkt, s->header_len);
	patch_ip(s, out, total);
	if (s->gso_type == VIRTIO_NET_HDR_GSO_UDP_L4) {
		proto = IPPROTO_UDP;
		field = l4 + 6;
		weft_put_be16(l4 + 4, (uint16_t)l4_len);
	} else {
		proto = IPPROTO_TCP;
		field = l4 + 16;
		weft_put_be32(l4 + 4, weft_get_be32(l4 + 4) + (uint32_t)s->offset);
		if (!last)
			l4[13] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
		if (s->index)
			l4[13] &= (uint8_t)~TCP_CWR;
	}
	weft_csum_store(field, 0);
	sum = weft_csum_pseudo(out, proto, l4_len);
	sum = weft_csum_tail(l4, s->header_len - s->l4_offset, sum);
	sum = weft_csum_add(out + s->header_len, s->pkt + s->header_len + s->offset, payload, sum);
	csum = (uint16_t)~weft_csum_fold(sum);
	weft_csum_store(field, csum || proto == IPPROTO_TCP ? csum : 0xffff);

	s->offset += payload;
	s->index++;
	return total;
}
