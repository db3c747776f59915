/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cross-platform userspace API's text (https://www.wireguard.com/xplatform/). Strict towards
 * clients that change a device, lenient towards devices that answer. Knows no socket and no device.
 */
#include "conf/uapi.h"

#include <errno.h>
#include <string.h>

#include "conf/value.h"
#include "util/encoding.h"

struct span {
	const char *p;
	size_t len;
};

static bool is(struct span s, const char *word)
{
	return s.len == strlen(word) && memcmp(s.p, word, s.len) == 0;
}

/* Digits alone; "0x" and hex digits where `hex` allows. The value may not pass `max`. */
static bool number(struct span s, bool hex, uint64_t max, uint64_t *ret)
{
	uint64_t base = 10, v = 0;
	size_t i = 0;

	if (hex && s.len > 2 && s.p[0] == '0' && (s.p[1] == 'x' || s.p[1] == 'X')) {
		base = 16;
		i = 2;
	}
	if (i == s.len)
		return false;
	for (; i < s.len; i++) {
		char c = s.p[i];
		uint64_t digit;

		if (c >= '0' && c <= '9')
			digit = (uint64_t)(c - '0');
		else if (base == 16 && c >= 'a' && c <= 'f')
			digit = (uint64_t)(c - 'a') + 10;
		else if (base == 16 && c >= 'A' && c <= 'F')
			digit = (uint64_t)(c - 'A') + 10;
		else
			return false;
		if (digit > max || v > (max - digit) / base)
			return false;
		v = v * base + digit;
	}
	*ret = v;
	return true;
}

static bool prefix(struct span s, struct weft_prefix *ret)
{
	struct weft_prefix p;

	if (!memchr(s.p, '/', s.len) || weft_prefix_parse(s.p, s.len, &p))
		return false;
	weft_prefix_mask(&p);
	*ret = p;
	return true;
}

static bool path_mtu(struct span s, enum weft_conf_path_mtu *ret)
{
	return weft_value_path_mtu(s.p, s.len, ret) == WEFT_FAULT_NONE;
}

static bool relay(struct span s, enum weft_conf_relay *ret)
{
	if (is(s, "fast"))
		*ret = WEFT_CONF_RELAY_FAST;
	else if (is(s, "off"))
		*ret = WEFT_CONF_RELAY_OFF;
	else if (is(s, "default"))
		*ret = WEFT_CONF_RELAY_DEFAULT;
	else
		return false;
	return true;
}

/* An interface's name, as far as it may go to a terminal and into JSON: printable ASCII. */
static bool is_zone(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return false;
	return s.len > 0;
}

/* "ip:port", "[v6]:port", "[v6%zone]:port"; a zone that is not a number is kept as a name. */
static bool endpoint(struct span s, struct weft_conf_peer *peer)
{
	char text[WEFT_ENDPOINT_TEXT_LEN], zone[WEFT_CONF_ZONE_LEN] = "";
	const char *percent = s.len ? memchr(s.p, '%', s.len) : NULL;
	const char *close = s.len ? memchr(s.p, ']', s.len) : NULL;
	struct weft_endpoint e;
	uint64_t index;

	if (percent && close && close > percent) {
		struct span name = {percent + 1, (size_t)(close - percent - 1)};
		size_t before = (size_t)(percent - s.p), after = s.len - (size_t)(close - s.p);

		if (!number(name, false, UINT32_MAX, &index)) {
			if (!is_zone(name) || name.len >= sizeof(zone) ||
			    before + after > sizeof(text))
				return false;
			memcpy(zone, name.p, name.len);
			memcpy(text, s.p, before);
			memcpy(text + before, close, after);
			s = (struct span){text, before + after};
		}
	}
	if (weft_endpoint_parse(s.p, s.len, &e))
		return false;
	peer->endpoint = e;
	memcpy(peer->endpoint_zone, zone, sizeof(zone));
	return true;
}

/* The next line of text, without its newline. */
static struct span take_line(const char **text, size_t *len)
{
	const char *nl = memchr(*text, '\n', *len);
	struct span line = {*text, nl ? (size_t)(nl - *text) : *len};
	size_t used = line.len + (nl ? 1 : 0);

	*text += used;
	*len -= used;
	return line;
}

static bool split(struct span line, struct span *key, struct span *value)
{
	const char *eq = line.len ? memchr(line.p, '=', line.len) : NULL;

	if (!eq)
		return false;
	*key = (struct span){line.p, (size_t)(eq - line.p)};
	*value = (struct span){eq + 1, line.len - key->len - 1};
	return true;
}

/* What a value should have been: the message for a bad one. */
#define WANT_KEY   "64 hexadecimal digits"
#define WANT_U16   "a number from 0 to 65535"
#define WANT_TRUE  "true"
#define WANT_KNOWN "a known key"

/* One key of the device's part. NULL, or what was expected. */
static const char *set_device(struct weft_conf_device *dev, struct span key, struct span value)
{
	uint64_t v;

	if (is(key, "private_key")) {
		if (weft_key_from_hex(dev->private_key.b, value.p, value.len))
			return WANT_KEY;
		dev->has |= WEFT_DEVICE_HAS_PRIVATE_KEY;
	} else if (is(key, "listen_port")) {
		if (!number(value, false, UINT16_MAX, &v))
			return WANT_U16;
		dev->listen_port = (uint16_t)v;
		dev->has |= WEFT_DEVICE_HAS_LISTEN_PORT;
	} else if (is(key, "fwmark")) {
		if (!number(value, true, UINT32_MAX, &v))
			return "a number of 32 bits, decimal or 0x…";
		dev->fwmark = (uint32_t)v;
		dev->has |= WEFT_DEVICE_HAS_FWMARK;
	} else if (is(key, "weft_relay")) {
		if (!relay(value, &dev->relay))
			return "fast, off or default";
		dev->has |= WEFT_DEVICE_HAS_RELAY;
	} else if (is(key, "weft_path_mtu")) {
		if (!path_mtu(value, &dev->path_mtu))
			return "probe or off";
		dev->has |= WEFT_DEVICE_HAS_PATH_MTU;
	} else if (is(key, "replace_peers")) {
		if (!is(value, "true"))
			return WANT_TRUE;
		dev->has |= WEFT_DEVICE_REPLACE_PEERS;
	} else {
		return WANT_KNOWN;
	}
	return NULL;
}

static int set_allowed_ip(struct weft_conf_peer *peer, struct span value, const char **want)
{
	bool remove = value.len && value.p[0] == '-';
	struct weft_prefix p;

	if (remove)
		value = (struct span){value.p + 1, value.len - 1};
	if (!prefix(value, &p)) {
		*want = "address/length, or -address/length";
		return 0;
	}
	return weft_conf_add_allowed_ip(peer, &p, remove);
}

/* One key of a peer's part. `*want` stays NULL, or says what was expected. 0 or an error code. */
static int set_peer(struct weft_conf_peer *peer, struct span key, struct span value,
		    const char **want)
{
	uint64_t v;

	if (is(key, "preshared_key")) {
		if (weft_key_from_hex(peer->psk.b, value.p, value.len))
			*want = WANT_KEY;
		peer->has |= WEFT_PEER_HAS_PSK;
	} else if (is(key, "endpoint")) {
		if (!endpoint(value, peer))
			*want = "address:port or [address]:port";
		peer->has |= WEFT_PEER_HAS_ENDPOINT;
	} else if (is(key, "persistent_keepalive_interval")) {
		if (!number(value, false, UINT16_MAX, &v)) {
			*want = WANT_U16;
			return 0;
		}
		peer->keepalive_s = (uint16_t)v;
		peer->has |= WEFT_PEER_HAS_KEEPALIVE;
	} else if (is(key, "allowed_ip")) {
		return set_allowed_ip(peer, value, want);
	} else if (is(key, "replace_allowed_ips")) {
		if (!is(value, "true"))
			*want = WANT_TRUE;
		/* Lines before this one would be undone by it. */
		peer->n_allowed_ips = 0;
		peer->has |= WEFT_PEER_REPLACE_ALLOWED_IPS;
	} else if (is(key, "remove")) {
		if (!is(value, "true"))
			*want = WANT_TRUE;
		peer->has |= WEFT_PEER_REMOVE;
	} else if (is(key, "update_only")) {
		if (!is(value, "true"))
			*want = WANT_TRUE;
		peer->has |= WEFT_PEER_UPDATE_ONLY;
	} else if (is(key, "protocol_version")) {
		if (!is(value, "1"))
			*want = "1";
	} else {
		*want = WANT_KNOWN;
	}
	return 0;
}

static const char *const set_keys[] = {
	"private_key",
	"listen_port",
	"fwmark",
	"replace_peers",
	"weft_relay",
	"public_key",
	"remove",
	"update_only",
	"preshared_key",
	"endpoint",
	"persistent_keepalive_interval",
	"replace_allowed_ips",
	"allowed_ip",
	"protocol_version",
	NULL,
};

/* Names the key and what it should have been, never the value: it may be a secret. */
static void explain(struct weft_diag *diag, unsigned line, struct span key, const char *want)
{
	int shown = key.len > 64 ? 64 : (int)key.len;
	const char *near = NULL;

	if (strcmp(want, WANT_KNOWN) != 0) {
		weft_diag_set(diag, line, (unsigned)key.len + 2, "%.*s: expected %s", shown, key.p,
			      want);
		return;
	}
	weft_diag_set(diag, line, 1, "key \"%.*s\" is not known here", shown, key.p);
	near = weft_diag_nearest(key.p, key.len, set_keys);
	if (near)
		weft_diag_hint(diag, "did you mean %s?", near);
}

/* How many peers a text has, without parsing it. */
static size_t count_peers(const char *text, size_t len)
{
	static const char word[] = "public_key=";
	size_t n = 0;

	while (len) {
		struct span line = take_line(&text, &len);

		n += line.len >= sizeof(word) - 1 && memcmp(line.p, word, sizeof(word) - 1) == 0;
	}
	return n;
}

int weft_uapi_parse_set(const char *text, size_t len, struct weft_conf_device *ret_dev,
			struct weft_diag *diag)
{
	struct weft_conf_peer *peer = NULL;
	unsigned n = 0;
	int reserved = weft_conf_reserve_peers(ret_dev, count_peers(text, len));

	if (reserved)
		return reserved;
	while (len) {
		struct span line = take_line(&text, &len), key, value;
		const char *want = NULL;
		int rc = 0;

		n++;
		if (line.len > WEFT_UAPI_MAX_LINE || memchr(line.p, '\0', line.len) ||
		    memchr(line.p, '\r', line.len)) {
			weft_diag_set(diag, n, 0,
				      "the line is over %d bytes, or has a CR or NUL in it",
				      WEFT_UAPI_MAX_LINE);
			return -EINVAL;
		}
		if (!split(line, &key, &value)) {
			weft_diag_set(diag, n, 0, "expected key=value");
			return -EPROTO;
		}
		if (is(key, "public_key")) {
			rc = weft_conf_add_peer(ret_dev, &peer);
			if (!rc && weft_key_from_hex(peer->public_key, value.p, value.len))
				want = WANT_KEY;
		} else if (peer) {
			rc = set_peer(peer, key, value, &want);
		} else {
			want = set_device(ret_dev, key, value);
		}
		if (rc)
			return rc;
		if (want) {
			explain(diag, n, key, want);
			return -EINVAL;
		}
	}
	return 0;
}

/* Appends "key=<hex of a key>\n"; the hex on the stack is wiped. */
static int put_key(struct weft_text *out, const char *name, const uint8_t key[WEFT_KEY_LEN])
{
	char line[96 + WEFT_KEY_HEX_LEN];
	size_t n = strlen(name);
	int rc;

	memcpy(line, name, n);
	line[n++] = '=';
	weft_key_to_hex(line + n, key);
	n += WEFT_KEY_HEX_LEN;
	line[n++] = '\n';
	rc = weft_text_append(out, line, n);
	weft_wipe(line, sizeof(line));
	return rc;
}

/* Appends "<prefix><name>=<v>\n". By hand: a get of 20,000 peers has 300,000 of these. */
static int put_named(struct weft_text *out, const char *prefix, const char *name, uint64_t v)
{
	char line[128];
	size_t p = strlen(prefix), n = strlen(name), at = sizeof(line);

	if (p + n > sizeof(line) - 24)
		return -EINVAL;
	line[--at] = '\n';
	do {
		line[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	line[--at] = '=';
	at -= n;
	memcpy(line + at, name, n);
	at -= p;
	memcpy(line + at, prefix, p);
	return weft_text_append(out, line + at, sizeof(line) - at);
}

static int put_u64(struct weft_text *out, const char *name, uint64_t v)
{
	return put_named(out, "", name, v);
}

static int put_text(struct weft_text *out, const char *text)
{
	return weft_text_append(out, text, strlen(text));
}

static int put_endpoint(struct weft_text *out, const struct weft_conf_peer *peer)
{
	char text[WEFT_CONF_ENDPOINT_LEN];

	return weft_text_printf(out, "endpoint=%s\n", weft_conf_endpoint_text(peer, text));
}

static int put_allowed_ips(struct weft_text *out, const struct weft_conf_peer *peer)
{
	char text[WEFT_PREFIX_TEXT_LEN];
	int rc = 0;

	for (size_t i = 0; !rc && i < peer->n_allowed_ips; i++) {
		const struct weft_conf_allowed_ip *a = &peer->allowed_ips[i];

		rc = put_text(out, a->remove ? "allowed_ip=-" : "allowed_ip=");
		if (!rc)
			rc = put_text(out, weft_prefix_format(&a->prefix, text));
		if (!rc)
			rc = put_text(out, "\n");
	}
	return rc;
}

static int put_extras(struct weft_text *out, const struct weft_conf_extras *extras)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < extras->n; i++)
		rc = put_named(out, "weft_", extras->v[i].name, extras->v[i].value);
	return rc;
}

static int write_change(struct weft_text *out, const struct weft_conf_peer *peer)
{
	int rc = put_key(out, "public_key", peer->public_key);

	if (!rc && (peer->has & WEFT_PEER_UPDATE_ONLY))
		rc = weft_text_printf(out, "update_only=true\n");
	if (!rc && (peer->has & WEFT_PEER_REMOVE))
		return weft_text_printf(out, "remove=true\n");
	if (!rc && (peer->has & WEFT_PEER_HAS_PSK))
		rc = put_key(out, "preshared_key", peer->psk.b);
	if (!rc && (peer->has & WEFT_PEER_HAS_ENDPOINT))
		rc = put_endpoint(out, peer);
	if (!rc && (peer->has & WEFT_PEER_HAS_KEEPALIVE))
		rc = put_u64(out, "persistent_keepalive_interval", peer->keepalive_s);
	if (!rc && (peer->has & WEFT_PEER_REPLACE_ALLOWED_IPS))
		rc = weft_text_printf(out, "replace_allowed_ips=true\n");
	if (!rc)
		rc = put_allowed_ips(out, peer);
	return rc;
}

int weft_uapi_write_set(struct weft_text *out, const struct weft_conf_device *dev)
{
	int rc = weft_text_printf(out, "set=1\n");

	if (!rc && (dev->has & WEFT_DEVICE_HAS_PRIVATE_KEY))
		rc = put_key(out, "private_key", dev->private_key.b);
	if (!rc && (dev->has & WEFT_DEVICE_HAS_LISTEN_PORT))
		rc = put_u64(out, "listen_port", dev->listen_port);
	if (!rc && (dev->has & WEFT_DEVICE_HAS_FWMARK))
		rc = put_u64(out, "fwmark", dev->fwmark);
	if (!rc && (dev->has & WEFT_DEVICE_HAS_RELAY))
		rc = weft_text_printf(out, "weft_relay=%s\n",
				      dev->relay == WEFT_CONF_RELAY_FAST  ? "fast"
				      : dev->relay == WEFT_CONF_RELAY_OFF ? "off"
									  : "default");
	if (!rc && (dev->has & WEFT_DEVICE_HAS_PATH_MTU))
		rc = weft_text_printf(out, "weft_path_mtu=%s\n",
				      dev->path_mtu == WEFT_CONF_PATH_MTU_PROBE ? "probe" : "off");
	if (!rc && (dev->has & WEFT_DEVICE_REPLACE_PEERS))
		rc = weft_text_printf(out, "replace_peers=true\n");
	for (size_t i = 0; !rc && i < dev->n_peers; i++)
		rc = write_change(out, &dev->peers[i]);
	if (!rc)
		rc = weft_text_printf(out, "\n");
	return rc;
}

int weft_uapi_write_device(struct weft_text *out, const struct weft_conf_device *dev)
{
	int rc = 0;

	if ((dev->has & WEFT_DEVICE_HAS_PRIVATE_KEY) &&
	    !weft_ct_is_zero(dev->private_key.b, WEFT_KEY_LEN))
		rc = put_key(out, "private_key", dev->private_key.b);
	if (!rc && dev->listen_port)
		rc = put_u64(out, "listen_port", dev->listen_port);
	if (!rc && dev->fwmark)
		rc = put_u64(out, "fwmark", dev->fwmark);
	if (!rc && dev->version[0])
		rc = weft_text_printf(out, "weft_version=%s\n", dev->version);
	/* told only when it is on: others need not know the word */
	if (!rc && dev->relay == WEFT_CONF_RELAY_FAST)
		rc = put_text(out, "weft_relay=fast\n");
	if (!rc && dev->path_mtu == WEFT_CONF_PATH_MTU_PROBE)
		rc = put_text(out, "weft_path_mtu=probe\n");
	if (!rc)
		rc = put_extras(out, &dev->extras);
	return rc;
}

int weft_uapi_write_peer(struct weft_text *out, const struct weft_conf_peer *peer)
{
	int rc = put_key(out, "public_key", peer->public_key);

	if (!rc)
		rc = put_key(out, "preshared_key", peer->psk.b);
	if (!rc)
		rc = put_text(out, "protocol_version=1\n");
	if (!rc && peer->endpoint.ip.family != WEFT_NONE)
		rc = put_endpoint(out, peer);
	if (!rc)
		rc = put_u64(out, "last_handshake_time_sec", peer->last_handshake_sec);
	if (!rc)
		rc = put_u64(out, "last_handshake_time_nsec", peer->last_handshake_nsec);
	if (!rc)
		rc = put_u64(out, "tx_bytes", peer->tx_bytes);
	if (!rc)
		rc = put_u64(out, "rx_bytes", peer->rx_bytes);
	if (!rc)
		rc = put_u64(out, "persistent_keepalive_interval", peer->keepalive_s);
	if (!rc)
		rc = put_allowed_ips(out, peer);
	if (!rc)
		rc = put_extras(out, &peer->extras);
	return rc;
}

/* weft's own keys; whatever cannot be used is skipped, as any other unknown key is. */
static int get_extra(struct weft_conf_extras *extras, struct span key, struct span value)
{
	uint64_t v;
	int rc;

	if (key.len <= 5 || memcmp(key.p, "weft_", 5) != 0 || !number(value, false, UINT64_MAX, &v))
		return 0;
	rc = weft_conf_add_extra(extras, key.p + 5, key.len - 5, v);
	return rc == -ENOMEM ? rc : 0;
}

static int get_device(struct weft_conf_device *dev, struct span key, struct span value)
{
	uint64_t v;

	if (is(key, "private_key")) {
		if (weft_key_from_hex(dev->private_key.b, value.p, value.len))
			return WEFT_E_PROTOCOL;
		dev->has |= WEFT_DEVICE_HAS_PRIVATE_KEY;
	} else if (is(key, "listen_port")) {
		if (!number(value, false, UINT16_MAX, &v))
			return WEFT_E_PROTOCOL;
		dev->listen_port = (uint16_t)v;
		dev->has |= WEFT_DEVICE_HAS_LISTEN_PORT;
	} else if (is(key, "fwmark")) {
		if (!number(value, true, UINT32_MAX, &v))
			return WEFT_E_PROTOCOL;
		dev->fwmark = (uint32_t)v;
		dev->has |= WEFT_DEVICE_HAS_FWMARK;
	} else if (is(key, "weft_relay")) {
		(void)relay(value,
			    &dev->relay); /* a word that is not known: as if it was not there */
	} else if (is(key, "weft_path_mtu")) {
		(void)path_mtu(value, &dev->path_mtu);
	} else if (is(key, "weft_version")) {
		if (value.len < sizeof(dev->version)) {
			memset(dev->version, 0, sizeof(dev->version));
			for (size_t i = 0; i < value.len; i++) /* it ends up on a terminal */
				dev->version[i] =
					value.p[i] > ' ' && value.p[i] < 127 ? value.p[i] : '?';
		}
	} else {
		return get_extra(&dev->extras, key, value);
	}
	return 0;
}

/* As above, and port 0, which a device may have been given and wg shows. */
static bool any_endpoint(struct span s, struct weft_conf_peer *peer)
{
	char text[WEFT_ENDPOINT_TEXT_LEN + WEFT_CONF_ZONE_LEN];

	if (s.len < 2 || s.len > sizeof(text) || memcmp(s.p + s.len - 2, ":0", 2) != 0)
		return endpoint(s, peer);
	memcpy(text, s.p, s.len);
	text[s.len - 1] = '1';
	if (!endpoint((struct span){text, s.len}, peer))
		return false;
	peer->endpoint.port = 0;
	return true;
}

static int get_peer(struct weft_conf_peer *peer, struct span key, struct span value)
{
	struct weft_prefix p;
	uint64_t v = 0;
	bool ok = true;

	if (is(key, "preshared_key")) {
		ok = weft_key_from_hex(peer->psk.b, value.p, value.len) == 0;
		if (!weft_ct_is_zero(peer->psk.b, WEFT_KEY_LEN))
			peer->has |= WEFT_PEER_HAS_PSK;
	} else if (is(key, "endpoint")) {
		ok = any_endpoint(value, peer);
		peer->has |= WEFT_PEER_HAS_ENDPOINT;
	} else if (is(key, "persistent_keepalive_interval")) {
		ok = number(value, false, UINT16_MAX, &v);
		peer->keepalive_s = (uint16_t)v;
		peer->has |= WEFT_PEER_HAS_KEEPALIVE;
	} else if (is(key, "allowed_ip")) {
		return prefix(value, &p) ? weft_conf_add_allowed_ip(peer, &p, false)
					 : WEFT_E_PROTOCOL;
	} else if (is(key, "last_handshake_time_sec")) {
		ok = number(value, false, INT64_MAX, &v);
		peer->last_handshake_sec = v;
	} else if (is(key, "last_handshake_time_nsec")) {
		ok = number(value, false, 999999999, &v);
		peer->last_handshake_nsec = (uint32_t)v;
	} else if (is(key, "rx_bytes")) {
		ok = number(value, false, UINT64_MAX, &v);
		peer->rx_bytes = v;
	} else if (is(key, "tx_bytes")) {
		ok = number(value, false, UINT64_MAX, &v);
		peer->tx_bytes = v;
	} else {
		return get_extra(&peer->extras, key, value);
	}
	return ok ? 0 : WEFT_E_PROTOCOL;
}

/* The line that ends an answer: daemons disagree about the sign. */
static int get_errno(struct span value)
{
	uint64_t v;

	if (value.len && value.p[0] == '-')
		value = (struct span){value.p + 1, value.len - 1};
	if (!number(value, false, 4095, &v))
		return WEFT_E_PROTOCOL;
	return -(int)v;
}

int weft_uapi_parse_get(const char *text, size_t len, struct weft_conf_device *ret_dev)
{
	struct weft_conf_peer *peer = NULL;
	bool ended = false;
	int answer = 0, rc = weft_conf_reserve_peers(ret_dev, count_peers(text, len));

	if (rc)
		return rc;
	while (len) {
		struct span line = take_line(&text, &len), key, value;

		if (line.len == 0)
			return ended ? answer : WEFT_E_PROTOCOL;
		if (line.len > WEFT_UAPI_MAX_LINE || !split(line, &key, &value))
			return WEFT_E_PROTOCOL;
		rc = 0;
		if (is(key, "errno")) {
			answer = get_errno(value);
			ended = true;
		} else if (is(key, "public_key")) {
			rc = weft_conf_add_peer(ret_dev, &peer);
			if (!rc && weft_key_from_hex(peer->public_key, value.p, value.len))
				rc = WEFT_E_PROTOCOL;
		} else if (peer) {
			rc = get_peer(peer, key, value);
		} else {
			rc = get_device(ret_dev, key, value);
		}
		if (rc)
			return rc;
	}
	return WEFT_E_PROTOCOL;
}
