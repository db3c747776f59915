/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two halves of aead_avx512.c: ChaCha20 of up to 32 blocks and Poly1305 of eight messages side
 * by side. Nobody but those three files, and a test, includes it.
 *
 * Everything here may be called only where acquire() there has looked at the processor: each
 * function is compiled for these instructions by itself, so that the rest of weft needs none of
 * them.
 */
#ifndef WEFT_CRYPTO_AVX512_H
#define WEFT_CRYPTO_AVX512_H

#include <immintrin.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

#define WEFT_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512ifma")))
/* For the parts of one loop, whose values have to stay in registers. */
#define WEFT_AVX512_INLINE static inline __attribute__((always_inline)) WEFT_AVX512

/* Loops over arrays of registers have to be unrolled, or the arrays lie in memory. */
#define WEFT_UNROLL _Pragma("GCC unroll 16")

#define WEFT_CHACHA_BLOCK 64
#define WEFT_CHACHA_LANES 32
#define WEFT_POLY_LANES   8

/*
 * Which ChaCha20 blocks of one key: RFC 8439's block count (2.3) and the last two words of the
 * nonce, whose first one is zero. Behind the lanes there is room for writing sixteen at a time.
 */
#define WEFT_CHACHA_ROOM (WEFT_CHACHA_LANES + 16)

struct weft_chacha_lanes {
	alignas(64) uint32_t index[WEFT_CHACHA_ROOM];
	alignas(64) uint32_t counter_low[WEFT_CHACHA_ROOM];
	alignas(64) uint32_t counter_high[WEFT_CHACHA_ROOM];
};

/* Makes the lanes from `from` to `to` the blocks of `counter` from `index` on. Spoils later ones.
 */
void weft_chacha20_assign(struct weft_chacha_lanes *lanes, unsigned from, unsigned to,
			  uint64_t counter, uint32_t index);

struct weft_chacha_stream {
	alignas(64) uint8_t block[WEFT_CHACHA_LANES][WEFT_CHACHA_BLOCK];
};

/* The key stream's blocks for a key of 8 words; of the first 16 lanes only if `n` is at most 16. */
void weft_chacha20_stream(const uint32_t key[8], const struct weft_chacha_lanes *lanes, unsigned n,
			  struct weft_chacha_stream *ret_stream);

/* out = in ^ stream, of `len` bytes; `out` may be `in`. */
void weft_chacha20_add(uint8_t *out, const uint8_t *in, size_t len,
		       const uint8_t (*stream)[WEFT_CHACHA_BLOCK]);

/* One message to authenticate under a key of its own. */
struct weft_poly_msg {
	const uint8_t *key; /* r and s, 32 bytes */
	const uint8_t *text;
	size_t len;
};

/* Secrets of a call, in the caller's memory, which is to wipe it: powers of the keys, and such. */
struct weft_poly_scratch {
	alignas(64) uint8_t bytes[28][64];
};

/*
 * The tags of `n` messages (1 to 8) with the same additional data, as RFC 8439, 2.8 builds them.
 * `ret_tags` has room for 8 tags, of which the first `n` are of use.
 */
void weft_poly1305_x8(struct weft_poly_scratch *scratch, const struct weft_poly_msg *msgs,
		      unsigned n, const uint8_t *ad, size_t ad_len, uint8_t (*ret_tags)[16]);

/* Four registers of four 128-bit lanes each, transposed: out[i] has lane i of all of them. */
WEFT_AVX512_INLINE void weft_avx512_transpose_lanes(__m512i out[4], __m512i a, __m512i b, __m512i c,
						    __m512i d)
{
	__m512i ab_low = _mm512_shuffle_i32x4(a, b, 0x44),
		ab_high = _mm512_shuffle_i32x4(a, b, 0xee);
	__m512i cd_low = _mm512_shuffle_i32x4(c, d, 0x44),
		cd_high = _mm512_shuffle_i32x4(c, d, 0xee);

	out[0] = _mm512_shuffle_i32x4(ab_low, cd_low, 0x88);
	out[1] = _mm512_shuffle_i32x4(ab_low, cd_low, 0xdd);
	out[2] = _mm512_shuffle_i32x4(ab_high, cd_high, 0x88);
	out[3] = _mm512_shuffle_i32x4(ab_high, cd_high, 0xdd);
}

#endif
