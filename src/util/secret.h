/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A 32-byte secret as a type of its own, so that it can neither be printed nor compared by
 * accident. Whoever holds one on the stack clears it on every way out.
 */
#ifndef WEFT_UTIL_SECRET_H
#define WEFT_UTIL_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef WEFT_CT_CHECK
#include <valgrind/memcheck.h>
#endif

#define WEFT_KEY_LEN 32 /* Curve25519 keys, preshared keys, session keys */

struct weft_secret {
	uint8_t b[WEFT_KEY_LEN];
};

/* Overwrites `n` bytes in a way that the compiler keeps. Any thread. */
static inline void weft_wipe(void *p, size_t n)
{
	memset(p, 0, n);
	__asm__ __volatile__("" : : "r"(p) : "memory");
}

static inline void weft_secret_clear(struct weft_secret *s)
{
	weft_wipe(s->b, sizeof(s->b));
}

/*
 * Says that these bytes may decide what happens from here on, although they were computed from
 * secrets. Nothing in an ordinary build; in tests/ct, where secrets are undefined to valgrind, it
 * makes them defined. Each use says why.
 */
static inline void weft_declassify(const void *p, size_t n)
{
#ifdef WEFT_CT_CHECK
	(void)VALGRIND_MAKE_MEM_DEFINED(p, n);
#else
	(void)p;
	(void)n;
#endif
}

/* True if the `n` bytes are equal. Takes the same time whatever they hold. Any thread. */
static inline bool weft_ct_equal(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;
	uint8_t diff = 0;

	for (size_t i = 0; i < n; i++)
		diff = (uint8_t)(diff | (x[i] ^ y[i]));
	__asm__ __volatile__("" : "+r"(diff));
	diff = diff == 0;
	weft_declassify(&diff, sizeof(diff)); /* the verdict is for acting upon */
	return diff;
}

/* True if all `n` bytes are zero. Takes the same time whatever they hold. Any thread. */
static inline bool weft_ct_is_zero(const void *a, size_t n)
{
	const uint8_t *x = a;
	uint8_t acc = 0;

	for (size_t i = 0; i < n; i++)
		acc = (uint8_t)(acc | x[i]);
	__asm__ __volatile__("" : "+r"(acc));
	acc = acc == 0;
	weft_declassify(&acc, sizeof(acc));
	return acc;
}

#endif
