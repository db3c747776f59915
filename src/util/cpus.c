/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of processors: see cpus.h. The kernel's lib/bitmap.c and cpuset(7) describe both forms. */
#include "util/cpus.h"

#include <stdio.h>
#include <string.h>

#define WORDS (WEFT_CPUS_MAX / 32)

void weft_cpus_add(struct weft_cpus *set, unsigned cpu)
{
	set->words[cpu / 32] |= UINT32_C(1) << cpu % 32;
}

bool weft_cpus_has(const struct weft_cpus *set, unsigned cpu)
{
	return cpu < WEFT_CPUS_MAX && (set->words[cpu / 32] >> cpu % 32 & 1);
}

unsigned weft_cpus_count(const struct weft_cpus *set)
{
	unsigned n = 0;

	for (unsigned i = 0; i < WORDS; i++)
		for (uint32_t w = set->words[i]; w; w &= w - 1)
			n++;
	return n;
}

bool weft_cpus_equal(const struct weft_cpus *a, const struct weft_cpus *b)
{
	return !memcmp(a->words, b->words, sizeof(a->words));
}

struct weft_cpus weft_cpus_and(const struct weft_cpus *a, const struct weft_cpus *b)
{
	struct weft_cpus both;

	for (unsigned i = 0; i < WORDS; i++)
		both.words[i] = a->words[i] & b->words[i];
	return both;
}

struct weft_cpus weft_cpus_without(const struct weft_cpus *a, const struct weft_cpus *b)
{
	struct weft_cpus rest;

	for (unsigned i = 0; i < WORDS; i++)
		rest.words[i] = a->words[i] & ~b->words[i];
	return rest;
}

unsigned weft_cpus_nth(const struct weft_cpus *set, unsigned n)
{
	for (unsigned cpu = 0; cpu < WEFT_CPUS_MAX; cpu++)
		if (weft_cpus_has(set, cpu) && n-- == 0)
			return cpu;
	return WEFT_CPUS_MAX;
}

/* Digits at `*at`, which moves past them. False: there are none, or the number is too large. */
static bool take_number(const char **at, const char *end, unsigned *ret)
{
	const char *start = *at;
	unsigned v = 0;

	for (; *at < end && **at >= '0' && **at <= '9'; (*at)++) {
		v = v * 10 + (unsigned)(**at - '0');
		if (v >= WEFT_CPUS_MAX)
			return false;
	}
	*ret = v;
	return *at > start;
}

int weft_cpus_parse(const char *text, size_t len, struct weft_cpus *ret_set)
{
	const char *at = text, *end = text + len;
	struct weft_cpus set = {{0}};
	unsigned from, to;

	for (;;) {
		if (!take_number(&at, end, &from))
			return WEFT_E_PARSE;
		to = from;
		if (at < end && *at == '-') {
			at++;
			if (!take_number(&at, end, &to) || to < from)
				return WEFT_E_PARSE;
		}
		for (; from <= to; from++)
			weft_cpus_add(&set, from);
		if (at == end)
			break;
		if (*at++ != ',')
			return WEFT_E_PARSE;
	}
	*ret_set = set;
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int weft_cpus_parse_mask(const char *text, size_t len, struct weft_cpus *ret_set)
{
	struct weft_cpus set = {{0}};
	unsigned digits = 0, word = 0; /* from the end: the lowest */

	for (size_t i = len; i-- > 0;) {
		int d = hex_digit(text[i]);

		if (text[i] == ',' && digits && i > 0) {
			digits = 0;
			word++;
			continue;
		}
		if (d < 0 || digits == 8 || word >= WORDS)
			return WEFT_E_PARSE;
		set.words[word] |= (uint32_t)d << 4 * digits++;
	}
	if (!digits)
		return WEFT_E_PARSE;
	*ret_set = set;
	return 0;
}

const char *weft_cpus_format(const struct weft_cpus *set, char out[WEFT_CPUS_LIST_LEN])
{
	size_t len = 0;

	out[0] = '\0';
	for (unsigned cpu = 0; cpu < WEFT_CPUS_MAX; cpu++) {
		unsigned to = cpu;
		int n;

		if (!weft_cpus_has(set, cpu))
			continue;
		while (weft_cpus_has(set, to + 1))
			to++;
		n = snprintf(out + len, WEFT_CPUS_LIST_LEN - len, to > cpu ? "%s%u-%u" : "%s%u",
			     len ? "," : "", cpu, to);
		len += (size_t)n;
		cpu = to;
	}
	return out;
}

const char *weft_cpus_format_mask(const struct weft_cpus *set, char out[WEFT_CPUS_MASK_LEN])
{
	unsigned top = WORDS - 1;
	size_t len;

	while (top && !set->words[top])
		top--;
	len = (size_t)snprintf(out, WEFT_CPUS_MASK_LEN, "%x", (unsigned)set->words[top]);
	while (top--)
		len += (size_t)snprintf(out + len, WEFT_CPUS_MASK_LEN - len, ",%08x",
					(unsigned)set->words[top]);
	return out;
}
