/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files, from and to open descriptors: what reading and writing in parts comes to. */
#ifndef WEFT_HOST_FILE_H
#define WEFT_HOST_FILE_H

#include "conf/uapi.h"

/*
 * Appends what is left to read, at most until `ret` has `limit` bytes; nothing of it stays behind
 * elsewhere in memory. `ret` is cleared by the caller, also after an error. 0, WEFT_E_LIMIT,
 * -ENOMEM or another negated errno. Any thread.
 */
WEFT_MUST_CHECK int weft_file_read_fd(int fd, size_t limit, struct weft_text *ret);

/* The same of a path; `flags`: of open(2), beside reading. */
WEFT_MUST_CHECK int weft_file_read(const char *path, int flags, size_t limit,
				   struct weft_text *ret);

/* Writes all of it. 0 or negated errno. Any thread. */
WEFT_MUST_CHECK int weft_file_write_fd(int fd, const char *p, size_t len);

/*
 * Makes the file at `path` this text, for its owner alone, in one step: whoever reads it, and
 * whatever is killed, finds the old file or the new one. `temporary` is in the same folder; what
 * an earlier call has left there goes. One writer of a path at a time. 0 or negated errno, and
 * then the old file is there as it was.
 */
WEFT_MUST_CHECK int weft_file_replace(const char *path, const char *temporary,
				      const struct weft_text *text);

#endif
