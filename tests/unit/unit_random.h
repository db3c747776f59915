/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reproducible random numbers for tests (splitmix64). The seed is printed, and taken from
 * WEFT_TEST_SEED if that is set, else fixed.
 */
#ifndef WEFT_TESTS_UNIT_RANDOM_H
#define WEFT_TESTS_UNIT_RANDOM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static inline uint64_t unit_seed(void)
{
	const char *text = getenv("WEFT_TEST_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : 0x77656674;

	printf("# WEFT_TEST_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

static inline uint64_t unit_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

#endif
