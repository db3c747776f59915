/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of processors, and their two forms as text: the list of taskset(1) and cpuset(7) ("0-3,5"),
 * and the mask of the kernel's files ("00000000,0000002f"). Pure; any thread.
 */
#ifndef WEFT_UTIL_CPUS_H
#define WEFT_UTIL_CPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

#define WEFT_CPUS_MAX      1024                               /* as many as a cpu_set_t holds */
#define WEFT_CPUS_EXPECTED "a list of processors as in 0-3,5" /* for messages */
#define WEFT_CPUS_LIST_LEN 2560 /* every second one of them, and a NUL */
#define WEFT_CPUS_MASK_LEN (WEFT_CPUS_MAX / 32 * 9)

struct weft_cpus {
	uint32_t words[WEFT_CPUS_MAX / 32]; /* the lowest number is the lowest bit of the first */
};

void weft_cpus_add(struct weft_cpus *set, unsigned cpu); /* cpu < WEFT_CPUS_MAX */
bool weft_cpus_has(const struct weft_cpus *set, unsigned cpu);
unsigned weft_cpus_count(const struct weft_cpus *set);
bool weft_cpus_equal(const struct weft_cpus *a, const struct weft_cpus *b);
/* Those of `a` that are in `b`, or not in it. */
struct weft_cpus weft_cpus_and(const struct weft_cpus *a, const struct weft_cpus *b);
struct weft_cpus weft_cpus_without(const struct weft_cpus *a, const struct weft_cpus *b);
/* The number `n`, from 0, of the set in order; WEFT_CPUS_MAX if it has not so many. */
unsigned weft_cpus_nth(const struct weft_cpus *set, unsigned n);

/*
 * A list: numbers and ranges between commas, in any order, overlapping or not; no blanks. Or a
 * mask: groups of up to eight hexadecimal digits between commas, the highest first, which may be
 * zero. `text` is `len` bytes. 0, or WEFT_E_PARSE: also an empty text, a range that runs down and
 * a processor past WEFT_CPUS_MAX. `ret_set` is written only on success.
 */
WEFT_MUST_CHECK int weft_cpus_parse(const char *text, size_t len, struct weft_cpus *ret_set);
WEFT_MUST_CHECK int weft_cpus_parse_mask(const char *text, size_t len, struct weft_cpus *ret_set);

/* Into `out`, NUL-terminated. Returns `out`. An empty set gives "" as a list, "0" as a mask. */
const char *weft_cpus_format(const struct weft_cpus *set, char out[WEFT_CPUS_LIST_LEN]);
const char *weft_cpus_format_mask(const struct weft_cpus *set, char out[WEFT_CPUS_MASK_LEN]);

#endif
