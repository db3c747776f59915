/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growable text that may hold keys: every block is wiped before it is given back. The promises are
 * in conf/uapi.h.
 */
#include "conf/uapi.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void weft_text_clear(struct weft_text *t)
{
	if (t->p) {
		weft_wipe(t->p, t->used);
		free(t->p);
	}
	*t = (struct weft_text){0};
}

/* Bytes up to here have been written, and may hold keys. */
static void note_used(struct weft_text *t, size_t end)
{
	if (end > t->used)
		t->used = end;
}

/* Room for `more` bytes past len. */
static int reserve(struct weft_text *t, size_t more)
{
	size_t want = t->cap ? t->cap : 256;
	char *bigger;

	if (more > SIZE_MAX / 2 - t->len)
		return -ENOMEM;
	if (t->len + more <= t->cap)
		return 0;
	while (want < t->len + more)
		want *= 2;
	bigger = malloc(want);
	if (!bigger)
		return -ENOMEM;
	if (t->p) {
		memcpy(bigger, t->p, t->len);
		weft_wipe(t->p, t->used);
		free(t->p);
	}
	t->p = bigger;
	t->cap = want;
	t->used = t->len;
	return 0;
}

int weft_text_append(struct weft_text *t, const char *p, size_t len)
{
	int rc = reserve(t, len);

	if (rc)
		return rc;
	if (len)
		memcpy(t->p + t->len, p, len);
	t->len += len;
	note_used(t, t->len);
	return 0;
}

int weft_text_printf(struct weft_text *t, const char *fmt, ...)
{
	va_list ap;
	int n, rc;

	va_start(ap, fmt);
	n = vsnprintf(t->p ? t->p + t->len : NULL, t->cap - t->len, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -EINVAL;
	if ((size_t)n < t->cap - t->len) {
		t->len += (size_t)n;
		note_used(t, t->len + 1);
		return 0;
	}
	note_used(t, t->cap); /* filled as far as it went */
	rc = reserve(t, (size_t)n + 1);
	if (rc)
		return rc;
	va_start(ap, fmt);
	vsnprintf(t->p + t->len, t->cap - t->len, fmt, ap);
	va_end(ap);
	t->len += (size_t)n;
	note_used(t, t->len + 1);
	return 0;
}
