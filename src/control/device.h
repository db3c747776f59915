/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One interface over "a WireGuard device", whatever runs it. The backend of today is the UAPI
 * socket (weftd, wireguard-go); the kernel's netlink joins behind the same functions.
 */
#ifndef WEFT_CONTROL_DEVICE_H
#define WEFT_CONTROL_DEVICE_H

#include "conf/device.h"

#define WEFT_UAPI_DIR "/var/run/wireguard"

/*
 * Names of live interfaces: sockets that accept a connection (those that refuse are unlinked, as
 * wg does). `*ret_names`: array of `*ret_n` strings, sorted; free each and the array. 0 or errno.
 */
WEFT_MUST_CHECK int weft_control_list(char ***ret_names, size_t *ret_n);

/*
 * The whole state. -ENODEV: no such interface. -EACCES, -EPERM: it is there, but not for us.
 * WEFT_E_PROTOCOL: its answer makes no sense. `ret_dev` is cleared by the caller, also after an
 * error. Waits for the device's answer.
 */
WEFT_MUST_CHECK int weft_control_get(const char *name, struct weft_conf_device *ret_dev);

/* Applies a change. Returns 0 or the device's answer as a negated errno; else as for get. */
WEFT_MUST_CHECK int weft_control_set(const char *name, const struct weft_conf_device *change);

#endif
