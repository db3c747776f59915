/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of a peer's endpoints an interface begins with: of several lines, the first that has an
 * address, and of its addresses the first that does not lead into the tunnel itself. A single name
 * is resolved as wg does (resolve.c); called wg-quick, that is all.
 */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "host/loop.h"
#include "host/names.h"

#define WAIT_S 2 /* before all lines of a peer are asked again */

struct choice {
	const struct weft_cli_quick *q;
	struct weft_host_loop loop;
	const struct weft_conf_device *now; /* NULL: it is not there */
};

static void say(const struct weft_cli_quick *q, struct weft_diag *diag)
{
	char text[1280];

	snprintf(diag->source, sizeof(diag->source), "%.255s", q->path);
	weft_cli_error(q->cli, "%s", weft_diag_format(diag, text, sizeof(text)));
}

static void refuse(const struct choice *c, const struct weft_quick_endpoint *line,
		   const struct weft_ip *ip, const struct weft_prefix *by)
{
	struct weft_diag diag = {0};

	weft_host_loop_diag(&c->q->conf, c->q->name, line, ip, by, &diag);
	say(c->q, &diag);
}

/*
 * With the kill switch no name is: it is closed by now, and the system's resolver has not the mark
 * that would let its questions out.
 */
static bool is_plain(const struct weft_cli_quick *q, size_t i)
{
	const struct weft_quick_peer *p = &q->conf.peers[i];
	bool named = q->conf.wg.dev.peers[i].endpoint.ip.family == WEFT_NONE;

	if (p->settled || !p->n_endpoints)
		return true;
	return p->n_endpoints == 1 && !p->endpoints[0].srv && !(named && q->conf.kill_switch);
}

static bool is_name(const struct weft_cli_quick *q, size_t peer)
{
	for (size_t i = 0; i < q->conf.wg.names.n; i++)
		if (q->conf.wg.names.v[i].peer == peer)
			return true;
	return false;
}

/* Where the peer is now, if the interface is there; else NULL. */
static const struct weft_endpoint *present(const struct choice *c, size_t peer)
{
	const uint8_t *key = c->q->conf.wg.dev.peers[peer].public_key;

	for (size_t i = 0; c->now && i < c->now->n_peers; i++)
		if (memcmp(c->now->peers[i].public_key, key, WEFT_KEY_LEN) == 0)
			return &c->now->peers[i].endpoint;
	return NULL;
}

/* The address of an answer that is to be taken: `now` if it is one of them; else the first. */
static const struct weft_endpoint *take_from(const struct choice *c,
					     const struct weft_cand_answer *answer,
					     const struct weft_endpoint *now, bool *ret_is_now)
{
	const struct weft_endpoint *first = NULL;
	struct weft_prefix by;

	*ret_is_now = false;
	for (size_t i = 0; i < answer->n; i++) {
		const struct weft_endpoint *ep = &answer->v[i].ep;

		if (weft_host_loops(&c->loop, &ep->ip, &by))
			continue;
		if (now && weft_endpoint_same_remote(ep, now)) {
			*ret_is_now = true;
			return ep;
		}
		first = first ? first : ep;
	}
	return first;
}

/*
 * The first address of the lines that will do, or the one that the peer has if a line has it, too.
 * 0; -ELOOP: all that there are lead into the tunnel, `*ret` being the first of them; or why the
 * first line has none. `*ret_line`: whose it is.
 */
static int choose(const struct choice *c, size_t peer, struct weft_endpoint *ret,
		  const struct weft_quick_endpoint **ret_line)
{
	const struct weft_quick_peer *p = &c->q->conf.peers[peer];
	const struct weft_endpoint *now = present(c, peer);
	bool found = false, is_now = false;
	int rc = 0;

	for (size_t i = 0; i < p->n_endpoints && !is_now && !(found && !now); i++) {
		struct weft_cand_answer answer = {0};
		int why = weft_names_now(p->endpoints[i].text, c->loop.mark, &answer);
		const struct weft_endpoint *ep = take_from(c, &answer, now, &is_now);

		if (ep && (!found || is_now)) {
			*ret = *ep;
			*ret_line = &p->endpoints[i];
			found = true;
		} else if (!found && answer.v && answer.n && rc != -ELOOP) {
			rc = -ELOOP;
			*ret = answer.v[0].ep;
			*ret_line = &p->endpoints[i];
		} else if (!found && !rc) {
			rc = why;
			*ret_line = &p->endpoints[i];
		}
		weft_cand_answer_clear(&answer);
	}
	return found ? 0 : rc;
}

static bool take_choice(const struct choice *c, size_t peer, unsigned long retries)
{
	struct weft_conf_peer *to = &c->q->conf.wg.dev.peers[peer];
	const struct weft_quick_endpoint *line = NULL;
	const struct timespec wait = {.tv_sec = WAIT_S};
	struct weft_endpoint ep;
	struct weft_prefix by;
	struct weft_diag diag = {0};
	int rc;

	while ((rc = choose(c, peer, &ep, &line)) && rc != -ELOOP && rc != -ENOENT && retries &&
	       !weft_cli_stopped()) {
		retries--;
		fprintf(stderr, "%s: `%s'. Trying again in %d seconds...\n", weft_strerror(rc),
			line->text, WAIT_S);
		nanosleep(&wait, NULL);
	}
	if (!rc) {
		to->endpoint = ep;
		to->has |= WEFT_PEER_HAS_ENDPOINT;
		return true;
	}
	if (rc == -ELOOP && weft_host_loops(&c->loop, &ep.ip, &by)) {
		refuse(c, line, &ep.ip, &by);
		return false;
	}
	weft_diag_set(&diag, line->line, line->column, "endpoint %.200s: %s%s", line->text,
		      rc == -ENOENT ? "no such name" : weft_strerror(rc),
		      c->q->conf.peers[peer].n_endpoints > 1
			      ? ", nor has another of this peer's lines"
			      : "");
	say(c->q, &diag);
	return false;
}

/* The names of peers that are not plain are not for weft_cli_resolve. */
static void drop_name(struct weft_conf_names *names, size_t peer)
{
	size_t n = 0;

	for (size_t i = 0; i < names->n; i++)
		if (names->v[i].peer != peer)
			names->v[n++] = names->v[i];
	names->n = n;
}

static bool resolve(struct weft_cli_quick *q, const struct choice *c)
{
	unsigned long retries;
	struct weft_prefix by;

	if (!weft_cli_get_retries(q->cli, &retries))
		return false;
	for (size_t i = 0; i < q->conf.n_peers && i < q->conf.wg.dev.n_peers; i++)
		if (!is_plain(q, i))
			drop_name(&q->conf.wg.names, i);
	if (!weft_cli_resolve(q->cli, q->path, &q->conf.wg.names, &q->conf.wg.dev))
		return false;
	for (size_t i = 0; i < q->conf.n_peers && i < q->conf.wg.dev.n_peers; i++) {
		const struct weft_conf_peer *p = &q->conf.wg.dev.peers[i];
		bool plain = is_plain(q, i);

		if (plain && (p->endpoint.ip.family == WEFT_NONE ||
			      !weft_host_loops(&c->loop, &p->endpoint.ip, &by)))
			continue;
		if (!take_choice(c, i, retries))
			return false;
	}
	return true;
}

static bool begin(struct weft_cli_quick *q, const struct weft_conf_device *now, struct choice *ret)
{
	uint32_t mark = now ? now->fwmark : 0;
	int rc;

	if (q->conf.kill_switch) /* once it is closed the mark is known, and lets questions out */
		mark = q->conf.wg.dev.fwmark;
	*ret = (struct choice){.q = q, .now = now};
	rc = weft_host_loop_init(&ret->loop, &q->conf, mark, if_nametoindex(q->name));
	if (rc)
		weft_cli_failed(q->cli, q->path, rc);
	return !rc;
}

bool weft_cli_check_endpoints(struct weft_cli_quick *q)
{
	struct weft_prefix by;
	struct choice c;
	bool ok;

	if (q->cli->as_wg_quick)
		return true;
	ok = begin(q, NULL, &c);
	for (size_t i = 0; ok && i < q->conf.n_peers && i < q->conf.wg.dev.n_peers; i++) {
		const struct weft_quick_peer *p = &q->conf.peers[i];
		const struct weft_ip *ip = &q->conf.wg.dev.peers[i].endpoint.ip;

		if (p->n_endpoints != 1 || is_name(q, i) || ip->family == WEFT_NONE ||
		    !weft_host_loops(&c.loop, ip, &by))
			continue;
		refuse(&c, &p->endpoints[0], ip, &by);
		ok = false;
	}
	weft_host_loop_clear(&c.loop);
	return ok;
}

bool weft_cli_resolve_endpoints(struct weft_cli_quick *q, const struct weft_conf_device *now)
{
	struct choice c;
	bool ok;

	if (q->cli->as_wg_quick)
		return weft_cli_resolve(q->cli, q->path, &q->conf.wg.names, &q->conf.wg.dev);
	ok = begin(q, now, &c) && resolve(q, &c);
	weft_host_loop_clear(&c.loop);
	return ok;
}
