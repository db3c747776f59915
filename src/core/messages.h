/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The four messages of WireGuard on the wire, and every limit of the protocol, derived from each
 * other in this one place. Knows bytes alone: no keys, no state.
 *
 * Follows the WireGuard paper, sections 5.4 (messages) and 6.1 (constants).
 */
#ifndef WEFT_CORE_MESSAGES_H
#define WEFT_CORE_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/device.h"
#include "crypto/crypto.h"

/* The first four bytes, little-endian: the type and three reserved zero bytes. */
enum weft_message_type {
	WEFT_MSG_INITIATION = 1,
	WEFT_MSG_RESPONSE = 2,
	WEFT_MSG_COOKIE = 3,
	WEFT_MSG_DATA = 4,
};

#define WEFT_TIMESTAMP_LEN      12 /* TAI64N */
#define WEFT_MSG_INITIATION_LEN 148
#define WEFT_MSG_RESPONSE_LEN   92
#define WEFT_MSG_COOKIE_LEN     64
#define WEFT_MSG_MAX_HANDSHAKE  WEFT_MSG_INITIATION_LEN
#define WEFT_MSG_DATA_MIN_LEN   32 /* header and tag: a keepalive */

/* Limits in time, nanoseconds. */
#define WEFT_REKEY_AFTER_NS       (120 * WEFT_NS_PER_S)
#define WEFT_REJECT_AFTER_NS      (180 * WEFT_NS_PER_S)
#define WEFT_REKEY_TIMEOUT_NS     (5 * WEFT_NS_PER_S)
#define WEFT_REKEY_JITTER_MAX_NS  (334 * WEFT_NS_PER_MS)
#define WEFT_KEEPALIVE_TIMEOUT_NS (10 * WEFT_NS_PER_S)
#define WEFT_REKEY_ATTEMPT_NS     (90 * WEFT_NS_PER_S)
#define WEFT_MAX_HANDSHAKE_TRIES  (WEFT_REKEY_ATTEMPT_NS / WEFT_REKEY_TIMEOUT_NS)
#define WEFT_REKEY_ON_RECEIVE_NS \
	(WEFT_REJECT_AFTER_NS - WEFT_KEEPALIVE_TIMEOUT_NS - WEFT_REKEY_TIMEOUT_NS)
#define WEFT_NEW_HANDSHAKE_NS  (WEFT_KEEPALIVE_TIMEOUT_NS + WEFT_REKEY_TIMEOUT_NS)
#define WEFT_ZERO_KEYS_NS      (3 * WEFT_REJECT_AFTER_NS)
#define WEFT_INITIATION_GAP_NS (WEFT_NS_PER_S / 50) /* received ones, per peer */
#define WEFT_LOAD_PKTS         512 /* that wait; an eighth of the queue where that is less */
#define WEFT_LOAD_HOLD_NS      WEFT_NS_PER_S

/* Limit in messages; the other one, WEFT_REJECT_AFTER_MESSAGES, is derived in replay.h. */
#define WEFT_REKEY_AFTER_MESSAGES (1ULL << 60)

struct weft_msg_initiation {
	uint32_t sender;
	uint8_t ephemeral[WEFT_KEY_LEN];
	uint8_t enc_static[WEFT_KEY_LEN + WEFT_TAG_LEN];
	uint8_t enc_timestamp[WEFT_TIMESTAMP_LEN + WEFT_TAG_LEN];
};

struct weft_msg_response {
	uint32_t sender;
	uint32_t receiver;
	uint8_t ephemeral[WEFT_KEY_LEN];
	uint8_t enc_empty[WEFT_TAG_LEN];
};

struct weft_msg_data {
	uint32_t receiver;
	uint64_t counter;
};

/*
 * The type of a datagram whose length fits its type, or 0: unknown type, reserved bytes that are
 * not zero, wrong length (handshakes exactly; data at least 32 bytes). Any thread.
 */
unsigned weft_message_type(const uint8_t *pkt, size_t len);

/* Write a whole message with mac1 and mac2 zero. Any thread. */
void weft_message_write_initiation(uint8_t out[WEFT_MSG_INITIATION_LEN],
				   const struct weft_msg_initiation *msg);
void weft_message_write_response(uint8_t out[WEFT_MSG_RESPONSE_LEN],
				 const struct weft_msg_response *msg);

/*
 * Read a message; the macs are not looked at. Return 0 or WEFT_E_TRUNCATED if `len` or the type
 * does not fit. Any thread.
 */
WEFT_MUST_CHECK int weft_message_read_initiation(const uint8_t *pkt, size_t len,
						 struct weft_msg_initiation *ret_msg);
WEFT_MUST_CHECK int weft_message_read_response(const uint8_t *pkt, size_t len,
					       struct weft_msg_response *ret_msg);

/* The 16 bytes before the ciphertext of a data message. Any thread. */
void weft_message_write_data(uint8_t out[16], uint32_t receiver, uint64_t counter);
struct weft_msg_data weft_message_read_data(const uint8_t pkt[16]);

#endif
