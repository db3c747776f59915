/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole handshakes with fixed keys against an independent implementation's transcript: both
 * messages byte for byte, transport keys in both directions, transport packets at the counters
 * where encodings go wrong, and the cookie reply. Also: what must not authenticate does not.
 */
#include "load.h"

#include "crypto_choice.h"

#include "core/cookie.h"
#include "core/keypair.h"
#include "core/noise.h"
#include "core/replay.h"

/* Integers as reals: one of them does not fit 63 bits. */
static json_t *load_transcript(void)
{
	json_t *root = json_load_file(WEFT_VECTORS_DIR "/wireguard/transcript.json",
				      JSON_DECODE_INT_AS_REAL, NULL);

	assert_non_null(root);
	return root;
}

static uint64_t integer(const json_t *v, const char *key)
{
	double d = json_real_value(json_object_get(v, key));

	/* Of those past 2^53 there is one alone: the last counter. */
	return d > 9007199254740992.0 ? WEFT_REJECT_AFTER_MESSAGES - 1 : (uint64_t)d;
}

struct side {
	struct weft_crypto *crypto;
	struct weft_secret secret;
	uint8_t public_key[WEFT_KEY_LEN];
	struct weft_noise noise;
	struct weft_handshake hs;
	struct weft_handshake_run run;
	struct weft_cookie_peer cookie;
};

static int static_dh(void *ctx, struct weft_secret *ret_shared, const uint8_t point[WEFT_KEY_LEN])
{
	struct side *s = ctx;

	return weft_x25519(s->crypto, ret_shared, &s->secret, point);
}

static void side_init(struct side *s, const json_t *v, const char *secret, const char *public_key,
		      const char *remote)
{
	uint8_t remote_key[WEFT_KEY_LEN];

	memset(s, 0, sizeof(*s));
	assert_int_equal(weft_crypto_new(&s->crypto), 0);
	vectors_hex_exact(v, secret, s->secret.b, WEFT_KEY_LEN);
	vectors_hex_exact(v, public_key, s->public_key, WEFT_KEY_LEN);
	vectors_hex_exact(v, remote, remote_key, WEFT_KEY_LEN);
	assert_int_equal(weft_noise_init(&s->noise, s->crypto, static_dh, s), 0);
	weft_noise_set_static(&s->noise, s->public_key);
	weft_handshake_init(&s->hs, remote_key);
	s->hs.run = &s->run;
	vectors_hex_exact(v, "psk", s->hs.psk.b, WEFT_KEY_LEN);
	assert_int_equal(weft_cookie_peer_init(&s->cookie, s->crypto, remote_key), 0);
}

/* Data packets of one direction: sealed to the same bytes, opened to the same packet. */
static void check_transport(const json_t *v, const char *from, const struct weft_noise_keys *keys,
			    const struct weft_noise_keys *peer_keys, struct weft_crypto *crypto)
{
	struct weft_keypair *out = calloc(1, sizeof(*out)), *in = calloc(1, sizeof(*in));
	size_t i, seen = 0;
	json_t *p;

	out->send_key = keys->send;
	out->remote_index = keys->remote_index;
	in->recv_key = peer_keys->recv;
	weft_replay_init(&in->replay);
	json_array_foreach(json_object_get(v, "transport"), i, p)
	{
		uint8_t want[2048], inner[2048], buf[2048];
		size_t want_len = vectors_hex(p, "packet", want, sizeof(want));
		size_t inner_len = vectors_hex(p, "inner", inner, sizeof(inner));
		uint64_t counter;
		enum weft_drop reason;

		if (strcmp(vectors_string(p, "from"), from) != 0)
			continue;
		counter = integer(p, "counter");
		atomic_store(&out->send_valid, true);
		atomic_store(&out->send_counter, counter);
		memcpy(buf + 16, inner, inner_len);
		assert_int_equal(weft_keypair_seal(out, crypto, buf, inner_len,
						   weft_padded_len(inner_len, 1420)),
				 0);
		assert_memory_equal(buf, want, want_len);
		buf[want_len - 1] ^= 1;
		assert_int_equal(weft_keypair_open(in, crypto, buf, want_len, 1, &reason),
				 WEFT_E_DROP);
		assert_int_equal(reason, WEFT_DROP_RX_AUTH);
		assert_int_equal(weft_keypair_open(in, crypto, want, want_len, 1, &reason), 0);
		assert_memory_equal(want + 16, inner, inner_len);
		seen++;
	}
	assert_int_equal(seen, 4);
	/* The last one used the last counter there is. */
	assert_int_equal(weft_keypair_seal(out, crypto, (uint8_t[64]){0}, 0, 0), WEFT_E_NO_SESSION);
	assert_false(atomic_load(&out->send_valid));
	free(out);
	free(in);
}

static void check_cookie(const json_t *v, struct side *i, const uint8_t *initiation)
{
	const json_t *c = json_object_get(v, "cookie");
	uint8_t reply[WEFT_COOKIE_REPLY_LEN], want[WEFT_MSG_INITIATION_LEN];
	uint8_t again[WEFT_MSG_INITIATION_LEN];

	vectors_hex_exact(c, "reply", reply, sizeof(reply));
	vectors_hex_exact(c, "initiation_with_mac2", want, sizeof(want));
	reply[40] ^= 1;
	assert_int_equal(weft_cookie_consume(&i->cookie, i->crypto, reply, sizeof(reply), 1),
			 WEFT_E_AUTH);
	reply[40] ^= 1;
	assert_int_equal(weft_cookie_consume(&i->cookie, i->crypto, reply, sizeof(reply), 1), 0);
	memcpy(again, initiation, sizeof(again));
	assert_int_equal(weft_cookie_add_macs(&i->cookie, i->crypto, again, sizeof(again), 2), 0);
	assert_memory_equal(again, want, sizeof(want));
}

static void check_handshake(const json_t *v)
{
	uint8_t want_init[WEFT_MSG_INITIATION_LEN], want_resp[WEFT_MSG_RESPONSE_LEN];
	uint8_t msg[WEFT_MSG_INITIATION_LEN], resp[WEFT_MSG_RESPONSE_LEN];
	uint8_t timestamp[WEFT_TIMESTAMP_LEN], i2r[WEFT_KEY_LEN], r2i[WEFT_KEY_LEN];
	uint8_t chain[WEFT_HASH_LEN], hash[WEFT_HASH_LEN];
	struct weft_noise_keys keys_i, keys_r;
	struct weft_noise_incoming in;
	struct weft_secret e_i, e_r;
	enum weft_drop reason;
	struct side i, r;

	side_init(&i, v, "init_static", "init_static_pub", "resp_static_pub");
	side_init(&r, v, "resp_static", "resp_static_pub", "init_static_pub");
	vectors_hex_exact(v, "initiation", want_init, sizeof(want_init));
	vectors_hex_exact(v, "response", want_resp, sizeof(want_resp));
	vectors_hex_exact(v, "timestamp", timestamp, sizeof(timestamp));
	vectors_hex_exact(v, "init_ephemeral", e_i.b, sizeof(e_i.b));
	vectors_hex_exact(v, "resp_ephemeral", e_r.b, sizeof(e_r.b));
	vectors_hex_exact(v, "key_i2r", i2r, sizeof(i2r));
	vectors_hex_exact(v, "key_r2i", r2i, sizeof(r2i));
	vectors_hex_exact(v, "chaining_key", chain, sizeof(chain));
	vectors_hex_exact(v, "handshake_hash", hash, sizeof(hash));

	assert_int_equal(weft_noise_create_initiation(&i.noise, &i.hs, &e_i, timestamp,
						      (uint32_t)integer(v, "init_index"), msg),
			 0);
	assert_int_equal(weft_cookie_add_macs(&i.cookie, i.crypto, msg, sizeof(msg), 1), 0);
	assert_memory_equal(msg, want_init, sizeof(msg));
	check_cookie(v, &i, msg);

	assert_int_equal(weft_noise_open_initiation(&r.noise, msg, sizeof(msg), &in), 0);
	assert_memory_equal(in.remote_static, i.public_key, WEFT_KEY_LEN);
	assert_int_equal(weft_noise_accept_initiation(&r.noise, &r.hs, &in, 5, &reason), 0);
	/* The same once more: replayed. One bit off: not authentic. */
	assert_int_equal(weft_noise_open_initiation(&r.noise, msg, sizeof(msg), &in), 0);
	assert_int_equal(weft_noise_accept_initiation(&r.noise, &r.hs, &in, UINT64_MAX, &reason),
			 WEFT_E_DROP);
	assert_int_equal(reason, WEFT_DROP_RX_TIMESTAMP);
	msg[100] ^= 0x80;
	assert_int_equal(weft_noise_open_initiation(&r.noise, msg, sizeof(msg), &in), 0);
	assert_int_equal(weft_noise_accept_initiation(&r.noise, &r.hs, &in, UINT64_MAX, &reason),
			 WEFT_E_DROP);
	assert_int_equal(reason, WEFT_DROP_RX_HANDSHAKE);
	msg[50] ^= 1;
	assert_int_equal(weft_noise_open_initiation(&r.noise, msg, sizeof(msg), &in), WEFT_E_AUTH);

	assert_int_equal(weft_noise_create_response(&r.noise, &r.hs, &e_r,
						    (uint32_t)integer(v, "resp_index"), resp),
			 0);
	assert_int_equal(weft_cookie_add_macs(&r.cookie, r.crypto, resp, sizeof(resp), 1), 0);
	assert_memory_equal(resp, want_resp, sizeof(resp));

	resp[50] ^= 1;
	assert_int_equal(weft_noise_consume_response(&i.noise, &i.hs, resp, sizeof(resp)),
			 WEFT_E_AUTH);
	resp[50] ^= 1;
	assert_int_equal(weft_noise_consume_response(&i.noise, &i.hs, resp, sizeof(resp)), 0);
	assert_memory_equal(i.run.chain.b, chain, sizeof(chain));
	assert_memory_equal(i.run.hash, hash, sizeof(hash));
	assert_memory_equal(r.run.chain.b, chain, sizeof(chain));
	assert_int_equal(weft_noise_begin_session(&i.noise, &i.hs, &keys_i), 0);
	assert_int_equal(weft_noise_begin_session(&r.noise, &r.hs, &keys_r), 0);
	assert_true(keys_i.initiator && !keys_r.initiator);
	assert_memory_equal(keys_i.send.b, i2r, sizeof(i2r));
	assert_memory_equal(keys_i.recv.b, r2i, sizeof(r2i));
	assert_memory_equal(keys_r.send.b, r2i, sizeof(r2i));
	assert_memory_equal(keys_r.recv.b, i2r, sizeof(i2r));
	assert_true(weft_ct_is_zero(i.run.ephemeral.b, WEFT_KEY_LEN));
	assert_true(weft_ct_is_zero(i.run.chain.b, WEFT_KEY_LEN));
	assert_int_equal(weft_noise_begin_session(&i.noise, &i.hs, &keys_i), WEFT_E_PROTOCOL);

	check_transport(v, "initiator", &keys_i, &keys_r, i.crypto);
	check_transport(v, "responder", &keys_r, &keys_i, r.crypto);
	weft_crypto_free(i.crypto);
	weft_crypto_free(r.crypto);
}

static void test_transcript(void **state)
{
	json_t *root = load_transcript();
	json_t *vectors = json_object_get(root, "vectors");

	(void)state;
	assert_int_equal(json_array_size(vectors), 4);
	for (size_t n = 0; n < json_array_size(vectors); n++)
		check_handshake(json_array_get(vectors, n));
	json_decref(root);
}

/* A public key of small order yields zeros: no handshake with it. */
static void test_weak_key(void **state)
{
	json_t *root = load_transcript();
	const json_t *v = json_array_get(json_object_get(root, "vectors"), 0);
	uint8_t zero[WEFT_KEY_LEN] = {0}, timestamp[WEFT_TIMESTAMP_LEN] = {1};
	uint8_t msg[WEFT_MSG_INITIATION_LEN];
	struct side i;

	(void)state;
	side_init(&i, v, "init_static", "init_static_pub", "resp_static_pub");
	weft_handshake_init(&i.hs, zero);
	i.hs.run = &i.run;
	assert_int_equal(
		weft_noise_create_initiation(&i.noise, &i.hs, &i.secret, timestamp, 1, msg),
		WEFT_E_WEAK_KEY);
	assert_int_equal(i.hs.state, WEFT_HANDSHAKE_NONE);
	weft_crypto_free(i.crypto);
	json_decref(root);
}

static void test_timestamp(void **state)
{
	const uint8_t want[12] = {0x40, 0, 0, 0, 0x65, 0x53, 0xf1, 0x0a, 0x01, 0, 0, 0};
	uint8_t out[12];

	(void)state;
	weft_noise_timestamp(out, 1700000000, 0x01ffffff);
	assert_memory_equal(out, want, sizeof(want));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_transcript),
		cmocka_unit_test(test_weak_key),
		cmocka_unit_test(test_timestamp),
	};

	if (crypto_choice_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("handshake", tests, NULL, NULL);
}
