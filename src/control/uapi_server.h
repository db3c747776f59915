/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The UAPI socket's server: listens at WEFT_UAPI_DIR/IFNAME.sock and speaks with any number of
 * clients at once, without ever waiting for one of them. It knows the text, not the device: get and
 * set go through callbacks. Meant for the owner's epoll loop. One thread.
 */
#ifndef WEFT_CONTROL_UAPI_SERVER_H
#define WEFT_CONTROL_UAPI_SERVER_H

#include "conf/device.h"
#include "conf/uapi.h"

#define WEFT_UAPI_MAX_CLIENTS 64

struct weft_uapi_server;

struct weft_uapi_handlers {
	void *ctx;
	/* Appends the keys of a get answer to `out`, without errno. 0 or negated errno. */
	int (*get)(void *ctx, struct weft_text *out);
	/* Applies a parsed change, all or nothing. 0 or negated errno. */
	int (*set)(void *ctx, const struct weft_conf_device *change);
};

/*
 * Binds the socket (umask 077, directory 0755). A stale socket is replaced; a live one is
 * WEFT_E_IN_USE. `fd` >= 0: a ready listening socket (WG_UAPI_FD) instead, owned on success.
 */
WEFT_MUST_CHECK int weft_uapi_server_new(struct weft_uapi_server **ret_s, const char *ifname,
					 int fd, const struct weft_uapi_handlers *handlers);
/* Closes the clients and removes the socket file if it is still ours. Takes NULL. */
void weft_uapi_server_free(struct weft_uapi_server *s);

/* An epoll descriptor that is readable whenever weft_uapi_server_run has something to do. */
int weft_uapi_server_fd(const struct weft_uapi_server *s);

/*
 * Does what is due without blocking, bounded per call so that no client holds up the owner.
 * Returns 0; 1 when the socket file was removed (the daemon should end); or negated errno.
 */
WEFT_MUST_CHECK int weft_uapi_server_run(struct weft_uapi_server *s);

#endif
