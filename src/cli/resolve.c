/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of endpoints to addresses. A name that cannot be had now is tried again, first after 1 s,
 * then 1.2 times as long up to 20 s, as often as WG_ENDPOINT_RESOLUTION_RETRIES says (a number or
 * "infinity"; 15 without it); what the resolver calls final is final.
 */
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "cli/cli.h"

#define DEFAULT_RETRIES 15
#define FIRST_WAIT_MS   1000u
#define LONGEST_WAIT_MS 20000u

bool weft_cli_get_retries(const struct weft_cli *cli, unsigned long *ret)
{
	const char *text = getenv("WG_ENDPOINT_RESOLUTION_RETRIES");
	char *end = NULL;

	*ret = DEFAULT_RETRIES;
	if (!text)
		return true;
	if (strcmp(text, "infinity") == 0) {
		*ret = ULONG_MAX;
		return true;
	}
	errno = 0;
	*ret = strtoul(text, &end, 10);
	if (text[0] >= '0' && text[0] <= '9' && !*end && !errno)
		return true;
	if (cli->as_wg)
		fprintf(stderr, "Unable to parse WG_ENDPOINT_RESOLUTION_RETRIES: `%s'\n", text);
	else
		weft_cli_error(cli,
			       "WG_ENDPOINT_RESOLUTION_RETRIES: expected a number or \"infinity\", "
			       "found \"%s\"",
			       text);
	return false;
}

static bool is_final(int error)
{
	return error == EAI_NONAME || error == EAI_FAIL || error == EAI_NODATA ||
	       error == EAI_SERVICE || error == EAI_FAMILY || error == EAI_SOCKTYPE ||
	       error == EAI_ADDRFAMILY || error == EAI_BADFLAGS;
}

static bool take(const struct addrinfo *found, struct weft_conf_peer *ret)
{
	struct weft_endpoint e = {0};

	ret->endpoint_zone[0] = '\0';

	if (found->ai_family == AF_INET) {
		struct sockaddr_in a;

		memcpy(&a, found->ai_addr, sizeof(a));
		e.ip.family = WEFT_IPV4;
		memcpy(e.ip.b, &a.sin_addr, 4);
		e.port = ntohs(a.sin_port);
	} else if (found->ai_family == AF_INET6) {
		struct sockaddr_in6 a;

		memcpy(&a, found->ai_addr, sizeof(a));
		e.ip.family = WEFT_IPV6;
		memcpy(e.ip.b, &a.sin6_addr, 16);
		e.port = ntohs(a.sin6_port);
		e.scope_id = a.sin6_scope_id;
	} else {
		return false;
	}
	ret->endpoint = e;
	/* a device may count interfaces differently than we do: their names are what is sent */
	if (e.scope_id) {
		char name[IF_NAMESIZE];

		if (if_indextoname(e.scope_id, name))
			memcpy(ret->endpoint_zone, name, sizeof(ret->endpoint_zone));
	}
	return true;
}

static void complain(const struct weft_cli *cli, const char *source,
		     const struct weft_conf_name *name, bool v6, const char *why)
{
	struct weft_diag diag = {0};
	char text[1280];

	if (cli->as_wg) {
		fprintf(stderr, v6 ? "%s: `[%s]:%s'\n" : "%s: `%s:%s'\n", why, name->host,
			name->port);
		return;
	}
	snprintf(diag.source, sizeof(diag.source), "%s", source);
	weft_diag_set(&diag, name->line, name->column, "endpoint %s, port %s: %s", name->host,
		      name->port, why);
	weft_cli_error(cli, "%s", weft_diag_format(&diag, text, sizeof(text)));
}

static bool resolve_one(const struct weft_cli *cli, const char *source,
			const struct weft_conf_name *name, unsigned long retries,
			struct weft_conf_peer *ret)
{
	static const struct addrinfo hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM, .ai_protocol = IPPROTO_UDP};
	bool v6 = strchr(name->host, ':');
	struct addrinfo *found = NULL;
	unsigned wait_ms = FIRST_WAIT_MS;
	int error;

	for (;;) {
		struct timespec wait;
		const char *why;

		error = getaddrinfo(name->host, name->port, &hints, &found);
		if (!error)
			break;
		why = error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error);
		if (is_final(error) || !retries || weft_cli_stopped()) {
			complain(cli, source, name, v6, why);
			return false;
		}
		if (retries != ULONG_MAX)
			retries--;
		fprintf(stderr,
			v6 ? "%s: `[%s]:%s'. Trying again in %.2f seconds...\n"
			   : "%s: `%s:%s'. Trying again in %.2f seconds...\n",
			why, name->host, name->port, wait_ms / 1000.0);
		wait = (struct timespec){.tv_sec = wait_ms / 1000,
					 .tv_nsec = (long)(wait_ms % 1000) * 1000000};
		nanosleep(&wait, NULL);
		wait_ms = wait_ms * 6 / 5;
		if (wait_ms > LONGEST_WAIT_MS)
			wait_ms = LONGEST_WAIT_MS;
	}
	if (!take(found, ret)) {
		freeaddrinfo(found);
		weft_cli_error(cli, "%s: neither an IPv4 nor an IPv6 address", name->host);
		return false;
	}
	freeaddrinfo(found);
	return true;
}

bool weft_cli_resolve(const struct weft_cli *cli, const char *source,
		      const struct weft_conf_names *names, struct weft_conf_device *dev)
{
	unsigned long retries;

	if (!names->n)
		return true;
	if (!weft_cli_get_retries(cli, &retries))
		return false;
	for (size_t i = 0; i < names->n; i++)
		if (!resolve_one(cli, source, &names->v[i], retries, &dev->peers[names->v[i].peer]))
			return false;
	return true;
}
