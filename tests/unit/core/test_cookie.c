/* SPDX-License-Identifier: Apache-2.0 */
/* MACs and cookies, both sides against each other, across ages, sources and key changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <pthread.h>

#include "core/cookie.h"
#include "unit_random.h"

#define S   UINT64_C(1000000000)
#define LEN 148

static struct weft_crypto *c;
static const uint8_t public_key[32] = {9, 8, 7, [31] = 0x40};
static const uint8_t other_key[32] = {1, 2, 3};

static void fill(void *ctx, void *out, size_t len)
{
	uint64_t *seed = ctx;
	uint8_t *p = out;

	while (len--)
		*p++ = (uint8_t)unit_random(seed);
}

struct fixture {
	uint64_t seed;
	struct weft_cookie_checker ck;
	struct weft_cookie_peer peer;
	struct weft_endpoint from;
	uint8_t msg[LEN];
	uint8_t reply[WEFT_COOKIE_REPLY_LEN];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct weft_rng rng = {.fill = fill};

	if (!f)
		return -1;
	f->seed = unit_seed();
	rng.ctx = &f->seed;
	weft_cookie_checker_init(&f->ck, &rng);
	if (weft_cookie_checker_set_key(&f->ck, c, public_key) ||
	    weft_cookie_peer_init(&f->peer, c, public_key))
		return -1;
	f->from = (struct weft_endpoint){.ip = {{192, 0, 2, 1}, WEFT_IPV4}, .port = 4711};
	fill(&f->seed, f->msg, LEN - 32);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	static const struct weft_cookie_peer zero;

	weft_cookie_checker_fini(&f->ck);
	weft_cookie_peer_clear(&f->peer);
	if (memcmp(&f->peer, &zero, sizeof(zero)) != 0 || !weft_ct_is_zero(&f->ck.cookie_key, 32) ||
	    !weft_ct_is_zero(&f->ck.secret, 32))
		return -1;
	free(f);
	return 0;
}

static void send_at(struct fixture *f, uint64_t now)
{
	assert_int_equal(weft_cookie_add_macs(&f->peer, c, f->msg, LEN, now), 0);
}

static int mac2_at(struct fixture *f, uint64_t now)
{
	return weft_cookie_check_mac2(&f->ck, c, f->msg, LEN, &f->from, now);
}

/* The peer sends, gets a cookie and takes it, all at `now`. */
static void get_cookie(struct fixture *f, uint64_t now)
{
	send_at(f, now);
	assert_int_equal(
		weft_cookie_reply(&f->ck, c, f->msg, LEN, 0x01020304, &f->from, now, f->reply), 0);
	assert_int_equal(weft_cookie_consume(&f->peer, c, f->reply, sizeof(f->reply), now), 0);
}

static void test_mac1(void **state)
{
	struct fixture *f = *state;
	uint8_t key[32], mac[16];

	send_at(f, 0);
	assert_int_equal(weft_cookie_check_mac1(&f->ck, c, f->msg, LEN), 0);
	/* straight from the paper: MAC(HASH(LABEL-MAC1 || Spub), msg-alpha) */
	assert_int_equal(weft_hash(c, key, "mac1----", 8, public_key, 32), 0);
	assert_int_equal(weft_mac(c, mac, key, 32, f->msg, LEN - 32), 0);
	assert_memory_equal(mac, f->msg + LEN - 32, 16);
	assert_true(weft_ct_is_zero(f->msg + LEN - 16, 16));
	for (int i = 0; i < LEN - 16; i++) {
		f->msg[i] ^= 0x10;
		assert_int_equal(weft_cookie_check_mac1(&f->ck, c, f->msg, LEN), WEFT_E_AUTH);
		f->msg[i] ^= 0x10;
	}
	assert_int_equal(weft_cookie_check_mac1(&f->ck, c, f->msg, 31), WEFT_E_TRUNCATED);
	assert_int_equal(weft_cookie_checker_set_key(&f->ck, c, other_key), 0);
	assert_int_equal(weft_cookie_check_mac1(&f->ck, c, f->msg, LEN), WEFT_E_AUTH);
	assert_int_equal(weft_cookie_checker_set_key(&f->ck, c, public_key), 0);
	assert_int_equal(weft_cookie_check_mac1(&f->ck, c, f->msg, LEN), 0);
	assert_int_equal(weft_cookie_checker_set_key(&f->ck, c, NULL), 0);
	assert_int_equal(weft_cookie_check_mac1(&f->ck, c, f->msg, LEN), WEFT_E_AUTH);
}

static void test_mac2(void **state)
{
	struct fixture *f = *state;

	send_at(f, S);
	assert_int_equal(mac2_at(f, S), WEFT_E_AUTH);
	get_cookie(f, S);
	send_at(f, 2 * S);
	assert_int_equal(mac2_at(f, 2 * S), 0);
	assert_int_equal(weft_cookie_check_mac1(&f->ck, c, f->msg, LEN), 0);
	/* the cookie belongs to address and port both */
	f->from.port++;
	assert_int_equal(mac2_at(f, 2 * S), WEFT_E_AUTH);
	f->from.port--;
	f->from.ip.b[3]++;
	assert_int_equal(mac2_at(f, 2 * S), WEFT_E_AUTH);
	f->from.ip.b[3]--;
	f->from.ip.family = WEFT_IPV6;
	assert_int_equal(mac2_at(f, 2 * S), WEFT_E_AUTH);
	f->from.ip.family = WEFT_IPV4;
	for (int i = 0; i < LEN; i++) {
		f->msg[i] ^= 1;
		assert_int_equal(mac2_at(f, 2 * S), WEFT_E_AUTH);
		f->msg[i] ^= 1;
	}
	assert_int_equal(mac2_at(f, 2 * S), 0);
}

static void test_ipv6_bytes(void **state)
{
	struct fixture *f = *state;

	f->from.ip = (struct weft_ip){{0x20, 1, 0xd, 0xb8, [15] = 1}, WEFT_IPV6};
	get_cookie(f, S);
	send_at(f, S);
	assert_int_equal(mac2_at(f, S), 0);
	for (int i = 0; i < 16; i++) {
		f->from.ip.b[i] ^= 1;
		assert_int_equal(mac2_at(f, S), WEFT_E_AUTH);
		f->from.ip.b[i] ^= 1;
	}
}

static void test_ages(void **state)
{
	struct fixture *f = *state;

	get_cookie(f, S); /* the secret is born */
	send_at(f, 116 * S - 1);
	assert_int_equal(mac2_at(f, 116 * S), 0);
	assert_int_equal(mac2_at(f, 121 * S - 1), 0);
	assert_int_equal(mac2_at(f, 121 * S), WEFT_E_AUTH); /* a new secret */
	get_cookie(f, 200 * S);
	send_at(f, 315 * S - 1);
	assert_false(weft_ct_is_zero(f->msg + LEN - 16, 16));
	send_at(f, 315 * S); /* the peer forgets its cookie 5 s early */
	assert_true(weft_ct_is_zero(f->msg + LEN - 16, 16));
	send_at(f, 201 * S);
	assert_true(weft_ct_is_zero(f->msg + LEN - 16, 16));
}

static void test_replies(void **state)
{
	struct fixture *f = *state;
	uint8_t reply[WEFT_COOKIE_REPLY_LEN];

	/* none was asked for */
	memset(reply, 0, sizeof(reply));
	assert_int_equal(weft_cookie_consume(&f->peer, c, reply, 64, S), WEFT_E_AUTH);
	get_cookie(f, S);
	assert_memory_equal(f->reply, ((uint8_t[8]){3, 0, 0, 0, 4, 3, 2, 1}), 8);
	/* a reply answers one message only */
	assert_int_equal(weft_cookie_consume(&f->peer, c, f->reply, 64, S), WEFT_E_AUTH);
	/* and the last one only */
	f->msg[5]++;
	send_at(f, S);
	assert_int_equal(weft_cookie_consume(&f->peer, c, f->reply, 64, S), WEFT_E_AUTH);
	assert_int_equal(weft_cookie_reply(&f->ck, c, f->msg, LEN, 9, &f->from, S, reply), 0);
	assert_memory_not_equal(reply + 8, f->reply + 8, 24); /* fresh nonce */
	for (int i = 8; i < 64; i++) {
		reply[i] ^= 0x80;
		assert_int_equal(weft_cookie_consume(&f->peer, c, reply, 64, S), WEFT_E_AUTH);
		reply[i] ^= 0x80;
	}
	assert_int_equal(weft_cookie_consume(&f->peer, c, reply, 63, S), WEFT_E_TRUNCATED);
	assert_int_equal(weft_cookie_consume(&f->peer, c, reply, 64, S), 0);
	/* a reply under another device's key */
	send_at(f, S);
	assert_int_equal(weft_cookie_checker_set_key(&f->ck, c, other_key), 0);
	assert_int_equal(weft_cookie_reply(&f->ck, c, f->msg, LEN, 9, &f->from, S, reply), 0);
	assert_int_equal(weft_cookie_consume(&f->peer, c, reply, 64, S), WEFT_E_AUTH);
}

static struct fixture *shared;
static atomic_bool stop;

static void *check_all(void *arg)
{
	struct weft_crypto *own;
	size_t *torn = arg;

	if (weft_crypto_new(&own))
		return NULL;
	while (!atomic_load(&stop)) {
		/* the key is one of two: the message is always right under one, and the pair of
		 * answers is never anything but right and wrong */
		int rc = weft_cookie_check_mac1(&shared->ck, own, shared->msg, LEN);

		if (rc != 0 && rc != WEFT_E_AUTH)
			(*torn)++;
	}
	weft_crypto_free(own);
	return NULL;
}

/* Workers check while the owner changes the key. */
static void test_threads(void **state)
{
	pthread_t t;
	size_t torn = 0;

	shared = *state;
	send_at(shared, 0);
	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&t, NULL, check_all, &torn), 0);
	for (int i = 0; i < 2000; i++)
		assert_int_equal(
			weft_cookie_checker_set_key(&shared->ck, c, i % 2 ? public_key : other_key),
			0);
	atomic_store(&stop, true);
	pthread_join(t, NULL);
	assert_int_equal(torn, 0);
	assert_int_equal(weft_cookie_check_mac1(&shared->ck, c, shared->msg, LEN), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_mac1, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mac2, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ipv6_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
	};
	int rc;

	if (weft_crypto_init() || weft_crypto_new(&c))
		return 1;
	rc = cmocka_run_group_tests_name("core-cookie", tests, NULL, NULL);
	weft_crypto_free(c);
	return rc;
}
