/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft strip`: what of wg-quick's file is WireGuard's own, byte for byte as `wg-quick strip`
 * prints it. What no `up` or `setconf` would take is let through, as there, but not in silence.
 */
#include <limits.h>
#include <string.h>

#include "cli/cli.h"
#include "conf/quick.h"

static void warn(const char *path, const struct weft_text *text)
{
	struct weft_quick quick = {0};
	struct weft_diag diag = {0};
	char said[1280];

	snprintf(diag.source, sizeof(diag.source), "%.255s", path);
	if (weft_quick_parse(text->p, text->len, &quick, NULL, NULL, &diag) == WEFT_E_PARSE)
		fprintf(stderr, "Warning: %s\n", weft_diag_format(&diag, said, sizeof(said)));
	weft_quick_clear(&quick);
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
	struct weft_text text = {0}, out = {0};
	struct weft_fault fault = {0};
	struct weft_diag diag = {0};
	char path[PATH_MAX];
	int rc = 1;

	if (!cli->as_wg_quick &&
	    weft_cli_usage(cli, argc, argv, 1, 1, "<configuration filename> | <interface>", &rc))
		return rc;
	if (weft_cli_read_quick(cli, argv[1], path, &text)) {
		snprintf(diag.source, sizeof(diag.source), "%.255s", path);
		rc = weft_quick_strip(text.p, text.len, &out, &fault, &diag);
		if (rc == WEFT_E_PARSE)
			refuse(cli, &diag, &fault);
		else if (rc)
			weft_cli_failed(cli, path, rc);
		else
			fwrite(out.p, 1, out.len, stdout);
		if (!rc && !cli->as_wg_quick)
			warn(path, &text);
		rc = rc ? 1 : 0;
	}
	weft_text_clear(&text);
	weft_text_clear(&out);
	return rc;
}
