/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fetching the algorithms, the contexts of one thread, and random bytes. It computes nothing.
 * Fetching once and reusing contexts follows OpenSSL's crypto(7), "ALGORITHM FETCHING".
 */
#include "crypto/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <sodium.h>

struct weft_algorithms weft_algorithms;

static int fetch(struct weft_algorithms *a)
{
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1 || sodium_init() < 0)
		return WEFT_E_CRYPTO;
	a->lib = OSSL_LIB_CTX_new();
	if (!a->lib || !OSSL_PROVIDER_load(a->lib, "default"))
		return WEFT_E_CRYPTO;
	a->blake2s = EVP_MD_fetch(a->lib, "BLAKE2S-256", NULL);
	a->blake2s_mac = EVP_MAC_fetch(a->lib, "BLAKE2SMAC", NULL);
	a->chacha20_poly1305 = EVP_CIPHER_fetch(a->lib, "ChaCha20-Poly1305", NULL);
	if (!a->blake2s || !a->blake2s_mac || !a->chacha20_poly1305)
		return WEFT_E_CRYPTO;
	return 0;
}

static void unfetch(struct weft_algorithms *a)
{
	EVP_MD_free(a->blake2s);
	EVP_MAC_free(a->blake2s_mac);
	EVP_CIPHER_free(a->chacha20_poly1305);
	OSSL_LIB_CTX_free(a->lib); /* unloads the provider too */
	*a = (struct weft_algorithms){.lib = NULL};
}

int weft_crypto_init(void)
{
	struct weft_crypto *c = NULL;
	int ret;

	if (weft_algorithms.lib)
		return 0;
	ret = fetch(&weft_algorithms);
	if (!ret)
		ret = weft_crypto_new(&c);
	if (!ret)
		ret = weft_crypto_self_test(c);
	weft_crypto_free(c);
	if (ret) {
		unfetch(&weft_algorithms);
		ERR_clear_error();
		return WEFT_E_CRYPTO;
	}
	return 0;
}

/* The digest length stays set in the context; only the key changes from call to call. */
static bool set_mac_length(EVP_MAC_CTX *mac)
{
	size_t len = WEFT_MAC_LEN;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &len),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params) == 1;
}

int weft_crypto_new(struct weft_crypto **ret_c)
{
	const struct weft_algorithms *a = &weft_algorithms;
	struct weft_crypto *c;

	if (!a->lib)
		return WEFT_E_CRYPTO;
	/* it holds keys: from where the library has its own memory, which a program may choose */
	c = OPENSSL_zalloc(sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->hash = EVP_MD_CTX_new();
	c->mac = EVP_MAC_CTX_new(a->blake2s_mac);
	c->seal.ctx = EVP_CIPHER_CTX_new();
	c->open.ctx = EVP_CIPHER_CTX_new();
	if (!c->hash || !c->mac || !c->seal.ctx || !c->open.ctx) {
		weft_crypto_free(c);
		return -ENOMEM;
	}
	if (EVP_DigestInit_ex2(c->hash, a->blake2s, NULL) != 1 || !set_mac_length(c->mac)) {
		weft_crypto_free(c);
		ERR_clear_error();
		return WEFT_E_CRYPTO;
	}
	*ret_c = c;
	return 0;
}

void weft_crypto_free(struct weft_crypto *c)
{
	if (!c)
		return;
	/* each of these wipes its own state before it is freed */
	EVP_MD_CTX_free(c->hash);
	EVP_MAC_CTX_free(c->mac);
	EVP_CIPHER_CTX_free(c->seal.ctx);
	EVP_CIPHER_CTX_free(c->open.ctx);
	OPENSSL_clear_free(c, sizeof(*c));
}

void weft_crypto_forget(struct weft_crypto *c)
{
	static const uint8_t nothing[WEFT_KEY_LEN];

	weft_aead_forget(&c->seal);
	weft_aead_forget(&c->open);
	if (c->mac_keyed && EVP_MAC_init(c->mac, nothing, sizeof(nothing), NULL) == 1)
		c->mac_keyed = false;
}

int weft_random(void *out, size_t len)
{
	uint8_t *p = out;

	while (len) {
		ssize_t n = getrandom(p, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return WEFT_E_CRYPTO;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}
