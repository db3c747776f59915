/* SPDX-License-Identifier: Apache-2.0 */
/* Flows to queues: both directions alike, fragments together, spread, and keyed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/steer.h"

#define QUEUES 8

static const uint8_t key[WEFT_SIPHASH_KEY_LEN] = {1, 2, 3};
static const uint8_t other_key[WEFT_SIPHASH_KEY_LEN] = {4};

/* A header of TCP over IPv4 or IPv6 between hosts a and b. Returns its length. */
static size_t make(uint8_t *p, bool v6, uint8_t a, uint8_t b, uint16_t from, uint16_t to)
{
	size_t l4 = v6 ? 40 : 20, at = v6 ? 23 : 15, n = v6 ? 16 : 4;

	memset(p, 0, 64);
	p[0] = v6 ? 0x60 : 0x45;
	p[v6 ? 6 : 9] = 6;
	p[at] = a;
	p[at + n] = b;
	p[l4] = (uint8_t)(from >> 8);
	p[l4 + 1] = (uint8_t)from;
	p[l4 + 2] = (uint8_t)(to >> 8);
	p[l4 + 3] = (uint8_t)to;
	return l4 + 20;
}

static void both_ways(void **state)
{
	uint8_t there[64], back[64];

	(void)state;
	for (unsigned i = 0; i < 400; i++) {
		size_t len = make(there, i & 1, 1, (uint8_t)(i * 7), (uint16_t)(i * 31), 443);

		(void)make(back, i & 1, (uint8_t)(i * 7), 1, 443, (uint16_t)(i * 31));
		assert_int_equal(weftd_steer(key, there, len, QUEUES),
				 weftd_steer(key, back, len, QUEUES));
	}
}

static void spread(void **state)
{
	unsigned count[QUEUES] = {0}, moved = 0;
	uint8_t p[64];

	(void)state;
	for (unsigned i = 0; i < 8000; i++) {
		size_t len = make(p, i & 1, 1, 2, (uint16_t)(i / 2), 443);
		unsigned queue = weftd_steer(key, p, len, QUEUES);

		assert_true(queue < QUEUES);
		count[queue]++;
		moved += queue != weftd_steer(other_key, p, len, QUEUES);
	}
	for (unsigned i = 0; i < QUEUES; i++)
		assert_true(count[i] > 700 && count[i] < 1300);
	assert_true(moved > 6000);
}

static void fragments_go_together(void **state)
{
	uint8_t first[64], next[64];
	size_t len;

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		len = make(first, false, 1, (uint8_t)i, (uint16_t)(i * 3), 7);
		(void)make(next, false, 1, (uint8_t)i, 0x4142, 0x4344); /* no ports: data */
		first[6] = 0x20;
		next[7] = 100;
		assert_int_equal(weftd_steer(key, first, len, QUEUES),
				 weftd_steer(key, next, len, QUEUES));
	}
}

static void anything(void **state)
{
	uint8_t p[64];

	(void)state;
	for (unsigned b = 0; b < 256; b++) {
		memset(p, (int)b, sizeof(p));
		for (size_t len = 0; len <= sizeof(p); len++) {
			uint8_t *exact = len ? p + sizeof(p) - len : p;

			assert_true(weftd_steer(key, exact, len, 3) < 3);
			assert_int_equal(weftd_steer(key, exact, len, 1), 0);
		}
	}
	assert_int_equal(weftd_steer(key, p, 3, QUEUES), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ways),
		cmocka_unit_test(spread),
		cmocka_unit_test(fragments_go_together),
		cmocka_unit_test(anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
