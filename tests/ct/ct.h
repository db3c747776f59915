/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Constant time, as valgrind's memcheck can see it: secrets are marked undefined, and memcheck
 * then reports every branch and every address that depends on them. What comes out and is public
 * by design (what goes on the wire, a verdict) is declassified by name: weft_declassify in the code
 * under test, ct_public here. The method is Adam Langley's ctgrind.
 */
#ifndef WEFT_TESTS_CT_CT_H
#define WEFT_TESTS_CT_CT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <valgrind/memcheck.h>

#include "util/secret.h"

#ifndef WEFT_CT_CHECK
#error "the code under test must be built with WEFT_CT_CHECK"
#endif

static inline void ct_secret(void *p, size_t n)
{
	(void)VALGRIND_MAKE_MEM_UNDEFINED(p, n);
}

static inline void ct_public(void *p, size_t n)
{
	(void)VALGRIND_MAKE_MEM_DEFINED(p, n);
}

/* That the value computed is right as well; `cond` is public by now. */
#define CT_CHECK(cond)                                                                           \
	do {                                                                                     \
		if (!(cond)) {                                                                   \
			(void)fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #cond); \
			exit(1);                                                                 \
		}                                                                                \
	} while (0)

/* Outside valgrind nothing is checked: then the program fails, so that it cannot seem to pass. */
static inline void ct_begin(void)
{
	CT_CHECK(RUNNING_ON_VALGRIND);
}

#endif
