/* SPDX-License-Identifier: Apache-2.0 */
/* `weft genpsk`: a new preshared key. */

#include "cli/cli.h"
#include "crypto/crypto.h"

int weft_cli_genpsk(const struct weft_cli *cli, int argc, char **argv)
{
	struct weft_secret key;
	int rc;

	if (weft_cli_usage(cli, argc, argv, 0, 0, "", &rc))
		return rc;
	rc = weft_random(key.b, sizeof(key.b));
	if (rc)
		return weft_cli_failed(cli, "Unable to get random bytes", rc);
	rc = weft_cli_print_new_key(cli, &key);
	weft_secret_clear(&key);
	return rc;
}
