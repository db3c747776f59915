/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft import`: files of wg-quick and of systemd-networkd, as files for `weft up`. All of them are
 * read and made before the first is written; what one must know is said as warnings and notes.
 */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "conf/networkd.h"
#include "conf/quick_tidy.h"
#include "host/file.h"

enum from { FROM_NAME, FROM_WG_QUICK, FROM_NETWORKD };

/* A file to be written. */
struct made {
	char name[WEFT_QUICK_NAME_LEN]; /* of the interface */
	struct weft_text text;
};

struct import {
	const struct weft_cli *cli;
	enum from from;
	const char *dir; /* "-": to the standard output */
	bool force;
	char **files;
	size_t n_files;
	struct weft_networkd *networkd; /* one for each of the files; unused ones are empty */
	struct made *made;              /* room for as many as there are files */
	size_t n_made;
};

static bool ends_in(const char *text, const char *end)
{
	size_t n = strlen(text), k = strlen(end);

	return n >= k && strcmp(text + n - k, end) == 0;
}

static void print(const char *what, const struct weft_diag *diag)
{
	char text[1280];

	fprintf(stderr, "%s: %s\n", what, weft_diag_format(diag, text, sizeof(text)));
}

static void print_warning(void *ctx, const struct weft_diag *diag)
{
	(void)ctx;
	print("Warning", diag);
}

static void print_note(void *ctx, const struct weft_diag *diag)
{
	(void)ctx;
	print("Note", diag);
}

/* A file's text, and a diagnosis that names it. False: it was said. */
static bool read_text(const struct import *im, const char *path, size_t limit,
		      struct weft_text *text, struct weft_diag *diag)
{
	int rc = weft_file_read(path, 0, limit, text);

	snprintf(diag->source, sizeof(diag->source), "%.255s", path);
	if (rc)
		weft_cli_failed(im->cli, path, rc);
	return !rc;
}

/* ---- wg-quick ---- */

static bool wg_quick(struct import *im, const char *path)
{
	struct made *made = &im->made[im->n_made++];
	struct weft_quick conf = {0};
	struct weft_diag diag = {0};
	struct weft_text text = {0};
	const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
	size_t len = strlen(file) - (ends_in(file, ".conf") ? 5 : 0);
	bool ok;
	int rc;

	if (!ends_in(file, ".conf") || !weft_quick_is_name(file, len)) {
		weft_cli_error(im->cli, "%s: expected a file named like an interface, and .conf",
			       path);
		return false;
	}
	snprintf(made->name, sizeof(made->name), "%.*s", (int)len, file);
	ok = read_text(im, path, WEFT_INI_MAX_BYTES, &text, &diag);
	if (ok) {
		rc = weft_quick_parse(text.p, text.len, &conf, weft_cli_warn_host_bits, NULL,
				      &diag);
		if (!rc)
			rc = weft_quick_tidy(text.p, text.len, &made->text, print_note, NULL,
					     &diag);
		if (rc == WEFT_E_PARSE)
			weft_cli_fault(im->cli, &diag, &conf.wg.fault);
		else if (rc)
			weft_cli_failed(im->cli, path, rc);
		ok = !rc;
	}
	weft_quick_clear(&conf);
	weft_text_clear(&text);
	return ok;
}

/* ---- systemd-networkd ---- */

/* A key that the file has elsewhere. False: it was said. */
static bool load_key(const struct import *im, const struct weft_diag *diag,
		     const struct weft_networkd_key *where, struct weft_secret *key)
{
	if (where->file && !weft_cli_read_key(im->cli, where->file, key)) {
		weft_cli_error(im->cli, "%s:%u:%u: names that file", diag->source, where->line,
			       where->column);
		return false;
	}
	if (where->credential && !where->file)
		fprintf(stderr,
			"Warning: %s:%u:%u: the key is the credential %s: a hook sets it, which "
			"needs "
			"LoadCredential= in the unit of weft@\n",
			diag->source, where->line, where->column, where->credential);
	return true;
}

static bool load_keys(const struct import *im, const struct weft_diag *diag,
		      struct weft_networkd *n)
{
	bool ok = load_key(im, diag, &n->private_key, &n->dev.private_key);

	for (size_t i = 0; ok && i < n->n_peers; i++) {
		struct weft_secret public_key = {0};
		struct weft_networkd_peer *more = &n->peers[i];

		ok = load_key(im, diag, &more->psk, &n->dev.peers[i].psk);
		if (ok && more->public_key.file && !more->has_key) {
			ok = load_key(im, diag, &more->public_key, &public_key);
			memcpy(n->dev.peers[i].public_key, public_key.b, WEFT_KEY_LEN);
		}
	}
	return ok;
}

static bool networkd(const struct import *im, const char *path, struct weft_networkd *ret)
{
	struct weft_diag diag = {0};
	struct weft_text text = {0};
	bool ok = read_text(im, path, WEFT_NETWORKD_MAX_BYTES, &text, &diag);
	int rc;

	if (ok) {
		rc = weft_networkd_parse(text.p, text.len, ret, print_warning, NULL, &diag);
		if (rc == WEFT_E_PARSE)
			weft_cli_fault(im->cli, &diag, NULL);
		else if (rc)
			weft_cli_failed(im->cli, path, rc);
		ok = !rc && load_keys(im, &diag, ret);
	}
	weft_text_clear(&text);
	return ok;
}

/* [Match] Name=: globs, of which one has to match; none after a "!" may. */
static bool matches(const char *globs, const char *name)
{
	char *copy = globs ? strdup(globs) : NULL, *rest = NULL;
	const char *word = copy ? strtok_r(copy, " \t", &rest) : NULL;
	bool yes = false;

	if (word && word[0] == '!') {
		yes = true;
		for (; word && yes; word = strtok_r(NULL, " \t", &rest))
			yes = fnmatch(word[0] == '!' ? word + 1 : word, name, 0) != 0;
	}
	for (; word && !yes; word = strtok_r(NULL, " \t", &rest))
		yes = fnmatch(word, name, 0) == 0;
	free(copy);
	return yes;
}

/* The file of a .netdev and of all that is there for its interface. */
static bool join(struct import *im, const struct weft_networkd *netdev)
{
	struct made *made = &im->made[im->n_made++];
	const struct weft_networkd **networks = calloc(im->n_files, sizeof(*networks));
	struct weft_quick conf = {0};
	struct weft_diag diag = {0};
	size_t n = 0;
	int rc = networks ? 0 : -ENOMEM;

	snprintf(made->name, sizeof(made->name), "%s", netdev->name);
	snprintf(diag.source, sizeof(diag.source), "(the file made of %s)", netdev->name);
	for (size_t i = 0; !rc && i < im->n_files; i++)
		if (!im->networkd[i].is_netdev && matches(im->networkd[i].match, netdev->name))
			networks[n++] = &im->networkd[i];
	if (!rc && !n)
		fprintf(stderr, "Warning: %s: no .network file for it: it gets no address\n",
			netdev->name);
	if (!rc)
		rc = weft_networkd_write(&made->text, netdev, networks, n);
	if (!rc) /* nothing is written that would not be read */
		rc = weft_quick_parse(made->text.p, made->text.len, &conf, NULL, NULL, &diag);
	if (rc == WEFT_E_PARSE)
		weft_cli_fault(im->cli, &diag, &conf.wg.fault);
	else if (rc)
		weft_cli_failed(im->cli, netdev->name, rc);
	weft_quick_clear(&conf);
	free(networks);
	return !rc;
}

static bool join_all(struct import *im)
{
	bool any = false;

	for (size_t i = 0; i < im->n_files; i++) {
		const struct weft_networkd *n = &im->networkd[i];
		bool used = n->is_netdev || !n->match;

		for (size_t k = 0; k < im->n_files && !used; k++)
			used = im->networkd[k].is_netdev && matches(n->match, im->networkd[k].name);
		if (!used)
			fprintf(stderr, "Warning: %s: no interface for it among the files\n",
				im->files[i]);
		any = any || n->is_netdev;
		if (n->is_netdev && !join(im, n))
			return false;
	}
	return any;
}

/* ---- out ---- */

static void path_of(const struct import *im, const struct made *made, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s.conf", im->dir, made->name);
}

/* Whole or not at all, and its owner's alone. 0 or errno. */
static int put_file(const struct import *im, const struct made *made)
{
	char path[PATH_MAX], temporary[PATH_MAX + 8];
	int fd, rc;

	path_of(im, made, path);
	snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
	fd = mkostemp(temporary, O_CLOEXEC); /* 0600 */
	if (fd < 0)
		return -errno;
	rc = weft_file_write_fd(fd, made->text.p, made->text.len);
	if (!rc && fsync(fd))
		rc = -errno;
	close(fd);
	/* a link does not replace what is there */
	if (!rc && (im->force ? rename(temporary, path) : link(temporary, path)))
		rc = -errno;
	if (rc || !im->force)
		unlink(temporary);
	return rc;
}

static bool put_files(const struct import *im)
{
	char path[PATH_MAX];
	struct stat st;
	size_t i;
	int rc = 0;

	for (i = 0; i < im->n_made && !im->force; i++) {
		path_of(im, &im->made[i], path);
		if (lstat(path, &st) == 0) {
			weft_cli_error(im->cli, "%s: is there already (--force replaces it)", path);
			return false;
		}
	}
	for (i = 0; i < im->n_made && !rc; i++) {
		path_of(im, &im->made[i], path);
		rc = put_file(im, &im->made[i]);
		if (rc)
			weft_cli_failed(im->cli, path, rc);
	}
	/* with --force what was there is gone, so that what has come stays */
	for (size_t k = 0; rc && !im->force && k + 1 < i; k++) {
		path_of(im, &im->made[k], path);
		unlink(path);
	}
	return !rc;
}

static bool put(const struct import *im)
{
	for (size_t i = 0; i < im->n_made; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(im->made[i].name, im->made[k].name) == 0) {
				weft_cli_error(im->cli, "two files for the interface %s",
					       im->made[i].name);
				return false;
			}
	if (strcmp(im->dir, "-") != 0)
		return put_files(im);
	if (im->n_made != 1) {
		weft_cli_error(im->cli, "%zu interfaces: name a folder for them with -o",
			       im->n_made);
		return false;
	}
	fwrite(im->made[0].text.p, 1, im->made[0].text.len, stdout);
	return true;
}

/* ---- words ---- */

/* The options; the files' names are left at the end of argv. False: what is wrong was printed. */
static bool options(struct import *im, int argc, char **argv)
{
	int n = 0;

	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (strcmp(argv[i], "--force") == 0) {
			im->force = true;
		} else if (strcmp(argv[i], "-o") == 0 && *value) {
			im->dir = argv[++i];
		} else if (strcmp(argv[i], "--from") == 0) {
			if (strcmp(value, "wg-quick") != 0 && strcmp(value, "networkd") != 0) {
				weft_cli_error(
					im->cli,
					"--from: expected wg-quick or networkd, found \"%s\"",
					value);
				return false;
			}
			im->from = value[0] == 'w' ? FROM_WG_QUICK : FROM_NETWORKD;
			i++;
		} else if (argv[i][0] == '-') {
			weft_cli_error(im->cli, "import: \"%s\" is not an option (see -h)",
				       argv[i]);
			return false;
		} else {
			argv[1 + n++] = argv[i];
		}
	}
	im->files = argv + 1;
	im->n_files = (size_t)n;
	if (!n)
		weft_cli_error(im->cli, "import: expected files (see -h)");
	return n > 0;
}

static bool run(struct import *im)
{
	bool any_networkd = false;

	for (size_t i = 0; i < im->n_files; i++) {
		const char *path = im->files[i];
		bool is_networkd = ends_in(path, ".netdev") || ends_in(path, ".network");

		if (im->from == FROM_NAME && !is_networkd && !ends_in(path, ".conf")) {
			weft_cli_error(im->cli,
				       "%s: expected .conf, .netdev or .network at its end "
				       "(--from says what it is)",
				       path);
			return false;
		}
		is_networkd = im->from == FROM_NETWORKD || (im->from == FROM_NAME && is_networkd);
		any_networkd = any_networkd || is_networkd;
		if (is_networkd ? !networkd(im, path, &im->networkd[i]) : !wg_quick(im, path))
			return false;
	}
	if (any_networkd && !join_all(im)) {
		if (!im->n_made)
			weft_cli_error(im->cli, "no [NetDev] with Kind=wireguard in the files");
		return false;
	}
	return put(im);
}

int weft_cli_import(const struct weft_cli *cli, int argc, char **argv)
{
	struct import im = {.cli = cli, .dir = "-"};
	int rc = 1;

	if (weft_cli_usage(cli, argc, argv, 1, argc,
			   "[--from wg-quick | networkd] [-o <directory> | -] [--force] <file>...",
			   &rc))
		return rc;
	if (!options(&im, argc, argv))
		return 1;
	im.networkd = calloc(im.n_files, sizeof(*im.networkd));
	im.made = calloc(im.n_files, sizeof(*im.made));
	if (!im.networkd || !im.made)
		rc = weft_cli_failed(cli, "import", -ENOMEM);
	else
		rc = run(&im) ? 0 : 1;
	for (size_t i = 0; im.networkd && i < im.n_files; i++)
		weft_networkd_clear(&im.networkd[i]);
	for (size_t i = 0; im.made && i < im.n_files; i++)
		weft_text_clear(&im.made[i].text);
	free(im.networkd);
	free(im.made);
	return rc;
}
