/* SPDX-License-Identifier: Apache-2.0 */
/* The writer of WireGuard's configuration file: showconf's output, byte for byte as wg has it, but
 * for what wg does not know. */
#include "conf/ini_read.h"

#include <string.h>

#include "util/encoding.h"

static int put_key(struct weft_text *out, const char *name, const uint8_t key[WEFT_KEY_LEN])
{
	char text[WEFT_KEY_BASE64_LEN + 1];
	int rc;

	weft_key_to_base64(text, key);
	rc = weft_text_append(out, name, strlen(name));
	if (!rc)
		rc = weft_text_append(out, " = ", 3);
	if (!rc)
		rc = weft_text_append(out, text, WEFT_KEY_BASE64_LEN);
	weft_wipe(text, sizeof(text));
	return rc ? rc : weft_text_append(out, "\n", 1);
}

int weft_ini_write_peer(struct weft_text *out, const struct weft_conf_peer *peer, const char *name,
			const char *endpoints)
{
	char text[WEFT_CONF_ENDPOINT_LEN];
	int rc = weft_text_printf(out, "[Peer]\n");

	if (!rc && name)
		rc = weft_text_printf(out, "# Name = %s\n", name);
	if (!rc)
		rc = put_key(out, "PublicKey", peer->public_key);
	if (!rc && !weft_ct_is_zero(peer->psk.b, WEFT_KEY_LEN))
		rc = put_key(out, "PresharedKey", peer->psk.b);
	for (size_t i = 0; !rc && i < peer->n_allowed_ips; i++)
		rc = weft_text_printf(out, "%s%s", i ? ", " : "AllowedIPs = ",
				      weft_prefix_format(&peer->allowed_ips[i].prefix, text));
	if (!rc && peer->n_allowed_ips)
		rc = weft_text_printf(out, "\n");
	if (!rc && endpoints)
		rc = weft_text_append(out, endpoints, strlen(endpoints));
	else if (!rc && peer->endpoint.ip.family != WEFT_NONE)
		rc = weft_text_printf(out, "Endpoint = %s\n", weft_conf_endpoint_text(peer, text));
	if (!rc && peer->keepalive_s)
		rc = weft_text_printf(out, "PersistentKeepalive = %u\n",
				      (unsigned)peer->keepalive_s);
	return rc;
}

int weft_ini_write_device(struct weft_text *out, const struct weft_conf_device *dev)
{
	int rc = 0;

	if (dev->listen_port)
		rc = weft_text_printf(out, "ListenPort = %u\n", (unsigned)dev->listen_port);
	if (!rc && dev->fwmark)
		rc = weft_text_printf(out, "FwMark = 0x%x\n", (unsigned)dev->fwmark);
	if (!rc && dev->relay == WEFT_CONF_RELAY_FAST)
		rc = weft_text_printf(out, "Relay = fast\n");
	if (!rc && !weft_ct_is_zero(dev->private_key.b, WEFT_KEY_LEN))
		rc = put_key(out, "PrivateKey", dev->private_key.b);
	return rc;
}

int weft_ini_write(struct weft_text *out, const struct weft_conf_device *dev)
{
	int rc = weft_text_printf(out, "[Interface]\n");

	if (!rc)
		rc = weft_ini_write_device(out, dev);
	if (!rc)
		rc = weft_text_printf(out, "\n");
	for (size_t i = 0; !rc && i < dev->n_peers; i++) {
		rc = weft_ini_write_peer(out, &dev->peers[i], NULL, NULL);
		if (!rc && i + 1 < dev->n_peers)
			rc = weft_text_printf(out, "\n");
	}
	return rc;
}
