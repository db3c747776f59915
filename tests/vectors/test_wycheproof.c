/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wycheproof's files for X25519, ChaCha20-Poly1305 and XChaCha20-Poly1305. Cases that no call can
 * express are counted and printed with the reason, and their number is checked, so that cases do
 * not get lost.
 */
#include "load.h"

#include "crypto_choice.h"

#include "raw_aead.h"
#include "util/cursor.h"

#define TEXT_MAX 4096

struct aead_case {
	uint8_t key[32], nonce[64], ad[TEXT_MAX], text[TEXT_MAX], sealed[TEXT_MAX + 16];
	size_t nonce_len, ad_len, text_len;
	bool valid;
	int id;
};

struct tally {
	unsigned run, raw, skipped;
};

static int setup(void **state)
{
	return crypto_choice_init() || weft_crypto_new((struct weft_crypto **)state);
}

static int teardown(void **state)
{
	weft_crypto_free(*state);
	return 0;
}

static int case_id(const json_t *v)
{
	return (int)json_integer_value(json_object_get(v, "tcId"));
}

static void x25519(void **state)
{
	json_t *root = vectors_load("wycheproof/x25519_test.json"), *group, *v;
	unsigned run = 0, weak = 0;
	size_t g, i;

	json_array_foreach(json_object_get(root, "testGroups"), g, group)
	{
		json_array_foreach(json_object_get(group, "tests"), i, v)
		{
			struct weft_secret secret, out;
			uint8_t point[32], want[32];
			int ret;

			vectors_hex_exact(v, "private", secret.b, 32);
			vectors_hex_exact(v, "public", point, 32);
			vectors_hex_exact(v, "shared", want, 32);
			/* "acceptable" are twist, non-canonical and low-order points: all are to be
			   computed, the all-zero result is to be refused */
			assert_string_not_equal(vectors_string(v, "result"), "invalid");
			ret = weft_x25519(*state, &out, &secret, point);
			if (weft_ct_is_zero(want, 32)) {
				assert_int_equal(ret, WEFT_E_WEAK_KEY);
				weak++;
			} else {
				assert_int_equal(ret, 0);
				if (memcmp(out.b, want, 32) != 0)
					fail_msg("x25519: case %d", case_id(v));
			}
			run++;
		}
	}
	print_message("# x25519: %u cases, %u of them all-zero\n", run, weak);
	assert_int_equal(run, json_integer_value(json_object_get(root, "numberOfTests")));
	assert_true(weak > 0);
	json_decref(root);
}

/* Cases with an impossible nonce have no ciphertext: what is not there stays zero. */
static void read_case(const json_t *v, struct aead_case *t)
{
	const char *result = vectors_string(v, "result");

	memset(t, 0, sizeof(*t));
	t->id = case_id(v);
	vectors_hex_exact(v, "key", t->key, sizeof(t->key));
	t->nonce_len = vectors_hex(v, "iv", t->nonce, sizeof(t->nonce));
	t->ad_len = vectors_hex(v, "aad", t->ad, sizeof(t->ad));
	t->text_len = vectors_hex(v, "msg", t->text, sizeof(t->text));
	if (*vectors_string(v, "tag")) {
		assert_int_equal(vectors_hex(v, "ct", t->sealed, TEXT_MAX), t->text_len);
		vectors_hex_exact(v, "tag", t->sealed + t->text_len, 16);
	}
	t->valid = !strcmp(result, "valid");
	if (!t->valid)
		assert_string_equal(result, "invalid");
}

static void check(const struct aead_case *t, int sealed_ret, const uint8_t *sealed, int opened_ret,
		  const uint8_t *opened)
{
	if (!t->valid) {
		if (!opened_ret)
			fail_msg("case %d: an invalid text opens", t->id);
		return;
	}
	if (sealed_ret || memcmp(sealed, t->sealed, t->text_len + 16) != 0)
		fail_msg("case %d: seals wrongly", t->id);
	if (opened_ret || memcmp(opened, t->text, t->text_len) != 0)
		fail_msg("case %d: opens wrongly", t->id);
}

static void run_chacha(struct weft_crypto *c, struct aead_case *t, struct tally *tally)
{
	uint8_t sealed[TEXT_MAX + 16], opened[TEXT_MAX];
	size_t len = t->text_len;
	struct weft_secret key;
	int s, o;

	if (t->nonce_len != 12) {
		tally->skipped++;
		return;
	}
	if (weft_get_le32(t->nonce) == 0) {
		uint64_t counter = weft_get_le64(t->nonce + 4);

		memcpy(key.b, t->key, sizeof(key.b));
		s = weft_aead_seal(c, &key, counter, t->ad, t->ad_len, sealed, t->text, len);
		o = weft_aead_open(c, &key, counter, t->ad, t->ad_len, opened, t->sealed, len + 16);
		tally->run++;
	} else {
		s = !raw_aead(1, t->key, t->nonce, t->ad, t->ad_len, sealed, t->text, len,
			      sealed + len);
		o = !raw_aead(0, t->key, t->nonce, t->ad, t->ad_len, opened, t->sealed, len,
			      t->sealed + len);
		tally->raw++;
	}
	check(t, s, sealed, o, opened);
}

static void run_xchacha(struct weft_crypto *c, struct aead_case *t, struct tally *tally)
{
	uint8_t sealed[TEXT_MAX + 16], opened[TEXT_MAX];
	size_t len = t->text_len;
	struct weft_secret key;
	int s, o;

	if (t->nonce_len != 24) {
		tally->skipped++;
		return;
	}
	memcpy(key.b, t->key, sizeof(key.b));
	s = weft_xaead_seal(c, &key, t->nonce, t->ad, t->ad_len, sealed, t->text, len);
	o = weft_xaead_open(c, &key, t->nonce, t->ad, t->ad_len, opened, t->sealed, len + 16);
	check(t, s, sealed, o, opened);
	tally->run++;
}

static struct tally run_aead(struct weft_crypto *c, const char *file,
			     void (*run)(struct weft_crypto *, struct aead_case *, struct tally *))
{
	json_t *root = vectors_load(file), *group, *v;
	struct tally tally = {0, 0, 0};
	static struct aead_case t;
	size_t g, i;

	json_array_foreach(json_object_get(root, "testGroups"), g, group)
	{
		json_array_foreach(json_object_get(group, "tests"), i, v)
		{
			read_case(v, &t);
			run(c, &t, &tally);
		}
	}
	print_message("# %s: %u cases through the interface, %u at the library (nonce without 32 "
		      "zero bits), %u skipped (nonce of another length)\n",
		      file, tally.run, tally.raw, tally.skipped);
	assert_int_equal(tally.run + tally.raw + tally.skipped,
			 json_integer_value(json_object_get(root, "numberOfTests")));
	json_decref(root);
	return tally;
}

static void chacha20_poly1305(void **state)
{
	struct tally t = run_aead(*state, "wycheproof/chacha20_poly1305_test.json", run_chacha);

	assert_int_equal(t.skipped, 9);
	assert_int_equal(t.run, 10);
}

static void xchacha20_poly1305(void **state)
{
	struct tally t = run_aead(*state, "wycheproof/xchacha20_poly1305_test.json", run_xchacha);

	assert_int_equal(t.skipped, 9);
	assert_int_equal(t.raw, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(x25519),
		cmocka_unit_test(chacha20_poly1305),
		cmocka_unit_test(xchacha20_poly1305),
	};

	return cmocka_run_group_tests_name("vectors-wycheproof", tests, setup, teardown);
}
