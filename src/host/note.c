/* SPDX-License-Identifier: Apache-2.0 */
/* Notes on endpoints, out of JSON. */
#include "host/note.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "util/encoding.h"

/* A copy that may go to a terminal. */
static void take_text(const json_t *value, char ret[WEFT_NOTE_TEXT_LEN])
{
	const char *text = json_string_value(value);
	size_t len = text ? strnlen(text, WEFT_NOTE_TEXT_LEN - 1) : 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		ret[i] = (char)(c < ' ' || c > '~' ? '?' : c);
	}
	ret[len] = '\0';
}

static int take_note(const json_t *object, struct weft_note *ret)
{
	const json_t *key = json_object_get(object, "public_key");
	const json_t *endpoint = json_object_get(object, "endpoint");
	json_int_t since = json_integer_value(json_object_get(object, "since"));

	if (!json_is_string(key) || weft_key_from_base64(ret->public_key, json_string_value(key),
							 json_string_length(key)) != 0)
		return WEFT_E_PARSE;
	if (json_is_string(endpoint) &&
	    weft_endpoint_parse(json_string_value(endpoint), json_string_length(endpoint),
				&ret->endpoint) != 0)
		return WEFT_E_PARSE;
	take_text(json_object_get(json_object_get(object, "from"), "text"), ret->origin);
	take_text(json_object_get(object, "reason"), ret->reason);
	take_text(json_object_get(object, "refused"), ret->refused);
	ret->since = since > 0 ? (uint64_t)since : 0;
	return 0;
}

int weft_notes_parse(const char *text, size_t len, struct weft_notes *ret)
{
	json_t *root, *peers;
	size_t n;
	int rc = 0;

	if (len > WEFT_NOTE_MAX_BYTES)
		return WEFT_E_LIMIT;
	root = json_loadb(text, len, 0, NULL);
	peers = json_object_get(root, "peers");
	n = json_array_size(peers);
	if (!json_is_array(peers))
		rc = WEFT_E_PARSE;
	else if (n > WEFT_CONF_MAX_PEERS)
		rc = WEFT_E_LIMIT;
	ret->v = rc || !n ? NULL : calloc(n, sizeof(*ret->v));
	if (!rc && n && !ret->v)
		rc = -ENOMEM;
	for (size_t i = 0; i < n && !rc; i++) {
		rc = take_note(json_array_get(peers, i), &ret->v[i]);
		ret->n += rc == 0;
	}
	json_decref(root);
	return rc;
}

void weft_notes_clear(struct weft_notes *notes)
{
	free(notes->v);
	*notes = (struct weft_notes){0};
}

const struct weft_note *weft_notes_find(const struct weft_notes *notes,
					const uint8_t public_key[WEFT_KEY_LEN])
{
	for (size_t i = notes->n; i > 0; i--)
		if (memcmp(notes->v[i - 1].public_key, public_key, WEFT_KEY_LEN) == 0)
			return &notes->v[i - 1];
	return NULL;
}
