/* SPDX-License-Identifier: Apache-2.0 */
/* The four messages: which datagram is which, and fields at their places. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/messages.h"

static void test_type(void **state)
{
	/* First four bytes, length, type: numbered by line. */
	static const struct {
		uint8_t head[4];
		size_t len;
		unsigned type;
	} cases[] = {
		{{1, 0, 0, 0}, 148, 1}, {{1, 0, 0, 0}, 147, 0},  {{1, 0, 0, 0}, 149, 0},
		{{1, 1, 0, 0}, 148, 0}, {{1, 0, 0, 1}, 148, 0},  {{2, 0, 0, 0}, 92, 2},
		{{2, 0, 0, 0}, 148, 0}, {{2, 0, 9, 0}, 92, 0},   {{3, 0, 0, 0}, 64, 3},
		{{3, 0, 0, 0}, 63, 0},  {{4, 0, 0, 0}, 32, 4},   {{4, 0, 0, 0}, 31, 0},
		{{4, 0, 0, 0}, 0, 0},   {{4, 0, 0, 0}, 1500, 4}, {{4, 0, 0, 0}, 33, 4},
		{{4, 0, 0, 2}, 64, 0},  {{0, 0, 0, 0}, 64, 0},   {{5, 0, 0, 0}, 64, 0},
	};
	uint8_t pkt[1500];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		memset(pkt, 0xaa, sizeof(pkt));
		memcpy(pkt, cases[i].head, 4);
		if (weft_message_type(pkt, cases[i].len) != cases[i].type)
			fail_msg("case %zu", i);
	}
}

static void test_initiation(void **state)
{
	struct weft_msg_initiation in = {.sender = 0x01020304}, out;
	uint8_t pkt[WEFT_MSG_INITIATION_LEN];

	(void)state;
	memset(in.ephemeral, 0xe1, sizeof(in.ephemeral));
	memset(in.enc_static, 0xe2, sizeof(in.enc_static));
	memset(in.enc_timestamp, 0xe3, sizeof(in.enc_timestamp));
	memset(pkt, 0xff, sizeof(pkt));
	weft_message_write_initiation(pkt, &in);
	assert_memory_equal(pkt, ((uint8_t[]){1, 0, 0, 0, 4, 3, 2, 1, 0xe1}), 9);
	assert_int_equal(pkt[39], 0xe1);
	assert_int_equal(pkt[40], 0xe2);
	assert_int_equal(pkt[88], 0xe3);
	assert_int_equal(pkt[115], 0xe3);
	assert_true(weft_ct_is_zero(pkt + 116, 32));
	assert_int_equal(weft_message_read_initiation(pkt, sizeof(pkt), &out), 0);
	assert_memory_equal(&in, &out, sizeof(in));
	assert_int_equal(weft_message_read_initiation(pkt, sizeof(pkt) - 1, &out),
			 WEFT_E_TRUNCATED);
	pkt[0] = 2;
	assert_int_equal(weft_message_read_initiation(pkt, sizeof(pkt), &out), WEFT_E_TRUNCATED);
}

static void test_response(void **state)
{
	struct weft_msg_response in = {.sender = 7, .receiver = 0xa1b2c3d4}, out;
	uint8_t pkt[WEFT_MSG_RESPONSE_LEN];

	(void)state;
	memset(in.ephemeral, 0xe1, sizeof(in.ephemeral));
	memset(in.enc_empty, 0xe2, sizeof(in.enc_empty));
	weft_message_write_response(pkt, &in);
	assert_memory_equal(
		pkt, ((uint8_t[]){2, 0, 0, 0, 7, 0, 0, 0, 0xd4, 0xc3, 0xb2, 0xa1, 0xe1}), 13);
	assert_int_equal(pkt[44], 0xe2);
	assert_true(weft_ct_is_zero(pkt + 60, 32));
	assert_int_equal(weft_message_read_response(pkt, sizeof(pkt), &out), 0);
	assert_memory_equal(&in, &out, sizeof(in));
	assert_int_equal(weft_message_read_response(pkt, 12, &out), WEFT_E_TRUNCATED);
}

static void test_data(void **state)
{
	const uint8_t want[16] = {4, 0, 0, 0, 0x44, 0x33, 0x22, 0x11, 8, 7, 6, 5, 4, 3, 2, 1};
	struct weft_msg_data data;
	uint8_t pkt[16];

	(void)state;
	weft_message_write_data(pkt, 0x11223344, 0x0102030405060708);
	assert_memory_equal(pkt, want, sizeof(want));
	data = weft_message_read_data(pkt);
	assert_int_equal(data.receiver, 0x11223344);
	assert_true(data.counter == 0x0102030405060708);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_type),
		cmocka_unit_test(test_initiation),
		cmocka_unit_test(test_response),
		cmocka_unit_test(test_data),
	};

	return cmocka_run_group_tests_name("messages", tests, NULL, NULL);
}
