/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole handshake with secret static keys, ephemeral keys, preshared key and cookie, and
 * transport packets under the keys that it yields; then the same with altered messages. What goes
 * on the wire is public from there on.
 */
#include "ct.h"
#include "crypto_choice.h"

#include <string.h>

#include "core/cookie.h"
#include "core/keypair.h"
#include "core/noise.h"

struct side {
	struct weft_crypto *crypto;
	struct weft_secret secret, ephemeral;
	uint8_t public_key[WEFT_KEY_LEN];
	struct weft_noise noise;
	struct weft_handshake hs;
	struct weft_handshake_run run;
	struct weft_cookie_peer cookie;
	struct weft_cookie_checker checker;
	struct weft_keypair keypair;
};

static int static_dh(void *ctx, struct weft_secret *ret_shared, const uint8_t point[WEFT_KEY_LEN])
{
	struct side *s = ctx;

	return weft_x25519(s->crypto, ret_shared, &s->secret, point);
}

static void fill(void *ctx, void *out, size_t len)
{
	(void)ctx;
	memset(out, 0x6d, len);
	ct_secret(out, len);
}

static void side_init(struct side *s, unsigned seed)
{
	const struct weft_rng rng = {.fill = fill};

	memset(s, 0, sizeof(*s));
	CT_CHECK(!weft_crypto_new(&s->crypto));
	memset(s->secret.b, (int)seed, sizeof(s->secret.b));
	memset(s->ephemeral.b, (int)seed + 1, sizeof(s->ephemeral.b));
	ct_secret(&s->secret, sizeof(s->secret));
	ct_secret(&s->ephemeral, sizeof(s->ephemeral));
	weft_x25519_clamp(&s->secret);
	weft_x25519_clamp(&s->ephemeral);
	CT_CHECK(!weft_x25519_public(s->crypto, s->public_key, &s->secret));
	ct_public(s->public_key, sizeof(s->public_key)); /* known to the peers */
	CT_CHECK(!weft_noise_init(&s->noise, s->crypto, static_dh, s));
	weft_noise_set_static(&s->noise, s->public_key);
	weft_cookie_checker_init(&s->checker, &rng);
	CT_CHECK(!weft_cookie_checker_set_key(&s->checker, s->crypto, s->public_key));
}

static void meet(struct side *s, const struct side *other)
{
	weft_handshake_init(&s->hs, other->public_key);
	s->hs.run = &s->run;
	memset(s->hs.psk.b, 0x77, sizeof(s->hs.psk.b));
	ct_secret(&s->hs.psk, sizeof(s->hs.psk));
	CT_CHECK(!weft_cookie_peer_init(&s->cookie, s->crypto, other->public_key));
}

static void side_fini(struct side *s)
{
	weft_cookie_checker_fini(&s->checker);
	weft_cookie_peer_clear(&s->cookie);
	weft_crypto_free(s->crypto);
}

static void make_initiation(struct side *i, uint8_t second, uint8_t out[WEFT_MSG_INITIATION_LEN],
			    uint64_t now_ns)
{
	uint8_t timestamp[WEFT_TIMESTAMP_LEN] = {0x40, [7] = second};

	CT_CHECK(!weft_noise_create_initiation(&i->noise, &i->hs, &i->ephemeral, timestamp, 1234,
					       out));
	ct_public(out, WEFT_MSG_INITIATION_LEN);
	CT_CHECK(
		!weft_cookie_add_macs(&i->cookie, i->crypto, out, WEFT_MSG_INITIATION_LEN, now_ns));
	ct_public(out, WEFT_MSG_INITIATION_LEN);
}

/* The responder is under load and asks for a cookie; the initiator obeys. */
static void cookies(struct side *i, struct side *r, uint8_t *msg, uint64_t now_ns)
{
	struct weft_endpoint from = {.ip = {.b = {192, 0, 2, 1}, .family = WEFT_IPV4}, .port = 9};
	uint8_t reply[WEFT_COOKIE_REPLY_LEN];
	const size_t len = WEFT_MSG_INITIATION_LEN;

	CT_CHECK(!weft_cookie_check_mac1(&r->checker, r->crypto, msg, len));
	CT_CHECK(weft_cookie_check_mac2(&r->checker, r->crypto, msg, len, &from, now_ns) ==
		 WEFT_E_AUTH);
	CT_CHECK(!weft_cookie_reply(&r->checker, r->crypto, msg, len, 1234, &from, now_ns, reply));
	ct_public(reply, sizeof(reply));
	reply[50] ^= 1;
	CT_CHECK(weft_cookie_consume(&i->cookie, i->crypto, reply, sizeof(reply), now_ns) ==
		 WEFT_E_AUTH);
	reply[50] ^= 1;
	CT_CHECK(!weft_cookie_consume(&i->cookie, i->crypto, reply, sizeof(reply), now_ns));
	CT_CHECK(!weft_cookie_add_macs(&i->cookie, i->crypto, msg, len, now_ns));
	ct_public(msg, len);
	CT_CHECK(!weft_cookie_check_mac2(&r->checker, r->crypto, msg, len, &from, now_ns));
	msg[len - 1] ^= 1;
	CT_CHECK(weft_cookie_check_mac2(&r->checker, r->crypto, msg, len, &from, now_ns) ==
		 WEFT_E_AUTH);
	msg[len - 1] ^= 1;
}

static void altered_initiation(struct side *r, const uint8_t msg[WEFT_MSG_INITIATION_LEN],
			       uint64_t now_ns)
{
	uint8_t copy[WEFT_MSG_INITIATION_LEN];
	struct weft_noise_incoming in;
	enum weft_drop reason;

	memcpy(copy, msg, sizeof(copy));
	copy[50] ^= 1; /* the sealed static key */
	CT_CHECK(weft_noise_open_initiation(&r->noise, copy, sizeof(copy), &in) == WEFT_E_AUTH);
	memcpy(copy, msg, sizeof(copy));
	copy[100] ^= 1; /* the sealed timestamp */
	CT_CHECK(!weft_noise_open_initiation(&r->noise, copy, sizeof(copy), &in));
	CT_CHECK(weft_noise_accept_initiation(&r->noise, &r->hs, &in, now_ns, &reason) ==
		 WEFT_E_DROP);
	CT_CHECK(reason == WEFT_DROP_RX_HANDSHAKE);
}

static void responder(struct side *r, const uint8_t msg[WEFT_MSG_INITIATION_LEN],
		      const uint8_t sender[WEFT_KEY_LEN], uint8_t out[WEFT_MSG_RESPONSE_LEN],
		      uint64_t now_ns)
{
	struct weft_noise_incoming in;
	enum weft_drop reason;

	CT_CHECK(!weft_noise_open_initiation(&r->noise, msg, WEFT_MSG_INITIATION_LEN, &in));
	CT_CHECK(!memcmp(in.remote_static, sender, WEFT_KEY_LEN));
	CT_CHECK(!weft_noise_accept_initiation(&r->noise, &r->hs, &in, now_ns, &reason));
	CT_CHECK(!weft_noise_create_response(&r->noise, &r->hs, &r->ephemeral, 5678, out));
	ct_public(out, WEFT_MSG_RESPONSE_LEN);
}

static void begin(struct side *s, uint64_t now_ns)
{
	struct weft_noise_keys keys;

	CT_CHECK(!weft_noise_begin_session(&s->noise, &s->hs, &keys));
	s->keypair.send_key = keys.send;
	s->keypair.recv_key = keys.recv;
	s->keypair.remote_index = keys.remote_index;
	s->keypair.born_ns = now_ns;
	atomic_store(&s->keypair.send_valid, true);
	weft_replay_init(&s->keypair.replay);
	weft_wipe(&keys, sizeof(keys));
}

static void transport(struct side *from, struct side *to, uint64_t now_ns)
{
	uint8_t pkt[16 + 96 + 16] = {0}, copy[sizeof(pkt)];
	enum weft_drop reason;

	memset(pkt + 16, 0x45, 90);
	ct_secret(pkt + 16, 90);
	CT_CHECK(!weft_keypair_seal(&from->keypair, from->crypto, pkt, 90, 96));
	ct_public(pkt, sizeof(pkt));
	memcpy(copy, pkt, sizeof(copy));
	copy[sizeof(copy) - 1] ^= 1;
	CT_CHECK(weft_keypair_open(&to->keypair, to->crypto, copy, sizeof(copy), now_ns, &reason) ==
		 WEFT_E_DROP);
	CT_CHECK(reason == WEFT_DROP_RX_AUTH);
	CT_CHECK(!weft_keypair_open(&to->keypair, to->crypto, pkt, sizeof(pkt), now_ns, &reason));
	ct_public(pkt, sizeof(pkt)); /* delivered */
	CT_CHECK(pkt[16] == 0x45 && pkt[16 + 89] == 0x45 && pkt[16 + 90] == 0);
}

int main(void)
{
	const uint64_t now_ns = 50 * WEFT_NS_PER_S;
	uint8_t initiation[WEFT_MSG_INITIATION_LEN], response[WEFT_MSG_RESPONSE_LEN];
	static struct side i, r;

	ct_begin();
	CT_CHECK(!crypto_choice_init());
	side_init(&i, 10);
	side_init(&r, 20);
	meet(&i, &r);
	meet(&r, &i);
	make_initiation(&i, 1, initiation, now_ns);
	cookies(&i, &r, initiation, now_ns);
	altered_initiation(&r, initiation, now_ns);
	responder(&r, initiation, i.public_key, response, now_ns);
	response[50] ^= 1; /* the sealed nothing */
	CT_CHECK(weft_noise_consume_response(&i.noise, &i.hs, response, sizeof(response)) ==
		 WEFT_E_AUTH);
	response[50] ^= 1;
	CT_CHECK(!weft_noise_consume_response(&i.noise, &i.hs, response, sizeof(response)));
	begin(&i, now_ns);
	begin(&r, now_ns);
	CT_CHECK(weft_ct_equal(i.keypair.send_key.b, r.keypair.recv_key.b, WEFT_KEY_LEN));
	transport(&i, &r, now_ns);
	transport(&r, &i, now_ns);
	side_fini(&i);
	side_fini(&r);
	return 0;
}
