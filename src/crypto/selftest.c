/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A known answer for each algorithm, run at start: a library that was exchanged, miscompiled or
 * configured into something else must not carry traffic. The answers are from RFC 7693, RFC 7748,
 * the SipHash paper, Wycheproof and wireguard-go's KDF test; tests/vectors has the whole sets.
 */
#include "crypto/internal.h"

#include <string.h>

#define TEXT_MAX 160 /* bytes of the longest value below, and a tag */

struct bytes {
	uint8_t b[TEXT_MAX];
	size_t len;
};

static uint8_t nibble(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* The constants of this file alone: lower-case hex of at most TEXT_MAX bytes. */
static struct bytes unhex(const char *hex)
{
	struct bytes v = {.len = 0};

	for (; hex[0] && hex[1] && v.len < TEXT_MAX; hex += 2)
		v.b[v.len++] = (uint8_t)(nibble(hex[0]) << 4 | nibble(hex[1]));
	return v;
}

static struct weft_secret unhex_key(const char *hex)
{
	struct bytes v = unhex(hex);
	struct weft_secret key;

	memcpy(key.b, v.b, sizeof(key.b));
	return key;
}

static bool matches(const uint8_t *got, size_t len, const char *hex)
{
	struct bytes want = unhex(hex);

	return want.len == len && !memcmp(got, want.b, len);
}

static bool hash_ok(struct weft_crypto *c)
{
	uint8_t out[WEFT_HASH_LEN];

	/* RFC 7693, appendix B */
	return !weft_hash(c, out, "a", 1, "bc", 2) &&
	       matches(out, sizeof(out),
		       "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
}

static bool mac_ok(struct weft_crypto *c)
{
	uint8_t out[WEFT_MAC_LEN];
	struct weft_secret key =
		unhex_key("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");

	/* computed with Python's hashlib.blake2s */
	return !weft_mac(c, out, key.b, sizeof(key.b), "abc", 3) &&
	       matches(out, sizeof(out), "61ba5f165c194692e09d12520cc4c74a");
}

static bool kdf_ok(struct weft_crypto *c)
{
	static const char key_text[] = "wireguard";
	uint8_t key[WEFT_HASH_LEN] = {0}, t1[WEFT_HASH_LEN], t2[WEFT_HASH_LEN], t3[WEFT_HASH_LEN];

	/* HMAC pads a key with zeros: a short key equals its padded form */
	memcpy(key, key_text, sizeof(key_text) - 1);
	return !weft_kdf(c, t1, t2, t3, key, key_text, sizeof(key_text) - 1) &&
	       matches(t1, sizeof(t1),
		       "491d43bbfdaa8750aaf535e334ecbfe5129967cd64635101c566d4caefda96e8") &&
	       matches(t2, sizeof(t2),
		       "1e71a379baefd8a79aa4662212fcafe19a23e2b609a3db7d6bcba8f560e3d25f") &&
	       matches(t3, sizeof(t3),
		       "31e1ae48bddfbe5de38f295e5452b1909a1b4e38e183926af3780b0c1e1f0160");
}

static bool x25519_ok(struct weft_crypto *c)
{
	static const uint8_t zero[WEFT_KEY_LEN];
	/* RFC 7748, section 6.1 */
	struct weft_secret alice =
		unhex_key("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
	struct weft_secret shared;
	struct bytes bob =
		unhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
	uint8_t public[WEFT_KEY_LEN];

	return !weft_x25519_public(c, public, &alice) &&
	       matches(public, sizeof(public),
		       "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a") &&
	       !weft_x25519(c, &shared, &alice, bob.b) &&
	       matches(shared.b, sizeof(shared.b),
		       "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742") &&
	       weft_x25519(c, &shared, &alice, zero) == WEFT_E_WEAK_KEY;
}

static bool aead_ok(struct weft_crypto *c)
{
	/* Wycheproof, chacha20_poly1305_test.json, case 216 */
	struct weft_secret key =
		unhex_key("9de836aa579585081f330a7c4036e20e38ef15eff3945184d231867f505fffdf");
	struct bytes ad = unhex("ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
				"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff");
	struct bytes text = unhex("3619cb470af86dceceb6940f2d9abb34c9a9131476053387445ffebbe240d4f9"
				  "818377855652f46a8219c7f71c3554f8acef8258de4b7d17c0f3d353ac981cc6"
				  "a13287be1e6b41dc6d133df4ababebdf43d665ce7a4a5c982a0b139cb8202eeb"
				  "c74173e3224a440e4c37d2b595f384290e939ba016df0d49b36cdb4bd91c39");
	static const char sealed[] =
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff13"
		"3fe62391744d11ce44594b96c53baf";
	const uint64_t counter = UINT64_C(0xc372c60b13121110);
	uint8_t out[TEXT_MAX], back[TEXT_MAX];
	size_t len = text.len + WEFT_TAG_LEN;

	if (weft_aead_seal(c, &key, counter, ad.b, ad.len, out, text.b, text.len) ||
	    !matches(out, len, sealed) ||
	    weft_aead_open(c, &key, counter, ad.b, ad.len, back, out, len) ||
	    memcmp(back, text.b, text.len) != 0)
		return false;
	out[len - 1] ^= 1;
	return weft_aead_open(c, &key, counter, ad.b, ad.len, back, out, len) == WEFT_E_AUTH;
}

static bool xaead_ok(struct weft_crypto *c)
{
	/* Wycheproof, xchacha20_poly1305_test.json, case 39 */
	struct weft_secret key =
		unhex_key("5b51ea4943ce173baa53f84a6ef59cb1e25b794768508b8dd8dcbfbc1744c18a");
	struct bytes nonce = unhex("de1e034363b0daec9828159e7996faff33a5f63eb552eb5f");
	struct bytes ad = unhex("b6bea5c60f288109");
	struct bytes text = unhex("953939dd7601f17071b2bf776e4b1ed629ce");
	static const char sealed[] =
		"eef62d53545698255648a483708c9cc93937182529b1d07dbcb4bd89b3c5e4c8"
		"fac9";
	uint8_t out[TEXT_MAX], back[TEXT_MAX];
	size_t len = text.len + WEFT_TAG_LEN;

	if (weft_xaead_seal(c, &key, nonce.b, ad.b, ad.len, out, text.b, text.len) ||
	    !matches(out, len, sealed) ||
	    weft_xaead_open(c, &key, nonce.b, ad.b, ad.len, back, out, len) ||
	    memcmp(back, text.b, text.len) != 0)
		return false;
	out[0] ^= 1;
	return weft_xaead_open(c, &key, nonce.b, ad.b, ad.len, back, out, len) == WEFT_E_AUTH;
}

static bool siphash_ok(void)
{
	/* the SipHash paper, appendix A */
	struct bytes in = unhex("000102030405060708090a0b0c0d0e0f");

	return weft_siphash(in.b, in.b, 15) == 0xa129ca6149be45e5;
}

int weft_crypto_self_test(struct weft_crypto *c)
{
	bool ok = hash_ok(c) && mac_ok(c) && kdf_ok(c) && x25519_ok(c) && aead_ok(c) &&
		  xaead_ok(c) && siphash_ok();

	return ok ? 0 : WEFT_E_CRYPTO;
}
