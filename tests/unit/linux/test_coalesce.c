/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Coalescing: whatever goes in comes out again when the super-packets are cut, in each flow's
 * order; and what must not be merged is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "linux/offload.h"
#include "packets.h"

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define PSH 0x08
#define ACK 0x10
#define URG 0x20
#define ECE 0x40
#define CWR 0x80

#define MAX_PKTS 4096
#define PKT_ROOM 2048

/* What came out: super-packets as they were emitted, and the packets that they were cut into. */
static struct {
	unsigned emitted, merged, pkts;
	size_t len[MAX_PKTS];
	uint8_t pkt[MAX_PKTS][PKT_ROOM];
} out;

static uint8_t in[MAX_PKTS][PKT_ROOM];
static size_t in_len[MAX_PKTS];
static uint8_t copy[MAX_PKTS][PKT_ROOM];

static void on_emit(void *ctx, struct weft_coalesced *c)
{
	static uint8_t gathered[70000];
	struct weft_split split;
	size_t len = 0;
	int n;

	(void)ctx;
	for (unsigned i = 0; i < c->n_iov; i++) {
		memcpy(gathered + len, c->iov[i].iov_base, c->iov[i].iov_len);
		len += c->iov[i].iov_len;
	}
	assert_int_equal(len, c->len);
	assert_true(len <= 65535);
	out.emitted++;
	if (c->n_pkts > 1) {
		out.merged++;
		assert_int_equal(c->hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
		assert_int_not_equal(c->hdr.gso_type, VIRTIO_NET_HDR_GSO_NONE);
		/* The kernel finishes the checksum from this seed. */
		if (c->hdr.csum_start == 20 || c->hdr.csum_start == 40) {
			uint8_t *f = gathered + c->hdr.csum_start + c->hdr.csum_offset;

			assert_int_equal(f[0] << 8 | f[1],
					 slow_pseudo(gathered, c->hdr.csum_offset == 6 ? 17 : 6,
						     len - c->hdr.csum_start));
		}
		if (gathered[0] >> 4 == 4)
			assert_int_equal(slow_sum(gathered, 20, 0), 0xffff);
	} else {
		assert_int_equal(c->hdr.flags, 0);
		assert_int_equal(c->hdr.gso_type, 0);
		assert_int_equal(c->hdr.gso_size, 0);
	}
	n = weft_split_init(&split, &c->hdr, gathered, len);
	assert_int_equal(n, (int)c->n_pkts);
	while (n-- > 0) {
		assert_true(out.pkts < MAX_PKTS);
		out.len[out.pkts] = weft_split_next(&split, out.pkt[out.pkts]);
		out.pkts++;
	}
}

static void run(unsigned n, bool tso, bool uso)
{
	struct weft_coalesce c;

	out.emitted = out.merged = out.pkts = 0;
	memcpy(copy, in, n * sizeof(in[0]));
	weft_coalesce_init(&c, tso, uso, on_emit, NULL);
	for (unsigned i = 0; i < n; i++)
		weft_coalesce_add(&c, in[i], in_len[i]);
	weft_coalesce_flush(&c);
	assert_int_equal(out.pkts, n);
}

/* Everything came out unchanged and in order. */
static void check_same(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(out.len[i], in_len[i]);
		assert_memory_equal(out.pkt[i], copy[i], in_len[i]);
	}
}

static const struct packet_spec tcp = {.family = 4,
				       .proto = IPPROTO_TCP,
				       .host = 1,
				       .ttl = 64,
				       .tcp_flags = ACK,
				       .tcp_options = 12,
				       .sport = 1234,
				       .dport = 443,
				       .ip_id = 65530,
				       .window = 512,
				       .df = true,
				       .seq = 0xffffff00u,
				       .ack = 77,
				       .payload = 1000};

/* `n` segments in a row, the way a sender's card would make them. */
static void fill_row(struct packet_spec s, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		in_len[i] = build_packet(&s, in[i]);
		s.seq += (uint32_t)s.payload;
		s.stream_off += (uint32_t)s.payload;
		s.ip_id++;
	}
}

static struct packet_spec kind_of(unsigned kind)
{
	struct packet_spec s = tcp;

	s.family = kind & 1 ? 6 : 4;
	s.proto = kind & 2 ? IPPROTO_UDP : IPPROTO_TCP;
	return s;
}

static void test_rows_merge(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		fill_row(kind_of(kind), 40);
		run(40, true, true);
		check_same(40);
		assert_int_equal(out.emitted, 1);
		/* Not when the kind is off. */
		fill_row(kind_of(kind), 40);
		run(40, kind >= 2, kind < 2);
		check_same(40);
		assert_int_equal(out.emitted, 40);
	}
}

static void test_limits(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		struct packet_spec s = kind_of(kind);

		s.payload = 1360;
		fill_row(s, 200);
		run(200, true, true);
		check_same(200);
		assert_true(out.emitted >= 4 && out.emitted <= 6);
		s.payload = 10;
		fill_row(s, 200);
		run(200, true, true);
		check_same(200);
		assert_int_equal(out.emitted, 4);
	}
}

/* A shorter segment ends it, and so does PSH. */
static void test_ends(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		struct packet_spec s = kind_of(kind);

		fill_row(s, 6);
		s.payload = 999;
		s.seq += 2000;
		s.stream_off += 2000;
		s.ip_id = (uint16_t)(s.ip_id + 2);
		in_len[2] = build_packet(&s, in[2]);
		run(6, true, true);
		check_same(6);
		assert_int_equal(out.emitted, 2);
		if (s.proto == IPPROTO_TCP) {
			fill_row(tcp, 6);
			s = tcp;
			s.seq += 2000;
			s.stream_off += 2000;
			s.ip_id = (uint16_t)(s.ip_id + 2);
			s.tcp_flags |= PSH;
			in_len[2] = build_packet(&s, in[2]);
			run(6, true, true);
			check_same(6);
			assert_int_equal(out.emitted, 2);
		}
	}
}

/* Each case: two packets that would merge but for one difference. */
static void differ_ttl(struct packet_spec *s)
{
	s->ttl--;
}
static void differ_tos(struct packet_spec *s)
{
	s->tos ^= 3;
}
static void differ_seq(struct packet_spec *s)
{
	s->seq++;
}
static void differ_back(struct packet_spec *s)
{
	s->seq -= 2000;
}
static void differ_ack(struct packet_spec *s)
{
	s->ack++;
}
static void differ_window(struct packet_spec *s)
{
	s->window++;
}
static void differ_options(struct packet_spec *s)
{
	s->tcp_options += 4;
}
static void differ_longer(struct packet_spec *s)
{
	s->payload++;
}
static void differ_empty(struct packet_spec *s)
{
	s->payload = 0;
}
static void differ_fin(struct packet_spec *s)
{
	s->tcp_flags |= FIN;
}
static void differ_syn(struct packet_spec *s)
{
	s->tcp_flags |= SYN;
}
static void differ_rst(struct packet_spec *s)
{
	s->tcp_flags |= RST;
}
static void differ_urg(struct packet_spec *s)
{
	s->tcp_flags |= URG;
}
static void differ_ece(struct packet_spec *s)
{
	s->tcp_flags |= ECE;
}
static void differ_cwr(struct packet_spec *s)
{
	s->tcp_flags |= CWR;
}
static void differ_no_ack(struct packet_spec *s)
{
	s->tcp_flags = 0;
}
static void differ_df(struct packet_spec *s)
{
	s->df = !s->df;
}
static void differ_sport(struct packet_spec *s)
{
	s->sport++;
}
static void differ_dport(struct packet_spec *s)
{
	s->dport++;
}
static void differ_host(struct packet_spec *s)
{
	s->host++;
}

static void test_differences(void **state)
{
	static void (*const all[])(struct packet_spec *) = {
		differ_ttl,    differ_tos,     differ_seq,    differ_back,  differ_ack,
		differ_window, differ_options, differ_longer, differ_empty, differ_fin,
		differ_syn,    differ_rst,     differ_urg,    differ_ece,   differ_cwr,
		differ_no_ack, differ_df,      differ_sport,  differ_dport, differ_host};

	(void)state;
	for (unsigned family = 4; family <= 6; family += 2) {
		for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
			struct packet_spec s = tcp;

			s.family = (uint8_t)family;
			if (family == 6 && all[i] == differ_df)
				continue;
			in_len[0] = build_packet(&s, in[0]);
			s.seq += 1000;
			s.stream_off += 1000;
			s.ip_id++;
			all[i](&s);
			in_len[1] = build_packet(&s, in[1]);
			run(2, true, true);
			check_same(2);
			assert_int_equal(out.emitted, 2);
			assert_int_equal(out.merged, 0);
		}
	}
}

/* Without DF the identification must go up by one; with it, it means nothing. */
static void test_identification(void **state)
{
	struct packet_spec s = tcp;

	(void)state;
	s.df = false;
	fill_row(s, 3);
	run(3, true, true);
	assert_int_equal(out.emitted, 1);
	check_same(3);
	s.ip_id = 7;
	s.seq += 1000;
	s.stream_off += 1000;
	in_len[1] = build_packet(&s, in[1]);
	s.seq += 1000;
	s.stream_off += 1000;
	in_len[2] = build_packet(&s, in[2]);
	run(3, true, true);
	assert_int_equal(out.emitted, 3);
	check_same(3);
	s.df = true;
	for (unsigned i = 0; i < 3; i++) {
		in_len[i] = build_packet(&s, in[i]);
		s.seq += 1000;
	}
	run(3, true, true);
	assert_int_equal(out.emitted, 1);
}

/* A wrong checksum must not come out right. */
static void test_corrupt_stays_corrupt(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		for (unsigned victim = 0; victim < 5; victim++) {
			struct packet_spec s = kind_of(kind);

			fill_row(s, 5);
			in[victim][in_len[victim] - 1] ^= 1;
			run(5, true, true);
			check_same(5);
			/* The sound ones on either side merge all the same. */
			assert_int_equal(out.merged, victim == 2 ? 2 : 1);
			if (s.family == 6)
				continue;
			fill_row(s, 5);
			in[victim][10] ^= 1; /* of the IP header */
			run(5, true, true);
			check_same(5);
		}
	}
}

static void test_udp_without_checksum(void **state)
{
	(void)state;
	fill_row(kind_of(2), 5);
	for (unsigned i = 0; i < 5; i++)
		in[i][26] = in[i][27] = 0;
	run(5, true, true);
	check_same(5);
	assert_int_equal(out.merged, 0);
}

/* Fragments, options, extension headers, other protocols: alone, and nothing overtakes. */
static void test_odd_packets(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		for (unsigned odd = 0; odd < 5; odd++) {
			struct packet_spec s = kind_of(kind);

			fill_row(s, 5);
			s.ip_id = (uint16_t)(s.ip_id + 2);
			s.seq += 2000;
			s.stream_off += 2000;
			if (s.family == 6)
				s.v6_ext = 8;
			in_len[2] = build_packet(&s, in[2]);
			if (s.family == 4 && odd == 0)
				in[2][6] = 0x20; /* more fragments */
			else if (s.family == 4 && odd == 1)
				in[2][7] = 1; /* a later fragment */
			else if (s.family == 4 && odd == 2)
				in[2][6] |= 0x80;
			else if (s.family == 4 && odd == 3)
				in[2][0] = 0x46;
			else if (s.family == 4)
				in[2][9] = 1; /* ICMP */
			run(5, true, true);
			check_same(5);
			assert_int_equal(out.emitted, 3);
		}
	}
}

/* A pure ACK between two rows of its own flow stays between them. */
static void test_ack_keeps_its_place(void **state)
{
	struct packet_spec s = tcp;

	(void)state;
	fill_row(tcp, 5);
	s.seq += 2000;
	s.payload = 0;
	in_len[2] = build_packet(&s, in[2]);
	run(5, true, true);
	check_same(5);
	assert_int_equal(out.emitted, 3);
}

static bool flow_equal(const uint8_t *a, const uint8_t *b)
{
	unsigned addr = a[0] >> 4 == 4 ? 12 : 8, l4 = a[0] >> 4 == 4 ? 20 : 40;

	return a[0] >> 4 == b[0] >> 4 && memcmp(a + addr, b + addr, l4 - addr) == 0 &&
	       memcmp(a + l4, b + l4, 4) == 0;
}

/* More flows than slots, everything mixed: each flow's packets come out in its own order. */
static void test_random_flows(void **state)
{
	enum { FLOWS = 12, N = 600 };
	static bool used[MAX_PKTS];
	unsigned merged = 0;

	(void)state;
	for (unsigned seed = 1; seed <= 40; seed++) {
		struct packet_spec flow[FLOWS];

		srand(seed);
		for (unsigned f = 0; f < FLOWS; f++) {
			flow[f] = kind_of((unsigned)rand() % 4);
			flow[f].sport = (uint16_t)(1000 + f);
			flow[f].df = rand() % 2;
			flow[f].payload = (size_t)(1 + rand() % 1400);
			flow[f].seq = (uint32_t)rand() * 3u;
		}
		for (unsigned i = 0, f = 0; i < N; i++) {
			struct packet_spec s;

			if (rand() % 4 == 0)
				f = (unsigned)rand() % FLOWS;
			s = flow[f];
			if (rand() % 12 == 0)
				s.payload = (size_t)rand() % (s.payload + 1);
			if (rand() % 20 == 0)
				s.tcp_flags ^= (uint8_t)rand();
			in_len[i] = build_packet(&s, in[i]);
			if (rand() % 40 == 0)
				in[i][in_len[i] - 1] ^= 4;
			flow[f].seq += (uint32_t)s.payload;
			flow[f].stream_off += (uint32_t)s.payload;
			flow[f].ip_id++;
		}
		run(N, true, true);
		merged += out.merged;
		/* The n-th of a flow out is the n-th of it in. Where DF is set, the
		 * identification may differ: the flows here count it up, so it does not. */
		memset(used, 0, sizeof(used));
		for (unsigned o = 0; o < out.pkts; o++) {
			unsigned i = 0;

			while (i < N && (used[i] || !flow_equal(copy[i], out.pkt[o])))
				i++;
			if (i == N)
				fail_msg("seed %u: packet %u was never sent", seed, o);
			used[i] = true;
			if (out.len[o] != in_len[i] || memcmp(copy[i], out.pkt[o], in_len[i]) != 0)
				fail_msg("seed %u: packet %u changed or overtook", seed, o);
		}
	}
	assert_true(merged > 100);
}

static void test_garbage(void **state)
{
	(void)state;
	srand(3);
	for (unsigned round = 0; round < 200; round++) {
		unsigned n = 50;

		for (unsigned i = 0; i < n; i++) {
			struct packet_spec s = kind_of((unsigned)rand() % 4);

			s.payload = 100;
			in_len[i] = build_packet(&s, in[i]);
			for (unsigned k = 0; k < (unsigned)rand() % 4; k++)
				in[i][(size_t)rand() % 60] = (uint8_t)rand();
			if (rand() % 3 == 0)
				in_len[i] = (size_t)rand() % (in_len[i] + 1);
			if (in_len[i] == 0)
				in_len[i] = 1;
		}
		run(n, true, true);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_merge),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_differences),
		cmocka_unit_test(test_identification),
		cmocka_unit_test(test_corrupt_stays_corrupt),
		cmocka_unit_test(test_udp_without_checksum),
		cmocka_unit_test(test_odd_packets),
		cmocka_unit_test(test_ack_keeps_its_place),
		cmocka_unit_test(test_random_flows),
		cmocka_unit_test(test_garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
