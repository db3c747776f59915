/* SPDX-License-Identifier: Apache-2.0 */
/* endpoints.json: which endpoint each peer has, since when, where it comes from, and why. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "host/keep_internal.h"
#include "util/encoding.h"

static bool put(json_t *object, const char *name, json_t *value)
{
	return json_object_set_new(object, name, value) == 0;
}

static json_t *addresses(const struct weft_cand_answer *a)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < a->n; i++) {
		char text[WEFT_ENDPOINT_TEXT_LEN];

		if (json_array_append_new(list,
					  json_string(weft_endpoint_format(&a->v[i].ep, text)))) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *line_json(const struct weft_cand_line *line)
{
	json_t *j = json_object();
	bool ok = j && put(j, "text", json_string(line->text)) &&
		  put(j, "line", json_integer(line->number)) &&
		  put(j, "kind", json_string(weft_cand_kind_name(line->kind))) &&
		  put(j, "addresses", addresses(&line->answer));

	if (ok && line->error)
		ok = put(j, "error", json_string(weft_strerror(line->error)));
	if (ok)
		return j;
	json_decref(j);
	return NULL;
}

/* Where the endpoint comes from; not put in if it is none of the lines'. */
static bool put_from(json_t *object, const struct weft_cand_peer *p)
{
	size_t line;
	const struct weft_cand_addr *a = weft_cand_find(p, &p->now, &line);
	json_t *j;

	if (!a)
		return true;
	j = json_object();
	if (!j || !put(j, "kind", json_string(weft_cand_kind_name(p->lines[line].kind))) ||
	    !put(j, "text", json_string(p->lines[line].text)) ||
	    !put(j, "line", json_integer(p->lines[line].number)) ||
	    (a->target && !put(j, "target", json_string(a->target)))) {
		json_decref(j);
		return false;
	}
	return put(object, "from", j);
}

static json_t *peer_json(const struct weft_cand_peer *p, const struct weft_kept *kept)
{
	char key[WEFT_KEY_BASE64_LEN + 1], text[WEFT_ENDPOINT_TEXT_LEN];
	json_t *j = json_object(), *lines = json_array();
	bool ok = j && lines;

	weft_key_to_base64(key, p->key);
	for (size_t i = 0; ok && i < p->n_lines; i++)
		ok = json_array_append_new(lines, line_json(&p->lines[i])) == 0;
	ok = ok && put(j, "public_key", json_string(key));
	if (ok && p->now.ip.family == WEFT_NONE)
		ok = put(j, "endpoint", json_null());
	else if (ok)
		ok = put(j, "endpoint", json_string(weft_endpoint_format(&p->now, text)));
	ok = ok && put_from(j, p);
	ok = ok && put(j, "since", json_integer(kept->since));
	ok = ok && put(j, "reason", json_string(weft_cand_why_name(p->why)));
	ok = ok && put(j, "state", json_string(weft_cand_state_name(p->state)));
	if (ok && kept->refused[0])
		ok = put(j, "refused", json_string(kept->refused));
	ok = ok && put(j, "endpoints", json_incref(lines));
	json_decref(lines);
	if (ok)
		return j;
	json_decref(j);
	return NULL;
}

int weft_keep_view(const char *ifname, const struct weft_keep *k, const struct weft_kept *kept,
		   struct weft_text *out)
{
	json_t *j = json_object(), *peers = json_array();
	bool ok = j && peers;
	char *text = NULL;
	int rc;

	for (size_t i = 0; ok && i < k->n_peers; i++)
		if (k->peers[i].looked)
			ok = json_array_append_new(peers, peer_json(&k->peers[i], &kept[i])) == 0;
	ok = ok && put(j, "version", json_integer(1)) && put(j, "interface", json_string(ifname));
	ok = ok && put(j, "source", json_string(k->source));
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
