/* SPDX-License-Identifier: Apache-2.0 */
/* How a status looks. The labels and units are those of `weft show`. */
#include "cli/status_text.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "cli/pretty.h"
#include "conf/value.h"
#include "util/encoding.h"

#define RESET  "\x1b[0m"
#define BOLD   "\x1b[1m"
#define RED    "\x1b[31m"
#define GREEN  "\x1b[32m"
#define YELLOW "\x1b[33m"

/* Drops that say that somebody's keys, clock or allowed IPs are wrong. */
static const char *const telling_drops[] = {
	"drop_rx_mac1",        "drop_rx_handshake", "drop_rx_unknown_peer",
	"drop_rx_timestamp",   "drop_rx_auth",      "drop_rx_replay",
	"drop_rx_allowed_ips", "drop_tx_no_peer",   "drop_tx_no_endpoint"};

#define N_DROPS (sizeof(telling_drops) / sizeof(telling_drops[0]))

static const char *on(bool colour, const char *sequence)
{
	return colour ? sequence : "";
}

static const char *health_colour(enum weft_health h)
{
	return h == WEFT_HEALTH_DOWN ? RED : h == WEFT_HEALTH_QUIET ? YELLOW : GREEN;
}

static void label(FILE *out, const char *name, bool colour)
{
	fprintf(out, "  %s%s%s: ", on(colour, BOLD), name, on(colour, RESET));
}

static void put_moment(FILE *out, uint64_t then, uint64_t now)
{
	char when[64], ago[256];
	time_t t = (time_t)then;
	struct tm tm;

	if (!localtime_r(&t, &tm) || !strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm))
		when[0] = '\0';
	weft_pretty_ago(ago, sizeof(ago), then, now, false);
	fprintf(out, "%s (%s)\n", when, ago);
}

static void print_link(FILE *out, const struct weft_status_view *v, bool colour)
{
	const struct weft_host_look *look = v->look;
	char text[WEFT_PREFIX_TEXT_LEN];

	if (!look->link) {
		label(out, "link", colour);
		fprintf(out, "not in this network namespace\n");
	} else if (!look->up) {
		label(out, "link", colour);
		fprintf(out, "%sdown%s\n", on(colour, RED), on(colour, RESET));
	}
	if (look->since) {
		label(out, "since", colour);
		put_moment(out, look->since, v->now_sec);
	}
	label(out, "run by", colour);
	if (look->daemon_rc)
		fputs("the kernel\n", out);
	else
		fprintf(out, "%s%s%s\n", look->program[0] ? look->program : "a daemon",
			v->dev->version[0] ? " " : "", v->dev->version);
	if (v->dev->listen_port) {
		label(out, "listening port", colour);
		fprintf(out, "%u\n", (unsigned)v->dev->listen_port);
	}
	if (look->link) {
		label(out, "addresses", colour);
		for (size_t i = 0; i < look->n_addresses; i++)
			fprintf(out, "%s%s", i ? ", " : "",
				weft_prefix_format(&look->addresses[i], text));
		fprintf(out, "%s\n", look->n_addresses ? "" : "(none)");
		label(out, "mtu", colour);
		fprintf(out, "%" PRIu32 "\n", look->mtu);
	}
}

static void print_drops(FILE *out, const struct weft_conf_device *dev, bool colour)
{
	bool any = false;

	for (size_t i = 0; i < N_DROPS; i++) {
		const struct weft_conf_extra *e =
			weft_conf_find_extra(&dev->extras, telling_drops[i]);

		if (!e || !e->value)
			continue;
		if (!any)
			label(out, "dropped", colour);
		fprintf(out, "%s%" PRIu64 " %s", any ? ", " : "", e->value,
			telling_drops[i] + strlen("drop_"));
		any = true;
	}
	if (any)
		fputc('\n', out);
}

static void print_up(FILE *out, const struct weft_status_peer *s, const char *heard)
{
	char text[256];

	if (s->has_up && s->up_s) {
		weft_pretty_duration(text, sizeof(text), s->up_s, false);
		fprintf(out, "for %s, ", text);
	}
	if (s->heard_s)
		fprintf(out, "%s %s ago\n", s->heard_is_handshake ? "handshake" : "heard", heard);
	else
		fprintf(out, "heard now\n");
}

/* "up: for 2 hours, heard 3 seconds ago", and so on. */
static void print_health(FILE *out, const struct weft_status_peer *s, bool colour)
{
	char text[256];

	weft_pretty_duration(text, sizeof(text), s->heard_s, false);
	fprintf(out, "  %s%s%s%s: ", on(colour, BOLD), on(colour, health_colour(s->health)),
		weft_health_name(s->health), on(colour, RESET));
	if (s->health == WEFT_HEALTH_UP)
		print_up(out, s, text);
	else if (!s->heard)
		fprintf(out, "never heard%s\n",
			s->health == WEFT_HEALTH_QUIET ? ", and nothing was sent to it that asks "
							 "for an answer"
						       : "");
	else if (s->health == WEFT_HEALTH_DOWN)
		fprintf(out, "%s for %s\n",
			s->heard_is_handshake ? "no handshake" : "nothing heard", text);
	else
		fprintf(out, "last %s %s ago, and nothing is expected\n",
			s->heard_is_handshake ? "handshake" : "heard", text);
}

static void print_traffic(FILE *out, const struct weft_status_peer *s, bool colour)
{
	char in[256], to[256];

	weft_pretty_bytes(in, sizeof(in), s->peer->rx_bytes, false);
	weft_pretty_bytes(to, sizeof(to), s->peer->tx_bytes, false);
	label(out, "transfer", colour);
	fprintf(out, "%s received, %s sent\n", in, to);
	if (!s->has_rates)
		return;
	weft_pretty_bytes(in, sizeof(in), s->rx_rate, false);
	weft_pretty_bytes(to, sizeof(to), s->tx_rate, false);
	label(out, "rate", colour);
	fprintf(out, "%s/s received, %s/s sent\n", in, to);
}

static void print_peer(FILE *out, const struct weft_status_view *v,
		       const struct weft_status_peer *s, bool colour)
{
	char text[WEFT_CONF_ENDPOINT_LEN], ago[256], key[WEFT_KEY_BASE64_LEN + 1];

	weft_key_to_base64(key, s->peer->public_key);
	fprintf(out, "\n%speer%s: %s%s%s", on(colour, YELLOW BOLD), on(colour, RESET),
		s->named ? s->name : key, s->named ? " " : "", s->named ? key : "");
	fputc('\n', out);
	print_health(out, s, colour);
	if (s->origin != WEFT_ORIGIN_NONE) {
		label(out, "endpoint", colour);
		fprintf(out, "%s", weft_conf_endpoint_text(s->peer, text));
		if (s->why[0])
			fprintf(out, " (%s)", s->why);
		fputc('\n', out);
	}
	if (s->endpoint_since) {
		label(out, "endpoint since", colour);
		put_moment(out, s->endpoint_since, v->now_sec);
	}
	if (s->peer->last_handshake_sec && !s->heard_is_handshake) {
		weft_pretty_ago(ago, sizeof(ago), s->peer->last_handshake_sec, v->now_sec, false);
		label(out, "latest handshake", colour);
		fprintf(out, "%s\n", ago);
	}
	if (s->path_mtu) {
		label(out, "path mtu", colour);
		fprintf(out, "%" PRIu32 "\n", s->path_mtu);
	}
	print_traffic(out, s, colour);
}

void weft_status_print(FILE *out, const struct weft_status_view *v, bool colour)
{
	const struct weft_status *s = v->status;

	fprintf(out, "%sinterface%s: %s%s%s\n", on(colour, GREEN BOLD), on(colour, RESET),
		on(colour, GREEN), v->dev->name, on(colour, RESET));
	print_link(out, v, colour);
	label(out, "tunnel", colour);
	fprintf(out, "%s\n", weft_tunnel_name(s->tunnel));
	if (v->look->kill_switch > 0) {
		label(out, "kill switch", colour);
		fputs("on\n", out);
	}
	print_drops(out, v->dev, colour);
	label(out, "peers", colour);
	fprintf(out, "%zu down, %zu quiet, %zu up\n", s->n_health[WEFT_HEALTH_DOWN],
		s->n_health[WEFT_HEALTH_QUIET], s->n_health[WEFT_HEALTH_UP]);
	for (size_t i = 0; i < s->n_peers; i++)
		print_peer(out, v, &s->peers[i], colour);
}

/* ---- JSON ---- */

static json_t *integer(uint64_t v)
{
	return json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v);
}

/* NULL becomes null. */
static json_t *number_or_null(bool there, uint64_t v)
{
	return there ? integer(v) : json_null();
}

json_t *weft_cli_json_text(const char *text)
{
	json_t *s = text[0] ? json_string(text) : json_null();
	char copy[1024];

	if (s)
		return s;
	snprintf(copy, sizeof(copy), "%s", text);
	for (char *c = copy; *c; c++)
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	return json_string(copy);
}

static json_t *peer_json(const struct weft_status_peer *s)
{
	char key[WEFT_KEY_BASE64_LEN + 1], endpoint[WEFT_CONF_ENDPOINT_LEN];
	const struct weft_conf_extra *e =
		weft_conf_find_extra(&s->peer->extras, "handshakes_unanswered");

	weft_key_to_base64(key, s->peer->public_key);
	return json_pack(
		"{s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
		"s:o}",
		"name", weft_cli_json_text(s->named ? s->name : ""), "public_key", key, "health",
		weft_health_name(s->health), "up_seconds", number_or_null(s->has_up, s->up_s),
		"heard_seconds_ago", number_or_null(s->heard, s->heard_s), "latest_handshake",
		number_or_null(s->peer->last_handshake_sec != 0, s->peer->last_handshake_sec),
		"endpoint",
		s->origin == WEFT_ORIGIN_NONE
			? json_null()
			: json_string(weft_conf_endpoint_text(s->peer, endpoint)),
		"endpoint_origin", weft_origin_name(s->origin), "endpoint_why",
		weft_cli_json_text(s->why), "endpoint_since",
		number_or_null(s->endpoint_since != 0, s->endpoint_since), "path_mtu",
		number_or_null(s->path_mtu != 0, s->path_mtu), "rx_bytes",
		integer(s->peer->rx_bytes), "tx_bytes", integer(s->peer->tx_bytes), "rx_rate",
		number_or_null(s->has_rates, s->rx_rate), "tx_rate",
		number_or_null(s->has_rates, s->tx_rate), "handshakes_unanswered",
		number_or_null(e != NULL, e ? e->value : 0));
}

static json_t *addresses_json(const struct weft_host_look *look)
{
	json_t *list = json_array();
	char text[WEFT_PREFIX_TEXT_LEN];

	for (size_t i = 0; list && i < look->n_addresses; i++)
		if (json_array_append_new(
			    list, json_string(weft_prefix_format(&look->addresses[i], text)))) {
			json_decref(list);
			return NULL;
		}
	return list;
}

json_t *weft_status_json(const struct weft_status_view *v)
{
	const struct weft_host_look *look = v->look;
	const struct weft_status *s = v->status;
	json_t *peers = json_array();
	bool ok = peers;

	for (size_t i = 0; ok && i < s->n_peers; i++)
		ok = json_array_append_new(peers, peer_json(&s->peers[i])) == 0;
	if (!ok) {
		json_decref(peers);
		return NULL;
	}
	return json_pack(
		"{s:s, s:s, s:o, s:o, s:b, s:o, s:i, s:o, s:o, s:s, s:o, s:i, s:i, s:i, s:o}",
		"name", v->dev->name, "backend", look->daemon_rc ? "kernel" : "userspace",
		"program", weft_cli_json_text(look->program), "version",
		weft_cli_json_text(v->dev->version), "up", look->link && look->up, "since",
		number_or_null(look->since != 0, look->since), "listen_port",
		(int)v->dev->listen_port, "mtu", number_or_null(look->mtu != 0, look->mtu),
		"addresses", addresses_json(look), "tunnel", weft_tunnel_name(s->tunnel),
		"kill_switch",
		look->kill_switch < 0 ? json_null() : json_boolean(look->kill_switch), "down",
		(int)s->n_health[WEFT_HEALTH_DOWN], "quiet", (int)s->n_health[WEFT_HEALTH_QUIET],
		"healthy", (int)s->n_health[WEFT_HEALTH_UP], "peers", peers);
}
