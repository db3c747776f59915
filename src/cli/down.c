/* SPDX-License-Identifier: Apache-2.0 */
/* `weft down`: the interface goes, and with it its daemon and all that `up` has done for it. */
#include "cli/cli.h"

int weft_cli_down(const struct weft_cli *cli, int argc, char **argv)
{
	struct weft_cli_quick q = {0};
	struct weft_host_job job;
	int rc = 1;

	if (weft_cli_open_quick(cli, argc, argv, WEFT_CLI_VERBOSE, &q, &rc)) {
		weft_cli_job(&q, &job);
		rc = weft_cli_job_end(&job, weft_host_down(&job));
	}
	weft_cli_quick_clear(&q);
	return rc;
}
