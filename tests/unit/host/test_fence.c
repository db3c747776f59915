/* SPDX-License-Identifier: Apache-2.0 */
/* The text of weft's own table, and what is read back of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "host/fence.h"

static void add(struct weft_fence *f, const char *text)
{
	struct weft_prefix p;

	assert_int_equal(weft_prefix_parse(text, strlen(text), &p), 0);
	assert_int_equal(weft_prefixes_add(&f->excludes, &p), 0);
}

static void check_text(struct weft_fence *f, const char *ifname, const char *wanted)
{
	struct weft_text text = {0};
	char digest[24], *at;

	assert_int_equal(weft_fence_seal(f), 0);
	assert_int_equal(weft_fence_text(f, ifname, &text), 0);
	assert_int_equal(weft_text_append(&text, "", 1), 0);
	(void)snprintf(digest, sizeof(digest), "%016" PRIx64, f->digest);
	at = strstr(text.p, digest);
	if (at)
		memcpy(at, "################", 16);
	assert_string_equal(text.p, wanted);
	weft_text_clear(&text);
}

/* Of a table whose rules somebody has taken away no mark is known: then none is let out. */
static void no_mark(void **state)
{
	struct weft_fence f = {.kill_switch = true};
	struct weft_text text = {0};

	(void)state;
	assert_int_equal(weft_fence_seal(&f), 0);
	assert_int_equal(weft_fence_text(&f, "wg0", &text), 0);
	assert_int_equal(weft_text_append(&text, "", 1), 0);
	assert_non_null(strstr(text.p, "counter reject"));
	assert_null(strstr(text.p, "meta mark"));
	weft_text_clear(&text);
}

static void texts(void **state)
{
	struct weft_fence f = {0};

	(void)state;
	check_text(&f, "wg0", "add table inet weft-wg0\ndelete table inet weft-wg0\n");
	f.mss = true;
	check_text(&f, "a+b=",
		   "add table inet weft-a/2bb/3d\ndelete table inet weft-a/2bb/3d\n"
		   "table inet weft-a/2bb/3d {\n"
		   "\tchain clamp {\n"
		   "\t\ttype filter hook forward priority -150; policy accept;\n"
		   "\t\toifname \"a+b=\" tcp flags syn tcp option maxseg size set rt mtu"
		   " comment \"weft:################:0\"\n"
		   "\t\tiifname \"a+b=\" tcp flags syn tcp option maxseg size set rt mtu\n"
		   "\t}\n}\n");
	assert_int_equal(f.n_rules, 2);
	f = (struct weft_fence){.kill_switch = true, .mark = 51820};
	add(&f, "10.1.0.0/16");
	add(&f, "192.0.2.7");
	check_text(
		&f, "wg0",
		"add table inet weft-wg0\ndelete table inet weft-wg0\n"
		"table inet weft-wg0 {\n"
		"\tset exclude4 {\n\t\ttype ipv4_addr\n\t\tflags interval\n\t\telements = {\n"
		"\t\t\t10.1.0.0/16,\n\t\t\t192.0.2.7/32,\n\t\t}\n\t}\n"
		"\tchain output {\n"
		"\t\ttype filter hook output priority 300; policy accept;\n"
		"\t\toifname { \"lo\", \"wg0\" } accept comment \"weft:################:51820\"\n"
		"\t\tmeta mark 51820 accept\n"
		"\t\tip daddr @exclude4 accept\n"
		"\t\tudp sport 68 udp dport 67 accept\n"
		"\t\tip6 daddr { fe80::/10, ff02::1:2 } udp sport 546 udp dport 547 accept\n"
		"\t\ticmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert }"
		" ip6 hoplimit 255 accept\n"
		"\t\ticmpv6 type { mld-listener-report, mld-listener-done, mld2-listener-report }"
		" ip6 hoplimit 1 accept\n"
		"\t\tmeta l4proto tcp counter reject with tcp reset\n"
		"\t\tcounter reject with icmpx admin-prohibited\n"
		"\t}\n"
		"\tchain forward {\n"
		"\t\ttype filter hook forward priority 300; policy accept;\n"
		"\t\toifname \"wg0\" accept\n"
		"\t\tip daddr @exclude4 accept\n"
		"\t\tcounter drop\n"
		"\t}\n}\n");
	assert_int_equal(f.n_rules, 12);
	weft_fence_clear(&f);
}

/* Whatever decides what passes is in the digest. */
static void digests(void **state)
{
	struct weft_fence a = {.kill_switch = true, .mark = 5}, b = {0};

	(void)state;
	add(&a, "10.1.0.0/16");
	assert_int_equal(weft_fence_seal(&a), 0);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(weft_fence_copy(&a, &b), 0);
		b.intact = true;
		if (i == 0)
			b.mark = 6;
		else if (i == 1)
			b.mss = true;
		else if (i == 2)
			add(&b, "fd00::/8");
		else if (i == 3)
			b.excludes.v[0].len = 17;
		assert_int_equal(weft_fence_seal(&b), 0);
		assert_true(weft_fence_is(&b, &a) == (i == 4));
		weft_fence_clear(&b);
	}
	/* where there is none it is what is wanted, if none is wanted */
	assert_false(weft_fence_is(&b, &a));
	assert_true(weft_fence_is(&b, &b));
	assert_false(weft_fence_is(&a, &b));
	weft_fence_clear(&a);
}

#define RULE(chain, rest) "{\"rule\":{\"chain\":\"" chain "\",\"expr\":[" rest "]}},"
#define COUNT(n)          "{\"counter\":{\"packets\":" n ",\"bytes\":9}}"
#define LIST                                                                                       \
	"{\"nftables\":[{\"metainfo\":{}},{\"table\":{\"family\":\"inet\"}},"                      \
	"{\"set\":{\"name\":\"exclude4\",\"elem\":[\"192.0.2.7\","                                 \
	"{\"prefix\":{\"addr\":\"10.1.0.0\",\"len\":16}}]}},"                                      \
	"{\"chain\":{\"name\":\"output\"}},{\"chain\":{\"name\":\"forward\"}}," RULE("output", "") \
		RULE("output", "") RULE("output", "") RULE("output", "") RULE("output", "")        \
			RULE("output", COUNT("3")) RULE("output", COUNT("4")) RULE("output", "")   \
				RULE("forward", "") RULE("forward", "")                            \
					RULE("forward", COUNT("5"))

static void reading(void **state)
{
	struct weft_fence wanted = {.kill_switch = true, .mark = 51820}, f = {0};
	char json[4096];

	(void)state;
	add(&wanted, "10.1.0.0/16");
	add(&wanted, "192.0.2.7");
	assert_int_equal(weft_fence_seal(&wanted), 0);
	for (unsigned i = 0; i < 2; i++) { /* with the comment's rule, and two of it */
		(void)snprintf(json, sizeof(json),
			       LIST "{\"rule\":{\"chain\":\"output\",\"comment\":\"weft:%016" PRIx64
				    ":51820\"}}%s]}",
			       wanted.digest, i ? ",{\"rule\":{\"chain\":\"output\"}}" : "");
		assert_int_equal(weft_fence_read(json, strlen(json), &f), 0);
		assert_true(f.kill_switch && !f.mss);
		assert_int_equal(f.mark, 51820);
		assert_int_equal(f.excludes.n, 2);
		assert_int_equal(f.rejected_pkts, 7);
		assert_int_equal(f.dropped_pkts, 5);
		assert_int_equal(f.intact, !i);
		assert_true(weft_fence_is(&f, &wanted) == !i);
		weft_fence_clear(&f);
	}
	assert_int_equal(weft_fence_read("{}", 2, &f), WEFT_E_PROTOCOL);
	assert_int_equal(weft_fence_read("", 0, &f), WEFT_E_PROTOCOL);
	weft_fence_clear(&f);
	weft_fence_clear(&wanted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),
		cmocka_unit_test(no_mark),
		cmocka_unit_test(digests),
		cmocka_unit_test(reading),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
