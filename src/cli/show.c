/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft show`: devices for people, their fields for scripts, and all of it as JSON. The form of
 * the first two is wg's, byte for byte.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/pretty.h"
#include "conf/json.h"
#include "util/encoding.h"

static const char wg_usage[] =
	"{ <interface> | all | interfaces } [public-key | private-key | listen-port | fwmark | "
	"peers | preshared-keys | endpoints | allowed-ips | latest-handshakes | transfer | "
	"persistent-keepalive | dump]";
static const char weft_usage[] =
	"{ <interface> | all | interfaces } [public-key | private-key | listen-port | fwmark | "
	"peers | preshared-keys | endpoints | allowed-ips | latest-handshakes | transfer | "
	"persistent-keepalive | dump | --json]";

/* "(none)" for a key of zeros. The text on the stack is wiped. */
static void put_key(const uint8_t key[WEFT_KEY_LEN])
{
	char text[WEFT_KEY_BASE64_LEN + 1];

	if (weft_ct_is_zero(key, WEFT_KEY_LEN)) {
		fputs("(none)", stdout);
		return;
	}
	weft_key_to_base64(text, key);
	fputs(text, stdout);
	weft_wipe(text, sizeof(text));
}

static void put_fwmark(uint32_t fwmark)
{
	if (fwmark)
		printf("0x%" PRIx32, fwmark);
	else
		fputs("off", stdout);
}

static void put_allowed_ips(const struct weft_conf_peer *peer, char separator)
{
	char text[WEFT_PREFIX_TEXT_LEN];

	if (!peer->n_allowed_ips)
		fputs("(none)", stdout);
	for (size_t i = 0; i < peer->n_allowed_ips; i++) {
		if (i)
			putchar(separator);
		fputs(weft_prefix_format(&peer->allowed_ips[i].prefix, text), stdout);
	}
}

static void put_endpoint(const struct weft_conf_peer *peer)
{
	char text[WEFT_CONF_ENDPOINT_LEN];

	fputs(weft_conf_endpoint_text(peer, text), stdout);
}

static void put_keepalive(const struct weft_conf_peer *peer)
{
	if (peer->keepalive_s)
		printf("%u", (unsigned)peer->keepalive_s);
	else
		fputs("off", stdout);
}

/* A field is of the device (one line) or of each peer (after its public key, or the key alone). */
struct field {
	const char *name;
	void (*device)(const struct weft_conf_device *dev);
	void (*peer)(const struct weft_conf_peer *peer);
};

static void field_public_key(const struct weft_conf_device *dev)
{
	put_key(dev->public_key);
}

static void field_private_key(const struct weft_conf_device *dev)
{
	put_key(dev->private_key.b);
}

static void field_listen_port(const struct weft_conf_device *dev)
{
	printf("%u", (unsigned)dev->listen_port);
}

static void field_fwmark(const struct weft_conf_device *dev)
{
	put_fwmark(dev->fwmark);
}

static void field_preshared_key(const struct weft_conf_peer *peer)
{
	putchar('\t');
	put_key(peer->psk.b);
}

static void field_endpoint(const struct weft_conf_peer *peer)
{
	putchar('\t');
	put_endpoint(peer);
}

static void field_allowed_ips(const struct weft_conf_peer *peer)
{
	putchar('\t');
	put_allowed_ips(peer, ' ');
}

static void field_latest_handshake(const struct weft_conf_peer *peer)
{
	printf("\t%" PRIu64, peer->last_handshake_sec);
}

static void field_transfer(const struct weft_conf_peer *peer)
{
	printf("\t%" PRIu64 "\t%" PRIu64, peer->rx_bytes, peer->tx_bytes);
}

static void field_keepalive(const struct weft_conf_peer *peer)
{
	putchar('\t');
	put_keepalive(peer);
}

static void field_nothing(const struct weft_conf_peer *peer)
{
	(void)peer;
}

static void dump_device(const struct weft_conf_device *dev)
{
	put_key(dev->private_key.b);
	putchar('\t');
	put_key(dev->public_key);
	printf("\t%u\t", (unsigned)dev->listen_port);
	put_fwmark(dev->fwmark);
}

static void dump_peer(const struct weft_conf_peer *peer)
{
	putchar('\t');
	put_key(peer->psk.b);
	putchar('\t');
	put_endpoint(peer);
	putchar('\t');
	put_allowed_ips(peer, ',');
	printf("\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t", peer->last_handshake_sec,
	       peer->rx_bytes, peer->tx_bytes);
	put_keepalive(peer);
}

static const struct field fields[] = {
	{"public-key", field_public_key, NULL},
	{"private-key", field_private_key, NULL},
	{"listen-port", field_listen_port, NULL},
	{"fwmark", field_fwmark, NULL},
	{"peers", NULL, field_nothing},
	{"preshared-keys", NULL, field_preshared_key},
	{"endpoints", NULL, field_endpoint},
	{"allowed-ips", NULL, field_allowed_ips},
	{"latest-handshakes", NULL, field_latest_handshake},
	{"persistent-keepalive", NULL, field_keepalive},
	{"transfer", NULL, field_transfer},
	{"dump", dump_device, dump_peer},
};

#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

static const struct field *find_field(const char *name)
{
	for (size_t i = 0; i < N_FIELDS; i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

/*
 * `with_name`: each line starts with the interface's name. wg says it once for all endpoints,
 * newline or not; scripts have grown around that, so under its name we do the same.
 */
static void print_field(const struct weft_cli *cli, const struct weft_conf_device *dev,
			const struct field *f, bool with_name)
{
	bool once = cli->as_wg && f->peer == field_endpoint;

	if (f->device) {
		if (with_name)
			printf("%s\t", dev->name);
		f->device(dev);
		putchar('\n');
	}
	if (with_name && once)
		printf("%s\t", dev->name);
	for (size_t i = 0; f->peer && i < dev->n_peers; i++) {
		if (with_name && !once)
			printf("%s\t", dev->name);
		put_key(dev->peers[i].public_key);
		f->peer(&dev->peers[i]);
		putchar('\n');
	}
}

static int print_json(const struct weft_cli *cli, const struct weft_conf_device *devs, size_t n)
{
	const char *hide = getenv("WG_HIDE_KEYS");
	struct weft_text text = {0};
	int rc = weft_json_devices(&text, devs, n, hide && strcmp(hide, "never") == 0);

	if (!rc)
		fwrite(text.p, 1, text.len, stdout);
	weft_text_clear(&text);
	return rc ? weft_cli_failed(cli, "Unable to write JSON", rc) : 0;
}

static void free_names(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

static int show_interfaces(char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		printf("%s%c", names[i], i + 1 < n ? ' ' : '\n');
	return 0;
}

/* A device that cannot be read is told of, and the others are shown. Success: any was. */
static int show_all(const struct weft_cli *cli, char *const *names, size_t n, const struct field *f,
		    bool json)
{
	struct weft_conf_device *devs = calloc(n ? n : 1, sizeof(*devs));
	size_t shown = 0;
	int rc = 0;

	if (!devs)
		return weft_cli_failed(cli, "Unable to list interfaces", -ENOMEM);
	for (size_t i = 0; i < n; i++) {
		int got = weft_cli_get(cli, names[i], &devs[shown]);

		if (got) {
			fprintf(stderr, "%s%sUnable to access interface %s: %s\n",
				cli->as_wg ? "" : cli->program, cli->as_wg ? "" : ": ", names[i],
				cli->as_wg ? weft_cli_strerror(got) : weft_strerror(got));
			weft_conf_device_clear(&devs[shown]);
			continue;
		}
		if (f)
			print_field(cli, &devs[shown], f, true);
		else if (!json)
			weft_pretty_print(&devs[shown], i + 1 < n);
		if (json)
			shown++;
		else
			weft_conf_device_clear(&devs[shown]);
		rc++;
	}
	rc = n && !rc ? 1 : 0;
	if (json && print_json(cli, devs, shown))
		rc = 1;
	for (size_t i = 0; i < shown; i++)
		weft_conf_device_clear(&devs[i]);
	free(devs);
	return rc;
}

static int show_one(const struct weft_cli *cli, const char *name, const struct field *f, bool json)
{
	struct weft_conf_device dev = {0};
	int rc = weft_cli_get(cli, name, &dev);

	if (rc)
		rc = weft_cli_no_access(cli, name, rc);
	else if (json)
		rc = print_json(cli, &dev, 1);
	else if (f)
		print_field(cli, &dev, f, false);
	else
		weft_pretty_print(&dev, false);
	weft_conf_device_clear(&dev);
	return rc;
}

static int bad_field(const struct weft_cli *cli, const char *name, char **argv)
{
	const char *names[N_FIELDS + 1], *near;
	int rc = 1;

	if (cli->as_wg) {
		fprintf(stderr, "Invalid parameter: `%s'\n", name);
		weft_cli_usage(cli, 1, argv, 1, 1, wg_usage, &rc);
		return 1;
	}
	for (size_t i = 0; i < N_FIELDS; i++)
		names[i] = fields[i].name;
	names[N_FIELDS] = NULL;
	near = weft_diag_nearest(name, strlen(name), names);
	if (near)
		weft_cli_error(cli, "show has no field \"%s\" (did you mean %s?)", name, near);
	else
		weft_cli_error(cli, "show has no field \"%s\" (`weft show --help` lists them)",
			       name);
	return 1;
}

int weft_cli_show(const struct weft_cli *cli, int argc, char **argv)
{
	const char *usage = cli->as_wg ? wg_usage : weft_usage;
	const struct field *f = NULL;
	bool json = false, all;
	char **names = NULL;
	size_t n = 0;
	int rc;

	if (argc == 2 && cli->as_wg &&
	    (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0 ||
	     strcmp(argv[1], "help") == 0)) {
		weft_cli_usage(cli, 1, argv, 1, 1, usage, &rc);
		return 0;
	}
	if (weft_cli_usage(cli, argc, argv, 0, 2, usage, &rc))
		return rc;
	if (!cli->as_wg && argc > 1 && strcmp(argv[argc - 1], "--json") == 0) {
		json = true;
		argc--;
	}
	all = argc == 1 || strcmp(argv[1], "all") == 0;
	if (argc == 3) {
		f = find_field(argv[2]);
		if (strcmp(argv[1], "interfaces") == 0 || json) {
			weft_cli_usage(cli, 1, argv, 1, 1, usage, &rc);
			return 1;
		}
		if (!f)
			return bad_field(cli, argv[2], argv);
	}
	if (!all && strcmp(argv[1], "interfaces") != 0)
		return show_one(cli, argv[1], f, json);
	rc = weft_control_list(cli->backend, &names, &n);
	if (rc)
		return weft_cli_failed(cli, "Unable to list interfaces", rc);
	rc = all ? show_all(cli, names, n, f, json) : show_interfaces(names, n);
	free_names(names, n);
	return rc;
}
