/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the core's modules get memory from: the two callbacks of struct weft_callbacks, as a value
 * of their own, so that a module needs no device. Only owner functions allocate.
 */
#ifndef WEFT_CORE_MEM_H
#define WEFT_CORE_MEM_H

#include <stddef.h>
#include <stdint.h>

struct weft_mem {
	void *ctx;
	void *(*alloc)(void *ctx, size_t size);        /* zeroed, 64-byte aligned, or NULL */
	void (*free)(void *ctx, void *p, size_t size); /* wipes; `p` is never NULL */
};

/* Random bytes: the `random` callback of struct weft_callbacks with its ctx. */
struct weft_rng {
	void *ctx;
	void (*fill)(void *ctx, void *out, size_t len);
};

#endif
