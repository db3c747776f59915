/* SPDX-License-Identifier: Apache-2.0 */
/* wg-quick's file line by line: spelled evenly, and looked at for what weft has its own way for. */
#include "conf/quick_tidy.h"

#include <string.h>

#include "conf/ini_read.h"

static const char *const wg_keys[] = {"PrivateKey", "ListenPort", "FwMark",
				      "Relay",      "PublicKey",  "PresharedKey",
				      "AllowedIPs", "Endpoint",   "PersistentKeepalive",
				      NULL};
static const char *const section_names[] = {"[Interface]", "[Peer]", NULL};
static const char *const hooks[] = {"PreUp", "PostUp", "PreDown", "PostDown", NULL};

/* What hooks are often there for, by the words in them, and what weft has for that. */
static const struct idiom {
	const char *words[3];
	const char *note;
} idioms[] = {
	{{"tables", "! -o", "REJECT"},
	 "a kill switch: KillSwitch = on is one that holds while the interface is down, too"},
	{{"tables", "! -o", "DROP"},
	 "a kill switch: KillSwitch = on is one that holds while the interface is down, too"},
	{{"TCPMSS"}, "MTU = auto does this, too"},
	{{"reresolve"}, "weft resolves the names of endpoints again by itself"},
	{{"resolvconf"}, "DNS = does this"},
	{{"resolvectl"}, "DNS = does this"},
	{{"wg set"}, "weft set takes the same words"},
	{{"ip", "rule", "add"}, "Table and Exclude may do this"},
	{{"ip", "route", "add"}, "Table and Exclude may do this"},
};

struct tidier {
	struct weft_text *out;
	weft_quick_note note;
	void *ctx;
	struct weft_diag *diag;
	unsigned line;
	bool in_peer, has_endpoint, was_empty;
	const char *raw;
};

static bool has(const char *text, size_t len, const char *word)
{
	return memmem(text, len, word, strlen(word)) != NULL;
}

static void say(struct tidier *t, const char *at, const char *key, const char *note)
{
	if (!t->note)
		return;
	weft_diag_set(t->diag, t->line, (unsigned)(at - t->raw) + 1, "%s: %s", key, note);
	t->note(t->ctx, t->diag);
}

static void look_at_hook(struct tidier *t, const char *key, const char *v, size_t len)
{
	const char *hash = memchr(v, '#', len);

	if (hash)
		say(t, hash, key,
		    "\"#\" and what is after it belongs to the command; wg-quick of 2021 cut it "
		    "off");
	for (size_t i = 0; i < sizeof(idioms) / sizeof(idioms[0]); i++) {
		bool all = true;

		for (size_t k = 0; k < 3 && idioms[i].words[k]; k++)
			all = all && has(v, len, idioms[i].words[k]);
		if (all) {
			say(t, v, key, idioms[i].note);
			return;
		}
	}
}

static void look_at(struct tidier *t, const char *key, bool quick, const char *v, size_t len)
{
	const char *const *own = &weft_ini_quick_keys[WEFT_INI_BACKEND];

	if (weft_ini_find(key, strlen(key), hooks)) {
		if (key[strlen(key) - 1] == 'p') /* what undoes it goes with it */
			look_at_hook(t, key, v, len);
	} else if (quick && weft_ini_find(key, strlen(key), own)) {
		say(t, v, key, "weft's own: wg-quick does not take this file");
	} else if (strcmp(key, "Relay") == 0) {
		say(t, v, key, "weft's own: wg does not take this file");
	} else if (strcmp(key, "Endpoint") == 0) {
		if (t->has_endpoint)
			say(t, v, key,
			    "weft tries all of a peer's in turn; wg-quick takes the last");
		t->has_endpoint = true;
	}
}

/* The name of a key as it is spelled, or NULL. White space in one of WireGuard's own is let be. */
static const char *spelling(const char *key, size_t len, bool *ret_quick)
{
	const char *const *found = weft_ini_find(key, len, weft_ini_quick_keys);
	char bare[32];
	size_t n = 0;

	*ret_quick = found != NULL;
	if (found)
		return *found;
	for (size_t i = 0; i < len; i++) {
		if (weft_ini_is_space(key[i]))
			continue;
		if (n == sizeof(bare))
			return NULL;
		bare[n++] = key[i];
	}
	found = weft_ini_find(bare, n, wg_keys);
	return found ? *found : NULL;
}

static void trim(const char **text, size_t *len)
{
	while (*len && weft_ini_is_space(**text)) {
		(*text)++;
		(*len)--;
	}
	while (*len && weft_ini_is_space((*text)[*len - 1]))
		(*len)--;
}

/* A section's name, and what stands behind it: a comment, if anything. */
static int put_section(struct tidier *t, const char *text, size_t len)
{
	const char *end = memchr(text, ']', len);
	const char *rest = end ? end + 1 : text + len;
	size_t n = (size_t)(text + len - rest);
	char bare[16];
	size_t k = 0;
	const char *const *name;
	int rc;

	for (const char *p = text; p < rest && k < sizeof(bare); p++)
		if (!weft_ini_is_space(*p))
			bare[k++] = *p;
	name = weft_ini_find(bare, k, section_names);
	if (!name) /* nothing that the reader takes */
		return weft_text_printf(t->out, "%.*s\n", (int)len, text);
	trim(&rest, &n);
	t->in_peer = name == &section_names[1];
	t->has_endpoint = false;
	rc = weft_text_printf(t->out, "%s%s", *name, n ? " " : "");
	if (!rc)
		rc = weft_text_append(t->out, rest, n);
	return rc ? rc : weft_text_append(t->out, "\n", 1);
}

static int put_line(struct tidier *t, const char *text, size_t len)
{
	const char *hash = memchr(text, '#', len), *eq = memchr(text, '=', len);
	const char *key = NULL, *v;
	bool quick = false;
	size_t n;
	int rc = 0;

	if (len && text[0] == '[')
		return put_section(t, text, len);
	if (eq && (!hash || hash > eq)) {
		n = (size_t)(eq - text);
		while (n && weft_ini_is_space(text[n - 1]))
			n--;
		key = spelling(text, n, &quick);
	}
	if (key) {
		v = eq + 1;
		n = (size_t)(text + len - v);
		trim(&v, &n);
		look_at(t, key, quick, v, n);
		rc = weft_text_printf(t->out, "%s =%s", key, n ? " " : "");
		text = v;
		len = n;
	}
	if (!rc)
		rc = weft_text_append(t->out, text, len);
	return rc ? rc : weft_text_append(t->out, "\n", 1);
}

int weft_quick_tidy(const char *text, size_t len, struct weft_text *out, weft_quick_note note,
		    void *ctx, struct weft_diag *diag)
{
	struct tidier t = {.out = out,
			   .note = diag ? note : NULL,
			   .ctx = ctx,
			   .diag = diag,
			   .was_empty = true};
	const char *line;
	size_t n;
	int rc = 0;

	while (!rc && weft_ini_next_line(&text, &len, &line, &n)) {
		t.raw = line;
		t.line++;
		trim(&line, &n);
		if (n || !t.was_empty)
			rc = put_line(&t, line, n);
		t.was_empty = n == 0;
	}
	return rc;
}
