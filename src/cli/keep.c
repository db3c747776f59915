/* SPDX-License-Identifier: Apache-2.0 */
/* `weft keep`: the process that keeps the endpoints of an interface fresh. `weft up` starts it. */
#include <errno.h>

#include "cli/cli.h"
#include "host/keep.h"

int weft_cli_keep(const struct weft_cli *cli, int argc, char **argv)
{
	int rc = 1;

	if (weft_cli_usage(cli, argc, argv, 1, 1, "<interface>", &rc))
		return rc;
	rc = weft_keep_run(argv[1]);
	if (rc == -ENOENT)
		weft_cli_error(cli,
			       "%s: there is nothing to keep: `weft up' says what there is "
			       "in " WEFT_HOST_RUN_DIR,
			       argv[1]);
	else if (rc)
		weft_cli_failed(cli, argv[1], rc);
	return rc ? 1 : 0;
}
