/* SPDX-License-Identifier: Apache-2.0 */
/* PreUp, PostUp, PreDown, PostDown: run by bash, as wg-quick's eval has them. */
#include <errno.h>
#include <string.h>

#include "host/internal.h"

/* The hook with each "%i" replaced, and a NUL. */
static int fill_in(const char *hook, const char *name, struct weft_text *out)
{
	const char *hole;
	int rc = 0;

	while (!rc && (hole = strstr(hook, "%i"))) {
		rc = weft_text_append(out, hook, (size_t)(hole - hook));
		if (!rc)
			rc = weft_text_append(out, name, strlen(name));
		hook = hole + 2;
	}
	return rc ? rc : weft_text_append(out, hook, strlen(hook) + 1);
}

static int run_hook(struct weft_host_job *job, const char *hook)
{
	struct weft_text line = {0};
	int rc = fill_in(hook, job->ifname, &line);

	if (!rc) {
		const char *const argv[] = {"bash",    "-e", "-o",   "pipefail", "-O",
					    "extglob", "-c", line.p, NULL};

		weft_host_step(job, "%s", line.p);
		rc = weft_host_run(argv, NULL);
	}
	weft_text_clear(&line);
	if (rc < 0)
		return weft_host_failed(job, "bash", rc);
	if (!rc)
		return 0;
	weft_host_error(job, "the hook ended with %d: %s", rc, hook); /* as it stands in the file */
	return -ECANCELED;
}

int weft_host_hooks(struct weft_host_job *job, const struct weft_quick_texts *hooks)
{
	int rc = 0;

	for (size_t i = 0; i < hooks->n && !rc; i++)
		rc = run_hook(job, hooks->v[i]);
	return rc;
}
