/* SPDX-License-Identifier: Apache-2.0 */
/* read(2) and write(2) until all is done. */
#include "host/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int weft_file_read_fd(int fd, size_t limit, struct weft_text *ret)
{
	char buf[16384];
	int rc = 0;

	for (;;) {
		ssize_t n = read(fd, buf, sizeof(buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			rc = -errno;
		else if (ret->len + (size_t)n > limit)
			rc = WEFT_E_LIMIT;
		else if (n > 0)
			rc = weft_text_append(ret, buf, (size_t)n);
		if (n <= 0 || rc)
			break;
	}
	weft_wipe(buf, sizeof(buf)); /* a key may have been in it */
	return rc;
}

int weft_file_read(const char *path, int flags, size_t limit, struct weft_text *ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | flags), rc;

	if (fd < 0)
		return -errno;
	rc = weft_file_read_fd(fd, limit, ret);
	close(fd);
	return rc;
}

int weft_file_write_fd(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int weft_file_replace(const char *path, const char *temporary, const struct weft_text *text)
{
	int fd, rc;

	(void)unlink(temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	rc = weft_file_write_fd(fd, text->p, text->len);
	if (!rc && fsync(fd))
		rc = -errno;
	if (close(fd) && !rc)
		rc = -errno;
	if (!rc && rename(temporary, path))
		rc = -errno;
	if (rc)
		(void)unlink(temporary);
	return rc;
}
