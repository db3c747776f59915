/* SPDX-License-Identifier: Apache-2.0 */
/* `weft pubkey`: from a private key on stdin to the public key on stdout. */
#include <ctype.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "crypto/crypto.h"
#include "util/encoding.h"

/* What is wrong with stdin: `what` says why in weft's words, `wg` in wg's. */
static bool bad_stdin(const struct weft_cli *cli, const char *what, const char *wg)
{
	if (cli->as_wg)
		weft_cli_error(cli, "%s", wg);
	else
		weft_cli_error(cli, "stdin: expected %s", what);
	return false;
}

/* 44 characters of base64, then nothing but white space. False: what is wrong was printed. */
static bool read_stdin(const struct weft_cli *cli, struct weft_secret *ret_key)
{
	static const char wg_key[] = "Key is not the correct length or format";
	char text[WEFT_KEY_BASE64_LEN], what[96];
	size_t n = fread(text, 1, sizeof(text), stdin);
	bool is_key = n == sizeof(text) && weft_key_from_base64(ret_key->b, text, n) == 0;
	int c = EOF;

	weft_wipe(text, sizeof(text));
	if (n < sizeof(text)) {
		snprintf(what, sizeof(what),
			 "a private key of 44 characters of base64, found %zu characters", n);
		return bad_stdin(cli, what, wg_key);
	}
	do
		c = getchar();
	while (c != EOF && isspace(c));
	if (c == EOF && is_key)
		return true;
	weft_secret_clear(ret_key);
	if (c != EOF)
		return bad_stdin(cli, "nothing but white space after 44 characters of base64",
				 "Trailing characters found after key");
	return bad_stdin(cli, "a private key of 44 characters of base64, and this is not base64",
			 wg_key);
}

int weft_cli_pubkey(const struct weft_cli *cli, int argc, char **argv)
{
	char text[WEFT_KEY_BASE64_LEN + 1];
	uint8_t public[WEFT_KEY_LEN];
	struct weft_crypto *crypto = NULL;
	struct weft_secret key;
	int rc;

	if (weft_cli_usage(cli, argc, argv, 0, 0, "", &rc))
		return rc;
	setvbuf(stdin, NULL, _IONBF, 0); /* no copy of the key stays behind in a buffer */
	if (!read_stdin(cli, &key))
		return 1;
	rc = weft_crypto_init();
	if (!rc)
		rc = weft_crypto_new(&crypto);
	if (!rc)
		rc = weft_x25519_public(crypto, public, &key);
	weft_crypto_free(crypto);
	weft_secret_clear(&key);
	if (rc)
		return weft_cli_failed(cli, "Unable to derive the public key", rc);
	weft_key_to_base64(text, public);
	printf("%s\n", text);
	return 0;
}
