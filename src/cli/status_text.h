/* SPDX-License-Identifier: Apache-2.0 */
/* An interface's status as text and as JSON. */
#ifndef WEFT_CLI_STATUS_TEXT_H
#define WEFT_CLI_STATUS_TEXT_H

#include <jansson.h>
#include <stdio.h>

#include "host/look.h"
#include "host/status.h"

/* One interface, of which all is known that is to be shown. Borrowed. */
struct weft_status_view {
	const struct weft_conf_device *dev;
	const struct weft_host_look *look;
	const struct weft_status *status;
	uint64_t now_sec;
};

/* For people, with escape sequences if `colour`. */
void weft_status_print(FILE *out, const struct weft_status_view *v, bool colour);

/* A new object, or NULL: no memory. */
json_t *weft_status_json(const struct weft_status_view *v);

/* A string; null for an empty one; bytes that are no UTF-8 become '?'. NULL: no memory. */
json_t *weft_cli_json_text(const char *text);

#endif
