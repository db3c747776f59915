/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft syncconf`: as setconf, but peers that stay are changed in place, so that their sessions
 * live on. A preshared key or keepalive that has left the file is cleared, as wg does since 2025
 * and 2026.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "host/plan.h"

/* What has left the file leaves the peers that stay. */
static void clear_what_left(struct weft_conf_peer *p, const struct weft_conf_peer *old)
{
	if (!(p->has & WEFT_PEER_HAS_PSK) && !weft_ct_is_zero(old->psk.b, WEFT_KEY_LEN))
		p->has |= WEFT_PEER_HAS_PSK;
	if (!(p->has & WEFT_PEER_HAS_KEEPALIVE) && old->keepalive_s)
		p->has |= WEFT_PEER_HAS_KEEPALIVE;
}

/* Turns a file's contents into the change that brings `now` there. 0, -ENOMEM or WEFT_E_LIMIT. */
static int make_change(struct weft_conf_device *change, const struct weft_conf_device *now)
{
	size_t n = change->n_peers, n_now = now->n_peers;
	const struct weft_conf_peer **there = weft_host_sort_peers(now);
	const struct weft_conf_peer **wanted = weft_host_sort_peers(change);
	bool *leaves = calloc(n_now ? n_now : 1, sizeof(*leaves));
	int rc = there && wanted && leaves ? 0 : -ENOMEM;

	for (size_t i = 0; !rc && i < n; i++) {
		const struct weft_conf_peer *const *old =
			weft_host_find_peer(there, n_now, change->peers[i].public_key);

		if (old)
			clear_what_left(&change->peers[i], *old);
	}
	for (size_t i = 0; !rc && i < n_now; i++)
		leaves[i] = !weft_host_find_peer(wanted, n, now->peers[i].public_key);
	/* From here on change->peers may move. */
	for (size_t i = 0; !rc && i < n_now; i++) {
		struct weft_conf_peer *p;

		if (!leaves[i])
			continue;
		rc = weft_conf_add_peer(change, &p);
		if (rc)
			break;
		memcpy(p->public_key, now->peers[i].public_key, WEFT_KEY_LEN);
		p->has = WEFT_PEER_REMOVE;
	}
	free(there);
	free(wanted);
	free(leaves);
	return rc;
}

int weft_cli_syncconf(const struct weft_cli *cli, int argc, char **argv)
{
	struct weft_conf_device now = {0};
	struct weft_ini_result file = {0};
	int rc = 1;

	if (weft_cli_usage(cli, argc, argv, 2, 2, "<interface> <configuration filename>", &rc))
		return rc;
	if (weft_cli_read_config(cli, argv[2], &file)) {
		file.dev.has |= WEFT_DEVICE_HAS_PRIVATE_KEY | WEFT_DEVICE_HAS_FWMARK |
				WEFT_DEVICE_HAS_LISTEN_PORT;
		rc = weft_control_get(cli->backend, argv[1], &now);
		/* said only to a device that has said it: others would refuse the word */
		if (!rc && now.relay == WEFT_CONF_RELAY_FAST)
			file.dev.has |= WEFT_DEVICE_HAS_RELAY;
		if (!rc)
			rc = make_change(&file.dev, &now);
		if (rc)
			rc = weft_cli_failed(
				cli, "Unable to retrieve current interface configuration", rc);
		else
			rc = weft_cli_apply(cli, argv[1], &file.dev);
	}
	weft_conf_device_clear(&now);
	weft_ini_result_clear(&file);
	return rc;
}
