/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of what uses ChaCha20-Poly1305 run once with each library: WEFT_TEST_CRYPTO names it. Where
 * the processor cannot run it the program ends as skipped; a library that fails its self-test is a
 * failure.
 */
#ifndef WEFT_TESTS_CRYPTO_CHOICE_H
#define WEFT_TESTS_CRYPTO_CHOICE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"

#define SKIPPED 77

static inline int crypto_choice_skip(const char *why)
{
	(void)printf("1..0 # SKIP %s\n", why);
	exit(SKIPPED);
}

static inline int crypto_choice_init(void)
{
	const char *name = getenv("WEFT_TEST_CRYPTO");

	if (!name)
		return weft_crypto_init();
	if (strcmp(name, "openssl") == 0)
		return weft_crypto_init_with(WEFT_AEAD_OPENSSL);
#ifdef __x86_64__
	if (strcmp(name, "avx512") == 0) {
		if (!__builtin_cpu_supports("avx512ifma") || !__builtin_cpu_supports("avx512bw"))
			return crypto_choice_skip("no AVX-512 IFMA");
		return weft_crypto_init_with(WEFT_AEAD_AVX512);
	}
	if (!__builtin_cpu_supports("avx2"))
		return crypto_choice_skip("no AVX2");
#endif
	return weft_crypto_init_with(WEFT_AEAD_IPSEC_MB);
}

#endif
