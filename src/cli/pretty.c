/* SPDX-License-Identifier: Apache-2.0 */
/* A device for people to read. Every byte is as wg 1.0.20210914 prints it. */
#include "cli/pretty.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conf/value.h"
#include "util/encoding.h"

#define RESET  "\x1b[0m"
#define BOLD   "\x1b[1m"
#define RED    "\x1b[31m"
#define GREEN  "\x1b[32m"
#define YELLOW "\x1b[33m"
#define CYAN   "\x1b[36m"

static bool use_colour(void)
{
	const char *mode = getenv("WG_COLOR_MODE");

	if (mode && strcmp(mode, "always") == 0)
		return true;
	if (mode && strcmp(mode, "never") == 0)
		return false;
	return isatty(STDOUT_FILENO);
}

static bool hide_keys(void)
{
	const char *mode = getenv("WG_HIDE_KEYS");

	return !mode || strcmp(mode, "never") != 0;
}

/* A unit, coloured or not. */
#define UNIT(colour, text) ((colour) ? CYAN text RESET : text)

void weft_pretty_bytes(char *out, size_t len, uint64_t bytes, bool colour)
{
	const uint64_t kib = 1024, mib = kib * 1024, gib = mib * 1024, tib = gib * 1024;

	if (bytes < kib)
		snprintf(out, len, "%" PRIu64 " %s", bytes, UNIT(colour, "B"));
	else if (bytes < mib)
		snprintf(out, len, "%.2f %s", (double)bytes / (double)kib, UNIT(colour, "KiB"));
	else if (bytes < gib)
		snprintf(out, len, "%.2f %s", (double)bytes / (double)mib, UNIT(colour, "MiB"));
	else if (bytes < tib)
		snprintf(out, len, "%.2f %s", (double)bytes / (double)gib, UNIT(colour, "GiB"));
	else
		snprintf(out, len, "%.2f %s", (double)bytes / (double)tib, UNIT(colour, "TiB"));
}

void weft_pretty_duration(char *out, size_t len, uint64_t seconds, bool colour)
{
	static const struct {
		uint64_t seconds;
		const char *name;
	} units[] = {
		{365 * 24 * 60 * 60, "year"},
		{24 * 60 * 60, "day"},
		{60 * 60, "hour"},
		{60, "minute"},
		{1, "second"},
	};
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		uint64_t n = seconds / units[i].seconds;
		int wrote;

		seconds %= units[i].seconds;
		if (!n)
			continue;
		wrote = snprintf(out + used, len - used, "%s%" PRIu64 " %s%s%s%s", used ? ", " : "",
				 n, colour ? CYAN : "", units[i].name, n == 1 ? "" : "s",
				 colour ? RESET : "");
		if (wrote < 0 || (size_t)wrote >= len - used)
			return;
		used += (size_t)wrote;
	}
}

void weft_pretty_ago(char *out, size_t len, uint64_t then, uint64_t now, bool colour)
{
	if (then == now) {
		snprintf(out, len, "Now");
	} else if (then > now) {
		snprintf(out, len,
			 "(%sSystem clock wound backward; connection problems may ensue.%s)",
			 colour ? RED : "", colour ? RESET : "");
	} else {
		char text[256];

		weft_pretty_duration(text, sizeof(text), now - then, colour);
		snprintf(out, len, "%s ago", text);
	}
}

/* Latest handshake first, those without any last; else as the device has them (qsort is stable). */
static int compare_peers(const void *a, const void *b)
{
	const struct weft_conf_peer *x = a, *y = b;

	if (x->last_handshake_sec != y->last_handshake_sec)
		return x->last_handshake_sec > y->last_handshake_sec ? -1 : 1;
	if (x->last_handshake_nsec != y->last_handshake_nsec)
		return x->last_handshake_nsec > y->last_handshake_nsec ? -1 : 1;
	return 0;
}

static void label(const char *name, bool colour)
{
	printf("  %s%s%s: ", colour ? BOLD : "", name, colour ? RESET : "");
}

static void put_key(const uint8_t key[WEFT_KEY_LEN])
{
	char text[WEFT_KEY_BASE64_LEN + 1];

	weft_key_to_base64(text, key);
	fputs(text, stdout);
	weft_wipe(text, sizeof(text));
}

static void put_secret(const char *name, const struct weft_secret *s, bool colour)
{
	if (weft_ct_is_zero(s->b, WEFT_KEY_LEN))
		return;
	label(name, colour);
	if (hide_keys())
		fputs("(hidden)", stdout);
	else
		put_key(s->b);
	putchar('\n');
}

static void print_allowed_ips(const struct weft_conf_peer *peer, bool colour)
{
	char text[WEFT_IP_TEXT_LEN];

	label("allowed ips", colour);
	if (!peer->n_allowed_ips)
		fputs("(none)", stdout);
	for (size_t i = 0; i < peer->n_allowed_ips; i++) {
		const struct weft_prefix *p = &peer->allowed_ips[i].prefix;

		printf("%s%s%s%u", i ? ", " : "", weft_ip_format(&p->ip, text), UNIT(colour, "/"),
		       (unsigned)p->len);
	}
	putchar('\n');
}

static void print_peer(const struct weft_conf_peer *peer, bool colour)
{
	char text[320], more[320];

	printf("\n%speer%s: %s", colour ? YELLOW BOLD : "", colour ? RESET : "",
	       colour ? YELLOW : "");
	put_key(peer->public_key);
	printf("%s\n", colour ? RESET : "");
	put_secret("preshared key", &peer->psk, colour);
	if (peer->endpoint.ip.family != WEFT_NONE) {
		label("endpoint", colour);
		printf("%s\n", weft_conf_endpoint_text(peer, text));
	}
	print_allowed_ips(peer, colour);
	if (peer->last_handshake_sec) {
		weft_pretty_ago(text, sizeof(text), peer->last_handshake_sec, (uint64_t)time(NULL),
				colour);
		label("latest handshake", colour);
		printf("%s\n", text);
	}
	if (peer->rx_bytes || peer->tx_bytes) {
		weft_pretty_bytes(text, sizeof(text), peer->rx_bytes, colour);
		weft_pretty_bytes(more, sizeof(more), peer->tx_bytes, colour);
		label("transfer", colour);
		printf("%s received, %s sent\n", text, more);
	}
	if (peer->keepalive_s) {
		weft_pretty_duration(text, sizeof(text), peer->keepalive_s, colour);
		label("persistent keepalive", colour);
		printf("every %s\n", text);
	}
}

void weft_pretty_print(struct weft_conf_device *dev, bool more)
{
	bool colour = use_colour();

	if (dev->n_peers)
		qsort(dev->peers, dev->n_peers, sizeof(*dev->peers), compare_peers);
	printf("%sinterface%s: %s%s%s\n", colour ? RESET GREEN BOLD : "", colour ? RESET : "",
	       colour ? GREEN : "", dev->name, colour ? RESET : "");
	if (dev->has & WEFT_DEVICE_HAS_PUBLIC_KEY) {
		label("public key", colour);
		put_key(dev->public_key);
		putchar('\n');
	}
	put_secret("private key", &dev->private_key, colour);
	if (dev->listen_port) {
		label("listening port", colour);
		printf("%u\n", (unsigned)dev->listen_port);
	}
	if (dev->relay == WEFT_CONF_RELAY_FAST) {
		label("relay", colour);
		puts("fast");
	}
	if (dev->fwmark) {
		label("fwmark", colour);
		printf("0x%" PRIx32 "\n", dev->fwmark);
	}
	for (size_t i = 0; i < dev->n_peers; i++)
		print_peer(&dev->peers[i], colour);
	if (more)
		putchar('\n');
}
