/* SPDX-License-Identifier: Apache-2.0 */
/* Name servers and search domains of an interface, by resolvconf(8) or resolvectl(1). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"

#define INTERFACE_ORDER "/etc/resolvconf/interface-order"
#define NAME_LEN        (64 + WEFT_QUICK_NAME_LEN)

/* Debian's resolvconf ranks interfaces by a prefix of their names: the first that takes any. */
static void ranked_name(const char *ifname, char out[NAME_LEN])
{
	FILE *f = fopen(INTERFACE_ORDER, "re");
	char line[64];
	bool found = false;

	snprintf(out, NAME_LEN, "%s", ifname);
	while (f && !found && fgets(line, sizeof(line), f)) {
		size_t n = strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					"0123456789-");

		found = n && line[n] == '*' && (line[n + 1] == '\n' || !line[n + 1]);
		if (found)
			snprintf(out, NAME_LEN, "%.*s.%s", (int)n, line, ifname);
	}
	if (f)
		fclose(f);
}

static int by_resolvconf(const char *ifname, const char *dns)
{
	char name[NAME_LEN];
	const char *const set[] = {"resolvconf", "-a", name, "-m", "0", "-x", NULL};
	const char *const unset[] = {"resolvconf", "-d", name, "-f", NULL};
	struct weft_text text = {0};
	int rc = 0;

	ranked_name(ifname, name);
	if (dns)
		rc = weft_text_append(&text, dns, strlen(dns));
	if (!rc)
		rc = weft_host_run(dns ? set : unset, dns ? &text : NULL);
	weft_text_clear(&text);
	return rc > 0 ? -EIO : rc;
}

/* Runs `resolvectl <verb> <ifname>` with the words that follow `key` on lines of `dns`. */
static int resolvectl(const char *verb, const char *ifname, const char *dns, const char *key,
		      const char *last)
{
	const char **argv;
	char *copy = strdup(dns ? dns : ""), *word, *save = NULL;
	size_t n = 0;
	bool ours = false;
	int rc;

	argv = calloc(strlen(dns ? dns : "") / 2 + 6, sizeof(*argv));
	if (!argv || !copy) {
		free(copy);
		free(argv);
		return -ENOMEM;
	}
	argv[n++] = "resolvectl";
	argv[n++] = verb;
	argv[n++] = ifname;
	for (word = strtok_r(copy, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
		if (strcmp(word, "nameserver") == 0 || strcmp(word, "search") == 0)
			ours = strcmp(word, key) == 0;
		else if (ours)
			argv[n++] = word;
	}
	if (last)
		argv[n++] = last;
	rc = weft_host_run(argv, NULL);
	free(copy);
	free(argv);
	return rc > 0 ? -EIO : rc;
}

/* Every name is asked for there, as resolvconf's -x has it. */
static int by_resolvectl(const char *ifname, const char *dns)
{
	int rc;

	if (!dns) { /* what is set goes with the link */
		rc = resolvectl("revert", ifname, NULL, "", NULL);
		return rc == -EIO ? 0 : rc;
	}
	rc = resolvectl("dns", ifname, dns, "nameserver", NULL);
	if (rc)
		return -ENOENT;
	return resolvectl("domain", ifname, dns, "search", "~.");
}

int weft_host_set_dns(const char *ifname, const char *dns)
{
	int rc = by_resolvconf(ifname, dns);

	return rc == -ENOENT ? by_resolvectl(ifname, dns) : rc;
}
