/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cross-platform userspace API's text, both directions, pure: bytes in, values out, and back.
 * Server side: parse a request, write a get answer. Client side: write a set request, parse a get
 * answer. https://www.wireguard.com/xplatform/
 */
#ifndef WEFT_CONF_UAPI_H
#define WEFT_CONF_UAPI_H

#include "conf/device.h"

#define WEFT_UAPI_MAX_LINE    4096         /* bytes; longer is -EINVAL */
#define WEFT_UAPI_MAX_REQUEST (512u << 20) /* bytes */

/* Growable text. `p` may be NULL while cap is 0. Wiped when freed or grown. */
struct weft_text {
	char *p;
	size_t len, cap;
	size_t used; /* what has ever been written to since it last grew */
};
void weft_text_clear(struct weft_text *t);
WEFT_MUST_CHECK int weft_text_append(struct weft_text *t, const char *p, size_t len);
WEFT_MUST_CHECK int weft_text_printf(struct weft_text *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * The body of a set request, after "set=1\n" and without the empty line. The whole of it is
 * checked; nothing is applied here. Keys as wireguard-go takes them; unknown keys and bad values
 * are -EINVAL, a line without '=' is -EPROTO, -ENOMEM. `diag` (may be NULL) names the line.
 * `ret_dev` is to be cleared by the caller, also after an error.
 */
WEFT_MUST_CHECK int weft_uapi_parse_set(const char *text, size_t len,
					struct weft_conf_device *ret_dev, struct weft_diag *diag);

/* "set=1\n…\n\n" for a change. 0 or -ENOMEM. */
WEFT_MUST_CHECK int weft_uapi_write_set(struct weft_text *out, const struct weft_conf_device *dev);

/*
 * One get answer's keys for device and one peer, without "errno=": the server walks its peers and
 * calls these in turn. 0 or -ENOMEM.
 */
WEFT_MUST_CHECK int weft_uapi_write_device(struct weft_text *out,
					   const struct weft_conf_device *dev);
WEFT_MUST_CHECK int weft_uapi_write_peer(struct weft_text *out, const struct weft_conf_peer *peer);

/*
 * A whole get answer, up to and with the empty line. Unknown keys are skipped. The answer's errno
 * (either sign) is returned as a negative errno; a malformed answer is WEFT_E_PROTOCOL.
 */
WEFT_MUST_CHECK int weft_uapi_parse_get(const char *text, size_t len,
					struct weft_conf_device *ret_dev);

#endif
