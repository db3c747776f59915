/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of what weft tune changed: there and back, and everything else refused. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "host/tune.h"

#define HEAD "{\"interface\":\"wg0\",\"changes\":["
#define TAIL "]}"
#define RPS \
	"{\"setting\":\"rps_cpus\",\"device\":\"eth0\",\"queue\":0,\"old\":\"\",\"new\":\"0-1\"}"

static int parse(const char *text, struct weft_tune_state *ret, struct weft_diag *diag)
{
	return weft_tune_state_parse(text, strlen(text), "wg0", ret, diag);
}

static void test_there_and_back(void **state)
{
	struct weft_tune_state s = {0}, back = {0};
	struct weft_text text = {0}, again = {0};
	struct weft_diag diag = {0};

	(void)state;
	for (unsigned k = 0; k < WEFT_TUNE_KINDS; k++) {
		struct weft_tune_change c = {.target = {.kind = (enum weft_tune_kind)k}};

		if (k <= WEFT_TUNE_IRQ)
			c.target.index = 7 + k;
		if (k < WEFT_TUNE_IRQ)
			snprintf(c.target.device, sizeof(c.target.device), "eth%u", k);
		if (weft_tune_kind_has_cpus(c.target.kind)) {
			weft_cpus_add(&c.old.cpus, k);
			weft_cpus_add(&c.new.cpus, WEFT_CPUS_MAX - 1);
		} else {
			c.old.number = 1;
			c.new.number = INT_MAX;
		}
		assert_int_equal(weft_tune_state_add(&s, &c), 0);
	}
	assert_int_equal(weft_tune_state_format("wg0", &s, &text), 0);
	assert_int_equal(weft_tune_state_parse(text.p, text.len, "wg0", &back, &diag), 0);
	assert_int_equal(back.n, s.n);
	for (size_t i = 0; i < s.n; i++) {
		const struct weft_tune_change *c = weft_tune_state_find(&back, &s.v[i].target);

		assert_non_null(c);
		assert_true(weft_tune_value_equal(&c->old, &s.v[i].old));
		assert_true(weft_tune_value_equal(&c->new, &s.v[i].new));
	}
	assert_int_equal(weft_tune_state_format("wg0", &back, &again), 0);
	assert_true(again.len == text.len && !memcmp(again.p, text.p, text.len));
	weft_text_clear(&text);
	weft_text_clear(&again);
	weft_tune_state_clear(&s);
	weft_tune_state_clear(&back);
}

static void test_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"null",
		"[]",
		"{}",
		HEAD RPS,
		HEAD RPS TAIL "x",
		"{\"interface\":\"wg1\",\"changes\":[]}",
		"{\"interface\":\"wg0\",\"changes\":{}}",
		"{\"interface\":\"wg0\",\"changes\":[],\"more\":1}",
		"{\"interface\":\"wg0\",\"interface\":\"wg0\",\"changes\":[]}",
		HEAD "7" TAIL,
		HEAD RPS "," RPS TAIL,
		HEAD "{\"setting\":\"/etc/passwd\",\"old\":1,\"new\":2}" TAIL,
		HEAD "{\"setting\":\"../../../etc/passwd\",\"old\":1,\"new\":2}" TAIL,
		HEAD "{\"setting\":\"rps_cpus\",\"device\":\"../eth0\",\"queue\":0,\"old\":\"\","
		     "\"new\":\"0\"}" TAIL,
		HEAD "{\"setting\":\"rps_cpus\",\"device\":\"..\",\"queue\":0,\"old\":\"\","
		     "\"new\":\"0\"}" TAIL,
		HEAD "{\"setting\":\"rps_cpus\",\"device\":\"\",\"queue\":0,\"old\":\"\","
		     "\"new\":\"0\"}" TAIL,
		HEAD "{\"setting\":\"rps_cpus\",\"device\":\"e\\u0000h\",\"queue\":0,\"old\":\"\","
		     "\"new\":\"0\"}" TAIL,
		HEAD "{\"setting\":\"rps_cpus\",\"device\":\"sixteencharacter\",\"queue\":0,"
		     "\"old\":\"\",\"new\":\"0\"}" TAIL,
		HEAD "{\"setting\":\"rps_cpus\",\"device\":\"eth0\",\"queue\":-1,\"old\":\"\","
		     "\"new\":\"0\"}" TAIL,
		HEAD "{\"setting\":\"rps_cpus\",\"device\":\"eth0\",\"queue\":1024,\"old\":\"\","
		     "\"new\":\"0\"}" TAIL,
		HEAD "{\"setting\":\"rps_cpus\",\"device\":\"eth0\",\"queue\":\"0/../..\","
		     "\"old\":\"\",\"new\":\"0\"}" TAIL,
		HEAD "{\"setting\":\"rps_cpus\",\"device\":\"eth0\",\"queue\":0,\"old\":\"x\","
		     "\"new\":\"0\"}" TAIL,
		HEAD
		"{\"setting\":\"rps_cpus\",\"device\":\"eth0\",\"queue\":0,\"new\":\"0\"}" TAIL,
		HEAD "{\"setting\":\"rps_cpus\",\"device\":\"eth0\",\"queue\":0,\"old\":\"\","
		     "\"new\":\"0\",\"path\":\"/etc/passwd\"}" TAIL,
		HEAD "{\"setting\":\"smp_affinity\",\"irq\":3000000000,\"old\":\"0\",\"new\":"
		     "\"1\"}" TAIL,
		HEAD "{\"setting\":\"smp_affinity\",\"irq\":3,\"old\":\"\",\"new\":\"1\"}" TAIL,
		HEAD "{\"setting\":\"rmem_max\",\"old\":\"1\",\"new\":2}" TAIL,
		HEAD "{\"setting\":\"rmem_max\",\"old\":0,\"new\":2}" TAIL,
		HEAD "{\"setting\":\"rmem_max\",\"old\":1,\"new\":2147483648}" TAIL,
		HEAD "{\"setting\":\"rmem_max\",\"old\":1.5,\"new\":2}" TAIL,
	};
	struct weft_tune_state s = {0};

	(void)state;
	assert_int_equal(parse(HEAD RPS TAIL, &s, NULL), 0);
	assert_int_equal(s.n, 1);
	weft_tune_state_clear(&s);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct weft_diag diag = {0};

		assert_int_equal(parse(texts[i], &s, &diag), WEFT_E_PARSE);
		assert_true(diag.message[0] != '\0');
		weft_tune_state_clear(&s);
	}
}

static void test_limit(void **state)
{
	struct weft_tune_state s = {0};
	struct weft_tune_change c = {.target = {.kind = WEFT_TUNE_IRQ}};

	(void)state;
	for (; c.target.index < WEFT_TUNE_MAX_CHANGES; c.target.index++)
		assert_int_equal(weft_tune_state_add(&s, &c), 0);
	assert_int_equal(weft_tune_state_add(&s, &c), WEFT_E_LIMIT);
	weft_tune_state_clear(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
