/* SPDX-License-Identifier: Apache-2.0 */
/* Finding and reading wg-quick's files: the sentences are wg-quick's, too. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "conf/quick.h"
#include "host/file.h"

#define QUICK_SUFFIX ".conf"

/* True if the path ends in an interface's name and ".conf". */
static bool has_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *file = slash ? slash + 1 : path;
	size_t len = strlen(file), suffix = sizeof(QUICK_SUFFIX) - 1;

	return len > suffix && strcmp(file + len - suffix, QUICK_SUFFIX) == 0 &&
	       weft_quick_is_name(file, len - suffix);
}

bool weft_cli_quick_name(const char *what, char ret_name[WEFT_QUICK_NAME_LEN])
{
	const char *slash = strrchr(what, '/');
	const char *file = slash ? slash + 1 : what;
	bool is_name = weft_quick_is_name(what, strlen(what));

	if (!is_name && !has_name(what))
		return false;
	snprintf(ret_name, WEFT_QUICK_NAME_LEN, "%.*s",
		 (int)(strlen(file) - (is_name ? 0 : sizeof(QUICK_SUFFIX) - 1)), file);
	return true;
}

/* Both the file and its folder let others in. */
static bool is_world_accessible(const char *real)
{
	char folder[PATH_MAX];
	struct stat file, dir;
	char *slash;

	snprintf(folder, sizeof(folder), "%s", real);
	slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder ? 1 : 0] = '\0';
	return stat(real, &file) == 0 && stat(folder, &dir) == 0 &&
	       (file.st_mode & dir.st_mode & S_IRWXO);
}

static bool not_there(const struct weft_cli *cli, const char *what, const char *path)
{
	bool here = path != what && !cli->as_wg_quick && has_name(what) && access(what, F_OK) == 0;

	if (here)
		weft_cli_error(cli, "`%s' does not exist (for the file that is here: ./%s)", path,
			       what);
	else
		weft_cli_error(cli, "`%s' does not exist", path);
	return false;
}

void weft_cli_quick_clear(struct weft_cli_quick *q)
{
	weft_text_clear(&q->text);
	weft_quick_clear(&q->conf);
}

bool weft_cli_read_quick(const struct weft_cli *cli, const char *what, struct weft_cli_quick *ret)
{
	char looked_up[sizeof(WEFT_CLI_QUICK_DIR "/" QUICK_SUFFIX) + WEFT_QUICK_NAME_LEN];
	const char *path = what;
	int rc;

	/* for wg-quick "." is a name like another: it is not looked for here */
	if (weft_quick_is_name(what, strlen(what)) || strcmp(what, ".") == 0 ||
	    strcmp(what, "..") == 0) {
		snprintf(looked_up, sizeof(looked_up), WEFT_CLI_QUICK_DIR "/%s" QUICK_SUFFIX, what);
		path = looked_up;
	}
	if (!realpath(path, ret->path)) {
		if (cli->as_wg_quick || errno == ENOENT || errno == ENOTDIR)
			return not_there(cli, what, path);
		weft_cli_failed(cli, path, -errno);
		return false;
	}
	if (!weft_cli_quick_name(path, ret->name)) {
		weft_cli_error(cli,
			       "The config file must be a valid interface name, followed by .conf");
		return false;
	}
	if (is_world_accessible(ret->path))
		fprintf(stderr, "Warning: `%s' is world accessible\n", ret->path);
	rc = weft_file_read(ret->path, 0, WEFT_INI_MAX_BYTES, &ret->text);
	if (rc)
		weft_cli_failed(cli, ret->path, rc);
	return !rc;
}

static bool parse(const struct weft_cli *cli, struct weft_cli_quick *q)
{
	struct weft_diag diag = {0};
	int rc;

	snprintf(diag.source, sizeof(diag.source), "%.255s", q->path);
	rc = weft_quick_parse(q->text.p, q->text.len, &q->conf, weft_cli_warn_host_bits, NULL,
			      &diag);
	if (rc == WEFT_E_PARSE)
		weft_cli_fault(cli, &diag, &q->conf.wg.fault);
	else if (rc)
		weft_cli_failed(cli, q->path, rc);
	return !rc;
}

bool weft_cli_check_claims(const struct weft_cli_quick *q)
{
	struct weft_diag diag = {0};
	char text[1280];
	int rc = weft_quick_check_claims(&q->conf, &diag);

	if (rc && rc != WEFT_E_PARSE)
		weft_cli_failed(q->cli, q->path, rc);
	if (rc != WEFT_E_PARSE)
		return !rc;
	snprintf(diag.source, sizeof(diag.source), "%.255s", q->path);
	(void)weft_diag_format(&diag, text, sizeof(text));
	if (q->cli->as_wg_quick)
		fprintf(stderr, "Warning: %s\n", text);
	else
		weft_cli_error(q->cli, "%s", text);
	return q->cli->as_wg_quick;
}

/* What the command line excludes beside the file. */
static bool add_excludes(const struct weft_cli *cli, struct weft_cli_quick *q)
{
	struct weft_diag diag = {.source = "--exclude"};
	char text[1280];
	int rc = q->exclude ? weft_quick_add_excludes(&q->conf, q->exclude, &diag) : 0;

	if (rc == WEFT_E_PARSE)
		weft_cli_error(cli, "%s", weft_diag_format(&diag, text, sizeof(text)));
	else if (rc)
		weft_cli_failed(cli, "--exclude", rc);
	return !rc;
}

static const struct {
	const char *word;
	unsigned option;
} options[] = {
	{"-v", WEFT_CLI_VERBOSE},
	{"--dry-run", WEFT_CLI_DRY_RUN},
	{"--json", WEFT_CLI_JSON},
	{"--keep-kill-switch", WEFT_CLI_KEEP_KILL_SWITCH},
	{"--exclude <prefix>,...", WEFT_CLI_EXCLUDE},
};

#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

/* The word of option `i`, up to its value if it takes one. */
static bool is_option(const char *word, size_t i)
{
	size_t len = strcspn(options[i].word, " ");

	return strncmp(word, options[i].word, len) == 0 &&
	       (!word[len] || (options[i].option == WEFT_CLI_EXCLUDE && word[len] == '='));
}

/* Takes the options in front of the file's name. How many words there were. */
static int take_options(int argc, char **argv, unsigned known, struct weft_cli_quick *ret)
{
	int n = 0;

	while (n + 2 < argc) {
		const char *word = argv[n + 1];
		size_t i = 0;

		while (i < N_OPTIONS && (!(options[i].option & known) || !is_option(word, i)))
			i++;
		if (i == N_OPTIONS)
			break;
		ret->options |= options[i].option;
		n++;
		if (options[i].option == WEFT_CLI_EXCLUDE) {
			ret->exclude = strchr(word, '=');
			ret->exclude = ret->exclude ? ret->exclude + 1 : argv[++n];
		}
	}
	return n;
}

bool weft_cli_open_quick(const struct weft_cli *cli, int argc, char **argv, unsigned known,
			 struct weft_cli_quick *ret, int *ret_exit)
{
	char usage[128] = "";
	int n = 0;

	*ret_exit = 1;
	ret->cli = cli;
	if (cli->as_wg_quick) {
		ret->options = WEFT_CLI_VERBOSE;
	} else {
		n = take_options(argc, argv, known, ret);
		for (size_t i = 0; i < N_OPTIONS; i++)
			if (options[i].option & known)
				snprintf(usage + strlen(usage), sizeof(usage) - strlen(usage),
					 "[%s] ", options[i].word);
		strncat(usage, "<configuration filename> | <interface>",
			sizeof(usage) - strlen(usage) - 1);
		if (weft_cli_usage(cli, argc, argv, 1 + n, 1 + n, usage, ret_exit))
			return false;
	}
	return weft_cli_read_quick(cli, argv[1 + n], ret) && parse(cli, ret) &&
	       add_excludes(cli, ret);
}
