/* SPDX-License-Identifier: Apache-2.0 */
/* The record as text: a word for what it is, then what there is of it, a line each. */
#include "host/record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/encoding.h"

#define FIRST_LINE "weft 1"

static int compare(const void *a, const void *b)
{
	const struct weft_host_record_peer *x = a, *y = b;

	return memcmp(x->public_key, y->public_key, WEFT_KEY_LEN);
}

static void sort(struct weft_host_record *rec)
{
	if (rec->n_peers)
		qsort(rec->peers, rec->n_peers, sizeof(*rec->peers), compare);
}

/* Takes `endpoints`, also after an error. */
static int add_peer(struct weft_host_record *rec, const uint8_t key[WEFT_KEY_LEN], char *endpoints)
{
	if (rec->n_peers == rec->cap_peers) {
		size_t cap = rec->cap_peers ? rec->cap_peers * 2 : 8;
		struct weft_host_record_peer *v = realloc(rec->peers, cap * sizeof(*v));

		if (!v) {
			free(endpoints);
			return -ENOMEM;
		}
		rec->peers = v;
		rec->cap_peers = cap;
	}
	memcpy(rec->peers[rec->n_peers].public_key, key, WEFT_KEY_LEN);
	rec->peers[rec->n_peers++].endpoints = endpoints;
	return endpoints ? 0 : -ENOMEM;
}

char *weft_host_endpoints_text(const struct weft_quick_peer *peer)
{
	size_t len = 1, at = 0;
	char *text;

	for (size_t i = 0; i < peer->n_endpoints; i++)
		len += strlen(peer->endpoints[i].text) + 1;
	text = calloc(len, 1);
	for (size_t i = 0; text && i < peer->n_endpoints; i++) {
		size_t n = strlen(peer->endpoints[i].text);

		if (i)
			text[at++] = ' ';
		memcpy(text + at, peer->endpoints[i].text, n);
		at += n;
	}
	return text;
}

static int add_state(struct weft_host_state *to, const struct weft_host_state *from)
{
	int rc = 0;

	for (size_t i = 0; i < from->n_addresses && !rc; i++)
		rc = weft_host_add_address(to, &from->addresses[i]);
	for (size_t i = 0; i < from->n_routes && !rc; i++)
		if (!from->routes[i].thrown) /* known by its protocol number */
			rc = weft_host_add_route(to, &from->routes[i].to, from->routes[i].table);
	free(to->dns);
	to->dns = from->dns ? strdup(from->dns) : NULL;
	return rc ? rc : from->dns && !to->dns ? -ENOMEM : 0;
}

int weft_host_record_add(struct weft_host_record *rec, const struct weft_quick *quick,
			 const struct weft_host_state *state)
{
	int rc = add_state(&rec->state, state);

	rec->relay = quick->wg.dev.has & WEFT_DEVICE_HAS_RELAY;
	for (size_t i = 0; i < quick->n_peers && !rc; i++)
		if (quick->peers[i].n_endpoints)
			rc = add_peer(rec, quick->wg.dev.peers[i].public_key,
				      weft_host_endpoints_text(&quick->peers[i]));
	sort(rec);
	return rc;
}

const char *weft_host_record_find(const struct weft_host_record *rec,
				  const uint8_t public_key[WEFT_KEY_LEN])
{
	struct weft_host_record_peer key = {.endpoints = NULL};
	const struct weft_host_record_peer *hit;

	memcpy(key.public_key, public_key, WEFT_KEY_LEN);
	hit = rec->n_peers ? bsearch(&key, rec->peers, rec->n_peers, sizeof(key), compare) : NULL;
	return hit ? hit->endpoints : NULL;
}

int weft_host_record_write(const struct weft_host_record *rec, struct weft_text *out)
{
	char text[WEFT_PREFIX_TEXT_LEN], key[WEFT_KEY_BASE64_LEN + 1];
	const struct weft_host_state *s = &rec->state;
	int rc = weft_text_printf(out, FIRST_LINE "\ninterface %" PRIu32 " %" PRIu64 "\n%s",
				  rec->ifindex, rec->netns, rec->relay ? "relay\n" : "");

	for (size_t i = 0; i < s->n_addresses && !rc; i++)
		rc = weft_text_printf(out, "address %s\n",
				      weft_prefix_format(&s->addresses[i], text));
	for (size_t i = 0; i < s->n_routes && !rc; i++)
		rc = weft_text_printf(out, "route %s %" PRIu32 "\n",
				      weft_prefix_format(&s->routes[i].to, text),
				      s->routes[i].table);
	for (const char *p = s->dns; p && *p && !rc;) {
		size_t n = strcspn(p, "\n");

		rc = weft_text_printf(out, "dns %.*s\n", (int)n, p);
		p += p[n] ? n + 1 : n;
	}
	for (size_t i = 0; i < rec->n_peers && !rc; i++) {
		weft_key_to_base64(key, rec->peers[i].public_key);
		rc = weft_text_printf(out, "peer %s %s\n", key, rec->peers[i].endpoints);
	}
	return rc;
}

static int read_prefix(char *text, struct weft_prefix *ret, uint32_t *ret_table)
{
	char *blank = strchr(text, ' '), *end = NULL;
	unsigned long table;

	if (!blank != !ret_table)
		return WEFT_E_PARSE;
	if (ret_table) {
		*blank = '\0';
		errno = 0;
		table = strtoul(blank + 1, &end, 10);
		if (errno || end == blank + 1 || *end || table > UINT32_MAX)
			return WEFT_E_PARSE;
		*ret_table = (uint32_t)table;
	}
	return weft_prefix_parse(text, strlen(text), ret);
}

static int read_dns(struct weft_host_record *rec, const char *line)
{
	char *old = rec->state.dns, *both = NULL;

	if (asprintf(&both, "%s%s\n", old ? old : "", line) < 0)
		return -ENOMEM;
	free(old);
	rec->state.dns = both;
	return 0;
}

static int read_peer(struct weft_host_record *rec, const char *line)
{
	uint8_t key[WEFT_KEY_LEN];
	size_t n = strcspn(line, " ");

	if (line[n] != ' ' || weft_key_from_base64(key, line, n))
		return WEFT_E_PARSE;
	return add_peer(rec, key, strdup(line + n + 1));
}

static int read_line(struct weft_host_record *rec, char *line)
{
	char *value = strchr(line, ' ');
	struct weft_prefix p;
	uint32_t table;
	int rc;

	if (strcmp(line, "relay") == 0) {
		rec->relay = true;
		return 0;
	}
	if (!value)
		return WEFT_E_PARSE;
	*value++ = '\0';
	if (strcmp(line, "interface") == 0)
		return sscanf(value, "%" SCNu32 " %" SCNu64, &rec->ifindex, &rec->netns) == 2
			       ? 0
			       : WEFT_E_PARSE;
	if (strcmp(line, "address") == 0) {
		rc = read_prefix(value, &p, NULL);
		return rc ? rc : weft_host_add_address(&rec->state, &p);
	}
	if (strcmp(line, "route") == 0) {
		rc = read_prefix(value, &p, &table);
		return rc ? rc : weft_host_add_route(&rec->state, &p, table);
	}
	if (strcmp(line, "dns") == 0)
		return read_dns(rec, value);
	return strcmp(line, "peer") == 0 ? read_peer(rec, value) : WEFT_E_PARSE;
}

int weft_host_record_parse(const char *text, size_t len, struct weft_host_record *ret)
{
	char *copy, *line, *next;
	int rc = 0;

	if (len > WEFT_HOST_RECORD_MAX_BYTES || (len && memchr(text, '\0', len)))
		return WEFT_E_PARSE;
	copy = calloc(len + 1, 1);
	if (!copy)
		return -ENOMEM;
	if (len)
		memcpy(copy, text, len);
	line = copy;
	for (bool first = true; *line && !rc; line = next, first = false) {
		next = line + strcspn(line, "\n");
		if (!*next) /* cut off */
			rc = WEFT_E_PARSE;
		else
			*next++ = '\0';
		if (!rc && first)
			rc = strcmp(line, FIRST_LINE) == 0 ? 0 : WEFT_E_PARSE;
		else if (!rc)
			rc = read_line(ret, line);
	}
	free(copy);
	sort(ret);
	return rc;
}

void weft_host_record_clear(struct weft_host_record *rec)
{
	for (size_t i = 0; i < rec->n_peers; i++)
		free(rec->peers[i].endpoints);
	free(rec->peers);
	weft_host_state_clear(&rec->state);
	*rec = (struct weft_host_record){0};
}
