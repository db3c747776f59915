/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses, prefixes and endpoints: comparing, masking, and numeric text in and out. Nothing here
 * resolves names or knows of sockets. IPv6 text as RFC 4291 section 2.2 reads it and RFC 5952
 * writes it.
 */
#include "util/inet.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

unsigned weft_family_bits(uint8_t family)
{
	return (unsigned)weft_family_bytes(family) * 8;
}

size_t weft_family_bytes(uint8_t family)
{
	if (family == WEFT_IPV4)
		return 4;
	return family == WEFT_IPV6 ? 16 : 0;
}

bool weft_ip_equal(const struct weft_ip *a, const struct weft_ip *b)
{
	return a->family == b->family && !memcmp(a->b, b->b, weft_family_bytes(a->family));
}

bool weft_endpoint_same_remote(const struct weft_endpoint *a, const struct weft_endpoint *b)
{
	return weft_ip_equal(&a->ip, &b->ip) && a->port == b->port && a->scope_id == b->scope_id;
}

/* The bits of byte `i` that belong to a prefix of `len` bits. */
static uint8_t byte_mask(unsigned len, size_t i)
{
	if (len >= 8 * (i + 1))
		return 0xff;
	if (len <= 8 * i)
		return 0;
	return (uint8_t)(0xff00u >> (len - 8 * i));
}

bool weft_prefix_mask(struct weft_prefix *p)
{
	bool changed = false;

	for (size_t i = 0; i < weft_family_bytes(p->ip.family); i++) {
		uint8_t masked = (uint8_t)(p->ip.b[i] & byte_mask(p->len, i));

		changed = changed || masked != p->ip.b[i];
		p->ip.b[i] = masked;
	}
	return changed;
}

bool weft_prefix_contains(const struct weft_prefix *p, const struct weft_ip *ip)
{
	if (p->ip.family != ip->family || !weft_family_bytes(ip->family))
		return false;
	for (size_t i = 0; i < weft_family_bytes(ip->family); i++) {
		if ((p->ip.b[i] ^ ip->b[i]) & byte_mask(p->len, i))
			return false;
	}
	return true;
}

/* Decimal digits alone, at most `max`; leading zeros only within the digits that `max` has. */
static int parse_number(const char *text, size_t len, uint32_t max, uint32_t *ret_value)
{
	uint64_t v = 0;
	size_t max_len = 1;

	for (uint32_t m = max; m >= 10; m /= 10)
		max_len++;
	if (!len || len > max_len)
		return WEFT_E_PARSE;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return WEFT_E_PARSE;
		v = v * 10 + (uint32_t)(text[i] - '0');
	}
	if (v > max)
		return WEFT_E_PARSE;
	*ret_value = (uint32_t)v;
	return 0;
}

int weft_ip_parse(const char *text, size_t len, struct weft_ip *ret_ip)
{
	char buf[WEFT_IP_TEXT_LEN];
	struct weft_ip ip = {.family = WEFT_NONE};

	if (!len || len >= sizeof(buf) || memchr(text, '\0', len))
		return WEFT_E_PARSE;
	memcpy(buf, text, len);
	buf[len] = '\0';
	ip.family = memchr(buf, ':', len) ? WEFT_IPV6 : WEFT_IPV4;
	if (inet_pton(ip.family == WEFT_IPV6 ? AF_INET6 : AF_INET, buf, ip.b) != 1)
		return WEFT_E_PARSE;
	*ret_ip = ip;
	return 0;
}

int weft_prefix_parse(const char *text, size_t len, struct weft_prefix *ret_prefix)
{
	const char *slash = len ? memchr(text, '/', len) : NULL;
	size_t ip_len = slash ? (size_t)(slash - text) : len;
	struct weft_prefix p = {.len = 0};
	uint32_t bits;
	int ret;

	ret = weft_ip_parse(text, ip_len, &p.ip);
	if (ret < 0)
		return ret;
	bits = weft_family_bits(p.ip.family);
	if (slash) {
		ret = parse_number(slash + 1, len - ip_len - 1, bits, &bits);
		if (ret < 0)
			return ret;
	}
	p.len = (uint8_t)bits;
	*ret_prefix = p;
	return 0;
}

/* The inside of "[...]": IPv6, with an optional numeric scope. */
static int parse_bracketed(const char *text, size_t len, struct weft_endpoint *e)
{
	const char *percent = len ? memchr(text, '%', len) : NULL;
	size_t ip_len = percent ? (size_t)(percent - text) : len;
	int ret;

	ret = weft_ip_parse(text, ip_len, &e->ip);
	if (ret < 0)
		return ret;
	if (e->ip.family != WEFT_IPV6)
		return WEFT_E_PARSE;
	if (percent)
		return parse_number(percent + 1, len - ip_len - 1, UINT32_MAX, &e->scope_id);
	return 0;
}

int weft_endpoint_parse(const char *text, size_t len, struct weft_endpoint *ret_endpoint)
{
	struct weft_endpoint e = {.port = 0};
	const char *colon, *end;
	uint32_t port;
	int ret;

	if (!len)
		return WEFT_E_PARSE;
	if (text[0] == '[') {
		end = memchr(text, ']', len);
		if (!end || end + 1 == text + len || end[1] != ':')
			return WEFT_E_PARSE;
		colon = end + 1;
		ret = parse_bracketed(text + 1, (size_t)(end - text - 1), &e);
	} else {
		colon = memchr(text, ':', len);
		if (!colon)
			return WEFT_E_PARSE;
		/* without brackets there is no IPv6: the text ends at its first colon */
		ret = weft_ip_parse(text, (size_t)(colon - text), &e.ip);
	}
	if (ret < 0)
		return ret;
	ret = parse_number(colon + 1, len - (size_t)(colon + 1 - text), UINT16_MAX, &port);
	if (ret < 0)
		return ret;
	if (!port)
		return WEFT_E_PARSE;
	e.port = (uint16_t)port;
	*ret_endpoint = e;
	return 0;
}

const char *weft_ip_format(const struct weft_ip *ip, char out[WEFT_IP_TEXT_LEN])
{
	int af = ip->family == WEFT_IPV6 ? AF_INET6 : AF_INET;

	if (!weft_family_bytes(ip->family) || !inet_ntop(af, ip->b, out, WEFT_IP_TEXT_LEN))
		(void)snprintf(out, WEFT_IP_TEXT_LEN, "(none)");
	return out;
}

const char *weft_prefix_format(const struct weft_prefix *p, char out[WEFT_PREFIX_TEXT_LEN])
{
	char ip[WEFT_IP_TEXT_LEN];

	weft_ip_format(&p->ip, ip);
	if (p->ip.family == WEFT_NONE)
		(void)snprintf(out, WEFT_PREFIX_TEXT_LEN, "%s", ip);
	else
		(void)snprintf(out, WEFT_PREFIX_TEXT_LEN, "%s/%u", ip, p->len);
	return out;
}

const char *weft_endpoint_format(const struct weft_endpoint *e, char out[WEFT_ENDPOINT_TEXT_LEN])
{
	char ip[WEFT_IP_TEXT_LEN];

	weft_ip_format(&e->ip, ip);
	if (e->ip.family == WEFT_NONE)
		(void)snprintf(out, WEFT_ENDPOINT_TEXT_LEN, "%s", ip);
	else if (e->ip.family == WEFT_IPV4)
		(void)snprintf(out, WEFT_ENDPOINT_TEXT_LEN, "%s:%u", ip, e->port);
	else if (e->scope_id)
		(void)snprintf(out, WEFT_ENDPOINT_TEXT_LEN, "[%s%%%" PRIu32 "]:%u", ip, e->scope_id,
			       e->port);
	else
		(void)snprintf(out, WEFT_ENDPOINT_TEXT_LEN, "[%s]:%u", ip, e->port);
	return out;
}
