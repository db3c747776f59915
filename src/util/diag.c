/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filling in and printing struct weft_diag. It knows no format and prints nothing itself.
 */
#include "util/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NEAREST_WORD_MAX 64 /* longer words get no suggestion */
#define NEAREST_EDITS    2

void weft_diag_set(struct weft_diag *diag, unsigned line, unsigned column, const char *fmt, ...)
{
	va_list ap;

	if (!diag)
		return;
	diag->line = line;
	diag->column = column;
	diag->hint[0] = '\0';
	va_start(ap, fmt);
	(void)vsnprintf(diag->message, sizeof(diag->message), fmt, ap);
	va_end(ap);
}

void weft_diag_hint(struct weft_diag *diag, const char *fmt, ...)
{
	va_list ap;

	if (!diag)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(diag->hint, sizeof(diag->hint), fmt, ap);
	va_end(ap);
}

/* Appends, cut to what is left of `out`; gives the new length, at most len - 1. */
__attribute__((format(printf, 4, 5))) static size_t append(char *out, size_t len, size_t used,
							   const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(out + used, len - used, fmt, ap);
	va_end(ap);
	if (n < 0)
		return used;
	return (size_t)n < len - used ? used + (size_t)n : len - 1;
}

const char *weft_diag_format(const struct weft_diag *diag, char *out, size_t len)
{
	size_t used = 0;

	if (!len)
		return out;
	out[0] = '\0';
	if (diag->source[0])
		used = append(out, len, used, "%s:", diag->source);
	else if (diag->line)
		used = append(out, len, used, "line ");
	if (diag->line) {
		used = append(out, len, used, "%u:", diag->line);
		if (diag->column)
			used = append(out, len, used, "%u:", diag->column);
	}
	used = append(out, len, used, "%s%s", used ? " " : "", diag->message);
	if (diag->hint[0])
		(void)append(out, len, used, " (%s)", diag->hint);
	return out;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	if (b < a)
		a = b;
	return c < a ? c : a;
}

/* Levenshtein distance with one row, both words at most NEAREST_WORD_MAX long. */
static unsigned edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned row[NEAREST_WORD_MAX + 1];

	for (size_t j = 0; j <= b_len; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= a_len; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_len; j++) {
			unsigned cost = lower(a[i - 1]) != lower(b[j - 1]);
			unsigned up = row[j];

			row[j] = min3(up + 1, row[j - 1] + 1, diagonal + cost);
			diagonal = up;
		}
	}
	return row[b_len];
}

const char *weft_diag_nearest(const char *word, size_t len, const char *const *known)
{
	const char *best = NULL;
	unsigned best_distance = NEAREST_EDITS + 1;

	if (len > NEAREST_WORD_MAX)
		return NULL;
	for (; *known; known++) {
		size_t known_len = strlen(*known);
		unsigned d;

		if (known_len > NEAREST_WORD_MAX)
			continue;
		d = edit_distance(word, len, *known, known_len);
		if (d < best_distance) {
			best_distance = d;
			best = *known;
		}
	}
	return best;
}
