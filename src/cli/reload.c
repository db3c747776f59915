/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft reload`: a running interface becomes what its file says by now, whole or not at all. The
 * work is in host/reload.c; here the plan is printed.
 */
#include "cli/cli.h"
#include "host/plan.h"

/* With --json what is done is told as well, for whoever drives it. */
static void print_plan(void *ctx, const struct weft_host_plan *plan)
{
	const struct weft_cli_quick *q = ctx;
	struct weft_text text = {0};
	int rc;

	if (!(q->options & (WEFT_CLI_DRY_RUN | WEFT_CLI_JSON)))
		return;
	rc = q->options & WEFT_CLI_JSON ? weft_host_plan_json(plan, q->name, &text)
					: weft_host_plan_text(plan, q->name, &text);
	if (rc)
		weft_cli_failed(q->cli, q->name, rc);
	else if (text.len)
		fwrite(text.p, 1, text.len, stdout);
	weft_text_clear(&text);
	fflush(stdout);
}

int weft_cli_reload_quick(struct weft_cli_quick *q)
{
	struct weft_host_job job;
	int rc;

	if (!weft_cli_check_claims(q))
		return 1;
	weft_cli_job(q, &job);
	job.plan = print_plan;
	weft_cli_catch_signals();
	rc = weft_host_reload(&job, q->options & WEFT_CLI_DRY_RUN);
	return weft_cli_job_end(&job, rc);
}

int weft_cli_reload(const struct weft_cli *cli, int argc, char **argv)
{
	static const unsigned known =
		WEFT_CLI_VERBOSE | WEFT_CLI_DRY_RUN | WEFT_CLI_JSON | WEFT_CLI_EXCLUDE;
	struct weft_cli_quick q = {0};
	int rc = 1;

	if (weft_cli_open_quick(cli, argc, argv, known, &q, &rc))
		rc = weft_cli_reload_quick(&q);
	weft_cli_quick_clear(&q);
	return rc;
}
