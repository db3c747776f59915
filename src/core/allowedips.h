/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allowed IPs: longest prefix match for both families (WireGuard paper, section 2), as binary tries
 * with compressed paths. A prefix belongs to one set; a set lies inside the peer that owns it.
 *
 * Threads: `lookup` takes no lock and may run in any worker inside a batch (epoch.h); everything
 * else is the owner's. Nodes that were removed are used again once no worker can hold them; chunks
 * of nodes go back to the allocator only in fini. A million prefixes take 144 MB at most (72 bytes
 * a node, fewer than two nodes a prefix).
 */
#ifndef WEFT_CORE_ALLOWEDIPS_H
#define WEFT_CORE_ALLOWEDIPS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "core/epoch.h"
#include "core/mem.h"
#include "util/error.h"
#include "util/inet.h"

struct weft_allowed_node;

/* The prefixes of one peer. All zeros: none. Must outlive its last lookup (retire the peer). */
struct weft_allowed_set {
	struct weft_allowed_node *first;
	size_t count;
	uint8_t sorted;
};

struct weft_allowedips {
	_Atomic(struct weft_allowed_node *) root[2]; /* IPv4, IPv6 */
	struct weft_allowed_node *free;              /* usable now */
	struct weft_allowed_node *limbo_first;       /* usable once their marks have passed */
	struct weft_allowed_node *limbo_last;
	void *chunks;
	size_t free_count;
	size_t count; /* prefixes */
	struct weft_mem mem;
	struct weft_epoch *epoch;
};

/* `epoch` is borrowed until fini. Owner. */
void weft_allowedips_init(struct weft_allowedips *t, const struct weft_mem *mem,
			  struct weft_epoch *epoch);
/* Frees all nodes at once: workers must have ended; sets are left dangling. Owner. */
void weft_allowedips_fini(struct weft_allowedips *t);

/*
 * Makes sure that `n` more prefixes of either family can be inserted without failing.
 * Returns 0, -ENOMEM or WEFT_E_LIMIT (overflow). Owner.
 */
WEFT_MUST_CHECK int weft_allowedips_reserve(struct weft_allowedips *t, size_t n);

/*
 * Gives the prefix (host bits are ignored) to `set`, and takes it from the set that had it.
 * Returns 0, -ENOMEM, or -EINVAL (family or length). Owner.
 */
WEFT_MUST_CHECK int weft_allowedips_insert(struct weft_allowedips *t,
					   const struct weft_prefix *prefix,
					   struct weft_allowed_set *set);

/* Removes exactly this prefix if `set` has it. Returns 0 or -ENOENT. Owner. */
int weft_allowedips_remove(struct weft_allowedips *t, const struct weft_prefix *prefix,
			   struct weft_allowed_set *set);

/* Removes all prefixes of `set`. Owner. */
void weft_allowedips_clear(struct weft_allowedips *t, struct weft_allowed_set *set);

/* The set with the longest prefix that contains `ip`, or NULL. Any worker, inside a batch. */
struct weft_allowed_set *weft_allowedips_lookup(const struct weft_allowedips *t,
						const struct weft_ip *ip);

/* Calls `fn` for each prefix of `set`, IPv4 first, ascending. `fn` changes nothing. Owner. */
void weft_allowedips_each(struct weft_allowed_set *set,
			  void (*fn)(void *arg, const struct weft_prefix *prefix), void *arg);

#endif
