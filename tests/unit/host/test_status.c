/* SPDX-License-Identifier: Apache-2.0 */
/* Which peers count as up, quiet and down, in which order, and what is said of their endpoints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "host/status.h"

#define NOW 1000000

static struct weft_conf_device dev;

static struct weft_conf_peer *add(uint8_t first)
{
	struct weft_conf_peer *p;

	assert_int_equal(weft_conf_add_peer(&dev, &p), 0);
	memset(p->public_key, first, WEFT_KEY_LEN);
	return p;
}

static void figure(struct weft_conf_peer *p, const char *name, uint64_t value)
{
	assert_int_equal(weft_conf_add_extra(&p->extras, name, strlen(name), value), 0);
}

static void at(struct weft_conf_peer *p, const char *endpoint)
{
	assert_int_equal(weft_endpoint_parse(endpoint, strlen(endpoint), &p->endpoint), 0);
}

static int clear(void **state)
{
	(void)state;
	weft_conf_device_clear(&dev);
	return 0;
}

/* Of another than weftd if `unanswered` is below 0. */
static enum weft_health health(int64_t heard_s_ago, int unanswered, uint64_t tx_bytes,
			       uint16_t keepalive_s)
{
	struct weft_status_facts f = {.dev = &dev, .up = true, .now_sec = NOW};
	struct weft_conf_peer *p = add(1);
	struct weft_status s = {0};
	enum weft_health h;

	at(p, "192.0.2.1:5");
	p->tx_bytes = tx_bytes;
	p->keepalive_s = keepalive_s;
	if (unanswered >= 0)
		figure(p, "handshakes_unanswered", (uint64_t)unanswered);
	if (heard_s_ago >= 0 && unanswered >= 0)
		figure(p, "last_received_age_ms", (uint64_t)heard_s_ago * 1000);
	else if (heard_s_ago >= 0)
		p->last_handshake_sec = (uint64_t)(NOW - heard_s_ago);
	assert_int_equal(weft_status_make(&f, &s), 0);
	h = s.peers[0].health;
	weft_status_clear(&s);
	weft_conf_device_clear(&dev);
	return h;
}

static void healths(void **state)
{
	static const struct {
		int64_t heard_s_ago;
		int unanswered;
		uint64_t tx_bytes;
		uint16_t keepalive_s;
		enum weft_health health;
	} cases[] = {
		/* weftd */
		{-1, 0, 0, 0, WEFT_HEALTH_QUIET},
		{-1, 1, 148, 25, WEFT_HEALTH_QUIET}, /* only just begun */
		{-1, 2, 296, 0, WEFT_HEALTH_DOWN},
		{0, 0, 1, 0, WEFT_HEALTH_UP},
		{179, 2, 1, 25, WEFT_HEALTH_UP}, /* a packet may get lost */
		{20, 3, 1, 0, WEFT_HEALTH_DOWN},
		{180, 0, 1, 0, WEFT_HEALTH_QUIET},
		{180, 2, 1, 0, WEFT_HEALTH_DOWN},
		{86400, 20, 1, 0, WEFT_HEALTH_DOWN}, /* it was given up */
		/* another */
		{-1, -1, 0, 25, WEFT_HEALTH_QUIET},
		{-1, -1, 148, 0, WEFT_HEALTH_DOWN},
		{179, -1, 1, 0, WEFT_HEALTH_UP},
		{180, -1, 1, 0, WEFT_HEALTH_QUIET},
		{180, -1, 1, 25, WEFT_HEALTH_DOWN},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (health(cases[i].heard_s_ago, cases[i].unanswered, cases[i].tx_bytes,
			   cases[i].keepalive_s) != cases[i].health)
			fail_msg("case %zu", i);
}

static void worst_first(void **state)
{
	struct weft_status_facts f = {.dev = &dev, .up = true, .now_sec = NOW};
	struct weft_status s = {0};

	(void)state;
	add(1)->last_handshake_sec = NOW - 5;
	add(2);
	add(3)->tx_bytes = 5;
	add(4)->last_handshake_sec = NOW - 5;
	add(5)->tx_bytes = 5;
	assert_int_equal(weft_status_make(&f, &s), 0);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(s.peers[i].peer->public_key[0], "\3\5\2\1\4"[i]);
	assert_int_equal(s.n_health[WEFT_HEALTH_DOWN], 2);
	assert_int_equal(s.n_health[WEFT_HEALTH_QUIET], 1);
	weft_status_clear(&s);
	/* nothing is expected of an interface that is down */
	f.up = false;
	assert_int_equal(weft_status_make(&f, &s), 0);
	assert_int_equal(s.n_health[WEFT_HEALTH_QUIET], 5);
	weft_status_clear(&s);
}

static void rates(void **state)
{
	struct weft_conf_device then = {0};
	struct weft_status_facts f = {
		.dev = &dev, .up = true, .now_sec = NOW, .then = &then, .then_ms = 2000};
	struct weft_status s = {0};
	struct weft_conf_peer *p;

	(void)state;
	for (uint8_t i = 3; i > 0; i--) {
		assert_int_equal(weft_conf_add_peer(&then, &p), 0);
		memset(p->public_key, i, WEFT_KEY_LEN);
		p->rx_bytes = i == 3 ? 9000 : 1000; /* 3 was taken away and added again */
		p->tx_bytes = 100;
	}
	for (uint8_t i = 1; i < 5; i++) {
		p = add(i);
		p->rx_bytes = 3000;
		p->tx_bytes = 100 + i * 1000u;
		p->last_handshake_sec = NOW;
	}
	assert_int_equal(weft_status_make(&f, &s), 0);
	assert_true(s.peers[0].has_rates && s.peers[1].has_rates);
	assert_int_equal(s.peers[0].rx_rate, 1000);
	assert_int_equal(s.peers[1].tx_rate, 1000);
	assert_false(s.peers[2].has_rates || s.peers[3].has_rates);
	weft_status_clear(&s);
	weft_conf_device_clear(&then);
}

static void names(void **state)
{
	const uint8_t key[WEFT_KEY_LEN] = {0};
	char evil[] = "a\x1b[2Jb", name[WEFT_STATUS_NAME_LEN];
	struct weft_quick_peer peer = {.name = NULL};

	(void)state;
	weft_status_name(&peer, key, name);
	assert_string_equal(name, "AAAAAAAA…");
	weft_status_name(NULL, key, name);
	assert_string_equal(name, "AAAAAAAA…");
	peer.name = evil;
	weft_status_name(&peer, key, name);
	assert_string_equal(name, "a?[2Jb");
}

static void tunnels(void **state)
{
	static const struct {
		const char *prefixes[2];
		enum weft_tunnel tunnel;
	} cases[] = {
		{{NULL, NULL}, WEFT_TUNNEL_NONE},
		{{"10.0.0.0/8", NULL}, WEFT_TUNNEL_SPLIT},
		{{"0.0.0.0/0", NULL}, WEFT_TUNNEL_FULL},
		{{"0.0.0.0/1", "128.0.0.0/1"}, WEFT_TUNNEL_FULL},
		{{"8000::/1", "::/1"}, WEFT_TUNNEL_FULL},
		{{"0.0.0.0/1", "8000::/1"}, WEFT_TUNNEL_SPLIT},
	};
	struct weft_status_facts f = {.dev = &dev, .up = true, .now_sec = NOW};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weft_status s = {0};

		for (size_t k = 0; k < 2 && cases[i].prefixes[k]; k++) {
			struct weft_prefix p;

			assert_int_equal(weft_prefix_parse(cases[i].prefixes[k],
							   strlen(cases[i].prefixes[k]), &p),
					 0);
			assert_int_equal(weft_conf_add_allowed_ip(add((uint8_t)k), &p, false), 0);
		}
		assert_int_equal(weft_status_make(&f, &s), 0);
		assert_int_equal(s.tunnel, cases[i].tunnel);
		weft_status_clear(&s);
		weft_conf_device_clear(&dev);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(healths, clear),
		cmocka_unit_test_teardown(worst_first, clear),
		cmocka_unit_test_teardown(rates, clear),
		cmocka_unit_test(names),
		cmocka_unit_test_teardown(tunnels, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
