/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to c-ares, one struct each, and two channels: with the mark and without. */
#include "host/names.h"

#include <ares.h>
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "conf/value.h"
#include "host/srv.h"

#define TIMEOUT_MS 2000 /* of the first try; the second has twice that */
#define TRIES      2
#define CLASS_IN   1
#define TYPE_SRV   33

struct question;

/* A host of a question: the one that it asks for, or one of the SRV records'. */
struct host {
	struct question *q;
	char name[256];
	uint16_t port;
	struct weft_cand_answer answer;
	int rc;
};

struct question {
	struct question *next; /* in the list of its state */
	struct weft_names *names;
	uint64_t id, start_ms;
	char text[300];
	bool srv, unmarked; /* unmarked: the second way */
	struct host hosts[WEFT_SRV_MAX];
	size_t n_hosts, pending;
	uint32_t ttl_s;
};

struct weft_names {
	weft_names_done done;
	void *ctx;
	uint64_t seed;
	uint32_t mark;
	ares_channel channels[2]; /* with the mark, without; NULL: none is needed */
	struct question *asked, *waiting, **last;
	size_t n_asked;
	bool closing;
};

static void start(struct question *q);

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int weft_names_new(struct weft_names **ret_names, uint64_t seed, weft_names_done done, void *ctx)
{
	struct weft_names *n = calloc(1, sizeof(*n));

	if (!n)
		return -ENOMEM;
	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
		free(n);
		return -ENOMEM;
	}
	*n = (struct weft_names){.done = done, .ctx = ctx, .seed = seed};
	n->last = &n->waiting;
	*ret_names = n;
	return 0;
}

static void free_question(struct question *q)
{
	for (size_t i = 0; i < q->n_hosts; i++)
		weft_cand_answer_clear(&q->hosts[i].answer);
	free(q);
}

static void close_channels(struct weft_names *n)
{
	for (unsigned i = 0; i < 2; i++) {
		if (n->channels[i])
			ares_destroy(n->channels[i]);
		n->channels[i] = NULL;
	}
}

void weft_names_free(struct weft_names *n)
{
	struct question *q;

	if (!n)
		return;
	n->closing = true;
	close_channels(n); /* calls back for each that was asked */
	while ((q = n->asked)) {
		n->asked = q->next;
		free_question(q);
	}
	while ((q = n->waiting)) {
		n->waiting = q->next;
		free_question(q);
	}
	ares_library_cleanup();
	free(n);
}

static int code_of(int status)
{
	switch (status) {
	case ARES_SUCCESS:
		return 0;
	case ARES_ENODATA:
	case ARES_ENOTFOUND:
	case ARES_ENONAME:
	case ARES_EBADNAME:
		return -ENOENT;
	case ARES_ENOMEM:
		return -ENOMEM;
	case ARES_ECONNREFUSED:
		return -ECONNREFUSED;
	case ARES_EREFUSED:
	case ARES_ESERVFAIL:
		return -EAGAIN;
	default:
		return -ETIMEDOUT;
	}
}

/* ---- the end of a question ---- */

/* One list of all that its hosts have, in their order. */
static int collect(struct question *q, struct weft_cand_answer *ret)
{
	int rc = 0, why = -ENOENT;

	ret->ttl_s = q->ttl_s;
	for (size_t i = 0; i < q->n_hosts && !rc; i++) {
		struct weft_cand_answer *a = &q->hosts[i].answer;

		if (q->hosts[i].rc && q->hosts[i].rc != -ENOENT)
			why = q->hosts[i].rc;
		weft_cand_interleave(a, 0);
		if (a->n && a->ttl_s < ret->ttl_s)
			ret->ttl_s = a->ttl_s;
		for (size_t j = 0; j < a->n && !rc; j++)
			rc = weft_cand_answer_add(ret, &a->v[j].ep,
						  q->srv ? q->hosts[i].name : NULL);
	}
	if (rc == WEFT_E_LIMIT) /* the first of them will do */
		rc = 0;
	return rc || ret->n ? rc : why;
}

static void unlink_question(struct question *q)
{
	struct question **at = &q->names->asked;

	while (*at && *at != q)
		at = &(*at)->next;
	if (*at)
		*at = q->next;
	q->names->n_asked--;
}

static void start_waiting(struct weft_names *n)
{
	while (n->waiting && n->n_asked < WEFT_NAMES_PARALLEL) {
		struct question *q = n->waiting;

		n->waiting = q->next;
		if (!n->waiting)
			n->last = &n->waiting;
		q->next = n->asked;
		n->asked = q;
		n->n_asked++;
		start(q);
	}
}

static void finish(struct question *q, int rc)
{
	struct weft_names *n = q->names;
	struct weft_cand_answer answer = {0};

	if (n->closing)
		return; /* weft_names_free has it */
	if (!rc)
		rc = collect(q, &answer);
	if (rc && rc != -ENOENT && rc != -ENOMEM && n->mark && !q->unmarked) {
		weft_cand_answer_clear(&answer);
		for (size_t i = 0; i < q->n_hosts; i++)
			weft_cand_answer_clear(&q->hosts[i].answer);
		q->unmarked = true;
		start(q);
		return;
	}
	unlink_question(q);
	n->done(n->ctx, q->id, rc, &answer);
	weft_cand_answer_clear(&answer);
	free_question(q);
	start_waiting(n);
}

/* ---- answers ---- */

static bool is_place(const struct weft_ip *ip)
{
	static const struct weft_ip none4 = {.family = WEFT_IPV4}, none6 = {.family = WEFT_IPV6};

	/* what name servers that block a name answer with; and groups */
	return !weft_ip_equal(ip, &none4) && !weft_ip_equal(ip, &none6) &&
	       !(ip->family == WEFT_IPV4 && ip->b[0] >= 224) &&
	       !(ip->family == WEFT_IPV6 && ip->b[0] == 0xff);
}

static bool address_of(const struct ares_addrinfo_node *node, struct weft_ip *ret)
{
	*ret = (struct weft_ip){0};
	if (node->ai_family == AF_INET) {
		struct sockaddr_in a;

		memcpy(&a, node->ai_addr, sizeof(a));
		ret->family = WEFT_IPV4;
		memcpy(ret->b, &a.sin_addr, 4);
	} else if (node->ai_family == AF_INET6) {
		struct sockaddr_in6 a;

		memcpy(&a, node->ai_addr, sizeof(a));
		ret->family = WEFT_IPV6;
		memcpy(ret->b, &a.sin6_addr, 16);
	}
	return ret->family != WEFT_NONE && is_place(ret);
}

static int take_addresses(struct host *h, const struct ares_addrinfo *found)
{
	uint32_t ttl = UINT32_MAX;
	int rc = 0;

	for (const struct ares_addrinfo_cname *c = found->cnames; c; c = c->next)
		if (c->ttl >= 0 && (uint32_t)c->ttl < ttl)
			ttl = (uint32_t)c->ttl;
	for (const struct ares_addrinfo_node *node = found->nodes; node && !rc;
	     node = node->ai_next) {
		struct weft_endpoint ep = {.port = h->port};

		if (!address_of(node, &ep.ip))
			continue;
		if (node->ai_ttl >= 0 && (uint32_t)node->ai_ttl < ttl)
			ttl = (uint32_t)node->ai_ttl;
		rc = weft_cand_answer_add(&h->answer, &ep, NULL);
	}
	h->answer.ttl_s = ttl;
	return rc == WEFT_E_LIMIT ? 0 : rc;
}

static void on_addresses(void *arg, int status, int timeouts, struct ares_addrinfo *found)
{
	struct host *h = arg;
	struct question *q = h->q;

	(void)timeouts;
	h->rc = code_of(status);
	if (!h->rc && found)
		h->rc = take_addresses(h, found);
	if (found)
		ares_freeaddrinfo(found);
	if (--q->pending == 0)
		finish(q, 0); /* collect says what is wrong */
}

static void ask_hosts(struct question *q)
{
	static const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC,
							 .ai_socktype = SOCK_DGRAM};
	ares_channel channel = q->names->channels[q->unmarked];
	size_t n = q->n_hosts;

	q->pending = n + 1; /* so that none that is done at once is the last */
	for (size_t i = 0; i < n; i++)
		ares_getaddrinfo(channel, q->hosts[i].name, NULL, &hints, on_addresses,
				 &q->hosts[i]);
	if (--q->pending == 0)
		finish(q, 0);
}

static void on_srv(void *arg, int status, int timeouts, unsigned char *answer, int len)
{
	struct question *q = arg;
	struct weft_srv_list list = {0};
	int rc = code_of(status);

	(void)timeouts;
	if (!rc)
		rc = weft_srv_parse(answer, len > 0 ? (size_t)len : 0, &list);
	if (rc) {
		finish(q, rc);
		return;
	}
	weft_srv_order(&list, q->names->seed);
	q->ttl_s = list.ttl_s;
	q->n_hosts = list.n;
	for (size_t i = 0; i < list.n; i++) {
		struct host *h = &q->hosts[i];

		*h = (struct host){.q = q, .port = list.v[i].port};
		snprintf(h->name, sizeof(h->name), "%s", list.v[i].target);
	}
	ask_hosts(q);
}

/* ---- questions ---- */

/* Before it is connected, so that the mark counts for the route. */
static int on_socket(ares_socket_t fd, int type, void *data)
{
	const struct weft_names *n = data;

	(void)type;
	return setsockopt(fd, SOL_SOCKET, SO_MARK, &n->mark, sizeof(n->mark)) ? -1 : 0;
}

static int open_channel(struct weft_names *n, bool unmarked)
{
	char lookups[] = "fb"; /* /etc/hosts, then DNS */
	struct ares_options options = {.timeout = TIMEOUT_MS, .tries = TRIES, .lookups = lookups};
	ares_channel *channel = &n->channels[unmarked];

	if (*channel)
		return 0;
	if (ares_init_options(channel, &options,
			      ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS) !=
	    ARES_SUCCESS) {
		*channel = NULL;
		return -ENOMEM;
	}
	if (!unmarked)
		ares_set_socket_configure_callback(*channel, on_socket, n);
	return 0;
}

static void start(struct question *q)
{
	int rc;

	if (!q->names->mark)
		q->unmarked = true;
	q->start_ms = now_ms();
	rc = open_channel(q->names, q->unmarked);
	if (rc) {
		finish(q, rc);
	} else if (q->srv) {
		q->n_hosts = 0;
		ares_query(q->names->channels[q->unmarked], q->text, CLASS_IN, TYPE_SRV, on_srv, q);
	} else {
		ask_hosts(q);
	}
}

/* An address with a zone, as in "fe80::1%eth0". False: it is none, or there is no such zone. */
static bool zoned(const char *host, uint16_t port, struct weft_endpoint *ret)
{
	const char *percent = strchr(host, '%');

	*ret = (struct weft_endpoint){.port = port};
	if (!percent || weft_ip_parse(host, (size_t)(percent - host), &ret->ip))
		return false;
	ret->scope_id = if_nametoindex(percent + 1);
	return ret->scope_id != 0;
}

/* Sets what is asked for. 0, or -EINVAL: it is no endpoint. An address is its own answer. */
static int read_text(struct question *q, const char *text)
{
	struct weft_conf_peer peer = {0};
	struct weft_conf_name name;
	struct host *h = &q->hosts[0];
	bool is_name = false;
	char *end;
	unsigned long port;

	snprintf(q->text, sizeof(q->text), "%s", text);
	q->srv = text[0] == '_' && !strchr(text, ':');
	q->ttl_s = UINT32_MAX;
	if (q->srv)
		return strlen(text) < sizeof(q->text) ? 0 : -EINVAL;
	if (weft_value_endpoint(text, strlen(text), &peer, &name, &is_name) != WEFT_FAULT_NONE)
		return -EINVAL;
	q->n_hosts = 1;
	h->q = q;
	if (!is_name)
		return weft_cand_answer_add(&h->answer, &peer.endpoint, NULL);
	port = strtoul(name.port, &end, 10);
	if (*end || !port || port > UINT16_MAX)
		return -EINVAL;
	if (zoned(name.host, (uint16_t)port, &peer.endpoint))
		return weft_cand_answer_add(&h->answer, &peer.endpoint, NULL);
	h->port = (uint16_t)port;
	snprintf(h->name, sizeof(h->name), "%s", name.host);
	return 0;
}

int weft_names_ask(struct weft_names *n, uint64_t id, const char *text, uint32_t mark)
{
	struct question *q = calloc(1, sizeof(*q));
	struct weft_cand_answer none = {0};
	int rc;

	if (!q)
		return -ENOMEM;
	*q = (struct question){.names = n, .id = id};
	rc = read_text(q, text);
	if (rc == -ENOMEM) {
		free_question(q);
		return rc;
	}
	q->hosts[0].answer.ttl_s = UINT32_MAX;
	if (rc || q->hosts[0].answer.n) {
		n->done(n->ctx, id, rc, rc ? &none : &q->hosts[0].answer);
		free_question(q);
		return 0;
	}
	if (!n->n_asked)
		n->mark = mark;
	*n->last = q;
	n->last = &q->next;
	start_waiting(n);
	return 0;
}

size_t weft_names_fds(struct weft_names *n, struct pollfd fds[WEFT_NAMES_MAX_FDS])
{
	size_t count = 0;

	for (unsigned c = 0; c < 2; c++) {
		ares_socket_t socks[ARES_GETSOCK_MAXNUM];
		int mask = n->channels[c] ? ares_getsock(n->channels[c], socks, ARES_GETSOCK_MAXNUM)
					  : 0;

		for (unsigned i = 0; i < ARES_GETSOCK_MAXNUM && count < WEFT_NAMES_MAX_FDS; i++) {
			bool in = (unsigned)mask & (1u << i);
			bool out = (unsigned)mask & (1u << (i + ARES_GETSOCK_MAXNUM));

			if (in || out)
				fds[count++] = (struct pollfd){
					.fd = socks[i],
					.events = (short)((in ? POLLIN : 0) | (out ? POLLOUT : 0))};
		}
	}
	return count;
}

int weft_names_wait_ms(struct weft_names *n)
{
	int wait = -1;

	for (unsigned c = 0; c < 2; c++) {
		struct timeval tv, max = {.tv_sec = 1}; /* for the deadline */
		const struct timeval *t;
		int ms;

		if (!n->channels[c])
			continue;
		t = ares_timeout(n->channels[c], &max, &tv);
		ms = (int)(t->tv_sec * 1000 + t->tv_usec / 1000) + 1;
		if (wait < 0 || ms < wait)
			wait = ms;
	}
	return wait;
}

/* Nobody waits longer than the deadline, however many servers and search domains there are. */
static void give_up(struct weft_names *n)
{
	bool late[2] = {false};
	uint64_t now = now_ms();

	for (const struct question *q = n->asked; q; q = q->next)
		if (now - q->start_ms >= WEFT_NAMES_DEADLINE_MS)
			late[q->unmarked] = true;
	for (unsigned c = 0; c < 2; c++)
		if (late[c] && n->channels[c])
			ares_cancel(n->channels[c]);
}

void weft_names_process(struct weft_names *n, const struct pollfd *fds, size_t n_fds)
{
	bool any = false;

	for (size_t i = 0; i < n_fds; i++) {
		ares_socket_t in =
			fds[i].revents & (POLLIN | POLLERR | POLLHUP) ? fds[i].fd : ARES_SOCKET_BAD;
		ares_socket_t out = fds[i].revents & POLLOUT ? fds[i].fd : ARES_SOCKET_BAD;

		for (unsigned c = 0; c < 2 && fds[i].revents; c++)
			if (n->channels[c])
				ares_process_fd(n->channels[c], in, out);
		any = any || fds[i].revents;
	}
	for (unsigned c = 0; c < 2 && !any; c++) /* for its timeouts */
		if (n->channels[c])
			ares_process_fd(n->channels[c], ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	give_up(n);
	if (!n->asked)
		close_channels(n);
}

/* ---- one, waiting for it ---- */

struct one {
	bool done;
	int rc;
	struct weft_cand_answer answer;
};

static void on_one(void *ctx, uint64_t id, int rc, struct weft_cand_answer *answer)
{
	struct one *one = ctx;

	(void)id;
	one->done = true;
	one->rc = rc;
	one->answer = *answer;
	*answer = (struct weft_cand_answer){0};
}

int weft_names_now(const char *text, uint32_t mark, struct weft_cand_answer *ret_answer)
{
	struct weft_names *n;
	struct one one = {0};
	int rc = weft_names_new(&n, 0, on_one, &one);

	if (rc)
		return rc;
	rc = weft_names_ask(n, 0, text, mark);
	while (!rc && !one.done) {
		struct pollfd fds[WEFT_NAMES_MAX_FDS];
		size_t count = weft_names_fds(n, fds);

		if (poll(fds, count, weft_names_wait_ms(n)) < 0) {
			for (size_t i = 0; i < count; i++)
				fds[i].revents = 0;
			rc = errno == EINTR ? 0 : -errno;
		}
		weft_names_process(n, fds, count);
	}
	weft_names_free(n);
	if (!rc)
		rc = one.rc;
	if (rc)
		weft_cand_answer_clear(&one.answer);
	else
		*ret_answer = one.answer;
	return rc;
}
