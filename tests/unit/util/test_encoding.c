/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys as text. The base64 answers come from RFC 4648's alphabet by a table-driven encoder here,
 * which shares nothing with the code under test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "util/encoding.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void reference_base64(char out[WEFT_KEY_BASE64_LEN + 1], const uint8_t key[WEFT_KEY_LEN])
{
	for (unsigned i = 0; i < 43; i++) {
		unsigned v = 0;

		for (unsigned bit = 6 * i; bit < 6 * i + 6; bit++)
			v = v << 1 | (bit < 256 ? key[bit / 8] >> (7 - bit % 8) & 1u : 0);
		out[i] = alphabet[v];
	}
	out[43] = '=';
	out[44] = '\0';
}

static void fill(uint8_t key[WEFT_KEY_LEN], uint32_t seed)
{
	for (size_t i = 0; i < WEFT_KEY_LEN; i++) {
		seed = seed * 1664525u + 1013904223u;
		key[i] = (uint8_t)(seed >> 24);
	}
}

static void known_answers(void **state)
{
	uint8_t key[WEFT_KEY_LEN];
	char text[WEFT_KEY_BASE64_LEN + 1], hex[WEFT_KEY_HEX_LEN + 1];

	(void)state;
	memset(key, 0, sizeof(key));
	weft_key_to_base64(text, key);
	assert_string_equal(text, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
	memset(key, 0xff, sizeof(key));
	weft_key_to_base64(text, key);
	assert_string_equal(text, "//////////////////////////////////////////8=");
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(i * 8 + 3);
	weft_key_to_hex(hex, key);
	assert_string_equal(hex,
			    "030b131b232b333b434b535b636b737b838b939ba3abb3bbc3cbd3dbe3ebf3fb");
}

static void round_trips(void **state)
{
	uint8_t key[WEFT_KEY_LEN], back[WEFT_KEY_LEN];
	char text[WEFT_KEY_BASE64_LEN + 1], want[WEFT_KEY_BASE64_LEN + 1];
	char hex[WEFT_KEY_HEX_LEN + 1];

	(void)state;
	for (uint32_t seed = 0; seed < 2000; seed++) {
		fill(key, seed);
		weft_key_to_base64(text, key);
		reference_base64(want, key);
		assert_string_equal(text, want);
		assert_int_equal(weft_key_from_base64(back, text, 44), 0);
		assert_memory_equal(back, key, sizeof(key));
		weft_key_to_hex(hex, key);
		memset(back, 0, sizeof(back));
		assert_int_equal(weft_key_from_hex(back, hex, 64), 0);
		assert_memory_equal(back, key, sizeof(key));
	}
}

/* Every byte value at every position: accepted if and only if it is in the alphabet. */
static void every_character(void **state)
{
	uint8_t key[WEFT_KEY_LEN], out[WEFT_KEY_LEN];
	char text[WEFT_KEY_BASE64_LEN + 1], hex[WEFT_KEY_HEX_LEN + 1];

	(void)state;
	fill(key, 7);
	weft_key_to_base64(text, key);
	weft_key_to_hex(hex, key);
	for (unsigned pos = 0; pos < 44; pos++) {
		for (unsigned c = 0; c < 256; c++) {
			char saved = text[pos];
			const char *at = c ? strchr(alphabet, (int)c) : NULL;
			int ok = at && (pos < 42 || (pos == 42 && (at - alphabet) % 4 == 0));

			if (pos == 43)
				ok = c == '=';
			text[pos] = (char)c;
			memset(out, 0xa5, sizeof(out));
			assert_int_equal(weft_key_from_base64(out, text, 44),
					 ok ? 0 : WEFT_E_BAD_KEY_TEXT);
			if (!ok) {
				for (size_t i = 0; i < sizeof(out); i++)
					assert_int_equal(out[i], 0xa5);
			}
			text[pos] = saved;
		}
	}
	for (unsigned pos = 0; pos < 64; pos++) {
		for (unsigned c = 0; c < 256; c++) {
			char saved = hex[pos];
			int ok = c && strchr("0123456789abcdefABCDEF", (int)c);

			hex[pos] = (char)c;
			memset(out, 0xa5, sizeof(out));
			assert_int_equal(weft_key_from_hex(out, hex, 64),
					 ok ? 0 : WEFT_E_BAD_KEY_TEXT);
			if (!ok)
				assert_int_equal(out[pos / 2], 0xa5);
			hex[pos] = saved;
		}
	}
}

static void wrong_lengths(void **state)
{
	static const char zeros[] =
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=AAAAAAAAAAAAAAAAAAAAAAAA";
	uint8_t out[WEFT_KEY_LEN];

	(void)state;
	for (size_t len = 0; len < sizeof(zeros); len++)
		assert_int_equal(weft_key_from_base64(out, zeros, len),
				 len == 44 ? 0 : WEFT_E_BAD_KEY_TEXT);
	for (size_t len = 0; len <= 64; len++)
		assert_int_equal(
			weft_key_from_hex(
				out,
				"0000000000000000000000000000000000000000000000000000000000000000",
				len),
			len == 64 ? 0 : WEFT_E_BAD_KEY_TEXT);
}

static void hex_case(void **state)
{
	uint8_t lower[WEFT_KEY_LEN], upper[WEFT_KEY_LEN];

	(void)state;
	assert_int_equal(weft_key_from_hex(
				 lower,
				 "abcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcd",
				 64),
			 0);
	assert_int_equal(weft_key_from_hex(
				 upper,
				 "ABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCD",
				 64),
			 0);
	assert_memory_equal(lower, upper, sizeof(lower));
	assert_int_equal(lower[0], 0xab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_answers),   cmocka_unit_test(round_trips),
		cmocka_unit_test(every_character), cmocka_unit_test(wrong_lengths),
		cmocka_unit_test(hex_case),
	};

	return cmocka_run_group_tests_name("util-encoding", tests, NULL, NULL);
}
