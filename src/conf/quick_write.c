/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file for wg-quick(8) written anew from what its interface is by now, as `wg-quick save` does
 * it. Beyond that, what would be lost is kept: names of peers and of their endpoints, weft's own
 * keys.
 */
#include <inttypes.h>
#include <string.h>

#include "conf/ini_read.h"
#include "conf/quick.h"

static int put_texts(struct weft_text *out, const char *key, const struct weft_quick_texts *texts)
{
	int rc = 0;

	for (size_t i = 0; i < texts->n && !rc; i++)
		rc = weft_text_printf(out, "%s = %s\n", key, texts->v[i]);
	return rc;
}

static int put_prefixes(struct weft_text *out, const char *key, const struct weft_prefix *v,
			size_t n)
{
	char text[WEFT_PREFIX_TEXT_LEN];
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++)
		rc = weft_text_printf(out, "%s = %s\n", key, weft_prefix_format(&v[i], text));
	return rc;
}

static int put_table(struct weft_text *out, const struct weft_quick *q)
{
	switch (q->table) {
	case WEFT_QUICK_TABLE_AUTO:
		return 0;
	case WEFT_QUICK_TABLE_OFF:
		return weft_text_printf(out, "Table = off\n");
	case WEFT_QUICK_TABLE_NUMBER:
		return weft_text_printf(out, "Table = %" PRIu32 "\n", q->table_number);
	case WEFT_QUICK_TABLE_NAME:
		break;
	}
	return weft_text_printf(out, "Table = %s\n", q->table_name);
}

static const char *backend_word(enum weft_backend b)
{
	return b == WEFT_BACKEND_KERNEL      ? "kernel"
	       : b == WEFT_BACKEND_USERSPACE ? "userspace"
					     : "auto";
}

static int put_own_keys(struct weft_text *out, const struct weft_quick *q)
{
	int rc = 0;

	if (q->has_backend)
		rc = weft_text_printf(out, "Backend = %s\n", backend_word(q->backend));
	if (!rc && q->workers)
		rc = weft_text_printf(out, "Workers = %" PRIu32 "\n", q->workers);
	if (!rc && q->cpus[0])
		rc = weft_text_printf(out, "Cpus = %s\n", q->cpus);
	if (!rc && q->kill_switch)
		rc = weft_text_printf(out, "KillSwitch = on\n");
	return rc ? rc : put_prefixes(out, "Exclude", q->excludes, q->n_excludes);
}

static int put_interface(struct weft_text *out, const struct weft_quick *q,
			 const struct weft_quick_now *now)
{
	int rc = put_prefixes(out, "Address", now->addresses, now->n_addresses);

	if (!rc)
		rc = put_texts(out, "DNS", now->dns_servers);
	if (!rc)
		rc = put_texts(out, "DNS", now->dns_search);
	if (!rc && q->mtu_auto)
		rc = weft_text_printf(out, "MTU = auto\n");
	else if (!rc && q->mtu)
		rc = weft_text_printf(out, "MTU = %" PRIu32 "\n", now->mtu);
	if (!rc)
		rc = put_table(out, q);
	if (!rc && q->save_config)
		rc = weft_text_printf(out, "SaveConfig = true\n");
	if (!rc)
		rc = put_own_keys(out, q);
	if (!rc)
		rc = put_texts(out, "PreUp", &q->pre_up);
	if (!rc)
		rc = put_texts(out, "PostUp", &q->post_up);
	if (!rc)
		rc = put_texts(out, "PreDown", &q->pre_down);
	return rc ? rc : put_texts(out, "PostDown", &q->post_down);
}

static bool is_of(const struct weft_quick *q, size_t i, const uint8_t key[WEFT_KEY_LEN])
{
	return memcmp(q->wg.dev.peers[i].public_key, key, WEFT_KEY_LEN) == 0;
}

/* What the file says of that peer, most likely at `guess`. NULL: nothing. */
static const struct weft_quick_peer *said_of(const struct weft_quick *q, size_t guess,
					     const uint8_t key[WEFT_KEY_LEN])
{
	if (guess < q->n_peers && is_of(q, guess, key))
		return &q->peers[guess];
	for (size_t i = 0; i < q->n_peers; i++)
		if (is_of(q, i, key))
			return &q->peers[i];
	return NULL;
}

/* One address is where the peer was, and has been found since; more, or a name, says more. */
static bool is_worth_keeping(const struct weft_quick_peer *said)
{
	const char *text = said->n_endpoints ? said->endpoints[0].text : "";
	struct weft_endpoint e;

	return said->n_endpoints > 1 ||
	       (said->n_endpoints == 1 && weft_endpoint_parse(text, strlen(text), &e) != 0);
}

static int put_peer(struct weft_text *out, const struct weft_quick *q, size_t guess,
		    const struct weft_conf_peer *peer)
{
	const struct weft_quick_peer *said = said_of(q, guess, peer->public_key);
	struct weft_text endpoints = {0};
	int rc = 0;

	if (said && is_worth_keeping(said)) {
		for (size_t i = 0; i < said->n_endpoints && !rc; i++)
			rc = weft_text_printf(&endpoints, "Endpoint = %s\n",
					      said->endpoints[i].text);
		if (!rc)
			rc = weft_text_append(&endpoints, "", 1);
	}
	if (!rc)
		rc = weft_ini_write_peer(out, peer, said ? said->name : NULL, endpoints.p);
	weft_text_clear(&endpoints);
	return rc;
}

int weft_quick_write(struct weft_text *out, const struct weft_quick *q,
		     const struct weft_quick_now *now)
{
	int rc = weft_text_printf(out, "[Interface]\n");

	if (!rc)
		rc = put_interface(out, q, now);
	if (!rc)
		rc = weft_ini_write_device(out, now->dev);
	for (size_t i = 0; i < now->dev->n_peers && !rc; i++) {
		rc = weft_text_append(out, "\n", 1);
		if (!rc)
			rc = put_peer(out, q, i, &now->dev->peers[i]);
	}
	return rc;
}
