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

bool weft_cli_read_quick(const struct weft_cli *cli, const char *what, char ret_path[PATH_MAX],
			 struct weft_text *ret_text)
{
	char looked_up[sizeof(QUICK_DIR "/" QUICK_SUFFIX) + WEFT_QUICK_NAME_LEN];
	const char *path = what;
	int rc;

	if (weft_quick_is_name(what, strlen(what))) {
		snprintf(looked_up, sizeof(looked_up), QUICK_DIR "/%s" QUICK_SUFFIX, what);
		path = looked_up;
	}
	if (!realpath(path, ret_path)) {
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
	if (is_world_accessible(ret_path))
		fprintf(stderr, "Warning: `%s' is world accessible\n", ret_path);
	rc = weft_cli_read_file(ret_path, WEFT_INI_MAX_BYTES, ret_text);
	if (rc)
		weft_cli_failed(cli, ret_path, rc);
	return !rc;
}
