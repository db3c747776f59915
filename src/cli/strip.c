/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft strip`: what of wg-quick's file is WireGuard's own, byte for byte as `wg-quick strip`
 * prints it. What no `up` or `setconf` would take is let through, as there, but not in silence.
 */
#include "cli/cli.h"

static void warn(struct weft_cli_quick *q)
{
	struct weft_diag diag = {0};
	char said[1280];

	snprintf(diag.source, sizeof(diag.source), "%.255s", q->path);
	if (weft_quick_parse(q->text.p, q->text.len, &q->conf, NULL, NULL, &diag) == WEFT_E_PARSE)
		fprintf(stderr, "Warning: %s\n", weft_diag_format(&diag, said, sizeof(said)));
}

static void refuse(const struct weft_cli *cli, const struct weft_diag *diag,
		   const struct weft_fault *fault)
{
	char said[512];

	if (cli->as_wg_quick)
		weft_cli_error(cli, "%s", weft_fault_wg_sentence(fault, said, sizeof(said)));
	else
		weft_cli_fault(cli, diag, fault);
}

int weft_cli_strip(const struct weft_cli *cli, int argc, char **argv)
{
	struct weft_cli_quick q = {0};
	struct weft_text out = {0};
	struct weft_fault fault = {0};
	struct weft_diag diag = {0};
	int rc = 1;

	if (!cli->as_wg_quick &&
	    weft_cli_usage(cli, argc, argv, 1, 1, "<configuration filename> | <interface>", &rc))
		return rc;
	if (weft_cli_read_quick(cli, argv[1], &q)) {
		snprintf(diag.source, sizeof(diag.source), "%.255s", q.path);
		rc = weft_quick_strip(q.text.p, q.text.len, &out, &fault, &diag);
		if (rc == WEFT_E_PARSE)
			refuse(cli, &diag, &fault);
		else if (rc)
			weft_cli_failed(cli, q.path, rc);
		else
			fwrite(out.p, 1, out.len, stdout);
		if (!rc && !cli->as_wg_quick)
			warn(&q);
		rc = rc ? 1 : 0;
	}
	weft_cli_quick_clear(&q);
	weft_text_clear(&out);
	return rc;
}
