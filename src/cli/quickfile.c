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
	char looked_up[sizeof(QUICK_DIR "/" QUICK_SUFFIX) + WEFT_QUICK_NAME_LEN];
	const char *path = what;
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
	if (!weft_cli_quick_name(path, ret->name)) {
		weft_cli_error(cli,
			       "The config file must be a valid interface name, followed by .conf");
		return false;
	}
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

/*
 * Takes the options of up, reload and down out of the words. False: what is wrong was printed.
 */
static bool take_options(const struct weft_cli *cli, int *argc, char **argv,
			 struct weft_cli_quick *ret)
{
	static const char exclude[] = "--exclude";
	size_t len = sizeof(exclude) - 1;
	bool down = strcmp(argv[0], "down") == 0;
	int n = 1;

	for (int i = 1; i < *argc; i++) {
		if (down && strcmp(argv[i], "--keep-kill-switch") == 0) {
			ret->keep_kill_switch = true;
		} else if (!down && strncmp(argv[i], exclude, len) == 0 &&
			   (!argv[i][len] || argv[i][len] == '=')) {
			ret->exclude = argv[i][len] ? &argv[i][len + 1] : argv[++i];
			if (!ret->exclude) { /* argv ends with NULL */
				weft_cli_error(cli, "%s: expected a list of prefixes", exclude);
				return false;
			}
		} else {
			argv[n++] = argv[i];
		}
	}
	argv[n] = NULL;
	*argc = n;
	return true;
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

bool weft_cli_open_quick(const struct weft_cli *cli, int argc, char **argv,
			 struct weft_cli_quick *ret, int *ret_exit)
{
	bool option;

	*ret_exit = 1;
	if (!cli->as_wg_quick && !take_options(cli, &argc, argv, ret))
		return false;
	option = !cli->as_wg_quick && argc == 3 && strcmp(argv[1], "-v") == 0;
	if (!cli->as_wg_quick && !option &&
	    weft_cli_usage(cli, argc, argv, 1, 1,
			   strcmp(argv[0], "down") == 0 ? "[-v] [--keep-kill-switch] "
							  "<configuration filename> | <interface>"
							: "[-v] [--exclude <prefix>,...] "
							  "<configuration filename> | <interface>",
			   ret_exit))
		return false;
	ret->cli = cli;
	ret->verbose = option || cli->as_wg_quick;
	return weft_cli_read_quick(cli, argv[option ? 2 : 1], ret) && parse(cli, ret) &&
	       add_excludes(cli, ret);
}
