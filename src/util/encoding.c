/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys as base64 and hex, by arithmetic alone: each character class is a mask over the value, so
 * that neither a branch nor a table index depends on the key. RFC 4648, sections 4 and 8.
 */
#include "util/encoding.h"

/* All ones if lo <= x <= hi, else zero. Everything must be below 2^31. */
static uint32_t range_mask(uint32_t x, uint32_t lo, uint32_t hi)
{
	uint32_t m = (lo - 1u - x) & (x - hi - 1u);

	m = 0u - (m >> 31);
	/* keeps compilers from seeing a condition here and making a branch of it */
	__asm__ __volatile__("" : "+r"(m));
	return m;
}

static char base64_char(uint32_t v)
{
	uint32_t c = 0;

	c |= range_mask(v, 0, 25) & (v + 'A');
	c |= range_mask(v, 26, 51) & (v - 26 + 'a');
	c |= range_mask(v, 52, 61) & (v - 52 + '0');
	c |= range_mask(v, 62, 62) & '+';
	c |= range_mask(v, 63, 63) & '/';
	return (char)c;
}

/* Six bits, or bit 8 set for what is not a base64 character. */
static uint32_t base64_value(char ch)
{
	uint32_t x = (uint8_t)ch;
	uint32_t upper = range_mask(x, 'A', 'Z'), lower = range_mask(x, 'a', 'z');
	uint32_t digit = range_mask(x, '0', '9');
	uint32_t plus = range_mask(x, '+', '+'), slash = range_mask(x, '/', '/');
	uint32_t v = 0;

	v |= upper & (x - 'A');
	v |= lower & (x - 'a' + 26);
	v |= digit & (x - '0' + 52);
	v |= plus & 62;
	v |= slash & 63;
	return v | (~(upper | lower | digit | plus | slash) & 0x100);
}

static char hex_char(uint32_t v)
{
	uint32_t c = 0;

	c |= range_mask(v, 0, 9) & (v + '0');
	c |= range_mask(v, 10, 15) & (v - 10 + 'a');
	return (char)c;
}

static uint32_t hex_value(char ch)
{
	uint32_t x = (uint8_t)ch;
	uint32_t digit = range_mask(x, '0', '9');
	uint32_t lower = range_mask(x, 'a', 'f'), upper = range_mask(x, 'A', 'F');
	uint32_t v = 0;

	v |= digit & (x - '0');
	v |= lower & (x - 'a' + 10);
	v |= upper & (x - 'A' + 10);
	return v | (~(digit | lower | upper) & 0x100);
}

void weft_key_to_base64(char out[WEFT_KEY_BASE64_LEN + 1], const uint8_t key[WEFT_KEY_LEN])
{
	size_t o = 0;

	/* 30 bytes in groups of three, then two bytes and one '=' */
	for (size_t i = 0; i < 30; i += 3) {
		uint32_t v = (uint32_t)key[i] << 16 | (uint32_t)key[i + 1] << 8 | key[i + 2];

		out[o++] = base64_char(v >> 18);
		out[o++] = base64_char(v >> 12 & 63);
		out[o++] = base64_char(v >> 6 & 63);
		out[o++] = base64_char(v & 63);
	}
	out[o++] = base64_char((uint32_t)key[30] >> 2);
	out[o++] = base64_char(((uint32_t)key[30] << 4 | (uint32_t)key[31] >> 4) & 63);
	out[o++] = base64_char((uint32_t)key[31] << 2 & 63);
	out[o++] = '=';
	out[o] = '\0';
}

void weft_key_to_hex(char out[WEFT_KEY_HEX_LEN + 1], const uint8_t key[WEFT_KEY_LEN])
{
	for (size_t i = 0; i < WEFT_KEY_LEN; i++) {
		out[2 * i] = hex_char((uint32_t)key[i] >> 4);
		out[2 * i + 1] = hex_char(key[i] & 15u);
	}
	out[WEFT_KEY_HEX_LEN] = '\0';
}

/* Only whether the whole text is valid decides a branch, not what it holds. */
static int finish(uint8_t ret_key[WEFT_KEY_LEN], uint8_t key[WEFT_KEY_LEN], uint32_t bad)
{
	int ret = WEFT_E_BAD_KEY_TEXT;

	weft_declassify(&bad, sizeof(bad));
	if (!bad) {
		memcpy(ret_key, key, WEFT_KEY_LEN);
		ret = 0;
	}
	weft_wipe(key, WEFT_KEY_LEN);
	return ret;
}

int weft_key_from_base64(uint8_t ret_key[WEFT_KEY_LEN], const char *text, size_t len)
{
	uint8_t key[WEFT_KEY_LEN];
	uint32_t bad = 0, v;
	size_t i, o = 0;

	if (len != WEFT_KEY_BASE64_LEN || text[WEFT_KEY_BASE64_LEN - 1] != '=')
		return WEFT_E_BAD_KEY_TEXT;
	for (i = 0; i < 40; i += 4) {
		uint32_t a = base64_value(text[i]), b = base64_value(text[i + 1]);
		uint32_t c = base64_value(text[i + 2]), d = base64_value(text[i + 3]);

		bad |= (a | b | c | d) & 0x100;
		v = a << 18 | b << 12 | c << 6 | d;
		key[o++] = (uint8_t)(v >> 16);
		key[o++] = (uint8_t)(v >> 8);
		key[o++] = (uint8_t)v;
	}
	{
		uint32_t a = base64_value(text[40]), b = base64_value(text[41]);
		uint32_t c = base64_value(text[42]);

		bad |= (a | b | c) & 0x100;
		bad |= c & 3; /* the last character carries four bits; the rest must be zero */
		v = a << 12 | b << 6 | c;
		key[o++] = (uint8_t)(v >> 10);
		key[o] = (uint8_t)(v >> 2);
	}
	return finish(ret_key, key, bad);
}

int weft_key_from_hex(uint8_t ret_key[WEFT_KEY_LEN], const char *text, size_t len)
{
	uint8_t key[WEFT_KEY_LEN];
	uint32_t bad = 0;

	if (len != WEFT_KEY_HEX_LEN)
		return WEFT_E_BAD_KEY_TEXT;
	for (size_t i = 0; i < WEFT_KEY_LEN; i++) {
		uint32_t hi = hex_value(text[2 * i]), lo = hex_value(text[2 * i + 1]);

		bad |= (hi | lo) & 0x100;
		key[i] = (uint8_t)(hi << 4 | lo);
	}
	return finish(ret_key, key, bad);
}
