/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft tune`: how the interfaces that carry a tunnel stand towards the processors, what would be
 * better and why; --apply does it and --revert undoes it. What is better is decided in host/tune.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "host/tune.h"

static const char usage[] = "[--json] [--apply | --revert] <interface>";

struct words {
	bool json, apply, revert;
	const char *name;
};

static bool read_words(const struct weft_cli *cli, int argc, char **argv, struct words *ret,
		       int *ret_exit)
{
	static const char *const options[] = {"--json", "--apply", "--revert", NULL};
	struct words w = {.name = NULL};

	*ret_exit = 1;
	if (weft_cli_usage(cli, argc, argv, 1, 4, usage, ret_exit))
		return false;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			w.json = true;
		} else if (strcmp(argv[i], "--apply") == 0) {
			w.apply = true;
		} else if (strcmp(argv[i], "--revert") == 0) {
			w.revert = true;
		} else if (argv[i][0] == '-') {
			const char *near = weft_diag_nearest(argv[i], strlen(argv[i]), options);

			weft_cli_error(cli, "tune has no option \"%s\"%s%s%s", argv[i],
				       near ? " (did you mean " : " (`weft tune --help` has them",
				       near ? near : "", near ? "?)" : ")");
			return false;
		} else if (w.name) {
			weft_cli_error(cli, "expected one interface, found \"%s\" and \"%s\"",
				       w.name, argv[i]);
			return false;
		} else {
			w.name = argv[i];
		}
	}
	if (w.apply && w.revert)
		weft_cli_error(cli, "--apply and --revert: one of them at a time");
	else if (!w.name)
		weft_cli_error(cli, "expected an interface (Usage: weft tune %s)", usage);
	else if (!weft_tune_name_valid(w.name))
		weft_cli_error(cli, "expected the name of an interface, found \"%s\"", w.name);
	else
		*ret_exit = 0;
	*ret = w;
	return *ret_exit == 0;
}

static bool state_is_there(const char *name)
{
	char path[WEFT_TUNE_PATH_LEN];

	return access(weft_tune_state_path("", name, path), F_OK) == 0;
}

/* ---- for people ---- */

/* Queues with the same values beside each other are one line. Returns how many rows it is. */
static size_t same_rows(const struct weft_tune_rows *rows, size_t i)
{
	const struct weft_tune_row *a = &rows->v[i];
	size_t n = 1;

	if (a->target.device[0] == '\0')
		return 1;
	while (i + n < rows->n) {
		const struct weft_tune_row *b = &rows->v[i + n];

		if (strcmp(a->on, b->on) != 0 || strcmp(a->setting, b->setting) != 0 ||
		    strcmp(a->now, b->now) != 0 || strcmp(a->better, b->better) != 0)
			break;
		n++;
	}
	return n;
}

static void line_name(const struct weft_tune_rows *rows, size_t i, size_t n, char *out, size_t len)
{
	const struct weft_tune_row *row = &rows->v[i];

	if (n > 1)
		snprintf(out, len, "%s %s..%s", row->setting, row->part, rows->v[i + n - 1].part);
	else
		snprintf(out, len, "%s%s%s", row->setting, row->part[0] ? " " : "", row->part);
}

static int widest(int width, const char *text)
{
	return (int)strlen(text) > width ? (int)strlen(text) : width;
}

/* Reasons are numbered, and printed once below the table. Returns the number of `why`, from 1. */
static size_t reason(const char **whys, size_t *n, const char *why)
{
	for (size_t i = 0; i < *n; i++)
		if (strcmp(whys[i], why) == 0)
			return i + 1;
	whys[(*n)++] = why;
	return *n;
}

static void print_rows(const struct weft_tune_facts *facts, const struct weft_tune_rows *rows,
		       const char **whys)
{
	int w_name = 7, w_now = 3, w_better = 6;
	size_t n_whys = 0;
	const char *on = "";
	char name[256];

	for (size_t i = 0, n; i < rows->n; i += n) {
		n = same_rows(rows, i);
		line_name(rows, i, n, name, sizeof(name));
		w_name = widest(w_name, name);
		w_now = widest(w_now, rows->v[i].now);
		w_better = widest(w_better, rows->v[i].better);
	}
	printf("  %-*s  %-*s  %-*s  WHY\n", w_name, "SETTING", w_now, "NOW", w_better, "BETTER");
	for (size_t i = 0, n; i < rows->n; i += n) {
		const struct weft_tune_row *row = &rows->v[i];

		n = same_rows(rows, i);
		if (strcmp(on, row->on) != 0) {
			const char *driver = "";

			on = row->on;
			for (size_t k = 0; k < facts->n_nics; k++)
				if (strcmp(facts->nics[k].name, on) == 0)
					driver = facts->nics[k].driver;
			printf("%s%s%s%s\n", on, driver[0] ? " (" : "", driver,
			       driver[0] ? ")" : "");
		}
		line_name(rows, i, n, name, sizeof(name));
		if (row->better[0])
			printf("  %-*s  %-*s  %-*s  [%zu]\n", w_name, name, w_now, row->now,
			       w_better, row->better, reason(whys, &n_whys, row->why));
		else
			printf("  %-*s  %s\n", w_name, name, row->now);
	}
	for (size_t i = 0; i < n_whys; i++)
		printf("%s[%zu] %s\n", i ? "" : "\n", i + 1, whys[i]);
}

static int print_table(const struct weft_cli *cli, const char *name,
		       const struct weft_tune_facts *facts, const struct weft_tune_rows *rows)
{
	const char **whys = calloc(rows->n + 1, sizeof(*whys));
	size_t better = weft_tune_rows_better(rows, false);
	size_t applies = weft_tune_rows_better(rows, true);
	char cpus[WEFT_CPUS_LIST_LEN];

	if (!whys)
		return weft_cli_failed(cli, name, -ENOMEM);
	printf("%s: ", name);
	for (size_t i = 0; i < facts->n_nics; i++)
		printf("%s%s", i ? ", " : "carried by ", facts->nics[i].name);
	if (!facts->n_nics)
		printf("no peer has an endpoint with a route yet, so nothing carries it");
	weft_cpus_format(&facts->online, cpus);
	printf("; processors %s\n\n", cpus[0] ? cpus : "not known");
	print_rows(facts, rows, whys);
	free(whys);
	if (!better)
		printf("\nNothing to change.\n");
	else if (applies)
		printf("\nweft tune --apply %s makes %zu change%s%s\n", name, applies,
		       applies == 1 ? "" : "s", better > applies ? "; the others are for you" : "");
	if (state_is_there(name))
		printf("%sweft tune --revert %s puts back what it changed before\n",
		       better && applies ? "" : "\n", name);
	return 0;
}

/* ---- for programs ---- */

static json_t *text_or_null(const char *text)
{
	return text[0] ? json_string(text) : json_null();
}

static int print_json(const struct weft_cli *cli, json_t *root)
{
	int rc = root ? json_dumpf(root, stdout, JSON_COMPACT) : -1;

	json_decref(root);
	putchar('\n');
	return rc ? weft_cli_failed(cli, "Unable to write JSON", -ENOMEM) : 0;
}

static int settings_json(const struct weft_cli *cli, const char *name,
			 const struct weft_tune_facts *facts, const struct weft_tune_rows *rows)
{
	json_t *root = json_object(), *carriers = json_array(), *settings = json_array();
	char cpus[WEFT_CPUS_LIST_LEN];
	int rc = 0;

	for (size_t i = 0; i < facts->n_nics; i++)
		rc |= json_array_append_new(carriers, json_string(facts->nics[i].name));
	for (size_t i = 0; i < rows->n; i++) {
		const struct weft_tune_row *r = &rows->v[i];
		json_t *o = json_object();

		rc |= json_object_set_new(o, "on", json_string(r->on));
		rc |= json_object_set_new(o, "setting", json_string(r->setting));
		rc |= json_object_set_new(o, "part", text_or_null(r->part));
		rc |= json_object_set_new(o, "now", json_string(r->now));
		rc |= json_object_set_new(o, "better", text_or_null(r->better));
		rc |= json_object_set_new(o, "why", text_or_null(r->why));
		rc |= json_object_set_new(o, "applies", json_boolean(r->better[0] && r->applies));
		rc |= json_array_append_new(settings, o);
	}
	rc |= json_object_set_new(root, "interface", json_string(name));
	rc |= json_object_set_new(root, "processors",
				  json_string(weft_cpus_format(&facts->online, cpus)));
	rc |= json_object_set_new(root, "carriers", carriers);
	rc |= json_object_set_new(root, "applied", json_boolean(state_is_there(name)));
	rc |= json_object_set_new(root, "settings", settings);
	if (rc) {
		json_decref(root);
		root = NULL;
	}
	return print_json(cli, root);
}

/* ---- changing ---- */

struct telling {
	const struct weft_cli *cli;
	json_t *list; /* NULL: as text */
	size_t n;
};

static void told(void *ctx, const struct weft_tune_target *t, enum weft_tune_outcome outcome,
		 const struct weft_tune_value *value, int rc)
{
	static const char *const words[] = {
		[WEFT_TUNE_DONE] = "changed",    [WEFT_TUNE_FAILED] = "failed",
		[WEFT_TUNE_UNDONE] = "undone",   [WEFT_TUNE_ALREADY] = "already",
		[WEFT_TUNE_FOREIGN] = "foreign", [WEFT_TUNE_GONE] = "gone",
	};
	struct telling *to = ctx;
	char path[WEFT_TUNE_PATH_LEN], text[128];

	to->n++;
	weft_tune_path("", t, path);
	weft_tune_value_text(t->kind, value, text, sizeof(text));
	if (outcome == WEFT_TUNE_FAILED)
		weft_cli_error(to->cli, "%s: %s: %s", path, text, weft_strerror(rc));
	if (to->list) {
		json_t *o = json_pack("{s:s, s:s, s:s}", "path", path, "value", text, "outcome",
				      words[outcome]);

		(void)json_array_append_new(to->list, o);
		return;
	}
	if (outcome == WEFT_TUNE_DONE || outcome == WEFT_TUNE_UNDONE)
		printf("%s: %s%s\n", path, text,
		       outcome == WEFT_TUNE_UNDONE ? " (again, as it was)" : "");
	else if (outcome == WEFT_TUNE_ALREADY)
		printf("%s: %s already\n", path, text);
	else if (outcome == WEFT_TUNE_FOREIGN)
		weft_cli_error(to->cli, "%s: somebody has made it %s since, so it is left", path,
			       text);
	else if (outcome == WEFT_TUNE_GONE)
		weft_cli_error(to->cli, "%s: not there any more", path);
}

static int finish(const struct weft_cli *cli, const struct words *w, struct telling *to, int rc,
		  const struct weft_diag *diag)
{
	char text[1280], path[WEFT_TUNE_PATH_LEN];
	const char *verb = w->apply ? "--apply" : "--revert";

	if (to->list) {
		json_t *root = json_pack("{s:s, s:o}", "interface", w->name, "changes", to->list);

		if (print_json(cli, root))
			return 1;
	} else if (!to->n && (!rc || rc == -ENOENT)) {
		printf(w->apply ? "Nothing to change.\n" : "Nothing to put back.\n");
	}
	if (rc == WEFT_E_PARSE && diag->message[0])
		weft_cli_error(cli, "%s (nothing was changed; remove the file to go on without it)",
			       weft_diag_format(diag, text, sizeof(text)));
	else if (rc == -EACCES || rc == -EPERM)
		weft_cli_error(cli, "%s: %s (run as root)", verb, weft_strerror(rc));
	else if (rc && rc != -ENOENT)
		weft_cli_error(cli, "%s: %s: %s", verb, weft_tune_state_path("", w->name, path),
			       weft_strerror(rc));
	return rc && !(w->revert && rc == -ENOENT) ? 1 : 0;
}

static int change(const struct weft_cli *cli, const struct words *w,
		  const struct weft_tune_rows *rows)
{
	struct telling to = {.cli = cli, .list = w->json ? json_array() : NULL};
	struct weft_diag diag = {.line = 0};
	int rc = w->apply ? weft_tune_apply("", w->name, rows, told, &to, &diag)
			  : weft_tune_revert("", w->name, told, &to, &diag);

	return finish(cli, w, &to, rc, &diag);
}

int weft_cli_tune(const struct weft_cli *cli, int argc, char **argv)
{
	struct weft_conf_device dev = {0};
	struct weft_tune_facts facts = {.n_nics = 0};
	struct weft_tune_rows rows = {.n = 0};
	struct words w;
	int rc;

	if (!read_words(cli, argc, argv, &w, &rc))
		return rc;
	if (w.revert) /* also of an interface that is gone */
		return change(cli, &w, &rows);
	rc = weft_control_get(cli->backend, w.name, &dev);
	if (rc) {
		rc = weft_cli_no_access(cli, w.name, rc);
	} else {
		rc = weft_tune_find(&dev, &facts);
		if (!rc)
			rc = weft_tune_judge(&facts, &rows);
		if (rc)
			rc = weft_cli_failed(cli, w.name, rc);
		else if (w.apply)
			rc = change(cli, &w, &rows);
		else if (w.json)
			rc = settings_json(cli, w.name, &facts, &rows);
		else
			rc = print_table(cli, w.name, &facts, &rows);
	}
	weft_tune_rows_clear(&rows);
	weft_tune_facts_clear(&facts);
	weft_conf_device_clear(&dev);
	return rc;
}
