/* SPDX-License-Identifier: Apache-2.0 */
/* Keys as text and back, comparisons, clamping, and the primitives of src/crypto. */
#include "ct.h"
#include "crypto_choice.h"

#include <string.h>

#include "crypto/crypto.h"
#include "util/encoding.h"

static void fill(uint8_t *p, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1103515245u + 12345u;
		p[i] = (uint8_t)(seed >> 16);
	}
}

static void text(void)
{
	uint8_t key[WEFT_KEY_LEN], back[WEFT_KEY_LEN];
	char base64[WEFT_KEY_BASE64_LEN + 1], hex[WEFT_KEY_HEX_LEN + 1];

	fill(key, sizeof(key), 1);
	ct_secret(key, sizeof(key));
	weft_key_to_base64(base64, key);
	ct_public(base64 + 43, 2); /* always "=" and the NUL */
	CT_CHECK(!weft_key_from_base64(back, base64, WEFT_KEY_BASE64_LEN));
	CT_CHECK(weft_ct_equal(key, back, sizeof(key)));
	weft_key_to_hex(hex, key);
	memset(back, 0, sizeof(back));
	CT_CHECK(!weft_key_from_hex(back, hex, WEFT_KEY_HEX_LEN));
	CT_CHECK(weft_ct_equal(key, back, sizeof(key)));
	/* and what is no key, for a reason that depends on secret characters */
	hex[5] = 'x';
	ct_secret(hex, sizeof(hex));
	CT_CHECK(weft_key_from_hex(back, hex, WEFT_KEY_HEX_LEN) == WEFT_E_BAD_KEY_TEXT);
	base64[7] = '-';
	ct_secret(base64, 43);
	CT_CHECK(weft_key_from_base64(back, base64, WEFT_KEY_BASE64_LEN) == WEFT_E_BAD_KEY_TEXT);
}

static void comparisons(void)
{
	uint8_t a[WEFT_KEY_LEN], b[WEFT_KEY_LEN], zero[WEFT_KEY_LEN] = {0};
	struct weft_secret scalar;

	fill(a, sizeof(a), 2);
	memcpy(b, a, sizeof(b));
	ct_secret(a, sizeof(a));
	ct_secret(b, sizeof(b));
	ct_secret(zero, sizeof(zero));
	CT_CHECK(weft_ct_equal(a, b, sizeof(a)));
	b[31] ^= 1;
	CT_CHECK(!weft_ct_equal(a, b, sizeof(a)));
	CT_CHECK(!weft_ct_is_zero(a, sizeof(a)));
	CT_CHECK(weft_ct_is_zero(zero, sizeof(zero)));
	memcpy(scalar.b, a, sizeof(scalar.b));
	weft_x25519_clamp(&scalar);
	weft_secret_clear(&scalar);
	CT_CHECK(weft_ct_is_zero(scalar.b, sizeof(scalar.b)));
}

static void primitives(struct weft_crypto *c)
{
	struct weft_secret a, b, shared_a, shared_b;
	uint8_t public_a[WEFT_KEY_LEN], public_b[WEFT_KEY_LEN], nothing[WEFT_KEY_LEN] = {0};
	uint8_t sealed[80], opened[64], t1[32], t2[32], t3[32], mac[16], nonce[24] = {7};

	fill(a.b, sizeof(a.b), 3);
	fill(b.b, sizeof(b.b), 4);
	ct_secret(&a, sizeof(a));
	ct_secret(&b, sizeof(b));
	CT_CHECK(!weft_x25519_public(c, public_a, &a));
	CT_CHECK(!weft_x25519_public(c, public_b, &b));
	CT_CHECK(!weft_x25519(c, &shared_a, &a, public_b));
	CT_CHECK(!weft_x25519(c, &shared_b, &b, public_a));
	CT_CHECK(weft_ct_equal(shared_a.b, shared_b.b, sizeof(shared_a.b)));
	CT_CHECK(weft_x25519(c, &shared_a, &a, nothing) == WEFT_E_WEAK_KEY);
	CT_CHECK(!weft_kdf(c, t1, t2, t3, shared_b.b, a.b, sizeof(a.b)));
	CT_CHECK(!weft_mac(c, mac, t1, sizeof(t1), t2, sizeof(t2)));
	CT_CHECK(!weft_hash(c, t3, t1, sizeof(t1), t2, sizeof(t2)));
	/* a secret text under a secret key; then altered; then under another key */
	memcpy(opened, t1, sizeof(t1));
	memcpy(opened + 32, t2, sizeof(t2));
	CT_CHECK(!weft_aead_seal(c, &shared_b, 1, t3, sizeof(t3), sealed, opened, 64));
	CT_CHECK(!weft_aead_open(c, &shared_b, 1, t3, sizeof(t3), opened, sealed, 80));
	sealed[70] ^= 1;
	CT_CHECK(weft_aead_open(c, &shared_b, 1, t3, 32, opened, sealed, 80) == WEFT_E_AUTH);
	CT_CHECK(weft_aead_open(c, &a, 1, t3, 32, opened, sealed, 80) == WEFT_E_AUTH);
	CT_CHECK(!weft_xaead_seal(c, &shared_b, nonce, NULL, 0, sealed, t1, 32));
	CT_CHECK(!weft_xaead_open(c, &shared_b, nonce, NULL, 0, opened, sealed, 48));
	sealed[40] ^= 1;
	CT_CHECK(weft_xaead_open(c, &shared_b, nonce, NULL, 0, opened, sealed, 48) == WEFT_E_AUTH);
	weft_crypto_forget(c);
}

int main(void)
{
	struct weft_crypto *c;

	ct_begin();
	CT_CHECK(!crypto_choice_init());
	CT_CHECK(!weft_crypto_new(&c));
	text();
	comparisons();
	primitives(c);
	weft_crypto_free(c);
	return 0;
}
