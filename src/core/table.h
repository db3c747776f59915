/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hash tables of fixed-length keys to opaque pointers, under SipHash-2-4 with a random key: the
 * peers by public key, and sessions and handshakes by receiver index.
 *
 * Threads: one writer, the owner. `find` takes no lock and may run in any worker inside a batch
 * (epoch.h). Growth copies into a new table beside the old one, which is retired. Nothing is
 * allocated as long as what was reserved lasts; removed nodes come back once no worker can hold
 * them, so that twice what was reserved is kept.
 */
#ifndef WEFT_CORE_TABLE_H
#define WEFT_CORE_TABLE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "core/epoch.h"
#include "core/mem.h"
#include "crypto/crypto.h"
#include "util/error.h"
#include "util/secret.h"

#define WEFT_TABLE_MAX_KEY_LEN 32
#define WEFT_TABLE_MAX         (1u << 26) /* entries */

struct weft_table_body;

struct weft_table {
	_Atomic(struct weft_table_body *) body;
	size_t count;
	size_t reserved;
	size_t key_len;
	uint8_t hash_key[WEFT_SIPHASH_KEY_LEN];
	struct weft_mem mem;
	struct weft_epoch *epoch;
};

/*
 * `key_len`: 1 to 32 bytes. `epoch` is borrowed until fini, and its `ctx` is not used.
 * Returns 0 or -ENOMEM. Owner.
 */
WEFT_MUST_CHECK int weft_table_init(struct weft_table *t, const struct weft_mem *mem,
				    struct weft_epoch *epoch, size_t key_len,
				    const uint8_t hash_key[WEFT_SIPHASH_KEY_LEN]);
/* Frees at once: workers must have ended. Call before weft_epoch_fini. Owner. */
void weft_table_fini(struct weft_table *t);

/* Room for `n` more. Returns 0, -ENOMEM or WEFT_E_LIMIT. Owner. */
WEFT_MUST_CHECK int weft_table_reserve(struct weft_table *t, size_t n);

/* Returns 0, -EEXIST, -ENOMEM or WEFT_E_LIMIT. `value` is not NULL. Owner. */
WEFT_MUST_CHECK int weft_table_insert(struct weft_table *t, const void *key, void *value);

/* The value, or NULL. Any worker inside a batch, or the owner. */
void *weft_table_find(const struct weft_table *t, const void *key);

/* Puts another value in an entry's place, seen at once. Returns the old one; NULL: no entry. */
void *weft_table_replace(struct weft_table *t, const void *key, void *value);

/* Takes the entry out. Returns its value, or NULL if there was none. Owner. */
void *weft_table_remove(struct weft_table *t, const void *key);

/* ---- receiver indices: a table with key_len sizeof(uint32_t) ---- */

/*
 * Inserts `value` under a random index that is not in use. Returns 0, -ENOMEM or WEFT_E_LIMIT
 * (no free index found in 64 tries). Owner.
 */
WEFT_MUST_CHECK int weft_index_insert(struct weft_table *t, const struct weft_rng *rng, void *value,
				      uint32_t *ret_index);

static inline void *weft_index_find(const struct weft_table *t, uint32_t index)
{
	return weft_table_find(t, &index);
}

/* A handshake became a keypair: the index stays, the value changes. */
static inline void *weft_index_replace(struct weft_table *t, uint32_t index, void *value)
{
	return weft_table_replace(t, &index, value);
}

static inline void *weft_index_remove(struct weft_table *t, uint32_t index)
{
	return weft_table_remove(t, &index);
}

#endif
