/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for keys (privilege.h): arenas of mapped, locked, undumpable memory, cut into size
 * classes with a free list each. What is free holds zeros but for the list's link, so that
 * allocating clears eight bytes and freeing clears the object. Sizes past the largest class get a
 * mapping of their own. Arenas are kept: a class never shrinks below its high-water mark.
 *
 * There are two pools, because children of a fork differ. The program's own is wiped in them
 * (madvise(2), MADV_WIPEONFORK). OpenSSL's is not: the library's exit handlers run in a child too,
 * and would follow pointers that have become NULL.
 */
#include "linux/privilege.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <openssl/crypto.h>

#include "util/secret.h"

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif

/* What is not handed out is poisoned, so that the sanitizer sees here what it sees in malloc. */
#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#define POISON(p, n)      ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n)    ASAN_UNPOISON_MEMORY_REGION(p, n)
#define ROOT_ADD(p, n)    __lsan_register_root_region(p, n)
#define ROOT_REMOVE(p, n) __lsan_unregister_root_region(p, n)
#else
#define POISON(p, n)      ((void)(p), (void)(n))
#define UNPOISON(p, n)    ((void)(p), (void)(n))
#define ROOT_ADD(p, n)    ((void)(p), (void)(n))
#define ROOT_REMOVE(p, n) ((void)(p), (void)(n))
#endif

#define UNIT           64u    /* granularity, and the alignment of every object */
#define LINEAR_CLASSES 8u     /* 64, 128, ... 512 bytes; then four classes a doubling */
#define CLASS_MAX      65536u /* bytes of the largest class */
#define CLASSES        36u
#define ARENA_MIN      ((size_t)256 << 10)
#define ARENA_MAX      ((size_t)8 << 20)
#define HUGE_PAGE      ((size_t)2 << 20)
#define PAGE           4096u /* large sizes are rounded up to it; the kernel's may be larger */

struct object {
	struct object *next;
};

/* Before a large object, in a mapping of its own; keeps the object's alignment. */
struct large {
	_Alignas(UNIT) size_t bytes;
	bool locked;
};

struct pool {
	pthread_mutex_t lock;
	struct object *free[CLASSES];
	uint8_t *fresh; /* the rest of the newest arena */
	size_t fresh_left;
	size_t mapped;
	bool wipe_on_fork;
};

static struct pool own_pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .wipe_on_fork = true};
static struct pool openssl_pool = {.lock = PTHREAD_MUTEX_INITIALIZER};
static _Atomic size_t unlocked_bytes;

/* The class of a size from 1 to CLASS_MAX, and the bytes of its objects. */
static unsigned class_of(size_t size, size_t *ret_bytes)
{
	unsigned units = (unsigned)((size + UNIT - 1) / UNIT), last = units - 1, log, shift;

	if (units <= LINEAR_CLASSES) {
		*ret_bytes = (size_t)units * UNIT;
		return units - 1;
	}
	/* last has bits log2(last) down to 0; the upper three choose the class */
	for (log = 3; last >> (log + 1); log++)
		;
	shift = log - 2;
	*ret_bytes = (size_t)(((last >> shift) + 1) << shift) * UNIT;
	return LINEAR_CLASSES + (log - 3) * 4 + ((last >> shift) - 4);
}

/*
 * Zeroed address space on a border of `align` bytes (0: of pages), or NULL. What was mapped around
 * it is given back.
 */
static void *map_aligned(size_t bytes, size_t align)
{
	uint8_t *p = mmap(NULL, bytes + align, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	size_t before;

	if (p == MAP_FAILED)
		return NULL;
	if (!align)
		return p;
	before = (align - (uintptr_t)p % align) % align;
	if (before)
		(void)munmap(p, before);
	(void)munmap(p + before + bytes, align - before);
	return p + before;
}

/* Mapped, zeroed memory, or NULL; `ret_locked` says whether it counts against the lock limit. */
static void *map_pages(size_t bytes, bool huge, bool wipe_on_fork, bool *ret_locked)
{
	void *p = map_aligned(bytes, huge ? HUGE_PAGE : 0);

	if (!p)
		return NULL;
	if (huge)
		(void)madvise(p, bytes, MADV_HUGEPAGE);
	(void)madvise(p, bytes, MADV_DONTDUMP);
	if (wipe_on_fork)
		(void)madvise(p, bytes, MADV_WIPEONFORK);
	/* on fault: what was never touched takes no memory, and holds no secret */
	*ret_locked = mlock2(p, bytes, MLOCK_ONFAULT) == 0;
	if (!*ret_locked)
		atomic_fetch_add(&unlocked_bytes, bytes);
	ROOT_ADD(p, bytes);
	return p;
}

static void push(struct pool *pool, unsigned class, void *p)
{
	struct object *o = p;

	UNPOISON(o, sizeof(*o));
	o->next = pool->free[class];
	pool->free[class] = o;
	POISON(o, sizeof(*o));
}

/* What is left of an arena goes to the free lists, in the largest pieces that it can give. */
static void give_rest(struct pool *pool)
{
	while (pool->fresh_left >= UNIT) {
		size_t bytes, take = pool->fresh_left < CLASS_MAX ? pool->fresh_left : CLASS_MAX;
		unsigned class = class_of(take, &bytes);

		while (bytes > take) /* the class rounds up: take the one below */
			class = class_of(take -= UNIT, &bytes);
		push(pool, class, pool->fresh);
		pool->fresh += bytes;
		pool->fresh_left -= bytes;
	}
}

static bool add_arena(struct pool *pool)
{
	size_t bytes = pool->mapped / 4 / ARENA_MIN * ARENA_MIN;
	bool locked;
	void *p;

	if (bytes < ARENA_MIN)
		bytes = ARENA_MIN;
	if (bytes > ARENA_MAX)
		bytes = ARENA_MAX;
	/* by the time an arena is as large as this, it will be filled: fewer faults, fewer misses
	 */
	p = map_pages(bytes, bytes == ARENA_MAX, pool->wipe_on_fork, &locked);
	if (!p)
		return false;
	give_rest(pool);
	POISON(p, bytes);
	pool->fresh = p;
	pool->fresh_left = bytes;
	pool->mapped += bytes;
	return true;
}

static void *alloc_large(size_t size, bool wipe_on_fork)
{
	size_t bytes;
	struct large *l;
	bool locked;

	if (size > SIZE_MAX - sizeof(*l) - PAGE)
		return NULL;
	bytes = (size + sizeof(*l) + PAGE - 1) / PAGE * PAGE;
	l = map_pages(bytes, false, wipe_on_fork, &locked);
	if (!l)
		return NULL;
	l->bytes = bytes;
	l->locked = locked;
	return l + 1;
}

static void free_large(void *p, size_t size)
{
	struct large *l = (struct large *)p - 1;
	size_t bytes = l->bytes;

	if (!l->locked)
		atomic_fetch_sub(&unlocked_bytes, bytes);
	weft_wipe(p, size);
	ROOT_REMOVE(l, bytes);
	(void)munmap(l, bytes);
}

static void *pool_alloc(struct pool *pool, size_t size)
{
	size_t bytes;
	unsigned class;
	struct object *o;

	if (!size)
		return NULL;
	if (size > CLASS_MAX)
		return alloc_large(size, pool->wipe_on_fork);
	class = class_of(size, &bytes);
	(void)pthread_mutex_lock(&pool->lock);
	o = pool->free[class];
	if (o) {
		UNPOISON(o, sizeof(*o));
		pool->free[class] = o->next;
		o->next = NULL;
	} else if (pool->fresh_left >= bytes || add_arena(pool)) {
		o = (struct object *)(void *)pool->fresh;
		pool->fresh += bytes;
		pool->fresh_left -= bytes;
	}
	(void)pthread_mutex_unlock(&pool->lock);
	if (o)
		UNPOISON(o, size);
	return o;
}

static void pool_free(struct pool *pool, void *p, size_t size)
{
	size_t bytes;
	unsigned class;

	if (size > CLASS_MAX) {
		free_large(p, size);
		return;
	}
	class = class_of(size, &bytes);
	weft_wipe(p, size);
	POISON(p, bytes);
	(void)pthread_mutex_lock(&pool->lock);
	push(pool, class, p);
	(void)pthread_mutex_unlock(&pool->lock);
}

void *weft_secmem_alloc(size_t size)
{
	return pool_alloc(&own_pool, size);
}

void weft_secmem_free(void *p, size_t size)
{
	if (p)
		pool_free(&own_pool, p, size);
}

size_t weft_secmem_unlocked_bytes(void)
{
	return atomic_load(&unlocked_bytes);
}

/* ---- OpenSSL: frees without a size, so each block begins with its own ---- */

struct block {
	_Alignas(16) size_t size; /* bytes after this header */
};

static void *openssl_alloc(size_t size, const char *file, int line)
{
	struct block *b;

	(void)file;
	(void)line;
	if (!size || size > SIZE_MAX - sizeof(*b))
		return NULL;
	b = pool_alloc(&openssl_pool, sizeof(*b) + size);
	if (!b)
		return NULL;
	b->size = size;
	return b + 1;
}

static void openssl_free(void *p, const char *file, int line)
{
	struct block *b = p;

	(void)file;
	(void)line;
	if (!b)
		return;
	b--;
	pool_free(&openssl_pool, b, sizeof(*b) + b->size);
}

static void *openssl_realloc(void *p, size_t size, const char *file, int line)
{
	size_t old_size = p ? ((struct block *)p - 1)->size : 0;
	void *new_p;

	if (p && !size) {
		openssl_free(p, file, line);
		return NULL;
	}
	new_p = openssl_alloc(size, file, line);
	if (!new_p)
		return NULL;
	if (p) {
		memcpy(new_p, p, old_size < size ? old_size : size);
		openssl_free(p, file, line);
	}
	return new_p;
}

int weft_secmem_adopt_openssl(void)
{
	return CRYPTO_set_mem_functions(openssl_alloc, openssl_realloc, openssl_free) == 1
		       ? 0
		       : WEFT_E_CRYPTO;
}
