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

#define QUICK_DIR    "/etc/wireguard"
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
	char looked_up[sizeof(QUICK_DIR "/" QUICK_SUFFIX) + WEFT_QUICK_NAME_LEN];
	const char *path = what, *file;
	int rc;

	if (weft_quick_is_name(what, strlen(what))) {
		snprintf(looked_up, sizeof(looked_up), QUICK_DIR "/%s" QUICK_SUFFIX, what);
		path = looked_up;
	}
	if (!realpath(path, ret->path)) {
		if (cli->as_wg_quick || errno == ENOENT || errno == ENOTDIR)
			return not_there(cli, what, path);
		weft_cli_failed(cli, path, -errno);
		return false;
	}
	if (!has_name(path)) {
		weft_cli_error(cli,
			       "The config file must be a valid interface name, followed by .conf");
		return false;
	}
	file = strrchr(path, '/');
	file = file ? file + 1 : path;
	snprintf(ret->name, sizeof(ret->name), "%.*s",
		 (int)(strlen(file) - (sizeof(QUICK_SUFFIX) - 1)), file);
	if (is_world_accessible(ret->path))
		fprintf(stderr, "Warning: `%s' is world accessible\n", ret->path);
	rc = weft_cli_read_file(ret->path, WEFT_INI_MAX_BYTES, &ret->text);
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
	else if (q->conf.save_config) /* better than to lose what was to be saved */
		weft_cli_error(cli, "%s: SaveConfig is not known here: it can only be false",
			       q->path);
	return !rc && !q->conf.save_config;
}

static const struct {
	const char *word;
	unsigned option;
} options[] = {
	{"-v", WEFT_CLI_VERBOSE},
	{"--dry-run", WEFT_CLI_DRY_RUN},
	{"--json", WEFT_CLI_JSON},
};

#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

/* Takes the options in front of the file's name. How many there were. */
static int take_options(int argc, char **argv, unsigned known, unsigned *ret)
{
	int n = 0;

	while (n + 2 < argc) {
		size_t i = 0;

		while (i < N_OPTIONS &&
		       (!(options[i].option & known) || strcmp(argv[n + 1], options[i].word) != 0))
			i++;
		if (i == N_OPTIONS)
			break;
		*ret |= options[i].option;
		n++;
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
		n = take_options(argc, argv, known, &ret->options);
		for (size_t i = 0; i < N_OPTIONS; i++)
			if (options[i].option & known)
				snprintf(usage + strlen(usage), sizeof(usage) - strlen(usage),
					 "[%s] ", options[i].word);
		strncat(usage, "<configuration filename> | <interface>",
			sizeof(usage) - strlen(usage) - 1);
		if (weft_cli_usage(cli, argc, argv, 1 + n, 1 + n, usage, ret_exit))
			return false;
	}
	return weft_cli_read_quick(cli, argv[1 + n], ret) && parse(cli, ret);
}
