/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft up`: what wg-quick does, for an interface of weftd. Whatever fails, or SIGINT or SIGTERM on
 * the way, takes away again what was done.
 */
#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "control/device.h"
#include "host/host.h"

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	stopped = number;
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static bool start_daemon(const struct weft_cli *cli, const struct weft_cli_quick *q)
{
	const char *program = getenv("WG_QUICK_USERSPACE_IMPLEMENTATION");
	const char *const argv[] = {program ? program : "weftd", q->name, NULL};
	int rc;

	weft_cli_say(q, "%s %s", argv[0], q->name);
	rc = weft_host_run(argv, NULL);
	if (rc < 0)
		weft_cli_failed(cli, argv[0], rc);
	else if (rc)
		weft_cli_error(cli, "%s ended with %d", argv[0], rc);
	return rc == 0;
}

/* Keys, peers and port: the names of endpoints may only be known after PreUp. */
static bool configure(const struct weft_cli *cli, struct weft_cli_quick *q)
{
	struct weft_conf_device *dev = &q->conf.wg.dev;

	if (!weft_cli_resolve(cli, q->path, &q->conf.wg.names, dev))
		return false;
	dev->has |= WEFT_DEVICE_REPLACE_PEERS | WEFT_DEVICE_HAS_PRIVATE_KEY |
		    WEFT_DEVICE_HAS_FWMARK | WEFT_DEVICE_HAS_LISTEN_PORT;
	weft_cli_say(q, "weft setconf %s %s", q->name, q->path);
	return weft_cli_apply(cli, q->name, dev) == 0;
}

static bool set_mark(const struct weft_cli *cli, const struct weft_cli_quick *q, uint32_t mark)
{
	const struct weft_conf_device change = {.has = WEFT_DEVICE_HAS_FWMARK, .fwmark = mark};

	weft_cli_say(q, "weft set %s fwmark %u", q->name, (unsigned)mark);
	return weft_cli_apply(cli, q->name, &change) == 0;
}

static bool apply(const struct weft_cli *cli, const struct weft_cli_quick *q,
		  struct weft_ifconf *conf, const struct weft_host_state *wanted,
		  const struct weft_host_changes *changes)
{
	int rc = 0;

	for (size_t i = 0; i < changes->n && !rc && !stopped; i++) {
		struct weft_text line = {0};

		rc = weft_host_change_text(&changes->v[i], q->name, &line);
		if (!rc) {
			weft_cli_say(q, "%s", line.p);
			rc = weft_host_apply(conf, q->name, &changes->v[i], wanted);
		}
		if (rc)
			weft_cli_failed(cli, line.p ? line.p : q->name, rc);
		weft_text_clear(&line);
	}
	return !rc;
}

static bool reconcile(const struct weft_cli *cli, const struct weft_cli_quick *q,
		      uint32_t *ret_mark)
{
	struct weft_host_state is = {0}, wanted = {0};
	struct weft_host_changes changes = {0};
	struct weft_host_facts facts = {0};
	struct weft_ifconf *conf = NULL;
	int rc = weft_ifconf_open(&conf, q->name);
	bool ok = false;

	if (!rc)
		rc = weft_host_find_facts(conf, &q->conf, &facts);
	if (!rc)
		rc = weft_host_wanted(&q->conf, &facts, &wanted);
	if (!rc)
		rc = weft_host_observe(conf, q->name, wanted.mark, &is);
	if (!rc)
		rc = weft_host_diff(&is, &wanted, &changes);
	*ret_mark = wanted.mark;
	if (rc)
		weft_cli_failed(cli, q->name, rc);
	else if (!facts.mark || set_mark(cli, q, facts.mark))
		ok = apply(cli, q, conf, &wanted, &changes);
	weft_host_changes_clear(&changes);
	weft_host_state_clear(&wanted);
	weft_host_state_clear(&is);
	weft_ifconf_close(conf);
	return ok;
}

static bool bring_up(const struct weft_cli *cli, struct weft_cli_quick *q, uint32_t *ret_mark)
{
	return weft_cli_hooks(cli, q, &q->conf.pre_up) && !stopped && configure(cli, q) &&
	       !stopped && reconcile(cli, q, ret_mark) && !stopped && weft_cli_dns(cli, q, true) &&
	       !stopped && weft_cli_hooks(cli, q, &q->conf.post_up) && !stopped;
}

int weft_cli_up(const struct weft_cli *cli, int argc, char **argv)
{
	struct weft_cli_quick q = {0};
	uint32_t mark = 0;
	int rc = 1;

	if (!weft_cli_open_quick(cli, argc, argv, &q, &rc)) {
		weft_cli_quick_clear(&q);
		return rc;
	}
	catch_signals();
	rc = 1;
	if (if_nametoindex(q.name)) {
		weft_cli_error(cli, "`%s' already exists", q.name);
	} else if (start_daemon(cli, &q)) {
		rc = bring_up(cli, &q, &mark) ? 0 : 1;
		if (rc)
			(void)weft_cli_take_down(cli, &q, mark);
	}
	weft_cli_quick_clear(&q);
	return rc;
}
