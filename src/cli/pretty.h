/* SPDX-License-Identifier: Apache-2.0 */
/* A device for people to read, as wg shows it: colours, units, "2 minutes ago". */
#ifndef WEFT_CLI_PRETTY_H
#define WEFT_CLI_PRETTY_H

#include <stdint.h>
#include <stdio.h>

#include "conf/device.h"

/*
 * Prints `dev` to stdout, peers with the latest handshake first, and an empty line after it if
 * `more` follow. Colours as WG_COLOR_MODE says (always, never, else: on a terminal); keys are
 * hidden unless WG_HIDE_KEYS is "never". Sorts the peers of `dev`.
 */
void weft_pretty_print(struct weft_conf_device *dev, bool more);

/* Its parts, for their tests. `colour`: with escape sequences. `out`: at least 256 bytes. */
void weft_pretty_bytes(char *out, size_t len, uint64_t bytes, bool colour);
void weft_pretty_duration(char *out, size_t len, uint64_t seconds, bool colour);
void weft_pretty_ago(char *out, size_t len, uint64_t then, uint64_t now, bool colour);

#endif
