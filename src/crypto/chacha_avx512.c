/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ChaCha20 (RFC 8439, 2.3 and 2.4) of sixteen or thirty-two blocks at once. Each register holds one
 * of the sixteen words of the state for sixteen blocks, so that the rounds need no shuffles; the
 * results are transposed at the end. The blocks share the key and nothing else: they may belong to
 * any packets. No branch or address depends on the key or the text.
 *
 * Thirty-two blocks are two such states in all thirty-two registers: four quarter rounds at a time
 * wait for each other's results, eight do not.
 */
#include "crypto/avx512.h"

#define WORDS 16
#define SET   16 /* blocks of one state */

/* A quarter of RFC 8439's quarter round (2.1): the line a += b; d ^= a; d <<<= n. */
#define LINE(x, a, b, d, n)                                                     \
	do {                                                                    \
		(x)[a] = _mm512_add_epi32((x)[a], (x)[b]);                      \
		(x)[d] = _mm512_rol_epi32(_mm512_xor_si512((x)[d], (x)[a]), n); \
	} while (0)

/* The same line of four quarter rounds: columns have all shifts 0, diagonals 1, 2 and 3. */
#define LINES(x, a, a_shift, b, b_shift, d, d_shift, n)                                    \
	do {                                                                               \
		LINE(x, (a) + (a_shift) % 4, (b) + (b_shift) % 4, (d) + (d_shift) % 4, n); \
		LINE(x, (a) + ((a_shift) + 1) % 4, (b) + ((b_shift) + 1) % 4,              \
		     (d) + ((d_shift) + 1) % 4, n);                                        \
		LINE(x, (a) + ((a_shift) + 2) % 4, (b) + ((b_shift) + 2) % 4,              \
		     (d) + ((d_shift) + 2) % 4, n);                                        \
		LINE(x, (a) + ((a_shift) + 3) % 4, (b) + ((b_shift) + 3) % 4,              \
		     (d) + ((d_shift) + 3) % 4, n);                                        \
	} while (0)

/* Four quarter rounds of `x`, and of `y` if there is one. */
#define QUARTER_ROUNDS(x, y, two, b_shift, c_shift, d_shift)               \
	do {                                                               \
		LINES(x, 0, 0, 4, b_shift, 12, d_shift, 16);               \
		if (two)                                                   \
			LINES(y, 0, 0, 4, b_shift, 12, d_shift, 16);       \
		LINES(x, 8, c_shift, 12, d_shift, 4, b_shift, 12);         \
		if (two)                                                   \
			LINES(y, 8, c_shift, 12, d_shift, 4, b_shift, 12); \
		LINES(x, 0, 0, 4, b_shift, 12, d_shift, 8);                \
		if (two)                                                   \
			LINES(y, 0, 0, 4, b_shift, 12, d_shift, 8);        \
		LINES(x, 8, c_shift, 12, d_shift, 4, b_shift, 7);          \
		if (two)                                                   \
			LINES(y, 8, c_shift, 12, d_shift, 4, b_shift, 7);  \
	} while (0)

WEFT_AVX512_INLINE void double_round(__m512i x[WORDS], __m512i y[WORDS], int two)
{
	QUARTER_ROUNDS(x, y, two, 0, 0, 0);
	QUARTER_ROUNDS(x, y, two, 1, 2, 3);
}

/* Words 4q to 4q+3 of all blocks: out[i] has them of the blocks i, i+4, i+8 and i+12. */
WEFT_AVX512_INLINE void transpose_words(__m512i out[4], const __m512i x[4])
{
	__m512i low01 = _mm512_unpacklo_epi32(x[0], x[1]),
		high01 = _mm512_unpackhi_epi32(x[0], x[1]);
	__m512i low23 = _mm512_unpacklo_epi32(x[2], x[3]),
		high23 = _mm512_unpackhi_epi32(x[2], x[3]);

	out[0] = _mm512_unpacklo_epi64(low01, low23);
	out[1] = _mm512_unpackhi_epi64(low01, low23);
	out[2] = _mm512_unpacklo_epi64(high01, high23);
	out[3] = _mm512_unpackhi_epi64(high01, high23);
}

WEFT_AVX512 void weft_chacha20_assign(struct weft_chacha_lanes *lanes, unsigned from, unsigned to,
				      uint64_t counter, uint32_t index)
{
	const __m512i low = _mm512_set1_epi32((int)(uint32_t)counter);
	const __m512i high = _mm512_set1_epi32((int)(uint32_t)(counter >> 32));
	const __m512i sixteen = _mm512_set1_epi32(16);
	__m512i at = _mm512_add_epi32(
		_mm512_set1_epi32((int)index),
		_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));

	for (; from < to; from += 16) {
		_mm512_storeu_si512(lanes->index + from, at);
		_mm512_storeu_si512(lanes->counter_low + from, low);
		_mm512_storeu_si512(lanes->counter_high + from, high);
		at = _mm512_add_epi32(at, sixteen);
	}
}

/* The state before the rounds (2.3), of the lanes from `lane` on. */
WEFT_AVX512_INLINE void load(__m512i x[WORDS], const uint32_t key[8],
			     const struct weft_chacha_lanes *lanes, unsigned lane)
{
	x[0] = _mm512_set1_epi32(0x61707865);
	x[1] = _mm512_set1_epi32(0x3320646e);
	x[2] = _mm512_set1_epi32(0x79622d32);
	x[3] = _mm512_set1_epi32(0x6b206574);
	WEFT_UNROLL
	for (unsigned i = 0; i < 8; i++)
		x[4 + i] = _mm512_set1_epi32((int)key[i]);
	x[12] = _mm512_load_si512(lanes->index + lane);
	x[13] = _mm512_setzero_si512();
	x[14] = _mm512_load_si512(lanes->counter_low + lane);
	x[15] = _mm512_load_si512(lanes->counter_high + lane);
}

/* What comes after the rounds. */
WEFT_AVX512_INLINE void finish(__m512i x[WORDS], const uint32_t key[8],
			       const struct weft_chacha_lanes *lanes, unsigned lane,
			       struct weft_chacha_stream *ret_stream)
{
	__m512i start[WORDS], row[4];

	load(start, key, lanes, lane);
	WEFT_UNROLL
	for (unsigned i = 0; i < WORDS; i++)
		x[i] = _mm512_add_epi32(x[i], start[i]);
	WEFT_UNROLL
	for (unsigned i = 0; i < 4; i++)
		transpose_words(x + 4 * i, x + 4 * i);
	WEFT_UNROLL
	for (unsigned i = 0; i < 4; i++) {
		weft_avx512_transpose_lanes(row, x[i], x[4 + i], x[8 + i], x[12 + i]);
		WEFT_UNROLL
		for (unsigned k = 0; k < 4; k++)
			_mm512_store_si512(ret_stream->block[lane + 4 * k + i], row[k]);
	}
}

WEFT_AVX512 void weft_chacha20_stream(const uint32_t key[8], const struct weft_chacha_lanes *lanes,
				      unsigned n, struct weft_chacha_stream *ret_stream)
{
	__m512i x[WORDS], y[WORDS];

	load(x, key, lanes, 0);
	if (n <= SET) {
		for (unsigned i = 0; i < 10; i++)
			double_round(x, NULL, 0);
		finish(x, key, lanes, 0, ret_stream);
		return;
	}
	load(y, key, lanes, SET);
	/* a loop would need registers for moving the state to where it begins */
	WEFT_UNROLL
	for (unsigned i = 0; i < 10; i++)
		double_round(x, y, 1);
	finish(x, key, lanes, 0, ret_stream);
	finish(y, key, lanes, SET, ret_stream);
}

WEFT_AVX512 void weft_chacha20_add(uint8_t *out, const uint8_t *in, size_t len,
				   const uint8_t (*stream)[WEFT_CHACHA_BLOCK])
{
	__mmask64 some;
	__m512i v;

	for (; len >= WEFT_CHACHA_BLOCK; len -= WEFT_CHACHA_BLOCK) {
		v = _mm512_xor_si512(_mm512_loadu_si512(in), _mm512_load_si512(*stream++));
		_mm512_storeu_si512(out, v);
		in += WEFT_CHACHA_BLOCK;
		out += WEFT_CHACHA_BLOCK;
	}
	if (len) {
		some = _cvtu64_mask64(~(~UINT64_C(0) << len));
		v = _mm512_xor_si512(_mm512_maskz_loadu_epi8(some, in), _mm512_load_si512(*stream));
		_mm512_mask_storeu_epi8(out, some, v);
	}
}
