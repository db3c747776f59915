/* SPDX-License-Identifier: Apache-2.0 */
/* What the subcommands share: errors, files, keys, devices. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "host/file.h"
#include "crypto/crypto.h"
#include "util/encoding.h"

#define MAX_KEY_FILE_BYTES 4096

void weft_cli_error(const struct weft_cli *cli, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", cli->program);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

void weft_cli_fault(const struct weft_cli *cli, const struct weft_diag *diag,
		    const struct weft_fault *fault)
{
	char text[1280];

	if (cli->as_wg)
		fprintf(stderr, "%s\n", weft_fault_wg_sentence(fault, text, sizeof(text)));
	else
		weft_cli_error(cli, "%s", weft_diag_format(diag, text, sizeof(text)));
}

const char *weft_cli_strerror(int rc)
{
	return rc == WEFT_E_PROTOCOL ? strerror(EPROTO) : weft_strerror(rc);
}

int weft_cli_failed(const struct weft_cli *cli, const char *what, int rc)
{
	if (cli->as_wg)
		fprintf(stderr, "%s: %s\n", what, weft_cli_strerror(rc));
	else
		weft_cli_error(cli, "%s: %s", what, weft_strerror(rc));
	return 1;
}

int weft_cli_no_access(const struct weft_cli *cli, const char *name, int rc)
{
	if (cli->as_wg) /* which does not say to which */
		return weft_cli_failed(cli, "Unable to access interface", rc);
	weft_cli_error(cli, "Unable to access interface %s: %s", name, weft_strerror(rc));
	return 1;
}

int weft_cli_get(const struct weft_cli *cli, const char *name, struct weft_conf_device *ret_dev)
{
	struct weft_crypto *crypto = NULL;
	int rc = weft_control_get(cli->backend, name, ret_dev);

	if (rc || (ret_dev->has & WEFT_DEVICE_HAS_PUBLIC_KEY) ||
	    weft_ct_is_zero(ret_dev->private_key.b, WEFT_KEY_LEN))
		return rc;
	rc = weft_crypto_init();
	if (!rc)
		rc = weft_crypto_new(&crypto);
	if (!rc)
		rc = weft_x25519_public(crypto, ret_dev->public_key, &ret_dev->private_key);
	weft_crypto_free(crypto);
	if (!rc)
		ret_dev->has |= WEFT_DEVICE_HAS_PUBLIC_KEY;
	return rc;
}

/* A key file that will not do. `where`: the first byte that has no place there, or 0. */
static void bad_key_file(const struct weft_cli *cli, const char *path, size_t len, int where)
{
	if (cli->as_wg && len < WEFT_KEY_BASE64_LEN)
		fprintf(stderr, "Invalid length key in key file\n");
	else if (cli->as_wg)
		fprintf(stderr, where ? "Found trailing character in key file\n"
				      : "Key is not the correct length or format\n");
	else if (len < WEFT_KEY_BASE64_LEN)
		weft_cli_error(
			cli, "%s: expected a key of 44 characters of base64, found %zu characters",
			path, len);
	else if (where)
		weft_cli_error(cli, "%s:1:%d: expected nothing but white space after the key", path,
			       where);
	else
		weft_cli_error(cli, "%s:1:1: expected a key of 44 characters of base64", path);
}

/* A key on the command line instead of a file's name must not be printed. */
static bool is_key_itself(const char *path)
{
	uint8_t key[WEFT_KEY_LEN];
	bool yes = weft_key_from_base64(key, path, strlen(path)) == 0;

	weft_wipe(key, sizeof(key));
	return yes;
}

bool weft_cli_read_key(const struct weft_cli *cli, const char *path, struct weft_secret *ret_key)
{
	struct weft_text text = {0};
	int rc = weft_file_read(path, 0, MAX_KEY_FILE_BYTES, &text), where = 0;
	bool ok = false;

	if (rc == WEFT_E_LIMIT) {
		bad_key_file(cli, path, text.len, WEFT_KEY_BASE64_LEN + 1);
	} else if (rc && !cli->as_wg && is_key_itself(path)) {
		weft_cli_error(cli, "expected the name of a file that holds the key, found a key "
				    "(now in the shell's history: better make a new one)");
	} else if (rc) {
		weft_cli_failed(cli, cli->as_wg ? "fopen" : path, rc);
	} else if (text.len == 0) { /* /dev/null clears a key */
		weft_secret_clear(ret_key);
		ok = true;
	} else {
		for (size_t i = WEFT_KEY_BASE64_LEN; i < text.len && !where; i++)
			if (!isspace((unsigned char)text.p[i]))
				where = (int)i + 1;
		ok = text.len >= WEFT_KEY_BASE64_LEN && !where &&
		     weft_key_from_base64(ret_key->b, text.p, WEFT_KEY_BASE64_LEN) == 0;
		if (!ok)
			bad_key_file(cli, path, text.len, where);
	}
	weft_text_clear(&text);
	return ok;
}

bool weft_cli_read_config(const struct weft_cli *cli, const char *path, struct weft_ini_result *ret)
{
	struct weft_text text = {0};
	struct weft_diag diag = {0};
	int rc = weft_file_read(path, 0, WEFT_INI_MAX_BYTES, &text);

	if (rc) {
		weft_text_clear(&text);
		weft_cli_failed(cli, cli->as_wg ? "fopen" : path, rc);
		return false;
	}
	snprintf(diag.source, sizeof(diag.source), "%s", path);
	rc = weft_ini_parse(text.p, text.len, ret, weft_cli_warn_host_bits, NULL, &diag);
	weft_text_clear(&text);
	if (rc == WEFT_E_PARSE) {
		weft_cli_fault(cli, &diag, &ret->fault);
		if (cli->as_wg)
			fprintf(stderr, "%s\n",
				ret->fault.kind == WEFT_FAULT_NO_PUBLIC_KEY
					? "Invalid configuration"
					: "Configuration parsing error");
	} else if (rc) {
		weft_cli_failed(cli, path, rc);
	}
	return !rc && weft_cli_resolve(cli, path, &ret->names, &ret->dev);
}

void weft_cli_warn_host_bits(void *ctx, unsigned line, const char *text, size_t len)
{
	(void)ctx;
	(void)line;
	fprintf(stderr, "Warning: AllowedIP has nonzero host part: %.*s\n", (int)len, text);
}

int weft_cli_apply(const struct weft_cli *cli, const char *name,
		   const struct weft_conf_device *change)
{
	int rc = weft_control_set(cli->backend, name, change);

	return rc ? weft_cli_failed(cli, "Unable to modify interface", rc) : 0;
}

int weft_cli_print_new_key(const struct weft_cli *cli, const struct weft_secret *key)
{
	char text[WEFT_KEY_BASE64_LEN + 2];
	struct stat st;
	size_t done = 0;

	if (fstat(STDOUT_FILENO, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & S_IRWXO))
		fputs("Warning: writing to world accessible file.\n"
		      "Consider setting the umask to 077 and trying again.\n",
		      stderr);
	weft_key_to_base64(text, key->b);
	text[WEFT_KEY_BASE64_LEN] = '\n';
	while (done < WEFT_KEY_BASE64_LEN + 1) {
		ssize_t n = write(STDOUT_FILENO, text + done, WEFT_KEY_BASE64_LEN + 1 - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		done += (size_t)n;
	}
	weft_wipe(text, sizeof(text));
	if (done < WEFT_KEY_BASE64_LEN + 1)
		return weft_cli_failed(cli, "Unable to write the key", -errno);
	return 0;
}
