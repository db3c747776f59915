/* SPDX-License-Identifier: Apache-2.0 */
/* SRV records out of answers that are made here byte by byte, and the order that they are used in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "host/srv.h"

struct answer {
	uint8_t b[2048];
	size_t n;
};

static void u16(struct answer *a, unsigned v)
{
	a->b[a->n++] = (uint8_t)(v >> 8);
	a->b[a->n++] = (uint8_t)v;
}

static void u32(struct answer *a, uint32_t v)
{
	u16(a, v >> 16);
	u16(a, v & 0xffff);
}

/* "a.b" as labels. */
static void name(struct answer *a, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, ".");

		a->b[a->n++] = (uint8_t)n;
		memcpy(a->b + a->n, text, n);
		a->n += n;
		text += n + (text[n] == '.');
	}
	a->b[a->n++] = 0;
}

static void begin(struct answer *a, unsigned answers)
{
	a->n = 0;
	u16(a, 1);
	u16(a, 0x8180);
	u16(a, 1);
	u16(a, answers);
	u32(a, 0);
	name(a, "_wireguard._udp.x");
	u16(a, 33);
	u16(a, 1);
}

static void record(struct answer *a, unsigned type, uint32_t ttl, unsigned priority,
		   unsigned weight, unsigned port, const char *target)
{
	size_t len_at;

	u16(a, 0xc00c); /* the question's name */
	u16(a, type);
	u16(a, 1);
	u32(a, ttl);
	len_at = a->n;
	u16(a, 0);
	u16(a, priority);
	u16(a, weight);
	u16(a, port);
	name(a, target);
	a->b[len_at] = (uint8_t)((a->n - len_at - 2) >> 8);
	a->b[len_at + 1] = (uint8_t)(a->n - len_at - 2);
}

static void reads(void **state)
{
	struct weft_srv_list l = {.n = 77};
	struct answer a;

	(void)state;
	begin(&a, 3);
	record(&a, 33, 300, 20, 5, 51820, "two.x");
	record(&a, 16, 100, 1, 1, 1, "a-text-record"); /* its TTL counts, as a CNAME's would */
	record(&a, 33, 200, 10, 0, 443, "one.x");
	assert_int_equal(weft_srv_parse(a.b, a.n, &l), 0);
	assert_int_equal(l.n, 2);
	assert_int_equal(l.ttl_s, 100);
	assert_string_equal(l.v[0].target, "two.x");
	assert_int_equal(l.v[0].port, 51820);
	assert_int_equal(l.v[0].priority, 20);
	assert_int_equal(l.v[0].weight, 5);
	weft_srv_order(&l, 1);
	assert_string_equal(l.v[0].target, "one.x");
	/* cut anywhere it is no answer, and nothing is read past its end */
	for (size_t n = 0; n < a.n; n++) {
		uint8_t cut[2048];

		memcpy(cut, a.b, n);
		memset(cut + n, 0xff, sizeof(cut) - n);
		assert_int_equal(weft_srv_parse(cut, n, &l), WEFT_E_PROTOCOL);
	}
}

static void none(void **state)
{
	static const struct {
		unsigned port;
		const char *target;
	} useless[] = {{51820, ""}, {0, "one.x"}, {1, "a b"}, {1, "a\nb"}, {1, "x/y"}};
	struct weft_srv_list l = {.n = 77};
	struct answer a;

	(void)state;
	begin(&a, 0);
	assert_int_equal(weft_srv_parse(a.b, a.n, &l), -ENOENT);
	for (size_t i = 0; i < sizeof(useless) / sizeof(useless[0]); i++) {
		begin(&a, 1);
		record(&a, 33, 9, 0, 0, useless[i].port, useless[i].target);
		assert_int_equal(weft_srv_parse(a.b, a.n, &l), -ENOENT);
	}
	assert_int_equal(l.n, 77);
}

static void many(void **state)
{
	struct weft_srv_list l;
	struct answer a;

	(void)state;
	begin(&a, 40);
	for (unsigned i = 0; i < 40; i++)
		record(&a, 33, 9, i, 0, 1 + i, "one.x");
	assert_int_equal(weft_srv_parse(a.b, a.n, &l), 0);
	assert_int_equal(l.n, WEFT_SRV_MAX);
}

/* Of two with weights 3 and 1 the first comes first three times in four; always within priority. */
static void weights(void **state)
{
	unsigned first = 0, zero = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 4000; seed++) {
		struct weft_srv_list l = {.n = 4,
					  .v = {{5, 0, 1, "zero"},
						{5, 1, 1, "light"},
						{5, 3, 1, "heavy"},
						{4, 0, 1, "best"}}};
		struct weft_srv_list turned = {.n = 4, .v = {l.v[3], l.v[1], l.v[0], l.v[2]}};

		weft_srv_order(&l, seed * 0x9e3779b97f4a7c15ull);
		weft_srv_order(&turned, seed * 0x9e3779b97f4a7c15ull);
		assert_string_equal(l.v[0].target, "best");
		for (size_t i = 0; i < 4; i++) /* whatever the order of the answer */
			assert_string_equal(l.v[i].target, turned.v[i].target);
		first += strcmp(l.v[1].target, "heavy") == 0;
		zero += strcmp(l.v[1].target, "zero") == 0;
	}
	assert_in_range(first, 2700, 3150);
	assert_in_range(zero, 1, 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads),
		cmocka_unit_test(none),
		cmocka_unit_test(many),
		cmocka_unit_test(weights),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
