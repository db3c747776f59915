/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of host/candidates.h on a virtual clock, against a small model of a WireGuard device:
 * a second a step; initiations 5 s apart for 90 s; a session of 180 s that the initiator renews
 * after 120 s. An address is a number: 192.0.2.N, or 2001:db8::N from 100 on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/candidates.h"

#define S     1000000000ull
#define START 1000000

struct world {
	struct weft_cand_peer p;
	struct weft_cand_times t;
	uint64_t now;   /* seconds */
	bool live[256]; /* somebody answers there */
	bool unusable[256];
	bool traffic, responder, told; /* told: the device says when the last packet came */
	uint16_t keepalive;
	int endpoint;
	uint64_t tx, rx, handshake, received, tried, wanted, sent;
	int answers[4][8]; /* of the lines, ended by 0; the resolver is away: -1 */
	uint32_t ttl;
	unsigned asked[4]; /* how often */
	unsigned looks;
	char log[1024]; /* what was put in, and when: "20:2 32:1" */
};

static struct weft_endpoint ep(int number)
{
	struct weft_endpoint e = {.port = 51820};

	if (!number)
		return (struct weft_endpoint){.port = 0};
	if (number >= 100) {
		e.ip = (struct weft_ip){{0x20, 1, 0xd, 0xb8}, WEFT_IPV6};
		e.ip.b[15] = (uint8_t)number;
	} else {
		e.ip = (struct weft_ip){{192, 0, 2, (uint8_t)number}, WEFT_IPV4};
	}
	return e;
}

static int number_of(const struct weft_endpoint *e)
{
	return e->ip.family == WEFT_IPV6 ? e->ip.b[15] : e->ip.b[3];
}

static void add(struct world *w, int address)
{
	struct weft_endpoint e = ep(address);
	char text[16];

	snprintf(text, sizeof(text), "%zu", w->p.n_lines);
	assert_int_equal(weft_cand_add_line(&w->p, address ? WEFT_CAND_ADDRESS : WEFT_CAND_NAME,
					    text, 10 + (unsigned)w->p.n_lines, &e),
			 0);
}

static void begin(struct world *w, int endpoint, bool traffic)
{
	*w = (struct world){.t = weft_cand_times_default,
			    .now = START,
			    .endpoint = endpoint,
			    .traffic = traffic,
			    .ttl = 3600,
			    .told = true};
}

/* The device, for one second. */
static void device(struct world *w)
{
	bool session = w->handshake && w->now - w->handshake < 180;
	bool answers = w->endpoint && w->live[w->endpoint];
	bool data = w->traffic || (w->keepalive && w->now % w->keepalive == 0);
	bool renew = session && !w->responder && w->now - w->handshake >= 120;
	bool lost = w->sent && w->now - w->sent >= 15;

	if (session && data) {
		w->tx += w->traffic ? 128 : 32;
		if (w->traffic && answers) {
			w->rx += 128;
			w->received = w->now;
			w->sent = 0;
		} else if (w->traffic && !w->sent) {
			w->sent = w->now;
		}
	}
	if (data && (!session || renew || lost) && !w->wanted)
		w->wanted = w->now;
	if (!w->wanted || !w->endpoint || w->now - w->tried < 5)
		return;
	w->tried = w->now;
	w->tx += 148;
	if (answers) {
		w->handshake = w->received = w->now;
		w->rx += 92;
		w->responder = false;
		w->wanted = w->sent = 0;
	} else if (w->now - w->wanted >= 90) {
		w->wanted = w->sent = 0;
	}
}

static bool usable(void *ctx, const struct weft_endpoint *e)
{
	const struct world *w = ctx;

	return !w->unusable[number_of(e)];
}

static void answer(struct world *w, size_t line)
{
	struct weft_cand_answer a = {.ttl_s = w->ttl};

	w->asked[line]++;
	if (w->answers[line][0] < 0) {
		weft_cand_unresolved(&w->p, &w->t, line, -ETIMEDOUT, w->now * S);
		return;
	}
	for (const int *n = w->answers[line]; *n; n++) {
		struct weft_endpoint e = ep(*n);

		assert_int_equal(weft_cand_answer_add(&a, &e, NULL), 0);
	}
	weft_cand_resolved(&w->p, &w->t, line, &a, w->now * S);
	assert_null(a.v);
}

static void keeper(struct world *w)
{
	struct weft_cand_seen seen = {
		.endpoint = ep(w->endpoint),
		.handshake = w->handshake,
		.handshake_age_ns = (w->now - w->handshake) * S,
		.has_received = w->told && w->received,
		.received_age_ns = (w->now - w->received) * S,
		.tx = w->tx,
		.rx = w->rx,
		.keepalive_s = w->keepalive,
	};
	struct weft_cand_action a;
	unsigned steps = 0;

	w->looks++;
	weft_cand_look(&w->p, &seen, w->now * S);
	do {
		weft_cand_step(&w->p, &w->t, w->now * S, usable, w, &a);
		if (a.what == WEFT_CAND_ASK)
			answer(w, a.line);
		if (a.what == WEFT_CAND_SET) {
			size_t at = strlen(w->log);

			w->endpoint = number_of(&a.ep);
			snprintf(w->log + at, sizeof(w->log) - at, "%s%d:%d", at ? " " : "",
				 (int)(w->now - START), w->endpoint);
		}
		assert_true(++steps < 100);
	} while (a.what != WEFT_CAND_NOTHING);
	assert_true(weft_cand_due(&w->p, &w->t) > w->now * S);
}

static void run(struct world *w, unsigned seconds)
{
	for (; seconds; seconds--, w->now++) {
		device(w);
		if (!w->p.looked || weft_cand_due(&w->p, &w->t) <= w->now * S)
			keeper(w);
	}
}

static void end(struct world *w, const char *log)
{
	assert_string_equal(w->log, log);
	weft_cand_peer_clear(&w->p);
}

/* ---- tests ---- */

static void works_untouched(void **state)
{
	struct world w;

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		begin(&w, 1, i & 1);
		w.told = i & 2;
		w.keepalive = i & 4 ? 25 : 0;
		add(&w, 0);
		add(&w, 2);
		w.answers[0][0] = 1;
		w.ttl = 60;
		w.live[1] = true;
		run(&w, 3600);
		w.answers[0][0] = 3; /* it works: what the name says now is not applied */
		w.live[3] = w.live[2] = true;
		if (w.traffic || w.keepalive)
			run(&w, 3600);
		assert_true(w.asked[0] >= 60);
		end(&w, "");
	}
}

/* A session that the other side began, and nothing but our keepalives: 180 s until it is renewed.
 */
static void keepalives_ask_nothing(void **state)
{
	static const uint16_t keepalives[] = {1, 2, 10, 25, 100, 170};
	struct world w;

	(void)state;
	for (size_t i = 0; i < sizeof(keepalives) / sizeof(keepalives[0]); i++) {
		begin(&w, 1, false);
		w.keepalive = keepalives[i];
		w.responder = w.live[1] = true;
		w.handshake = w.received = START;
		add(&w, 1);
		add(&w, 2);
		run(&w, 2000);
		end(&w, "");
		/* dead from the beginning, it is seen with each of them */
		begin(&w, 1, false);
		w.keepalive = keepalives[i];
		w.live[2] = true;
		add(&w, 1);
		add(&w, 2);
		run(&w, 2000);
		assert_int_equal(w.endpoint, 2);
		assert_true(w.handshake > 0);
		weft_cand_peer_clear(&w.p);
	}
}

static void idle_is_not_stale(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 1, true);
	add(&w, 1);
	add(&w, 2);
	w.live[1] = true;
	run(&w, 10);
	w.traffic = w.live[1] = false;
	run(&w, 4000);
	assert_true(w.looks < 4000 / 15 + 10);
	w.live[1] = w.traffic = true; /* back, at the moment when traffic is */
	run(&w, 60);
	end(&w, "");
}

static void next_when_stale(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 1, true);
	add(&w, 1);
	add(&w, 2);
	add(&w, 3);
	w.live[1] = true;
	run(&w, 100);
	w.live[1] = false;
	w.live[3] = true;
	run(&w, 300);
	/* 135 s after the handshake, 12 s for the second; then the third is kept */
	assert_string_equal(w.log, "135:2 147:3");
	assert_int_equal(w.p.why, WEFT_CAND_STALE);
	assert_int_equal(w.p.line, 2);
	w.live[1] = w.live[2] = true;
	run(&w, 1000);
	end(&w, "135:2 147:3");
}

static void first_is_dead(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 1, true);
	add(&w, 1);
	add(&w, 2);
	w.live[2] = true;
	run(&w, 300);
	end(&w, "15:2");
}

static void name_follows(void **state)
{
	struct world w;

	(void)state;
	for (unsigned told = 0; told < 2; told++) {
		begin(&w, 1, true);
		w.told = told;
		add(&w, 0);
		w.answers[0][0] = 1;
		w.live[1] = true;
		run(&w, 300);
		assert_int_equal(w.asked[0], 1);
		w.live[1] = false; /* at 300: the last handshake was at 240 or so */
		w.live[2] = true;
		w.answers[0][0] = 2;
		run(&w, 300);
		assert_int_equal(w.endpoint, 2);
		assert_int_equal(w.asked[0], 2);
		assert_true(w.handshake > START + 300);
		weft_cand_peer_clear(&w.p);
	}
}

static void both_families(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 1, true);
	add(&w, 0);
	w.answers[0][0] = 1;
	w.answers[0][1] = 101;
	w.live[101] = true;
	run(&w, 600);
	end(&w, "15:101");
}

static void interleaved(void **state)
{
	static const struct {
		int in[7], out[7];
	} cases[] = {
		{{1, 2, 3, 101, 102}, {1, 101, 2, 102, 3}},
		{{101, 102, 1}, {101, 1, 102}},
		{{101, 102}, {101, 102}},
		{{1}, {1}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weft_cand_answer a = {0};
		size_t n = 0;

		for (; cases[i].in[n]; n++) {
			struct weft_endpoint e = ep(cases[i].in[n]);

			assert_int_equal(weft_cand_answer_add(&a, &e, "t"), 0);
		}
		weft_cand_interleave(&a, 0);
		for (size_t j = 0; j < n; j++)
			assert_int_equal(number_of(&a.v[j].ep), cases[i].out[j]);
		weft_cand_answer_clear(&a);
	}
}

static void none_works(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 2, true);
	add(&w, 1);
	add(&w, 2);
	w.live[2] = true;
	run(&w, 10);
	w.live[2] = false;
	run(&w, 400);
	/* each round is later than the one before; what worked is put back between them */
	assert_int_equal(strncmp(w.log, "135:1 147:2 162:1 174:2 204:1 216:2 276:1 288:2", 47), 0);
	w.live[2] = true;
	run(&w, 600);
	assert_int_equal(w.endpoint, 2);
	assert_int_equal(w.p.state, WEFT_CAND_IDLE);
	assert_int_equal(w.p.why, WEFT_CAND_PUT_BACK);
	weft_cand_peer_clear(&w.p);
}

/* While nothing works an address that is new is tried at once, as soon as the TTL shows it. */
static void new_one_while_waiting(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 1, true);
	add(&w, 0);
	w.answers[0][0] = 1;
	w.ttl = 30;
	w.live[1] = true;
	run(&w, 10);
	w.live[1] = false;
	run(&w, 2000);
	assert_string_equal(w.log, "");
	w.answers[0][0] = 2;
	w.live[2] = true;
	run(&w, 100); /* within a TTL, traffic or not */
	assert_int_equal(w.endpoint, 2);
	assert_true(w.handshake > START + 2000);
	weft_cand_peer_clear(&w.p);
}

static void resolver_away(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 1, true);
	add(&w, 0);
	w.answers[0][0] = 1;
	w.live[1] = true;
	run(&w, 100);
	w.answers[0][0] = -1;
	w.live[1] = false;
	w.live[2] = true;
	run(&w, 1000);
	assert_string_equal(w.log, "");
	assert_int_equal(w.p.lines[0].error, -ETIMEDOUT);
	assert_true(w.asked[0] < 30); /* not without end */
	w.answers[0][0] = 2;
	run(&w, 400);
	assert_int_equal(w.endpoint, 2);
	assert_int_equal(w.p.lines[0].error, 0);
	weft_cand_peer_clear(&w.p);
}

/* Idle, and the name has moved: applied at the end of its TTL, once no session can live. */
static void idle_and_gone(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 1, true);
	add(&w, 0);
	w.answers[0][0] = 1;
	w.ttl = 60;
	w.live[1] = true;
	run(&w, 10);
	w.traffic = false;
	w.answers[0][0] = 2;
	run(&w, 170);
	assert_string_equal(w.log, "");
	run(&w, 60);
	assert_int_equal(w.endpoint, 2);
	assert_int_equal(w.p.why, WEFT_CAND_GONE);
	/* and back, before a session: the endpoint is as if nothing had been */
	w.answers[0][0] = 1;
	run(&w, 60);
	assert_int_equal(w.endpoint, 1);
	weft_cand_peer_clear(&w.p);
}

static void roamed_is_left(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 1, true);
	add(&w, 0);
	w.answers[0][0] = 1;
	w.ttl = 60;
	w.live[1] = true;
	run(&w, 10);
	w.endpoint = 9; /* the peer came from there */
	w.live[9] = true;
	run(&w, 1000);
	assert_string_equal(w.log, "");
	assert_int_equal(w.p.why, WEFT_CAND_ROAMED);
	w.traffic = false; /* nor when it is idle */
	run(&w, 1000);
	assert_string_equal(w.log, "");
	w.live[9] = false;
	w.traffic = true; /* but when it is asked, and does not answer */
	run(&w, 60);
	assert_int_equal(w.endpoint, 1);
	weft_cand_peer_clear(&w.p);
}

static void no_endpoint_yet(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 0, true);
	add(&w, 0);
	add(&w, 3);
	w.answers[0][0] = 1;
	w.live[1] = true;
	run(&w, 60);
	assert_int_equal(w.p.why, WEFT_CAND_FIRST);
	assert_true(weft_cand_works(&w.p, &w.t, w.now * S));
	end(&w, "0:1");
	begin(&w, 0, true); /* the name cannot be had: the next line can */
	add(&w, 0);
	add(&w, 3);
	w.answers[0][0] = -1;
	run(&w, 1);
	end(&w, "0:3");
}

static void unusable_is_skipped(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 1, true);
	add(&w, 1);
	add(&w, 2);
	add(&w, 3);
	w.unusable[2] = true;
	w.live[3] = true;
	run(&w, 100);
	end(&w, "15:3");
	begin(&w, 1, true); /* none is left */
	add(&w, 1);
	add(&w, 2);
	w.unusable[1] = w.unusable[2] = true;
	run(&w, 1000);
	end(&w, "");
}

static void limits(void **state)
{
	struct weft_cand_answer a = {0};
	struct weft_endpoint e = ep(1);
	struct world w;

	(void)state;
	begin(&w, 1, false);
	for (unsigned i = 0; i < WEFT_CAND_MAX_LINES; i++)
		add(&w, 1);
	assert_int_equal(weft_cand_add_line(&w.p, WEFT_CAND_ADDRESS, "x", 1, &e), WEFT_E_LIMIT);
	for (unsigned i = 0; i < WEFT_CAND_MAX_ADDRS; i++)
		assert_int_equal(weft_cand_answer_add(&a, &e, NULL), 0);
	assert_int_equal(weft_cand_answer_add(&a, &e, NULL), WEFT_E_LIMIT);
	weft_cand_answer_clear(&a);
	weft_cand_peer_clear(&w.p);
}

/* A TTL of nothing is not a reason to ask all the time. */
static void short_ttl(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 1, true);
	add(&w, 0);
	w.answers[0][0] = 1;
	w.ttl = 0;
	w.live[1] = true;
	run(&w, 3000);
	assert_true(w.asked[0] >= 90 && w.asked[0] <= 101);
	end(&w, "");
}

/* ---- one look at a time ---- */

static struct weft_cand_action look(struct world *w, unsigned after, uint64_t tx)
{
	struct weft_cand_seen seen = {.endpoint = ep(w->endpoint),
				      .handshake = w->handshake,
				      .handshake_age_ns = 200 * S,
				      .has_received = w->received != 0,
				      .received_age_ns = (w->now + after - w->received) * S,
				      .tx = tx};
	struct weft_cand_action a;

	w->now += after;
	weft_cand_look(&w->p, &seen, w->now * S);
	weft_cand_step(&w->p, &w->t, w->now * S, usable, w, &a);
	return a;
}

/* What was under way when the endpoint was put in is no proof of it. */
static void life_from_before(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 1, false);
	add(&w, 1);
	add(&w, 2);
	assert_int_equal(look(&w, 0, 1000).what, WEFT_CAND_NOTHING);
	assert_int_equal(look(&w, 15, 2000).what, WEFT_CAND_SET);
	w.endpoint = 2;
	w.received = w.now - 1;
	assert_int_equal(look(&w, 1, 2000).what, WEFT_CAND_NOTHING);
	assert_int_equal(w.p.state, WEFT_CAND_TRYING);
	w.received = w.now;
	assert_int_equal(look(&w, 1, 2000).what, WEFT_CAND_NOTHING);
	assert_int_equal(w.p.state, WEFT_CAND_IDLE);
	assert_int_equal(number_of(&w.p.worked), 2);
	weft_cand_peer_clear(&w.p);
}

/* Somebody has tried once, and then wants nothing any more: that is not stale, nor tried on. */
static void quiet_again(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 1, false);
	add(&w, 1);
	add(&w, 2);
	add(&w, 3);
	w.handshake = 1;
	look(&w, 0, 1000);
	look(&w, 5, 1100);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(look(&w, 5, 1100).what, WEFT_CAND_NOTHING);
	look(&w, 5, 1200);
	look(&w, 5, 1400);
	look(&w, 5, 1600);
	assert_int_equal(look(&w, 5, 1800).what, WEFT_CAND_SET);
	w.endpoint = 2;
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(look(&w, 5, 1800).what, WEFT_CAND_NOTHING);
	assert_int_equal(w.p.state, WEFT_CAND_IDLE);
	weft_cand_peer_clear(&w.p);
}

/* A handshake that was seen to come is no older than the look before, whatever the clock says. */
static void clock_is_set(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 1, false);
	add(&w, 1);
	look(&w, 0, 0);
	w.handshake = 5; /* 200 s old, says the wall clock */
	look(&w, 10, 0);
	assert_int_equal(w.p.handshake_ns, (w.now - 10) * S);
	weft_cand_peer_clear(&w.p);
}

/* While a name is asked for, the lines after it are not taken instead. */
static void waits_for_answers(void **state)
{
	struct weft_cand_answer a = {0};
	struct weft_cand_action did;
	struct weft_endpoint e = ep(1);
	struct world w;

	(void)state;
	begin(&w, 0, false);
	add(&w, 0);
	add(&w, 3);
	assert_int_equal(look(&w, 0, 0).what, WEFT_CAND_ASK);
	assert_int_equal(look(&w, 1, 0).what, WEFT_CAND_NOTHING);
	assert_int_equal(weft_cand_answer_add(&a, &e, NULL), 0);
	weft_cand_resolved(&w.p, &w.t, 0, &a, w.now * S);
	did = look(&w, 1, 0);
	assert_int_equal(did.what, WEFT_CAND_SET);
	assert_int_equal(number_of(&did.ep), 1);
	weft_cand_peer_clear(&w.p);
}

/* ---- more rounds ---- */

static void dies_with_keepalives(void **state)
{
	struct world w;

	(void)state;
	for (uint16_t k = 1; k < 40; k += 3) {
		begin(&w, 1, false);
		w.keepalive = k;
		add(&w, 1);
		add(&w, 2);
		w.live[1] = true;
		run(&w, 100);
		w.live[1] = false;
		w.live[2] = true;
		run(&w, 400);
		assert_int_equal(w.endpoint, 2);
		weft_cand_peer_clear(&w.p);
	}
}

/* Four dead addresses of a name whose TTL ends within a round: each once, the next one first. */
static void round_of_a_name(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 2, true);
	add(&w, 0);
	for (int i = 0; i < 4; i++)
		w.answers[0][i] = 1 + i;
	w.ttl = 30;
	w.live[2] = true;
	run(&w, 10);
	w.live[2] = false;
	run(&w, 170);
	end(&w, "135:3 147:4 159:1 171:2");
}

static void only_when_the_handshake_is_old(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 1, true);
	w.t.stale_s = 300;
	add(&w, 1);
	add(&w, 2);
	w.live[1] = true;
	run(&w, 10);
	w.live[1] = false;
	run(&w, 300);
	end(&w, "300:2");
}

static void never_later_than_five_minutes(void **state)
{
	struct world w;
	unsigned sets = 1;

	(void)state;
	begin(&w, 1, true);
	add(&w, 1);
	add(&w, 2);
	run(&w, 4000);
	for (const char *p = w.log; *p; p++)
		sets += *p == ' ';
	/* 15 + 30 + ... + 240 s, then every 312 s: there and back each time */
	assert_in_range(sets, 2 * 13, 2 * 18);
	weft_cand_peer_clear(&w.p);
}

static void new_one_at_once(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 1, true);
	add(&w, 0);
	w.answers[0][0] = 1;
	w.ttl = 30;
	run(&w, 1000);
	while (w.p.state != WEFT_CAND_WAITING || w.p.until_ns < (w.now + 200) * S)
		run(&w, 1);
	w.answers[0][0] = 2;
	run(&w, 35);
	assert_int_equal(w.endpoint, 2);
	weft_cand_peer_clear(&w.p);
}

/* It had left the name, and is back before that counted. */
static void gone_and_back(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 1, true);
	add(&w, 0);
	w.answers[0][0] = 1;
	w.ttl = 30;
	w.live[1] = true;
	run(&w, 10);
	w.traffic = false;
	w.answers[0][0] = 2;
	run(&w, 100);
	assert_true(w.p.gone);
	w.answers[0][0] = 1;
	run(&w, 1000);
	assert_false(w.p.gone);
	end(&w, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(works_untouched),
		cmocka_unit_test(keepalives_ask_nothing),
		cmocka_unit_test(idle_is_not_stale),
		cmocka_unit_test(next_when_stale),
		cmocka_unit_test(first_is_dead),
		cmocka_unit_test(name_follows),
		cmocka_unit_test(both_families),
		cmocka_unit_test(interleaved),
		cmocka_unit_test(none_works),
		cmocka_unit_test(new_one_while_waiting),
		cmocka_unit_test(resolver_away),
		cmocka_unit_test(idle_and_gone),
		cmocka_unit_test(roamed_is_left),
		cmocka_unit_test(no_endpoint_yet),
		cmocka_unit_test(unusable_is_skipped),
		cmocka_unit_test(limits),
		cmocka_unit_test(short_ttl),
		cmocka_unit_test(life_from_before),
		cmocka_unit_test(quiet_again),
		cmocka_unit_test(clock_is_set),
		cmocka_unit_test(waits_for_answers),
		cmocka_unit_test(dies_with_keepalives),
		cmocka_unit_test(round_of_a_name),
		cmocka_unit_test(only_when_the_handshake_is_old),
		cmocka_unit_test(never_later_than_five_minutes),
		cmocka_unit_test(new_one_at_once),
		cmocka_unit_test(gone_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
