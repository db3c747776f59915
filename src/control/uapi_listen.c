/* SPDX-License-Identifier: Apache-2.0 */
/* The listening UAPI socket and its file. Knows no client. */
#include "control/uapi_listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG     128
#define IFNAME_SIZE 16 /* with the NUL, as the kernel has it */

static int set_path(struct weft_uapi_listen *l, const char *dir, const char *ifname)
{
	size_t n = strlen(ifname);
	int len;

	if (n == 0 || n >= IFNAME_SIZE || strchr(ifname, '/'))
		return -EINVAL;
	l->addr.sun_family = AF_UNIX;
	len = snprintf(l->addr.sun_path, sizeof(l->addr.sun_path), "%s/%s.sock", dir, ifname);
	return len < 0 || (size_t)len >= sizeof(l->addr.sun_path) ? -ENAMETOOLONG : 0;
}

/* Nobody listens behind the file any more: 0. Somebody does: WEFT_E_IN_USE. */
static int check_stale(const struct sockaddr_un *addr)
{
	struct stat st;
	int fd, rc = 0;

	if (lstat(addr->sun_path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST; /* not a thing that a daemon left behind */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* EAGAIN: its backlog is full, so it lives. */
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 || errno == EAGAIN)
		rc = WEFT_E_IN_USE;
	else if (errno != ECONNREFUSED && errno != ENOENT)
		rc = -errno;
	close(fd);
	return rc;
}

static int bind_file(struct weft_uapi_listen *l, const char *dir)
{
	const struct sockaddr *addr = (const struct sockaddr *)&l->addr;
	mode_t mask = umask(0022);
	int rc = 0;

	if (mkdir(dir, 0755) && errno != EEXIST)
		rc = -errno;
	umask(0077);
	if (!rc && bind(l->fd, addr, sizeof(l->addr))) {
		rc = -errno;
		if (rc == -EADDRINUSE) {
			rc = check_stale(&l->addr);
			if (!rc && unlink(l->addr.sun_path) && errno != ENOENT)
				rc = -errno;
			if (!rc && bind(l->fd, addr, sizeof(l->addr)))
				rc = -errno;
		}
	}
	umask(mask);
	return rc;
}

/* Remembers which file is ours, and watches it. */
static int watch(struct weft_uapi_listen *l)
{
	struct stat st;

	if (lstat(l->addr.sun_path, &st))
		return -errno;
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	l->watch_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (l->watch_fd < 0)
		return -errno;
	/* The bound socket keeps the inode alive: its removal shows as a change of its link count.
	 */
	if (inotify_add_watch(l->watch_fd, l->addr.sun_path,
			      IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF) < 0)
		return -errno;
	return 0;
}

static bool still_ours(const struct weft_uapi_listen *l)
{
	struct stat st;

	return l->addr.sun_path[0] && lstat(l->addr.sun_path, &st) == 0 && st.st_dev == l->dev &&
	       st.st_ino == l->ino;
}

/* Takes over a listening socket. Its file, if it has one, is watched like our own. */
static int adopt(struct weft_uapi_listen *l, int fd)
{
	int on = 0, flags = fcntl(fd, F_GETFL), rc = 0;
	socklen_t len = sizeof(on);
	struct stat st;

	if (flags < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) || !on)
		return -EINVAL;
	len = sizeof(l->addr);
	if (getsockname(fd, (struct sockaddr *)&l->addr, &len) || l->addr.sun_family != AF_UNIX)
		return -EINVAL;
	if (len <= offsetof(struct sockaddr_un, sun_path))
		l->addr.sun_path[0] = '\0';
	l->addr.sun_path[sizeof(l->addr.sun_path) - 1] = '\0';
	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC))
		return -errno;
	if (l->addr.sun_path[0] && lstat(l->addr.sun_path, &st) == 0)
		rc = watch(l);
	else
		l->addr.sun_path[0] = '\0';
	if (!rc)
		l->fd = fd;
	return rc;
}

int weft_uapi_listen_open(struct weft_uapi_listen *l, const char *dir, const char *ifname, int fd)
{
	int rc;

	*l = (struct weft_uapi_listen){.fd = -1, .watch_fd = -1};
	rc = set_path(l, dir, ifname);
	if (rc)
		return rc;
	if (fd >= 0) {
		rc = adopt(l, fd);
		if (rc && l->watch_fd >= 0)
			close(l->watch_fd);
		return rc;
	}
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return -errno;
	rc = bind_file(l, dir);
	if (rc) { /* the file, if there is one, is another's */
		close(l->fd);
		return rc;
	}
	rc = watch(l);
	if (!rc && listen(l->fd, BACKLOG))
		rc = -errno;
	if (rc)
		weft_uapi_listen_close(l);
	return rc;
}

bool weft_uapi_listen_removed(struct weft_uapi_listen *l)
{
	char events[1024] __attribute__((aligned(8)));

	while (read(l->watch_fd, events, sizeof(events)) > 0) {
	}
	return !still_ours(l);
}

void weft_uapi_listen_close(struct weft_uapi_listen *l)
{
	if (still_ours(l))
		unlink(l->addr.sun_path);
	if (l->fd >= 0)
		close(l->fd);
	if (l->watch_fd >= 0)
		close(l->watch_fd);
	l->fd = l->watch_fd = -1;
}
