/* SPDX-License-Identifier: Apache-2.0 */
/* sd_notify(3)'s datagram. */
#include "linux/notify.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int weft_notify(const char *path, const char *state)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	size_t len, state_len = strlen(state);
	ssize_t n;
	int fd, rc = 0;

	if (!path)
		return 0;
	len = strlen(path);
	if ((path[0] != '/' && path[0] != '@') || len < 2 || len >= sizeof(sun.sun_path))
		return -EINVAL;
	memcpy(sun.sun_path, path, len);
	if (path[0] == '@')
		sun.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	n = sendto(fd, state, state_len, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&sun,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	if (n < 0)
		rc = -errno;
	close(fd);
	return rc;
}
