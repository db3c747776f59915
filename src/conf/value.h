/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values that people write, in a configuration file and on `set`'s command line alike: one
 * parser for each, pure. What is wrong comes back as a fault, which has a sentence in weft's words
 * and one in wg's. Values as wg(8) has them, CONFIGURATION FILE FORMAT.
 */
#ifndef WEFT_CONF_VALUE_H
#define WEFT_CONF_VALUE_H

#include "conf/device.h"

enum weft_fault_kind {
	WEFT_FAULT_NONE = 0,
	WEFT_FAULT_LINE,       /* not a line, key or argument that is known here */
	WEFT_FAULT_KEY,        /* not a key in base64 */
	WEFT_FAULT_SECRET_KEY, /* the same, and what was found is not to be shown */
	WEFT_FAULT_PORT,
	WEFT_FAULT_FWMARK,
	WEFT_FAULT_KEEPALIVE,
	WEFT_FAULT_RELAY,
	WEFT_FAULT_PATH_MTU,
	WEFT_FAULT_ADDRESS, /* in allowed IPs */
	WEFT_FAULT_PREFIX,  /* the part after the slash in allowed IPs */
	WEFT_FAULT_ENDPOINT_EMPTY,
	WEFT_FAULT_ENDPOINT_BRACE, /* "[" without "]" */
	WEFT_FAULT_ENDPOINT_PORT,  /* no port */
	WEFT_FAULT_NO_PUBLIC_KEY,  /* a peer without one */
	WEFT_FAULT_BOOLEAN,        /* wg-quick's: neither true nor false */
};

/* What was wrong, and the text that was found, cut to fit; empty if it may be a secret. */
struct weft_fault {
	enum weft_fault_kind kind;
	char found[256];
};

/* Sets kind and text; control characters become '?'. `fault` may be NULL. */
void weft_fault_set(struct weft_fault *fault, enum weft_fault_kind kind, const char *found,
		    size_t len);

/* What was expected instead, in words for a diagnosis. Static, never NULL. */
const char *weft_fault_expected(enum weft_fault_kind kind);

/* The sentence that Debian's wg prints for it, without a newline. Returns `out`. */
const char *weft_fault_wg_sentence(const struct weft_fault *fault, char *out, size_t len);

/*
 * An endpoint that is not numeric: to be resolved by whoever may ask the system. `peer` is the
 * index in the device; line and column are where it stands in the text, for the error.
 */
struct weft_conf_name {
	size_t peer;
	unsigned line, column;
	char host[256];
	char port[32];
};

struct weft_conf_names {
	struct weft_conf_name *v;
	size_t n, cap;
};

void weft_conf_names_clear(struct weft_conf_names *names);

/* Called for an allowed IP with host bits, which are then cleared. `text` is not terminated. */
typedef void (*weft_conf_host_bits)(void *ctx, unsigned line, const char *text, size_t len);

/*
 * Each takes `len` bytes of text without white space around them, and returns a fault or
 * WEFT_FAULT_NONE; outputs are written only on success. Any thread.
 */
enum weft_fault_kind weft_value_port(const char *text, size_t len, uint16_t *ret_port);
/* Decimal, 0x hexadecimal, or "off". */
enum weft_fault_kind weft_value_fwmark(const char *text, size_t len, uint32_t *ret_fwmark);
/* Seconds, or "off". */
enum weft_fault_kind weft_value_keepalive(const char *text, size_t len, uint16_t *ret_seconds);
/* "probe" or "off". */
enum weft_fault_kind weft_value_path_mtu(const char *text, size_t len,
					 enum weft_conf_path_mtu *ret_path_mtu);
/* "fast" or "off". */
enum weft_fault_kind weft_value_relay(const char *text, size_t len,
				      enum weft_conf_relay *ret_relay);

/*
 * One entry of a list of allowed IPs: "ip" or "ip/len". Host bits are kept, for the caller to
 * mask and to warn of.
 */
enum weft_fault_kind weft_value_prefix(const char *text, size_t len,
				       struct weft_prefix *ret_prefix);

/*
 * "host:port" or "[host]:port". A numeric one goes to the peer; any other is left in `ret_name`,
 * host and port filled in and `*ret_is_name` true.
 */
enum weft_fault_kind weft_value_endpoint(const char *text, size_t len, struct weft_conf_peer *peer,
					 struct weft_conf_name *ret_name, bool *ret_is_name);

/* Appends a copy. 0 or -ENOMEM. */
WEFT_MUST_CHECK int weft_conf_add_name(struct weft_conf_names *names,
				       const struct weft_conf_name *name);

/*
 * A peer's endpoint as wg prints it, with its zone by name where it has one: "(none)" without.
 * `out`: at least WEFT_CONF_ENDPOINT_LEN bytes. Returns `out`.
 */
#define WEFT_CONF_ENDPOINT_LEN (WEFT_ENDPOINT_TEXT_LEN + WEFT_CONF_ZONE_LEN)
const char *weft_conf_endpoint_text(const struct weft_conf_peer *peer,
				    char out[WEFT_CONF_ENDPOINT_LEN]);

#endif
