/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one table of error codes. A function that can fail returns 0 (or a count), or a negative
 * code: a negated errno, or one of weft's own, from -1000 down. It knows nothing of its callers.
 */
#ifndef WEFT_UTIL_ERROR_H
#define WEFT_UTIL_ERROR_H

#define WEFT_MUST_CHECK __attribute__((warn_unused_result))

enum weft_error {
	WEFT_E_TRUNCATED = -1000,    /* input ends before the value does */
	WEFT_E_NO_SPACE = -1001,     /* the caller's buffer is too small */
	WEFT_E_BAD_KEY_TEXT = -1002, /* not 44 characters of base64 or 64 of hex */
	WEFT_E_PARSE = -1003,        /* text that does not parse; the diag says where */
	WEFT_E_CRYPTO = -1004,       /* a library call failed that must not fail */
	WEFT_E_AUTH = -1005,         /* authentication failed: wrong key, or altered data */
	WEFT_E_WEAK_KEY = -1006,     /* an X25519 result of all zeros */
	WEFT_E_LIMIT = -1007,        /* a named limit was reached */
	WEFT_E_DROP = -1008,         /* packet dropped; the reason has been counted */
	WEFT_E_NO_PEER = -1009,      /* no peer has that address among its allowed IPs */
	WEFT_E_NO_ENDPOINT = -1010,  /* the peer has no endpoint */
	WEFT_E_NO_SESSION = -1011,   /* no usable keypair: the packet has to wait for a handshake */
	WEFT_E_DOWN = -1012,         /* the interface is down */
	WEFT_E_PROTOCOL = -1013,     /* the other side of a socket did not keep to the protocol */
	WEFT_E_IN_USE = -1014,       /* the interface name or its socket belongs to a live daemon */
};

/*
 * One sentence for a code, without a full stop. Never NULL; the text is static, except for
 * negated errno values, which share strerror_r's rules (a thread-local buffer).
 * Any thread.
 */
const char *weft_strerror(int code);

#endif
