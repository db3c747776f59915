/* SPDX-License-Identifier: Apache-2.0 */
/* Name servers and search domains of an interface, by resolvconf(8). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/internal.h"

#define INTERFACE_ORDER "/etc/resolvconf/interface-order"

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

int weft_host_dns(struct weft_host_job *job, bool add)
{
	char prefix[64], name[64 + WEFT_QUICK_NAME_LEN];
	const char *const set[] = {"resolvconf", "-a", name, "-m", "0", "-x", NULL};
	const char *const unset[] = {"resolvconf", "-d", name, "-f", NULL};
	struct weft_text text = {0};
	int rc;

	if (!job->quick->dns_servers.n)
		return 0;
	rank_prefix(prefix);
	snprintf(name, sizeof(name), "%s%s", prefix, job->ifname);
	rc = dns_text(job->quick, &text);
	if (!rc) {
		weft_host_step(job, "resolvconf %s %s %s", add ? "-a" : "-d", name,
			       add ? "-m 0 -x" : "-f");
		rc = weft_host_run(add ? set : unset, add ? &text : NULL);
	}
	weft_text_clear(&text);
	if (rc == -ENOENT) {
		if (add)
			weft_host_warn(job, "DNS is not set: there is no resolvconf here");
		return 0;
	}
	if (rc < 0)
		return weft_host_failed(job, "resolvconf", rc);
	if (rc > 0)
		weft_host_error(job, "resolvconf ended with %d", rc);
	return rc ? -EIO : 0;
}
