/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hash tables with chains of nodes out of one block. A body (heads, nodes, keys) is one
 * allocation, never grows, and is replaced whole by a larger one.
 *
 * A removed node may still be looked at by workers, who follow its `next` out of it. It therefore
 * goes to the young limbo; once all that was in the old limbo may be used again, young becomes old
 * under a fresh mark. Chains of free and limbo nodes go through `link`, which no worker reads.
 */
#include "core/table.h"

#include <errno.h>
#include <string.h>

#define NONE         UINT32_MAX
#define MIN_CAPACITY 64

struct node {
	_Atomic(void *) value;
	_Atomic uint32_t next; /* node number, or NONE */
	uint32_t link;
};

struct weft_table_body {
	struct weft_retired retired;
	struct weft_mem mem;
	size_t alloc_size;
	uint32_t capacity; /* nodes */
	uint32_t mask;     /* heads - 1 */
	uint32_t unused;   /* nodes from here on were never used */
	uint32_t free;
	uint32_t young, old; /* limbo */
	uint64_t old_mark;
	_Atomic uint32_t *heads;
	struct node *nodes;
	uint8_t *keys;
};

static uint8_t *key_at(const struct weft_table *t, const struct weft_table_body *b, uint32_t i)
{
	return b->keys + (size_t)i * t->key_len;
}

static _Atomic uint32_t *head_of(const struct weft_table *t, const struct weft_table_body *b,
				 const void *key)
{
	return &b->heads[weft_siphash(t->hash_key, key, t->key_len) & b->mask];
}

static struct weft_table_body *body_of(const struct weft_table *t)
{
	return atomic_load_explicit(&t->body, memory_order_acquire);
}

static struct weft_table_body *make_body(const struct weft_table *t, size_t capacity)
{
	struct weft_table_body *b;
	size_t heads = MIN_CAPACITY, nodes_at, heads_at, keys_at, size;

	/* capacity is at most 4 * WEFT_TABLE_MAX: nothing here overflows 64 bits */
	while (heads < capacity)
		heads *= 2;
	nodes_at = (sizeof(*b) + 63) / 64 * 64;
	heads_at = nodes_at + capacity * sizeof(struct node);
	keys_at = heads_at + heads * sizeof(uint32_t);
	size = keys_at + capacity * t->key_len;
	b = t->mem.alloc(t->mem.ctx, size);
	if (!b)
		return NULL;
	b->mem = t->mem;
	b->alloc_size = size;
	b->capacity = (uint32_t)capacity;
	b->mask = (uint32_t)(heads - 1);
	b->unused = 0;
	b->free = b->young = b->old = NONE;
	b->old_mark = 0;
	b->nodes = (struct node *)(void *)((uint8_t *)b + nodes_at);
	b->heads = (_Atomic uint32_t *)(void *)((uint8_t *)b + heads_at);
	b->keys = (uint8_t *)b + keys_at;
	for (size_t i = 0; i < heads; i++)
		atomic_store_explicit(&b->heads[i], NONE, memory_order_relaxed);
	return b;
}

static void free_body(void *ctx, struct weft_retired *node)
{
	/* `retired` is the first member */
	struct weft_table_body *b = (struct weft_table_body *)(void *)node;
	struct weft_mem mem = b->mem;

	(void)ctx;
	mem.free(mem.ctx, b, b->alloc_size);
}

int weft_table_init(struct weft_table *t, const struct weft_mem *mem, struct weft_epoch *epoch,
		    size_t key_len, const uint8_t hash_key[WEFT_SIPHASH_KEY_LEN])
{
	struct weft_table_body *b;

	if (key_len == 0 || key_len > WEFT_TABLE_MAX_KEY_LEN)
		return -EINVAL;
	memset(t, 0, sizeof(*t));
	t->key_len = key_len;
	t->mem = *mem;
	t->epoch = epoch;
	memcpy(t->hash_key, hash_key, sizeof(t->hash_key));
	b = make_body(t, MIN_CAPACITY);
	if (!b)
		return -ENOMEM;
	t->reserved = MIN_CAPACITY / 2;
	atomic_store_explicit(&t->body, b, memory_order_release);
	return 0;
}

void weft_table_fini(struct weft_table *t)
{
	struct weft_table_body *b = body_of(t);

	if (b)
		free_body(NULL, &b->retired);
	memset(t, 0, sizeof(*t));
}

/* A node to use, or NONE. */
static uint32_t take_node(struct weft_table *t, struct weft_table_body *b)
{
	uint32_t i;

	if (b->free == NONE && b->old == NONE && b->young != NONE) {
		b->old = b->young;
		b->young = NONE;
		b->old_mark = weft_epoch_mark(t->epoch);
	}
	if (b->free == NONE && b->old != NONE && weft_epoch_passed(t->epoch, b->old_mark)) {
		b->free = b->old;
		b->old = NONE;
	}
	if (b->free != NONE) {
		i = b->free;
		b->free = b->nodes[i].link;
		return i;
	}
	return b->unused < b->capacity ? b->unused++ : NONE;
}

static void link_node(struct weft_table *t, struct weft_table_body *b, uint32_t i, const void *key,
		      void *value)
{
	_Atomic uint32_t *head = head_of(t, b, key);
	struct node *n = &b->nodes[i];

	memcpy(key_at(t, b, i), key, t->key_len);
	atomic_store_explicit(&n->value, value, memory_order_relaxed);
	atomic_store_explicit(&n->next, atomic_load_explicit(head, memory_order_relaxed),
			      memory_order_relaxed);
	atomic_store_explicit(head, i, memory_order_release);
}

/* Copies everything into a body of `capacity` nodes and retires the present one. */
static int regrow(struct weft_table *t, size_t capacity)
{
	struct weft_table_body *old = body_of(t), *b = make_body(t, capacity);

	if (!b)
		return -ENOMEM;
	for (uint32_t h = 0; h <= old->mask; h++) {
		uint32_t i = atomic_load_explicit(&old->heads[h], memory_order_relaxed);

		for (; i != NONE;
		     i = atomic_load_explicit(&old->nodes[i].next, memory_order_relaxed))
			link_node(t, b, b->unused++, key_at(t, old, i),
				  atomic_load_explicit(&old->nodes[i].value, memory_order_relaxed));
	}
	atomic_store_explicit(&t->body, b, memory_order_release);
	weft_epoch_retire(t->epoch, &old->retired, free_body);
	return 0;
}

int weft_table_reserve(struct weft_table *t, size_t n)
{
	size_t want;
	int rc;

	if (n > WEFT_TABLE_MAX || t->count + n > WEFT_TABLE_MAX)
		return WEFT_E_LIMIT;
	want = t->count + n;
	if (want <= t->reserved)
		return 0;
	if (want < t->reserved * 2)
		want = t->reserved * 2;
	if (want > WEFT_TABLE_MAX)
		want = WEFT_TABLE_MAX;
	rc = regrow(t, want * 2);
	if (rc == 0)
		t->reserved = want;
	return rc;
}

static uint32_t find_node(const struct weft_table *t, const struct weft_table_body *b,
			  const void *key)
{
	uint32_t i = atomic_load_explicit(head_of(t, b, key), memory_order_acquire);

	while (i != NONE && memcmp(key_at(t, b, i), key, t->key_len) != 0)
		i = atomic_load_explicit(&b->nodes[i].next, memory_order_acquire);
	return i;
}

int weft_table_insert(struct weft_table *t, const void *key, void *value)
{
	struct weft_table_body *b = body_of(t);
	uint32_t i;
	int rc;

	if (find_node(t, b, key) != NONE)
		return -EEXIST;
	rc = weft_table_reserve(t, 1);
	if (rc)
		return rc;
	b = body_of(t);
	i = take_node(t, b);
	if (i == NONE) {
		/* as many nodes wait for workers to leave as are in use: start afresh, no larger */
		rc = regrow(t, t->reserved * 2);
		if (rc)
			return rc;
		b = body_of(t);
		i = take_node(t, b);
	}
	link_node(t, b, i, key, value);
	t->count++;
	return 0;
}

void *weft_table_find(const struct weft_table *t, const void *key)
{
	const struct weft_table_body *b = body_of(t);
	uint32_t i = find_node(t, b, key);

	return i == NONE ? NULL : atomic_load_explicit(&b->nodes[i].value, memory_order_acquire);
}

void *weft_table_replace(struct weft_table *t, const void *key, void *value)
{
	struct weft_table_body *b = body_of(t);
	uint32_t i = find_node(t, b, key);

	if (i == NONE)
		return NULL;
	return atomic_exchange_explicit(&b->nodes[i].value, value, memory_order_acq_rel);
}

void *weft_table_remove(struct weft_table *t, const void *key)
{
	struct weft_table_body *b = body_of(t);
	_Atomic uint32_t *from = head_of(t, b, key);
	uint32_t i = atomic_load_explicit(from, memory_order_relaxed);

	while (i != NONE && memcmp(key_at(t, b, i), key, t->key_len) != 0) {
		from = &b->nodes[i].next;
		i = atomic_load_explicit(from, memory_order_relaxed);
	}
	if (i == NONE)
		return NULL;
	/* the node keeps its own next: a worker that stands on it walks on */
	atomic_store_explicit(from, atomic_load_explicit(&b->nodes[i].next, memory_order_relaxed),
			      memory_order_release);
	b->nodes[i].link = b->young;
	b->young = i;
	t->count--;
	return atomic_load_explicit(&b->nodes[i].value, memory_order_relaxed);
}

int weft_index_insert(struct weft_table *t, const struct weft_rng *rng, void *value,
		      uint32_t *ret_index)
{
	for (int tries = 0; tries < 64; tries++) {
		uint32_t index;
		int rc;

		rng->fill(rng->ctx, &index, sizeof(index));
		rc = weft_table_insert(t, &index, value);
		if (rc == -EEXIST)
			continue;
		if (rc == 0)
			*ret_index = index;
		return rc;
	}
	return WEFT_E_LIMIT;
}
