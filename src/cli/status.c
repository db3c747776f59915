/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft status`: how interfaces and their peers are. Once, or again and again until Ctrl-C; then
 * with rates, from one reading to the next.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/status_text.h"

#define EXIT_DOWN         3
#define WATCH_SECONDS     2
#define MAX_WATCH_SECONDS 86400

static const char usage[] = "[--json] [--check] [--watch [<seconds>]] [<interface> | "
			    "<configuration filename>]...";

/* One interface from reading to reading. */
struct seen {
	struct weft_cli_target target;
	struct weft_conf_device then; /* name "": there is none */
	uint64_t then_ms;
};

struct command {
	const struct weft_cli *cli;
	bool json, check, watch, terminal, colour;
	unsigned seconds;
	bool failed, down; /* as of the last round */
};

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	stopped = number;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool use_colour(void)
{
	const char *mode = getenv("WG_COLOR_MODE"), *no = getenv("NO_COLOR");

	if (mode && strcmp(mode, "always") == 0)
		return true;
	if ((mode && strcmp(mode, "never") == 0) || (no && no[0]))
		return false;
	return isatty(STDOUT_FILENO);
}

static int show(struct command *c, struct seen *s, const struct weft_conf_device *dev,
		uint64_t at_ms, FILE *out, json_t *list)
{
	struct weft_host_look look = {0};
	struct weft_status status = {0};
	struct weft_status_facts facts = {
		.dev = dev,
		.now_sec = (uint64_t)time(NULL),
		.file = s->target.has_file ? &s->target.quick.conf : NULL,
		.notes = &look.notes,
		.then = s->then.name[0] ? &s->then : NULL,
		.then_ms = at_ms - s->then_ms,
	};
	struct weft_status_view view = {
		.dev = dev, .look = &look, .status = &status, .now_sec = facts.now_sec};
	int rc = weft_host_look_around(s->target.name, &look);

	facts.up = look.link && look.up;
	if (!rc)
		rc = weft_status_make(&facts, &status);
	if (!rc && list)
		rc = json_array_append_new(list, weft_status_json(&view)) ? -ENOMEM : 0;
	else if (!rc)
		weft_status_print(out, &view, c->colour);
	c->down |= !rc && (!facts.up || status.n_health[WEFT_HEALTH_DOWN] > 0);
	weft_status_clear(&status);
	weft_host_look_clear(&look);
	return rc;
}

static void read_and_show(struct command *c, struct seen *s, FILE *out, json_t *list)
{
	struct weft_conf_device dev = {0};
	int rc = weft_cli_get(c->cli, s->target.name, &dev);
	uint64_t at_ms = now_ms();

	weft_secret_clear(&dev.private_key); /* nothing here needs it */
	if (!rc)
		rc = show(c, s, &dev, at_ms, out, list);
	if (rc && c->terminal) /* among the rest, or it would be drawn over */
		fprintf(out, "Unable to access interface %s: %s\n", s->target.name,
			weft_strerror(rc));
	else if (rc)
		weft_cli_no_access(c->cli, s->target.name, rc);
	c->failed |= rc != 0;
	weft_conf_device_clear(&s->then);
	if (rc) {
		weft_conf_device_clear(&dev);
		return;
	}
	s->then = dev;
	s->then_ms = at_ms;
}

/* On a terminal over what was there, as much as fits. */
static void draw(const char *text, size_t len)
{
	struct winsize size = {0};
	unsigned rows = UINT_MAX;
	const char *end = text + len;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 1)
		rows = size.ws_row - 1u;
	fputs("\x1b[H", stdout);
	for (unsigned row = 0; text < end && row < rows; row++) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((nl ? nl : end) - text);

		fwrite(text, 1, n, stdout);
		fputs("\x1b[K\n", stdout);
		text += n + (nl != NULL);
	}
	fputs("\x1b[J", stdout);
}

static void print_json(struct command *c, json_t *list)
{
	json_t *root = json_pack("{s:o}", "interfaces", list);

	if (!root || json_dumpf(root, stdout, JSON_COMPACT))
		c->failed = true;
	putchar('\n');
	json_decref(root);
}

static int round_of(struct command *c, struct seen *seen, size_t n)
{
	json_t *list = c->json ? json_array() : NULL;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out || (c->json && !list)) {
		if (out)
			fclose(out);
		free(text);
		json_decref(list);
		return weft_cli_failed(c->cli, "status", -ENOMEM);
	}
	c->failed = c->down = false;
	for (size_t i = 0; i < n; i++) {
		if (i && !c->json)
			fputc('\n', out);
		read_and_show(c, &seen[i], out, list);
	}
	fclose(out);
	if (list)
		print_json(c, list);
	else if (c->terminal)
		draw(text, len);
	else
		fwrite(text, 1, len, stdout);
	free(text);
	if (c->failed)
		return 1;
	return c->check && c->down ? EXIT_DOWN : 0;
}

static int watch(struct command *c, struct seen *seen, size_t n)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct timespec wait = {.tv_sec = c->seconds};
	bool first = true;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (c->terminal)
		fputs("\x1b[H\x1b[2J", stdout);
	while (!stopped && !ferror(stdout)) {
		(void)round_of(c, seen, n);
		if (first && c->failed) /* a wrong name, most likely: it may go later */
			return 1;
		first = false;
		if (!c->json && !c->terminal)
			putchar('\n');
		fflush(stdout);
		if (!stopped)
			nanosleep(&wait, NULL);
	}
	return 0;
}

/* The words after the options, or every interface that there is. 0 or main's exit code. */
static int find_targets(struct command *c, char *const *words, size_t n, struct seen *ret)
{
	for (size_t i = 0; i < n; i++) {
		if (!weft_cli_find_target(c->cli, words[i], &ret[i].target))
			return 1;
		if (ret[i].target.fault[0])
			weft_cli_error(c->cli, "%s", ret[i].target.fault);
	}
	return 0;
}

static int run(struct command *c, char *const *words, size_t n)
{
	struct seen *seen = calloc(n ? n : 1, sizeof(*seen));
	int rc;

	if (!seen)
		return weft_cli_failed(c->cli, "status", -ENOMEM);
	rc = find_targets(c, words, n, seen);
	if (!rc)
		rc = c->watch ? watch(c, seen, n) : round_of(c, seen, n);
	for (size_t i = 0; i < n; i++) {
		weft_conf_device_clear(&seen[i].then);
		weft_cli_target_clear(&seen[i].target);
	}
	free(seen);
	return rc;
}

static int run_all(struct command *c)
{
	char **names = NULL;
	size_t n = 0;
	int rc = weft_control_list(c->cli->backend, &names, &n);

	if (rc)
		return weft_cli_failed(c->cli, "Unable to list interfaces", rc);
	rc = run(c, names, n);
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return rc;
}

/* "5" after --watch: 1. 0: there is no number. -EINVAL: it will not do. */
static int take_seconds(const struct weft_cli *cli, const char *word, unsigned *ret)
{
	unsigned long v;

	if (!word || !word[0] || strspn(word, "0123456789") != strlen(word))
		return 0;
	v = strtoul(word, NULL, 10);
	if (v < 1 || v > MAX_WATCH_SECONDS) {
		weft_cli_error(cli, "--watch: expected seconds from 1 to %d, found \"%s\"",
			       MAX_WATCH_SECONDS, word);
		return -EINVAL;
	}
	*ret = (unsigned)v;
	return 1;
}

int weft_cli_status(const struct weft_cli *cli, int argc, char **argv)
{
	struct command c = {.cli = cli, .seconds = WATCH_SECONDS};
	int i, rc;

	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			c.json = true;
		} else if (strcmp(argv[i], "--check") == 0) {
			c.check = true;
		} else if (strcmp(argv[i], "--watch") == 0) {
			c.watch = true;
			rc = take_seconds(cli, argv[i + 1], &c.seconds);
			if (rc < 0)
				return 1;
			i += rc;
		} else {
			weft_cli_usage(cli, 2, (char *[]){argv[0], argv[i], NULL}, 0, 0, usage,
				       &rc);
			return rc;
		}
	}
	c.colour = !c.json && use_colour();
	c.terminal = c.watch && !c.json && isatty(STDOUT_FILENO);
	if (i == argc)
		return run_all(&c);
	return run(&c, argv + i, (size_t)(argc - i));
}
