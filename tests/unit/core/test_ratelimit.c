/* SPDX-License-Identifier: Apache-2.0 */
/* Token buckets: rate, burst, who shares one, and a table that is flooded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "core/ratelimit.h"
#include "unit_mem.h"
#include "unit_random.h"

#define MS UINT64_C(1000000)

static const uint8_t key[16] = {2, 7, 1, 8};
static struct unit_mem um;
static struct weft_ratelimit r;

static void begin(size_t entries)
{
	struct weft_mem mem;

	memset(&um, 0, sizeof(um));
	mem = unit_mem_of(&um);
	assert_int_equal(weft_ratelimit_init(&r, &mem, key, entries), 0);
}

static void end(void)
{
	weft_ratelimit_fini(&r);
	assert_int_equal(um.bytes, 0);
}

static struct weft_ip v4(uint32_t a)
{
	return (struct weft_ip){
		.b = {(uint8_t)(a >> 24), (uint8_t)(a >> 16), (uint8_t)(a >> 8), (uint8_t)a},
		.family = WEFT_IPV4};
}

static unsigned allowed(const struct weft_ip *ip, uint64_t now, unsigned tries)
{
	unsigned n = 0;

	while (tries--)
		n += weft_ratelimit_allow(&r, ip, now);
	return n;
}

static void test_init(void **state)
{
	struct weft_mem mem = unit_mem_of(&um);

	(void)state;
	assert_int_equal(weft_ratelimit_init(&r, &mem, key, 4), -EINVAL);
	assert_int_equal(weft_ratelimit_init(&r, &mem, key, 100), -EINVAL);
	assert_int_equal(weft_ratelimit_init(&r, &mem, key, (size_t)1 << 25), -EINVAL);
	um.fail = 1;
	assert_int_equal(weft_ratelimit_init(&r, &mem, key, 64), -ENOMEM);
}

static void test_rate(void **state)
{
	struct weft_ip a = v4(0x0a000001), b = v4(0x0a000002);

	(void)state;
	begin(64);
	assert_int_equal(allowed(&a, 0, 100), 5);
	assert_int_equal(allowed(&b, 0, 100), 5);
	assert_int_equal(allowed(&a, 50 * MS - 1, 100), 0);
	assert_int_equal(allowed(&a, 50 * MS, 100), 1);
	assert_int_equal(allowed(&a, 200 * MS, 100), 3);
	assert_int_equal(allowed(&a, 450 * MS, 100), 5); /* never more than the burst */
	assert_int_equal(allowed(&a, 3600000 * MS, 100), 5);
	end();
	/* in the long run, twenty a second */
	begin(64);
	unsigned n = 0;
	for (uint64_t now = 0; now < 10000 * MS; now += MS)
		n += weft_ratelimit_allow(&r, &a, now);
	assert_in_range(n, 200, 205);
	end();
}

static void test_who_shares(void **state)
{
	struct weft_ip a = {{0x20, 1, 0xd, 0xb8, 0, 0, 0, 7, 1}, WEFT_IPV6}, b = a, c = a;
	struct weft_ip d = v4(0x20010db8);

	(void)state;
	b.b[8] = b.b[15] = 99; /* the same /64 */
	c.b[7] = 8;            /* the next one */
	begin(64);
	assert_int_equal(allowed(&a, 0, 3), 3);
	assert_int_equal(allowed(&b, 0, 9), 2);
	assert_int_equal(allowed(&c, 0, 9), 5);
	assert_int_equal(allowed(&d, 0, 9), 5);
	end();
}

/*
 * A flood from ten thousand addresses through a table of 64 entries: those over their rate are
 * held where they are known, an honest newcomer is never refused, and memory stays what it was.
 */
static void test_flood(void **state)
{
	uint64_t seed = unit_seed();
	size_t bytes;

	(void)state;
	begin(64);
	bytes = um.bytes;
	for (uint64_t i = 0; i < 200000; i++) {
		struct weft_ip ip = v4(0xc0000000u + (uint32_t)(unit_random(&seed) % 10000));

		weft_ratelimit_allow(&r, &ip, i * 1000);
		if (i % 100 == 99) {
			struct weft_ip honest = v4(0x0a000000u + (uint32_t)i);

			assert_true(weft_ratelimit_allow(&r, &honest, i * 1000));
		}
	}
	assert_int_equal(um.bytes, bytes);
	assert_int_equal(um.calls, 1);
	end();
}

/* One that is over its rate is not washed out by others who send one message each. */
static void test_noisy_stays_known(void **state)
{
	struct weft_ip noisy = v4(0x0a000001);
	unsigned n = 0;

	(void)state;
	begin(WEFT_RATELIMIT_WAYS);
	for (uint32_t i = 0; i < 100000; i++) {
		struct weft_ip other = v4(0xc0000000u + i);

		n += weft_ratelimit_allow(&r, &noisy, i * MS / 100);
		weft_ratelimit_allow(&r, &other, i * MS / 100);
	}
	assert_in_range(n, 20, 40); /* one second: 25 at most alone */
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_init),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_who_shares),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_noisy_stays_known),
	};

	return cmocka_run_group_tests_name("core-ratelimit", tests, NULL, NULL);
}
