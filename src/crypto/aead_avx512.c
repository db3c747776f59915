/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ChaCha20-Poly1305 (RFC 8439, 2.8) of many packets of one key side by side, with AVX-512. What no
 * library does: the blocks that ChaCha20 works on at a time are drawn from several packets, and
 * Poly1305 has a packet in each lane (docs/decisions/0016). It knows no packet format but the
 * nonce's.
 *
 * Nothing is kept from call to call. Keys of Poly1305 lie in a struct work on the stack, which is
 * wiped, and in vector registers, which are cleared; what the compiler has put aside on the stack
 * goes with the thread's stack when it goes idle (weftd_burn_stack), as with the libraries.
 */
#include "crypto/internal.h"

#include <errno.h>

#include "crypto/avx512.h"
#include "util/cursor.h"

/*
 * Messages worked on at a time, which is a whole number of rounds of Poly1305 and not much more
 * text than stays in the first cache while it is encrypted and authenticated.
 */
#define GROUP       WEFT_CHACHA_LANES
#define GROUP_BYTES (WEFT_POLY_LANES * 1536)

#define POLY_KEY_LEN 32

/* What no one else may see, and has to be wiped. */
struct secrets {
	struct weft_chacha_stream stream;
	struct weft_poly_scratch poly;
	uint8_t poly_key[GROUP][POLY_KEY_LEN];
	uint8_t tag[GROUP][WEFT_TAG_LEN];
	uint32_t key[8];
};

/* Blocks to be done together, and the texts they are added to, one after the other. */
struct list {
	struct weft_chacha_lanes lanes;
	unsigned n, n_texts;
	struct {
		const uint8_t *in;
		uint8_t *out;
		size_t len;
	} text[WEFT_CHACHA_LANES];
};

/*
 * Two lists take turns, one filled while the other waits: a list that is read as vectors right
 * after it was written word by word makes the processor wait for its own memory.
 */
struct work {
	struct secrets secret;
	struct list list[2];
	unsigned filling; /* which of them */
	struct weft_poly_msg poly[GROUP];
};

static bool usable(void)
{
	/* these look at what the operating system saves, too */
	__builtin_cpu_init();
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512ifma");
}

static int acquire(struct weft_crypto *c)
{
	(void)c;
	return usable() ? 0 : -ENOTSUP;
}

static void nothing_to_do(struct weft_crypto *c)
{
	(void)c;
}

static void begin(struct work *w, const struct weft_secret *key)
{
	for (size_t i = 0; i < 8; i++)
		w->secret.key[i] = weft_get_le32(key->b + 4 * i);
	for (size_t i = 0; i < 2; i++)
		w->list[i].n = w->list[i].n_texts = 0;
	w->filling = 0;
}

/* Wipes what lies in memory and in registers. */
WEFT_AVX512 static void end(struct work *w)
{
	weft_wipe(&w->secret, sizeof(w->secret));
	/* vzeroall does not know the upper sixteen */
	__asm__ __volatile__("vzeroall\n\t"
			     "vpxord %%zmm16, %%zmm16, %%zmm16\n\t"
			     "vpxord %%zmm17, %%zmm17, %%zmm17\n\t"
			     "vpxord %%zmm18, %%zmm18, %%zmm18\n\t"
			     "vpxord %%zmm19, %%zmm19, %%zmm19\n\t"
			     "vpxord %%zmm20, %%zmm20, %%zmm20\n\t"
			     "vpxord %%zmm21, %%zmm21, %%zmm21\n\t"
			     "vpxord %%zmm22, %%zmm22, %%zmm22\n\t"
			     "vpxord %%zmm23, %%zmm23, %%zmm23\n\t"
			     "vpxord %%zmm24, %%zmm24, %%zmm24\n\t"
			     "vpxord %%zmm25, %%zmm25, %%zmm25\n\t"
			     "vpxord %%zmm26, %%zmm26, %%zmm26\n\t"
			     "vpxord %%zmm27, %%zmm27, %%zmm27\n\t"
			     "vpxord %%zmm28, %%zmm28, %%zmm28\n\t"
			     "vpxord %%zmm29, %%zmm29, %%zmm29\n\t"
			     "vpxord %%zmm30, %%zmm30, %%zmm30\n\t"
			     "vpxord %%zmm31, %%zmm31, %%zmm31"
			     :
			     :
			     : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
			       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",
			       "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22",
			       "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29",
			       "xmm30", "xmm31");
}

static unsigned blocks_of(size_t len)
{
	return (unsigned)((len + WEFT_CHACHA_BLOCK - 1) / WEFT_CHACHA_BLOCK);
}

/* Adds the stream to the list's texts from `from` to `to`, which begin `at` blocks into it. */
static unsigned add_stream(const struct work *w, const struct list *l, unsigned from, unsigned to,
			   unsigned at)
{
	for (; from < to; from++) {
		size_t len = l->text[from].len;

		weft_chacha20_add(l->text[from].out, l->text[from].in, len,
				  &w->secret.stream.block[at]);
		at += blocks_of(len);
	}
	return at;
}

/* Does the list that waits, and lets the one that was filled wait. */
static void advance(struct work *w)
{
	struct list *l = &w->list[!w->filling];

	w->filling = !w->filling;
	if (!l->n)
		return;
	weft_chacha20_stream(w->secret.key, &l->lanes, l->n, &w->secret.stream);
	(void)add_stream(w, l, 0, l->n_texts, 0);
	l->n = l->n_texts = 0;
}

/* Does all blocks that have been collected. */
static void flush(struct work *w)
{
	advance(w);
	advance(w);
}

/* The stream of one message's nonce from block `index` on, to be added to `len` bytes. */
static void collect(struct work *w, uint64_t counter, uint32_t index, const uint8_t *in,
		    uint8_t *out, size_t len)
{
	while (len) {
		struct list *l = &w->list[w->filling];
		size_t room = (WEFT_CHACHA_LANES - l->n) * (size_t)WEFT_CHACHA_BLOCK;
		size_t some = len < room ? len : room;
		unsigned end =
			l->n + (unsigned)((some + WEFT_CHACHA_BLOCK - 1) / WEFT_CHACHA_BLOCK);

		l->text[l->n_texts].in = in;
		l->text[l->n_texts].out = out;
		l->text[l->n_texts++].len = some;
		weft_chacha20_assign(&l->lanes, l->n, end, counter, index);
		index += end - l->n;
		l->n = end;
		in += some;
		out += some;
		len -= some;
		if (l->n == WEFT_CHACHA_LANES)
			advance(w);
	}
}

/* RFC 8439, 2.6: the Poly1305 key is the first half of block 0 of the stream. */
static void collect_keys(struct work *w, const struct weft_aead_msg *msgs, size_t n)
{
	static const uint8_t zero[POLY_KEY_LEN];

	for (size_t i = 0; i < n; i++) {
		w->poly[i].key = w->secret.poly_key[i];
		collect(w, msgs[i].counter, 0, zero, w->secret.poly_key[i], POLY_KEY_LEN);
	}
}

/* RFC 8439, 2.8: the text begins with block 1. */
static void collect_text(struct work *w, const struct weft_aead_msg *m, size_t len)
{
	collect(w, m->counter, 1, m->in, m->out, len);
}

/* The tags of w->poly. */
static void make_tags(struct work *w, const void *ad, size_t ad_len, size_t n)
{
	for (size_t i = 0, some; i < n; i += some) {
		some = n - i < WEFT_POLY_LANES ? n - i : WEFT_POLY_LANES;
		weft_poly1305_x8(&w->secret.poly, w->poly + i, (unsigned)some, ad, ad_len,
				 w->secret.tag + i);
	}
}

static void seal_group(struct work *w, const void *ad, size_t ad_len, struct weft_aead_msg *msgs,
		       size_t n)
{
	collect_keys(w, msgs, n);
	for (size_t i = 0; i < n; i++) {
		collect_text(w, &msgs[i], msgs[i].len);
		w->poly[i].text = msgs[i].out;
		w->poly[i].len = msgs[i].len;
	}
	flush(w);
	make_tags(w, ad, ad_len, n);
	for (size_t i = 0; i < n; i++) {
		memcpy(msgs[i].out + msgs[i].len, w->secret.tag[i], WEFT_TAG_LEN);
		msgs[i].result = 0;
	}
}

static void expect_tags(struct work *w, const void *ad, size_t ad_len,
			const struct weft_aead_msg *msgs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		w->poly[i].text = msgs[i].in;
		w->poly[i].len = msgs[i].len - WEFT_TAG_LEN;
	}
	make_tags(w, ad, ad_len, n);
}

/* Whether message `i` is authentic. If not, nothing is left of it. */
static bool verify(const struct work *w, size_t i, struct weft_aead_msg *m)
{
	size_t len = m->len - WEFT_TAG_LEN;

	m->result = WEFT_E_AUTH;
	if (weft_ct_equal(w->secret.tag[i], m->in + len, WEFT_TAG_LEN))
		m->result = 0;
	else
		weft_wipe(m->out, len);
	return m->result == 0;
}

/* One list with room to spare takes the keys and the texts of all. */
static bool few(const struct work *w, const struct weft_aead_msg *msgs, size_t n)
{
	size_t blocks = n;

	if (w->list[0].n || w->list[1].n || n > WEFT_POLY_LANES)
		return false;
	for (size_t i = 0; i < n && blocks < WEFT_CHACHA_LANES; i++)
		blocks += (msgs[i].len - WEFT_TAG_LEN + WEFT_CHACHA_BLOCK - 1) / WEFT_CHACHA_BLOCK;
	return blocks < WEFT_CHACHA_LANES;
}

/* The stream is made once, of which the texts get theirs only when they have been verified. */
static void open_few(struct work *w, const void *ad, size_t ad_len, struct weft_aead_msg *msgs,
		     size_t n)
{
	struct list *l = &w->list[w->filling];
	unsigned at, text = (unsigned)n;

	collect_keys(w, msgs, n);
	for (size_t i = 0; i < n; i++)
		collect_text(w, &msgs[i], msgs[i].len - WEFT_TAG_LEN);
	weft_chacha20_stream(w->secret.key, &l->lanes, l->n, &w->secret.stream);
	at = add_stream(w, l, 0, (unsigned)n, 0);
	expect_tags(w, ad, ad_len, msgs, n);
	for (size_t i = 0; i < n; i++) {
		unsigned blocks = blocks_of(msgs[i].len - WEFT_TAG_LEN);

		if (verify(w, i, &msgs[i]) && blocks)
			(void)add_stream(w, l, text, text + 1, at);
		at += blocks;
		text += blocks > 0; /* an empty text is not in the list */
	}
	l->n = l->n_texts = 0;
}

/*
 * What does not authenticate is not even decrypted. What does is left in the lists, so that the
 * next group's keys fill them up.
 */
static void open_group(struct work *w, const void *ad, size_t ad_len, struct weft_aead_msg *msgs,
		       size_t n)
{
	if (few(w, msgs, n)) {
		open_few(w, ad, ad_len, msgs, n);
		return;
	}
	collect_keys(w, msgs, n);
	flush(w);
	expect_tags(w, ad, ad_len, msgs, n);
	for (size_t i = 0; i < n; i++) {
		if (verify(w, i, &msgs[i]))
			collect_text(w, &msgs[i], msgs[i].len - WEFT_TAG_LEN);
	}
}

/* How many of the messages to work on next. */
static size_t next_group(const struct weft_aead_msg *msgs, size_t n)
{
	size_t bytes = 0, some = 0;

	while (some < n && some < GROUP &&
	       (some < WEFT_POLY_LANES || bytes + msgs[some].len <= GROUP_BYTES))
		bytes += msgs[some++].len;
	return some == n ? n : some / WEFT_POLY_LANES * WEFT_POLY_LANES;
}

typedef void group_fn(struct work *w, const void *ad, size_t ad_len, struct weft_aead_msg *msgs,
		      size_t n);

static void run(group_fn *group, const struct weft_secret *key, const void *ad, size_t ad_len,
		struct weft_aead_msg *msgs, size_t n)
{
	struct work w;

	begin(&w, key);
	for (size_t some; n; msgs += some, n -= some) {
		some = next_group(msgs, n);
		group(&w, ad, ad_len, msgs, some);
	}
	flush(&w);
	end(&w);
}

static void seal(struct weft_crypto *c, const struct weft_secret *key, const void *ad,
		 size_t ad_len, struct weft_aead_msg *msgs, size_t n)
{
	(void)c;
	run(seal_group, key, ad, ad_len, msgs, n);
}

static void open(struct weft_crypto *c, const struct weft_secret *key, const void *ad,
		 size_t ad_len, struct weft_aead_msg *msgs, size_t n)
{
	(void)c;
	run(open_group, key, ad, ad_len, msgs, n);
}

const struct weft_aead_backend weft_aead_avx512 = {
	.name = "avx512",
	.acquire = acquire,
	.release = nothing_to_do,
	.forget = nothing_to_do,
	.seal = seal,
	.open = open,
};
