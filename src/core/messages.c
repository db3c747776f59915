/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between bytes and values, through cursors. Knows nothing of keys or state.
 * WireGuard paper, section 5.4.
 */
#include "core/messages.h"

#include "util/cursor.h"

unsigned weft_message_type(const uint8_t *pkt, size_t len)
{
	uint32_t type;

	if (len < WEFT_MSG_DATA_MIN_LEN)
		return 0;
	type = weft_get_le32(pkt);
	switch (type) {
	case WEFT_MSG_INITIATION:
		return len == WEFT_MSG_INITIATION_LEN ? type : 0;
	case WEFT_MSG_RESPONSE:
		return len == WEFT_MSG_RESPONSE_LEN ? type : 0;
	case WEFT_MSG_COOKIE:
		return len == WEFT_MSG_COOKIE_LEN ? type : 0;
	case WEFT_MSG_DATA:
		return type;
	default:
		return 0;
	}
}

void weft_message_write_initiation(uint8_t out[WEFT_MSG_INITIATION_LEN],
				   const struct weft_msg_initiation *msg)
{
	struct weft_writer w = weft_writer_init(out, WEFT_MSG_INITIATION_LEN);

	memset(out, 0, WEFT_MSG_INITIATION_LEN);
	weft_write_le32(&w, WEFT_MSG_INITIATION);
	weft_write_le32(&w, msg->sender);
	weft_write_bytes(&w, msg->ephemeral, sizeof(msg->ephemeral));
	weft_write_bytes(&w, msg->enc_static, sizeof(msg->enc_static));
	weft_write_bytes(&w, msg->enc_timestamp, sizeof(msg->enc_timestamp));
}

void weft_message_write_response(uint8_t out[WEFT_MSG_RESPONSE_LEN],
				 const struct weft_msg_response *msg)
{
	struct weft_writer w = weft_writer_init(out, WEFT_MSG_RESPONSE_LEN);

	memset(out, 0, WEFT_MSG_RESPONSE_LEN);
	weft_write_le32(&w, WEFT_MSG_RESPONSE);
	weft_write_le32(&w, msg->sender);
	weft_write_le32(&w, msg->receiver);
	weft_write_bytes(&w, msg->ephemeral, sizeof(msg->ephemeral));
	weft_write_bytes(&w, msg->enc_empty, sizeof(msg->enc_empty));
}

int weft_message_read_initiation(const uint8_t *pkt, size_t len,
				 struct weft_msg_initiation *ret_msg)
{
	struct weft_reader r = weft_reader_init(pkt, len);

	if (weft_message_type(pkt, len) != WEFT_MSG_INITIATION)
		return WEFT_E_TRUNCATED;
	(void)weft_read_le32(&r);
	ret_msg->sender = weft_read_le32(&r);
	weft_read_copy(&r, ret_msg->ephemeral, sizeof(ret_msg->ephemeral));
	weft_read_copy(&r, ret_msg->enc_static, sizeof(ret_msg->enc_static));
	weft_read_copy(&r, ret_msg->enc_timestamp, sizeof(ret_msg->enc_timestamp));
	return r.failed ? WEFT_E_TRUNCATED : 0;
}

int weft_message_read_response(const uint8_t *pkt, size_t len, struct weft_msg_response *ret_msg)
{
	struct weft_reader r = weft_reader_init(pkt, len);

	if (weft_message_type(pkt, len) != WEFT_MSG_RESPONSE)
		return WEFT_E_TRUNCATED;
	(void)weft_read_le32(&r);
	ret_msg->sender = weft_read_le32(&r);
	ret_msg->receiver = weft_read_le32(&r);
	weft_read_copy(&r, ret_msg->ephemeral, sizeof(ret_msg->ephemeral));
	weft_read_copy(&r, ret_msg->enc_empty, sizeof(ret_msg->enc_empty));
	return r.failed ? WEFT_E_TRUNCATED : 0;
}

void weft_message_write_data(uint8_t out[16], uint32_t receiver, uint64_t counter)
{
	weft_put_le32(out, WEFT_MSG_DATA);
	weft_put_le32(out + 4, receiver);
	weft_put_le64(out + 8, counter);
}

struct weft_msg_data weft_message_read_data(const uint8_t pkt[16])
{
	return (struct weft_msg_data){
		.receiver = weft_get_le32(pkt + 4),
		.counter = weft_get_le64(pkt + 8),
	};
}
