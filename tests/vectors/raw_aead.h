/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ChaCha20-Poly1305 with any 96-bit nonce, from the algorithm that src/crypto has fetched: known
 * answers whose nonce does not begin with 32 zero bits cannot pass through WireGuard's counter.
 */
#ifndef WEFT_TESTS_VECTORS_RAW_AEAD_H
#define WEFT_TESTS_VECTORS_RAW_AEAD_H

#include "crypto/internal.h"

/* Opens (`seal` 0) or seals; `tag` is read or written. True if it worked. */
static inline bool raw_aead(int seal, const uint8_t key[32], const uint8_t nonce[12],
			    const uint8_t *ad, size_t ad_len, uint8_t *out, const uint8_t *in,
			    size_t len, uint8_t tag[16])
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t end[1];
	int n;
	bool ok = ctx && EVP_CipherInit_ex2(ctx, weft_algorithms.chacha20_poly1305, key, nonce,
					    seal, NULL) == 1;

	if (ok && !seal)
		ok = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, 16, tag) == 1;
	if (ok && ad_len)
		ok = EVP_CipherUpdate(ctx, NULL, &n, ad, (int)ad_len) == 1;
	if (ok && len)
		ok = EVP_CipherUpdate(ctx, out, &n, in, (int)len) == 1;
	ok = ok && EVP_CipherFinal_ex(ctx, end, &n) == 1;
	if (ok && seal)
		ok = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, tag) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

#endif
