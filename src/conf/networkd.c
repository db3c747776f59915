/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of systemd-networkd's files: systemd.syntax(7). Keys and sections are known as they
 * are written, upper and lower case; "#" and ";" start a comment at the start of a line alone; a
 * line that ends in a backslash goes on in the next.
 */
#include "conf/networkd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/ini_read.h"
#include "util/encoding.h"

#define MTU_MIN 68
#define MTU_MAX 65535

struct reader {
	struct weft_networkd *ret;
	weft_networkd_warn warn;
	void *ctx;
	struct weft_diag *diag;
	struct weft_text joined; /* the line, with those that it goes on in */
	const struct section *section;
	bool in_address; /* the last of ret->addresses is of this [Address] section */
	unsigned line;
	const char *key;
	size_t key_len;
	const char *v; /* the value */
	size_t len;
};

struct key {
	const char *name;
	int (*read)(struct reader *r);
};

struct section {
	const char *name;
	int (*begin)(struct reader *r); /* may be NULL */
	const struct key *keys;         /* ends with a NULL name */
};

/* Of a line that goes on in others: as if it was one. */
static unsigned column(const struct reader *r, const char *at)
{
	return (unsigned)(at - r->joined.p) + 1;
}

/* printf's, for warning of the word at hand. */
#define WARN(r, at, ...)                                                         \
	do {                                                                     \
		weft_diag_set((r)->diag, (r)->line, column(r, at), __VA_ARGS__); \
		if ((r)->warn)                                                   \
			(r)->warn((r)->ctx, (r)->diag);                          \
	} while (0)

/* A value, or a part of one, that will not do. */
static int bad(struct reader *r, const char *expected, const char *text, size_t len)
{
	weft_diag_set(r->diag, r->line, column(r, text), "%.*s: expected %s, found \"%.*s\"",
		      (int)r->key_len, r->key, expected, weft_ini_shown(len), text);
	return WEFT_E_PARSE;
}

static int bad_secret(struct reader *r)
{
	weft_diag_set(r->diag, r->line, column(r, r->v), "%.*s: expected %s", (int)r->key_len,
		      r->key, weft_fault_expected(WEFT_FAULT_SECRET_KEY));
	return WEFT_E_PARSE;
}

/* Room for one more. 0, -ENOMEM or WEFT_E_LIMIT. */
static int grow(void *list, size_t n, size_t *cap, size_t size)
{
	void **v = list, *bigger;
	size_t more = *cap ? *cap * 2 : 4;

	if (n < *cap)
		return 0;
	if (n >= WEFT_NETWORKD_MAX_ENTRIES)
		return WEFT_E_LIMIT;
	bigger = realloc(*v, more * size);
	if (!bigger)
		return -ENOMEM;
	*v = bigger;
	*cap = more;
	return 0;
}

/* Replaces a text by the value; an empty one takes it away. 0 or -ENOMEM. */
static int set_text(char **text, const char *v, size_t len)
{
	char *copy = NULL;

	if (len) {
		copy = malloc(len + 1);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, v, len);
		copy[len] = '\0';
	}
	free(*text);
	*text = copy;
	return 0;
}

static int add_dns_text(struct reader *r, const char *v, size_t len)
{
	struct weft_quick_texts *t = &r->ret->dns;
	int rc = grow(&t->v, t->n, &t->cap, sizeof(*t->v));

	if (rc)
		return rc;
	t->v[t->n] = NULL;
	rc = set_text(&t->v[t->n], v, len);
	if (!rc && t->v[t->n])
		t->n++;
	return rc;
}

/* Each of a value's words. Commas separate them too, if `commas`. */
static int each_word(struct reader *r, bool commas,
		     int (*add)(struct reader *, const char *, size_t))
{
	const char *p = r->v, *end = p + r->len;
	int rc = 0;

	while (!rc && p < end) {
		const char *word = p;

		while (p < end && !weft_ini_is_space(*p) && !(commas && *p == ','))
			p++;
		if (p > word)
			rc = add(r, word, (size_t)(p - word));
		else
			p++;
	}
	return rc;
}

/* ---- [NetDev], [Match], [Link] ---- */

static int begin_netdev(struct reader *r)
{
	r->ret->is_netdev = true;
	return 0;
}

static int read_name(struct reader *r)
{
	if (!weft_quick_is_name(r->v, r->len))
		return bad(r, "an interface's name, 1 to 15 of a-zA-Z0-9_=+.-", r->v, r->len);
	memset(r->ret->name, 0, sizeof(r->ret->name));
	memcpy(r->ret->name, r->v, r->len);
	return 0;
}

static int read_kind(struct reader *r)
{
	r->ret->is_wireguard = r->len == 9 && memcmp(r->v, "wireguard", 9) == 0;
	return r->ret->is_wireguard ? 0 : bad(r, "wireguard", r->v, r->len);
}

/* Of what a reader of the file needs no more: a description, say. */
static int pass_over(struct reader *r)
{
	(void)r;
	return 0;
}

/* Bytes; K and M as systemd has them, to the base of 1024. */
static int read_mtu(struct reader *r)
{
	uint32_t mtu = 0;
	size_t n = r->len;

	if (n && (r->v[n - 1] == 'K' || r->v[n - 1] == 'M'))
		n--;
	for (size_t i = 0; i < n; i++) {
		if (r->v[i] < '0' || r->v[i] > '9' || mtu > MTU_MAX)
			return bad(r, "a number of bytes from 68 to 65535", r->v, r->len);
		mtu = mtu * 10 + (uint32_t)(r->v[i] - '0');
	}
	if (n < r->len && mtu <= MTU_MAX)
		mtu *= r->v[n] == 'K' ? 1024 : 1024 * 1024;
	if (r->len && (!n || mtu < MTU_MIN || mtu > MTU_MAX))
		return bad(r, "a number of bytes from 68 to 65535", r->v, r->len);
	r->ret->mtu = mtu;
	return 0;
}

static int read_match(struct reader *r)
{
	return set_text(&r->ret->match, r->v, r->len);
}

/* ---- [WireGuard], [WireGuardPeer] ---- */

static struct weft_conf_peer *last_peer(struct reader *r)
{
	return &r->ret->dev.peers[r->ret->dev.n_peers - 1];
}

static struct weft_networkd_peer *last_more(struct reader *r)
{
	return &r->ret->peers[r->ret->n_peers - 1];
}

/* What a hook may have in it without quotes. */
static bool is_credential(const char *v, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!weft_quick_is_name_char(v[i]) || v[i] == '=' || v[i] == '+')
			return false;
	return len > 0 && len < 256 && v[0] != '.';
}

/* A secret key, or "@" and the name of a credential. */
static int read_secret(struct reader *r, struct weft_secret *ret, struct weft_networkd_key *where)
{
	weft_secret_clear(ret);
	where->line = r->line;
	where->column = column(r, r->v);
	if (r->len && r->v[0] == '@') {
		if (!is_credential(r->v + 1, r->len - 1))
			return bad(r, "@ and the name of a credential, of a-zA-Z0-9_.-", r->v,
				   r->len);
		return set_text(&where->credential, r->v + 1, r->len - 1);
	}
	free(where->credential);
	where->credential = NULL;
	if (r->len && weft_key_from_base64(ret->b, r->v, r->len))
		return bad_secret(r);
	return 0;
}

static int read_key_file(struct reader *r, struct weft_networkd_key *where)
{
	where->line = r->line;
	where->column = column(r, r->v);
	if (r->len && r->v[0] != '/')
		return bad(r, "a file's path from the root", r->v, r->len);
	return set_text(&where->file, r->v, r->len);
}

static int read_private_key(struct reader *r)
{
	r->ret->dev.has |= WEFT_DEVICE_HAS_PRIVATE_KEY;
	return read_secret(r, &r->ret->dev.private_key, &r->ret->private_key);
}

static int read_private_key_file(struct reader *r)
{
	return read_key_file(r, &r->ret->private_key);
}

static int read_listen_port(struct reader *r)
{
	struct weft_conf_device *dev = &r->ret->dev;

	dev->listen_port = 0;
	if (!r->len || (r->len == 4 && memcmp(r->v, "auto", 4) == 0))
		return 0;
	if (weft_value_port(r->v, r->len, &dev->listen_port) != WEFT_FAULT_NONE)
		return bad(r, "a port from 0 to 65535, or auto", r->v, r->len);
	return 0;
}

static int read_mark(struct reader *r)
{
	r->ret->dev.fwmark = 0;
	if (r->len && weft_value_fwmark(r->v, r->len, &r->ret->dev.fwmark) != WEFT_FAULT_NONE)
		return bad(r, weft_fault_expected(WEFT_FAULT_FWMARK), r->v, r->len);
	return 0;
}

/* Digits alone, of a number of 32 bits, or no digit at the start. */
static bool is_table(const char *v, size_t len)
{
	uint64_t number = 0;

	if (len >= WEFT_QUICK_TABLE_NAME_LEN || !is_credential(v, len) || v[0] == '-')
		return false;
	for (size_t i = 0; v[0] >= '0' && v[0] <= '9' && i < len; i++) {
		if (v[i] < '0' || v[i] > '9')
			return false;
		number = number * 10 + (uint64_t)(v[i] - '0');
		if (number > UINT32_MAX)
			return false;
	}
	return true;
}

/* A routing table: its number or its name. "" and what stands for no become "". */
static int read_table(struct reader *r, char table[WEFT_QUICK_TABLE_NAME_LEN])
{
	static const char *const none[] = {"off", "false", "no", "n", "f", "0", NULL};

	memset(table, 0, WEFT_QUICK_TABLE_NAME_LEN);
	if (!r->len || weft_ini_find(r->v, r->len, none))
		return 0;
	if (!is_table(r->v, r->len))
		return bad(r, "the number or the name of a routing table", r->v, r->len);
	memcpy(table, r->v, r->len);
	return 0;
}

static int read_route_table(struct reader *r)
{
	return read_table(r, r->ret->table);
}

static int begin_peer(struct reader *r)
{
	struct weft_networkd *n = r->ret;
	struct weft_conf_peer *peer;
	int rc = grow(&n->peers, n->n_peers, &n->cap_peers, sizeof(*n->peers));

	if (!rc)
		rc = weft_conf_add_peer(&n->dev, &peer);
	if (!rc)
		n->peers[n->n_peers++] = (struct weft_networkd_peer){.line = r->line};
	return rc;
}

static int read_public_key(struct reader *r)
{
	if (weft_key_from_base64(last_peer(r)->public_key, r->v, r->len))
		return bad(r, weft_fault_expected(WEFT_FAULT_KEY), r->v, r->len);
	last_more(r)->has_key = true;
	return 0;
}

static int read_public_key_file(struct reader *r)
{
	return read_key_file(r, &last_more(r)->public_key);
}

static int read_psk(struct reader *r)
{
	last_peer(r)->has |= WEFT_PEER_HAS_PSK;
	return read_secret(r, &last_peer(r)->psk, &last_more(r)->psk);
}

static int read_psk_file(struct reader *r)
{
	return read_key_file(r, &last_more(r)->psk);
}

static int add_allowed_ip(struct reader *r, const char *v, size_t len)
{
	struct weft_prefix p;
	enum weft_fault_kind kind = weft_value_prefix(v, len, &p);

	if (kind != WEFT_FAULT_NONE)
		return bad(r, weft_fault_expected(kind), v, len);
	if (weft_prefix_mask(&p))
		WARN(r, v, "AllowedIPs: bits after the prefix are cleared in %.*s",
		     weft_ini_shown(len), v);
	return weft_conf_add_allowed_ip(last_peer(r), &p, false);
}

static int read_allowed_ips(struct reader *r)
{
	if (!r->len)
		last_peer(r)->n_allowed_ips = 0;
	return each_word(r, true, add_allowed_ip);
}

static int read_endpoint(struct reader *r)
{
	struct weft_conf_peer peer = {0};
	struct weft_conf_name name;
	bool is_name;

	if (r->len) {
		enum weft_fault_kind kind =
			weft_value_endpoint(r->v, r->len, &peer, &name, &is_name);

		if (kind != WEFT_FAULT_NONE || memchr(r->v, '#', r->len))
			return bad(r, "host:port, or [address]:port", r->v, r->len);
	}
	return set_text(&last_more(r)->endpoint, r->v, r->len);
}

static int read_keepalive(struct reader *r)
{
	uint16_t *seconds = &last_peer(r)->keepalive_s;

	*seconds = 0;
	if (r->len && weft_value_keepalive(r->v, r->len, seconds) != WEFT_FAULT_NONE)
		return bad(r, weft_fault_expected(WEFT_FAULT_KEEPALIVE), r->v, r->len);
	return 0;
}

/* One table for all of them is what the file can say. */
static int read_peer_table(struct reader *r)
{
	char table[WEFT_QUICK_TABLE_NAME_LEN];
	int rc = read_table(r, table);

	if (!rc && strcmp(table, r->ret->table) != 0)
		WARN(r, r->v,
		     "RouteTable: of a single peer it is left out; Table in [Interface] "
		     "is for all of them");
	return rc;
}

/* ---- [Network], [Address], [Route] ---- */

static int add_address(struct reader *r, const char *v, size_t len)
{
	struct weft_networkd *n = r->ret;
	struct weft_prefix p;
	enum weft_fault_kind kind = weft_value_prefix(v, len, &p);
	int rc;

	if (kind != WEFT_FAULT_NONE)
		return bad(r, weft_fault_expected(kind), v, len);
	if (!memchr(v, '/', len))
		WARN(r, v, "Address: without a length it is taken for /%u", (unsigned)p.len);
	rc = grow(&n->addresses, n->n_addresses, &n->cap_addresses, sizeof(*n->addresses));
	if (!rc)
		n->addresses[n->n_addresses++] = p;
	return rc;
}

static int read_address(struct reader *r)
{
	if (!r->len && !strcmp(r->section->name, "Network"))
		r->ret->n_addresses = 0;
	return r->len ? add_address(r, r->v, r->len) : 0;
}

/* address, address#name, address%link, address:port and [address]:port */
static int add_dns(struct reader *r, const char *v, size_t len)
{
	const char *hash = memchr(v, '#', len), *at = v, *colon;
	size_t n = hash ? (size_t)(hash - v) : len;
	struct weft_ip ip;
	size_t bare;

	if (n && v[0] == '[') {
		const char *end = memchr(v, ']', n);

		at = v + 1;
		bare = end ? (size_t)(end - at) : 0;
	} else {
		colon = memchr(v, ':', n);
		/* a second colon, and it is IPv6 */
		bare = colon && !memchr(colon + 1, ':', n - (size_t)(colon + 1 - v))
			       ? (size_t)(colon - v)
			       : n;
	}
	for (size_t i = 0; i < bare; i++)
		if (at[i] == '%')
			bare = i;
	if (weft_ip_parse(at, bare, &ip))
		return bad(r, "the address of a name server", v, len);
	if (bare < len)
		WARN(r, v, "DNS: of %.*s the address alone is taken over", weft_ini_shown(len), v);
	return add_dns_text(r, at, bare);
}

static int read_dns(struct reader *r)
{
	return each_word(r, false, add_dns);
}

static int add_domain(struct reader *r, const char *v, size_t len)
{
	const char *at = v;
	size_t n = len;

	if (n && at[0] == '~') {
		at++;
		n--;
		if (n == 1 && at[0] == '.') /* every name: what the file's DNS is for anyway */
			return 0;
		WARN(r, v, "Domains: %.*s becomes a domain to search in", weft_ini_shown(len), v);
	}
	for (size_t i = 0; i < n; i++)
		if (!weft_quick_is_name_char(at[i]) || at[i] == '=' || at[i] == '+')
			return bad(r, "a domain", v, len);
	/* what has no letter would be read as an address */
	if (!n || strspn(at, "0123456789.") >= n)
		return bad(r, "a domain", v, len);
	return add_dns_text(r, at, n);
}

static int read_domains(struct reader *r)
{
	return each_word(r, false, add_domain);
}

static int begin_route(struct reader *r)
{
	struct weft_networkd *n = r->ret;
	int rc = grow(&n->routes, n->n_routes, &n->cap_routes, sizeof(*n->routes));

	if (!rc)
		n->routes[n->n_routes++] = (struct weft_networkd_route){.line = r->line};
	return rc;
}

static struct weft_networkd_route *last_route(struct reader *r)
{
	return &r->ret->routes[r->ret->n_routes - 1];
}

static int read_destination(struct reader *r)
{
	struct weft_prefix p;
	enum weft_fault_kind kind = weft_value_prefix(r->v, r->len, &p);

	if (kind != WEFT_FAULT_NONE)
		return bad(r, weft_fault_expected(kind), r->v, r->len);
	(void)weft_prefix_mask(&p);
	last_route(r)->to = p;
	last_route(r)->has_to = true;
	return 0;
}

static int read_gateway(struct reader *r)
{
	if (weft_ip_parse(r->v, r->len, &last_route(r)->via))
		return bad(r, "an address", r->v, r->len);
	return 0;
}

static int read_route_to_table(struct reader *r)
{
	return read_table(r, last_route(r)->table);
}

static int read_metric(struct reader *r)
{
	uint64_t v = 0;

	for (size_t i = 0; i < r->len && v <= UINT32_MAX; i++) {
		if (r->v[i] < '0' || r->v[i] > '9')
			return bad(r, "a number", r->v, r->len);
		v = v * 10 + (uint64_t)(r->v[i] - '0');
	}
	if (!r->len || v > UINT32_MAX)
		return bad(r, "a number", r->v, r->len);
	last_route(r)->metric = (uint32_t)v;
	last_route(r)->has_metric = true;
	return 0;
}

/* ---- lines ---- */

static const struct section sections[] = {
	{"NetDev", begin_netdev,
	 (const struct key[]){{"Name", read_name},
			      {"Kind", read_kind},
			      {"MTUBytes", read_mtu},
			      {"Description", pass_over},
			      {0}}},
	{"WireGuard", NULL,
	 (const struct key[]){{"PrivateKey", read_private_key},
			      {"PrivateKeyFile", read_private_key_file},
			      {"ListenPort", read_listen_port},
			      {"FirewallMark", read_mark},
			      {"FwMark", read_mark},
			      {"RouteTable", read_route_table},
			      {0}}},
	{"WireGuardPeer", begin_peer,
	 (const struct key[]){{"PublicKey", read_public_key},
			      {"PublicKeyFile", read_public_key_file},
			      {"PresharedKey", read_psk},
			      {"PresharedKeyFile", read_psk_file},
			      {"AllowedIPs", read_allowed_ips},
			      {"Endpoint", read_endpoint},
			      {"PersistentKeepalive", read_keepalive},
			      {"RouteTable", read_peer_table},
			      {0}}},
	{"Match", NULL, (const struct key[]){{"Name", read_match}, {0}}},
	{"Link", NULL, (const struct key[]){{"MTUBytes", read_mtu}, {0}}},
	{"Network", NULL,
	 (const struct key[]){{"Description", pass_over},
			      {"Address", read_address},
			      {"DNS", read_dns},
			      {"Domains", read_domains},
			      {0}}},
	{"Address", NULL, (const struct key[]){{"Address", read_address}, {0}}},
	{"Route", begin_route,
	 (const struct key[]){{"Destination", read_destination},
			      {"Gateway", read_gateway},
			      {"GatewayOnLink", pass_over},
			      {"Scope", pass_over},
			      {"Table", read_route_to_table},
			      {"Metric", read_metric},
			      {0}}},
};

#define N_SECTIONS (sizeof(sections) / sizeof(sections[0]))

static int section_line(struct reader *r, const char *text, size_t len)
{
	const char *end = memchr(text, ']', len);
	const char *names[N_SECTIONS + 1] = {0};
	const char *near;
	size_t n = end ? (size_t)(end - text) - 1 : 0;

	if (!end || end != text + len - 1) {
		weft_diag_set(r->diag, r->line, column(r, text), "expected [section]");
		return WEFT_E_PARSE;
	}
	text++;
	r->section = NULL;
	for (size_t i = 0; i < N_SECTIONS; i++) {
		names[i] = sections[i].name;
		if (strlen(names[i]) == n && memcmp(names[i], text, n) == 0)
			r->section = &sections[i];
	}
	if (r->section)
		return r->section->begin ? r->section->begin(r) : 0;
	if (n > 2 && text[0] == 'X' && text[1] == '-') /* for others than systemd */
		return 0;
	near = weft_diag_nearest(text, n, names);
	weft_diag_set(r->diag, r->line, column(r, text), "[%.*s] and all in it is left out",
		      weft_ini_shown(n), text);
	if (near)
		weft_diag_hint(r->diag, "did you mean [%s]?", near);
	if (r->warn)
		r->warn(r->ctx, r->diag);
	return 0;
}

static void unknown_key(struct reader *r)
{
	const char *names[16] = {0};
	const char *near;

	for (size_t i = 0; r->section->keys[i].name; i++)
		names[i] = r->section->keys[i].name;
	near = weft_diag_nearest(r->key, r->key_len, names);
	weft_diag_set(r->diag, r->line, column(r, r->key), "%.*s in [%s] is left out",
		      weft_ini_shown(r->key_len), r->key, r->section->name);
	if (near)
		weft_diag_hint(r->diag, "did you mean %s?", near);
	if (r->warn)
		r->warn(r->ctx, r->diag);
}

static int key_line(struct reader *r, const char *text, size_t len)
{
	const char *eq = memchr(text, '=', len);

	r->key = text;
	r->key_len = eq ? (size_t)(eq - text) : len;
	while (r->key_len && weft_ini_is_space(text[r->key_len - 1]))
		r->key_len--;
	/* the text of a line without "=" may be a part of a key */
	if (!eq || !r->key_len) {
		weft_diag_set(r->diag, r->line, column(r, text), "expected Key=value");
		return WEFT_E_PARSE;
	}
	r->v = eq + 1;
	r->len = (size_t)(text + len - r->v);
	while (r->len && weft_ini_is_space(*r->v)) {
		r->v++;
		r->len--;
	}
	if (!r->section)
		return 0;
	for (const struct key *k = r->section->keys; k->name; k++)
		if (strlen(k->name) == r->key_len && memcmp(k->name, r->key, r->key_len) == 0)
			return k->read(r);
	unknown_key(r);
	return 0;
}

/* A line that is whole, in r->joined. */
static int whole_line(struct reader *r)
{
	const char *text = r->joined.p;
	size_t len = r->joined.len - 1; /* without the NUL */
	const char *nul = memchr(text, '\0', len);

	if (nul) {
		weft_diag_set(r->diag, r->line, column(r, nul), "a NUL byte in the text");
		return WEFT_E_PARSE;
	}
	while (len && weft_ini_is_space(text[len - 1]))
		len--;
	while (len && weft_ini_is_space(*text)) {
		text++;
		len--;
	}
	if (!len)
		return 0;
	return *text == '[' ? section_line(r, text, len) : key_line(r, text, len);
}

static bool is_comment(const char *text, size_t len)
{
	while (len && weft_ini_is_space(*text)) {
		text++;
		len--;
	}
	return len && (*text == '#' || *text == ';');
}

static int lines(struct reader *r, const char *text, size_t len)
{
	const char *line;
	unsigned number = 0;
	bool goes_on = false;
	size_t n;
	int rc = 0;

	while (!rc && weft_ini_next_line(&text, &len, &line, &n)) {
		number++;
		if (n && line[n - 1] == '\r')
			n--;
		if (is_comment(line, n))
			continue;
		if (!goes_on) {
			r->line = number;
			r->joined.len = 0;
		}
		goes_on = n && line[n - 1] == '\\';
		rc = weft_text_append(&r->joined, line, goes_on ? n - 1 : n);
		if (!rc && goes_on)
			rc = weft_text_append(&r->joined, " ", 1);
		if (rc || goes_on)
			continue;
		rc = weft_text_append(&r->joined, "", 1);
		if (!rc)
			rc = whole_line(r);
	}
	if (!rc && goes_on)
		rc = weft_text_append(&r->joined, "", 1);
	return !rc && goes_on ? whole_line(r) : rc;
}

/* What can only be seen once all has been read. */
static int check(struct reader *r)
{
	struct weft_networkd *n = r->ret;

	for (size_t i = 0; i < n->n_peers; i++) {
		if (n->peers[i].has_key || n->peers[i].public_key.file)
			continue;
		weft_diag_set(r->diag, n->peers[i].line, 1,
			      "[WireGuardPeer] has neither PublicKey nor PublicKeyFile");
		return WEFT_E_PARSE;
	}
	for (size_t i = 0; i < n->n_routes; i++) {
		struct weft_networkd_route *route = &n->routes[i];

		if (!route->has_to && route->via.family != WEFT_NONE) { /* the default one */
			route->to.ip.family = route->via.family;
		} else if (!route->has_to) {
			weft_diag_set(r->diag, route->line, 1,
				      "[Route] has neither Destination nor Gateway");
			return WEFT_E_PARSE;
		}
	}
	if (n->is_netdev && (!n->name[0] || !n->is_wireguard)) {
		weft_diag_set(r->diag, 0, 0, "[NetDev] has no %s",
			      n->name[0] ? "Kind=wireguard" : "Name");
		return WEFT_E_PARSE;
	}
	return 0;
}

int weft_networkd_parse(const char *text, size_t len, struct weft_networkd *ret,
			weft_networkd_warn warn, void *ctx, struct weft_diag *diag)
{
	struct weft_diag unread = {0};
	struct reader r = {.ret = ret, .warn = warn, .ctx = ctx, .diag = diag ? diag : &unread};
	int rc = len > WEFT_NETWORKD_MAX_BYTES ? WEFT_E_LIMIT : lines(&r, text, len);

	weft_text_clear(&r.joined);
	return rc ? rc : check(&r);
}

static void clear_key(struct weft_networkd_key *k)
{
	free(k->file);
	free(k->credential);
}

void weft_networkd_clear(struct weft_networkd *n)
{
	for (size_t i = 0; i < n->n_peers; i++) {
		clear_key(&n->peers[i].public_key);
		clear_key(&n->peers[i].psk);
		free(n->peers[i].endpoint);
	}
	for (size_t i = 0; i < n->dns.n; i++)
		free(n->dns.v[i]);
	clear_key(&n->private_key);
	weft_conf_device_clear(&n->dev);
	free(n->peers);
	free(n->dns.v);
	free(n->match);
	free(n->addresses);
	free(n->routes);
	*n = (struct weft_networkd){0};
}
