/* SPDX-License-Identifier: Apache-2.0 */
/* `weft version`. */
#include "cli/cli.h"

/* The wireguard-tools release whose wg this program is held against. */
#define WG_RELEASE "v1.0.20210914"

int weft_cli_version(const struct weft_cli *cli, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	if (cli->as_wg) /* scripts look for the second word */
		printf("wireguard-tools " WG_RELEASE " - as spoken by weft " WEFT_VERSION "\n");
	else
		printf("weft " WEFT_VERSION "\n");
	return 0;
}
