/* SPDX-License-Identifier: Apache-2.0 */
/* What the UAPI server lets its own test choose. For src/control and its tests alone. */
#ifndef WEFT_CONTROL_UAPI_SERVER_INTERNAL_H
#define WEFT_CONTROL_UAPI_SERVER_INTERNAL_H

#include <stdint.h>

#include "control/uapi_server.h"

/*
 * As weft_uapi_server_new, in directory `dir`, with `idle_ms` (at least 1) as the time after which
 * a client that sits on half a request or does not read its answer is let go.
 */
WEFT_MUST_CHECK int weft_uapi_server_new_at(struct weft_uapi_server **ret_s, const char *dir,
					    const char *ifname, int fd, uint64_t idle_ms,
					    const struct weft_uapi_handlers *handlers);

#endif
