/* SPDX-License-Identifier: Apache-2.0 */
/* Cursors stay inside, and remember that somebody tried not to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "util/cursor.h"

static void reads(void **state)
{
	static const uint8_t in[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0xff};
	struct weft_reader r = weft_reader_init(in, sizeof(in));
	uint8_t out[2] = {7, 7};

	(void)state;
	assert_int_equal(weft_read_le32(&r), 0x04030201);
	assert_true(weft_read_le64(&r) == 0x0c0b0a0908070605);
	assert_false(r.failed);
	assert_int_equal(weft_read_le32(&r), 0);
	assert_true(r.failed);
	assert_null(weft_read_bytes(&r, 1)); /* sticky, though one byte is left */
	weft_read_copy(&r, out, 2);
	assert_int_equal(out[0] | out[1], 0);
	assert_true(weft_read_le64(&r) == 0);
}

static void writes(void **state)
{
	uint8_t out[14];
	struct weft_writer w = weft_writer_init(out, 13);

	(void)state;
	memset(out, 0xee, sizeof(out));
	weft_write_le32(&w, 0x04030201);
	weft_write_le64(&w, 0x0c0b0a0908070605);
	assert_int_equal(w.used, 12);
	weft_write_le32(&w, 1);
	assert_true(w.failed);
	weft_write_bytes(&w, "x", 1);
	assert_int_equal(w.used, 12);
	assert_int_equal(out[0], 1);
	assert_int_equal(out[11], 12);
	assert_int_equal(out[12], 0xee);
	assert_int_equal(out[13], 0xee);
}

static void big_endian(void **state)
{
	uint8_t b[4];

	(void)state;
	weft_put_be32(b, 0x01020304);
	assert_int_equal(b[0], 1);
	assert_int_equal(b[3], 4);
	assert_int_equal(weft_get_be32(b), 0x01020304);
	weft_put_be16(b, 0xfffe);
	assert_int_equal(weft_get_be16(b), 0xfffe);
	assert_int_equal(b[0], 0xff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads),
		cmocka_unit_test(writes),
		cmocka_unit_test(big_endian),
	};

	return cmocka_run_group_tests_name("util-cursor", tests, NULL, NULL);
}
