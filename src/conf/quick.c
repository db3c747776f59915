/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of wg-quick's file: it takes its own lines and leaves the others to WireGuard's
 * reader. wg-quick(8), CONFIGURATION; where that is silent, as Debian's 1.0.20210914 behaves, but
 * that a hook keeps its "#", as later releases let it. Weft's own keys are read as those are.
 */
#include "conf/quick.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/ini_read.h"
#include "util/cpus.h"

#define MTU_MIN 68 /* RFC 791 */
#define MTU_MAX 65535

/* A line that is wg-quick's own. */
struct line {
	enum weft_ini_quick_key key;
	const char *at;    /* where the key begins */
	const char *value; /* NULL: there is no "=" */
	size_t len;        /* without comment, without white space around it */
	size_t hook_len;   /* with what looks like a comment */
};

struct reader {
	struct weft_quick *ret;
	struct weft_diag *diag;
	struct weft_fault *fault;
	bool in_interface;
	unsigned number;
	const char *raw;
	struct line line;
};

static void trim_end(const char *text, size_t *len)
{
	while (*len && weft_ini_is_space(text[*len - 1]))
		(*len)--;
}

static void trim_start(const char **text, size_t *len)
{
	while (*len && weft_ini_is_space(**text)) {
		(*text)++;
		(*len)--;
	}
}

/* True if the line is wg-quick's own: then r->line is set. Keeps account of sections. */
static bool look(struct reader *r, const char *raw, size_t len)
{
	const char *hash = len ? memchr(raw, '#', len) : NULL;
	const char *key = raw, *eq, *const * known;
	size_t bare = hash ? (size_t)(hash - raw) : len, key_len;

	eq = bare ? memchr(raw, '=', bare) : NULL;
	key_len = eq ? (size_t)(eq - raw) : bare;
	trim_start(&key, &key_len);
	trim_end(key, &key_len);
	if (key_len && key[0] == '[')
		r->in_interface = weft_ini_same(key, key_len, "[Interface]");
	known = r->in_interface ? weft_ini_find(key, key_len, weft_ini_quick_keys) : NULL;
	if (!known)
		return false;
	r->line = (struct line){.key = (enum weft_ini_quick_key)(known - weft_ini_quick_keys),
				.at = key};
	if (eq) {
		r->line.value = eq + 1;
		r->line.hook_len = len - (size_t)(eq + 1 - raw);
		trim_start(&r->line.value, &r->line.hook_len);
		trim_end(r->line.value, &r->line.hook_len);
		r->line.len = (size_t)(raw + bare - r->line.value);
		trim_end(r->line.value, &r->line.len);
	}
	return true;
}

static const char *key_name(const struct reader *r)
{
	return weft_ini_quick_keys[r->line.key];
}

static unsigned column(const struct reader *r, const char *at)
{
	return (unsigned)(at - r->raw) + 1;
}

/* A value, or a part of one, that will not do. */
static int bad(struct reader *r, const char *expected, const char *text, size_t len)
{
	if (len)
		weft_diag_set(r->diag, r->number, column(r, text),
			      "%s: expected %s, found \"%.*s\"", key_name(r), expected,
			      weft_ini_shown(len), text);
	else
		weft_diag_set(r->diag, r->number, column(r, text), "%s has no value: expected %s",
			      key_name(r), expected);
	return WEFT_E_PARSE;
}

static int too_many(struct reader *r)
{
	weft_diag_set(r->diag, r->number, column(r, r->line.at), "more than %d entries of %s",
		      WEFT_QUICK_MAX_ENTRIES, key_name(r));
	return WEFT_E_PARSE;
}

static int add_text(struct reader *r, struct weft_quick_texts *texts, const char *text, size_t len)
{
	char *copy;

	if (texts->n == WEFT_QUICK_MAX_ENTRIES)
		return too_many(r);
	if (texts->n == texts->cap) {
		size_t cap = texts->cap ? texts->cap * 2 : 4;
		char **v = reallocarray(texts->v, cap, sizeof(*v));
		struct weft_quick_place *places;

		if (!v)
			return -ENOMEM;
		texts->v = v;
		places = reallocarray(texts->places, cap, sizeof(*places));
		if (!places)
			return -ENOMEM;
		texts->places = places;
		texts->cap = cap;
	}
	copy = malloc(len + 1);
	if (!copy)
		return -ENOMEM;
	if (len)
		memcpy(copy, text, len);
	copy[len] = '\0';
	texts->places[texts->n] = (struct weft_quick_place){r->number, column(r, text)};
	texts->v[texts->n++] = copy;
	return 0;
}

/* Appends one entry of a list of prefixes. */
static int add_prefix(struct reader *r, const char *text, size_t len, bool mask,
		      struct weft_prefix **v, size_t *n, size_t *cap)
{
	enum weft_fault_kind kind;
	struct weft_prefix p;

	kind = weft_value_prefix(text, len, &p);
	if (kind != WEFT_FAULT_NONE)
		return bad(r, weft_fault_expected(kind), text, len);
	if (mask)
		(void)weft_prefix_mask(&p);
	if (*n == WEFT_QUICK_MAX_ENTRIES)
		return too_many(r);
	if (*n == *cap) {
		size_t more = *cap ? *cap * 2 : 4;
		struct weft_prefix *bigger = realloc(*v, more * sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		*v = bigger;
		*cap = more;
	}
	(*v)[(*n)++] = p;
	return 0;
}

static int add_address(struct reader *r, const char *text, size_t len)
{
	struct weft_quick *q = r->ret;

	return add_prefix(r, text, len, false, &q->addresses, &q->n_addresses, &q->cap_addresses);
}

static int add_exclude(struct reader *r, const char *text, size_t len)
{
	struct weft_quick *q = r->ret;
	size_t cap = q->cap_excludes;
	int rc = add_prefix(r, text, len, true, &q->excludes, &q->n_excludes, &q->cap_excludes);
	struct weft_quick_place *places;

	if (!rc && cap != q->cap_excludes) {
		places = reallocarray(q->exclude_places, q->cap_excludes, sizeof(*places));
		if (!places) {
			q->n_excludes--;
			q->cap_excludes = cap;
			return -ENOMEM;
		}
		q->exclude_places = places;
	}
	if (!rc && r->number)
		q->exclude_places[q->n_excludes - 1] =
			(struct weft_quick_place){r->number, column(r, text)};
	else if (!rc)
		q->exclude_places[q->n_excludes - 1] = (struct weft_quick_place){0};
	return rc;
}

/* The address in front of a zone, as in "fe80::1%eth0". */
static size_t without_zone(const char *text, size_t len)
{
	const char *percent = memchr(text, '%', len);

	return percent ? (size_t)(percent - text) : len;
}

/* Digits and dots, or a colon in it: a server. Else a domain. */
static int add_dns(struct reader *r, const char *text, size_t len)
{
	bool number = true, colon = memchr(text, ':', len) != NULL;
	struct weft_ip ip;

	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] < ' ' || text[i] == 127) {
			weft_diag_set(r->diag, r->number, column(r, &text[i]),
				      "DNS: a control character");
			return WEFT_E_PARSE;
		}
		number = number && (text[i] == '.' || (text[i] >= '0' && text[i] <= '9'));
	}
	if (!number && !colon)
		return add_text(r, &r->ret->dns_search, text, len);
	if (weft_ip_parse(text, number ? len : without_zone(text, len), &ip))
		return bad(r, "an IPv4 or IPv6 address, or a search domain", text, len);
	return add_text(r, &r->ret->dns_servers, text, len);
}

/* Each of a list's words; commas and white space separate them, however many. */
static int each_word(struct reader *r, int (*add)(struct reader *, const char *, size_t))
{
	const char *p = r->line.value, *end = p + r->line.len;
	int rc = 0;

	while (!rc && p < end) {
		const char *word = p;

		while (p < end && *p != ',' && !weft_ini_is_space(*p))
			p++;
		if (p > word)
			rc = add(r, word, (size_t)(p - word));
		else
			p++;
	}
	return rc;
}

/* Decimal digits alone. */
static bool number(const char *text, size_t len, uint32_t max, uint32_t *ret)
{
	uint64_t v = 0;

	if (!len)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(text[i] - '0');
		if (v > max)
			return false;
	}
	*ret = (uint32_t)v;
	return true;
}

static int read_mtu(struct reader *r)
{
	const struct line *l = &r->line;
	bool is_auto = weft_ini_same(l->value, l->len, "auto");
	uint32_t mtu = 0;

	if (l->len && !is_auto && (!number(l->value, l->len, MTU_MAX, &mtu) || mtu < MTU_MIN))
		return bad(r, "a number of bytes from 68 to 65535, or \"auto\"", l->value, l->len);
	r->ret->mtu = mtu;
	r->ret->mtu_auto = is_auto;
	return 0;
}

bool weft_quick_is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("_=+.-", c));
}

static bool is_table_name(const char *text, size_t len)
{
	if (len >= WEFT_QUICK_TABLE_NAME_LEN || (text[0] >= '0' && text[0] <= '9'))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!weft_quick_is_name_char(text[i]))
			return false;
	return true;
}

/* Unlike keys, the words are known in lower case alone: "Off" would be a table's name. */
static int read_table(struct reader *r)
{
	static const char expected[] = "\"off\", \"auto\", or a table's number or name";
	static const char *const words[] = {"off", "auto", NULL};
	const struct line *l = &r->line;
	const char *const *word = weft_ini_find(l->value, l->len, words);
	struct weft_quick *q = r->ret;
	uint32_t table;

	q->table_number = 0;
	memset(q->table_name, 0, sizeof(q->table_name));
	if (word && memcmp(l->value, *word, l->len) != 0) {
		(void)bad(r, expected, l->value, l->len);
		weft_diag_hint(r->diag, "it is written %s", *word);
		return WEFT_E_PARSE;
	}
	if (word || !l->len) {
		q->table = word == &words[0] ? WEFT_QUICK_TABLE_OFF : WEFT_QUICK_TABLE_AUTO;
	} else if (number(l->value, l->len, UINT32_MAX, &table)) {
		q->table = WEFT_QUICK_TABLE_NUMBER;
		q->table_number = table;
	} else if (is_table_name(l->value, l->len)) {
		q->table = WEFT_QUICK_TABLE_NAME;
		memcpy(q->table_name, l->value, l->len);
	} else {
		return bad(r, expected, l->value, l->len);
	}
	return 0;
}

static int read_save_config(struct reader *r, bool *ret_save)
{
	static const char *const words[] = {"true", "false", NULL};
	const struct line *l = &r->line;
	/* wg-quick takes a line without "=" for its own value */
	const char *text = l->value ? l->value : l->at;
	size_t len = l->value ? l->len : strlen(key_name(r));
	const char *const *word = weft_ini_find(text, len, words);

	if (!word) {
		weft_fault_set(r->fault, WEFT_FAULT_BOOLEAN, text, len);
		return bad(r, weft_fault_expected(WEFT_FAULT_BOOLEAN), text, len);
	}
	*ret_save = word == &words[0];
	return 0;
}

static int read_backend(struct reader *r)
{
	const struct line *l = &r->line;
	struct weft_quick *q = r->ret;

	q->has_backend = l->len != 0;
	q->backend = WEFT_BACKEND_AUTO;
	if (l->len && weft_backend_parse(l->value, l->len, &q->backend))
		return bad(r, "auto, kernel or userspace", l->value, l->len);
	return 0;
}

static int read_workers(struct reader *r)
{
	const struct line *l = &r->line;
	uint32_t workers = 0;

	if (l->len && (!number(l->value, l->len, WEFT_QUICK_MAX_WORKERS, &workers) || workers < 2))
		return bad(r, "a number from 2 to 16", l->value, l->len);
	r->ret->workers = workers;
	return 0;
}

static int read_cpus(struct reader *r)
{
	const struct line *l = &r->line;
	struct weft_quick *q = r->ret;
	struct weft_cpus set;

	if (l->len && (l->len >= sizeof(q->cpus) || weft_cpus_parse(l->value, l->len, &set)))
		return bad(r, WEFT_CPUS_EXPECTED, l->value, l->len);
	memset(q->cpus, 0, sizeof(q->cpus));
	if (l->len)
		memcpy(q->cpus, l->value, l->len);
	return 0;
}

static int read_kill_switch(struct reader *r)
{
	static const char *const words[] = {"on", "off", NULL};
	const struct line *l = &r->line;
	const char *const *word = weft_ini_find(l->value, l->len, words);

	if (l->len && !word)
		return bad(r, "\"on\" or \"off\"", l->value, l->len);
	r->ret->kill_switch = word == &words[0];
	return 0;
}

static int read_line(struct reader *r)
{
	const struct line *l = &r->line;

	switch (l->key) {
	case WEFT_INI_ADDRESS:
		return each_word(r, add_address);
	case WEFT_INI_DNS:
		return each_word(r, add_dns);
	case WEFT_INI_MTU:
		return read_mtu(r);
	case WEFT_INI_TABLE:
		return read_table(r);
	case WEFT_INI_PRE_UP:
		return add_text(r, &r->ret->pre_up, l->value, l->hook_len);
	case WEFT_INI_POST_UP:
		return add_text(r, &r->ret->post_up, l->value, l->hook_len);
	case WEFT_INI_PRE_DOWN:
		return add_text(r, &r->ret->pre_down, l->value, l->hook_len);
	case WEFT_INI_POST_DOWN:
		return add_text(r, &r->ret->post_down, l->value, l->hook_len);
	case WEFT_INI_SAVE_CONFIG:
		return read_save_config(r, &r->ret->save_config);
	case WEFT_INI_BACKEND:
		return read_backend(r);
	case WEFT_INI_WORKERS:
		return read_workers(r);
	case WEFT_INI_CPUS:
		return read_cpus(r);
	case WEFT_INI_KILL_SWITCH:
		return read_kill_switch(r);
	case WEFT_INI_EXCLUDE:
		break;
	}
	return each_word(r, add_exclude);
}

/* Room in ret->peers for the first `n`. */
static int reach_peers(struct weft_quick *q, size_t n)
{
	if (n > q->cap_peers) {
		size_t cap = q->cap_peers * 2 > n ? q->cap_peers * 2 : n + 4;
		struct weft_quick_peer *v = reallocarray(q->peers, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		q->peers = v;
		q->cap_peers = cap;
	}
	while (q->n_peers < n)
		q->peers[q->n_peers++] = (struct weft_quick_peer){0};
	return 0;
}

/* A comment that says a peer's name: "# Name = x", or "# friendly_name = x". */
static int read_peer_name(struct reader *r, const char *raw, size_t len)
{
	static const char *const keys[] = {"Name", "friendly_name", NULL};
	size_t peer = r->ret->wg.dev.n_peers, key_len;
	const char *key, *eq;
	char *copy;
	int rc;

	trim_start(&raw, &len);
	if (!peer || r->in_interface || !len || *raw != '#')
		return 0;
	key = raw + 1;
	eq = memchr(raw, '=', len);
	if (!eq)
		return 0;
	key_len = (size_t)(eq - key);
	trim_start(&key, &key_len);
	trim_end(key, &key_len);
	len -= (size_t)(eq + 1 - raw);
	raw = eq + 1;
	trim_start(&raw, &len);
	trim_end(raw, &len);
	if (!weft_ini_find(key, key_len, keys) || !len || len > WEFT_QUICK_MAX_PEER_NAME)
		return 0;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)raw[i] < ' ' || raw[i] == 127)
			return 0;
	rc = reach_peers(r->ret, peer);
	if (rc)
		return rc;
	copy = strndup(raw, len);
	if (!copy)
		return -ENOMEM;
	free(r->ret->peers[peer - 1].name);
	r->ret->peers[peer - 1].name = copy;
	return 0;
}

/* weft_ini_first.endpoint */
static int on_endpoint(void *ctx, size_t peer, unsigned line, unsigned column, const char *text,
		       size_t len)
{
	struct reader *r = ctx;
	struct weft_quick_endpoint *v;
	struct weft_quick_peer *p;
	int rc = reach_peers(r->ret, peer + 1);

	if (rc)
		return rc;
	p = &r->ret->peers[peer];
	if (p->n_endpoints == WEFT_QUICK_MAX_ENDPOINTS) {
		weft_diag_set(r->diag, line, column, "more than %d endpoints of one peer",
			      WEFT_QUICK_MAX_ENDPOINTS);
		return WEFT_E_PARSE;
	}
	v = reallocarray(p->endpoints, p->n_endpoints + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	p->endpoints = v;
	v += p->n_endpoints;
	*v = (struct weft_quick_endpoint){
		.line = line, .column = column, .srv = weft_ini_is_srv(text, len)};
	v->text = strndup(text, len);
	if (!v->text)
		return -ENOMEM;
	p->n_endpoints++;
	return 0;
}

/* weft_ini_first.allowed_ip */
static int on_allowed_ip(void *ctx, size_t peer, unsigned line, unsigned column)
{
	struct reader *r = ctx;
	struct weft_quick_peer *p;
	int rc = reach_peers(r->ret, peer + 1);

	if (rc)
		return rc;
	p = &r->ret->peers[peer];
	if (p->n_places == p->cap_places) {
		size_t cap = p->cap_places ? p->cap_places * 2 : 4;
		struct weft_quick_place *v = reallocarray(p->places, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		p->places = v;
		p->cap_places = cap;
	}
	p->places[p->n_places++] = (struct weft_quick_place){line, column};
	return 0;
}

/* weft_ini_first.line */
static int on_line(void *ctx, unsigned number, const char *raw, size_t len)
{
	struct reader *r = ctx;
	const char *nul;
	int rc;

	r->number = number;
	r->raw = raw;
	if (!look(r, raw, len))
		return read_peer_name(r, raw, len);
	nul = memchr(raw, '\0', len);
	if (nul) {
		weft_diag_set(r->diag, number, column(r, nul), "a NUL byte in the text");
		return WEFT_E_PARSE;
	}
	if (!r->line.value) {
		weft_diag_set(r->diag, number, column(r, r->line.at),
			      "expected %s = value, found no \"=\"", key_name(r));
		return WEFT_E_PARSE;
	}
	rc = read_line(r);
	return rc ? rc : 1;
}

int weft_quick_parse(const char *text, size_t len, struct weft_quick *ret,
		     weft_conf_host_bits host_bits, void *ctx, struct weft_diag *diag)
{
	struct reader r = {.ret = ret, .diag = diag};
	const struct weft_ini_first first = {
		.line = on_line, .endpoint = on_endpoint, .allowed_ip = on_allowed_ip, .ctx = &r};
	int rc = weft_ini_read(text, len, &ret->wg, host_bits, ctx, &first, diag);

	return rc ? rc : reach_peers(ret, ret->wg.dev.n_peers);
}

int weft_quick_add_excludes(struct weft_quick *q, const char *text, struct weft_diag *diag)
{
	struct reader r = {.ret = q, .diag = diag, .raw = text};

	r.line = (struct line){
		.key = WEFT_INI_EXCLUDE, .at = text, .value = text, .len = strlen(text)};
	return each_word(&r, add_exclude);
}

static void clear_peers(struct weft_quick *q)
{
	for (size_t i = 0; i < q->n_peers; i++) {
		for (size_t j = 0; j < q->peers[i].n_endpoints; j++)
			free(q->peers[i].endpoints[j].text);
		free(q->peers[i].endpoints);
		free(q->peers[i].places);
		free(q->peers[i].name);
	}
	free(q->peers);
}

static void clear_texts(struct weft_quick_texts *t)
{
	for (size_t i = 0; i < t->n; i++) {
		weft_wipe(t->v[i], strlen(t->v[i]));
		free(t->v[i]);
	}
	free(t->v);
	free(t->places);
	*t = (struct weft_quick_texts){0};
}

void weft_quick_clear(struct weft_quick *q)
{
	weft_ini_result_clear(&q->wg);
	free(q->addresses);
	free(q->excludes);
	free(q->exclude_places);
	clear_peers(q);
	clear_texts(&q->dns_servers);
	clear_texts(&q->dns_search);
	clear_texts(&q->pre_up);
	clear_texts(&q->post_up);
	clear_texts(&q->pre_down);
	clear_texts(&q->post_down);
	*q = (struct weft_quick){0};
}

/* Blanks and tabs alone: what bash's read takes away around a line. */
static void trim_blanks(const char **text, size_t *len)
{
	while (*len && (**text == ' ' || **text == '\t')) {
		(*text)++;
		(*len)--;
	}
	while (*len && ((*text)[*len - 1] == ' ' || (*text)[*len - 1] == '\t'))
		(*len)--;
}

/* True for the line of an endpoint that is an SRV record's name: WireGuard does not know those. */
static bool is_srv_line(const char *line, size_t len)
{
	static const char key[] = "endpoint=_";
	size_t at = 0, after = 0;

	for (size_t i = 0; i < len && line[i] != '#'; i++) {
		char c = line[i];

		if (weft_ini_is_space(c))
			continue;
		if (at == sizeof(key) - 1) {
			after++;
			if (c == ':')
				return false;
		} else if (c == key[at] || (c >= 'A' && c <= 'Z' && c + 32 == key[at])) {
			at++;
		} else {
			return false;
		}
	}
	return after > 0;
}

/* Appends the text without its NUL bytes, which bash passes over. */
static int without_nul(struct weft_text *out, const char *text, size_t len)
{
	int rc = 0;

	while (!rc && len) {
		const char *nul = memchr(text, '\0', len);
		size_t n = nul ? (size_t)(nul - text) : len;

		rc = weft_text_append(out, text, n);
		text += nul ? n + 1 : n;
		len -= nul ? n + 1 : n;
	}
	return rc;
}

static int strip(struct reader *r, const char *text, size_t len, struct weft_text *out)
{
	size_t n;
	int rc = 0;

	while (!rc && weft_ini_next_line(&text, &len, &r->raw, &n)) {
		const char *line = r->raw;
		bool ended = line[n] == '\n', save;

		r->number++;
		if (look(r, line, n)) {
			if (r->line.key == WEFT_INI_SAVE_CONFIG)
				rc = read_save_config(r, &save);
			continue;
		}
		if (is_srv_line(line, n))
			continue;
		trim_blanks(&line, &n);
		if (!n && !ended) /* blanks after the last newline are no line */
			break;
		rc = weft_text_append(out, line, n);
		if (!rc)
			rc = weft_text_append(out, "\n", 1);
	}
	return rc ? rc : weft_text_append(out, "\n", 1);
}

int weft_quick_strip(const char *text, size_t len, struct weft_text *out,
		     struct weft_fault *ret_fault, struct weft_diag *diag)
{
	struct reader r = {.diag = diag, .fault = ret_fault};
	struct weft_text bare = {0};
	int rc;

	if (len > WEFT_INI_MAX_BYTES)
		return WEFT_E_LIMIT;
	rc = without_nul(&bare, text, len);
	if (!rc) /* so that the byte after the last line may be looked at */
		rc = weft_text_append(&bare, "", 1);
	if (!rc)
		rc = strip(&r, bare.p, bare.len - 1, out);
	weft_text_clear(&bare);
	return rc;
}

bool weft_quick_is_name(const char *text, size_t len)
{
	size_t dots = 0;

	if (!len || len >= WEFT_QUICK_NAME_LEN)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!weft_quick_is_name_char(text[i]))
			return false;
		dots += text[i] == '.';
	}
	return dots < len || len > 2; /* no interface has the name of a folder */
}
