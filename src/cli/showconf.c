/* SPDX-License-Identifier: Apache-2.0 */
/* `weft showconf`: the interface as a file that setconf takes. */
#include "cli/cli.h"

int weft_cli_showconf(const struct weft_cli *cli, int argc, char **argv)
{
	struct weft_conf_device dev = {0};
	struct weft_text text = {0};
	int rc;

	if (weft_cli_usage(cli, argc, argv, 1, 1, "<interface>", &rc))
		return rc;
	rc = weft_cli_get(cli, argv[1], &dev);
	if (!rc)
		rc = weft_ini_write(&text, &dev);
	weft_conf_device_clear(&dev);
	if (rc)
		rc = weft_cli_no_access(cli, argv[1], rc);
	else
		fwrite(text.p, 1, text.len, stdout);
	weft_text_clear(&text);
	return rc;
}
