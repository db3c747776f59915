/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Splitting of super-packets: every segment is compared with a packet built from scratch, and
 * headers that lie are refused.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "linux/offload.h"
#include "packets.h"

#define FIN 0x01
#define PSH 0x08
#define ACK 0x10
#define CWR 0x80

static uint8_t super[70000], out[70000], want[70000];

static struct virtio_net_hdr hdr_for(const struct packet_spec *s, uint16_t gso_size)
{
	struct virtio_net_hdr h = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_size = gso_size};

	h.csum_start = (uint16_t)spec_l4(s);
	h.csum_offset = s->proto == IPPROTO_TCP ? 16 : 6;
	h.hdr_len = (uint16_t)spec_header(s);
	if (s->proto == IPPROTO_UDP)
		h.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
	else
		h.gso_type = s->family == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
	return h;
}

/* Cuts the packet of `s` by `gso_size` and compares each piece with one built for its place. */
static void check_split(const struct packet_spec *s, uint16_t gso_size, uint8_t type_bits)
{
	struct virtio_net_hdr h = hdr_for(s, gso_size);
	size_t len = build_packet(s, super), off = 0, segment;
	unsigned n = (unsigned)((s->payload + gso_size - 1) / gso_size), i;
	struct weft_split split;

	if (n == 0)
		n = 1;
	h.gso_type |= type_bits;
	/* What the checksum field holds must not matter. */
	super[spec_l4(s) + h.csum_offset] ^= 0x55;
	assert_int_equal(weft_split_init(&split, &h, super, len), (int)n);
	segment = weft_split_segment_len(&split);
	for (i = 0; i < n; i++) {
		struct packet_spec piece = *s;
		size_t got, expected;

		piece.payload = s->payload - off < gso_size ? s->payload - off : gso_size;
		piece.stream_off += (uint32_t)off;
		piece.seq += (uint32_t)off;
		piece.ip_id = (uint16_t)(piece.ip_id + i);
		if (i)
			piece.tcp_flags &= (uint8_t)~CWR;
		if (i + 1 < n)
			piece.tcp_flags &= (uint8_t) ~(FIN | PSH);
		expected = build_packet(&piece, want);
		out[expected] = 0xa5;
		got = weft_split_next(&split, out);
		assert_int_equal(got, expected);
		assert_memory_equal(out, want, expected);
		assert_int_equal(out[expected], 0xa5);
		assert_true(i + 1 < n ? got == segment : got <= segment);
		off += piece.payload;
	}
	assert_int_equal(weft_split_next(&split, out), 0);
	assert_int_equal(weft_split_next(&split, out), 0);
}

static const struct packet_spec base = {.family = 4,
					.proto = IPPROTO_TCP,
					.host = 1,
					.ttl = 64,
					.tos = 2,
					.tcp_flags = ACK | PSH,
					.tcp_options = 12,
					.sport = 1234,
					.dport = 443,
					.ip_id = 65530,
					.window = 512,
					.df = true,
					.seq = 0xffffff00u,
					.ack = 77};

static void test_every_kind(void **state)
{
	static const size_t payloads[] = {0, 1, 1367, 1368, 1369, 5000, 64000};

	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
			struct packet_spec s = base;

			s.family = kind & 1 ? 6 : 4;
			s.proto = kind & 2 ? IPPROTO_UDP : IPPROTO_TCP;
			s.payload = payloads[i];
			check_split(&s, 1368, 0);
			check_split(&s, 7, 0);
		}
	}
}

static void test_flags(void **state)
{
	struct packet_spec s = base;

	(void)state;
	s.payload = 5000;
	s.tcp_flags = ACK | PSH | FIN | CWR;
	check_split(&s, 1000, VIRTIO_NET_HDR_GSO_ECN);
	s.payload = 1000; /* the only segment is first and last */
	check_split(&s, 1000, VIRTIO_NET_HDR_GSO_ECN);
	s.tcp_options = 40;
	s.payload = 3001;
	check_split(&s, 500, 0);
}

static void test_v6_extension_headers(void **state)
{
	struct packet_spec s = base;

	(void)state;
	s.family = 6;
	s.payload = 4000;
	for (s.v6_ext = 8; s.v6_ext <= 208; s.v6_ext = (uint8_t)(s.v6_ext + 40)) {
		s.proto = IPPROTO_TCP;
		check_split(&s, 1200, 0);
		s.proto = IPPROTO_UDP;
		check_split(&s, 1200, 0);
	}
}

static void test_random(void **state)
{
	(void)state;
	srand(1);
	for (unsigned i = 0; i < 2000; i++) {
		struct packet_spec s = base;

		s.family = rand() % 2 ? 4 : 6;
		s.proto = rand() % 2 ? IPPROTO_TCP : IPPROTO_UDP;
		s.seq = (uint32_t)rand() * 3u;
		s.ip_id = (uint16_t)rand();
		s.tcp_options = (uint8_t)(rand() % 11 * 4);
		s.tcp_flags = (uint8_t)rand() & (ACK | PSH | FIN | CWR);
		s.stream_off = (uint32_t)rand();
		s.payload = (size_t)(rand() % 4000);
		check_split(&s, (uint16_t)(1 + rand() % 1500), 0);
	}
}

/* The partial checksum of a plain packet holds the pseudo-header's sum. */
static void test_plain_partial(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		struct packet_spec s = base;
		struct virtio_net_hdr h;
		struct weft_split split;
		size_t len;

		s.family = kind & 1 ? 6 : 4;
		s.proto = kind & 2 ? IPPROTO_UDP : IPPROTO_TCP;
		for (s.payload = 0; s.payload < 70; s.payload++) {
			len = build_packet(&s, want);
			memcpy(super, want, len);
			h = hdr_for(&s, 0);
			h.gso_type = VIRTIO_NET_HDR_GSO_NONE;
			put16(super + h.csum_start + h.csum_offset,
			      slow_pseudo(super, s.proto, len - h.csum_start));
			assert_int_equal(weft_split_init(&split, &h, super, len), 1);
			assert_int_equal(weft_split_segment_len(&split), len);
			assert_int_equal(weft_split_next(&split, out), len);
			assert_memory_equal(out, want, len);
			assert_int_equal(weft_split_next(&split, out), 0);
		}
	}
}

static void test_plain_is_untouched(void **state)
{
	struct virtio_net_hdr h = {0};
	struct weft_split split;

	(void)state;
	for (size_t len = 1; len < 100; len++) {
		memset(super, (int)len, len);
		assert_int_equal(weft_split_init(&split, &h, super, len), 1);
		assert_int_equal(weft_split_next(&split, out), len);
		assert_memory_equal(out, super, len);
		assert_int_equal(weft_split_next(&split, out), 0);
	}
}

/* A UDP checksum that comes to zero is sent as 0xffff. */
static void test_udp_zero_checksum(void **state)
{
	struct packet_spec s = base;
	struct virtio_net_hdr h;
	struct weft_split split;
	size_t len;

	(void)state;
	s.proto = IPPROTO_UDP;
	s.payload = 2;
	len = build_packet(&s, super);
	/* The payload's two bytes become what the checksum was: then it is zero. */
	memcpy(super + len - 2, super + 26, 2);
	put16(super + len - 2, (stream_byte(0) << 8 | stream_byte(1)) +
				       (unsigned)(super[26] << 8 | super[27]) +
				       ((stream_byte(0) << 8 | stream_byte(1)) +
						(unsigned)(super[26] << 8 | super[27]) >
					0xffff));
	h = hdr_for(&s, 100);
	assert_int_equal(weft_split_init(&split, &h, super, len), 1);
	assert_int_equal(weft_split_next(&split, out), len);
	assert_int_equal(out[26] << 8 | out[27], 0xffff);
	/* The same for one that is not cut. */
	h.gso_type = VIRTIO_NET_HDR_GSO_NONE;
	put16(super + 26, slow_pseudo(super, IPPROTO_UDP, len - 20));
	assert_int_equal(weft_split_init(&split, &h, super, len), 1);
	assert_int_equal(weft_split_next(&split, out), len);
	assert_int_equal(out[26] << 8 | out[27], 0xffff);
}

static int try_init(const struct virtio_net_hdr *h, const uint8_t *pkt, size_t len)
{
	struct weft_split split;

	return weft_split_init(&split, h, pkt, len);
}

static void test_lies_are_refused(void **state)
{
	struct packet_spec s = base;
	struct virtio_net_hdr good, h;
	size_t len;

	(void)state;
	s.payload = 3000;
	good = hdr_for(&s, 1000);
	len = build_packet(&s, super);
	assert_int_equal(try_init(&good, super, len), 3);
	/* 1: no segment size */
	h = good;
	h.gso_size = 0;
	assert_int_equal(try_init(&h, super, len), -EINVAL);
	/* 2: every truncation, and one byte more than the header says */
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(try_init(&good, super, cut), -EINVAL);
	assert_int_equal(try_init(&good, super, len + 1), -EINVAL);
	/* 3: the wrong family or protocol, kinds that nobody asked for */
	h = good;
	h.gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
	assert_int_equal(try_init(&h, super, len), -EINVAL);
	h.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
	assert_int_equal(try_init(&h, super, len), -EINVAL);
	h.gso_type = 3; /* UFO */
	assert_int_equal(try_init(&h, super, len), -EINVAL);
	h.gso_type = 0x42;
	assert_int_equal(try_init(&h, super, len), -EINVAL);
	/* 4: a checksum that starts elsewhere */
	h = good;
	h.csum_start++;
	assert_int_equal(try_init(&h, super, len), -EINVAL);
	/* 5: header lengths */
	super[0] = 0x44;
	assert_int_equal(try_init(&good, super, len), -EINVAL);
	super[0] = 0x45;
	super[32] = 0x40;
	assert_int_equal(try_init(&good, super, len), -EINVAL);
	super[32] = 0x80;
	/* 6: a fragment */
	super[6] = 0x20;
	assert_int_equal(try_init(&good, super, len), -EINVAL);
	super[6] = 0x40;
	assert_int_equal(try_init(&good, super, len), 3);
	/* 7: data offset past the end */
	s.payload = 0;
	s.tcp_options = 0;
	len = build_packet(&s, super);
	super[32] = 0xf0;
	assert_int_equal(try_init(&good, super, len), -EINVAL);
}

static void test_v6_lies_are_refused(void **state)
{
	struct packet_spec s = base;
	struct virtio_net_hdr good;
	size_t len;

	(void)state;
	s.family = 6;
	s.v6_ext = 16;
	s.payload = 3000;
	good = hdr_for(&s, 1000);
	len = build_packet(&s, super);
	assert_int_equal(try_init(&good, super, len), 3);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(try_init(&good, super, cut), -EINVAL);
	/* 1: an extension header longer than one byte can count, or than the packet */
	super[41] = 255;
	good.flags = 0;
	assert_int_equal(try_init(&good, super, len), -EINVAL);
	good.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	assert_int_equal(try_init(&good, super, len), -EINVAL);
	/* 2: a fragment header */
	super[41] = 1;
	super[6] = IPPROTO_FRAGMENT;
	assert_int_equal(try_init(&good, super, len), -EINVAL);
	/* 3: a chain that ends in nothing */
	super[6] = IPPROTO_DSTOPTS;
	super[40] = IPPROTO_NONE;
	assert_int_equal(try_init(&good, super, len), -EINVAL);
}

static void test_plain_lies_are_refused(void **state)
{
	struct virtio_net_hdr h = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM};

	(void)state;
	for (unsigned start = 0; start < 120; start++) {
		for (unsigned offset = 0; offset < 120; offset++) {
			int want_r = start + offset + 2 <= 100 ? 1 : -EINVAL;

			h.csum_start = (uint16_t)start;
			h.csum_offset = (uint16_t)offset;
			assert_int_equal(try_init(&h, super, 100), want_r);
		}
	}
	h.csum_start = h.csum_offset = 65535;
	assert_int_equal(try_init(&h, super, 65535), -EINVAL);
	assert_int_equal(try_init(&h, super, 0), -EINVAL);
	assert_int_equal(try_init(&h, super, WEFT_SPLIT_MAX_PACKET + 1), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_kind),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_v6_extension_headers),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_plain_partial),
		cmocka_unit_test(test_plain_is_untouched),
		cmocka_unit_test(test_udp_zero_checksum),
		cmocka_unit_test(test_lies_are_refused),
		cmocka_unit_test(test_v6_lies_are_refused),
		cmocka_unit_test(test_plain_lies_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
