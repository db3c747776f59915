/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys as text: base64 (RFC 4648, with padding) as people see them, hex as the UAPI has them.
 * No branch and no index depends on the bytes of the key.
 */
#ifndef WEFT_UTIL_ENCODING_H
#define WEFT_UTIL_ENCODING_H

#include <stddef.h>
#include <stdint.h>

#include "util/error.h"
#include "util/secret.h"

#define WEFT_KEY_BASE64_LEN 44 /* characters, without a NUL */
#define WEFT_KEY_HEX_LEN    64

/* Writes 44 characters and a NUL. Any thread. */
void weft_key_to_base64(char out[WEFT_KEY_BASE64_LEN + 1], const uint8_t key[WEFT_KEY_LEN]);

/* Writes 64 lower-case characters and a NUL. Any thread. */
void weft_key_to_hex(char out[WEFT_KEY_HEX_LEN + 1], const uint8_t key[WEFT_KEY_LEN]);

/*
 * `len` must be exactly 44 (base64, canonical: the last character's unused bits are zero) or
 * 64 (hex, either case). Returns 0 or WEFT_E_BAD_KEY_TEXT; `ret_key` is written only on success.
 * Any thread.
 */
WEFT_MUST_CHECK int weft_key_from_base64(uint8_t ret_key[WEFT_KEY_LEN], const char *text,
					 size_t len);
WEFT_MUST_CHECK int weft_key_from_hex(uint8_t ret_key[WEFT_KEY_LEN], const char *text, size_t len);

#endif
