/* SPDX-License-Identifier: Apache-2.0 */
/* `weft addconf`: what the file says is added to what the interface has. */
#include "cli/cli.h"

int weft_cli_addconf(const struct weft_cli *cli, int argc, char **argv)
{
	struct weft_ini_result file = {0};
	int rc = 1;

	if (weft_cli_usage(cli, argc, argv, 2, 2, "<interface> <configuration filename>", &rc))
		return rc;
	if (weft_cli_read_config(cli, argv[2], &file))
		rc = weft_cli_apply(cli, argv[1], &file.dev);
	weft_ini_result_clear(&file);
	return rc;
}
