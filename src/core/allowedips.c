/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allowed IPs: one path-compressed binary trie per family. A node stands for a prefix; one without
 * a set only joins two others. A node's prefix never changes while a worker can see it; its
 * children and its set do, each by one atomic store that leaves a whole trie behind.
 *
 * A node that was taken out still points into the trie, so that a worker that stands on it goes on
 * from there. It waits in limbo, linked through `next`, until its mark has passed.
 */
#include "core/allowedips.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define CHUNK_NODES  568 /* with the header: 40 KiB, a size that memory for keys comes in */
#define CHUNK_HEADER 64
#define MAX_RESERVE  ((size_t)1 << 28)

struct weft_allowed_node {
	_Atomic(struct weft_allowed_node *) child[2];
	_Atomic(struct weft_allowed_set *) set;
	/* owner only: */
	struct weft_allowed_node *parent;
	struct weft_allowed_node *next; /* of the same set; or free; or in limbo */
	union {
		struct weft_allowed_node *prev; /* of the same set */
		uint64_t mark;                  /* in limbo */
	} u;
	/* fixed while in sight: */
	uint8_t bits[16];
	uint8_t len;
	uint8_t family;
};

struct chunk {
	struct chunk *next;
	size_t size;
};

typedef struct weft_allowed_node node_t;

static node_t *load(const _Atomic(node_t *) *p)
{
	return atomic_load_explicit(p, memory_order_acquire);
}

static void store(_Atomic(node_t *) *p, node_t *n)
{
	atomic_store_explicit(p, n, memory_order_release);
}

static unsigned bit_at(const uint8_t *bits, unsigned i)
{
	return (bits[i / 8] >> (7 - i % 8)) & 1;
}

/* Are the first `len` bits equal? */
static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned len)
{
	unsigned bytes = len / 8, rest = len % 8;

	if (memcmp(a, b, bytes) != 0)
		return false;
	return rest == 0 || ((a[bytes] ^ b[bytes]) >> (8 - rest)) == 0;
}

/* How many leading bits are equal, at most `max`. */
static unsigned common_bits(const uint8_t *a, const uint8_t *b, unsigned max)
{
	unsigned i = 0;

	while (i + 8 <= max && a[i / 8] == b[i / 8])
		i += 8;
	while (i < max && bit_at(a, i) == bit_at(b, i))
		i++;
	return i;
}

/* ---- nodes ---- */

static void push_free(struct weft_allowedips *t, node_t *n)
{
	n->next = t->free;
	t->free = n;
	t->free_count++;
}

static int add_chunk(struct weft_allowedips *t, size_t nodes)
{
	size_t size = CHUNK_HEADER + nodes * sizeof(node_t);
	struct chunk *c = t->mem.alloc(t->mem.ctx, size);
	node_t *n;

	if (!c)
		return -ENOMEM;
	c->next = t->chunks;
	c->size = size;
	t->chunks = c;
	n = (node_t *)(void *)((uint8_t *)c + CHUNK_HEADER);
	for (size_t i = nodes; i-- > 0;)
		push_free(t, &n[i]);
	return 0;
}

/* Brings back what no worker can hold any more. */
static void drain_limbo(struct weft_allowedips *t)
{
	while (t->limbo_first && weft_epoch_passed(t->epoch, t->limbo_first->u.mark)) {
		node_t *n = t->limbo_first;

		t->limbo_first = n->next;
		push_free(t, n);
	}
}

static void retire(struct weft_allowedips *t, node_t *n)
{
	n->u.mark = weft_epoch_mark(t->epoch);
	n->next = NULL;
	if (t->limbo_first)
		t->limbo_last->next = n;
	else
		t->limbo_first = n;
	t->limbo_last = n;
}

/* Makes sure that this many nodes are free. */
static int need(struct weft_allowedips *t, size_t nodes)
{
	if (t->free_count >= nodes)
		return 0;
	drain_limbo(t);
	if (t->free_count >= nodes)
		return 0;
	nodes -= t->free_count;
	return add_chunk(t, (nodes + CHUNK_NODES - 1) / CHUNK_NODES * CHUNK_NODES);
}

static node_t *take(struct weft_allowedips *t, const uint8_t *bits, unsigned len, uint8_t family)
{
	node_t *n = t->free;
	struct weft_prefix p = {.len = (uint8_t)len};

	t->free = n->next;
	t->free_count--;
	memset(n, 0, sizeof(*n));
	memcpy(p.ip.b, bits, sizeof(p.ip.b));
	p.ip.family = family;
	weft_prefix_mask(&p);
	memcpy(n->bits, p.ip.b, sizeof(n->bits));
	n->len = (uint8_t)len;
	n->family = family;
	return n;
}

/* ---- the list of a set ---- */

/* IPv4 first, then by address, then by length. */
static int compare(const node_t *a, const node_t *b)
{
	int d = (int)a->family - (int)b->family;

	if (d == 0)
		d = memcmp(a->bits, b->bits, sizeof(a->bits));
	return d ? d : (int)a->len - (int)b->len;
}

static void join_set(struct weft_allowed_set *set, node_t *n)
{
	if (set->count == 0)
		set->sorted = 1;
	else if (compare(n, set->first) > 0)
		set->sorted = 0;
	n->u.prev = NULL;
	n->next = set->first;
	if (n->next)
		n->next->u.prev = n;
	set->first = n;
	set->count++;
	atomic_store_explicit(&n->set, set, memory_order_release);
}

/* The caller then gives the node to another set, or none. */
static void leave_set(struct weft_allowed_set *set, node_t *n)
{
	if (n->u.prev)
		n->u.prev->next = n->next;
	else
		set->first = n->next;
	if (n->next)
		n->next->u.prev = n->u.prev;
	n->next = n->u.prev = NULL;
	set->count--;
}

static node_t *merge(node_t *a, node_t *b)
{
	node_t *first = NULL, **last = &first;

	while (a && b) {
		node_t **less = compare(a, b) <= 0 ? &a : &b;

		*last = *less;
		last = &(*less)->next;
		*less = (*less)->next;
	}
	*last = a ? a : b;
	return first;
}

/* Merge sort from the bottom: bin i holds a sorted list of 2^i nodes. */
static void sort_set(struct weft_allowed_set *set)
{
	node_t *bins[48] = {NULL}, *n = set->first, *prev = NULL;
	size_t i;

	while (n) {
		node_t *one = n;

		n = n->next;
		one->next = NULL;
		for (i = 0; bins[i]; i++) {
			one = merge(bins[i], one);
			bins[i] = NULL;
		}
		bins[i] = one;
	}
	for (i = 0; i < sizeof(bins) / sizeof(bins[0]); i++)
		n = merge(bins[i], n);
	set->first = n;
	for (; n; n = n->next) {
		n->u.prev = prev;
		prev = n;
	}
	set->sorted = 1;
}

/* ---- the trie ---- */

void weft_allowedips_init(struct weft_allowedips *t, const struct weft_mem *mem,
			  struct weft_epoch *epoch)
{
	memset(t, 0, sizeof(*t));
	t->mem = *mem;
	t->epoch = epoch;
}

void weft_allowedips_fini(struct weft_allowedips *t)
{
	struct chunk *c = t->chunks;

	while (c) {
		struct chunk *next = c->next;

		t->mem.free(t->mem.ctx, c, c->size);
		c = next;
	}
	memset(t, 0, sizeof(*t));
}

int weft_allowedips_reserve(struct weft_allowedips *t, size_t n)
{
	if (n > MAX_RESERVE)
		return WEFT_E_LIMIT;
	return need(t, 2 * n);
}

static _Atomic(node_t *) *root_of(struct weft_allowedips *t, uint8_t family)
{
	return &t->root[family == WEFT_IPV6];
}

/* Where a prefix is, or would be. */
struct place {
	_Atomic(node_t *) *link; /* that leads to `node` */
	node_t *parent;
	node_t *node; /* the prefix itself, or what must come under or beside it, or NULL */
	bool exact;
};

static struct place find_place(struct weft_allowedips *t, const struct weft_ip *ip, unsigned len)
{
	struct place at = {.link = root_of(t, ip->family)};

	for (;;) {
		at.node = load(at.link);
		if (!at.node || at.node->len > len ||
		    !same_bits(at.node->bits, ip->b, at.node->len))
			return at;
		if (at.node->len == len) {
			at.exact = true;
			return at;
		}
		at.parent = at.node;
		at.link = &at.node->child[bit_at(ip->b, at.node->len)];
	}
}

/* Puts `n` (not in sight yet) above `below`. */
static void put_above(node_t *n, node_t *below)
{
	store(&n->child[bit_at(below->bits, n->len)], below);
	below->parent = n;
}

static void add_node(struct weft_allowedips *t, const struct place *at,
		     const struct weft_prefix *prefix, struct weft_allowed_set *set)
{
	node_t *n = take(t, prefix->ip.b, prefix->len, prefix->ip.family), *top = n;

	if (at->node) {
		unsigned max = at->node->len < n->len ? at->node->len : n->len;
		unsigned common = common_bits(at->node->bits, n->bits, max);

		if (common < n->len) {
			top = take(t, n->bits, common, n->family);
			put_above(top, n);
		}
		put_above(top, at->node);
	}
	top->parent = at->parent;
	join_set(set, n);
	t->count++;
	store(at->link, top);
}

int weft_allowedips_insert(struct weft_allowedips *t, const struct weft_prefix *prefix,
			   struct weft_allowed_set *set)
{
	struct weft_prefix p = *prefix;
	struct weft_allowed_set *old;
	struct place at;
	int rc;

	if (weft_family_bits(p.ip.family) == 0 || p.len > weft_family_bits(p.ip.family))
		return -EINVAL;
	weft_prefix_mask(&p);
	at = find_place(t, &p.ip, p.len);
	if (at.exact) {
		old = atomic_load_explicit(&at.node->set, memory_order_relaxed);
		if (old == set)
			return 0;
		if (old)
			leave_set(old, at.node);
		else
			t->count++;
		join_set(set, at.node);
		return 0;
	}
	rc = need(t, 2);
	if (rc)
		return rc;
	add_node(t, &at, &p, set);
	return 0;
}

/* Takes out a node without a set, unless it joins two others; then its parent, likewise. */
static void prune(struct weft_allowedips *t, node_t *n)
{
	while (n && !atomic_load_explicit(&n->set, memory_order_relaxed)) {
		node_t *a = load(&n->child[0]), *b = load(&n->child[1]), *parent = n->parent;
		node_t *child = a ? a : b;

		if (a && b)
			return;
		if (child)
			child->parent = parent;
		if (!parent)
			store(root_of(t, n->family), child);
		else
			store(&parent->child[load(&parent->child[1]) == n], child);
		retire(t, n);
		n = parent;
	}
}

static void remove_node(struct weft_allowedips *t, node_t *n, struct weft_allowed_set *set)
{
	leave_set(set, n);
	atomic_store_explicit(&n->set, NULL, memory_order_release);
	t->count--;
	prune(t, n);
}

int weft_allowedips_remove(struct weft_allowedips *t, const struct weft_prefix *prefix,
			   struct weft_allowed_set *set)
{
	struct weft_prefix p = *prefix;
	struct place at;

	if (weft_family_bits(p.ip.family) == 0 || p.len > weft_family_bits(p.ip.family))
		return -ENOENT;
	weft_prefix_mask(&p);
	at = find_place(t, &p.ip, p.len);
	if (!at.exact || atomic_load_explicit(&at.node->set, memory_order_relaxed) != set)
		return -ENOENT;
	remove_node(t, at.node, set);
	return 0;
}

void weft_allowedips_clear(struct weft_allowedips *t, struct weft_allowed_set *set)
{
	while (set->first)
		remove_node(t, set->first, set);
}

struct weft_allowed_set *weft_allowedips_lookup(const struct weft_allowedips *t,
						const struct weft_ip *ip)
{
	unsigned bits = weft_family_bits(ip->family);
	struct weft_allowed_set *found = NULL, *set;
	const node_t *n;

	if (bits == 0)
		return NULL;
	n = load(&t->root[ip->family == WEFT_IPV6]);
	while (n && same_bits(n->bits, ip->b, n->len)) {
		set = atomic_load_explicit(&n->set, memory_order_acquire);
		if (set)
			found = set;
		if (n->len == bits)
			break;
		n = load(&n->child[bit_at(ip->b, n->len)]);
	}
	return found;
}

void weft_allowedips_each(struct weft_allowed_set *set,
			  void (*fn)(void *arg, const struct weft_prefix *prefix), void *arg)
{
	if (!set->sorted)
		sort_set(set);
	for (const node_t *n = set->first; n; n = n->next) {
		struct weft_prefix p = {.len = n->len};

		memcpy(p.ip.b, n->bits, sizeof(p.ip.b));
		p.ip.family = n->family;
		fn(arg, &p);
	}
}
