/* SPDX-License-Identifier: Apache-2.0 */
/* systemd-networkd's files, once they are read, as one file for `weft up`. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/networkd.h"
#include "util/encoding.h"

struct writer {
	struct weft_text *out;
	const struct weft_networkd *netdev;
	const struct weft_networkd *const *networks;
	size_t n;
};

static int put_key(struct weft_text *out, const char *name, const uint8_t key[WEFT_KEY_LEN])
{
	char text[WEFT_KEY_BASE64_LEN + 1];
	int rc;

	weft_key_to_base64(text, key);
	rc = weft_text_printf(out, "%s = %s\n", name, text);
	weft_wipe(text, sizeof(text));
	return rc;
}

static int put_addresses(struct weft_text *out, const struct weft_networkd *network)
{
	char text[WEFT_PREFIX_TEXT_LEN];
	int rc = 0;

	for (size_t i = 0; !rc && i < network->n_addresses; i++)
		rc = weft_text_printf(out, "Address = %s\n",
				      weft_prefix_format(&network->addresses[i], text));
	return rc;
}

static int by_prefix(const void *a, const void *b)
{
	const struct weft_prefix *x = a, *y = b;

	if (x->ip.family != y->ip.family)
		return x->ip.family < y->ip.family ? -1 : 1;
	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return memcmp(x->ip.b, y->ip.b, sizeof(x->ip.b));
}

/* Sorts, and takes away what is there twice. Returns how many are left. */
static size_t sort(struct weft_prefix *v, size_t n)
{
	size_t left = 0;

	if (n)
		qsort(v, n, sizeof(*v), by_prefix);
	for (size_t i = 0; i < n; i++)
		if (!left || by_prefix(&v[left - 1], &v[i]) != 0)
			v[left++] = v[i];
	return left;
}

/*
 * The table, if the routes are what `Table` would make of the allowed IPs: the same prefixes, all
 * into one table, with nothing special. NULL: they are not.
 */
static int same_as_allowed_ips(const struct writer *w, const char **ret_table)
{
	struct weft_prefix *routes, *allowed;
	const char *table = NULL;
	size_t n_routes = 0, n_allowed = 0, n = 0, peers = w->netdev->dev.n_peers;
	bool plain = true;

	*ret_table = NULL;
	for (size_t i = 0; i < w->n; i++)
		n_routes += w->networks[i]->n_routes;
	for (size_t i = 0; i < peers; i++)
		n_allowed += w->netdev->dev.peers[i].n_allowed_ips;
	routes = calloc(n_routes + n_allowed + 1, sizeof(*routes));
	if (!routes)
		return -ENOMEM;
	allowed = routes + n_routes;
	for (size_t i = 0; i < w->n; i++) {
		for (size_t k = 0; k < w->networks[i]->n_routes; k++) {
			const struct weft_networkd_route *r = &w->networks[i]->routes[k];

			plain = plain && r->via.family == WEFT_NONE && !r->has_metric &&
				(!table || strcmp(table, r->table) == 0);
			table = r->table;
			routes[n++] = r->to;
		}
	}
	n = 0;
	for (size_t i = 0; i < peers; i++)
		for (size_t k = 0; k < w->netdev->dev.peers[i].n_allowed_ips; k++)
			allowed[n++] = w->netdev->dev.peers[i].allowed_ips[k].prefix;
	n_routes = sort(routes, n_routes);
	n_allowed = sort(allowed, n_allowed);
	plain = plain && n_routes == n_allowed;
	for (size_t i = 0; plain && i < n_routes; i++)
		plain = by_prefix(&routes[i], &allowed[i]) == 0;
	if (plain && table)
		*ret_table = table[0] ? table : "main";
	free(routes);
	return 0;
}

static int put_route(struct weft_text *out, const struct weft_networkd_route *r)
{
	char to[WEFT_PREFIX_TEXT_LEN], via[WEFT_IP_TEXT_LEN];
	int rc = weft_text_printf(out, "PostUp = ip route add %s", weft_prefix_format(&r->to, to));

	if (!rc && r->via.family != WEFT_NONE)
		rc = weft_text_printf(out, " via %s", weft_ip_format(&r->via, via));
	if (!rc)
		rc = weft_text_printf(out, " dev %%i");
	if (!rc && r->via.family != WEFT_NONE)
		rc = weft_text_printf(out, " onlink");
	if (!rc && r->table[0])
		rc = weft_text_printf(out, " table %s", r->table);
	if (!rc && r->has_metric)
		rc = weft_text_printf(out, " metric %u", (unsigned)r->metric);
	return rc ? rc : weft_text_printf(out, "\n");
}

static bool has_default_route(const struct weft_conf_device *dev)
{
	for (size_t i = 0; i < dev->n_peers; i++)
		for (size_t k = 0; k < dev->peers[i].n_allowed_ips; k++)
			if (dev->peers[i].allowed_ips[k].prefix.len == 0)
				return true;
	return false;
}

/*
 * networkd makes no routes of allowed IPs unless it is told a table. Into the main one "auto" puts
 * them too, but for default routes, and passes over those that addresses have made already.
 */
static int put_routes(const struct writer *w)
{
	const char *table = w->netdev->table[0] ? w->netdev->table : NULL;
	const char *same = NULL;
	int rc = table ? 0 : same_as_allowed_ips(w, &same);

	table = table ? table : same ? same : "off";
	if (strcmp(table, "main") == 0 && !has_default_route(&w->netdev->dev))
		table = "auto";
	if (!rc)
		rc = weft_text_printf(w->out, "Table = %s\n", table);
	for (size_t i = 0; !same && i < w->n; i++)
		for (size_t k = 0; !rc && k < w->networks[i]->n_routes; k++)
			rc = put_route(w->out, &w->networks[i]->routes[k]);
	return rc;
}

static int put_credential(struct weft_text *out, const char *what, const char *name)
{
	return weft_text_printf(out, "PostUp = weft set %%i %s ${CREDENTIALS_DIRECTORY}/%s\n", what,
				name);
}

static int put_credentials(const struct writer *w)
{
	const struct weft_networkd *d = w->netdev;
	char what[WEFT_KEY_BASE64_LEN + 32], key[WEFT_KEY_BASE64_LEN + 1];
	int rc = 0;

	if (d->private_key.credential)
		rc = put_credential(w->out, "private-key", d->private_key.credential);
	for (size_t i = 0; !rc && i < d->n_peers; i++) {
		if (!d->peers[i].psk.credential)
			continue;
		weft_key_to_base64(key, d->dev.peers[i].public_key);
		snprintf(what, sizeof(what), "peer %s preshared-key", key);
		rc = put_credential(w->out, what, d->peers[i].psk.credential);
	}
	return rc;
}

static int put_interface(const struct writer *w)
{
	const struct weft_conf_device *dev = &w->netdev->dev;
	uint32_t mtu = w->netdev->mtu;
	int rc = weft_text_printf(w->out, "[Interface]\n");

	if (!rc && !weft_ct_is_zero(dev->private_key.b, WEFT_KEY_LEN))
		rc = put_key(w->out, "PrivateKey", dev->private_key.b);
	if (!rc && dev->listen_port)
		rc = weft_text_printf(w->out, "ListenPort = %u\n", (unsigned)dev->listen_port);
	if (!rc && dev->fwmark)
		rc = weft_text_printf(w->out, "FwMark = 0x%x\n", (unsigned)dev->fwmark);
	for (size_t i = 0; !rc && i < w->n; i++) {
		const struct weft_networkd *net = w->networks[i];

		rc = put_addresses(w->out, net);
		for (size_t k = 0; !rc && k < net->dns.n; k++)
			rc = weft_text_printf(w->out, "DNS = %s\n", net->dns.v[k]);
		if (net->mtu)
			mtu = net->mtu;
	}
	if (!rc && mtu)
		rc = weft_text_printf(w->out, "MTU = %u\n", (unsigned)mtu);
	if (!rc)
		rc = put_routes(w);
	return rc ? rc : put_credentials(w);
}

static int put_peer(struct weft_text *out, const struct weft_conf_peer *peer, const char *endpoint)
{
	char text[WEFT_PREFIX_TEXT_LEN];
	int rc = weft_text_printf(out, "\n[Peer]\n");

	if (!rc)
		rc = put_key(out, "PublicKey", peer->public_key);
	if (!rc && !weft_ct_is_zero(peer->psk.b, WEFT_KEY_LEN))
		rc = put_key(out, "PresharedKey", peer->psk.b);
	for (size_t i = 0; !rc && i < peer->n_allowed_ips; i++)
		rc = weft_text_printf(out, "%s%s", i ? ", " : "AllowedIPs = ",
				      weft_prefix_format(&peer->allowed_ips[i].prefix, text));
	if (!rc && peer->n_allowed_ips)
		rc = weft_text_printf(out, "\n");
	if (!rc && endpoint)
		rc = weft_text_printf(out, "Endpoint = %s\n", endpoint);
	if (!rc && peer->keepalive_s)
		rc = weft_text_printf(out, "PersistentKeepalive = %u\n",
				      (unsigned)peer->keepalive_s);
	return rc;
}

int weft_networkd_write(struct weft_text *out, const struct weft_networkd *netdev,
			const struct weft_networkd *const *networks, size_t n)
{
	const struct writer w = {.out = out, .netdev = netdev, .networks = networks, .n = n};
	int rc = put_interface(&w);

	for (size_t i = 0; !rc && i < netdev->n_peers; i++)
		rc = put_peer(out, &netdev->dev.peers[i], netdev->peers[i].endpoint);
	return rc;
}
