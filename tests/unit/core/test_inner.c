/* SPDX-License-Identifier: Apache-2.0 */
/* Inner packets: good and hostile headers, and all sixteen pairs of RFC 6040's figure 4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/inner.h"
#include "unit_random.h"

static uint16_t checksum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void make_v4(uint8_t *p, uint16_t total, uint8_t ihl, uint8_t tos)
{
	static const uint8_t base[20] = {0x45, 0, 0,  0, 0x12, 0x34, 0x40, 0, 64, 17,
					 0,    0, 10, 0, 0,    1,    192,  0, 2,  7};
	uint16_t sum;

	memcpy(p, base, 20);
	p[0] = (uint8_t)(0x40 | ihl);
	p[1] = tos;
	p[2] = (uint8_t)(total >> 8);
	p[3] = (uint8_t)total;
	sum = checksum(p, 20);
	p[10] = (uint8_t)(sum >> 8);
	p[11] = (uint8_t)sum;
}

static void test_v4(void **state)
{
	uint8_t p[64] = {0};
	struct weft_inner in;

	(void)state;
	make_v4(p, 28, 5, 0xb9);
	assert_int_equal(weft_inner_parse(p, 32, &in), 0);
	assert_int_equal(in.version, 4);
	assert_int_equal(in.ecn, 1);
	assert_int_equal(in.proto, 17);
	assert_int_equal(in.header_len, 20);
	assert_int_equal(in.total_len, 28);
	assert_int_equal(in.src.family, WEFT_IPV4);
	assert_memory_equal(in.src.b, ((uint8_t[16]){10, 0, 0, 1}), 16);
	assert_memory_equal(in.dst.b, ((uint8_t[16]){192, 0, 2, 7}), 16);
	make_v4(p, 40, 9, 0);
	assert_int_equal(weft_inner_parse(p, 40, &in), 0);
	assert_int_equal(in.header_len, 36);
}

static void test_v6(void **state)
{
	uint8_t p[64] = {0x6a, 0xb3, 1, 2, 0, 8, 58, 64, 0xfd, [23] = 1, [24] = 0xfe, [39] = 2};
	struct weft_inner in;

	(void)state;
	assert_int_equal(weft_inner_parse(p, 64, &in), 0);
	assert_int_equal(in.version, 6);
	assert_int_equal(in.ecn, 3);
	assert_int_equal(in.proto, 58);
	assert_int_equal(in.header_len, 40);
	assert_int_equal(in.total_len, 48);
	assert_memory_equal(in.src.b, p + 8, 16);
	assert_memory_equal(in.dst.b, p + 24, 16);
	assert_int_equal(in.dst.family, WEFT_IPV6);
}

static void test_bad(void **state)
{
	uint8_t p[64] = {0};
	struct weft_inner in;

	(void)state;
	assert_int_equal(weft_inner_parse(p, 0, &in), WEFT_E_TRUNCATED);
	assert_int_equal(weft_inner_parse(p, 64, &in), WEFT_E_PARSE);
	make_v4(p, 28, 5, 0);
	assert_int_equal(weft_inner_parse(p, 19, &in), WEFT_E_TRUNCATED);
	assert_int_equal(weft_inner_parse(p, 27, &in), WEFT_E_TRUNCATED);
	make_v4(p, 19, 5, 0);
	assert_int_equal(weft_inner_parse(p, 64, &in), WEFT_E_PARSE);
	make_v4(p, 28, 4, 0);
	assert_int_equal(weft_inner_parse(p, 64, &in), WEFT_E_PARSE);
	make_v4(p, 28, 8, 0);
	assert_int_equal(weft_inner_parse(p, 64, &in), WEFT_E_PARSE);
	memset(p, 0, sizeof(p));
	p[0] = 0x60;
	assert_int_equal(weft_inner_parse(p, 39, &in), WEFT_E_TRUNCATED);
	p[5] = 25;
	assert_int_equal(weft_inner_parse(p, 64, &in), WEFT_E_TRUNCATED);
	p[5] = 24;
	assert_int_equal(weft_inner_parse(p, 64, &in), 0);
	p[0] = 0x50;
	assert_int_equal(weft_inner_parse(p, 64, &in), WEFT_E_PARSE);
}

/* Exactly sized heap copies: a read past the end is the sanitizer's. */
static void test_random_bytes(void **state)
{
	uint64_t seed = unit_seed();

	(void)state;
	for (int i = 0; i < 20000; i++) {
		size_t len = unit_random(&seed) % 80;
		uint8_t *p = malloc(len ? len : 1);
		struct weft_inner in;
		int rc;

		assert_non_null(p);
		for (size_t j = 0; j < len; j++)
			p[j] = (uint8_t)unit_random(&seed);
		if (len)
			p[0] = (uint8_t)((unit_random(&seed) % 2 ? 0x40 : 0x60) | (p[0] & 15));
		if (len > 5 && unit_random(&seed) % 2)
			p[2] = p[4] = 0;
		(void)weft_inner_flow(p, len, seed);
		rc = weft_ecn_mark(p, len);
		assert_true(rc == 0 || rc == WEFT_E_DROP);
		if (weft_inner_parse(p, len, &in) == 0) {
			assert_true(in.header_len <= in.total_len && in.total_len <= len);
			rc = weft_ecn_decap(p, &in, (uint8_t)unit_random(&seed));
			assert_true(rc == 0 || rc == WEFT_E_DROP);
		}
		free(p);
	}
}

static void test_ecn(void **state)
{
	/* RFC 6040 figure 4, typed in by code point: 0 Not-ECT, 1 ECT(1), 2 ECT(0), 3 CE; 9 drop */
	static const uint8_t want[4][4] = {{0, 0, 0, 9}, {1, 1, 1, 3}, {2, 1, 2, 3}, {3, 3, 3, 3}};

	(void)state;
	for (uint8_t in_ecn = 0; in_ecn < 4; in_ecn++) {
		assert_int_equal(weft_ecn_encap(in_ecn), in_ecn);
		for (uint8_t out_ecn = 0; out_ecn < 4; out_ecn++) {
			uint8_t v4[20], v6[40] = {0x6f, 0x0f, 0xff}, w = want[in_ecn][out_ecn];
			struct weft_inner a, b;

			make_v4(v4, 20, 5, (uint8_t)(0xfc | in_ecn));
			v6[1] = (uint8_t)(v6[1] | in_ecn << 4);
			assert_int_equal(weft_inner_parse(v4, 20, &a), 0);
			assert_int_equal(weft_inner_parse(v6, 40, &b), 0);
			assert_int_equal(weft_ecn_decap(v4, &a, 0xb8 | out_ecn),
					 w == 9 ? WEFT_E_DROP : 0);
			assert_int_equal(weft_ecn_decap(v6, &b, 0xb8 | out_ecn),
					 w == 9 ? WEFT_E_DROP : 0);
			assert_int_equal(checksum(v4, 20), 0);
			assert_int_equal(v4[1], 0xfc | (w == 9 ? in_ecn : w));
			assert_int_equal(v6[1], 0x0f | (w == 9 ? in_ecn : w) << 4);
			assert_int_equal(v6[0], 0x6f);
			assert_int_equal(a.ecn, w == 9 ? in_ecn : w);
		}
	}
}

static void test_mark(void **state)
{
	uint8_t v4[20], v6[40] = {0x60};

	(void)state;
	make_v4(v4, 20, 5, 0xb8 | WEFT_ECN_ECT0);
	v6[1] = WEFT_ECN_ECT1 << 4;
	assert_int_equal(weft_ecn_mark(v4, 20), 0);
	assert_int_equal(weft_ecn_mark(v6, 40), 0);
	assert_int_equal(v4[1], 0xb8 | WEFT_ECN_CE);
	assert_int_equal(v6[1], WEFT_ECN_CE << 4);
	assert_int_equal(checksum(v4, 20), 0);
	assert_int_equal(weft_ecn_mark(v4, 20), 0); /* it is marked already */
	make_v4(v4, 20, 5, 0xb8);
	v6[1] = 0;
	assert_int_equal(weft_ecn_mark(v4, 20), WEFT_E_DROP);
	assert_int_equal(weft_ecn_mark(v6, 40), WEFT_E_DROP);
	assert_int_equal(weft_ecn_mark(v4, 19), WEFT_E_DROP);
}

static uint64_t flow_with(const uint8_t *pkt, size_t len, size_t at, uint8_t value)
{
	uint8_t copy[64];

	memcpy(copy, pkt, len);
	copy[at] = value;
	return weft_inner_flow(copy, len, 1);
}

static void test_flow(void **state)
{
	uint8_t v4[28], v6[48] = {0x60};
	uint64_t f;

	(void)state;
	memset(v4, 0, sizeof(v4));
	make_v4(v4, 28, 5, 0);
	f = weft_inner_flow(v4, 28, 1);
	assert_true(f != weft_inner_flow(v4, 28, 2));
	/* protocol, addresses and ports count; length, id, TTL, sums and what follows do not */
	for (size_t i = 0; i < 28; i++) {
		bool counts = i == 9 || (i >= 12 && i < 24);

		if (i != 0 && i != 6 && i != 7 && i != 9)
			assert_int_equal(flow_with(v4, 28, i, (uint8_t)(v4[i] ^ 1)) != f, counts);
	}
	assert_true(flow_with(v4, 28, 9, 6) != f);
	/* fragments: the ports are those of the first one alone, so they do not count */
	v4[6] = 0x20;
	f = weft_inner_flow(v4, 28, 1);
	assert_int_equal(flow_with(v4, 28, 20, 9), f);
	v4[6] = 0;
	v4[7] = 3;
	assert_int_equal(weft_inner_flow(v4, 28, 1), f);

	v6[6] = 6;
	f = weft_inner_flow(v6, 48, 1);
	for (size_t i = 1; i < 48; i++) {
		bool counts = i == 6 || (i >= 8 && i < 44);

		assert_int_equal(flow_with(v6, 48, i, i == 6 ? 17 : 1) != f, counts);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v4),   cmocka_unit_test(test_v6),
		cmocka_unit_test(test_bad),  cmocka_unit_test(test_random_bytes),
		cmocka_unit_test(test_ecn),  cmocka_unit_test(test_mark),
		cmocka_unit_test(test_flow),
	};

	return cmocka_run_group_tests_name("core-inner", tests, NULL, NULL);
}
