/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the known answers of tests/vectors/data: JSON by jansson, hex by hand. Whatever is not
 * as it should be in a file fails the running test, so that an empty or moved file cannot pass.
 */
#ifndef WEFT_TESTS_VECTORS_LOAD_H
#define WEFT_TESTS_VECTORS_LOAD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <jansson.h>

/* The file `name` below tests/vectors/data. The caller gives it back with json_decref. */
static inline json_t *vectors_load(const char *name)
{
	char path[512];
	json_error_t err;
	json_t *root;

	(void)snprintf(path, sizeof(path), "%s/%s", WEFT_VECTORS_DIR, name);
	root = json_load_file(path, 0, &err);
	if (!root)
		fail_msg("%s:%d: %s", path, err.line, err.text);
	return root;
}

/* Bytes written to `out`, which takes `max` of them. */
static inline size_t vectors_unhex(const char *hex, uint8_t *out, size_t max)
{
	static const char digits[] = "0123456789abcdef";
	size_t len = strlen(hex);

	assert_true(len % 2 == 0 && len / 2 <= max);
	for (size_t i = 0; i < len; i++) {
		const char *d = strchr(digits, hex[i]);

		assert_non_null(d);
		if (i % 2 == 0)
			out[i / 2] = (uint8_t)((d - digits) << 4);
		else
			out[i / 2] = (uint8_t)(out[i / 2] | (d - digits));
	}
	return len / 2;
}

/* The string member `key` of `object`; borrowed. */
static inline const char *vectors_string(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (!text)
		fail_msg("no string \"%s\" in the vector", key);
	return text;
}

/* The hex member `key` of `object` as bytes; as vectors_unhex. */
static inline size_t vectors_hex(const json_t *object, const char *key, uint8_t *out, size_t max)
{
	return vectors_unhex(vectors_string(object, key), out, max);
}

/* The same for a member of exactly `len` bytes. */
static inline void vectors_hex_exact(const json_t *object, const char *key, uint8_t *out,
				     size_t len)
{
	assert_int_equal(vectors_hex(object, key, out, len), len);
}

#endif
