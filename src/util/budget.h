/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A named amount of memory that several parts share and none can exceed together. It allocates
 * nothing: whoever wants memory takes its size here first, and gives it back after freeing.
 */
#ifndef WEFT_UTIL_BUDGET_H
#define WEFT_UTIL_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "util/error.h"

struct weft_budget {
	size_t limit;
	_Atomic size_t used, most; /* now, and ever */
};

/* Before any other thread. */
void weft_budget_init(struct weft_budget *b, size_t limit_bytes);

/* Takes `bytes`, or nothing. Returns 0, or WEFT_E_LIMIT if that is more than is left. Any thread.
 */
WEFT_MUST_CHECK int weft_budget_take(struct weft_budget *b, size_t bytes);

/* Gives back `bytes` that were taken. Any thread. */
void weft_budget_give(struct weft_budget *b, size_t bytes);

/* What is left: a snapshot. Any thread. */
size_t weft_budget_left(const struct weft_budget *b);

#endif
