/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What went wrong in a text that a person wrote, for that person: where, what was found, what was
 * expected, what to do. Filled in by parsers, printed by programs alone.
 */
#ifndef WEFT_UTIL_DIAG_H
#define WEFT_UTIL_DIAG_H

#include <stddef.h>

struct weft_diag {
	char source[256];  /* file name, or "command line", or "" */
	unsigned line;     /* from 1; 0: not known */
	unsigned column;   /* from 1, in bytes; 0: not known */
	char message[512]; /* what is wrong, with what was found and what was expected */
	char hint[256];    /* what to do about it, or "" */
};

/*
 * Sets position and message (printf style; cut to fit); an earlier hint is cleared. `diag` may be
 * NULL: then nothing happens. Never put a secret in the message. Any thread.
 */
void weft_diag_set(struct weft_diag *diag, unsigned line, unsigned column, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Sets the hint alone (printf style). `diag` may be NULL. */
void weft_diag_hint(struct weft_diag *diag, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * "source:line:column: message (hint)", leaving out what is unknown, NUL-terminated, cut to
 * `len` bytes. Returns `out`.
 */
const char *weft_diag_format(const struct weft_diag *diag, char *out, size_t len);

/*
 * The entry of the NULL-terminated `known` that is nearest to `word` by edit distance (case does
 * not count), or NULL if none is within two edits. For "did you mean" hints.
 */
const char *weft_diag_nearest(const char *word, size_t len, const char *const *known);

#endif
