/* SPDX-License-Identifier: Apache-2.0 */
/* PreUp, PostUp, PreDown, PostDown: run by bash, as wg-quick's eval has them. */
#include <errno.h>
#include <stdio.h>
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

/* Where it stands, and not what it says: that may hold secrets, and this goes to the journal. */
static void complain(struct weft_host_job *job, const char *key,
		     const struct weft_quick_place *place, int status)
{
	struct weft_diag diag = {0};
	char text[sizeof(diag)];

	snprintf(diag.source, sizeof(diag.source), "%.255s", job->path);
	weft_diag_set(&diag, place ? place->line : 0, place ? place->column : 0,
		      "the hook %s ended with %d", key, status);
	weft_diag_hint(&diag, "bash runs it, and -v shows what");
	if (job->diag.message[0])
		weft_host_warn(job, "%s", weft_diag_format(&diag, text, sizeof(text)));
	else
		job->diag = diag;
}

static int run_hook(struct weft_host_job *job, const char *key, const char *hook,
		    const struct weft_quick_place *place)
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
	complain(job, key, place, rc);
	return -ECANCELED;
}

int weft_host_hooks(struct weft_host_job *job, const char *key,
		    const struct weft_quick_texts *hooks)
{
	int rc = 0;

	for (size_t i = 0; i < hooks->n && !rc; i++)
		rc = run_hook(job, key, hooks->v[i], hooks->places ? &hooks->places[i] : NULL);
	return rc;
}
