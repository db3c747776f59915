/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft set`: one change from words. All of them are read before anything is applied. Allowed IPs
 * replace a peer's, unless an entry starts with + or -: then the list adds and takes away.
 */
#include <errno.h>
#include <string.h>

#include "cli/cli.h"
#include "util/encoding.h"

#define USAGE(own)                                                                               \
	"<interface> [listen-port <port>] [fwmark <mark>] [private-key <file path>] " own        \
	"[peer <base64 public key> [remove] [preshared-key <file path>] [endpoint <ip>:<port>] " \
	"[persistent-keepalive <interval seconds>] [allowed-ips "                                \
	"<ip1>/<cidr1>[,<ip2>/<cidr2>]...] ]..."

static const char wg_usage[] = USAGE("");
static const char weft_usage[] = USAGE("[relay fast|off] [path-mtu probe|off] ");

static const char *const device_words[] = {"listen-port", "fwmark", "private-key", "relay",
					   "path-mtu",    "peer",   NULL};
static const char *const peer_words[] = {
	"peer", "remove", "preshared-key", "endpoint", "persistent-keepalive", "allowed-ips", NULL};

struct words {
	const struct weft_cli *cli;
	struct weft_conf_device dev;
	struct weft_conf_names names;
	bool in_peer;
};

static struct weft_conf_peer *last_peer(struct words *w)
{
	return &w->dev.peers[w->dev.n_peers - 1];
}

/* The value of `word` will not do. False, for the caller to return. */
static bool bad_value(const struct words *w, enum weft_fault_kind kind, const char *word,
		      const char *found, size_t len)
{
	struct weft_fault fault = {0};
	struct weft_diag diag = {0};

	weft_fault_set(&fault, kind, found, len);
	weft_diag_set(&diag, 0, 0, "%s: expected %s, found \"%s\"", word, weft_fault_expected(kind),
		      fault.found);
	weft_cli_fault(w->cli, &diag, &fault);
	return false;
}

static bool bad_word(const struct words *w, const char *word)
{
	const char *const *known = w->in_peer ? peer_words : device_words;
	char text[1024];
	struct weft_diag diag = {0};
	const char *near;

	if (w->cli->as_wg) {
		fprintf(stderr, "Invalid argument: %s\n", word);
		return false;
	}
	for (size_t i = 0; known[i]; i++) {
		if (strcmp(word, known[i]) == 0) {
			weft_cli_error(w->cli, "set: %s needs a value", word);
			return false;
		}
	}
	weft_diag_set(&diag, 0, 0, "set: \"%.100s\" is not a word that fits here", word);
	near = weft_diag_nearest(word, strlen(word), known);
	for (size_t i = 0; !w->in_peer && peer_words[i]; i++)
		if (strcmp(word, peer_words[i]) == 0)
			weft_diag_hint(&diag, "%s comes after peer and its key", word);
	for (size_t i = 0; w->in_peer && device_words[i]; i++)
		if (strcmp(word, device_words[i]) == 0)
			weft_diag_hint(&diag, "%s comes before the first peer", word);
	if (near)
		weft_diag_hint(&diag, "did you mean %s?", near);
	weft_cli_error(w->cli, "%s", weft_diag_format(&diag, text, sizeof(text)));
	return false;
}

static bool no_memory(const struct words *w, int rc)
{
	weft_cli_failed(w->cli, "set", rc);
	return false;
}

static bool one_allowed_ip(struct words *w, const char *text, size_t len)
{
	struct weft_conf_peer *peer = last_peer(w);
	bool remove = len && text[0] == '-', is_signed = remove || (len && text[0] == '+');
	enum weft_fault_kind kind;
	struct weft_prefix p;
	int rc;

	if (is_signed) {
		text++;
		len--;
		peer->has &= ~(unsigned)WEFT_PEER_REPLACE_ALLOWED_IPS;
	}
	kind = weft_value_prefix(text, len, &p);
	if (kind != WEFT_FAULT_NONE)
		return bad_value(w, kind, "allowed-ips", text, len);
	if (weft_prefix_mask(&p))
		weft_cli_warn_host_bits(NULL, 0, text, len);
	rc = weft_conf_add_allowed_ip(peer, &p, remove);
	return rc ? no_memory(w, rc) : true;
}

/* "a, b,c": white space counts nowhere; nothing at all is an empty list. */
static bool allowed_ips(struct words *w, const char *value)
{
	char entry[64];
	size_t n = 0;
	bool any = false;

	last_peer(w)->has |= WEFT_PEER_REPLACE_ALLOWED_IPS;
	for (const char *p = value;; p++) {
		if (*p == ' ' || (*p >= '\t' && *p <= '\r'))
			continue;
		if (*p && *p != ',') {
			any = true;
			if (n == sizeof(entry))
				return bad_value(w, WEFT_FAULT_ADDRESS, "allowed-ips", entry, n);
			entry[n++] = *p;
			continue;
		}
		if (!*p && !any)
			return true;
		any = true;
		if (!one_allowed_ip(w, entry, n))
			return false;
		n = 0;
		if (!*p)
			return true;
	}
}

static bool endpoint(struct words *w, const char *value)
{
	struct weft_conf_peer *peer = last_peer(w);
	struct weft_conf_name name = {0};
	enum weft_fault_kind kind;
	bool is_name = false;
	int rc;

	kind = weft_value_endpoint(value, strlen(value), peer, &name, &is_name);
	if (kind != WEFT_FAULT_NONE)
		return bad_value(w, kind, "endpoint", value, strlen(value));
	peer->has |= WEFT_PEER_HAS_ENDPOINT;
	name.peer = w->dev.n_peers - 1;
	while (w->names.n && w->names.v[w->names.n - 1].peer == name.peer)
		w->names.n--;
	if (!is_name)
		return true;
	rc = weft_conf_add_name(&w->names, &name);
	return rc ? no_memory(w, rc) : true;
}

static bool new_peer(struct words *w, const char *value)
{
	struct weft_conf_peer *peer;
	int rc = weft_conf_add_peer(&w->dev, &peer);

	if (rc)
		return no_memory(w, rc);
	w->in_peer = true;
	if (weft_key_from_base64(peer->public_key, value, strlen(value)))
		return bad_value(w, WEFT_FAULT_KEY, "peer", value, strlen(value));
	return true;
}

/* A word of the device and its value. */
static bool device_word(struct words *w, const char *word, const char *value)
{
	enum weft_fault_kind kind;

	if (strcmp(word, "listen-port") == 0) {
		kind = weft_value_port(value, strlen(value), &w->dev.listen_port);
		w->dev.has |= WEFT_DEVICE_HAS_LISTEN_PORT;
	} else if (strcmp(word, "fwmark") == 0) {
		kind = weft_value_fwmark(value, strlen(value), &w->dev.fwmark);
		w->dev.has |= WEFT_DEVICE_HAS_FWMARK;
	} else if (strcmp(word, "relay") == 0 && !w->cli->as_wg) {
		kind = weft_value_relay(value, strlen(value), &w->dev.relay);
		w->dev.has |= WEFT_DEVICE_HAS_RELAY;
	} else if (strcmp(word, "path-mtu") == 0 && !w->cli->as_wg) {
		kind = weft_value_path_mtu(value, strlen(value), &w->dev.path_mtu);
		w->dev.has |= WEFT_DEVICE_HAS_PATH_MTU;
	} else if (strcmp(word, "private-key") == 0) {
		w->dev.has |= WEFT_DEVICE_HAS_PRIVATE_KEY;
		return weft_cli_read_key(w->cli, value, &w->dev.private_key);
	} else {
		return bad_word(w, word);
	}
	return kind == WEFT_FAULT_NONE || bad_value(w, kind, word, value, strlen(value));
}

/* A word of a peer and its value. */
static bool peer_word(struct words *w, const char *word, const char *value)
{
	struct weft_conf_peer *peer = last_peer(w);
	enum weft_fault_kind kind;

	if (strcmp(word, "endpoint") == 0)
		return endpoint(w, value);
	if (strcmp(word, "allowed-ips") == 0)
		return allowed_ips(w, value);
	if (strcmp(word, "preshared-key") == 0) {
		peer->has |= WEFT_PEER_HAS_PSK;
		return weft_cli_read_key(w->cli, value, &peer->psk);
	}
	if (strcmp(word, "persistent-keepalive") != 0)
		return bad_word(w, word);
	kind = weft_value_keepalive(value, strlen(value), &peer->keepalive_s);
	peer->has |= WEFT_PEER_HAS_KEEPALIVE;
	return kind == WEFT_FAULT_NONE || bad_value(w, kind, word, value, strlen(value));
}

static bool read_words(struct words *w, int n, char **word)
{
	for (int i = 0; i < n; i++) {
		bool ok;

		if (w->in_peer && strcmp(word[i], "remove") == 0) {
			last_peer(w)->has |= WEFT_PEER_REMOVE;
			continue;
		}
		if (i + 1 == n)
			return bad_word(w, word[i]);
		if (strcmp(word[i], "peer") == 0)
			ok = new_peer(w, word[i + 1]);
		else if (w->in_peer)
			ok = peer_word(w, word[i], word[i + 1]);
		else
			ok = device_word(w, word[i], word[i + 1]);
		if (!ok)
			return false;
		i++;
	}
	return true;
}

int weft_cli_set(const struct weft_cli *cli, int argc, char **argv)
{
	struct words w = {.cli = cli};
	int rc = 1;

	if (weft_cli_usage(cli, argc, argv, 2, argc, cli->as_wg ? wg_usage : weft_usage, &rc))
		return rc;
	if (read_words(&w, argc - 2, argv + 2) && weft_cli_resolve(cli, "set", &w.names, &w.dev))
		rc = weft_cli_apply(cli, argv[1], &w.dev);
	weft_conf_device_clear(&w.dev);
	weft_conf_names_clear(&w.names);
	return rc;
}
