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

#endif
