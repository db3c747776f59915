/* SPDX-License-Identifier: Apache-2.0 */
/* What `status` and `doctor` are given: an interface, of which there may be a file, or a file. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

static void parse(struct weft_cli_target *t)
{
	struct weft_diag diag = {0};
	int rc;

	snprintf(diag.source, sizeof(diag.source), "%.255s", t->quick.path);
	rc = weft_quick_parse(t->quick.text.p, t->quick.text.len, &t->quick.conf, NULL, NULL,
			      &diag);
	if (rc == WEFT_E_PARSE)
		weft_diag_format(&diag, t->fault, sizeof(t->fault));
	else if (rc)
		snprintf(t->fault, sizeof(t->fault), "%.255s: %s", t->quick.path,
			 weft_strerror(rc));
	t->has_file = !rc;
}

bool weft_cli_find_target(const struct weft_cli *cli, const char *what, struct weft_cli_target *ret)
{
	char path[64];

	if (weft_quick_is_name(what, strlen(what))) {
		snprintf(path, sizeof(path), WEFT_CLI_QUICK_DIR "/%s.conf", what);
		snprintf(ret->name, sizeof(ret->name), "%s", what);
		if (access(path, R_OK) != 0)
			return true;
	}
	if (!weft_cli_read_quick(cli, what, &ret->quick))
		return false;
	snprintf(ret->name, sizeof(ret->name), "%s", ret->quick.name);
	parse(ret);
	return true;
}

void weft_cli_target_clear(struct weft_cli_target *t)
{
	weft_cli_quick_clear(&t->quick);
	*t = (struct weft_cli_target){0};
}
