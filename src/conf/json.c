/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON view of devices. Objects come from jansson; only names and values are decided here. */
#include "conf/json.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "conf/value.h"
#include "util/encoding.h"

/* JSON's integers here are signed. */
static json_t *integer(uint64_t v)
{
	return json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v);
}

static json_t *key(const uint8_t k[WEFT_KEY_LEN])
{
	char text[WEFT_KEY_BASE64_LEN + 1];
	json_t *j;

	weft_key_to_base64(text, k);
	j = json_string(text);
	weft_wipe(text, sizeof(text));
	return j;
}

static json_t *secret(const struct weft_secret *s)
{
	return weft_ct_is_zero(s->b, WEFT_KEY_LEN) ? json_null() : key(s->b);
}

/* Takes `value`. True on success. */
static bool put(json_t *object, const char *name, json_t *value)
{
	return json_object_set_new(object, name, value) == 0;
}

/* The figures that wg does not have, those called drop_* in an object of their own. */
static bool put_extras(json_t *object, const struct weft_conf_extras *extras)
{
	json_t *plain = json_object(), *drops = json_object();
	bool ok = plain && drops;

	for (size_t i = 0; ok && i < extras->n; i++) {
		const struct weft_conf_extra *e = &extras->v[i];

		if (strncmp(e->name, "drop_", 5) == 0)
			ok = put(drops, e->name + 5, integer(e->value));
		else
			ok = put(plain, e->name, integer(e->value));
	}
	if (ok && json_object_size(plain))
		ok = put(object, "counters", json_incref(plain));
	if (ok && json_object_size(drops))
		ok = put(object, "drops", json_incref(drops));
	json_decref(plain);
	json_decref(drops);
	return ok;
}

static json_t *allowed_ips(const struct weft_conf_peer *peer)
{
	char text[WEFT_PREFIX_TEXT_LEN];
	json_t *list = json_array();

	for (size_t i = 0; list && i < peer->n_allowed_ips; i++) {
		weft_prefix_format(&peer->allowed_ips[i].prefix, text);
		if (json_array_append_new(list, json_string(text))) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *peer_object(const struct weft_conf_peer *peer, bool secrets)
{
	char text[WEFT_CONF_ENDPOINT_LEN];
	json_t *o = json_object();
	bool ok = o && put(o, "public_key", key(peer->public_key)) &&
		  put(o, "has_preshared_key",
		      json_boolean(!weft_ct_is_zero(peer->psk.b, WEFT_KEY_LEN))) &&
		  (!secrets || put(o, "preshared_key", secret(&peer->psk))) &&
		  put(o, "endpoint",
		      peer->endpoint.ip.family == WEFT_NONE
			      ? json_null()
			      : json_string(weft_conf_endpoint_text(peer, text))) &&
		  put(o, "allowed_ips", allowed_ips(peer)) &&
		  put(o, "latest_handshake",
		      peer->last_handshake_sec ? integer(peer->last_handshake_sec) : json_null()) &&
		  put(o, "rx_bytes", integer(peer->rx_bytes)) &&
		  put(o, "tx_bytes", integer(peer->tx_bytes)) &&
		  put(o, "persistent_keepalive",
		      peer->keepalive_s ? integer(peer->keepalive_s) : json_null()) &&
		  put_extras(o, &peer->extras);

	if (ok)
		return o;
	json_decref(o);
	return NULL;
}

static json_t *device_object(const struct weft_conf_device *dev, bool secrets)
{
	json_t *o = json_object(), *peers = json_array();
	bool ok = o && peers && put(o, "name", json_string(dev->name)) &&
		  put(o, "public_key",
		      dev->has & WEFT_DEVICE_HAS_PUBLIC_KEY ? key(dev->public_key) : json_null()) &&
		  (!secrets || put(o, "private_key", secret(&dev->private_key))) &&
		  put(o, "listen_port", integer(dev->listen_port)) &&
		  put(o, "fwmark", dev->fwmark ? integer(dev->fwmark) : json_null()) &&
		  (dev->relay != WEFT_CONF_RELAY_FAST || put(o, "relay", json_string("fast"))) &&
		  (!dev->version[0] || put(o, "weft_version", json_string(dev->version))) &&
		  put_extras(o, &dev->extras);

	for (size_t i = 0; ok && i < dev->n_peers; i++)
		ok = json_array_append_new(peers, peer_object(&dev->peers[i], secrets)) == 0;
	if (ok)
		ok = put(o, "peers", json_incref(peers));
	json_decref(peers);
	if (ok)
		return o;
	json_decref(o);
	return NULL;
}

/* Called by jansson with pieces of the text. */
static int append(const char *p, size_t len, void *out)
{
	return weft_text_append(out, p, len) ? -1 : 0;
}

int weft_json_devices(struct weft_text *out, const struct weft_conf_device *devs, size_t n,
		      bool secrets)
{
	json_t *root = json_object(), *list = json_array();
	bool ok = root && list;
	int rc;

	for (size_t i = 0; ok && i < n; i++)
		ok = json_array_append_new(list, device_object(&devs[i], secrets)) == 0;
	if (ok)
		ok = put(root, "interfaces", json_incref(list));
	rc = ok && json_dump_callback(root, append, out, JSON_COMPACT) == 0 ? 0 : -ENOMEM;
	json_decref(list);
	json_decref(root);
	return rc ? rc : weft_text_append(out, "\n", 1);
}
