/* SPDX-License-Identifier: Apache-2.0 */
/*
 * X25519 (RFC 7748) over OpenSSL's keys. It knows nothing of what the shared secret is for.
 */
#include "crypto/internal.h"

#include <openssl/core_names.h>
#include <openssl/err.h>

/*
 * A key pair from `secret`. With `public` given, OpenSSL takes it as the public half instead of
 * computing that with a second multiplication, as costly as the one that is wanted; the derivation
 * reads the private half alone, so its value does not matter.
 */
static EVP_PKEY *import_private(struct weft_crypto *c, const struct weft_secret *secret,
				const uint8_t *public)
{
	EVP_PKEY *pkey = NULL;
	/* the parameters are inputs: the casts take away a const that OpenSSL does not use */
	OSSL_PARAM params[3] = {
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY,
						  (void *)(uintptr_t)secret->b, sizeof(secret->b)),
		OSSL_PARAM_construct_end(),
		OSSL_PARAM_construct_end(),
	};

	if (public)
		params[1] = OSSL_PARAM_construct_octet_string(
			OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t) public, WEFT_KEY_LEN);
	if (EVP_PKEY_fromdata(c->import, &pkey, EVP_PKEY_KEYPAIR, params) != 1)
		return NULL;
	return pkey;
}

static EVP_PKEY *import_public(struct weft_crypto *c, const uint8_t public[WEFT_KEY_LEN])
{
	EVP_PKEY *pkey = NULL;
	OSSL_PARAM params[2] = {
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
						  (void *)(uintptr_t) public, WEFT_KEY_LEN),
		OSSL_PARAM_construct_end(),
	};

	if (EVP_PKEY_fromdata(c->import, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		return NULL;
	return pkey;
}

int weft_x25519(struct weft_crypto *c, struct weft_secret *ret_shared,
		const struct weft_secret *secret, const uint8_t point[WEFT_KEY_LEN])
{
	EVP_PKEY *own = import_private(c, secret, point), *peer = import_public(c, point);
	EVP_PKEY_CTX *derive = NULL;
	struct weft_secret shared;
	size_t len = sizeof(shared.b);
	int ret = WEFT_E_CRYPTO;

	/* so that zeros in it can only have been written by the derivation */
	memset(shared.b, 0xff, sizeof(shared.b));
	if (!own || !peer)
		goto out;
	derive = EVP_PKEY_CTX_new_from_pkey(weft_algorithms.lib, own, NULL);
	if (!derive || EVP_PKEY_derive_init(derive) != 1 ||
	    EVP_PKEY_derive_set_peer_ex(derive, peer, 0) != 1)
		goto out;
	/* OpenSSL fails an all-zero result (RFC 7748, section 6.1) after having written it */
	if (EVP_PKEY_derive(derive, shared.b, &len) == 1 && len == sizeof(shared.b))
		ret = 0;
	if (weft_ct_is_zero(shared.b, sizeof(shared.b)))
		ret = WEFT_E_WEAK_KEY;
	if (!ret)
		*ret_shared = shared;
out:
	if (ret)
		ERR_clear_error();
	EVP_PKEY_CTX_free(derive);
	EVP_PKEY_free(own);
	EVP_PKEY_free(peer);
	weft_secret_clear(&shared);
	return ret;
}

int weft_x25519_public(struct weft_crypto *c, uint8_t ret_public[WEFT_KEY_LEN],
		       const struct weft_secret *secret)
{
	EVP_PKEY *own = import_private(c, secret, NULL);
	uint8_t public[WEFT_KEY_LEN];
	size_t len = sizeof(public);
	int ret = WEFT_E_CRYPTO;

	if (own && EVP_PKEY_get_raw_public_key(own, public, &len) == 1 && len == sizeof(public)) {
		memcpy(ret_public, public, sizeof(public));
		ret = 0;
	} else {
		ERR_clear_error();
	}
	EVP_PKEY_free(own);
	return ret;
}

void weft_x25519_clamp(struct weft_secret *secret)
{
	secret->b[0] &= 248;
	secret->b[31] = (uint8_t)((secret->b[31] & 127) | 64);
}
