/* SPDX-License-Identifier: Apache-2.0 */
/* `weft killswitch`: closes, opens and shows what keeps traffic from leaving outside a tunnel. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "cli/cli.h"
#include "host/fence_nft.h"

static const char usage[] = "on | off | show [--json] <configuration filename> | <interface>";

static int close_it(const struct weft_cli *cli, int argc, char **argv)
{
	struct weft_cli_quick q = {0};
	struct weft_host_job job;
	int rc = 1;

	if (weft_cli_open_quick(cli, argc, argv, 0, &q, &rc)) {
		weft_cli_job(&q, &job);
		rc = weft_cli_job_end(&job, weft_host_kill_switch_on(&job));
		if (!rc && !q.conf.kill_switch)
			fprintf(stderr,
				"Warning: %s does not say KillSwitch = on: the next up, reload or "
				"down opens it again\n",
				q.path);
	}
	weft_cli_quick_clear(&q);
	return rc;
}

static int open_it(const struct weft_cli *cli, const char *name)
{
	struct weft_cli_quick q = {.cli = cli};
	struct weft_host_job job;

	weft_cli_job(&q, &job);
	job.ifname = name;
	return weft_cli_job_end(&job, weft_host_kill_switch_off(&job));
}

static int print_json(const struct weft_cli *cli, const char *name, const struct weft_fence *f)
{
	json_t *excludes = json_array(), *root;
	char text[WEFT_PREFIX_TEXT_LEN];
	int rc = 0;

	for (size_t i = 0; i < f->excludes.n && !rc; i++)
		rc = json_array_append_new(
			excludes, json_string(weft_prefix_format(&f->excludes.v[i], text)));
	root = json_pack("{s:s, s:b, s:o?, s:o, s:b, s:b, s:I, s:I}", "interface", name,
			 "kill_switch", f->kill_switch, "mark",
			 f->kill_switch ? json_integer(f->mark) : NULL, "exclude", excludes,
			 "mss_clamp", f->mss, "intact", f->intact || !weft_fence_is_wanted(f),
			 "rejected_pkts", (json_int_t)f->rejected_pkts, "dropped_pkts",
			 (json_int_t)f->dropped_pkts);
	if (rc || !root || json_dumpf(root, stdout, JSON_COMPACT))
		rc = weft_cli_failed(cli, name, -ENOMEM);
	else
		putchar('\n');
	json_decref(root);
	return rc;
}

static void print(const char *name, const struct weft_fence *f)
{
	char text[WEFT_PREFIX_TEXT_LEN];

	printf("%s: kill switch %s\n", name, f->kill_switch ? "on" : "off");
	if (f->kill_switch)
		printf("  mark: %" PRIu32 "\n", f->mark);
	for (size_t i = 0; i < f->excludes.n; i++)
		printf("%s%s%s",
		       i ? ", " : "  exclude: ", weft_prefix_format(&f->excludes.v[i], text),
		       i + 1 == f->excludes.n ? "\n" : "");
	if (f->kill_switch)
		printf("  kept in: %" PRIu64 " packets of this host, %" PRIu64 " forwarded\n",
		       f->rejected_pkts, f->dropped_pkts);
	printf("  TCP MSS clamp: %s\n", f->mss ? "on" : "off");
	if (weft_fence_is_wanted(f) && !f->intact)
		printf("  warning: the table is not as weft makes it (`weft killswitch on %s' "
		       "makes it again)\n",
		       name);
}

static int show(const struct weft_cli *cli, const char *name, bool json)
{
	struct weft_fence f = {0};
	int rc = weft_fence_observe(name, &f);

	if (rc)
		rc = weft_cli_failed(cli, "nft list table", rc);
	else if (json)
		rc = print_json(cli, name, &f);
	else
		print(name, &f);
	weft_fence_clear(&f);
	return rc;
}

int weft_cli_killswitch(const struct weft_cli *cli, int argc, char **argv)
{
	bool json = argc == 4 && strcmp(argv[1], "show") == 0 &&
		    (strcmp(argv[2], "--json") == 0 || strcmp(argv[3], "--json") == 0);
	const char *verb = argc > 1 ? argv[1] : "", *what;
	char name[WEFT_QUICK_NAME_LEN];
	char *words[] = {argv[0], NULL, NULL};
	int rc = 1;

	if (weft_cli_usage(cli, argc, argv, 2, json ? 3 : 2, usage, &rc))
		return rc;
	words[1] = json && strcmp(argv[2], "--json") == 0 ? argv[3] : argv[2];
	what = words[1];
	if (what[0] == '-') {
		(void)weft_cli_usage(cli, 2, words, 2, 2, usage, &rc);
		return rc;
	}
	if (strcmp(verb, "on") == 0)
		return close_it(cli, 2, words);
	if (strcmp(verb, "off") != 0 && strcmp(verb, "show") != 0) {
		weft_cli_error(cli, "killswitch: expected on, off or show, found \"%s\"", verb);
		return 1;
	}
	if (!weft_cli_quick_name(what, name)) {
		weft_cli_error(cli,
			       "\"%s\" is neither an interface's name nor a file of one (.conf)",
			       what);
		return 1;
	}
	return strcmp(verb, "off") == 0 ? open_it(cli, name) : show(cli, name, json);
}
