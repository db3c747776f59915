/* SPDX-License-Identifier: Apache-2.0 */
/* `weft setconf`: the interface becomes what the file says; what it does not say is cleared. */
#include "cli/cli.h"

int weft_cli_setconf(const struct weft_cli *cli, int argc, char **argv)
{
	struct weft_ini_result file = {0};
	int rc = 1;

	if (weft_cli_usage(cli, argc, argv, 2, 2, "<interface> <configuration filename>", &rc))
		return rc;
	if (weft_cli_read_config(cli, argv[2], &file)) {
		file.dev.has |= WEFT_DEVICE_REPLACE_PEERS | WEFT_DEVICE_HAS_PRIVATE_KEY |
				WEFT_DEVICE_HAS_FWMARK | WEFT_DEVICE_HAS_LISTEN_PORT;
		rc = weft_cli_apply(cli, argv[1], &file.dev);
	}
	weft_ini_result_clear(&file);
	return rc;
}
