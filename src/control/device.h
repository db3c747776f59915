/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One interface over "a WireGuard device", whatever runs it: the kernel, over netlink, or a daemon
 * with a UAPI socket (weftd, wireguard-go).
 */
#ifndef WEFT_CONTROL_DEVICE_H
#define WEFT_CONTROL_DEVICE_H

#include <sys/types.h>

#include "conf/device.h"

#define WEFT_UAPI_DIR "/var/run/wireguard"

/*
 * Names of live interfaces: WireGuard links of the kernel in this network namespace, and sockets
 * that accept a connection (those that refuse are unlinked, as wg does). `*ret_names`: array of
 * `*ret_n` strings, sorted, each once; free each and the array. 0 or errno.
 */
WEFT_MUST_CHECK int weft_control_list(enum weft_backend backend, char ***ret_names, size_t *ret_n);

/*
 * The whole state. -ENODEV: no such interface; -EOPNOTSUPP: it is there, but no WireGuard. -EACCES,
 * -EPERM: it is there, but not for us. WEFT_E_PROTOCOL: its answer makes no sense. `ret_dev` is
 * cleared by the caller, also after an error. Waits for the device's answer.
 */
WEFT_MUST_CHECK int weft_control_get(enum weft_backend backend, const char *name,
				     struct weft_conf_device *ret_dev);

/*
 * Applies a change. Returns 0 or the device's answer as a negated errno; else as for get. weftd
 * applies all or nothing; the kernel and other daemons keep what came before an error. -EOPNOTSUPP:
 * the kernel is to do what weftd alone can. Where the kernel cannot take an allowed IP away (before
 * Linux 6.16) the peer's list is read and replaced: a change by somebody else in between is lost.
 */
WEFT_MUST_CHECK int weft_control_set(enum weft_backend backend, const char *name,
				     const struct weft_conf_device *change);

/*
 * Whether a daemon serves the interface's UAPI socket; a stale one is left as it is. 0 and its
 * process (0: of another PID namespace), -ENOENT: there is no socket, -ECONNREFUSED: nobody listens
 * on it, -EACCES, or another negated errno.
 */
WEFT_MUST_CHECK int weft_control_daemon(const char *name, pid_t *ret_pid);

#endif
