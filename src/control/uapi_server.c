/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The UAPI socket's server: accepts, collects requests, sends answers, and never waits. Listening
 * socket and the watch over its file are in uapi_listen.c; what the text means is in conf/uapi.c;
 * what the device does is behind the handlers.
 *
 * Rules towards clients:
 * - One operation at a time for each: the next one is looked at when the answer to the last is
 *   sent, so a client that does not read cannot make us hold more than one answer for it.
 * - What all clients together have sent and not finished stays under WEFT_UAPI_MAX_REQUEST.
 * - Half a request, or an unread answer, without progress for the idle time: the client is let go.
 * - With every slot taken, a new client takes the place of the one that was silent longest.
 */
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "control/device.h"
#include "control/uapi_listen.h"
#include "control/uapi_server_internal.h"

#define IDLE_MS          30000u
#define READ_BYTES       (64u * 1024)
#define READS_PER_RUN    4
#define OPS_PER_RUN      4
#define EVENTS_PER_RUN   16
#define ACCEPTS_PER_RUN  8
#define BIG_OPERATION    (1u << 20) /* bytes of a set */
#define FIRST_LINE_BYTES 6          /* "get=1\n" or "set=1\n" */

struct client {
	int fd; /* -1: the slot is free */
	uint32_t generation;
	uint32_t events; /* what epoll is asked for */
	struct weft_text in, out;
	size_t line_start; /* of the line in `in` that has not ended yet */
	size_t scanned;    /* bytes of `in` that were searched for its end */
	size_t sent;       /* bytes of `out` */
	uint64_t active_ms;
	bool eof;    /* it sends no more */
	bool ending; /* close once `out` is sent */
	bool again;  /* stopped at OPS_PER_RUN */
};

struct weft_uapi_server {
	struct weft_uapi_handlers handlers;
	struct weft_uapi_listen listen;
	int epoll_fd, timer_fd, again_fd;
	bool timer_on;
	uint64_t idle_ms;
	size_t in_bytes; /* sum of all clients' in.len */
	struct client clients[WEFT_UAPI_MAX_CLIENTS];
	char scratch[READ_BYTES];
};

enum source { FROM_LISTEN = WEFT_UAPI_MAX_CLIENTS, FROM_WATCH, FROM_TIMER, FROM_AGAIN };

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int watch_fd(struct weft_uapi_server *s, int fd, enum source source)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = (uint64_t)source};

	return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

static void drop_client(struct weft_uapi_server *s, struct client *c)
{
	if (c->fd < 0)
		return;
	close(c->fd);
	s->in_bytes -= c->in.len;
	weft_text_clear(&c->in);
	weft_text_clear(&c->out);
	*c = (struct client){.fd = -1, .generation = c->generation + 1};
}

/* Takes the first `n` bytes of the input away and wipes what they left behind. */
static void consume(struct weft_uapi_server *s, struct client *c, size_t n)
{
	size_t left = c->in.len - n;

	s->in_bytes -= n;
	c->line_start = 0;
	c->scanned = 0;
	if (left == 0) {
		weft_text_clear(&c->in);
		return;
	}
	memmove(c->in.p, c->in.p + n, left);
	weft_wipe(c->in.p + left, n);
	c->in.len = left;
}

/* The number that goes on the wire for one of our codes: an errno, without a sign. */
static int wire_errno(int rc)
{
	if (rc >= 0)
		return 0;
	if (rc > -1000)
		return -rc;
	switch (rc) {
	case WEFT_E_LIMIT:
		return ENOSPC;
	case WEFT_E_IN_USE:
		return EADDRINUSE;
	case WEFT_E_PARSE:
	case WEFT_E_BAD_KEY_TEXT:
		return EINVAL;
	default:
		return EIO;
	}
}

/* wg takes the sign of a set's errno as negative, and digits alone in a get's. */
static int answer(struct client *c, bool set, int rc)
{
	int n = wire_errno(rc);

	return weft_text_printf(&c->out, "errno=%s%d\n\n", set && n ? "-" : "", n);
}

static int do_get(struct weft_uapi_server *s, struct client *c)
{
	int rc = s->handlers.get(s->handlers.ctx, &c->out);

	if (rc) /* half an answer is none */
		weft_text_clear(&c->out);
	return answer(c, false, rc);
}

/* `body`: the lines between "set=1\n" and the empty line. */
static int do_set(struct weft_uapi_server *s, struct client *c, const char *body, size_t len)
{
	struct weft_conf_device change = {0};
	int rc = weft_uapi_parse_set(body, len, &change, NULL);

	for (size_t i = 0; !rc && i < change.n_peers; i++) {
		struct weft_conf_peer *peer = &change.peers[i];

		if (!peer->endpoint_zone[0])
			continue;
		peer->endpoint.scope_id = if_nametoindex(peer->endpoint_zone);
		if (peer->endpoint.scope_id == 0)
			rc = -EINVAL;
	}
	if (!rc)
		rc = s->handlers.set(s->handlers.ctx, &change);
	weft_conf_device_clear(&change);
	if (len >= BIG_OPERATION) /* a million peers leave a hundred megabytes of small pieces */
		(void)malloc_trim(0);
	return answer(c, true, rc);
}

enum found { NOTHING, OPERATION, TOO_LONG };

/* Looks for the empty line that ends a set; `*ret_end` is its offset. */
static enum found find_end(struct client *c, size_t *ret_end)
{
	while (c->scanned < c->in.len) {
		const char *from = c->in.p + c->scanned;
		const char *nl = memchr(from, '\n', c->in.len - c->scanned);
		size_t at = nl ? (size_t)(nl - c->in.p) : c->in.len;

		if (at - c->line_start > WEFT_UAPI_MAX_LINE)
			return TOO_LONG;
		c->scanned = nl ? at + 1 : at;
		if (!nl)
			break;
		if (at == c->line_start) {
			*ret_end = at;
			return OPERATION;
		}
		c->line_start = at + 1;
	}
	return NOTHING;
}

/* One operation, if a whole one is there. 1: done; 0: more bytes needed; negative: let it go. */
static int next_operation(struct weft_uapi_server *s, struct client *c)
{
	size_t have = c->in.len, first = have < FIRST_LINE_BYTES ? have : FIRST_LINE_BYTES;
	size_t end = 0;
	int rc;

	if (have == 0)
		return 0;
	if (memcmp(c->in.p, "get=1\n", first) == 0) {
		if (have <= FIRST_LINE_BYTES)
			return 0;
		if (c->in.p[FIRST_LINE_BYTES] == '\n') {
			rc = do_get(s, c);
		} else { /* a get has no body, and where this one ends cannot be known */
			c->ending = true;
			rc = answer(c, false, -EINVAL);
		}
		consume(s, c, FIRST_LINE_BYTES + 1);
		return rc ? rc : 1;
	}
	if (memcmp(c->in.p, "set=1\n", first) != 0)
		return -EPROTO;
	if (have < FIRST_LINE_BYTES)
		return 0;
	if (c->line_start == 0)
		c->line_start = c->scanned = FIRST_LINE_BYTES;
	switch (find_end(c, &end)) {
	case NOTHING:
		return 0;
	case TOO_LONG:
		c->ending = true;
		rc = answer(c, true, -EINVAL);
		consume(s, c, c->in.len);
		break;
	case OPERATION:
	default:
		rc = do_set(s, c, c->in.p + FIRST_LINE_BYTES, end - FIRST_LINE_BYTES);
		consume(s, c, end + 1);
		break;
	}
	return rc ? rc : 1;
}

/* Sends what can be sent. False: the client is gone. */
static bool flush(struct client *c)
{
	while (c->sent < c->out.len) {
		ssize_t n = send(c->fd, c->out.p + c->sent, c->out.len - c->sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK;
		c->sent += (size_t)n;
		c->active_ms = now_ms();
	}
	weft_text_clear(&c->out);
	c->sent = 0;
	return true;
}

/* Reads what is there, up to the bound for one run. False: let the client go. */
static bool fill(struct weft_uapi_server *s, struct client *c)
{
	for (int i = 0; i < READS_PER_RUN; i++) {
		ssize_t n = recv(c->fd, s->scratch, sizeof(s->scratch), MSG_DONTWAIT);
		int rc;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK;
		if (n == 0) {
			c->eof = true;
			return true;
		}
		c->active_ms = now_ms();
		rc = s->in_bytes + (size_t)n > WEFT_UAPI_MAX_REQUEST
			     ? -ENOMEM
			     : weft_text_append(&c->in, s->scratch, (size_t)n);
		weft_wipe(s->scratch, (size_t)n);
		if (rc)
			return false;
		s->in_bytes += (size_t)n;
		if ((size_t)n < sizeof(s->scratch))
			break;
	}
	return true;
}

/* Answers what is complete, then asks epoll for what is still needed. */
static void serve(struct weft_uapi_server *s, struct client *c)
{
	struct epoll_event ev = {0};
	int ops = 0, rc = 0;

	c->again = false;
	for (;;) {
		if (!flush(c))
			goto gone;
		if (c->out.len) /* it has to read first */
			break;
		if (c->ending)
			goto gone;
		if (ops == OPS_PER_RUN) {
			c->again = c->in.len > 0;
			break;
		}
		rc = next_operation(s, c);
		if (rc < 0)
			goto gone;
		if (rc == 0)
			break;
		ops++;
	}
	if (c->eof && !c->out.len && !c->again)
		goto gone;
	if (c->out.len)
		ev.events = EPOLLOUT;
	else if (!c->eof && !c->again)
		ev.events = EPOLLIN;
	ev.data.u64 = (uint64_t)c->generation << 32 | (uint64_t)(c - s->clients);
	if (ev.events != c->events && epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev))
		goto gone;
	c->events = ev.events;
	if (c->again && eventfd_write(s->again_fd, 1) && errno != EAGAIN)
		goto gone;
	return;
gone:
	drop_client(s, c);
}

static void on_client(struct weft_uapi_server *s, const struct epoll_event *ev)
{
	struct client *c = &s->clients[ev->data.u64 & UINT32_MAX];

	if (c->fd < 0 || c->generation != (uint32_t)(ev->data.u64 >> 32))
		return; /* its slot has changed hands in this very run */
	/* A hang-up or an error shows in the next read or write: bytes sent before it still count.
	 */
	if ((c->events & EPOLLIN) && !fill(s, c)) {
		drop_client(s, c);
		return;
	}
	serve(s, c);
}

/* The client that was silent longest, or NULL without any. */
static struct client *oldest_client(struct weft_uapi_server *s)
{
	struct client *oldest = NULL;

	for (size_t i = 0; i < WEFT_UAPI_MAX_CLIENTS; i++) {
		struct client *c = &s->clients[i];

		if (c->fd >= 0 && (!oldest || c->active_ms < oldest->active_ms))
			oldest = c;
	}
	return oldest;
}

static struct client *free_slot(struct weft_uapi_server *s)
{
	struct client *c;

	for (size_t i = 0; i < WEFT_UAPI_MAX_CLIENTS; i++)
		if (s->clients[i].fd < 0)
			return &s->clients[i];
	c = oldest_client(s);
	if (c)
		drop_client(s, c);
	return c;
}

static void on_listen(struct weft_uapi_server *s)
{
	for (int i = 0; i < ACCEPTS_PER_RUN; i++) {
		struct epoll_event ev = {.events = EPOLLIN};
		struct client *c;
		int fd = accept4(s->listen.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			/* Out of descriptors: give one back, or the queue keeps us spinning. */
			c = errno == EMFILE || errno == ENFILE ? oldest_client(s) : NULL;
			if (c)
				drop_client(s, c);
			return;
		}
		c = free_slot(s);
		if (!c) {
			close(fd);
			return;
		}
		ev.data.u64 = (uint64_t)c->generation << 32 | (uint64_t)(c - s->clients);
		if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &ev)) {
			close(fd);
			continue;
		}
		c->fd = fd;
		c->events = EPOLLIN;
		c->active_ms = now_ms();
	}
}

static bool waits_on_client(const struct client *c)
{
	return c->fd >= 0 && (c->in.len || c->out.len);
}

static void on_timer(struct weft_uapi_server *s)
{
	uint64_t expirations, now = now_ms();

	if (read(s->timer_fd, &expirations, sizeof(expirations)) < 0)
		return;
	for (size_t i = 0; i < WEFT_UAPI_MAX_CLIENTS; i++) {
		struct client *c = &s->clients[i];

		if (waits_on_client(c) && now - c->active_ms >= s->idle_ms)
			drop_client(s, c);
	}
}

static void on_again(struct weft_uapi_server *s)
{
	eventfd_t n;

	if (eventfd_read(s->again_fd, &n))
		return;
	for (size_t i = 0; i < WEFT_UAPI_MAX_CLIENTS; i++)
		if (s->clients[i].fd >= 0 && s->clients[i].again)
			serve(s, &s->clients[i]);
}

/* The clock ticks only while there is a client to lose patience with. */
static int set_timer(struct weft_uapi_server *s)
{
	struct itimerspec t = {0};
	bool needed = false;

	for (size_t i = 0; i < WEFT_UAPI_MAX_CLIENTS && !needed; i++)
		needed = waits_on_client(&s->clients[i]);
	if (needed == s->timer_on)
		return 0;
	if (needed) {
		uint64_t ms = s->idle_ms / 4 + 1;

		t.it_value.tv_sec = (time_t)(ms / 1000);
		t.it_value.tv_nsec = (long)(ms % 1000) * 1000000;
		t.it_interval = t.it_value;
	}
	if (timerfd_settime(s->timer_fd, 0, &t, NULL))
		return -errno;
	s->timer_on = needed;
	return 0;
}

int weft_uapi_server_run(struct weft_uapi_server *s)
{
	struct epoll_event events[EVENTS_PER_RUN];
	int n = epoll_wait(s->epoll_fd, events, EVENTS_PER_RUN, 0);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		switch (events[i].data.u64) {
		case FROM_LISTEN:
			on_listen(s);
			break;
		case FROM_WATCH:
			if (weft_uapi_listen_removed(&s->listen))
				return 1;
			break;
		case FROM_TIMER:
			on_timer(s);
			break;
		case FROM_AGAIN:
			on_again(s);
			break;
		default:
			on_client(s, &events[i]);
			break;
		}
	}
	return set_timer(s);
}

int weft_uapi_server_fd(const struct weft_uapi_server *s)
{
	return s->epoll_fd;
}

int weft_uapi_server_new_at(struct weft_uapi_server **ret_s, const char *dir, const char *ifname,
			    int fd, uint64_t idle_ms, const struct weft_uapi_handlers *handlers)
{
	struct weft_uapi_server *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	for (size_t i = 0; i < WEFT_UAPI_MAX_CLIENTS; i++)
		s->clients[i].fd = -1;
	s->handlers = *handlers;
	s->idle_ms = idle_ms;
	s->timer_fd = s->again_fd = s->epoll_fd = -1;
	rc = weft_uapi_listen_open(&s->listen, dir, ifname, fd);
	if (rc) {
		free(s);
		return rc;
	}
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	s->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	s->again_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (s->epoll_fd < 0 || s->timer_fd < 0 || s->again_fd < 0)
		rc = -errno;
	if (!rc)
		rc = watch_fd(s, s->listen.fd, FROM_LISTEN);
	if (!rc && s->listen.watch_fd >= 0)
		rc = watch_fd(s, s->listen.watch_fd, FROM_WATCH);
	if (!rc)
		rc = watch_fd(s, s->timer_fd, FROM_TIMER);
	if (!rc)
		rc = watch_fd(s, s->again_fd, FROM_AGAIN);
	if (rc) {
		if (fd >= 0) { /* it and its file are ours on success alone */
			s->listen.fd = -1;
			s->listen.addr.sun_path[0] = '\0';
		}
		weft_uapi_server_free(s);
		return rc;
	}
	*ret_s = s;
	return 0;
}

int weft_uapi_server_new(struct weft_uapi_server **ret_s, const char *ifname, int fd,
			 const struct weft_uapi_handlers *handlers)
{
	return weft_uapi_server_new_at(ret_s, WEFT_UAPI_DIR, ifname, fd, IDLE_MS, handlers);
}

void weft_uapi_server_free(struct weft_uapi_server *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < WEFT_UAPI_MAX_CLIENTS; i++)
		drop_client(s, &s->clients[i]);
	weft_uapi_listen_close(&s->listen);
	if (s->epoll_fd >= 0)
		close(s->epoll_fd);
	if (s->timer_fd >= 0)
		close(s->timer_fd);
	if (s->again_fd >= 0)
		close(s->again_fd);
	free(s);
}
