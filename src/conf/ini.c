/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of WireGuard's configuration file. White space counts nowhere, "#" starts a comment
 * anywhere, keys and sections are known in any case: wg(8), CONFIGURATION FILE FORMAT.
 */
#include "conf/ini_read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/encoding.h"

enum section { NO_SECTION, IN_INTERFACE, IN_PEER };

static const char *const interface_keys[] = {"ListenPort", "FwMark", "PrivateKey", "Relay", NULL};
static const char *const peer_keys[] = {"PublicKey", "PresharedKey",        "AllowedIPs",
					"Endpoint",  "PersistentKeepalive", NULL};
/* [Interface] where wg-quick reads it */
static const char *const all_interface_keys[] = {
	"ListenPort", "FwMark", "PrivateKey", "Relay",   "Address",  "DNS",        "MTU",
	"Table",      "PreUp",  "PostUp",     "PreDown", "PostDown", "SaveConfig", "Backend",
	"Workers",    "Cpus",   "KillSwitch", "Exclude", NULL};
const char *const weft_ini_quick_keys[] = {
	[WEFT_INI_ADDRESS] = "Address",
	[WEFT_INI_DNS] = "DNS",
	[WEFT_INI_MTU] = "MTU",
	[WEFT_INI_TABLE] = "Table",
	[WEFT_INI_PRE_UP] = "PreUp",
	[WEFT_INI_POST_UP] = "PostUp",
	[WEFT_INI_PRE_DOWN] = "PreDown",
	[WEFT_INI_POST_DOWN] = "PostDown",
	[WEFT_INI_SAVE_CONFIG] = "SaveConfig",
	[WEFT_INI_BACKEND] = "Backend",
	[WEFT_INI_WORKERS] = "Workers",
	[WEFT_INI_CPUS] = "Cpus",
	[WEFT_INI_KILL_SWITCH] = "KillSwitch",
	[WEFT_INI_EXCLUDE] = "Exclude",
	NULL,
};

struct reader {
	struct weft_ini_result *ret;
	struct weft_diag *diag;
	weft_conf_host_bits host_bits;
	void *ctx;
	const struct weft_ini_first *first; /* may be NULL */
	enum section section;
	unsigned line;
	unsigned peer_line; /* of the [Peer] that the lines belong to */
	bool peer_has_key;
	const char *raw; /* the line as it stands in the file */
	size_t raw_len;
	char *c; /* the line without white space and comment */
	size_t len;
};

bool weft_ini_is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static char lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

bool weft_ini_same(const char *text, size_t len, const char *word)
{
	size_t i = 0;

	for (; i < len && word[i]; i++)
		if (lower(text[i]) != lower(word[i]))
			return false;
	return i == len && !word[i];
}

const char *const *weft_ini_find(const char *text, size_t len, const char *const *list)
{
	for (; *list; list++)
		if (weft_ini_same(text, len, *list))
			return list;
	return NULL;
}

bool weft_ini_next_line(const char **text, size_t *len, const char **ret_line, size_t *ret_len)
{
	const char *nl;
	size_t n;

	if (!*len)
		return false;
	nl = memchr(*text, '\n', *len);
	n = nl ? (size_t)(nl - *text) : *len;
	*ret_line = *text;
	*ret_len = n;
	*text += nl ? n + 1 : n;
	*len -= nl ? n + 1 : n;
	return true;
}

/* Two counts of the same byte: of the bare line, and of the file's. */
struct place {
	size_t bare, raw;
};

/* Where byte `at` of the bare line stands in the file's line, from 1, looked for from `p` on. */
static unsigned column_from(const struct reader *r, struct place *p, size_t at)
{
	for (; p->raw < r->raw_len; p->raw++) {
		if (weft_ini_is_space(r->raw[p->raw]))
			continue;
		if (p->bare == at)
			break;
		p->bare++;
	}
	return (unsigned)p->raw + 1;
}

static unsigned column(const struct reader *r, size_t at)
{
	struct place p = {0};

	return column_from(r, &p, at);
}

bool weft_ini_is_srv(const char *text, size_t len)
{
	return len > 1 && text[0] == '_' && !memchr(text, ':', len);
}

int weft_ini_shown(size_t len)
{
	return len > 100 ? 100 : (int)len;
}

static int bad_line(struct reader *r)
{
	weft_fault_set(&r->ret->fault, WEFT_FAULT_LINE, r->c, r->len);
	return WEFT_E_PARSE;
}

/* A value that will not do: `text` points into r->c. */
static int bad_value(struct reader *r, enum weft_fault_kind kind, const char *key, const char *text,
		     size_t len)
{
	unsigned col = column(r, (size_t)(text - r->c));

	if (!len)
		weft_diag_set(r->diag, r->line, col, "%s has no value: expected %s", key,
			      weft_fault_expected(kind));
	else if (kind == WEFT_FAULT_SECRET_KEY)
		weft_diag_set(r->diag, r->line, col, "%s: expected %s, found %zu characters", key,
			      weft_fault_expected(kind), len);
	else
		weft_diag_set(r->diag, r->line, col, "%s: expected %s, found \"%.*s\"", key,
			      weft_fault_expected(kind), weft_ini_shown(len), text);
	if (len || text != r->c + r->len)
		weft_fault_set(&r->ret->fault, kind, text, len);
	else /* wg takes a key without a value for no key at all */
		return bad_line(r);
	return WEFT_E_PARSE;
}

/* A key of wg-quick's is here, among WireGuard's own. */
static void hint_quick_key(struct reader *r)
{
	if (!r->first)
		weft_diag_hint(r->diag,
			       "that key is for wg-quick: give the output of `weft strip`");
	else
		weft_diag_hint(r->diag, "wg-quick sees it only under a line \"[Interface]\", and "
					"neither may have white space inside");
}

/* Section and key were no help: say what would have been. */
static void hint_known_key(struct reader *r, size_t key_len)
{
	const char *const *own = r->first ? all_interface_keys : interface_keys;
	const char *const *known = r->section == IN_PEER ? peer_keys : own;
	const char *const *other = r->section == IN_PEER ? own : peer_keys;
	const char *const *found = weft_ini_find(r->c, key_len, other);
	const char *near = weft_diag_nearest(r->c, key_len, known);

	if (found)
		weft_diag_hint(r->diag, "%s belongs to %s", *found,
			       r->section == IN_PEER ? "[Interface]" : "[Peer]");
	else if (near)
		weft_diag_hint(r->diag, "did you mean %s?", near);
	else if (r->section == IN_PEER)
		weft_diag_hint(r->diag, "it has PublicKey, PresharedKey, AllowedIPs, Endpoint, "
					"PersistentKeepalive");
	else
		weft_diag_hint(r->diag, "it has PrivateKey, ListenPort, FwMark, Relay%s",
			       r->first ? ", Address, DNS, MTU, Table, PreUp, PostUp, PreDown, "
					  "PostDown, SaveConfig, Backend, Workers, Cpus, "
					  "KillSwitch, Exclude"
					: "");
}

static int unknown_key(struct reader *r, size_t key_len)
{
	bool quick = weft_ini_find(r->c, key_len, weft_ini_quick_keys) != NULL;

	if (r->section == NO_SECTION)
		weft_diag_set(r->diag, r->line, column(r, 0),
			      "\"%.*s\" stands before any section: expected [Interface] or [Peer]",
			      weft_ini_shown(key_len), r->c);
	else
		weft_diag_set(r->diag, r->line, column(r, 0), "%s has no key \"%.*s\"",
			      r->section == IN_PEER ? "[Peer]" : "[Interface]",
			      weft_ini_shown(key_len), r->c);
	if (quick && !(r->first && r->section == IN_PEER))
		hint_quick_key(r);
	else if (r->section != NO_SECTION)
		hint_known_key(r, key_len);
	return bad_line(r);
}

static struct weft_conf_peer *last_peer(struct reader *r)
{
	return &r->ret->dev.peers[r->ret->dev.n_peers - 1];
}

static int read_key(struct reader *r, const char *name, const char *text, size_t len,
		    uint8_t ret_key[WEFT_KEY_LEN], bool secret)
{
	if (weft_key_from_base64(ret_key, text, len) == 0)
		return 0;
	return bad_value(r, secret ? WEFT_FAULT_SECRET_KEY : WEFT_FAULT_KEY, name, text, len);
}

static int read_allowed_ips(struct reader *r, const char *text, size_t len)
{
	struct weft_conf_peer *peer = last_peer(r);
	struct place place = {0};

	while (len) {
		const char *comma = memchr(text, ',', len);
		size_t n = comma ? (size_t)(comma - text) : len;
		enum weft_fault_kind kind;
		struct weft_prefix p;
		int rc;

		kind = weft_value_prefix(text, n, &p);
		/* "a," ends in an entry that is empty */
		if (kind == WEFT_FAULT_NONE && comma && n + 1 == len) {
			text = comma + 1;
			n = 0;
			kind = WEFT_FAULT_ADDRESS;
		}
		if (kind != WEFT_FAULT_NONE) {
			rc = bad_value(r, kind, "AllowedIPs", text, n);
			weft_fault_set(&r->ret->fault, kind, text, n);
			return rc;
		}
		if (weft_prefix_mask(&p) && r->host_bits)
			r->host_bits(r->ctx, r->line, text, n);
		rc = weft_conf_add_allowed_ip(peer, &p, false);
		if (!rc && r->first)
			rc = r->first->allowed_ip(r->first->ctx, r->ret->dev.n_peers - 1, r->line,
						  column_from(r, &place, (size_t)(text - r->c)));
		if (rc)
			return rc;
		text += comma ? n + 1 : n;
		len -= comma ? n + 1 : n;
	}
	return 0;
}

static int read_endpoint(struct reader *r, const char *text, size_t len)
{
	size_t index = r->ret->dev.n_peers - 1;
	struct weft_conf_names *names = &r->ret->names;
	struct weft_conf_name name = {0};
	enum weft_fault_kind kind;
	bool is_name = false;
	int rc = 0;

	if (r->first && weft_ini_is_srv(text, len))
		return r->first->endpoint(r->first->ctx, index, r->line,
					  column(r, (size_t)(text - r->c)), text, len);
	kind = weft_value_endpoint(text, len, last_peer(r), &name, &is_name);
	if (kind != WEFT_FAULT_NONE)
		return bad_value(r, kind, "Endpoint", text, len);
	last_peer(r)->has |= WEFT_PEER_HAS_ENDPOINT;
	while (names->n && names->v[names->n - 1].peer == index) /* the last one counts */
		names->n--;
	if (r->first)
		rc = r->first->endpoint(r->first->ctx, index, r->line,
					column(r, (size_t)(text - r->c)), text, len);
	if (rc || !is_name)
		return rc;
	name.peer = index;
	name.line = r->line;
	name.column = column(r, (size_t)(text - r->c));
	return weft_conf_add_name(names, &name);
}

static int interface_line(struct reader *r, size_t key_len, const char *text, size_t len)
{
	struct weft_conf_device *dev = &r->ret->dev;
	const char *const *key = weft_ini_find(r->c, key_len, interface_keys);
	enum weft_fault_kind kind;
	int rc;

	if (!key)
		return unknown_key(r, key_len);
	if (key == &interface_keys[0]) {
		kind = weft_value_port(text, len, &dev->listen_port);
		dev->has |= WEFT_DEVICE_HAS_LISTEN_PORT;
	} else if (key == &interface_keys[1]) {
		kind = weft_value_fwmark(text, len, &dev->fwmark);
		dev->has |= WEFT_DEVICE_HAS_FWMARK;
	} else if (key == &interface_keys[3]) {
		kind = weft_value_relay(text, len, &dev->relay);
		dev->has |= WEFT_DEVICE_HAS_RELAY;
	} else {
		rc = read_key(r, *key, text, len, dev->private_key.b, true);
		dev->has |= WEFT_DEVICE_HAS_PRIVATE_KEY;
		return rc;
	}
	return kind == WEFT_FAULT_NONE ? 0 : bad_value(r, kind, *key, text, len);
}

static int peer_line(struct reader *r, size_t key_len, const char *text, size_t len)
{
	struct weft_conf_peer *peer = last_peer(r);
	const char *const *key = weft_ini_find(r->c, key_len, peer_keys);
	enum weft_fault_kind kind;

	if (!key)
		return unknown_key(r, key_len);
	if (key == &peer_keys[0]) {
		r->peer_has_key = true;
		return read_key(r, *key, text, len, peer->public_key, false);
	}
	if (key == &peer_keys[1]) {
		peer->has |= WEFT_PEER_HAS_PSK;
		return read_key(r, *key, text, len, peer->psk.b, true);
	}
	if (key == &peer_keys[2])
		return read_allowed_ips(r, text, len);
	if (key == &peer_keys[3])
		return read_endpoint(r, text, len);
	kind = weft_value_keepalive(text, len, &peer->keepalive_s);
	peer->has |= WEFT_PEER_HAS_KEEPALIVE;
	return kind == WEFT_FAULT_NONE ? 0 : bad_value(r, kind, *key, text, len);
}

/* The peer that ends here must have had a public key. */
static int end_peer(struct reader *r)
{
	if (r->section != IN_PEER || r->peer_has_key)
		return 0;
	weft_diag_set(r->diag, r->peer_line, 0, "this [Peer] has no PublicKey");
	weft_fault_set(&r->ret->fault, WEFT_FAULT_NO_PUBLIC_KEY, "", 0);
	return WEFT_E_PARSE;
}

static int section_line(struct reader *r)
{
	struct weft_conf_peer *peer;
	int rc;

	if (weft_ini_same(r->c, r->len, "[Interface]")) {
		rc = end_peer(r);
		r->section = IN_INTERFACE;
		return rc;
	}
	if (!weft_ini_same(r->c, r->len, "[Peer]")) {
		weft_diag_set(r->diag, r->line, column(r, 0),
			      "\"%.*s\" is no section: expected [Interface] or [Peer]",
			      weft_ini_shown(r->len), r->c);
		return bad_line(r);
	}
	rc = end_peer(r);
	if (rc)
		return rc;
	rc = weft_conf_add_peer(&r->ret->dev, &peer);
	if (rc)
		return rc;
	peer->has = WEFT_PEER_REPLACE_ALLOWED_IPS;
	r->section = IN_PEER;
	r->peer_line = r->line;
	r->peer_has_key = false;
	return 0;
}

static int one_line(struct reader *r)
{
	const char *eq;
	size_t key_len;

	if (!r->len)
		return 0;
	if (r->c[0] == '[')
		return section_line(r);
	eq = memchr(r->c, '=', r->len);
	if (!eq) {
		weft_diag_set(r->diag, r->line, column(r, 0),
			      "expected Key = value or a [Section], found \"%.*s\"",
			      weft_ini_shown(r->len), r->c);
		return bad_line(r);
	}
	key_len = (size_t)(eq - r->c);
	if (r->section == NO_SECTION)
		return unknown_key(r, key_len);
	if (r->section == IN_PEER)
		return peer_line(r, key_len, eq + 1, r->len - key_len - 1);
	return interface_line(r, key_len, eq + 1, r->len - key_len - 1);
}

/* Fills r->c from r->raw: no comment, no white space. */
static int bare(struct reader *r)
{
	r->len = 0;
	for (size_t i = 0; i < r->raw_len && r->raw[i] != '#'; i++) {
		if (r->raw[i] == '\0') {
			weft_diag_set(r->diag, r->line, (unsigned)i + 1, "a NUL byte in the text");
			return bad_line(r);
		}
		if (!weft_ini_is_space(r->raw[i]))
			r->c[r->len++] = r->raw[i];
	}
	return 0;
}

static size_t longest_line(const char *text, size_t len)
{
	const char *line;
	size_t longest = 0, n;

	while (weft_ini_next_line(&text, &len, &line, &n))
		longest = n > longest ? n : longest;
	return longest;
}

/* The line goes to whoever comes first, then here. */
static int either_line(struct reader *r)
{
	int rc = r->first ? r->first->line(r->first->ctx, r->line, r->raw, r->raw_len) : 0;

	if (rc)
		return rc < 0 ? rc : 0;
	rc = bare(r);
	return rc ? rc : one_line(r);
}

int weft_ini_read(const char *text, size_t len, struct weft_ini_result *ret,
		  weft_conf_host_bits host_bits, void *ctx, const struct weft_ini_first *first,
		  struct weft_diag *diag)
{
	struct reader r = {
		.ret = ret, .diag = diag, .host_bits = host_bits, .ctx = ctx, .first = first};
	size_t longest;
	int rc = 0;

	if (len > WEFT_INI_MAX_BYTES)
		return WEFT_E_LIMIT;
	longest = longest_line(text, len);
	r.c = malloc(longest + 1);
	if (!r.c)
		return -ENOMEM;
	while (!rc && weft_ini_next_line(&text, &len, &r.raw, &r.raw_len)) {
		r.line++;
		rc = either_line(&r);
	}
	if (!rc)
		rc = end_peer(&r);
	weft_wipe(r.c, longest + 1); /* a private key went through it */
	free(r.c);
	return rc;
}

int weft_ini_parse(const char *text, size_t len, struct weft_ini_result *ret,
		   weft_conf_host_bits host_bits, void *ctx, struct weft_diag *diag)
{
	return weft_ini_read(text, len, ret, host_bits, ctx, NULL, diag);
}

void weft_ini_result_clear(struct weft_ini_result *r)
{
	weft_conf_device_clear(&r->dev);
	weft_conf_names_clear(&r->names);
	weft_wipe(&r->fault, sizeof(r->fault));
}
