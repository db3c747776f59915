/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weftd's log: one line per event on stderr, key=value or JSON. Never waits for its reader: what
 * does not fit is dropped and counted, and the next line says how many were held back.
 */
#ifndef WEFT_DAEMON_LOG_H
#define WEFT_DAEMON_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum weftd_log_level {
	WEFTD_LOG_SILENT = 0,
	WEFTD_LOG_ERROR,
	WEFTD_LOG_INFO,
	WEFTD_LOG_DEBUG,
};

#define WEFTD_LOG_MAX_LINE 2048 /* bytes; longer lines are cut */

/* LOG_LEVEL's words. False, and nothing written, for others. */
bool weftd_log_level_parse(const char *text, enum weftd_log_level *ret_level);

/* Before threads. `ifname` is copied. */
void weftd_log_init(enum weftd_log_level level, bool json, const char *ifname);
void weftd_log_set_ifname(const char *ifname);

/*
 * One line: event, then pairs of key and value (const char *), then NULL. A pair whose value is
 * NULL is left out. Never hand it a secret. Any thread.
 */
void weftd_log(enum weftd_log_level level, const char *event, ...) __attribute__((sentinel));

/*
 * For events that packets can trigger: true if `event` about `subject` (any bytes, e.g. a public
 * key) may be logged now: five in a row, then one in ten seconds, and 20 a second over all
 * subjects. `*ret_held`: how many lines were held back since the last one. Any thread.
 */
bool weftd_log_allowed(unsigned event, const void *subject, size_t len, uint64_t now_ns,
		       uint64_t *ret_held);

/* Decimal text of `v` in `buf` (at least 21 bytes), for weftd_log. Returns `buf`. */
const char *weftd_log_u64(char buf[21], uint64_t v);

/* Formats one line into `out` (WEFTD_LOG_MAX_LINE bytes); returns its length. For the tests. */
struct weftd_log_field {
	const char *key, *value;
};
size_t weftd_log_format(char *out, bool json, const struct weftd_log_field *fields, size_t n);

#endif
