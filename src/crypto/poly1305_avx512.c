/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Poly1305 (RFC 8439, 2.5, over the input of 2.8) of eight messages at once, a message a lane.
 *
 * Numbers modulo p = 2^130 - 5 are three limbs of 44, 44 and 42 bits, as the 52-bit multiplier of
 * AVX-512 IFMA suggests. Four blocks are taken in at a time, h = (h + m0)r^4 + m1 r^3 + m2 r^2 +
 * m3 r, so that the carries are paid for once.
 *
 * Messages need not be of one length: they are aligned to their ends. Blocks in front of a
 * message's first are zero and lack the bit 2^128, and h stays zero over them. No branch or address
 * depends on a key, a text or a tag, only on lengths.
 */
#include "crypto/avx512.h"

#include <string.h>

#define LANES     WEFT_POLY_LANES
#define BLOCK     16
#define CHUNK     64 /* bytes of a message taken in at a time */
#define PER_CHUNK 4
#define LOW_BITS  44
#define TOP_BITS  42
#define LOW_MASK  ((INT64_C(1) << LOW_BITS) - 1)
#define TOP_MASK  ((INT64_C(1) << TOP_BITS) - 1)
#define BLOCK_BIT (INT64_C(1) << 40) /* 2^128 in the top limb */

/* Eight numbers modulo p. "Carried": limbs below 2^46, 2^45 and 2^43. */
struct number {
	__m512i limb[3];
};

/* A carried number to multiply with. 2^132 is 20 modulo p: what leaves the top comes back so. */
struct factor {
	__m512i limb[3], limb1_x20, limb2_x20;
};

/*
 * A sum of products, not carried: low[i] counts 2^(44i), high[i] 2^(44i + 52). There are at most
 * 12 products a limb, of a number below 2^47, 2^46 and 2^44 (a carried one plus a block) and a
 * factor, whose limbs are below 2^46 and, times 20, 2^50. All of them stay below 2^52, which the
 * multiplier takes. Then low[i] < 12 * 2^52 < 2^56, and high[i] < 12 * 2^45 < 2^49. high[2] is
 * below 12 * 2^40, as a multiple of 20 takes no part in it.
 */
struct sum {
	__m512i low[3], high[3];
};

/* What a call works on, in a struct weft_poly_scratch. */
struct state {
	struct factor power[PER_CHUNK]; /* r, r^2, r^3, r^4 */
	__m512i pad[2];                 /* s of RFC 8439, its two halves */
	struct number ad;               /* what came before the text */
	__m512i blocks;                 /* of each lane's text */
	uintptr_t end[LANES];           /* of the text, when padded to whole blocks */
	size_t len[LANES];
};
_Static_assert(sizeof(struct state) <= sizeof(struct weft_poly_scratch), "scratch");

WEFT_AVX512_INLINE __m512i all(int64_t v)
{
	return _mm512_set1_epi64(v);
}

WEFT_AVX512_INLINE struct factor to_factor(struct number n)
{
	struct factor f = {{n.limb[0], n.limb[1], n.limb[2]}, n.limb[1], n.limb[2]};

	/* 20x = 16x + 4x */
	f.limb1_x20 =
		_mm512_add_epi64(_mm512_slli_epi64(n.limb[1], 4), _mm512_slli_epi64(n.limb[1], 2));
	f.limb2_x20 =
		_mm512_add_epi64(_mm512_slli_epi64(n.limb[2], 4), _mm512_slli_epi64(n.limb[2], 2));
	return f;
}

WEFT_AVX512_INLINE struct number add(struct number a, struct number b)
{
	WEFT_UNROLL
	for (unsigned i = 0; i < 3; i++)
		a.limb[i] = _mm512_add_epi64(a.limb[i], b.limb[i]);
	return a;
}

WEFT_AVX512_INLINE void add_product(struct sum *s, unsigned i, __m512i a, __m512i b)
{
	s->low[i] = _mm512_madd52lo_epu64(s->low[i], a, b);
	s->high[i] = _mm512_madd52hi_epu64(s->high[i], a, b);
}

/* s += a * f */
WEFT_AVX512_INLINE void multiply_add(struct sum *s, struct number a, const struct factor *f)
{
	add_product(s, 0, a.limb[0], f->limb[0]);
	add_product(s, 1, a.limb[0], f->limb[1]);
	add_product(s, 2, a.limb[0], f->limb[2]);
	add_product(s, 0, a.limb[1], f->limb2_x20);
	add_product(s, 1, a.limb[1], f->limb[0]);
	add_product(s, 2, a.limb[1], f->limb[1]);
	add_product(s, 0, a.limb[2], f->limb1_x20);
	add_product(s, 1, a.limb[2], f->limb2_x20);
	add_product(s, 2, a.limb[2], f->limb[0]);
}

WEFT_AVX512_INLINE struct sum nothing(void)
{
	const __m512i zero = _mm512_setzero_si512();
	struct sum s = {{zero, zero, zero}, {zero, zero, zero}};

	return s;
}

/*
 * Carries each limb into the next one, once and all at the same time, so that nothing waits for a
 * carry to pass through. What passes 2^130 comes back times 5: what limb 2 carries, and high[2],
 * which counts 2^140 and so, times 5, 2^10.
 */
WEFT_AVX512_INLINE struct number carry(struct sum s)
{
	const __m512i low_mask = all(LOW_MASK), top_mask = all(TOP_MASK);
	__m512i back, over;
	struct number n;

	back = _mm512_add_epi64(s.high[2], _mm512_slli_epi64(s.high[2], 2));
	s.low[1] = _mm512_add_epi64(s.low[1], _mm512_slli_epi64(s.high[0], 52 - LOW_BITS));
	s.low[2] = _mm512_add_epi64(s.low[2], _mm512_slli_epi64(s.high[1], 52 - LOW_BITS));
	over = _mm512_srli_epi64(s.low[2], TOP_BITS);
	over = _mm512_add_epi64(over, _mm512_slli_epi64(over, 2));
	over = _mm512_add_epi64(over, _mm512_and_si512(_mm512_slli_epi64(back, 10), low_mask));
	n.limb[0] = _mm512_add_epi64(_mm512_and_si512(s.low[0], low_mask), over);
	over = _mm512_add_epi64(_mm512_srli_epi64(s.low[0], LOW_BITS),
				_mm512_srli_epi64(back, LOW_BITS - 10));
	n.limb[1] = _mm512_add_epi64(_mm512_and_si512(s.low[1], low_mask), over);
	n.limb[2] = _mm512_add_epi64(_mm512_and_si512(s.low[2], top_mask),
				     _mm512_srli_epi64(s.low[1], LOW_BITS));
	return n;
}

WEFT_AVX512_INLINE struct number multiply(struct number a, const struct factor *f)
{
	struct sum s = nothing();

	multiply_add(&s, a, f);
	return carry(s);
}

/* 128 bits, of which `top` is what counts 2^128, in limbs. */
WEFT_AVX512_INLINE struct number split(__m512i low, __m512i high, __m512i top)
{
	const __m512i low_mask = all(LOW_MASK);
	struct number n;

	n.limb[0] = _mm512_and_si512(low, low_mask);
	/* 0xa8: (a | b) & c */
	n.limb[1] =
		_mm512_ternarylogic_epi64(_mm512_srli_epi64(low, LOW_BITS),
					  _mm512_slli_epi64(high, 64 - LOW_BITS), low_mask, 0xa8);
	n.limb[2] = _mm512_or_si512(_mm512_srli_epi64(high, 2 * LOW_BITS - 64), top);
	return n;
}

/* Eight rows of 64 bytes become the two halves of four blocks, a lane of eight from each row. */
WEFT_AVX512_INLINE void transpose(__m512i low[PER_CHUNK], __m512i high[PER_CHUNK],
				  const __m512i row[LANES])
{
	__m512i even[4], odd[4];

	WEFT_UNROLL
	for (unsigned i = 0; i < 4; i++) {
		even[i] = _mm512_unpacklo_epi64(row[2 * i], row[2 * i + 1]);
		odd[i] = _mm512_unpackhi_epi64(row[2 * i], row[2 * i + 1]);
	}
	weft_avx512_transpose_lanes(low, even[0], even[1], even[2], even[3]);
	weft_avx512_transpose_lanes(high, odd[0], odd[1], odd[2], odd[3]);
}

/* r and s (RFC 8439, 2.5), and the powers of r. */
WEFT_AVX512_INLINE void take_keys(struct state *s, const struct weft_poly_msg *const of_lane[LANES])
{
	__m512i row[LANES], low[PER_CHUNK], high[PER_CHUNK];
	struct number r, square;

	WEFT_UNROLL
	for (unsigned i = 0; i < LANES; i++)
		row[i] = _mm512_zextsi256_si512(
			_mm256_loadu_si256((const __m256i *)(const void *)of_lane[i]->key));
	transpose(low, high, row);
	low[0] = _mm512_and_si512(low[0], all(INT64_C(0x0ffffffc0fffffff)));
	high[0] = _mm512_and_si512(high[0], all(INT64_C(0x0ffffffc0ffffffc)));
	s->pad[0] = low[1];
	s->pad[1] = high[1];
	r = split(low[0], high[0], _mm512_setzero_si512());
	s->power[0] = to_factor(r);
	square = multiply(r, &s->power[0]);
	s->power[1] = to_factor(square);
	s->power[2] = to_factor(multiply(r, &s->power[1]));
	s->power[3] = to_factor(multiply(square, &s->power[1]));
}

/* The additional data is the same for all lanes: a block at a time will do. */
WEFT_AVX512_INLINE void take_ad(struct state *s, const uint8_t *ad, size_t ad_len)
{
	const __m512i top = all(BLOCK_BIT);
	struct number h = {
		{_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()}};

	for (size_t at = 0; at < ad_len; at += BLOCK) {
		unsigned len = ad_len - at < BLOCK ? (unsigned)(ad_len - at) : BLOCK;
		__mmask16 some = _cvtu32_mask16((1u << len) - 1);
		__m128i m = _mm_maskz_loadu_epi8(some, ad + at);

		h = add(h, split(_mm512_broadcastq_epi64(m),
				 _mm512_broadcastq_epi64(_mm_unpackhi_epi64(m, m)), top));
		h = multiply(h, &s->power[0]);
	}
	s->ad = h;
}

/*
 * Of each lane's message the 64 bytes that end `after` bytes before its padded end, zero where
 * there is no message. They are read from where the message begins if it begins among them, and
 * then moved up by whole blocks: a masked load that reaches into a page that is not there is
 * allowed, but takes hundreds of cycles.
 */
WEFT_AVX512_INLINE void load_edges(const struct state *s, __m512i row[LANES], size_t after)
{
	const __m512i chunk = all(CHUNK), zero = _mm512_setzero_si512();
	__m512i len = _mm512_load_si512(s->len), padded = _mm512_slli_epi64(s->blocks, 4);
	__m512i left = _mm512_sub_epi64(padded, all((int64_t)after)); /* up to their end */
	__m512i used = _mm512_max_epi64(_mm512_min_epi64(left, chunk), zero);
	__m512i padding = _mm512_max_epi64(_mm512_sub_epi64(left, len), zero);
	__m512i back = _mm512_min_epi64(padded, all((int64_t)(after + CHUNK)));
	alignas(64) uint64_t bytes[LANES], words[LANES];
	alignas(64) uintptr_t at[LANES];

	_mm512_store_si512(at, _mm512_sub_epi64(_mm512_load_si512(s->end), back));
	/* a shift by 64 leaves nothing */
	used = _mm512_sub_epi64(chunk, used);
	_mm512_store_si512(bytes, _mm512_srlv_epi64(all(-1), _mm512_add_epi64(used, padding)));
	_mm512_store_si512(words, _mm512_sllv_epi64(all(0xff), _mm512_srli_epi64(used, 3)));
	WEFT_UNROLL
	for (unsigned i = 0; i < LANES; i++) {
		row[i] = _mm512_maskz_loadu_epi8(_cvtu64_mask64(bytes[i]), (const void *)at[i]);
		row[i] = _mm512_maskz_expand_epi64((__mmask8)words[i], row[i]);
	}
}

/* The 2^128 of each lane's block behind which there are `behind` more, if there is such a block. */
WEFT_AVX512_INLINE __m512i block_bit(const struct state *s, size_t behind)
{
	return _mm512_maskz_mov_epi64(_mm512_cmpgt_epu64_mask(s->blocks, all((int64_t)behind)),
				      all(BLOCK_BIT));
}

/* Adds what came before the text to the text's first block, where this is it. */
WEFT_AVX512_INLINE struct number add_ad(const struct state *s, struct number m, size_t behind)
{
	__mmask8 first = _mm512_cmpeq_epi64_mask(s->blocks, all((int64_t)behind + 1));

	WEFT_UNROLL
	for (unsigned k = 0; k < 3; k++)
		m.limb[k] = _mm512_mask_add_epi64(m.limb[k], first, m.limb[k], s->ad.limb[k]);
	return m;
}

/*
 * Takes in four blocks of each lane, behind which there are `after` more. `edge`: for some lane one
 * of them is not whole, or not there. What came before, `h`, is carried only here: the processor
 * does that while it multiplies what does not depend on it.
 */
WEFT_AVX512_INLINE struct sum take_chunk(const struct state *s, struct sum h, size_t after,
					 int edge, int with_ad)
{
	__m512i row[LANES], low[PER_CHUNK], high[PER_CHUNK], top = all(BLOCK_BIT);
	struct sum sum = nothing();
	struct number m, carried = {{top, top, top}};

	if (edge) {
		load_edges(s, row, after * BLOCK);
	} else {
		WEFT_UNROLL
		for (unsigned i = 0; i < LANES; i++)
			row[i] = _mm512_loadu_si512(
				(const void *)(s->end[i] - after * BLOCK - CHUNK));
	}
	transpose(low, high, row);
	WEFT_UNROLL
	for (unsigned i = PER_CHUNK; i-- > 0;) {
		size_t behind = after + PER_CHUNK - 1 - i;

		m = split(low[i], high[i], edge ? block_bit(s, behind) : top);
		if (with_ad)
			m = add_ad(s, m, behind);
		if (i == 0)
			m = add(m, carried);
		multiply_add(&sum, m, &s->power[PER_CHUNK - 1 - i]);
		if (i == PER_CHUNK - 1)
			carried = carry(h);
	}
	return sum;
}

WEFT_AVX512_INLINE struct number take_texts(const struct state *s, int with_ad)
{
	size_t most = (size_t)_mm512_reduce_max_epu64(s->blocks);
	size_t least = (size_t)_mm512_reduce_min_epu64(s->blocks);
	struct sum sum = nothing();
	struct number h;

	for (size_t left = (most + PER_CHUNK - 1) / PER_CHUNK * PER_CHUNK; left;) {
		/* the last chunk may end within a block */
		int edge = left > least || left == PER_CHUNK;

		left -= PER_CHUNK;
		if (with_ad)
			sum = take_chunk(s, sum, left, 1, 1);
		else if (edge)
			sum = take_chunk(s, sum, left, 1, 0);
		else
			sum = take_chunk(s, sum, left, 0, 0);
	}
	h = carry(sum);
	if (with_ad) { /* without text there was no first block */
		__mmask8 empty = _mm512_cmpeq_epi64_mask(s->blocks, _mm512_setzero_si512());

		WEFT_UNROLL
		for (unsigned k = 0; k < 3; k++)
			h.limb[k] = _mm512_mask_mov_epi64(h.limb[k], empty, s->ad.limb[k]);
	}
	return h;
}

/* h modulo p, whole, plus s modulo 2^128 (RFC 8439, 2.5.1, the end). */
WEFT_AVX512_INLINE void finish(const struct state *s, struct number h, uint8_t (*ret_tags)[16])
{
	const __m512i low_mask = all(LOW_MASK), top_mask = all(TOP_MASK);
	__m512i over, g[3], low, high;
	__mmask8 wraps;

	/* the second round carries what the first one brought back to the bottom */
	WEFT_UNROLL
	for (unsigned round = 0; round < 2; round++) {
		over = _mm512_srli_epi64(h.limb[0], LOW_BITS);
		h.limb[0] = _mm512_and_si512(h.limb[0], low_mask);
		h.limb[1] = _mm512_add_epi64(h.limb[1], over);
		over = _mm512_srli_epi64(h.limb[1], LOW_BITS);
		h.limb[1] = _mm512_and_si512(h.limb[1], low_mask);
		h.limb[2] = _mm512_add_epi64(h.limb[2], over);
		over = _mm512_srli_epi64(h.limb[2], TOP_BITS);
		h.limb[2] = _mm512_and_si512(h.limb[2], top_mask);
		over = _mm512_add_epi64(over, _mm512_slli_epi64(over, 2));
		h.limb[0] = _mm512_add_epi64(h.limb[0], over);
	}
	/* g = h + 5: it reaches 2^130 just where h reaches p */
	g[0] = _mm512_add_epi64(h.limb[0], all(5));
	g[1] = _mm512_add_epi64(h.limb[1], _mm512_srli_epi64(g[0], LOW_BITS));
	g[2] = _mm512_add_epi64(h.limb[2], _mm512_srli_epi64(g[1], LOW_BITS));
	wraps = _mm512_cmpgt_epu64_mask(g[2], top_mask);
	h.limb[0] = _mm512_mask_and_epi64(h.limb[0], wraps, g[0], low_mask);
	h.limb[1] = _mm512_mask_and_epi64(h.limb[1], wraps, g[1], low_mask);
	h.limb[2] = _mm512_mask_and_epi64(h.limb[2], wraps, g[2], top_mask);

	low = _mm512_or_si512(h.limb[0], _mm512_slli_epi64(h.limb[1], LOW_BITS));
	high = _mm512_or_si512(_mm512_srli_epi64(h.limb[1], 64 - LOW_BITS),
			       _mm512_slli_epi64(h.limb[2], 2 * LOW_BITS - 64));
	low = _mm512_add_epi64(low, s->pad[0]);
	high = _mm512_add_epi64(high, s->pad[1]);
	high = _mm512_mask_add_epi64(high, _mm512_cmplt_epu64_mask(low, s->pad[0]), high, all(1));
	/* low and high of each message side by side: pairs come out even and odd */
	g[0] = _mm512_unpacklo_epi64(low, high);
	g[1] = _mm512_unpackhi_epi64(low, high);
	_mm_storeu_si128((__m128i *)ret_tags[0], _mm512_extracti32x4_epi32(g[0], 0));
	_mm_storeu_si128((__m128i *)ret_tags[1], _mm512_extracti32x4_epi32(g[1], 0));
	_mm_storeu_si128((__m128i *)ret_tags[2], _mm512_extracti32x4_epi32(g[0], 1));
	_mm_storeu_si128((__m128i *)ret_tags[3], _mm512_extracti32x4_epi32(g[1], 1));
	_mm_storeu_si128((__m128i *)ret_tags[4], _mm512_extracti32x4_epi32(g[0], 2));
	_mm_storeu_si128((__m128i *)ret_tags[5], _mm512_extracti32x4_epi32(g[1], 2));
	_mm_storeu_si128((__m128i *)ret_tags[6], _mm512_extracti32x4_epi32(g[0], 3));
	_mm_storeu_si128((__m128i *)ret_tags[7], _mm512_extracti32x4_epi32(g[1], 3));
}

/*
 * h of messages whose parts are in `parts` lanes side by side, all parts but the first of `share`
 * chunks: (h0 R + h1) R + ... with R = r^(4 share), in the last lane of each message. The numbers
 * of lanes and chunks are public.
 */
WEFT_AVX512_INLINE struct number join(const struct state *s, struct number h, unsigned parts,
				      size_t share)
{
	const struct factor *chunk = &s->power[PER_CHUNK - 1];
	const __m512i lane = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
	struct number power = {{chunk->limb[0], chunk->limb[1], chunk->limb[2]}}, before;
	struct factor f = *chunk;

	for (unsigned bit = 63 - (unsigned)__builtin_clzll(share); bit--;) {
		power = multiply(power, &f);
		if (share >> bit & 1)
			power = multiply(power, chunk);
		f = to_factor(power);
	}
	/* pairs, then pairs of pairs: h grows to four carried numbers at most */
	for (unsigned apart = 1; apart < parts; apart *= 2) {
		before = multiply(h, &f);
		WEFT_UNROLL
		for (unsigned k = 0; k < 3; k++)
			before.limb[k] = _mm512_permutexvar_epi64(
				_mm512_sub_epi64(lane, all(apart)), before.limb[k]);
		h = add(h, before);
		power = multiply(power, &f);
		f = to_factor(power);
	}
	return h;
}

/* In how many lanes to do each of `n` messages, the longest of which has `chunks`. */
static unsigned parts_of(unsigned n, size_t chunks)
{
	unsigned parts = 1;

	/* joining parts costs as much as two or three chunks */
	while (2 * parts * n <= LANES && chunks > 2 * (size_t)parts)
		parts *= 2;
	return parts;
}

/* A lane's part of a message, which ends `behind` chunks before the message's end. */
static void take_part(struct state *s, unsigned lane, const struct weft_poly_msg *m, size_t behind,
		      size_t share)
{
	size_t padded = (m->len + BLOCK - 1) / BLOCK * BLOCK, end = 0, start = 0;

	if (padded > behind * CHUNK)
		end = padded - behind * CHUNK;
	if (end > share * CHUNK)
		start = end - share * CHUNK;
	s->end[lane] = (uintptr_t)m->text + end;
	s->len[lane] = (end < m->len ? end : m->len) - start;
}

WEFT_AVX512 void weft_poly1305_x8(struct weft_poly_scratch *scratch,
				  const struct weft_poly_msg *msgs, unsigned n, const uint8_t *ad,
				  size_t ad_len, uint8_t (*ret_tags)[16])
{
	struct state *s = (void *)scratch;
	const struct weft_poly_msg *of_lane[LANES];
	alignas(64) uint64_t whole[LANES];
	size_t longest = 0, chunks, share;
	unsigned parts = 1;
	struct number h;

	for (unsigned i = 0; i < n; i++)
		longest = msgs[i].len > longest ? msgs[i].len : longest;
	chunks = longest / CHUNK + 1; /* of zeros, perhaps, in front */
	if (!ad_len)                  /* which enters with the first block of a lane */
		parts = parts_of(n, chunks);
	share = (chunks + parts - 1) / parts;
	for (unsigned i = 0; i < LANES; i++) {
		/* a lane too many does the first message once more */
		of_lane[i] = &msgs[i / parts < n ? i / parts : 0];
		take_part(s, i, of_lane[i], (parts - 1 - i % parts) * share, share);
		whole[i] = of_lane[i]->len;
	}
	s->blocks =
		_mm512_srli_epi64(_mm512_add_epi64(_mm512_load_si512(s->len), all(BLOCK - 1)), 4);
	take_keys(s, of_lane);
	if (ad_len) {
		take_ad(s, ad, ad_len);
		h = take_texts(s, 1);
	} else {
		h = take_texts(s, 0);
	}
	if (parts > 1)
		h = join(s, h, parts, share);
	h = add(h, split(all((int64_t)ad_len), _mm512_load_si512(whole), all(BLOCK_BIT)));
	h = multiply(h, &s->power[0]);
	finish(s, h, ret_tags);
	for (unsigned i = 0; parts > 1 && i < n; i++)
		memcpy(ret_tags[i], ret_tags[i * parts + parts - 1], sizeof(ret_tags[i]));
}
