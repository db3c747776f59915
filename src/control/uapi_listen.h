/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The listening UAPI socket and its file: made so that only its owner may use it, stale ones
 * replaced, watched for removal. For uapi_server.c alone.
 */
#ifndef WEFT_CONTROL_UAPI_LISTEN_H
#define WEFT_CONTROL_UAPI_LISTEN_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "util/error.h"

struct weft_uapi_listen {
	int fd;
	int watch_fd;            /* inotify on the file; -1: nothing to watch */
	struct sockaddr_un addr; /* sun_path "": the socket given has no file */
	dev_t dev;               /* of the file that is ours */
	ino_t ino;
};

/*
 * Binds dir/ifname.sock and listens; or, with `fd` >= 0, takes that listening socket over (on
 * success). 0, WEFT_E_IN_USE, -EINVAL (name or fd), -ENAMETOOLONG, or the errno of what failed.
 */
WEFT_MUST_CHECK int weft_uapi_listen_open(struct weft_uapi_listen *l, const char *dir,
					  const char *ifname, int fd);

/* Reads the watch. True if the file at the path is not ours any more. */
bool weft_uapi_listen_removed(struct weft_uapi_listen *l);

/* Closes, and removes the file if it is still ours. */
void weft_uapi_listen_close(struct weft_uapi_listen *l);

#endif
