/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fetching the algorithms, the contexts of one thread, and random bytes. It computes nothing.
 * Fetching once and reusing contexts follows OpenSSL's crypto(7), "ALGORITHM FETCHING".
 */
#include "crypto/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <sodium.h>

struct weft_algorithms weft_algorithms;

/* `names` is a list with colons between. */
static bool has_name(const char *names, const char *name)
{
	const size_t len = strlen(name);

	for (const char *p = names; p; p = strchr(p, ':')) {
		p += *p == ':';
		if (strncasecmp(p, name, len) == 0 && (p[len] == ':' || !p[len]))
			return true;
	}
	return false;
}

const OSSL_DISPATCH *weft_openssl_functions(const struct weft_algorithms *a, int operation,
					    const char *name)
{
	const OSSL_DISPATCH *found = NULL;
	const OSSL_ALGORITHM *first;
	int no_cache = 0;

	first = OSSL_PROVIDER_query_operation(a->provider, operation, &no_cache);
	for (const OSSL_ALGORITHM *alg = first; alg && alg->algorithm_names && !found; alg++) {
		if (has_name(alg->algorithm_names, name))
			found = alg->implementation;
	}
	OSSL_PROVIDER_unquery_operation(a->provider, operation, first);
	return found;
}

static int fetch(struct weft_algorithms *a)
{
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1 || sodium_init() < 0)
		return WEFT_E_CRYPTO;
	a->lib = OSSL_LIB_CTX_new();
	a->provider = a->lib ? OSSL_PROVIDER_load(a->lib, "default") : NULL;
	if (!a->provider)
		return WEFT_E_CRYPTO;
	a->provctx = OSSL_PROVIDER_get0_provider_ctx(a->provider);
	a->blake2s_mac = EVP_MAC_fetch(a->lib, "BLAKE2SMAC", NULL);
	a->chacha20_poly1305 = EVP_CIPHER_fetch(a->lib, "ChaCha20-Poly1305", NULL);
	if (!a->provctx || !a->blake2s_mac || !a->chacha20_poly1305 ||
	    weft_openssl_digest_fetch(a, "BLAKE2S-256", &a->blake2s))
		return WEFT_E_CRYPTO;
	return weft_openssl_aead_fetch(a);
}

static void unfetch(struct weft_algorithms *a)
{
	EVP_MAC_free(a->blake2s_mac);
	EVP_CIPHER_free(a->chacha20_poly1305);
	OSSL_LIB_CTX_free(a->lib); /* unloads the provider too */
	*a = (struct weft_algorithms){.lib = NULL};
}

/* In the order in which AUTO tries them. */
static const struct candidate {
	enum weft_aead_choice choice;
	const struct weft_aead_backend *backend; /* NULL: not built in */
	const char *not_built, *not_usable;      /* what to say where another one is used instead */
} candidates[] = {
#ifdef WEFT_WITH_AVX512_AEAD
	{WEFT_AEAD_AVX512, &weft_aead_avx512, "", ""},
#else
	{WEFT_AEAD_AVX512, NULL, "", ""},
#endif
#ifdef WEFT_WITH_IPSEC_MB
	{WEFT_AEAD_IPSEC_MB, &weft_aead_ipsec_mb, "", ", ipsec-mb lacks AVX2"},
#else
	{WEFT_AEAD_IPSEC_MB, NULL, ", built without ipsec-mb", ""},
#endif
	{WEFT_AEAD_OPENSSL, &weft_aead_openssl, "", ""},
};

static void describe(const struct weft_crypto *c, char *out, size_t size)
{
#ifdef WEFT_WITH_AVX512_AEAD
	if (c->aead == &weft_aead_avx512) {
		(void)snprintf(out, size, "weft %s", WEFT_VERSION);
		return;
	}
#endif
#ifdef WEFT_WITH_IPSEC_MB
	if (c->aead == &weft_aead_ipsec_mb) {
		weft_ipsec_mb_describe(c, out, size);
		return;
	}
#endif
	(void)c;
	(void)snprintf(out, size, "%s", OpenSSL_version(OPENSSL_VERSION_STRING));
}

/* The self-test of everything, with the AEAD of `backend`. -ENOTSUP: not on this processor. */
static int test(const struct weft_aead_backend *backend, char *ret_details, size_t size)
{
	struct weft_crypto *c = NULL;
	int r = weft_crypto_new_with(backend, &c);

	if (r)
		return r;
	r = weft_crypto_self_test(c);
	if (!r)
		r = weft_aead_self_test(c);
	if (!r)
		describe(c, ret_details, size);
	weft_crypto_free(c);
	return r;
}

/* Adds to `why` what is wrong with a candidate; `r` is what its test returned. */
static void explain(char *why, size_t size, const struct candidate *k, int r)
{
	size_t said = strlen(why);

	if (r == -ENOSYS)
		(void)snprintf(why + said, size - said, "%s", k->not_built);
	else if (r == -ENOTSUP)
		(void)snprintf(why + said, size - said, "%s", k->not_usable);
	else
		(void)snprintf(why + said, size - said,
			       r == WEFT_E_CRYPTO ? ", %s failed its self-test"
						  : ", %s could not be tried",
			       k->backend->name);
}

static int choose_aead(struct weft_algorithms *a, enum weft_aead_choice choice)
{
	char details[48], why[80] = "";

	for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++) {
		const struct candidate *k = &candidates[i];
		int r = -ENOSYS;

		if (choice != WEFT_AEAD_AUTO && choice != k->choice)
			continue;
		if (k->backend)
			r = test(k->backend, details, sizeof(details));
		if (!r) {
			a->aead = k->backend;
			(void)snprintf(a->aead_text, sizeof(a->aead_text), "%s (%s%s)",
				       k->backend->name, details, why);
			return 0;
		}
		explain(why, sizeof(why), k, r);
	}
	return WEFT_E_CRYPTO;
}

int weft_crypto_init_with(enum weft_aead_choice choice)
{
	int ret;

	if (weft_algorithms.lib)
		return 0;
	ret = fetch(&weft_algorithms);
	if (!ret)
		ret = choose_aead(&weft_algorithms, choice);
	if (ret) {
		unfetch(&weft_algorithms);
		ERR_clear_error();
		return WEFT_E_CRYPTO;
	}
	return 0;
}

int weft_crypto_init(void)
{
	return weft_crypto_init_with(WEFT_AEAD_AUTO);
}

const char *weft_crypto_aead(void)
{
	return weft_algorithms.aead_text;
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

int weft_crypto_new_with(const struct weft_aead_backend *backend, struct weft_crypto **ret_c)
{
	const struct weft_algorithms *a = &weft_algorithms;
	struct weft_crypto *c;
	int r;

	if (!a->lib)
		return WEFT_E_CRYPTO;
	/* it holds keys: from where the library has its own memory, which a program may choose */
	c = OPENSSL_zalloc(sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->hash = a->blake2s.newctx(a->provctx);
	c->mac = EVP_MAC_CTX_new(a->blake2s_mac);
	if (!c->hash || !c->mac) {
		weft_crypto_free(c);
		return -ENOMEM;
	}
	if (!set_mac_length(c->mac)) {
		weft_crypto_free(c);
		ERR_clear_error();
		return WEFT_E_CRYPTO;
	}
	c->aead = backend;
	r = backend->acquire(c);
	if (r < 0) {
		weft_crypto_free(c);
		return r;
	}
	*ret_c = c;
	return 0;
}

int weft_crypto_new(struct weft_crypto **ret_c)
{
	return weft_crypto_new_with(weft_algorithms.aead, ret_c);
}

void weft_crypto_free(struct weft_crypto *c)
{
	if (!c)
		return;
	/* each of these wipes its own state before it is freed */
	if (c->hash)
		weft_algorithms.blake2s.freectx(c->hash);
	EVP_MAC_CTX_free(c->mac);
	if (c->aead)
		c->aead->release(c);
	OPENSSL_clear_free(c, sizeof(*c));
}

void weft_crypto_forget(struct weft_crypto *c)
{
	static const uint8_t nothing[WEFT_KEY_LEN];

	c->aead->forget(c);
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
