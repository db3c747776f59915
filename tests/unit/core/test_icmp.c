/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP errors: their bytes, their checksums, and all the packets about which none is due. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/icmp.h"
#include "unit_random.h"

static uint8_t out[WEFT_ICMP_MAX_LEN];
static uint8_t pkt[1500];

static uint16_t folded(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void make_v4(size_t total, uint8_t proto)
{
	static const uint8_t head[20] = {0x45, 0, 0,  0, 0, 1, 0,  0, 64, 0,
					 0,    0, 10, 0, 0, 1, 10, 9, 0,  2};

	for (size_t i = 0; i < sizeof(pkt); i++)
		pkt[i] = (uint8_t)(i * 7);
	memcpy(pkt, head, 20);
	pkt[2] = (uint8_t)(total >> 8);
	pkt[3] = (uint8_t)total;
	pkt[9] = proto;
}

static void make_v6(size_t payload, uint8_t next)
{
	for (size_t i = 0; i < sizeof(pkt); i++)
		pkt[i] = (uint8_t)(i * 5);
	memset(pkt, 0, 40);
	pkt[0] = 0x60;
	pkt[4] = (uint8_t)(payload >> 8);
	pkt[5] = (uint8_t)payload;
	pkt[6] = next;
	pkt[8] = 0xfd;
	pkt[23] = 1;
	pkt[24] = 0xfd;
	pkt[39] = 2;
}

static void assert_v6_sum(size_t len)
{
	/* pseudo-header: addresses, length, next header */
	uint32_t sum = (uint32_t)(len - 40) + 58 + folded(0, out + 8, 32);

	assert_int_equal(folded(sum, out + 40, len - 40), 0xffff);
}

static void test_v4(void **state)
{
	size_t len;

	(void)state;
	make_v4(60, 17);
	len = weft_icmp_unreachable(out, pkt, 64);
	assert_int_equal(len, 28 + 60);
	assert_int_equal(out[0], 0x45);
	assert_int_equal(out[2] << 8 | out[3], 88);
	assert_int_equal(out[9], 1);
	assert_memory_equal(out + 12, pkt + 16, 4); /* from where it was going */
	assert_memory_equal(out + 16, pkt + 12, 4); /* to whom it came from */
	assert_int_equal(folded(0, out, 20), 0xffff);
	assert_memory_equal(out + 20, ((uint8_t[2]){3, 1}), 2);
	assert_memory_equal(out + 24, ((uint8_t[4]){0}), 4);
	assert_memory_equal(out + 28, pkt, 60);
	assert_int_equal(folded(0, out + 20, len - 20), 0xffff);

	make_v4(1400, 6);
	len = weft_icmp_unreachable(out, pkt, 1400);
	assert_int_equal(len, 576);
	assert_memory_equal(out + 28, pkt, 548);
	assert_int_equal(folded(0, out + 20, len - 20), 0xffff);
}

static void test_v6(void **state)
{
	size_t len;

	(void)state;
	make_v6(21, 17);
	len = weft_icmp_unreachable(out, pkt, 61);
	assert_int_equal(len, 48 + 61);
	assert_memory_equal(out + 8, pkt + 24, 16);
	assert_memory_equal(out + 24, pkt + 8, 16);
	assert_memory_equal(out + 40, ((uint8_t[2]){1, 3}), 2);
	assert_memory_equal(out + 48, pkt, 61);
	assert_v6_sum(len);
	make_v6(1400, 6);
	len = weft_icmp_unreachable(out, pkt, 1440);
	assert_int_equal(len, 1280);
	assert_v6_sum(len);
}

static size_t unreachable(size_t len)
{
	return weft_icmp_unreachable(out, pkt, len);
}

static void test_not_due_v4(void **state)
{
	static const uint8_t errors[] = {3, 4, 5, 11, 12};

	(void)state;
	for (size_t i = 0; i < sizeof(errors); i++) {
		make_v4(60, 1);
		pkt[20] = errors[i];
		assert_int_equal(unreachable(60), 0);
	}
	pkt[20] = 8;
	assert_true(unreachable(60) > 0);
	make_v4(20, 1);
	assert_int_equal(unreachable(20), 0); /* no type to look at */
	make_v4(60, 17);
	pkt[7] = 1;
	assert_int_equal(unreachable(60), 0);
	pkt[7] = 0;
	pkt[6] = 0x20; /* the first fragment */
	assert_true(unreachable(60) > 0);
	pkt[16] = 239;
	assert_int_equal(unreachable(60), 0);
	pkt[16] = 255;
	assert_int_equal(unreachable(60), 0);
	pkt[16] = 10;
	pkt[12] = 0;
	assert_int_equal(unreachable(60), 0);
	pkt[12] = 224;
	assert_int_equal(unreachable(60), 0);
	assert_int_equal(unreachable(0), 0);
	pkt[0] = 0;
	assert_int_equal(unreachable(60), 0);
}

static void test_not_due_v6(void **state)
{
	(void)state;
	make_v6(20, 58);
	pkt[40] = 1;
	assert_int_equal(unreachable(60), 0);
	pkt[40] = 137;
	assert_int_equal(unreachable(60), 0);
	pkt[40] = 128;
	assert_true(unreachable(60) > 0);
	pkt[24] = 0xff;
	assert_int_equal(unreachable(60), 0);
	make_v6(20, 17);
	memset(pkt + 8, 0, 16);
	assert_int_equal(unreachable(60), 0);
	/* hop-by-hop, destination options, then an error */
	make_v6(40, 0);
	memset(pkt + 40, 0, 40);
	pkt[40] = 60;
	pkt[41] = 1;
	pkt[56] = 58;
	pkt[64] = 2;
	assert_int_equal(unreachable(80), 0);
	pkt[64] = 129;
	assert_true(unreachable(80) > 0);
	pkt[57] = 200; /* past the end */
	assert_int_equal(unreachable(80), 0);
	make_v6(20, 44);
	memset(pkt + 40, 0, 20);
	pkt[40] = 17;
	assert_true(unreachable(60) > 0);
	pkt[43] = 8;
	assert_int_equal(unreachable(60), 0);
	make_v6(4, 44);
	assert_int_equal(unreachable(44), 0);
}

/* Exactly sized copies of noise that looks like IP: the sanitizers watch. */
static void test_random_bytes(void **state)
{
	uint64_t seed = unit_seed();

	(void)state;
	for (int i = 0; i < 50000; i++) {
		size_t len = unit_random(&seed) % 120, got;
		uint8_t *p = malloc(len ? len : 1);

		assert_non_null(p);
		for (size_t j = 0; j < len; j++)
			p[j] = (uint8_t)(unit_random(&seed) % 3 ? unit_random(&seed) % 61
								: unit_random(&seed));
		if (len > 5) {
			p[0] = unit_random(&seed) % 2 ? 0x45 : 0x60;
			p[2] = p[4] = 0;
		}
		got = weft_icmp_unreachable(out, p, len);
		assert_true(got <= len + 48);
		free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v4),           cmocka_unit_test(test_v6),
		cmocka_unit_test(test_not_due_v4),   cmocka_unit_test(test_not_due_v6),
		cmocka_unit_test(test_random_bytes),
	};

	return cmocka_run_group_tests_name("core-icmp", tests, NULL, NULL);
}
