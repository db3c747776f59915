/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ChaCha20-Poly1305 over libipsec-mb (1.x and 2.x), for processors with AVX2 or AVX-512. It knows
 * no packet format but the nonce's.
 *
 * One manager a thread. A job of this algorithm is complete when its submission returns; it goes
 * in without the library's check of its arguments, which are right or wrong once and for all here.
 * The manager keeps pointers to the last jobs' keys and buffers, which it follows no more, and no
 * key: there is nothing to forget but what lies on the stack.
 */
#include "crypto/internal.h"

#include <errno.h>
#include <stdio.h>

#include <intel-ipsec-mb.h>

#include "util/cursor.h"

static bool suits(const IMB_MGR *m)
{
	return m->used_arch >= IMB_ARCH_AVX2 && (!(m->features & IMB_FEATURE_SELF_TEST) ||
						 (m->features & IMB_FEATURE_SELF_TEST_PASS));
}

static int acquire(struct weft_crypto *c)
{
	IMB_MGR *m = alloc_mb_mgr(0);

	if (!m)
		return -ENOMEM;
	init_mb_mgr_auto(m, NULL);
	if (!suits(m)) {
		free_mb_mgr(m);
		return -ENOTSUP;
	}
	c->ipsec_mb = m;
	return 0;
}

static void release(struct weft_crypto *c)
{
	if (c->ipsec_mb)
		free_mb_mgr(c->ipsec_mb);
	c->ipsec_mb = NULL;
}

static void forget(struct weft_crypto *c)
{
	(void)c;
}

void weft_ipsec_mb_describe(const struct weft_crypto *c, char *out, size_t size)
{
	const IMB_MGR *m = c->ipsec_mb;

	(void)snprintf(out, size, "%s, %s", imb_get_version_str(),
		       m->used_arch >= IMB_ARCH_AVX512 ? "AVX-512" : "AVX2");
}

/* One message, its text `len` bytes long, and where its tag goes. */
static bool run(IMB_MGR *mgr, IMB_CIPHER_DIRECTION direction, const struct weft_secret *key,
		const void *ad, size_t ad_len, const struct weft_aead_msg *m, size_t len,
		uint8_t *tag)
{
	uint8_t nonce[WEFT_NONCE_LEN] = {0};
	IMB_JOB *job = IMB_GET_NEXT_JOB(mgr), *done;

	weft_put_le64(nonce + 4, m->counter);
	job->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
	job->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
	job->cipher_direction = direction;
	job->chain_order =
		direction == IMB_DIR_ENCRYPT ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
	job->enc_keys = key->b;
	job->dec_keys = key->b;
	job->key_len_in_bytes = sizeof(key->b);
	job->iv = nonce;
	job->iv_len_in_bytes = sizeof(nonce);
	job->u.CHACHA20_POLY1305.aad = ad_len ? ad : nonce;
	job->u.CHACHA20_POLY1305.aad_len_in_bytes = ad_len;
	job->src = m->in;
	job->dst = m->out;
	job->cipher_start_src_offset_in_bytes = 0;
	job->hash_start_src_offset_in_bytes = 0;
	job->msg_len_to_cipher_in_bytes = len;
	job->msg_len_to_hash_in_bytes = len;
	job->auth_tag_output = tag;
	job->auth_tag_output_len_in_bytes = WEFT_TAG_LEN;
	done = IMB_SUBMIT_JOB_NOCHECK(mgr);
	if (done != job)
		done = IMB_FLUSH_JOB(mgr); /* does not happen, but nothing may be left in there */
	return done == job && job->status == IMB_STATUS_COMPLETED;
}

static void seal(struct weft_crypto *c, const struct weft_secret *key, const void *ad,
		 size_t ad_len, struct weft_aead_msg *msgs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct weft_aead_msg *m = &msgs[i];

		m->result = run(c->ipsec_mb, IMB_DIR_ENCRYPT, key, ad, ad_len, m, m->len,
				m->out + m->len)
				    ? 0
				    : WEFT_E_CRYPTO;
	}
}

static void open(struct weft_crypto *c, const struct weft_secret *key, const void *ad,
		 size_t ad_len, struct weft_aead_msg *msgs, size_t n)
{
	uint8_t right[WEFT_TAG_LEN] = {0}, got[WEFT_TAG_LEN];

	for (size_t i = 0; i < n; i++) {
		struct weft_aead_msg *m = &msgs[i];
		size_t len = m->len - WEFT_TAG_LEN;

		memcpy(got, m->in + len, sizeof(got));
		if (!run(c->ipsec_mb, IMB_DIR_DECRYPT, key, ad, ad_len, m, len, right))
			m->result = WEFT_E_CRYPTO;
		else
			m->result = weft_ct_equal(right, got, sizeof(right)) ? 0 : WEFT_E_AUTH;
		if (m->result)
			weft_wipe(m->out, len);
	}
	/* what the tag of a forgery should have been is nobody's business */
	weft_wipe(right, sizeof(right));
}

const struct weft_aead_backend weft_aead_ipsec_mb = {
	.name = "ipsec-mb",
	.acquire = acquire,
	.release = release,
	.forget = forget,
	.seal = seal,
	.open = open,
};
