/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hub has started anew, and all its spokes come back at once: a whole device with the daemon's
 * sizes, whose owner has one core and pays for its work in virtual time. The spokes are less than
 * devices, so that ten thousand of them fit: the initiator's half of the handshake, from core, and
 * a stock peer's patience (one initiation every 5 s and jitter, a cookie waits for the next one).
 *
 * WEFT_TEST_SEED gives another run of all cases.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/cookie.h"
#include "core/noise.h"
#include "sim.h"
#include "unit_random.h"
#include "util/cursor.h"

#define SPOKES      10000
#define HUB_QUEUE   16384 /* WEFTD_HANDSHAKE_QUEUE, and WEFTD_RATELIMIT_ENTRIES */
#define HUB_SOURCES 8192
#define ARRIVE_NS   (50 * MS) /* they notice within this time of each other */

/* One answered initiation takes 180 us; a stranger's one Diffie-Hellman of that. */
#define DH_NS        UINT64_C(45000)
#define RESPONSE_NS  UINT64_C(90000)
#define COOKIE_NS    UINT64_C(10000)
#define HANDSHAKE_NS (2 * DH_NS + RESPONSE_NS)

#define RETRY_NS  (5 * S)
#define JITTER_NS SIM_JITTER
/* All of it, one after the other, and a cookie for each before. */
#define WORK_NS (SPOKES * (HANDSHAKE_NS + COOKIE_NS))
/* Ways of 20 to 30 ms, three of them each time; and they do not all begin at 0. */
#define MARGIN_NS (ARRIVE_NS + 6 * 30 * MS)

#define JUNK_PER_MS 30          /* a third more than the hub could look at without cookies */
#define JUNK_FIRST  (2500 * MS) /* so long before the spokes: without cookies, the queue is full */
#define JUNK_KINDS  16
#define JUNK_FROM   (1u << 20) /* addresses */

struct spoke {
	struct weft_secret key;
	uint8_t public_key[WEFT_KEY_LEN];
	struct weft_handshake hs;
	struct weft_handshake_run run;
	struct weft_cookie_peer macs;
	uint32_t index; /* of the last initiation */
	unsigned tries;
	uint64_t up_ns; /* since the beginning; 0: not yet */
};

static struct {
	struct sim *s;
	struct sim_node *hub;
	struct weft_crypto *crypto;
	struct weft_noise noise;
	struct weft_cookie_peer macs; /* of one who knows the hub's key and has no cookie */
	struct spoke *speaks;         /* whose static key the noise has */
	struct spoke *spokes;
	uint64_t begin_ns;
	unsigned up;
	uint8_t junk[JUNK_KINDS][WEFT_MSG_INITIATION_LEN];
	unsigned junk_per_ms;
	uint64_t junk_sent;
} w;

static void must(int rc)
{
	if (rc)
		sim_fail(w.s, "the core's functions fail: %d", rc);
}

/* ---- a spoke ---- */

static int spoke_dh(void *ctx, struct weft_secret *ret_shared, const uint8_t point[WEFT_KEY_LEN])
{
	(void)ctx;
	return weft_x25519(w.crypto, ret_shared, &w.speaks->key, point);
}

static void random_secret(struct weft_secret *ret_secret)
{
	for (size_t i = 0; i < sizeof(ret_secret->b); i += 8)
		weft_put_le64(ret_secret->b + i, sim_random(w.s));
	weft_x25519_clamp(ret_secret);
}

static void spoke_init(struct spoke *k)
{
	random_secret(&k->key);
	must(weft_x25519_public(w.crypto, k->public_key, &k->key));
	weft_handshake_init(&k->hs, w.hub->public_key);
	k->hs.run = &k->run;
	k->macs = w.macs;
}

static void spoke_speaks(struct spoke *k)
{
	w.speaks = k;
	weft_noise_set_static(&w.noise, k->public_key);
}

static void spoke_initiation(struct spoke *k, uint8_t pkt[WEFT_MSG_INITIATION_LEN])
{
	uint8_t timestamp[WEFT_TIMESTAMP_LEN];
	struct weft_secret ephemeral;

	spoke_speaks(k);
	random_secret(&ephemeral);
	weft_noise_timestamp(timestamp, w.s->now / S, (uint32_t)(w.s->now % S));
	k->index = (uint32_t)sim_random(w.s);
	must(weft_noise_create_initiation(&w.noise, &k->hs, &ephemeral, timestamp, k->index, pkt));
	must(weft_cookie_add_macs(&k->macs, w.crypto, pkt, WEFT_MSG_INITIATION_LEN, w.s->now));
}

static void spoke_sends(const struct spoke *k, const uint8_t *pkt, size_t len)
{
	size_t i = (size_t)(k - w.spokes);
	struct weft_endpoint to = sim_public(w.hub);
	struct weft_endpoint from = {.ip = {{10, 128, (uint8_t)(i >> 8), (uint8_t)i}, WEFT_IPV4},
				     .port = SIM_PORT};

	sim_send(w.s, NULL, &from, &to, 0, pkt, len);
}

static void spoke_tries(struct sim *s, void *arg)
{
	uint8_t pkt[WEFT_MSG_INITIATION_LEN];
	struct spoke *k = arg;

	if (k->up_ns)
		return;
	k->tries++;
	spoke_initiation(k, pkt);
	spoke_sends(k, pkt, sizeof(pkt));
	sim_at(s, RETRY_NS + sim_below(s, JITTER_NS), spoke_tries, k);
}

static void spoke_answered(struct spoke *k, const uint8_t *pkt, size_t len)
{
	uint8_t keepalive[WEFT_MSG_DATA_MIN_LEN];
	struct weft_noise_keys keys;

	spoke_speaks(k);
	must(weft_noise_consume_response(&w.noise, &k->hs, pkt, len));
	must(weft_noise_begin_session(&w.noise, &k->hs, &keys));
	weft_message_write_data(keepalive, keys.remote_index, 0);
	must(weft_aead_seal(w.crypto, &keys.send, 0, NULL, 0, keepalive + 16, keepalive + 16, 0));
	spoke_sends(k, keepalive, sizeof(keepalive));
	k->up_ns = w.s->now - w.begin_ns;
	w.up++;
}

/* Everything that the hub sends: to a spoke, or to one of the junk's addresses. */
static void from_hub(struct sim *s, const struct weft_endpoint *to, const uint8_t *pkt, size_t len)
{
	size_t i = (size_t)to->ip.b[2] << 8 | to->ip.b[3];
	struct spoke *k;

	if (to->ip.b[0] != 10) {
		sim_check(s, pkt[0] == WEFT_MSG_COOKIE, "junk is answered");
		return;
	}
	sim_check(s, i < SPOKES, "sent to nobody");
	k = &w.spokes[i];
	if (pkt[0] == WEFT_MSG_RESPONSE && !k->up_ns && weft_get_le32(pkt + 8) == k->index)
		spoke_answered(k, pkt, len);
	else if (pkt[0] == WEFT_MSG_COOKIE && weft_get_le32(pkt + 4) == k->index)
		must(weft_cookie_consume(&k->macs, w.crypto, pkt, len, s->now));
}

/* ---- junk ---- */

/* Whole initiations of strangers; another index and mac1 makes another of each. */
static void junk_init(void)
{
	static struct spoke stranger;

	for (unsigned i = 0; i < JUNK_KINDS; i++) {
		memset(&stranger, 0, sizeof(stranger));
		spoke_init(&stranger);
		spoke_initiation(&stranger, w.junk[i]);
	}
}

static void junk_step(struct sim *s, void *arg)
{
	struct weft_endpoint to = sim_public(w.hub);
	uint8_t *pkt;
	uint32_t n;

	for (unsigned i = 0; i < w.junk_per_ms; i++) {
		struct weft_endpoint from = {.port = (uint16_t)(1 + sim_below(s, 65535))};

		n = (uint32_t)sim_below(s, JUNK_FROM);
		from.ip = (struct weft_ip){{100, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n},
					   WEFT_IPV4};
		pkt = w.junk[sim_below(s, JUNK_KINDS)];
		weft_put_le32(pkt + 4, (uint32_t)sim_random(s));
		must(weft_cookie_add_macs(&w.macs, w.crypto, pkt, WEFT_MSG_INITIATION_LEN, s->now));
		sim_send(s, NULL, &from, &to, 0, pkt, WEFT_MSG_INITIATION_LEN);
		w.junk_sent++;
	}
	if (w.junk_per_ms)
		sim_at(s, MS, junk_step, arg);
}

/* ---- the storm ---- */

static int setup(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	w.s = sim_new(unit_seed());
	w.s->net = (struct sim_net){.delay_ns = 20 * MS, .jitter_ns = 10 * MS};
	w.s->elsewhere = from_hub;
	must(weft_crypto_new(&w.crypto));
	must(weft_noise_init(&w.noise, w.crypto, spoke_dh, NULL));
	w.hub = sim_node_add(w.s);
	w.hub->params.handshake_queue_pkts = HUB_QUEUE;
	w.hub->params.ratelimit_entries = HUB_SOURCES;
	w.hub->service = (struct sim_service){
		.dh_ns = DH_NS, .response_ns = RESPONSE_NS, .cookie_ns = COOKIE_NS};
	must(weft_cookie_peer_init(&w.macs, w.crypto, w.hub->public_key));
	w.spokes = calloc(SPOKES, sizeof(*w.spokes));
	assert_non_null(w.spokes);
	for (size_t i = 0; i < SPOKES; i++)
		spoke_init(&w.spokes[i]);
	junk_init();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sim_free(w.s);
	weft_crypto_free(w.crypto);
	free(w.spokes);
	return 0;
}

/* A fresh hub; it has been told of its peers, and not where they are. */
static void hub_restarts(void)
{
	struct weft_peer *peer;

	sim_node_restart(w.hub);
	must(weft_device_reserve(w.hub->dev, SPOKES, 0));
	for (size_t i = 0; i < SPOKES; i++)
		must(weft_peer_add(w.hub->dev, w.spokes[i].public_key, &peer));
}

static void all_come(void)
{
	w.begin_ns = w.s->now;
	for (size_t i = 0; i < SPOKES; i++)
		sim_at(w.s, sim_below(w.s, ARRIVE_NS), spoke_tries, &w.spokes[i]);
}

/* When the last had its session. */
static uint64_t last_ns(void)
{
	uint64_t last = 0;

	for (size_t i = 0; i < SPOKES; i++) {
		sim_check(w.s, w.spokes[i].up_ns, "spoke %zu has no session", i);
		if (w.spokes[i].up_ns > last)
			last = w.spokes[i].up_ns;
	}
	return last;
}

/* Spokes that had to come more often than that. */
static unsigned more_than(unsigned tries)
{
	unsigned n = 0;

	for (size_t i = 0; i < SPOKES; i++)
		n += w.spokes[i].tries > tries;
	return n;
}

static void report(const struct weft_device_stats *st)
{
	print_message("# last after %llu ms; a second try: %u, a third: %u; cookies %llu; "
		      "queue full %llu; junk %llu\n",
		      (unsigned long long)(last_ns() / MS), more_than(1), more_than(2),
		      (unsigned long long)st->cookies_sent,
		      (unsigned long long)st->drops[WEFT_DROP_RX_QUEUE_FULL],
		      (unsigned long long)w.junk_sent);
}

/* Until all have a session, or the time is over. */
static void run_until_up(uint64_t limit_ns, struct weft_device_stats *ret_st)
{
	uint64_t end = w.s->now + limit_ns;

	while (w.up < SPOKES && w.s->now + 10 * MS <= end)
		sim_run(w.s, 10 * MS);
	w.junk_per_ms = 0;
	weft_device_stats(w.hub->dev, ret_st);
	sim_check(w.s, w.up == SPOKES, "%u of %u have a session, %llu times the queue was full",
		  w.up, SPOKES, (unsigned long long)ret_st->drops[WEFT_DROP_RX_QUEUE_FULL]);
	report(ret_st);
}

/* What the hub knows of it, and that it comes to rest. */
static void check_hub(void)
{
	sim_run(w.s, 4 * S);
	assert_int_equal(w.hub->events[WEFT_EVENT_PEER_UP], SPOKES);
	assert_true(w.hub->events[WEFT_EVENT_UNDER_LOAD_BEGIN] > 0);
	assert_int_equal(w.hub->events[WEFT_EVENT_UNDER_LOAD_END],
			 w.hub->events[WEFT_EVENT_UNDER_LOAD_BEGIN]);
}

static void test_restart(void **state)
{
	struct weft_device_stats st;

	(void)state;
	hub_restarts();
	all_come();
	run_until_up(WORK_NS + RETRY_NS + JITTER_NS + MARGIN_NS, &st);
	assert_in_range(st.cookies_sent, SPOKES / 2, SPOKES); /* few were served at first sight */
	assert_int_equal(st.drops[WEFT_DROP_RX_QUEUE_FULL], 0);
	assert_int_equal(st.drops[WEFT_DROP_RX_RATELIMIT], 0);
	assert_int_equal(more_than(2), 0);
	check_hub();
}

/*
 * Strangers send more than one core can look at, before the spokes come and all the while. What the
 * cookies for them take is not there for the spokes; and where they fill the queue while it holds
 * the spokes, the last of these may have to come a third time.
 */
static void test_restart_junk(void **state)
{
	const uint64_t left_us = 1000 - JUNK_PER_MS * COOKIE_NS / 1000; /* of each millisecond */
	struct weft_device_stats st;

	(void)state;
	hub_restarts();
	w.junk_per_ms = JUNK_PER_MS;
	sim_at(w.s, 0, junk_step, NULL);
	sim_run(w.s, JUNK_FIRST);
	assert_true(w.hub->events[WEFT_EVENT_UNDER_LOAD_BEGIN] > 0);
	all_come();
	run_until_up(WORK_NS * 1000 / left_us + 2 * (RETRY_NS + JITTER_NS) + MARGIN_NS, &st);
	assert_in_range(more_than(2), 0, SPOKES / 20);
	assert_int_equal(more_than(3), 0);
	assert_true(st.cookies_sent > SPOKES + w.junk_sent / 2);
	assert_int_equal(st.drops[WEFT_DROP_RX_RATELIMIT], 0);
	check_hub();
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_restart),
		CASE(test_restart_junk),
	};

	if (weft_crypto_init())
		return 1;
	return cmocka_run_group_tests_name("storm", tests, NULL, NULL);
}
