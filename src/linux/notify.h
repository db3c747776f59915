/* SPDX-License-Identifier: Apache-2.0 */
/* Telling systemd how a service is: sd_notify(3), without its library. */
#ifndef WEFT_LINUX_NOTIFY_H
#define WEFT_LINUX_NOTIFY_H

#include "util/error.h"

/*
 * Sends `state` ("READY=1") to the socket `path` ("/…" or "@…", abstract). NULL: does nothing.
 * Never waits. 0 or negated errno.
 */
WEFT_MUST_CHECK int weft_notify(const char *path, const char *state);

#endif
