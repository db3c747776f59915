/* SPDX-License-Identifier: Apache-2.0 */
/* Whether peers of one file agree on who has what. WireGuard would give it to the last of them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/quick.h"

struct claim {
	struct weft_prefix prefix;
	size_t peer, entry;
};

static int compare(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	int c = memcmp(&x->prefix, &y->prefix, sizeof(x->prefix)); /* all bytes, without gaps */

	if (c)
		return c;
	if (x->peer != y->peer)
		return x->peer < y->peer ? -1 : 1;
	return (x->entry > y->entry) - (x->entry < y->entry);
}

static struct weft_quick_place place_of(const struct weft_quick *q, const struct claim *c)
{
	const struct weft_quick_peer *p = &q->peers[c->peer];

	return c->entry < p->n_places ? p->places[c->entry] : (struct weft_quick_place){0};
}

/* The same peer may stand in two sections. */
static bool are_rivals(const struct weft_quick *q, const struct claim *a, const struct claim *b)
{
	return memcmp(&a->prefix, &b->prefix, sizeof(a->prefix)) == 0 &&
	       memcmp(q->wg.dev.peers[a->peer].public_key, q->wg.dev.peers[b->peer].public_key,
		      WEFT_KEY_LEN) != 0;
}

static void say(const struct weft_quick *q, const struct claim *a, const struct claim *b,
		struct weft_diag *diag)
{
	struct weft_quick_place first = place_of(q, a), second = place_of(q, b);
	char text[WEFT_PREFIX_TEXT_LEN];

	weft_diag_set(diag, second.line, second.column,
		      "%s: another peer has it, in line %u, column %u",
		      weft_prefix_format(&b->prefix, text), first.line, first.column);
	weft_diag_hint(diag, "WireGuard would give it to the last of them: leave it with one");
}

int weft_quick_check_claims(const struct weft_quick *q, struct weft_diag *diag)
{
	const struct weft_conf_device *dev = &q->wg.dev;
	struct claim *all;
	size_t n = 0, k = 0;
	int rc = 0;

	for (size_t i = 0; i < dev->n_peers; i++)
		n += dev->peers[i].n_allowed_ips;
	all = calloc(n + 1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < dev->n_peers; i++)
		for (size_t j = 0; j < dev->peers[i].n_allowed_ips; j++)
			all[k++] = (struct claim){dev->peers[i].allowed_ips[j].prefix, i, j};
	if (n)
		qsort(all, n, sizeof(*all), compare);
	for (size_t i = 1; i < n && !rc; i++)
		if (are_rivals(q, &all[i - 1], &all[i])) {
			say(q, &all[i - 1], &all[i], diag);
			rc = WEFT_E_PARSE;
		}
	free(all);
	return rc;
}
