/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a way of talking to WireGuard devices has to offer. device.c asks its table of these in
 * order. For src/control alone.
 */
#ifndef WEFT_CONTROL_BACKEND_H
#define WEFT_CONTROL_BACKEND_H

#include "conf/device.h"

/* A growing list of interface names. */
struct weft_names {
	char **v;
	size_t n, cap;
};

/* Appends a copy of `name`, `len` bytes. 0 or -ENOMEM. */
WEFT_MUST_CHECK int weft_names_add(struct weft_names *names, const char *name, size_t len);

/* Frees all but the first `n`. */
void weft_names_cut(struct weft_names *names, size_t n);

struct weft_control_backend {
	const char *name; /* as --backend has it */
	/* Appends the interfaces that it serves. None, or no such subsystem here, is no error. */
	int (*list)(struct weft_names *names);
	/* -ENODEV: not one of mine, ask the next. */
	int (*get)(const char *name, struct weft_conf_device *ret_dev);
	int (*set)(const char *name, const struct weft_conf_device *change);
};

extern const struct weft_control_backend weft_control_kernel;
extern const struct weft_control_backend weft_control_uapi;

/* For tests: the UAPI backend in another directory than WEFT_UAPI_DIR. NULL: back to that. */
void weft_control_uapi_dir(const char *dir);

#endif
