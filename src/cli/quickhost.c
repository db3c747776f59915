/* SPDX-License-Identifier: Apache-2.0 */
/* What `weft up` and `weft down` share: hooks, name servers, and taking all of it away. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "cli/cli.h"
#include "host/host.h"

#define INTERFACE_ORDER "/etc/resolvconf/interface-order"

void weft_cli_say(const struct weft_cli_quick *q, const char *fmt, ...)
{
	va_list ap;

	if (!q->verbose)
		return;
	fputs("[#] ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

/* The hook with each "%i" replaced, and a NUL. */
static int fill_in(const char *hook, const char *name, struct weft_text *out)
{
	const char *hole;
	int rc = 0;

	while (!rc && (hole = strstr(hook, "%i"))) {
		rc = weft_text_append(out, hook, (size_t)(hole - hook));
		if (!rc)
			rc = weft_text_append(out, name, strlen(name));
		hook = hole + 2;
	}
	return rc ? rc : weft_text_append(out, hook, strlen(hook) + 1);
}

static bool run_hook(const struct weft_cli *cli, const struct weft_cli_quick *q, const char *hook)
{
	struct weft_text line = {0};
	int rc = fill_in(hook, q->name, &line);

	if (!rc) {
		const char *const argv[] = {"bash",    "-e", "-o",   "pipefail", "-O",
					    "extglob", "-c", line.p, NULL};

		weft_cli_say(q, "%s", line.p);
		fflush(stdout);
		rc = weft_host_run(argv, NULL);
	}
	if (rc < 0)
		weft_cli_failed(cli, "bash", rc);
	else if (rc) /* as it stands in the file */
		weft_cli_error(cli, "the hook ended with %d: %s", rc, hook);
	weft_text_clear(&line);
	return rc == 0;
}

bool weft_cli_hooks(const struct weft_cli *cli, const struct weft_cli_quick *q,
		    const struct weft_quick_texts *hooks)
{
	for (size_t i = 0; i < hooks->n; i++)
		if (!run_hook(cli, q, hooks->v[i]))
			return false;
	return true;
}

/* Debian's resolvconf ranks interfaces by a prefix of their names: the first that takes any. */
static void rank_prefix(char out[64])
{
	FILE *f = fopen(INTERFACE_ORDER, "re");
	char line[64];

	out[0] = '\0';
	while (f && !out[0] && fgets(line, sizeof(line), f)) {
		size_t n = strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					"0123456789-");

		if (n && line[n] == '*' && (line[n + 1] == '\n' || !line[n + 1]))
			snprintf(out, 64, "%.*s.", (int)n, line);
	}
	if (f)
		fclose(f);
}

static int dns_text(const struct weft_quick *conf, struct weft_text *out)
{
	int rc = 0;

	for (size_t i = 0; i < conf->dns_servers.n && !rc; i++)
		rc = weft_text_printf(out, "nameserver %s\n", conf->dns_servers.v[i]);
	for (size_t i = 0; i < conf->dns_search.n && !rc; i++)
		rc = weft_text_printf(out, "%s %s", i ? "" : "search", conf->dns_search.v[i]);
	if (!rc && conf->dns_search.n)
		rc = weft_text_append(out, "\n", 1);
	return rc;
}

bool weft_cli_dns(const struct weft_cli *cli, const struct weft_cli_quick *q, bool add)
{
	char prefix[64], name[64 + WEFT_QUICK_NAME_LEN];
	const char *const set[] = {"resolvconf", "-a", name, "-m", "0", "-x", NULL};
	const char *const unset[] = {"resolvconf", "-d", name, "-f", NULL};
	struct weft_text text = {0};
	int rc;

	if (!q->conf.dns_servers.n)
		return true;
	rank_prefix(prefix);
	snprintf(name, sizeof(name), "%s%s", prefix, q->name);
	rc = dns_text(&q->conf, &text);
	if (!rc) {
		weft_cli_say(q, "resolvconf %s %s %s", add ? "-a" : "-d", name,
			     add ? "-m 0 -x" : "-f");
		rc = weft_host_run(add ? set : unset, add ? &text : NULL);
	}
	weft_text_clear(&text);
	if (rc == -ENOENT && add)
		fprintf(stderr, "Warning: DNS is not set: there is no resolvconf here\n");
	else if (rc < 0 && rc != -ENOENT)
		weft_cli_failed(cli, "resolvconf", rc);
	else if (rc > 0)
		weft_cli_error(cli, "resolvconf ended with %d", rc);
	return rc == 0 || rc == -ENOENT;
}

/* What does not go with the link itself. */
static bool outlives_link(const struct weft_host_change *c)
{
	return c->kind != WEFT_HOST_ADDRESS && c->kind != WEFT_HOST_ROUTE;
}

static int undo_changes(const struct weft_cli_quick *q, struct weft_ifconf *conf, uint32_t mark)
{
	const struct weft_host_state none = {0};
	struct weft_host_state is = {0};
	struct weft_host_changes changes = {0};
	int rc = weft_host_observe(conf, q->name, mark, &is), first;

	if (!rc)
		rc = weft_host_diff(&is, &none, &changes);
	first = rc;
	for (size_t i = 0; i < changes.n; i++) {
		struct weft_text line = {0};

		if (!outlives_link(&changes.v[i]))
			continue;
		rc = weft_host_change_text(&changes.v[i], q->name, &line);
		if (!rc)
			weft_cli_say(q, "%s", line.p);
		weft_text_clear(&line);
		rc = weft_host_apply(conf, q->name, &changes.v[i], &is);
		first = first ? first : rc;
	}
	weft_host_changes_clear(&changes);
	weft_host_state_clear(&is);
	return first;
}

bool weft_cli_take_down(const struct weft_cli *cli, const struct weft_cli_quick *q, uint32_t mark)
{
	struct weft_ifconf *conf = NULL;
	int rc = weft_ifconf_open(&conf, q->name), deleted;
	bool dns;

	if (!rc) {
		rc = undo_changes(q, conf, mark);
		weft_cli_say(q, "ip link delete dev %s", q->name);
		deleted = weft_ifconf_delete(conf);
		rc = rc ? rc : deleted;
	}
	weft_ifconf_close(conf);
	if (rc)
		weft_cli_failed(cli, q->name, rc);
	dns = weft_cli_dns(cli, q, false);
	return !rc && dns;
}
