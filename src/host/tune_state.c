/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was changed and how it was before, as JSON. It holds no path and no text to write: settings
 * by name, devices and numbers, processors as a list; so a file that somebody has been at can ask
 * for nothing but these settings, with values that they can have. Pure.
 */
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "host/tune.h"

void weft_tune_state_clear(struct weft_tune_state *state)
{
	free(state->v);
	*state = (struct weft_tune_state){.n = 0};
}

struct weft_tune_change *weft_tune_state_find(const struct weft_tune_state *state,
					      const struct weft_tune_target *target)
{
	for (size_t i = 0; i < state->n; i++) {
		const struct weft_tune_target *t = &state->v[i].target;

		if (t->kind == target->kind && t->index == target->index &&
		    strcmp(t->device, target->device) == 0)
			return &state->v[i];
	}
	return NULL;
}

int weft_tune_state_add(struct weft_tune_state *state, const struct weft_tune_change *change)
{
	if (state->n == WEFT_TUNE_MAX_CHANGES)
		return WEFT_E_LIMIT;
	if (state->n == state->cap) {
		size_t cap = state->cap ? state->cap * 2 : 16;
		struct weft_tune_change *v = reallocarray(state->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		state->v = v;
		state->cap = cap;
	}
	state->v[state->n++] = *change;
	return 0;
}

static bool has_device(enum weft_tune_kind kind)
{
	return kind == WEFT_TUNE_RPS || kind == WEFT_TUNE_XPS;
}

/* ---- out ---- */

static json_t *value_json(enum weft_tune_kind kind, const struct weft_tune_value *value)
{
	char text[WEFT_CPUS_LIST_LEN];

	if (weft_tune_kind_has_cpus(kind))
		return json_string(weft_cpus_format(&value->cpus, text));
	return json_integer((json_int_t)value->number);
}

static json_t *change_json(const struct weft_tune_change *c)
{
	const struct weft_tune_target *t = &c->target;
	json_t *o = json_object();
	int rc = json_object_set_new(o, "setting", json_string(weft_tune_kind_name(t->kind)));

	if (has_device(t->kind)) {
		rc |= json_object_set_new(o, "device", json_string(t->device));
		rc |= json_object_set_new(o, "queue", json_integer(t->index));
	} else if (t->kind == WEFT_TUNE_IRQ) {
		rc |= json_object_set_new(o, "irq", json_integer(t->index));
	}
	rc |= json_object_set_new(o, "old", value_json(t->kind, &c->old));
	rc |= json_object_set_new(o, "new", value_json(t->kind, &c->new));
	if (!rc)
		return o;
	json_decref(o);
	return NULL;
}

static int put(const char *p, size_t len, void *text)
{
	return weft_text_append(text, p, len) ? -1 : 0;
}

int weft_tune_state_format(const char *ifname, const struct weft_tune_state *state,
			   struct weft_text *ret_text)
{
	json_t *root = json_object(), *changes = json_array();
	int rc = json_object_set_new(root, "interface", json_string(ifname));

	for (size_t i = 0; i < state->n; i++)
		rc |= json_array_append_new(changes, change_json(&state->v[i]));
	rc |= json_object_set_new(root, "changes", changes);
	if (!rc)
		rc = json_dump_callback(root, put, ret_text, JSON_INDENT(1));
	json_decref(root);
	return rc ? -ENOMEM : weft_text_append(ret_text, "\n", 1);
}

/* ---- in ---- */

static bool parse_kind(const json_t *v, enum weft_tune_kind *ret_kind)
{
	const char *name = json_string_value(v);

	for (unsigned k = 0; name && k < WEFT_TUNE_KINDS; k++) {
		if (strcmp(name, weft_tune_kind_name((enum weft_tune_kind)k)) == 0) {
			*ret_kind = (enum weft_tune_kind)k;
			return true;
		}
	}
	return false;
}

bool weft_tune_name_valid(const char *name)
{
	size_t len = strlen(name);

	if (!len || len >= WEFT_TUNE_NAME_LEN || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	for (size_t i = 0; i < len; i++)
		if (name[i] == '/' || name[i] == ':' || (unsigned char)name[i] <= ' ')
			return false;
	return true;
}

static bool parse_device(const json_t *v, char ret_device[WEFT_TUNE_NAME_LEN])
{
	const char *name = json_string_value(v);

	if (!name || !weft_tune_name_valid(name))
		return false;
	memcpy(ret_device, name, strlen(name) + 1);
	return true;
}

static bool parse_index(const json_t *v, unsigned limit, unsigned *ret_index)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0 || n >= (json_int_t)limit)
		return false;
	*ret_index = (unsigned)n;
	return true;
}

static bool parse_value(enum weft_tune_kind kind, const json_t *v,
			struct weft_tune_value *ret_value)
{
	struct weft_tune_value value = {.number = 0};

	if (weft_tune_kind_has_cpus(kind)) {
		const char *text = json_string_value(v);
		size_t len = json_string_length(v);

		if (!text || (!len && kind == WEFT_TUNE_IRQ) ||
		    (len && weft_cpus_parse(text, len, &value.cpus)))
			return false;
	} else {
		json_int_t n = json_integer_value(v);

		if (!json_is_integer(v) || n < 1 || n > INT_MAX)
			return false;
		value.number = (unsigned long)n;
	}
	*ret_value = value;
	return true;
}

/* NULL, or what is wrong. */
static const char *parse_change(const json_t *o, struct weft_tune_change *ret)
{
	struct weft_tune_target *t = &ret->target;
	size_t keys = 3;

	if (!json_is_object(o) || !parse_kind(json_object_get(o, "setting"), &t->kind))
		return "not a setting that weft tune changes";
	if (has_device(t->kind)) {
		keys += 2;
		if (!parse_device(json_object_get(o, "device"), t->device))
			return "\"device\" is not an interface's name";
		if (!parse_index(json_object_get(o, "queue"), WEFT_TUNE_MAX_QUEUES, &t->index))
			return "\"queue\" is not a queue's number";
	} else if (t->kind == WEFT_TUNE_IRQ) {
		keys++;
		if (!parse_index(json_object_get(o, "irq"), INT_MAX, &t->index))
			return "\"irq\" is not an interrupt's number";
	}
	if (!parse_value(t->kind, json_object_get(o, "old"), &ret->old) ||
	    !parse_value(t->kind, json_object_get(o, "new"), &ret->new))
		return "\"old\" or \"new\" is not a value of this setting";
	return json_object_size(o) == keys ? NULL : "there are keys that do not belong there";
}

static int wrong(struct weft_diag *diag, const char *what)
{
	weft_diag_set(diag, 0, 0, "%s", what);
	return WEFT_E_PARSE;
}

static int parse_changes(const json_t *changes, struct weft_tune_state *ret_state,
			 struct weft_diag *diag)
{
	size_t n = json_array_size(changes);
	int rc = 0;

	if (!json_is_array(changes) || n > WEFT_TUNE_MAX_CHANGES)
		return wrong(diag, "\"changes\" is not a list of changes");
	for (size_t i = 0; i < n && !rc; i++) {
		struct weft_tune_change c = {.old = {.number = 0}};
		const char *what = parse_change(json_array_get(changes, i), &c);

		if (!what && weft_tune_state_find(ret_state, &c.target))
			what = "the setting is there twice";
		if (what) {
			weft_diag_set(diag, 0, 0, "change %zu: %s", i + 1, what);
			return WEFT_E_PARSE;
		}
		rc = weft_tune_state_add(ret_state, &c);
	}
	return rc;
}

int weft_tune_state_parse(const char *text, size_t len, const char *ifname,
			  struct weft_tune_state *ret_state, struct weft_diag *diag)
{
	json_error_t error;
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	const char *name = json_string_value(json_object_get(root, "interface"));
	int rc;

	if (!root) {
		weft_diag_set(diag, error.line > 0 ? (unsigned)error.line : 0,
			      error.column > 0 ? (unsigned)error.column : 0, "not JSON: %.200s",
			      error.text);
		return WEFT_E_PARSE;
	}
	if (!name || strcmp(name, ifname) != 0)
		rc = wrong(diag, "not what weft tune has written for this interface");
	else if (json_object_size(root) != 2)
		rc = wrong(diag, "there are keys that do not belong there");
	else
		rc = parse_changes(json_object_get(root, "changes"), ret_state, diag);
	json_decref(root);
	return rc;
}
