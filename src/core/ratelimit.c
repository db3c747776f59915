/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Token buckets in a set-associative table. A bucket is kept as the time at which it will be full
 * again ("virtual scheduling", as in ITU-T I.371's GCRA): eight bytes say all, and an entry whose
 * time has passed is free.
 */
#include "core/ratelimit.h"

#include <errno.h>
#include <string.h>

#define NS_PER_S  UINT64_C(1000000000)
#define TOKEN_NS  (NS_PER_S / WEFT_RATELIMIT_PER_SECOND)
#define BUCKET_NS (TOKEN_NS * WEFT_RATELIMIT_BURST)

struct weft_ratelimit_entry {
	uint64_t addr;    /* the IPv4 address, or the first half of the IPv6 one */
	uint64_t full_ns; /* when the bucket is full again; in the past: the entry is free */
	uint8_t family;   /* WEFT_NONE: never used */
};

int weft_ratelimit_init(struct weft_ratelimit *r, const struct weft_mem *mem,
			const uint8_t key[WEFT_SIPHASH_KEY_LEN], size_t entries)
{
	if (entries < WEFT_RATELIMIT_WAYS || entries > (size_t)1 << 24 ||
	    (entries & (entries - 1)) != 0)
		return -EINVAL;
	r->entries = mem->alloc(mem->ctx, entries * sizeof(*r->entries));
	if (!r->entries)
		return -ENOMEM;
	r->count = entries;
	r->mem = *mem;
	memcpy(r->key, key, sizeof(r->key));
	return 0;
}

void weft_ratelimit_fini(struct weft_ratelimit *r)
{
	if (r->entries)
		r->mem.free(r->mem.ctx, r->entries, r->count * sizeof(*r->entries));
	memset(r, 0, sizeof(*r));
}

/* The entry of this address, or the one that it may have: the first that will be full. */
static struct weft_ratelimit_entry *pick(struct weft_ratelimit *r, uint64_t addr, uint8_t family)
{
	struct weft_ratelimit_entry *set, *best;
	uint8_t name[9];
	uint64_t hash;

	memcpy(name, &addr, 8);
	name[8] = family;
	hash = weft_siphash(r->key, name, sizeof(name));
	set = &r->entries[hash & (r->count - 1) & ~(uint64_t)(WEFT_RATELIMIT_WAYS - 1)];
	best = set;
	for (unsigned i = 0; i < WEFT_RATELIMIT_WAYS; i++) {
		if (set[i].addr == addr && set[i].family == family)
			return &set[i];
		if (set[i].full_ns < best->full_ns)
			best = &set[i];
	}
	best->addr = addr;
	best->family = family;
	best->full_ns = 0;
	return best;
}

bool weft_ratelimit_allow(struct weft_ratelimit *r, const struct weft_ip *ip, uint64_t now_ns)
{
	struct weft_ratelimit_entry *e;
	uint64_t addr = 0, full;

	memcpy(&addr, ip->b, ip->family == WEFT_IPV4 ? 4 : 8);
	e = pick(r, addr, ip->family);
	full = e->full_ns > now_ns ? e->full_ns : now_ns;
	if (full + TOKEN_NS > now_ns + BUCKET_NS)
		return false;
	e->full_ns = full + TOKEN_NS;
	return true;
}
