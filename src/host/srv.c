/* SPDX-License-Identifier: Apache-2.0 */
/* DNS answers with SRV records: RFC 1035, section 4.1; RFC 2782. */
#include "host/srv.h"

#include <ares.h>
#include <errno.h>
#include <string.h>

#define HEADER_BYTES 12
#define TYPE_SRV     33
#define CLASS_IN     1
#define SRV_BYTES    6 /* in front of the target */

struct reader {
	const uint8_t *answer;
	size_t len, at;
};

static uint32_t number(const uint8_t *p, unsigned bytes)
{
	uint32_t v = 0;

	while (bytes--)
		v = v << 8 | *p++;
	return v;
}

/* The bytes at the reader's place, which moves on; NULL: there are not so many. */
static const uint8_t *take(struct reader *r, size_t n)
{
	const uint8_t *p = r->answer + r->at;

	if (n > r->len - r->at)
		return NULL;
	r->at += n;
	return p;
}

/* A name into `out` (may be NULL). False: it is none, or too long. */
static int take_name(struct reader *r, char out[WEFT_SRV_NAME_LEN])
{
	char *name = NULL;
	long bytes = 0;
	size_t n;
	int ok;

	if (r->at >= r->len || ares_expand_name(r->answer + r->at, r->answer, (int)r->len, &name,
						&bytes) != ARES_SUCCESS)
		return 0;
	n = strlen(name);
	ok = bytes > 0 && (size_t)bytes <= r->len - r->at && n < WEFT_SRV_NAME_LEN;
	if (ok && out)
		memcpy(out, name, n + 1);
	ares_free_string(name);
	r->at += ok ? (size_t)bytes : 0;
	return ok;
}

static int take_record(struct reader *r, struct weft_srv_list *list)
{
	struct weft_srv srv = {0};
	const uint8_t *head;
	size_t end;

	if (!take_name(r, NULL))
		return WEFT_E_PROTOCOL;
	head = take(r, 10);
	if (!head || number(head + 8, 2) > r->len - r->at)
		return WEFT_E_PROTOCOL;
	end = r->at + number(head + 8, 2);
	if (number(head + 4, 4) < list->ttl_s)
		list->ttl_s = number(head + 4, 4);
	if (number(head, 2) == TYPE_SRV && number(head + 2, 2) == CLASS_IN) {
		const uint8_t *p = take(r, SRV_BYTES);

		if (!p || !take_name(r, srv.target) || r->at > end)
			return WEFT_E_PROTOCOL;
		srv.priority = (uint16_t)number(p, 2);
		srv.weight = (uint16_t)number(p + 2, 2);
		srv.port = (uint16_t)number(p + 4, 2);
		if (srv.port && weft_srv_is_host(srv.target) && list->n < WEFT_SRV_MAX)
			list->v[list->n++] = srv;
	}
	r->at = end;
	return 0;
}

int weft_srv_parse(const uint8_t *answer, size_t len, struct weft_srv_list *ret)
{
	struct reader r = {.answer = answer, .len = len};
	struct weft_srv_list list = {.ttl_s = UINT32_MAX};
	const uint8_t *head = len <= UINT16_MAX ? take(&r, HEADER_BYTES) : NULL;
	uint32_t questions, answers;
	int rc = 0;

	if (!head)
		return WEFT_E_PROTOCOL;
	questions = number(head + 4, 2);
	answers = number(head + 6, 2);
	while (questions--)
		if (!take_name(&r, NULL) || !take(&r, 4))
			return WEFT_E_PROTOCOL;
	while (answers-- && !rc)
		rc = take_record(&r, &list);
	if (!rc && !list.n)
		rc = -ENOENT;
	if (!rc)
		*ret = list;
	return rc;
}

/* xorshift64*: no secret depends on it. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 2685821657736338717ull;
}

/* The next of those from `from` on with the lowest priority, as the weights say. */
static size_t pick(const struct weft_srv_list *l, size_t from, uint64_t *state)
{
	uint64_t sum = 0, at;
	uint16_t lowest = UINT16_MAX;
	size_t last = from;

	for (size_t i = from; i < l->n; i++)
		if (l->v[i].priority < lowest)
			lowest = l->v[i].priority;
	/* one more for each, so that a weight of 0 has a small chance */
	for (size_t i = from; i < l->n; i++)
		if (l->v[i].priority == lowest)
			sum += l->v[i].weight * 16u + 1;
	at = next_random(state) % (sum ? sum : 1);
	for (size_t i = from; i < l->n; i++) {
		if (l->v[i].priority != lowest)
			continue;
		last = i;
		if (at < l->v[i].weight * 16u + 1)
			break;
		at -= l->v[i].weight * 16u + 1;
	}
	return last;
}

static int before(const struct weft_srv *a, const struct weft_srv *b)
{
	int by_name = strcmp(a->target, b->target);

	return by_name ? by_name < 0 : a->port < b->port;
}

void weft_srv_order(struct weft_srv_list *l, uint64_t seed)
{
	uint64_t state = seed ? seed : 1;

	/* servers turn their answers round: the same records are to have the same order */
	for (size_t i = 1; i < l->n; i++)
		for (size_t j = i; j > 0 && before(&l->v[j], &l->v[j - 1]); j--) {
			struct weft_srv swap = l->v[j];

			l->v[j] = l->v[j - 1];
			l->v[j - 1] = swap;
		}
	for (size_t i = 0; i + 1 < l->n; i++) {
		size_t j = pick(l, i, &state);
		struct weft_srv swap = l->v[i];

		l->v[i] = l->v[j];
		l->v[j] = swap;
	}
}

int weft_srv_is_host(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.";

	return name[0] && name[0] != '.' && name[strspn(name, letters)] == '\0';
}
