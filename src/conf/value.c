/* SPDX-License-Identifier: Apache-2.0 */
/* The values that people write. Knows neither files nor sections nor the command line. */
#include "conf/value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *expected;
	const char *wg; /* NULL: as WEFT_FAULT_LINE */
	bool shows_found;
} faults[] = {
	[WEFT_FAULT_NONE] = {"", "", false},
	[WEFT_FAULT_LINE] = {"a known key and a value", "Line unrecognized: `%s'", true},
	[WEFT_FAULT_KEY] = {"a key: 44 characters of base64",
			    "Key is not the correct length or format: `%s'", true},
	[WEFT_FAULT_SECRET_KEY] = {"a key: 44 characters of base64",
				   "Key is not the correct length or format", false},
	[WEFT_FAULT_PORT] = {"a port from 0 to 65535",
			     "Servname not supported for ai_socktype: `%s'", true},
	[WEFT_FAULT_FWMARK] = {"a mark: \"off\", or a number of 32 bits, decimal or 0x…",
			       "Fwmark is neither 0/off nor 0-0xffffffff: `%s'", true},
	[WEFT_FAULT_KEEPALIVE] =
		{"seconds from 1 to 65535, or \"off\"",
		 "Persistent keepalive interval is neither 0/off nor 1-65535: `%s'", true},
	[WEFT_FAULT_RELAY] = {"\"fast\" or \"off\"", "Line unrecognized: `%s'", true},
	[WEFT_FAULT_PATH_MTU] = {"\"probe\" or \"off\"", "Line unrecognized: `%s'", true},
	[WEFT_FAULT_ADDRESS] = {"an IPv4 or IPv6 address, with or without /length",
				"Unable to parse IP address: `%s'", true},
	[WEFT_FAULT_PREFIX] = {"a length after the slash, at most 32 for IPv4 and 128 for IPv6",
			       "AllowedIP is not in the correct format: `%s'", true},
	[WEFT_FAULT_ENDPOINT_EMPTY] = {"host:port or [address]:port",
				       "Unable to parse empty endpoint", false},
	[WEFT_FAULT_ENDPOINT_BRACE] = {"a \"]\" after the \"[\"",
				       "Unable to find matching brace of endpoint: `%s'", true},
	[WEFT_FAULT_ENDPOINT_PORT] = {"host:port or [address]:port",
				      "Unable to find port of endpoint: `%s'", true},
	[WEFT_FAULT_NO_PUBLIC_KEY] = {"a PublicKey in every [Peer]",
				      "A peer is missing a public key", false},
	[WEFT_FAULT_BOOLEAN] = {"\"true\" or \"false\"", "`%s' is neither true nor false", true},
};

void weft_fault_set(struct weft_fault *fault, enum weft_fault_kind kind, const char *found,
		    size_t len)
{
	if (!fault)
		return;
	fault->kind = kind;
	if (!faults[kind].shows_found)
		len = 0;
	if (len >= sizeof(fault->found))
		len = sizeof(fault->found) - 1;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)found[i];

		fault->found[i] = (char)(c < ' ' || c == 127 ? '?' : c);
	}
	fault->found[len] = '\0';
}

const char *weft_fault_expected(enum weft_fault_kind kind)
{
	return faults[kind].expected;
}

const char *weft_fault_wg_sentence(const struct weft_fault *fault, char *out, size_t len)
{
	const char *wg = faults[fault->kind].wg;
	const char *hole = strstr(wg, "%s");

	if (hole)
		(void)snprintf(out, len, "%.*s%s%s", (int)(hole - wg), wg, fault->found, hole + 2);
	else
		(void)snprintf(out, len, "%s", wg);
	return out;
}

void weft_conf_names_clear(struct weft_conf_names *names)
{
	free(names->v);
	*names = (struct weft_conf_names){0};
}

int weft_conf_add_name(struct weft_conf_names *names, const struct weft_conf_name *name)
{
	if (names->n == names->cap) {
		size_t cap = names->cap ? names->cap * 2 : 4;
		struct weft_conf_name *v;

		if (cap > SIZE_MAX / sizeof(*v))
			return -ENOMEM;
		v = realloc(names->v, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		names->v = v;
		names->cap = cap;
	}
	names->v[names->n++] = *name;
	return 0;
}

/* Digits of `base` (10 or 16) alone, at most `max`. */
static bool digits(const char *text, size_t len, unsigned base, uint32_t max, uint32_t *ret)
{
	uint64_t v = 0;

	if (!len)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		unsigned d;

		if (c >= '0' && c <= '9')
			d = (unsigned)(c - '0');
		else if (base == 16 && c >= 'a' && c <= 'f')
			d = (unsigned)(c - 'a' + 10);
		else if (base == 16 && c >= 'A' && c <= 'F')
			d = (unsigned)(c - 'A' + 10);
		else
			return false;
		v = v * base + d;
		if (v > max)
			return false;
	}
	*ret = (uint32_t)v;
	return true;
}

static bool is_off(const char *text, size_t len)
{
	return len == 3 && (text[0] | 0x20) == 'o' && (text[1] | 0x20) == 'f' &&
	       (text[2] | 0x20) == 'f';
}

enum weft_fault_kind weft_value_port(const char *text, size_t len, uint16_t *ret_port)
{
	uint32_t v;

	if (!digits(text, len, 10, UINT16_MAX, &v))
		return WEFT_FAULT_PORT;
	*ret_port = (uint16_t)v;
	return WEFT_FAULT_NONE;
}

enum weft_fault_kind weft_value_fwmark(const char *text, size_t len, uint32_t *ret_fwmark)
{
	if (is_off(text, len)) {
		*ret_fwmark = 0;
		return WEFT_FAULT_NONE;
	}
	if (len > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		return digits(text + 2, len - 2, 16, UINT32_MAX, ret_fwmark) ? WEFT_FAULT_NONE
									     : WEFT_FAULT_FWMARK;
	return digits(text, len, 10, UINT32_MAX, ret_fwmark) ? WEFT_FAULT_NONE : WEFT_FAULT_FWMARK;
}

enum weft_fault_kind weft_value_keepalive(const char *text, size_t len, uint16_t *ret_seconds)
{
	uint32_t v = 0;

	if (!is_off(text, len) && !digits(text, len, 10, UINT16_MAX, &v))
		return WEFT_FAULT_KEEPALIVE;
	*ret_seconds = (uint16_t)v;
	return WEFT_FAULT_NONE;
}

enum weft_fault_kind weft_value_path_mtu(const char *text, size_t len,
					 enum weft_conf_path_mtu *ret_path_mtu)
{
	if (len == 5 && memcmp(text, "probe", 5) == 0)
		*ret_path_mtu = WEFT_CONF_PATH_MTU_PROBE;
	else if (len == 3 && memcmp(text, "off", 3) == 0)
		*ret_path_mtu = WEFT_CONF_PATH_MTU_OFF;
	else
		return WEFT_FAULT_PATH_MTU;
	return WEFT_FAULT_NONE;
}

enum weft_fault_kind weft_value_relay(const char *text, size_t len, enum weft_conf_relay *ret_relay)
{
	if (len == 4 && memcmp(text, "fast", 4) == 0)
		*ret_relay = WEFT_CONF_RELAY_FAST;
	else if (len == 3 && memcmp(text, "off", 3) == 0)
		*ret_relay = WEFT_CONF_RELAY_OFF;
	else
		return WEFT_FAULT_RELAY;
	return WEFT_FAULT_NONE;
}

enum weft_fault_kind weft_value_prefix(const char *text, size_t len, struct weft_prefix *ret_prefix)
{
	const char *slash = len ? memchr(text, '/', len) : NULL;
	struct weft_ip ip;

	if (weft_prefix_parse(text, len, ret_prefix) == 0)
		return WEFT_FAULT_NONE;
	if (weft_ip_parse(text, slash ? (size_t)(slash - text) : len, &ip))
		return WEFT_FAULT_ADDRESS;
	return WEFT_FAULT_PREFIX;
}

/* Copies into a fixed field with a NUL; false if it does not fit or has a NUL of its own. */
static bool copy(char *out, size_t size, const char *text, size_t len)
{
	if (len >= size || memchr(text, '\0', len))
		return false;
	memcpy(out, text, len);
	out[len] = '\0';
	return true;
}

enum weft_fault_kind weft_value_endpoint(const char *text, size_t len, struct weft_conf_peer *peer,
					 struct weft_conf_name *ret_name, bool *ret_is_name)
{
	const char *host = text, *end = NULL, *port;
	struct weft_conf_name name = {0};
	size_t port_len;
	uint32_t number = 0;
	struct weft_ip ip;

	if (!len)
		return WEFT_FAULT_ENDPOINT_EMPTY;
	if (text[0] == '[') {
		host++;
		end = memchr(text, ']', len);
		if (!end)
			return WEFT_FAULT_ENDPOINT_BRACE;
		port = end + 1;
		if (port == text + len || *port++ != ':')
			return WEFT_FAULT_ENDPOINT_PORT;
	} else {
		for (size_t i = len; i > 0 && !end; i--)
			if (text[i - 1] == ':')
				end = text + i - 1;
		if (!end)
			return WEFT_FAULT_ENDPOINT_PORT;
		port = end + 1;
	}
	port_len = len - (size_t)(port - text);
	if (!port_len || host == end)
		return WEFT_FAULT_ENDPOINT_PORT;
	if (!copy(name.host, sizeof(name.host), host, (size_t)(end - host)) ||
	    !copy(name.port, sizeof(name.port), port, port_len))
		return WEFT_FAULT_ENDPOINT_PORT;
	if (port[0] >= '0' && port[0] <= '9' && !digits(port, port_len, 10, UINT16_MAX, &number))
		return WEFT_FAULT_PORT;
	if (number && weft_ip_parse(host, (size_t)(end - host), &ip) == 0) {
		peer->endpoint = (struct weft_endpoint){.ip = ip, .port = (uint16_t)number};
		*ret_is_name = false;
		return WEFT_FAULT_NONE;
	}
	*ret_name = name;
	*ret_is_name = true;
	return WEFT_FAULT_NONE;
}

const char *weft_conf_endpoint_text(const struct weft_conf_peer *peer,
				    char out[WEFT_CONF_ENDPOINT_LEN])
{
	struct weft_endpoint e = peer->endpoint;
	char text[WEFT_ENDPOINT_TEXT_LEN];
	const char *close;

	if (peer->endpoint_zone[0])
		e.scope_id = 0;
	weft_endpoint_format(&e, text);
	close = peer->endpoint_zone[0] ? strchr(text, ']') : NULL;
	if (close)
		(void)snprintf(out, WEFT_CONF_ENDPOINT_LEN, "%.*s%%%s%s", (int)(close - text), text,
			       peer->endpoint_zone, close);
	else
		(void)snprintf(out, WEFT_CONF_ENDPOINT_LEN, "%s", text);
	return out;
}
