/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft mtu`: for each peer what the host's route takes, what the tunnel adds, and what the path
 * was found to carry; and where one of them does not fit the others.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "conf/value.h"
#include "host/state.h"
#include "linux/ifconf.h"
#include "util/encoding.h"

#define MAX_WARNINGS 2
#define WARNING_LEN  256

/* As weftd numbers them: enum weft_path_state, core/device.h. */
static const char *const states[] = {"unknown", "searching", "measured", "black-hole",
				     "unanswered"};
enum { UNKNOWN, SEARCHING, MEASURED, BLACK_HOLE, UNANSWERED, N_STATES };

/* Sizes are in bytes; 0: not known. */
struct row {
	const struct weft_conf_peer *peer;
	uint32_t route;    /* the MTU of the way to the endpoint */
	uint32_t overhead; /* what the tunnel adds */
	uint64_t path;     /* the longest packet in the tunnel that arrives, as measured */
	uint64_t state, probes, age_sec;
	bool has_age;
	unsigned n_warnings;
	char warnings[MAX_WARNINGS][WARNING_LEN];
};

struct view {
	const struct weft_conf_device *dev;
	uint32_t link; /* the tunnel interface's MTU */
	bool probes;
	struct row *rows;
};

static uint64_t figure(const struct weft_conf_peer *peer, const char *name)
{
	const struct weft_conf_extra *x = weft_conf_find_extra(&peer->extras, name);

	return x ? x->value : 0;
}

/* The longest packet that the path carries, as far as it is known: measured, or by the route. */
static uint64_t carried(const struct row *r)
{
	if (r->path)
		return r->path;
	return r->route > r->overhead ? r->route - r->overhead : 0;
}

__attribute__((format(printf, 2, 3))) static void warn(struct row *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (r->n_warnings < MAX_WARNINGS)
		vsnprintf(r->warnings[r->n_warnings++], WARNING_LEN, fmt, ap);
	va_end(ap);
}

static void find_warnings(const struct view *v, struct row *r)
{
	uint64_t most = carried(r);

	if (r->state == BLACK_HOLE)
		warn(r,
		     "black hole: packets in the tunnel of more than %" PRIu64
		     " bytes vanish on this path, and no ICMP error says so",
		     most);
	if (!most || v->link <= most)
		return;
	if (v->probes)
		warn(r,
		     "the interface's MTU of %" PRIu32 " is over the %" PRIu64
		     " that this path carries: longer packets are answered by \"packet too big\"",
		     v->link, most);
	else
		warn(r,
		     "the interface's MTU of %" PRIu32 " is over the %" PRIu64
		     " that this path carries: longer packets are sent in fragments",
		     v->link, most);
}

static void fill_row(const struct view *v, struct weft_ifconf *conf, struct row *r,
		     const struct weft_conf_peer *peer)
{
	const struct weft_conf_extra *age = weft_conf_find_extra(&peer->extras, "path_mtu_age_sec");

	r->peer = peer;
	r->state = figure(peer, "path_mtu_state");
	if (r->state >= N_STATES)
		r->state = UNKNOWN;
	r->path = figure(peer, "path_mtu");
	r->probes = figure(peer, "path_mtu_probes");
	r->has_age = age != NULL;
	r->age_sec = age ? age->value : 0;
	if (peer->endpoint.ip.family == WEFT_NONE)
		return;
	r->overhead = weft_host_overhead(&peer->endpoint);
	/* the route itself, as weftd saw it: a look-up now may tell what ICMP has taught the host
	 */
	r->route = (uint32_t)figure(peer, "path_mtu_route");
	if (!r->route && weft_ifconf_path_mtu(conf, &peer->endpoint.ip, v->dev->fwmark, &r->route))
		r->route = 0;
	find_warnings(v, r);
}

static int look(struct view *v, struct weft_ifconf *conf)
{
	bool up;
	int rc = weft_ifconf_link(conf, &up, &v->link);

	if (rc)
		return rc;
	v->probes = v->dev->path_mtu == WEFT_CONF_PATH_MTU_PROBE;
	v->rows = calloc(v->dev->n_peers ? v->dev->n_peers : 1, sizeof(*v->rows));
	if (!v->rows)
		return -ENOMEM;
	for (size_t i = 0; i < v->dev->n_peers; i++)
		fill_row(v, conf, &v->rows[i], &v->dev->peers[i]);
	return 0;
}

/* ---- for people ---- */

static void print_path(const struct view *v, const struct row *r)
{
	if (r->path)
		printf("%" PRIu64 " bytes", r->path);
	else if (carried(r))
		printf("%" PRIu64 " bytes, by the route", carried(r));
	else
		fputs("not known", stdout);
	if (!v->probes) {
		putchar('\n');
		return;
	}
	if (r->state == MEASURED || r->state == BLACK_HOLE)
		printf(", measured %" PRIu64 " s ago", r->age_sec);
	else if (r->state == SEARCHING)
		fputs(", being measured", stdout);
	else if (r->state == UNANSWERED)
		fputs(", the peer answers no probe", stdout);
	else
		fputs(", measured with the next session", stdout);
	printf(" (%" PRIu64 " probes)\n", r->probes);
}

static void print_row(const struct view *v, const struct row *r)
{
	char key[WEFT_KEY_BASE64_LEN + 1], endpoint[WEFT_CONF_ENDPOINT_LEN];

	weft_key_to_base64(key, r->peer->public_key);
	printf("\npeer: %s\n  endpoint: %s\n", key, weft_conf_endpoint_text(r->peer, endpoint));
	if (r->route)
		printf("  route: %" PRIu32 " bytes, %" PRIu32 " of them the tunnel's\n", r->route,
		       r->overhead);
	else
		fputs("  route: none\n", stdout);
	fputs("  path: ", stdout);
	print_path(v, r);
	for (unsigned i = 0; i < r->n_warnings; i++)
		printf("  warning: %s\n", r->warnings[i]);
}

static void print_view(const struct view *v)
{
	printf("interface: %s\n  mtu: %" PRIu32 "\n  paths: %s\n", v->dev->name, v->link,
	       v->probes            ? "measured"
	       : v->dev->version[0] ? "not measured (MTU = auto, or weft set path-mtu probe)"
				    : "not measured (only weftd does)");
	for (size_t i = 0; i < v->dev->n_peers; i++)
		print_row(v, &v->rows[i]);
}

/* ---- for programs ---- */

static bool put(json_t *o, const char *name, json_t *value)
{
	return json_object_set_new(o, name, value) == 0; /* takes `value`, NULL too */
}

static bool put_known(json_t *o, const char *name, uint64_t value)
{
	return !value || put(o, name, json_integer((json_int_t)value));
}

static json_t *warnings_json(const struct row *r)
{
	json_t *list = json_array();

	for (unsigned i = 0; list && i < r->n_warnings; i++)
		if (json_array_append_new(list, json_string(r->warnings[i])) != 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static json_t *row_json(const struct view *v, const struct row *r)
{
	char key[WEFT_KEY_BASE64_LEN + 1], endpoint[WEFT_CONF_ENDPOINT_LEN];
	json_t *o = json_object();
	bool ok;

	weft_key_to_base64(key, r->peer->public_key);
	ok = o && put(o, "public_key", json_string(key)) &&
	     (r->peer->endpoint.ip.family == WEFT_NONE ||
	      put(o, "endpoint", json_string(weft_conf_endpoint_text(r->peer, endpoint)))) &&
	     put_known(o, "route_mtu", r->route) && put_known(o, "overhead", r->overhead) &&
	     put_known(o, "path_mtu", r->path) && put(o, "warnings", warnings_json(r));
	if (ok && v->probes)
		ok = put(o, "state", json_string(states[r->state])) &&
		     put(o, "probes", json_integer((json_int_t)r->probes)) &&
		     (!r->has_age || put(o, "age_sec", json_integer((json_int_t)r->age_sec)));
	if (ok)
		return o;
	json_decref(o);
	return NULL;
}

static int print_json(const struct view *v)
{
	json_t *o = json_object(), *peers = json_array();
	bool ok = o && peers && put(o, "interface", json_string(v->dev->name)) &&
		  put(o, "mtu", json_integer((json_int_t)v->link)) &&
		  put(o, "measures", json_boolean(v->probes));

	for (size_t i = 0; ok && i < v->dev->n_peers; i++)
		ok = json_array_append_new(peers, row_json(v, &v->rows[i])) == 0;
	ok = ok && json_object_set(o, "peers", peers) == 0 &&
	     json_dumpf(o, stdout, JSON_COMPACT) == 0;
	json_decref(peers);
	json_decref(o);
	if (ok)
		putchar('\n');
	return ok ? 0 : -ENOMEM;
}

int weft_cli_mtu(const struct weft_cli *cli, int argc, char **argv)
{
	struct weft_conf_device dev = {0};
	struct view v = {.dev = &dev};
	struct weft_ifconf *conf = NULL;
	bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
	int rc = 1;

	if (json) {
		argv++;
		argc--;
		argv[0] = argv[-1];
	}
	if (argc == 3 && strcmp(argv[2], "--json") == 0) {
		json = true;
		argc--;
	}
	if (weft_cli_usage(cli, argc, argv, 1, 1, "[--json] <interface>", &rc))
		return rc;
	rc = weft_cli_get(cli, argv[1], &dev);
	if (rc) {
		rc = weft_cli_no_access(cli, argv[1], rc);
	} else {
		rc = weft_ifconf_open(&conf, argv[1]);
		if (!rc)
			rc = look(&v, conf);
		if (!rc && json)
			rc = print_json(&v);
		else if (!rc)
			print_view(&v);
		if (rc)
			rc = weft_cli_failed(cli, argv[1], rc);
	}
	weft_ifconf_close(conf);
	weft_conf_device_clear(&dev);
	free(v.rows);
	return rc;
}
