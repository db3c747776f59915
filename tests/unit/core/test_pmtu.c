/* SPDX-License-Identifier: Apache-2.0 */
/* The search for a path's MTU, probes and answers: each alone, and against every possible path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/pmtu.h"
#include "util/cursor.h"

/* What must come out: the most that the path carries, of the sizes that are tried. */
static uint32_t expected(uint32_t path, uint32_t top, uint32_t link)
{
	uint32_t best = path / WEFT_PMTU_STEP * WEFT_PMTU_STEP;

	if (path >= top)
		return top;
	if (link <= path && link > best)
		best = link;
	return best < WEFT_PMTU_FLOOR ? WEFT_PMTU_FLOOR : best;
}

/* Runs a search on a path of `path` bytes. Returns the rounds that it took. */
static unsigned search(struct weft_pmtu_search *s, uint32_t path, uint32_t top, uint32_t link,
		       bool refuses)
{
	bool more = true;
	unsigned rounds = 0;

	weft_pmtu_begin(s, top, link);
	while (more) {
		assert_in_range(s->size, WEFT_PMTU_FLOOR, s->top);
		assert_true(++rounds < 100);
		if (s->size <= path)
			more = weft_pmtu_carried(s);
		else
			more = refuses ? weft_pmtu_refused(s) : weft_pmtu_lost(s);
	}
	return rounds;
}

static void test_every_path(void **state)
{
	static const uint32_t tops[] = {576, 1212, 1220, 1420, 1440, 8940}, links[] = {1280, 1420};
	struct weft_pmtu_search s;

	(void)state;
	for (size_t t = 0; t < sizeof(tops) / sizeof(tops[0]); t++)
		for (size_t l = 0; l < sizeof(links) / sizeof(links[0]); l++)
			for (uint32_t path = 400; path <= tops[t] + 20; path++) {
				uint32_t want = expected(path, tops[t], links[l]);

				(void)search(&s, path, tops[t], links[l], false);
				assert_int_equal(weft_pmtu_result(&s), want);
				(void)search(&s, path, tops[t], links[l], true);
				assert_int_equal(weft_pmtu_result(&s), want);
			}
}

/* The common case costs one probe; narrow paths not many. */
static void test_effort(void **state)
{
	struct weft_pmtu_search s;

	(void)state;
	assert_int_equal(search(&s, 1440, 1440, 1420, false), 1);
	/* 3 lost, 1420 carried, 1424 lost 3 times, and tried again 3 times */
	assert_in_range(search(&s, 1420, 1440, 1420, false), 8, 10);
	for (uint32_t path = 576; path < 1440; path++)
		assert_in_range(search(&s, path, 1440, 1420, false), 1, 30);
	/* what the host refuses is not asked twice */
	assert_in_range(search(&s, 1420, 1440, 1420, true), 2, 3);
}

/* One size that was unlucky three times is tried once more, and then all above it. */
static void test_bad_luck(void **state)
{
	struct weft_pmtu_search s;
	bool more = true;

	(void)state;
	weft_pmtu_begin(&s, 1440, 1420);
	for (unsigned i = 0; i < WEFT_PMTU_TRIES; i++)
		assert_true(weft_pmtu_lost(&s));
	while (more)
		more = weft_pmtu_carried(&s);
	assert_int_equal(weft_pmtu_result(&s), 1440);
	/* two of three are no verdict */
	weft_pmtu_begin(&s, 1440, 1420);
	assert_true(weft_pmtu_lost(&s));
	assert_true(weft_pmtu_lost(&s));
	assert_int_equal(s.size, 1440);
	assert_false(weft_pmtu_carried(&s));
	assert_int_equal(weft_pmtu_result(&s), 1440);
}

static void test_limit(void **state)
{
	(void)state;
	assert_int_equal(weft_pmtu_limit(1420, 1420), 1420); /* padding ends at the tunnel's MTU */
	assert_int_equal(weft_pmtu_limit(1420, 1440), 1408);
	assert_int_equal(weft_pmtu_limit(1424, 1420), 1424);
}

static const struct weft_ip a4 = {.b = {10, 0, 0, 1}, .family = WEFT_IPV4};
static const struct weft_ip b4 = {.b = {10, 0, 0, 2}, .family = WEFT_IPV4};
static const struct weft_ip a6 = {.b = {0xfd, [15] = 1}, .family = WEFT_IPV6};
static const struct weft_ip b6 = {.b = {0xfd, [15] = 2}, .family = WEFT_IPV6};

static uint16_t sum(uint32_t s, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i += 2)
		s += weft_get_be16(p + i);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)s;
}

static bool answers(const uint8_t *pkt, size_t len, uint32_t *ret_cookie)
{
	struct weft_inner in;

	return weft_inner_parse(pkt, len, &in) == 0 && weft_pmtu_answer(pkt, &in, ret_cookie);
}

static void test_probe(void **state)
{
	uint8_t p[WEFT_PMTU_PROBE_LEN];
	struct weft_inner in;
	uint32_t cookie;
	size_t len;

	(void)state;
	len = weft_pmtu_probe(p, &a4, &b4, 0xdeadbeef);
	assert_int_equal(len, 28);
	assert_int_equal(weft_inner_parse(p, 1400, &in), 0); /* as it stands before zeros */
	assert_int_equal(in.total_len, 28);
	assert_true(weft_ip_equal(&in.src, &a4) && weft_ip_equal(&in.dst, &b4));
	assert_int_equal(p[8], 1);
	assert_int_equal(sum(0, p, 20), 0xffff);
	assert_int_equal(sum(0, p + 20, 8), 0xffff);
	assert_false(answers(p, len, &cookie)); /* a request is no answer */
	len = weft_pmtu_probe(p, &a6, &b6, 0xdeadbeef);
	assert_int_equal(len, 48);
	assert_int_equal(weft_inner_parse(p, 1400, &in), 0);
	assert_int_equal(in.total_len, 48);
	assert_true(weft_ip_equal(&in.src, &a6) && weft_ip_equal(&in.dst, &b6));
	assert_int_equal(p[7], 1);
	assert_int_equal(sum(8 + 58, p + 8, 40), 0xffff);
	assert_false(answers(p, len, &cookie));
}

/* The error of `type` about a probe, from wherever. Returns its length. */
static size_t make_error(uint8_t *out, bool v6, uint8_t type, uint32_t cookie)
{
	uint8_t probe[WEFT_PMTU_PROBE_LEN];
	size_t len = v6 ? weft_pmtu_probe(probe, &a6, &b6, cookie)
			: weft_pmtu_probe(probe, &a4, &b4, cookie);
	size_t head = v6 ? 40 : 20;

	memset(out, 0, 128);
	memcpy(out, probe, head);
	out[head] = type;
	memcpy(out + head + 8, probe, len);
	if (v6)
		weft_put_be16(out + 4, (uint16_t)(8 + len));
	else
		weft_put_be16(out + 2, (uint16_t)(20 + 8 + len));
	return head + 8 + len;
}

static void test_answers(void **state)
{
	static const uint8_t types[][2] = {{3, 1}, {11, 3}};
	uint8_t p[128];
	uint32_t cookie;
	size_t len;

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		size_t head = v6 ? 40 : 20;

		len = v6 ? weft_pmtu_probe(p, &b6, &a6, 0x12345678)
			 : weft_pmtu_probe(p, &b4, &a4, 0x12345678);
		p[head] = v6 ? 129 : 0;
		cookie = 0;
		assert_true(answers(p, len, &cookie));
		assert_int_equal(cookie, 0x12345678);
		for (int i = 0; i < 2; i++) {
			len = make_error(p, v6, types[i][v6], 0xcafe0001);
			cookie = 0;
			assert_true(answers(p, len, &cookie));
			assert_int_equal(cookie, 0xcafe0001);
			/* about something else, or cut short */
			p[head + 8 + (v6 ? 6 : 9)] = 17;
			assert_false(answers(p, len, &cookie));
			len = make_error(p, v6, types[i][v6], 0xcafe0001) - 1;
			weft_put_be16(p + (v6 ? 4 : 2), (uint16_t)(len - (v6 ? 40 : 0)));
			assert_false(answers(p, len, &cookie));
		}
		/* packet too big and others are none */
		len = make_error(p, v6, v6 ? 2 : 5, 0xcafe0001);
		assert_false(answers(p, len, &cookie));
	}
	/* a fragment */
	len = make_error(p, false, 3, 1);
	weft_put_be16(p + 6, 0x2000);
	assert_false(answers(p, len, &cookie));
}

static void check_target(const char *prefix, const char *want)
{
	struct weft_prefix p;
	struct weft_ip got, ip;

	assert_int_equal(weft_prefix_parse(prefix, strlen(prefix), &p), 0);
	assert_int_equal(weft_pmtu_target(&p, &got), want != NULL);
	if (!want)
		return;
	assert_int_equal(weft_ip_parse(want, strlen(want), &ip), 0);
	assert_true(weft_ip_equal(&got, &ip));
}

static void test_targets(void **state)
{
	(void)state;
	check_target("10.0.0.2/32", "10.0.0.2");
	check_target("10.0.0.2/31", "10.0.0.2");
	check_target("10.1.0.0/24", "10.1.0.1");
	check_target("0.0.0.0/0", "192.0.2.1");
	check_target("0.0.0.0/1", NULL);
	check_target("128.0.0.0/1", "128.0.0.1");
	check_target("224.0.0.5/32", NULL);
	check_target("127.0.0.0/8", NULL);
	check_target("fd00::7/128", "fd00::7");
	check_target("fd00::/64", "fd00::1");
	check_target("::/0", "2001:db8::1");
	check_target("ff02::1/128", NULL);
}

static void test_too_long(void **state)
{
	uint8_t p[WEFT_PMTU_PROBE_LEN] = {0x45};
	uint32_t mtu = 0;

	(void)state;
	/* IPv4 without DF is fragmented, whatever its length */
	assert_false(weft_pmtu_too_long(p, 28, 1420, 1200, &mtu));
	p[6] = 0x40;
	assert_true(weft_pmtu_too_long(p, 28, 1420, 1200, &mtu));
	assert_int_equal(mtu, 1200);
	assert_false(weft_pmtu_too_long(p, 28, 1200, 1200, &mtu));
	assert_false(weft_pmtu_too_long(p, 19, 1420, 1200, &mtu));
	/* IPv6 must be able to rely on 1280 */
	p[0] = 0x60;
	assert_false(weft_pmtu_too_long(p, 48, 1280, 1200, &mtu));
	assert_true(weft_pmtu_too_long(p, 48, 1281, 1200, &mtu));
	assert_int_equal(mtu, 1280);
	assert_true(weft_pmtu_too_long(p, 48, 1420, 1408, &mtu));
	assert_int_equal(mtu, 1408);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_path), cmocka_unit_test(test_effort),
		cmocka_unit_test(test_bad_luck),   cmocka_unit_test(test_limit),
		cmocka_unit_test(test_probe),      cmocka_unit_test(test_answers),
		cmocka_unit_test(test_targets),    cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
