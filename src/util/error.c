/* SPDX-License-Identifier: Apache-2.0 */
/* The sentences for the error codes of error.h. */
#include "util/error.h"

#include <string.h>

const char *weft_strerror(int code)
{
	switch (code) {
	case 0:
		return "success";
	case WEFT_E_TRUNCATED:
		return "the input ends too early";
	case WEFT_E_NO_SPACE:
		return "the buffer is too small";
	case WEFT_E_BAD_KEY_TEXT:
		return "not a WireGuard key: expected 32 bytes as 44 characters of base64";
	case WEFT_E_PARSE:
		return "the text could not be parsed";
	case WEFT_E_CRYPTO:
		return "the cryptographic library failed";
	case WEFT_E_AUTH:
		return "authentication failed";
	case WEFT_E_WEAK_KEY:
		return "the public key is a low-order point";
	case WEFT_E_LIMIT:
		return "a limit was reached";
	case WEFT_E_DROP:
		return "the packet was dropped";
	case WEFT_E_NO_PEER:
		return "no peer is allowed this address";
	case WEFT_E_NO_ENDPOINT:
		return "the peer has no endpoint";
	case WEFT_E_NO_SESSION:
		return "no session with the peer yet";
	case WEFT_E_DOWN:
		return "the interface is down";
	case WEFT_E_PROTOCOL:
		return "the other side did not keep to the protocol";
	case WEFT_E_IN_USE:
		return "the interface is in use by another daemon";
	default:
		return code < 0 && code > -1000 ? strerror(-code) : "unknown error";
	}
}
