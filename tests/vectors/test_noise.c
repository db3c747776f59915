/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The published vector of Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s. Its prologue and its payloads are
 * not WireGuard's, so it is held against what does not depend on them: the first message up to the
 * initiator's static key, the payload under the key that follows from static-static, and the
 * transport keys, which do not depend on payloads at all.
 */
#include "load.h"

#include "crypto_choice.h"

#include "core/noise.h"

struct side {
	struct weft_crypto *crypto;
	struct weft_secret secret, ephemeral;
	uint8_t public_key[WEFT_KEY_LEN];
	struct weft_noise noise;
	struct weft_handshake hs;
	struct weft_handshake_run run;
};

static int static_dh(void *ctx, struct weft_secret *ret_shared, const uint8_t point[WEFT_KEY_LEN])
{
	struct side *s = ctx;

	return weft_x25519(s->crypto, ret_shared, &s->secret, point);
}

static void side_init(struct side *s, const json_t *v, const char *who)
{
	uint8_t prologue[64];
	char key[32];
	size_t len;

	memset(s, 0, sizeof(*s));
	assert_int_equal(weft_crypto_new(&s->crypto), 0);
	(void)snprintf(key, sizeof(key), "%s_static", who);
	vectors_hex_exact(v, key, s->secret.b, WEFT_KEY_LEN);
	(void)snprintf(key, sizeof(key), "%s_ephemeral", who);
	vectors_hex_exact(v, key, s->ephemeral.b, WEFT_KEY_LEN);
	assert_int_equal(weft_x25519_public(s->crypto, s->public_key, &s->secret), 0);
	assert_int_equal(weft_noise_init(&s->noise, s->crypto, static_dh, s), 0);
	weft_noise_set_static(&s->noise, s->public_key);
	/* The vector's prologue in the place of WireGuard's. */
	(void)snprintf(key, sizeof(key), "%s_prologue", who);
	len = vectors_hex(v, key, prologue, sizeof(prologue));
	assert_int_equal(weft_hash(s->crypto, s->noise.initial_hash, s->noise.initial_chain,
				   WEFT_HASH_LEN, prologue, len),
			 0);
}

static void set_peer(struct side *s, const struct side *peer, const json_t *v)
{
	const char *psk = json_string_value(json_array_get(json_object_get(v, "init_psks"), 0));

	weft_handshake_init(&s->hs, peer->public_key);
	s->hs.run = &s->run;
	assert_non_null(psk);
	assert_int_equal(vectors_unhex(psk, s->hs.psk.b, WEFT_KEY_LEN), WEFT_KEY_LEN);
}

/* As responder: our half of the first message, then its payload, which is longer than a timestamp.
 */
static void consume_first(struct side *r, const json_t *message, const uint8_t *first)
{
	uint8_t want[64], payload[64], msg[WEFT_MSG_INITIATION_LEN] = {WEFT_MSG_INITIATION};
	size_t len = vectors_hex(message, "payload", want, sizeof(want));
	struct weft_noise_incoming in;
	struct weft_secret shared, key;

	memcpy(msg + 8, first, 80);
	assert_int_equal(weft_noise_open_initiation(&r->noise, msg, sizeof(msg), &in), 0);
	assert_memory_equal(in.remote_static, r->hs.remote_static, WEFT_KEY_LEN);
	assert_int_equal(weft_x25519(r->crypto, &shared, &r->secret, in.remote_static), 0);
	assert_int_equal(weft_kdf(r->crypto, in.chain.b, key.b, NULL, in.chain.b, shared.b,
				  sizeof(shared.b)),
			 0);
	assert_int_equal(weft_aead_open(r->crypto, &key, 0, in.hash, sizeof(in.hash), payload,
					first + 80, len + WEFT_TAG_LEN),
			 0);
	assert_memory_equal(payload, want, len);
	assert_int_equal(weft_hash(r->crypto, r->run.hash, in.hash, sizeof(in.hash), first + 80,
				   len + WEFT_TAG_LEN),
			 0);
	r->run.chain = in.chain;
	memcpy(r->run.remote_ephemeral, in.msg.ephemeral, WEFT_KEY_LEN);
	r->hs.state = WEFT_HANDSHAKE_CONSUMED_INITIATION;
}

static void check_transport(struct side *s, const json_t *messages,
			    const struct weft_noise_keys *keys)
{
	for (size_t n = 2; n < json_array_size(messages); n++) {
		const json_t *m = json_array_get(messages, n);
		uint8_t want[64], sealed[96], out[64];
		size_t len = vectors_hex(m, "payload", want, sizeof(want));
		size_t sealed_len = vectors_hex(m, "ciphertext", sealed, sizeof(sealed));

		assert_int_equal(sealed_len, len + WEFT_TAG_LEN);
		assert_int_equal(weft_aead_open(s->crypto, n % 2 ? &keys->send : &keys->recv,
						(n - 2) / 2, NULL, 0, out, sealed, sealed_len),
				 0);
		assert_memory_equal(out, want, len);
	}
}

static void test_ikpsk2(void **state)
{
	json_t *root = vectors_load("noise/Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s.json");
	const json_t *v = json_array_get(json_object_get(root, "vectors"), 0);
	const json_t *messages = json_object_get(v, "messages");
	uint8_t first[128], second[128], msg[WEFT_MSG_INITIATION_LEN], resp[WEFT_MSG_RESPONSE_LEN];
	const uint8_t timestamp[WEFT_TIMESTAMP_LEN] = {1};
	struct weft_noise_keys keys;
	struct side i, r;

	(void)state;
	assert_int_equal(json_array_size(messages), 6);
	side_init(&i, v, "init");
	side_init(&r, v, "resp");
	set_peer(&i, &r, v);
	set_peer(&r, &i, v);
	vectors_hex(json_array_get(messages, 0), "ciphertext", first, sizeof(first));
	vectors_hex(json_array_get(messages, 1), "ciphertext", second, sizeof(second));

	assert_int_equal(
		weft_noise_create_initiation(&i.noise, &i.hs, &i.ephemeral, timestamp, 1, msg), 0);
	assert_memory_equal(msg + 8, first, 80);

	consume_first(&r, json_array_get(messages, 0), first);
	assert_int_equal(weft_noise_create_response(&r.noise, &r.hs, &r.ephemeral, 2, resp), 0);
	assert_memory_equal(resp + 12, second, WEFT_KEY_LEN);
	assert_int_equal(weft_noise_begin_session(&r.noise, &r.hs, &keys), 0);
	check_transport(&r, messages, &keys);
	weft_crypto_free(i.crypto);
	weft_crypto_free(r.crypto);
	json_decref(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_ikpsk2)};

	if (crypto_choice_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("noise", tests, NULL, NULL);
}
