/* SPDX-License-Identifier: Apache-2.0 */
/* keep.json out and in, with jansson. */
#include "host/keepfile.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "conf/value.h"
#include "util/encoding.h"

static const struct {
	const char *name;
	size_t at;
} times[] = {
	{"stale_s", offsetof(struct weft_cand_times, stale_s)},
	{"grace_s", offsetof(struct weft_cand_times, grace_s)},
	{"try_s", offsetof(struct weft_cand_times, try_s)},
	{"look_s", offsetof(struct weft_cand_times, look_s)},
	{"session_s", offsetof(struct weft_cand_times, session_s)},
	{"ttl_min_s", offsetof(struct weft_cand_times, ttl_min_s)},
	{"backoff_s", offsetof(struct weft_cand_times, backoff_s)},
};

/*
 * What a line is; an address with a zone counts as a name, which the host alone can tell. False:
 * nothing that is known.
 */
static bool kind_of(const char *text, enum weft_cand_kind *ret_kind, struct weft_endpoint *ret_ep)
{
	struct weft_conf_peer peer = {0};
	struct weft_conf_name name;
	bool is_name = false;

	if (text[0] == '_' && !strchr(text, ':')) {
		*ret_kind = WEFT_CAND_SRV;
		return text[1] != '\0';
	}
	if (weft_value_endpoint(text, strlen(text), &peer, &name, &is_name) != WEFT_FAULT_NONE)
		return false;
	*ret_kind = is_name ? WEFT_CAND_NAME : WEFT_CAND_ADDRESS;
	*ret_ep = peer.endpoint;
	return is_name || peer.endpoint.ip.family != WEFT_NONE;
}

static bool peer_wanted(const struct weft_quick_peer *p)
{
	struct weft_endpoint ep;
	enum weft_cand_kind kind;

	return p->n_endpoints > 1 ||
	       (p->n_endpoints && kind_of(p->endpoints[0].text, &kind, &ep) &&
		kind != WEFT_CAND_ADDRESS && !strchr(p->endpoints[0].text, '%'));
}

bool weft_keep_wanted(const struct weft_quick *quick)
{
	for (size_t i = 0; i < quick->n_peers; i++)
		if (peer_wanted(&quick->peers[i]))
			return true;
	return false;
}

/* ---- out ---- */

static bool put(json_t *object, const char *name, json_t *value)
{
	return json_object_set_new(object, name, value) == 0;
}

static json_t *endpoint_json(const struct weft_quick_endpoint *e)
{
	json_t *j = json_object();

	if (j && put(j, "text", json_string(e->text)) && put(j, "line", json_integer(e->line)))
		return j;
	json_decref(j);
	return NULL;
}

static json_t *peer_json(const struct weft_quick_peer *p, const uint8_t public_key[WEFT_KEY_LEN])
{
	char key[WEFT_KEY_BASE64_LEN + 1];
	json_t *j = json_object(), *list = json_array();
	bool ok = j && list;

	weft_key_to_base64(key, public_key);
	for (size_t i = 0; ok && i < p->n_endpoints; i++)
		ok = json_array_append_new(list, endpoint_json(&p->endpoints[i])) == 0;
	ok = ok && put(j, "public_key", json_string(key));
	ok = ok && put(j, "endpoints", json_incref(list));
	json_decref(list);
	if (ok)
		return j;
	json_decref(j);
	return NULL;
}

int weft_keep_write(const struct weft_quick *quick, const char *source, struct weft_text *out)
{
	json_t *j = json_object(), *peers = json_array();
	bool ok = j && peers;
	char *text = NULL;
	int rc;

	for (size_t i = 0; ok && i < quick->n_peers && i < quick->wg.dev.n_peers; i++)
		if (peer_wanted(&quick->peers[i]))
			ok = json_array_append_new(
				     peers, peer_json(&quick->peers[i],
						      quick->wg.dev.peers[i].public_key)) == 0;
	ok = ok && put(j, "version", json_integer(1)) && put(j, "source", json_string(source));
	ok = ok && put(j, "peers", json_incref(peers));
	if (ok)
		text = json_dumps(j, JSON_INDENT(1));
	json_decref(peers);
	json_decref(j);
	if (!text)
		return -ENOMEM;
	rc = weft_text_append(out, text, strlen(text));
	free(text);
	return rc ? rc : weft_text_append(out, "\n", 1);
}

/* ---- in ---- */

static int bad(struct weft_diag *diag, const char *what)
{
	weft_diag_set(diag, 0, 0, "%s", what);
	return WEFT_E_PARSE;
}

static int read_line(struct weft_cand_peer *p, const json_t *j, struct weft_diag *diag)
{
	const char *text = json_string_value(json_object_get(j, "text"));
	json_int_t line = json_integer_value(json_object_get(j, "line"));
	struct weft_endpoint ep = {0};
	enum weft_cand_kind kind;

	if (!text || !kind_of(text, &kind, &ep))
		return bad(diag, "an endpoint without a text that is one");
	return weft_cand_add_line(p, kind, text, line > 0 && line <= INT32_MAX ? (unsigned)line : 0,
				  &ep);
}

static int read_peer(struct weft_cand_peer *p, const json_t *j, struct weft_diag *diag)
{
	const char *key = json_string_value(json_object_get(j, "public_key"));
	const json_t *lines = json_object_get(j, "endpoints");
	int rc = 0;

	if (!key || weft_key_from_base64(p->key, key, strlen(key)))
		return bad(diag, "a peer without a public key in base64");
	if (!json_array_size(lines))
		return bad(diag, "a peer without endpoints");
	for (size_t i = 0; i < json_array_size(lines) && !rc; i++)
		rc = read_line(p, json_array_get(lines, i), diag);
	return rc;
}

static int read_times(struct weft_cand_times *t, const json_t *j, struct weft_diag *diag)
{
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		const json_t *v = json_object_get(j, times[i].name);
		json_int_t s = json_integer_value(v);
		uint32_t value = (uint32_t)s;

		if (!v)
			continue;
		if (s < 1 || s > 86400)
			return bad(diag, "times: expected seconds, 1 to 86400");
		memcpy((char *)t + times[i].at, &value, sizeof(value));
	}
	return 0;
}

static int read_all(struct weft_keep *k, const json_t *j, struct weft_diag *diag)
{
	const json_t *peers = json_object_get(j, "peers");
	const char *source = json_string_value(json_object_get(j, "source"));
	size_t n = json_array_size(peers);
	int rc;

	if (json_integer_value(json_object_get(j, "version")) != 1)
		return bad(diag, "expected \"version\": 1");
	if (!json_is_array(peers))
		return bad(diag, "no list of peers");
	if (n > WEFT_CONF_MAX_PEERS)
		return WEFT_E_LIMIT;
	for (size_t i = 0; source && source[i] && i + 1 < sizeof(k->source); i++)
		k->source[i] = source[i];
	k->peers = calloc(n ? n : 1, sizeof(*k->peers));
	if (!k->peers)
		return -ENOMEM;
	rc = read_times(&k->times, json_object_get(j, "times"), diag);
	while (k->n_peers < n && !rc) {
		rc = read_peer(&k->peers[k->n_peers], json_array_get(peers, k->n_peers), diag);
		k->n_peers++;
	}
	return rc;
}

int weft_keep_parse(const char *text, size_t len, struct weft_keep *ret, struct weft_diag *diag)
{
	json_error_t error;
	json_t *j;
	int rc;

	if (len > WEFT_KEEP_MAX_BYTES)
		return WEFT_E_LIMIT;
	ret->times = weft_cand_times_default;
	j = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!j) {
		if (error.line > 0)
			weft_diag_set(diag, (unsigned)error.line, (unsigned)error.column, "%s",
				      error.text);
		else
			weft_diag_set(diag, 0, 0, "%s", error.text);
		return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : WEFT_E_PARSE;
	}
	rc = read_all(ret, j, diag);
	json_decref(j);
	return rc;
}

void weft_keep_clear(struct weft_keep *k)
{
	for (size_t i = 0; i < k->n_peers; i++)
		weft_cand_peer_clear(&k->peers[i]);
	free(k->peers);
	*k = (struct weft_keep){0};
}
