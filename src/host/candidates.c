/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of candidates.h. */
#include "host/candidates.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define S               1000000000ull
#define KEEPALIVE_BYTES 32
#define SESSION_S       180 /* without one, keepalives do not go out: initiations do */
#define ANSWER_S        5   /* what an initiation is given, as WireGuard does */
#define QUIET_S         10  /* longer than between two initiations */
#define YOUNG_S         60  /* an endpoint that was never tried is looked at more often */
#define FRESH_S         10  /* an answer this young is not asked for again because of a round */
#define RETRY_S         5   /* after a name could not be had: first, then twice as long each time */
#define RETRY_MAX_S     300

const struct weft_cand_times weft_cand_times_default = {
	.stale_s = 135,
	.grace_s = 15, /* the receiver's keepalive, 10 s, and a retransmission, 5 s */
	.try_s = 12,   /* two initiations and a little */
	.look_s = 15,
	.session_s = 180,
	.ttl_min_s = 30,
	.ttl_max_s = 86400,
	.backoff_s = 15,
	.backoff_max_s = 300,
};

void weft_cand_answer_clear(struct weft_cand_answer *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->v[i].target);
	free(a->v);
	*a = (struct weft_cand_answer){0};
}

int weft_cand_answer_add(struct weft_cand_answer *a, const struct weft_endpoint *ep,
			 const char *target)
{
	struct weft_cand_addr *v;
	char *copy = NULL;

	if (a->n == WEFT_CAND_MAX_ADDRS)
		return WEFT_E_LIMIT;
	v = realloc(a->v, (a->n + 1) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	a->v = v;
	if (target) {
		copy = malloc(strlen(target) + 1);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, target, strlen(target) + 1);
	}
	a->v[a->n++] = (struct weft_cand_addr){.ep = *ep, .target = copy};
	return 0;
}

void weft_cand_interleave(struct weft_cand_answer *a, size_t from)
{
	struct weft_cand_addr out[WEFT_CAND_MAX_ADDRS];
	size_t next[2] = {from, from}, n = 0; /* [0]: of the first one's family */
	uint8_t first;
	bool turn = false;

	if (a->n < from + 2)
		return;
	first = a->v[from].ep.ip.family;
	while (n < a->n - from) {
		size_t *i = &next[turn];

		while (*i < a->n && (a->v[*i].ep.ip.family == first) == turn)
			(*i)++;
		if (*i < a->n)
			out[n++] = a->v[(*i)++];
		turn = !turn;
	}
	memcpy(a->v + from, out, n * sizeof(*out));
}

int weft_cand_add_line(struct weft_cand_peer *p, enum weft_cand_kind kind, const char *text,
		       unsigned number, const struct weft_endpoint *ep)
{
	struct weft_cand_line *lines, line = {.kind = kind, .number = number};
	int rc = 0;

	if (p->n_lines == WEFT_CAND_MAX_LINES)
		return WEFT_E_LIMIT;
	lines = realloc(p->lines, (p->n_lines + 1) * sizeof(*lines));
	if (!lines)
		return -ENOMEM;
	p->lines = lines;
	line.text = malloc(strlen(text) + 1);
	if (!line.text)
		return -ENOMEM;
	memcpy(line.text, text, strlen(text) + 1);
	if (kind == WEFT_CAND_ADDRESS) {
		line.known = true;
		line.ask_ns = line.expires_ns = WEFT_CAND_NEVER;
		rc = weft_cand_answer_add(&line.answer, ep, NULL);
	}
	if (rc) {
		free(line.text);
		return rc;
	}
	p->lines[p->n_lines++] = line;
	p->line = p->n_lines;
	return 0;
}

void weft_cand_peer_clear(struct weft_cand_peer *p)
{
	for (size_t i = 0; i < p->n_lines; i++) {
		weft_cand_answer_clear(&p->lines[i].answer);
		free(p->lines[i].text);
	}
	free(p->lines);
	*p = (struct weft_cand_peer){0};
}

const struct weft_cand_addr *weft_cand_find(const struct weft_cand_peer *p,
					    const struct weft_endpoint *ep, size_t *ret_line)
{
	for (size_t i = 0; i < p->n_lines; i++)
		for (size_t j = 0; j < p->lines[i].answer.n; j++) {
			if (!weft_endpoint_same_remote(&p->lines[i].answer.v[j].ep, ep))
				continue;
			*ret_line = i;
			return &p->lines[i].answer.v[j];
		}
	return NULL;
}

/* ---- what is seen ---- */

static uint64_t before(uint64_t now, uint64_t age)
{
	return age < now ? now - age : 1; /* 0 is never */
}

static void ask_nothing(struct weft_cand_peer *p, uint64_t now)
{
	p->base_tx = p->tx;
	p->base_ns = now;
	p->asked_ns = WEFT_CAND_NEVER;
}

/* The moment of the newest sign of life that this look shows; 0: it shows none. */
static uint64_t sign_of_life(struct weft_cand_peer *p, const struct weft_cand_seen *s, uint64_t now)
{
	uint64_t alive = 0;

	if (s->handshake && s->handshake != p->stamp) {
		p->handshake_ns = before(now, s->handshake_age_ns);
		if (p->looked && p->handshake_ns < p->look_ns) /* a clock was set back */
			p->handshake_ns = p->look_ns;
		alive = p->handshake_ns;
	} else if (!s->handshake) {
		p->handshake_ns = 0;
	}
	p->stamp = s->handshake;
	if (s->has_received && before(now, s->received_age_ns) > alive)
		alive = before(now, s->received_age_ns);
	else if (!s->has_received && p->looked && s->rx > p->rx)
		alive = now;
	return alive;
}

static void note_asked(struct weft_cand_peer *p, uint64_t now)
{
	uint64_t end = p->handshake_ns ? p->handshake_ns + SESSION_S * S : 0;
	uint64_t free_bytes = KEEPALIVE_BYTES; /* one may answer what the peer sent last */

	end = end < now ? end : now;
	if (p->keepalive_s && end > p->base_ns)
		free_bytes *= (end - p->base_ns) / (p->keepalive_s * S) + 2;
	if (p->tx - p->base_tx <= free_bytes)
		return;
	/* WireGuard gives up after 90 s until it is asked again; with keepalives it always is */
	if (!p->keepalive_s && now - p->grew_ns >= QUIET_S * S)
		ask_nothing(p, now);
	else if (p->asked_ns == WEFT_CAND_NEVER)
		p->asked_ns = now;
}

static void note_endpoint(struct weft_cand_peer *p, const struct weft_endpoint *ep, bool alive,
			  uint64_t now)
{
	bool same = weft_endpoint_same_remote(&p->now, ep);
	size_t line;

	if (!same || !p->looked) {
		p->now = *ep;
		p->since_ns = now;
		p->why = !p->looked ? WEFT_CAND_FOUND
			 : alive    ? WEFT_CAND_ROAMED
				    : WEFT_CAND_BY_HAND;
		p->gone = false;
	}
	if (weft_cand_find(p, ep, &line))
		p->line = line;
}

void weft_cand_look(struct weft_cand_peer *p, const struct weft_cand_seen *s, uint64_t now)
{
	uint64_t alive = sign_of_life(p, s, now);
	bool restarted = p->looked && s->tx < p->tx;

	note_endpoint(p, &s->endpoint, alive > p->alive_ns, now);
	if (!p->looked || s->tx != p->tx)
		p->grew_ns = now;
	p->tx = s->tx;
	p->rx = s->rx;
	p->keepalive_s = s->keepalive_s;
	if (alive > p->alive_ns) {
		p->alive_ns = alive;
		/* what came before the endpoint was put in says nothing of it */
		if (p->state == WEFT_CAND_IDLE || alive > p->base_ns) {
			p->state = WEFT_CAND_IDLE;
			p->worked = s->endpoint;
			p->backoff_ns = 0;
			ask_nothing(p, now);
		}
	} else if (!p->looked || restarted) {
		ask_nothing(p, now);
		if (!p->looked && !p->handshake_ns) /* initiations that were sent so far count */
			p->base_tx = 0;
	}
	note_asked(p, now);
	p->looked = true;
	p->look_ns = now;
}

bool weft_cand_works(const struct weft_cand_peer *p, const struct weft_cand_times *t, uint64_t now)
{
	return p->alive_ns && now - p->alive_ns < t->session_s * S;
}

static bool is_stale(const struct weft_cand_peer *p, const struct weft_cand_times *t, uint64_t now)
{
	return p->asked_ns != WEFT_CAND_NEVER && now - p->asked_ns >= t->grace_s * S &&
	       (!p->handshake_ns || now - p->handshake_ns >= t->stale_s * S);
}

/* ---- answers ---- */

void weft_cand_resolved(struct weft_cand_peer *p, const struct weft_cand_times *t, size_t number,
			struct weft_cand_answer *answer, uint64_t now)
{
	struct weft_cand_line *line = &p->lines[number];
	struct weft_cand_answer old = line->answer;
	uint32_t ttl = answer->ttl_s;
	bool was_here = !line->known;
	size_t of;

	if (!answer->n) {
		weft_cand_answer_clear(answer);
		weft_cand_unresolved(p, t, number, -ENOENT, now);
		return;
	}
	for (size_t i = 0; i < answer->n; i++) {
		struct weft_cand_addr *a = &answer->v[i];
		bool there = false;

		a->tried = weft_endpoint_same_remote(&a->ep, &p->now);
		for (size_t j = 0; j < old.n; j++)
			if (weft_endpoint_same_remote(&old.v[j].ep, &a->ep)) {
				there = true;
				a->tried = a->tried || old.v[j].tried;
			}
		p->fresh = p->fresh || (!there && !a->tried);
	}
	for (size_t j = 0; j < old.n; j++)
		was_here = was_here || weft_endpoint_same_remote(&old.v[j].ep, &p->now);
	line->answer = *answer;
	*answer = (struct weft_cand_answer){0};
	weft_cand_answer_clear(&old);
	if (weft_cand_find(p, &p->now, &of)) {
		p->gone = false;
		p->line = of;
	} else if (was_here && p->looked) {
		p->gone = true;
		p->line = number;
	}
	ttl = ttl < t->ttl_min_s ? t->ttl_min_s : ttl > t->ttl_max_s ? t->ttl_max_s : ttl;
	line->known = true;
	line->asking = false;
	line->fails = 0;
	line->error = 0;
	line->answer_ns = now;
	line->ask_ns = line->expires_ns = now + ttl * S;
}

void weft_cand_unresolved(struct weft_cand_peer *p, const struct weft_cand_times *t, size_t number,
			  int error, uint64_t now)
{
	struct weft_cand_line *line = &p->lines[number];
	uint64_t wait = RETRY_MAX_S;

	if (line->fails < 6)
		wait = (uint64_t)RETRY_S << line->fails;
	if (wait > t->backoff_max_s)
		wait = t->backoff_max_s;
	line->fails++;
	line->error = error;
	line->asking = false;
	line->answer_ns = now;
	line->ask_ns = now + wait * S;
}

/* ---- what is done ---- */

static bool set(struct weft_cand_peer *p, const struct weft_endpoint *ep, enum weft_cand_why why,
		uint64_t now, struct weft_cand_action *ret)
{
	size_t line;

	p->now = *ep;
	p->since_ns = now;
	p->why = why;
	p->gone = false;
	if (weft_cand_find(p, ep, &line))
		p->line = line;
	ask_nothing(p, now);
	*ret = (struct weft_cand_action){.what = WEFT_CAND_SET, .ep = *ep};
	return true;
}

/*
 * The next that has not been tried: the ones after the endpoint in its line, then those of the
 * lines after it, then from the first line on. NULL: all have been.
 */
static struct weft_cand_addr *next(struct weft_cand_peer *p, weft_cand_usable usable, void *ctx)
{
	size_t n = p->n_lines, first = p->line < n ? p->line : 0, start = 0;

	for (size_t j = 0; j < p->lines[first].answer.n; j++)
		if (weft_endpoint_same_remote(&p->lines[first].answer.v[j].ep, &p->now))
			start = j + 1;
	for (size_t i = 0; i <= n; i++) { /* the first line once more, for what is before `start` */
		struct weft_cand_answer *a = &p->lines[(first + i) % n].answer;

		for (size_t j = i ? 0 : start; j < a->n; j++)
			if (!a->v[j].tried && usable(ctx, &a->v[j].ep))
				return &a->v[j];
	}
	return NULL;
}

static const struct weft_endpoint *fallback(const struct weft_cand_peer *p, weft_cand_usable usable,
					    void *ctx)
{
	size_t line;

	if (p->worked.ip.family != WEFT_NONE && weft_cand_find(p, &p->worked, &line) &&
	    usable(ctx, &p->worked))
		return &p->worked;
	for (size_t i = 0; i < p->n_lines; i++)
		for (size_t j = 0; j < p->lines[i].answer.n; j++)
			if (usable(ctx, &p->lines[i].answer.v[j].ep))
				return &p->lines[i].answer.v[j].ep;
	return NULL;
}

static bool try_next(struct weft_cand_peer *p, const struct weft_cand_times *t, uint64_t now,
		     weft_cand_usable usable, void *ctx, struct weft_cand_action *ret)
{
	struct weft_cand_addr *a = next(p, usable, ctx);
	const struct weft_endpoint *back;

	p->fresh = false;
	if (a) {
		a->tried = true;
		p->state = WEFT_CAND_TRYING;
		p->until_ns = now + t->try_s * S;
		return set(p, &a->ep, WEFT_CAND_STALE, now, ret);
	}
	p->state = WEFT_CAND_WAITING;
	p->backoff_ns = p->backoff_ns ? p->backoff_ns * 2 : t->backoff_s * S;
	if (p->backoff_ns > t->backoff_max_s * S)
		p->backoff_ns = t->backoff_max_s * S;
	p->until_ns = now + p->backoff_ns;
	back = fallback(p, usable, ctx);
	if (!back || weft_endpoint_same_remote(back, &p->now))
		return false;
	return set(p, back, WEFT_CAND_PUT_BACK, now, ret);
}

static void begin_round(struct weft_cand_peer *p, uint64_t now)
{
	for (size_t i = 0; i < p->n_lines; i++) {
		struct weft_cand_line *line = &p->lines[i];

		for (size_t j = 0; j < line->answer.n; j++)
			line->answer.v[j].tried =
				weft_endpoint_same_remote(&line->answer.v[j].ep, &p->now);
		if (line->kind != WEFT_CAND_ADDRESS &&
		    (!line->answer_ns || now - line->answer_ns >= FRESH_S * S))
			line->ask_ns = now;
	}
	p->state = WEFT_CAND_RESOLVING;
}

static bool ask(struct weft_cand_peer *p, uint64_t now, struct weft_cand_action *ret)
{
	for (size_t i = 0; i < p->n_lines; i++) {
		struct weft_cand_line *line = &p->lines[i];

		if (line->kind == WEFT_CAND_ADDRESS || line->asking || now < line->ask_ns)
			continue;
		line->asking = true;
		*ret = (struct weft_cand_action){.what = WEFT_CAND_ASK, .line = i};
		return true;
	}
	return false;
}

static bool is_asking(const struct weft_cand_peer *p)
{
	for (size_t i = 0; i < p->n_lines; i++)
		if (p->lines[i].asking)
			return true;
	return false;
}

/* While nothing is tried. */
static bool step_idle(struct weft_cand_peer *p, const struct weft_cand_times *t, uint64_t now,
		      weft_cand_usable usable, void *ctx, struct weft_cand_action *ret)
{
	bool none = p->now.ip.family == WEFT_NONE;
	struct weft_cand_addr *a;

	if (is_stale(p, t, now) && !none) {
		begin_round(p, now);
		return ask(p, now, ret);
	}
	if (is_asking(p) || (!none && (!p->gone || weft_cand_works(p, t, now))))
		return false;
	for (size_t i = 0; i < p->n_lines; i++)
		for (size_t j = 0; j < p->lines[i].answer.n; j++)
			p->lines[i].answer.v[j].tried = false;
	a = next(p, usable, ctx);
	if (!a)
		return false;
	return set(p, &a->ep, none ? WEFT_CAND_FIRST : WEFT_CAND_GONE, now, ret);
}

static bool step(struct weft_cand_peer *p, const struct weft_cand_times *t, uint64_t now,
		 weft_cand_usable usable, void *ctx, struct weft_cand_action *ret)
{
	if (ask(p, now, ret))
		return true;
	switch (p->state) {
	case WEFT_CAND_IDLE:
		if (step_idle(p, t, now, usable, ctx, ret))
			return true;
		if (p->state != WEFT_CAND_RESOLVING)
			return false;
		break;
	case WEFT_CAND_RESOLVING:
		break;
	case WEFT_CAND_TRYING:
		if (now < p->until_ns)
			return false;
		if (p->asked_ns == WEFT_CAND_NEVER) { /* nobody wants anything of it any more */
			p->state = WEFT_CAND_IDLE;
			return false;
		}
		if (now - p->asked_ns < ANSWER_S * S) {
			p->until_ns = p->asked_ns + ANSWER_S * S;
			return false;
		}
		break;
	case WEFT_CAND_WAITING:
		if (p->fresh)
			return try_next(p, t, now, usable, ctx, ret);
		if (now < p->until_ns)
			return false;
		if (p->asked_ns == WEFT_CAND_NEVER) {
			p->state = WEFT_CAND_IDLE;
			return false;
		}
		begin_round(p, now);
		if (ask(p, now, ret))
			return true;
		break;
	}
	if (p->state == WEFT_CAND_RESOLVING && is_asking(p))
		return false;
	return try_next(p, t, now, usable, ctx, ret);
}

void weft_cand_step(struct weft_cand_peer *p, const struct weft_cand_times *t, uint64_t now,
		    weft_cand_usable usable, void *ctx, struct weft_cand_action *ret)
{
	*ret = (struct weft_cand_action){.what = WEFT_CAND_NOTHING};
	(void)step(p, t, now, usable, ctx, ret);
}

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t due_idle(const struct weft_cand_peer *p, const struct weft_cand_times *t)
{
	uint64_t look = p->look_ns + t->look_s * S;
	uint64_t dead = p->alive_ns + t->session_s * S, early = p->handshake_ns + t->stale_s * S;

	/* so early that a peer which does not answer is known for one when it is stale */
	early -= min(early, 2 * t->grace_s * S);

	if (!p->handshake_ns && p->look_ns - p->since_ns < YOUNG_S * S)
		look = p->look_ns + t->look_s * S / 3;
	if (p->handshake_ns && early > p->look_ns)
		look = early;
	if (p->gone && dead > p->look_ns)
		look = min(look, dead);
	if (p->asked_ns != WEFT_CAND_NEVER && p->asked_ns + t->grace_s * S > p->look_ns)
		look = min(look, p->asked_ns + t->grace_s * S);
	return look;
}

uint64_t weft_cand_due(const struct weft_cand_peer *p, const struct weft_cand_times *t)
{
	uint64_t due = WEFT_CAND_NEVER;

	for (size_t i = 0; i < p->n_lines; i++)
		if (!p->lines[i].asking)
			due = min(due, p->lines[i].ask_ns);
	switch (p->state) {
	case WEFT_CAND_IDLE:
		return min(due, due_idle(p, t));
	case WEFT_CAND_RESOLVING:
		return due;
	case WEFT_CAND_TRYING:
		return min(due, min(p->until_ns, p->look_ns + t->look_s * S / 3));
	case WEFT_CAND_WAITING:
		break;
	}
	return min(due, min(p->until_ns, p->look_ns + t->look_s * S));
}

/* ---- words ---- */

const char *weft_cand_state_name(enum weft_cand_state state)
{
	static const char *const names[] = {"idle", "resolving", "trying", "waiting"};

	return names[state];
}

const char *weft_cand_why_name(enum weft_cand_why why)
{
	static const char *const names[] = {
		[WEFT_CAND_FOUND] = "it was there when the keeper began",
		[WEFT_CAND_FIRST] = "there was none",
		[WEFT_CAND_STALE] = "the one before gave no answer",
		[WEFT_CAND_GONE] = "the one before has left the name",
		[WEFT_CAND_PUT_BACK] = "none answers: the one that worked last, or the first",
		[WEFT_CAND_ROAMED] = "the peer came from there",
		[WEFT_CAND_BY_HAND] = "it was set by hand",
	};

	return names[why];
}

const char *weft_cand_kind_name(enum weft_cand_kind kind)
{
	static const char *const names[] = {"address", "name", "srv"};

	return names[kind];
}
