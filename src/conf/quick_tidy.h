/* SPDX-License-Identifier: Apache-2.0 */
/* wg-quick's file, written evenly, and what there is to know about it before weft takes it over. */
#ifndef WEFT_CONF_QUICK_TIDY_H
#define WEFT_CONF_QUICK_TIDY_H

#include "conf/quick.h"

/*
 * Called for a line that weft reads otherwise than wg-quick(8), or has a way of its own for: its
 * position and a sentence. Nothing of a value is in it.
 */
typedef void (*weft_quick_note)(void *ctx, const struct weft_diag *diag);

/*
 * Appends a file that weft_quick_parse has taken, with its keys and sections spelled as in
 * weft.conf(5), without white space around lines and with single empty ones. Values, comments and
 * order stay. `note` may be NULL; `diag`, whose source the caller has set, is what it gets.
 * 0 or -ENOMEM. Any thread.
 */
WEFT_MUST_CHECK int weft_quick_tidy(const char *text, size_t len, struct weft_text *out,
				    weft_quick_note note, void *ctx, struct weft_diag *diag);

#endif
