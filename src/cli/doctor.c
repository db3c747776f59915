/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft doctor`: what is wrong with an interface and what to do, the cause first, in one line; then
 * what else is off.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/status_text.h"
#include "host/facts.h"
#include "util/encoding.h"

#define EXIT_FOUND 3

static const char usage[] = "[--json] <interface> | <configuration filename>";

static int get(void *ctx, const char *name, struct weft_conf_device *ret)
{
	return weft_cli_get(ctx, name, ret);
}

static void print_finding(const struct weft_finding *f, const char *indent)
{
	printf("%s%s%s%s%s\n", indent, f->peer[0] ? "peer " : "", f->peer, f->peer[0] ? ": " : "",
	       f->what);
	if (f->to_do[0])
		printf("%s  do: %s\n", indent, f->to_do);
}

static void print_text(const struct weft_doctor_facts *facts, const struct weft_findings *found)
{
	const struct weft_finding *cause = weft_doctor_cause(found);
	char key[WEFT_KEY_BASE64_LEN + 1];
	bool more = false;

	printf("%s: ", facts->ifname);
	if (cause)
		print_finding(cause, "");
	else
		puts("nothing is wrong that can be seen from here");
	for (int severity = WEFT_SEVERITY_FAULT; severity >= WEFT_SEVERITY_NOTE; severity--)
		for (size_t i = 0; i < found->n; i++) {
			const struct weft_finding *f = &found->v[i];

			if (f == cause || (int)f->severity != severity)
				continue;
			if (!more)
				puts("also:");
			more = true;
			print_finding(f, "  ");
		}
	if (cause && facts->has_device && facts->has_private_key) {
		weft_key_to_base64(key, facts->public_key);
		printf("this host's public key: %s\n", key);
	}
}

static json_t *finding_json(const struct weft_finding *f)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:o}", "step", weft_step_name(f->step), "severity",
			 weft_severity_name(f->severity), "peer", weft_cli_json_text(f->peer),
			 "what", weft_cli_json_text(f->what), "to_do",
			 weft_cli_json_text(f->to_do));
}

static bool print_json(const struct weft_doctor_facts *facts, const struct weft_findings *found)
{
	const struct weft_finding *cause = weft_doctor_cause(found);
	json_t *list = json_array(), *root;
	bool ok = list;

	for (size_t i = 0; ok && i < found->n; i++)
		ok = json_array_append_new(list, finding_json(&found->v[i])) == 0;
	root = json_pack("{s:s, s:o, s:o}", "interface", facts->ifname, "cause",
			 cause ? finding_json(cause) : json_null(), "findings", list);
	ok = ok && root && json_dumpf(root, stdout, JSON_COMPACT) == 0;
	putchar('\n');
	json_decref(root);
	return ok;
}

static int examine(const struct weft_cli *cli, struct weft_cli_target *t, bool json)
{
	struct weft_cli asked = *cli;
	const struct weft_doctor_source source = {
		.ifname = t->name,
		.file = t->has_file ? &t->quick.conf : NULL,
		.file_fault = t->fault,
		.get = get,
		.ctx = &asked,
	};
	struct weft_doctor_facts facts = {0};
	struct weft_findings found = {0};
	int rc;

	/* a name server that is not reached is a finding, not something to wait for */
	setenv("RES_OPTIONS", "timeout:2 attempts:2", 0);
	rc = weft_doctor_gather(&source, &facts);
	if (!rc)
		rc = weft_doctor_diagnose(&facts, &found);
	if (rc)
		rc = weft_cli_failed(cli, "doctor", rc);
	else if (json && !print_json(&facts, &found))
		rc = weft_cli_failed(cli, "Unable to write JSON", -ENOMEM);
	else
		rc = weft_doctor_cause(&found) ? EXIT_FOUND : 0;
	if (!json && (rc == 0 || rc == EXIT_FOUND))
		print_text(&facts, &found);
	weft_findings_clear(&found);
	weft_doctor_facts_clear(&facts);
	return rc;
}

int weft_cli_doctor(const struct weft_cli *cli, int argc, char **argv)
{
	struct weft_cli_target target = {0};
	bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
	int rc;

	if (json) {
		argv[1] = argv[0];
		argv++;
		argc--;
	}
	if (weft_cli_usage(cli, argc, argv, 1, 1, usage, &rc))
		return rc;
	rc = weft_cli_find_target(cli, argv[1], &target) ? examine(cli, &target, json) : 1;
	weft_cli_target_clear(&target);
	return rc;
}
