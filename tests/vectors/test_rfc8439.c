/* SPDX-License-Identifier: Apache-2.0 */
/* ChaCha20-Poly1305 against RFC 8439, section 2.8.2 and appendix A.5. */
#include "load.h"

#include "crypto_choice.h"

#include "raw_aead.h"

/* Appendix A.5: ciphertext and tag. Its nonce has WireGuard's form. */
static const char a5_sealed[] =
	"64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18"
	"755d43eea09ee94e382d26b0bdb7b73c321b0100d4f03b7f355894cf332f830e710b97ce"
	"98c8a84abd0b948114ad176e008d33bd60f982b1ff37c8559797a06ef4f0ef61c186324e"
	"2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e9"
	"9040c5a40433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a0d072b04"
	"b3564eea1b422273f548271a0bb2316053fa76991955ebd63159434ecebb4e466dae5a10"
	"73a6727627097a1049e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d"
	"6c6f2c29a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38";
static const char a5_text[] =
	"Internet-Drafts are draft documents valid for a maximum of six months and may be "
	"updated, replaced, or obsoleted by other documents at any time. It is inappropriate to "
	"use Internet-Drafts as reference material or to cite them other than as /\xe2\x80\x9cwork "
	"in progress./\xe2\x80\x9d";

static const char ladies_text[] =
	"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
	"future, sunscreen would be it.";
static const char ladies_sealed[] =
	"d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e"
	"8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c"
	"9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d265"
	"86cec64b61161ae10b594f09e26a7e902ecbd0600691";

static int setup(void **state)
{
	return crypto_choice_init() || weft_crypto_new((struct weft_crypto **)state);
}

static int teardown(void **state)
{
	weft_crypto_free(*state);
	return 0;
}

static void appendix_a5(void **state)
{
	const uint64_t counter = 0x0807060504030201;
	uint8_t ad[12], sealed[300], out[300];
	struct weft_secret key;
	size_t len = vectors_unhex(a5_sealed, sealed, sizeof(sealed));
	size_t text_len = sizeof(a5_text) - 1;

	vectors_unhex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0", key.b,
		      32);
	vectors_unhex("f33388860000000000004e91", ad, sizeof(ad));
	assert_int_equal(len, text_len + 16);
	assert_int_equal(weft_aead_open(*state, &key, counter, ad, sizeof(ad), out, sealed, len),
			 0);
	assert_memory_equal(out, a5_text, text_len);
	assert_int_equal(weft_aead_seal(*state, &key, counter, ad, sizeof(ad), out,
					(const uint8_t *)a5_text, text_len),
			 0);
	assert_memory_equal(out, sealed, len);
}

/* Section 2.8.2: its nonce begins with 07 00 00 00, so the library is asked directly. */
static void section_2_8_2(void **state)
{
	uint8_t key[32], nonce[12], ad[12], sealed[150], out[150], tag[16];
	size_t len = vectors_unhex(ladies_sealed, sealed, sizeof(sealed)) - 16;

	(void)state;
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(0x80 + i);
	vectors_unhex("070000004041424344454647", nonce, sizeof(nonce));
	vectors_unhex("50515253c0c1c2c3c4c5c6c7", ad, sizeof(ad));
	assert_int_equal(len, sizeof(ladies_text) - 1);
	assert_true(raw_aead(1, key, nonce, ad, sizeof(ad), out, (const uint8_t *)ladies_text, len,
			     tag));
	assert_memory_equal(out, sealed, len);
	assert_memory_equal(tag, sealed + len, 16);
	assert_true(raw_aead(0, key, nonce, ad, sizeof(ad), out, sealed, len, tag));
	assert_memory_equal(out, ladies_text, len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appendix_a5),
		cmocka_unit_test(section_2_8_2),
	};

	return cmocka_run_group_tests_name("vectors-rfc8439", tests, setup, teardown);
}
