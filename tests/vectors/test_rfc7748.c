/* SPDX-License-Identifier: Apache-2.0 */
/* X25519 against RFC 7748, sections 5.2 and 6.1. */
#include "load.h"

#include "crypto/crypto.h"

static int setup(void **state)
{
	return weft_crypto_init() || weft_crypto_new((struct weft_crypto **)state);
}

static int teardown(void **state)
{
	weft_crypto_free(*state);
	return 0;
}

static void scalar_multiplication(void **state)
{
	static const struct {
		const char *scalar, *u, *out;
	} cases[] = {
		{"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
		 "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
		 "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"},
		{"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
		 "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
		 "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weft_secret scalar, out;
		uint8_t u[32], want[32];

		assert_int_equal(vectors_unhex(cases[i].scalar, scalar.b, 32), 32);
		assert_int_equal(vectors_unhex(cases[i].u, u, 32), 32);
		assert_int_equal(vectors_unhex(cases[i].out, want, 32), 32);
		assert_int_equal(weft_x25519(*state, &out, &scalar, u), 0);
		assert_memory_equal(out.b, want, 32);
	}
}

/* k, u = X25519(k, u), k: the third answer, after a million rounds, would take too long here. */
static void iterated(void **state)
{
	struct weft_secret k = {.b = {9}}, next;
	uint8_t u[32] = {9}, want[32];

	for (int i = 1; i <= 1000; i++) {
		assert_int_equal(weft_x25519(*state, &next, &k, u), 0);
		memcpy(u, k.b, 32);
		k = next;
		if (i == 1) {
			vectors_unhex(
				"422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079",
				want, 32);
			assert_memory_equal(k.b, want, 32);
		}
	}
	vectors_unhex("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51", want, 32);
	assert_memory_equal(k.b, want, 32);
}

static void diffie_hellman(void **state)
{
	struct weft_secret a, b, shared;
	uint8_t pa[32], pb[32], want[32];

	vectors_unhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a", a.b, 32);
	vectors_unhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb", b.b, 32);
	assert_int_equal(weft_x25519_public(*state, pa, &a), 0);
	vectors_unhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a", want, 32);
	assert_memory_equal(pa, want, 32);
	assert_int_equal(weft_x25519_public(*state, pb, &b), 0);
	vectors_unhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f", want, 32);
	assert_memory_equal(pb, want, 32);
	vectors_unhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742", want, 32);
	assert_int_equal(weft_x25519(*state, &shared, &a, pb), 0);
	assert_memory_equal(shared.b, want, 32);
	assert_int_equal(weft_x25519(*state, &shared, &b, pa), 0);
	assert_memory_equal(shared.b, want, 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scalar_multiplication),
		cmocka_unit_test(iterated),
		cmocka_unit_test(diffie_hellman),
	};

	return cmocka_run_group_tests_name("vectors-rfc7748", tests, setup, teardown);
}
