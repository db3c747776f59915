/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft up`: what wg-quick does. Whatever fails, or SIGINT or SIGTERM on the way, takes away again
 * what was done.
 */
#include "cli/cli.h"

int weft_cli_up_quick(struct weft_cli_quick *q)
{
	struct weft_host_job job;

	if (!weft_cli_check_claims(q) || !weft_cli_check_endpoints(q))
		return 1;
	weft_cli_job(q, &job);
	weft_cli_catch_signals();
	return weft_cli_job_end(&job, weft_host_up(&job));
}

int weft_cli_up(const struct weft_cli *cli, int argc, char **argv)
{
	struct weft_cli_quick q = {0};
	int rc = 1;

	if (weft_cli_open_quick(cli, argc, argv, WEFT_CLI_VERBOSE | WEFT_CLI_EXCLUDE, &q, &rc))
		rc = weft_cli_up_quick(&q);
	weft_cli_quick_clear(&q);
	return rc;
}
