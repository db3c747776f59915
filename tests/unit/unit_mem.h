/* SPDX-License-Identifier: Apache-2.0 */
/* An allocator for tests that counts what is out, and fails when told to. Owner thread only. */
#ifndef WEFT_TESTS_UNIT_MEM_H
#define WEFT_TESTS_UNIT_MEM_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

struct unit_mem {
	size_t bytes, blocks, calls;
	int fail; /* not 0: every allocation fails */
};

static inline void *unit_mem_alloc(void *ctx, size_t size)
{
	struct unit_mem *m = ctx;
	void *p;

	m->calls++;
	if (m->fail)
		return NULL;
	p = aligned_alloc(64, (size + 63) / 64 * 64);
	if (!p)
		return NULL;
	memset(p, 0, size);
	m->bytes += size;
	m->blocks++;
	return p;
}

static inline void unit_mem_free(void *ctx, void *p, size_t size)
{
	struct unit_mem *m = ctx;

	m->bytes -= size;
	m->blocks--;
	memset(p, 0xdb, size);
	free(p);
}

static inline struct weft_mem unit_mem_of(struct unit_mem *m)
{
	return (struct weft_mem){.ctx = m, .alloc = unit_mem_alloc, .free = unit_mem_free};
}

#endif
