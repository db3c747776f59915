/* SPDX-License-Identifier: Apache-2.0 */
/* A plan for people, as command lines, and for programs, as JSON. No secret is in either. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "conf/value.h"
#include "host/plan.h"
#include "util/encoding.h"

#define CHANGED "(changed)"

/* ---- text */

static const char *psk_word(const struct weft_conf_peer *p)
{
	return weft_ct_is_zero(p->psk.b, WEFT_KEY_LEN) ? "(removed)" : CHANGED;
}

static int peer_text(const struct weft_conf_peer *p, const char *ifname, struct weft_text *out)
{
	char key[WEFT_KEY_BASE64_LEN + 1], text[WEFT_CONF_ENDPOINT_LEN];
	bool bit_by_bit =
		(p->has & WEFT_PEER_UPDATE_ONLY) && !(p->has & WEFT_PEER_REPLACE_ALLOWED_IPS);
	int rc;

	weft_key_to_base64(key, p->public_key);
	rc = weft_text_printf(out, "weft set %s peer %s", ifname, key);
	if (!rc && (p->has & WEFT_PEER_REMOVE))
		return weft_text_printf(out, " remove\n");
	if (!rc && (p->has & WEFT_PEER_HAS_PSK))
		rc = weft_text_printf(out, " preshared-key %s", psk_word(p));
	if (!rc && (p->has & WEFT_PEER_HAS_ENDPOINT))
		rc = weft_text_printf(out, " endpoint %s", weft_conf_endpoint_text(p, text));
	if (!rc && (p->has & WEFT_PEER_HAS_KEEPALIVE))
		rc = weft_text_printf(out, " persistent-keepalive %u", (unsigned)p->keepalive_s);
	if (!rc && (p->n_allowed_ips || (p->has & WEFT_PEER_REPLACE_ALLOWED_IPS)))
		rc = weft_text_printf(out, " allowed-ips %s", p->n_allowed_ips ? "" : "\"\"");
	for (size_t i = 0; i < p->n_allowed_ips && !rc; i++)
		rc = weft_text_printf(out, "%s%s%s", i ? "," : "",
				      p->allowed_ips[i].remove ? "-"
				      : bit_by_bit             ? "+"
							       : "",
				      weft_prefix_format(&p->allowed_ips[i].prefix, text));
	return rc ? rc : weft_text_append(out, "\n", 1);
}

static const char *path_mtu_word(enum weft_conf_path_mtu path_mtu)
{
	return path_mtu == WEFT_CONF_PATH_MTU_PROBE ? "probe" : "off";
}

static const char *relay_word(enum weft_conf_relay relay)
{
	return relay == WEFT_CONF_RELAY_FAST  ? "fast"
	       : relay == WEFT_CONF_RELAY_OFF ? "off"
					      : "default";
}

int weft_host_device_text(const struct weft_conf_device *change, const char *ifname,
			  struct weft_text *out)
{
	int rc = 0;

	if (change->has) {
		rc = weft_text_printf(out, "weft set %s", ifname);
		if (!rc && (change->has & WEFT_DEVICE_HAS_LISTEN_PORT))
			rc = weft_text_printf(out, " listen-port %u",
					      (unsigned)change->listen_port);
		if (!rc && (change->has & WEFT_DEVICE_HAS_PRIVATE_KEY))
			rc = weft_text_printf(out, " private-key %s", CHANGED);
		if (!rc && (change->has & WEFT_DEVICE_HAS_RELAY))
			rc = weft_text_printf(out, " relay %s", relay_word(change->relay));
		if (!rc && (change->has & WEFT_DEVICE_HAS_PATH_MTU))
			rc = weft_text_printf(out, " path-mtu %s", path_mtu_word(change->path_mtu));
		if (!rc)
			rc = weft_text_append(out, "\n", 1);
	}
	for (size_t i = 0; i < change->n_peers && !rc; i++)
		rc = peer_text(&change->peers[i], ifname, out);
	return rc;
}

int weft_host_plan_text(const struct weft_host_plan *plan, const char *ifname,
			struct weft_text *out)
{
	int rc = weft_host_device_text(&plan->device, ifname, out);

	for (size_t i = 0; i < plan->changes.n && !rc; i++) {
		rc = weft_host_change_text(&plan->changes.v[i], ifname, out);
		if (!rc)
			rc = weft_text_append(out, "\n", 1);
	}
	return rc;
}

/* ---- JSON */

/* Takes `value`. True on success. */
static bool put(json_t *object, const char *name, json_t *value)
{
	return json_object_set_new(object, name, value) == 0;
}

static bool put_prefixes(json_t *o, const char *name, const struct weft_conf_peer *p, bool remove)
{
	char text[WEFT_PREFIX_TEXT_LEN];
	json_t *list = json_array();
	bool ok = list != NULL;

	for (size_t i = 0; ok && i < p->n_allowed_ips; i++) {
		if (p->allowed_ips[i].remove != remove)
			continue;
		weft_prefix_format(&p->allowed_ips[i].prefix, text);
		ok = json_array_append_new(list, json_string(text)) == 0;
	}
	if (ok && (json_array_size(list) || (p->has & WEFT_PEER_REPLACE_ALLOWED_IPS)))
		return put(o, name, list);
	json_decref(list);
	return ok;
}

static bool put_peer(json_t *o, const struct weft_conf_peer *p)
{
	char key[WEFT_KEY_BASE64_LEN + 1], text[WEFT_CONF_ENDPOINT_LEN];
	bool whole = p->has & WEFT_PEER_REPLACE_ALLOWED_IPS;
	const char *what = p->has & WEFT_PEER_REMOVE        ? "remove"
			   : p->has & WEFT_PEER_UPDATE_ONLY ? "change"
							    : "add";

	weft_key_to_base64(key, p->public_key);
	return put(o, "kind", json_string("peer")) && put(o, "change", json_string(what)) &&
	       put(o, "public_key", json_string(key)) &&
	       (!(p->has & WEFT_PEER_HAS_PSK) ||
		put(o, "preshared_key", json_string(psk_word(p)))) &&
	       (!(p->has & WEFT_PEER_HAS_ENDPOINT) ||
		put(o, "endpoint", json_string(weft_conf_endpoint_text(p, text)))) &&
	       (!(p->has & WEFT_PEER_HAS_KEEPALIVE) ||
		put(o, "persistent_keepalive", json_integer(p->keepalive_s))) &&
	       put_prefixes(o, whole ? "allowed_ips" : "allowed_ips_added", p, false) &&
	       (whole || put_prefixes(o, "allowed_ips_removed", p, true));
}

static bool put_device(json_t *o, const struct weft_conf_device *d)
{
	return put(o, "kind", json_string("device")) && put(o, "change", json_string("change")) &&
	       (!(d->has & WEFT_DEVICE_HAS_LISTEN_PORT) ||
		put(o, "listen_port", json_integer(d->listen_port))) &&
	       (!(d->has & WEFT_DEVICE_HAS_PRIVATE_KEY) ||
		put(o, "private_key", json_string(CHANGED))) &&
	       (!(d->has & WEFT_DEVICE_HAS_RELAY) ||
		put(o, "relay", json_string(relay_word(d->relay)))) &&
	       (!(d->has & WEFT_DEVICE_HAS_PATH_MTU) ||
		put(o, "path_mtu", json_string(path_mtu_word(d->path_mtu))));
}

static const char *kind_word(enum weft_host_change_kind kind)
{
	switch (kind) {
	case WEFT_HOST_ADDRESS:
		return "address";
	case WEFT_HOST_LINK:
		return "link";
	case WEFT_HOST_DNS:
		return "dns";
	case WEFT_HOST_MARK:
		return "fwmark";
	case WEFT_HOST_ROUTE:
		return "route";
	case WEFT_HOST_MARK_RULE:
	case WEFT_HOST_SUPPRESS_RULE:
		return "rule";
	case WEFT_HOST_SRC_VALID_MARK:
		return "sysctl";
	case WEFT_HOST_FENCE:
		return "fence";
	case WEFT_HOST_FIREWALL:
		break;
	}
	return "firewall";
}

static bool put_change(json_t *o, const struct weft_host_change *c, const char *ifname)
{
	bool prefixed = c->kind == WEFT_HOST_ADDRESS || c->kind == WEFT_HOST_ROUTE;
	char text[WEFT_PREFIX_TEXT_LEN];
	struct weft_text line = {0};
	bool ok = put(o, "kind", json_string(kind_word(c->kind))) &&
		  put(o, "change",
		      json_string(c->kind == WEFT_HOST_LINK || c->kind == WEFT_HOST_SRC_VALID_MARK
					  ? "change"
				  : c->add ? "add"
					   : "remove")) &&
		  weft_host_change_text(c, ifname, &line) == 0 &&
		  put(o, "command", json_stringn(line.p, line.len)) &&
		  (!prefixed ||
		   put(o, "prefix", json_string(weft_prefix_format(&c->prefix, text)))) &&
		  (c->kind != WEFT_HOST_ROUTE || put(o, "table", json_integer(c->table))) &&
		  (c->kind != WEFT_HOST_LINK || put(o, "mtu", json_integer(c->mtu))) &&
		  (c->kind != WEFT_HOST_MARK || put(o, "fwmark", json_integer(c->mark))) &&
		  (!c->dns || put(o, "resolver", json_string(c->dns)));

	weft_text_clear(&line);
	return ok;
}

static bool append_new(json_t *list, json_t *o, bool ok)
{
	if (ok)
		return json_array_append_new(list, o) == 0;
	json_decref(o);
	return false;
}

/* Called by jansson with pieces of the text. */
static int append(const char *p, size_t len, void *out)
{
	return weft_text_append(out, p, len) ? -1 : 0;
}

int weft_host_plan_json(const struct weft_host_plan *plan, const char *ifname,
			struct weft_text *out)
{
	json_t *root = json_object(), *list = json_array(), *o;
	bool ok = root && list && put(root, "interface", json_string(ifname));
	int rc;

	if (ok && plan->device.has) {
		o = json_object();
		ok = append_new(list, o, o && put_device(o, &plan->device));
	}
	for (size_t i = 0; ok && i < plan->device.n_peers; i++) {
		o = json_object();
		ok = append_new(list, o, o && put_peer(o, &plan->device.peers[i]));
	}
	for (size_t i = 0; ok && i < plan->changes.n; i++) {
		o = json_object();
		ok = append_new(list, o, o && put_change(o, &plan->changes.v[i], ifname));
	}
	if (ok)
		ok = put(root, "changes", json_incref(list));
	rc = ok && json_dump_callback(root, append, out, JSON_COMPACT) == 0 ? 0 : -ENOMEM;
	json_decref(list);
	json_decref(root);
	return rc ? rc : weft_text_append(out, "\n", 1);
}
