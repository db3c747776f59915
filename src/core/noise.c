/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Noise_IKpsk2 as the WireGuard paper (section 5.4) lays it out, token by token. The tokens are
 * named in the comments: e, es, s, ss, {t} in the first message, e, ee, se, psk, {} in the second.
 */
#include "core/noise.h"

#include "util/cursor.h"

static const char construction[] = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
static const char identifier[] = "WireGuard v1 zx2c4 Jason@zx2c4.com";

/* The running state of one message, on the stack; wiped on the way out. */
struct symmetric {
	struct weft_secret chain;
	struct weft_secret key;
	uint8_t hash[WEFT_HASH_LEN];
};

int weft_noise_init(struct weft_noise *n, struct weft_crypto *crypto,
		    int (*static_dh)(void *ctx, struct weft_secret *ret_shared,
				     const uint8_t point[WEFT_KEY_LEN]),
		    void *dh_ctx)
{
	int r;

	memset(n, 0, sizeof(*n));
	n->crypto = crypto;
	n->static_dh = static_dh;
	n->dh_ctx = dh_ctx;
	r = weft_hash(crypto, n->initial_chain, construction, sizeof(construction) - 1, NULL, 0);
	if (r < 0)
		return r;
	return weft_hash(crypto, n->initial_hash, n->initial_chain, sizeof(n->initial_chain),
			 identifier, sizeof(identifier) - 1);
}

void weft_noise_set_static(struct weft_noise *n, const uint8_t *public_key)
{
	n->has_static = public_key != NULL;
	if (public_key)
		memcpy(n->public_key, public_key, sizeof(n->public_key));
	else
		memset(n->public_key, 0, sizeof(n->public_key));
}

void weft_handshake_init(struct weft_handshake *hs, const uint8_t remote_static[WEFT_KEY_LEN])
{
	memset(hs, 0, sizeof(*hs));
	memcpy(hs->remote_static, remote_static, sizeof(hs->remote_static));
}

void weft_handshake_clear(struct weft_handshake *hs)
{
	if (hs->run)
		weft_wipe(hs->run, sizeof(*hs->run));
	hs->remote_index = 0;
	hs->state = WEFT_HANDSHAKE_NONE;
}

void weft_handshake_forget_static(struct weft_handshake *hs)
{
	weft_handshake_clear(hs);
	weft_secret_clear(&hs->static_static);
	hs->static_static_known = WEFT_SS_UNKNOWN;
}

static int mix_hash(struct weft_noise *n, struct symmetric *s, const void *data, size_t len)
{
	uint8_t out[WEFT_HASH_LEN];
	int r = weft_hash(n->crypto, out, s->hash, sizeof(s->hash), data, len);

	if (r == 0)
		memcpy(s->hash, out, sizeof(out));
	return r;
}

/* Starts from the responder's static key, which both know. */
static int start(struct weft_noise *n, struct symmetric *s, const uint8_t responder[WEFT_KEY_LEN])
{
	memcpy(s->chain.b, n->initial_chain, sizeof(s->chain.b));
	memcpy(s->hash, n->initial_hash, sizeof(s->hash));
	return mix_hash(n, s, responder, WEFT_KEY_LEN);
}

/* e: with a psk in the pattern, the ephemeral goes into the chain as well. */
static int mix_ephemeral(struct weft_noise *n, struct symmetric *s, const uint8_t e[WEFT_KEY_LEN])
{
	int r = mix_hash(n, s, e, WEFT_KEY_LEN);

	return r < 0 ? r : weft_kdf(n->crypto, s->chain.b, NULL, NULL, s->chain.b, e, WEFT_KEY_LEN);
}

static int mix_secret(struct weft_noise *n, struct symmetric *s, const struct weft_secret *shared)
{
	return weft_kdf(n->crypto, s->chain.b, s->key.b, NULL, s->chain.b, shared->b,
			sizeof(shared->b));
}

/* The same where no key is used before the next secret: the chain alone (KDF1). */
static int mix_chain(struct weft_noise *n, struct symmetric *s, const struct weft_secret *shared)
{
	return weft_kdf(n->crypto, s->chain.b, NULL, NULL, s->chain.b, shared->b,
			sizeof(shared->b));
}

typedef int mix_fn(struct weft_noise *n, struct symmetric *s, const struct weft_secret *shared);

static int mix_dh(struct weft_noise *n, struct symmetric *s, mix_fn *mix,
		  const struct weft_secret *secret, const uint8_t point[WEFT_KEY_LEN])
{
	struct weft_secret shared;
	int r = weft_x25519(n->crypto, &shared, secret, point);

	if (r == 0)
		r = mix(n, s, &shared);
	weft_secret_clear(&shared);
	return r;
}

static int mix_static_dh(struct weft_noise *n, struct symmetric *s, mix_fn *mix,
			 const uint8_t point[WEFT_KEY_LEN])
{
	struct weft_secret shared;
	int r = n->static_dh(n->dh_ctx, &shared, point);

	if (r == 0)
		r = mix(n, s, &shared);
	weft_secret_clear(&shared);
	return r;
}

/* ss: computed once per peer, not once per handshake. */
static int mix_static_static(struct weft_noise *n, struct symmetric *s, struct weft_handshake *hs)
{
	if (hs->static_static_known == WEFT_SS_UNKNOWN) {
		int r = n->static_dh(n->dh_ctx, &hs->static_static, hs->remote_static);

		if (r < 0 && r != WEFT_E_WEAK_KEY)
			return r;
		hs->static_static_known = r < 0 ? WEFT_SS_WEAK : WEFT_SS_KNOWN;
	}
	if (hs->static_static_known == WEFT_SS_WEAK)
		return WEFT_E_WEAK_KEY;
	return mix_secret(n, s, &hs->static_static);
}

static int mix_psk(struct weft_noise *n, struct symmetric *s, const struct weft_secret *psk)
{
	uint8_t t[WEFT_HASH_LEN];
	int r = weft_kdf(n->crypto, s->chain.b, t, s->key.b, s->chain.b, psk->b, sizeof(psk->b));

	if (r == 0)
		r = mix_hash(n, s, t, sizeof(t));
	weft_wipe(t, sizeof(t));
	return r;
}

static int seal_and_hash(struct weft_noise *n, struct symmetric *s, uint8_t *out, const uint8_t *in,
			 size_t len)
{
	int r = weft_aead_seal(n->crypto, &s->key, 0, s->hash, sizeof(s->hash), out, in, len);

	return r < 0 ? r : mix_hash(n, s, out, len + WEFT_TAG_LEN);
}

/* `len` counts the tag. */
static int open_and_hash(struct weft_noise *n, struct symmetric *s, uint8_t *out, const uint8_t *in,
			 size_t len)
{
	int r = weft_aead_open(n->crypto, &s->key, 0, s->hash, sizeof(s->hash), out, in, len);

	return r < 0 ? r : mix_hash(n, s, in, len);
}

int weft_noise_create_initiation(struct weft_noise *n, struct weft_handshake *hs,
				 const struct weft_secret *ephemeral,
				 const uint8_t timestamp[WEFT_TIMESTAMP_LEN], uint32_t sender,
				 uint8_t out[WEFT_MSG_INITIATION_LEN])
{
	struct weft_msg_initiation msg = {.sender = sender};
	struct symmetric s;
	int r;

	if (!n->has_static)
		return WEFT_E_WEAK_KEY;
	if (!hs->run)
		return WEFT_E_PROTOCOL;
	memset(&s, 0, sizeof(s));
	if ((r = start(n, &s, hs->remote_static)) < 0)
		goto out;
	/* e, es */
	if ((r = weft_x25519_public(n->crypto, msg.ephemeral, ephemeral)) < 0 ||
	    (r = mix_ephemeral(n, &s, msg.ephemeral)) < 0 ||
	    (r = mix_dh(n, &s, mix_secret, ephemeral, hs->remote_static)) < 0)
		goto out;
	/* s, ss, {t} */
	if ((r = seal_and_hash(n, &s, msg.enc_static, n->public_key, WEFT_KEY_LEN)) < 0 ||
	    (r = mix_static_static(n, &s, hs)) < 0 ||
	    (r = seal_and_hash(n, &s, msg.enc_timestamp, timestamp, WEFT_TIMESTAMP_LEN)) < 0)
		goto out;

	weft_message_write_initiation(out, &msg);
	weft_handshake_clear(hs);
	hs->run->ephemeral = *ephemeral;
	hs->run->chain = s.chain;
	memcpy(hs->run->hash, s.hash, sizeof(hs->run->hash));
	hs->state = WEFT_HANDSHAKE_CREATED_INITIATION;
out:
	weft_wipe(&s, sizeof(s));
	return r;
}

int weft_noise_open_initiation(struct weft_noise *n, const uint8_t *pkt, size_t len,
			       struct weft_noise_incoming *ret_in)
{
	struct symmetric s;
	int r;

	if (!n->has_static)
		return WEFT_E_WEAK_KEY;
	memset(&s, 0, sizeof(s));
	memset(ret_in, 0, sizeof(*ret_in));
	if ((r = weft_message_read_initiation(pkt, len, &ret_in->msg)) < 0 ||
	    (r = start(n, &s, n->public_key)) < 0)
		goto out;
	/* e, es, s */
	if ((r = mix_ephemeral(n, &s, ret_in->msg.ephemeral)) < 0 ||
	    (r = mix_static_dh(n, &s, mix_secret, ret_in->msg.ephemeral)) < 0 ||
	    (r = open_and_hash(n, &s, ret_in->remote_static, ret_in->msg.enc_static,
			       sizeof(ret_in->msg.enc_static))) < 0)
		goto out;
	/* who it claims to be decides which peer is looked up, in a table with a keyed hash */
	weft_declassify(ret_in->remote_static, sizeof(ret_in->remote_static));
	ret_in->chain = s.chain;
	memcpy(ret_in->hash, s.hash, sizeof(ret_in->hash));
out:
	if (r < 0)
		weft_wipe(ret_in, sizeof(*ret_in));
	weft_wipe(&s, sizeof(s));
	return r;
}

int weft_noise_accept_initiation(struct weft_noise *n, struct weft_handshake *hs,
				 struct weft_noise_incoming *in, uint64_t now_ns,
				 enum weft_drop *ret_reason)
{
	uint8_t timestamp[WEFT_TIMESTAMP_LEN];
	enum weft_drop reason = WEFT_DROP_RX_HANDSHAKE;
	struct weft_handshake_run *run = hs->run;
	struct symmetric s;
	int r = WEFT_E_DROP;

	memset(&s, 0, sizeof(s));
	s.chain = in->chain;
	memcpy(s.hash, in->hash, sizeof(s.hash));
	/* ss, {t} */
	if (!run || mix_static_static(n, &s, hs) < 0 ||
	    open_and_hash(n, &s, timestamp, in->msg.enc_timestamp, sizeof(in->msg.enc_timestamp)) <
		    0)
		goto out;
	weft_declassify(timestamp, sizeof(timestamp)); /* nothing that its sender did not choose */
	if (memcmp(timestamp, hs->latest_timestamp, sizeof(timestamp)) <= 0) {
		reason = WEFT_DROP_RX_TIMESTAMP;
		goto out;
	}
	if (hs->last_consumed_ns && hs->last_consumed_ns + WEFT_INITIATION_GAP_NS > now_ns) {
		reason = WEFT_DROP_RX_FLOOD;
		goto out;
	}
	weft_handshake_clear(hs);
	memcpy(hs->latest_timestamp, timestamp, sizeof(timestamp));
	memcpy(run->remote_ephemeral, in->msg.ephemeral, sizeof(run->remote_ephemeral));
	memcpy(run->hash, s.hash, sizeof(run->hash));
	run->chain = s.chain;
	hs->remote_index = in->msg.sender;
	hs->last_consumed_ns = now_ns;
	hs->state = WEFT_HANDSHAKE_CONSUMED_INITIATION;
	r = 0;
out:
	if (r < 0)
		*ret_reason = reason;
	weft_wipe(in, sizeof(*in));
	weft_wipe(&s, sizeof(s));
	return r;
}

int weft_noise_create_response(struct weft_noise *n, struct weft_handshake *hs,
			       const struct weft_secret *ephemeral, uint32_t sender,
			       uint8_t out[WEFT_MSG_RESPONSE_LEN])
{
	struct weft_msg_response msg = {.sender = sender, .receiver = hs->remote_index};
	struct symmetric s;
	int r;

	if (hs->state != WEFT_HANDSHAKE_CONSUMED_INITIATION)
		return WEFT_E_PROTOCOL;
	memset(&s, 0, sizeof(s));
	s.chain = hs->run->chain;
	memcpy(s.hash, hs->run->hash, sizeof(s.hash));
	/* e, ee, se */
	if ((r = weft_x25519_public(n->crypto, msg.ephemeral, ephemeral)) < 0 ||
	    (r = mix_ephemeral(n, &s, msg.ephemeral)) < 0 ||
	    (r = mix_dh(n, &s, mix_chain, ephemeral, hs->run->remote_ephemeral)) < 0 ||
	    (r = mix_dh(n, &s, mix_chain, ephemeral, hs->remote_static)) < 0)
		goto out;
	/* psk, {} */
	if ((r = mix_psk(n, &s, &hs->psk)) < 0 ||
	    (r = seal_and_hash(n, &s, msg.enc_empty, NULL, 0)) < 0)
		goto out;

	weft_message_write_response(out, &msg);
	hs->run->chain = s.chain;
	memcpy(hs->run->hash, s.hash, sizeof(hs->run->hash));
	hs->state = WEFT_HANDSHAKE_CREATED_RESPONSE;
out:
	weft_wipe(&s, sizeof(s));
	return r;
}

int weft_noise_consume_response(struct weft_noise *n, struct weft_handshake *hs, const uint8_t *pkt,
				size_t len)
{
	struct weft_msg_response msg;
	struct symmetric s;
	uint8_t none[1];
	int r;

	if (!n->has_static || hs->state != WEFT_HANDSHAKE_CREATED_INITIATION)
		return WEFT_E_PROTOCOL;
	if ((r = weft_message_read_response(pkt, len, &msg)) < 0)
		return r;
	memset(&s, 0, sizeof(s));
	s.chain = hs->run->chain;
	memcpy(s.hash, hs->run->hash, sizeof(s.hash));
	/* e, ee, se */
	if ((r = mix_ephemeral(n, &s, msg.ephemeral)) < 0 ||
	    (r = mix_dh(n, &s, mix_chain, &hs->run->ephemeral, msg.ephemeral)) < 0 ||
	    (r = mix_static_dh(n, &s, mix_chain, msg.ephemeral)) < 0)
		goto out;
	/* psk, {} */
	if ((r = mix_psk(n, &s, &hs->psk)) < 0 ||
	    (r = open_and_hash(n, &s, none, msg.enc_empty, sizeof(msg.enc_empty))) < 0)
		goto out;

	memcpy(hs->run->remote_ephemeral, msg.ephemeral, sizeof(hs->run->remote_ephemeral));
	memcpy(hs->run->hash, s.hash, sizeof(hs->run->hash));
	hs->run->chain = s.chain;
	hs->remote_index = msg.sender;
	hs->state = WEFT_HANDSHAKE_CONSUMED_RESPONSE;
out:
	weft_wipe(&s, sizeof(s));
	return r;
}

int weft_noise_begin_session(struct weft_noise *n, struct weft_handshake *hs,
			     struct weft_noise_keys *ret_keys)
{
	struct weft_secret to_responder = {{0}}, to_initiator = {{0}};
	bool initiator = hs->state == WEFT_HANDSHAKE_CONSUMED_RESPONSE;
	int r;

	if (!initiator && hs->state != WEFT_HANDSHAKE_CREATED_RESPONSE)
		return WEFT_E_PROTOCOL;
	r = weft_kdf(n->crypto, to_responder.b, to_initiator.b, NULL, hs->run->chain.b, NULL, 0);
	if (r == 0) {
		ret_keys->send = initiator ? to_responder : to_initiator;
		ret_keys->recv = initiator ? to_initiator : to_responder;
		ret_keys->remote_index = hs->remote_index;
		ret_keys->initiator = initiator;
		weft_handshake_clear(hs);
	}
	weft_secret_clear(&to_responder);
	weft_secret_clear(&to_initiator);
	return r;
}

void weft_noise_timestamp(uint8_t out[WEFT_TIMESTAMP_LEN], uint64_t sec, uint32_t nsec)
{
	uint64_t tai = sec + 0x400000000000000aULL;

	weft_put_be32(out, (uint32_t)(tai >> 32));
	weft_put_be32(out + 4, (uint32_t)tai);
	weft_put_be32(out + 8, nsec & ~(WEFT_TIMESTAMP_STEP_NS - 1));
}
