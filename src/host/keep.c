/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper's loop. What it decides is in candidates.c. */
#include "host/keep.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "control/device.h"
#include "host/keep_internal.h"
#include "host/names.h"
#include "linux/link.h"
#include "linux/privilege.h"
#include "util/encoding.h"

#define S          1000000000ull
#define LOCK_TRIES 100
#define LOCK_NS    10000000
#define STEPS      1024 /* of one peer at one time: more than it has addresses */
/* A look is not repeated before a hundred times as long as it took has passed, or this. */
#define COST    100
#define REST_NS (S / 5)

enum { FD_TIMER, FD_LINK, FD_FILES, FD_FIXED };

struct keeper {
	const char *ifname;
	unsigned ifindex;
	struct weft_keep k;
	struct weft_kept *kept; /* one a peer */
	struct weft_text view;  /* endpoints.json as it was written last */
	struct weft_names *names;
	struct weft_link *link;
	int timer_fd, files_fd, lock_fd;
	uint32_t mark; /* the device's */
	uint64_t look_ns, rest_ns;
	bool again; /* an answer has come */
	bool gone;  /* the interface, or keep.json */
};

/* For what is asked of a peer, where there are two to be told. */
struct asking {
	struct keeper *keeper;
	size_t peer;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	/* counts while the host sleeps, as sessions and TTLs do */
	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * S + (uint64_t)t.tv_nsec;
}

/* ---- the file ---- */

static bool same_lines(const struct weft_cand_peer *a, const struct weft_cand_peer *b)
{
	size_t i = 0;

	while (i < a->n_lines && i < b->n_lines && a->lines[i].kind == b->lines[i].kind &&
	       strcmp(a->lines[i].text, b->lines[i].text) == 0)
		i++;
	return i == a->n_lines && i == b->n_lines;
}

/* A peer that has stayed keeps what is known of it; nothing is being asked any more. */
static void carry_over(struct weft_cand_peer *to, struct weft_cand_peer *from)
{
	struct weft_cand_peer swap = *to;

	for (size_t i = 0; i < from->n_lines; i++) {
		from->lines[i].number = to->lines[i].number;
		if (from->lines[i].asking)
			from->lines[i].ask_ns = 0;
		from->lines[i].asking = false;
	}
	*to = *from;
	*from = swap;
}

static int by_key(const void *a, const void *b)
{
	return memcmp(((const struct weft_cand_peer *)a)->key,
		      ((const struct weft_cand_peer *)b)->key, WEFT_KEY_LEN);
}

static struct weft_cand_peer *find(const struct weft_keep *k, const uint8_t key[WEFT_KEY_LEN])
{
	struct weft_cand_peer wanted = {0};

	memcpy(wanted.key, key, WEFT_KEY_LEN);
	return k->n_peers ? bsearch(&wanted, k->peers, k->n_peers, sizeof(wanted), by_key) : NULL;
}

static void on_name(void *ctx, uint64_t id, int rc, struct weft_cand_answer *answer);

/* Names are asked anew: what comes for the peers of before would be for others. */
static int restart_names(struct keeper *w)
{
	struct weft_names *fresh;
	uint64_t seed;
	int rc;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return -EIO;
	rc = weft_names_new(&fresh, seed, on_name, w);
	if (rc)
		return rc;
	weft_names_free(w->names);
	w->names = fresh;
	return 0;
}

static int install(struct keeper *w, struct weft_keep *k)
{
	struct weft_kept *kept = calloc(k->n_peers ? k->n_peers : 1, sizeof(*kept));
	int rc;

	if (!kept)
		return -ENOMEM;
	rc = restart_names(w);
	if (rc) {
		free(kept);
		return rc;
	}
	if (k->n_peers)
		qsort(k->peers, k->n_peers, sizeof(*k->peers), by_key);
	for (size_t i = 0; i < k->n_peers; i++) {
		struct weft_cand_peer *old = find(&w->k, k->peers[i].key);

		if (!old || !same_lines(old, &k->peers[i]))
			continue;
		carry_over(&k->peers[i], old);
		kept[i] = w->kept[old - w->k.peers];
	}
	weft_keep_clear(&w->k);
	free(w->kept);
	w->k = *k;
	w->kept = kept;
	*k = (struct weft_keep){0};
	return 0;
}

/* Reads keep.json. One that cannot be read leaves what is. */
static int read_file(struct keeper *w)
{
	struct weft_text text = {0};
	struct weft_keep k = {0};
	struct weft_diag diag = {.source = "keep.json"};
	char said[1024];
	int rc = weft_keep_read_file(w->ifname, "keep.json", &text);

	if (!rc)
		rc = weft_keep_parse(text.p, text.len, &k, &diag);
	if (rc == WEFT_E_PARSE)
		fprintf(stderr, "weft keep: %s: %s\n", w->ifname,
			weft_diag_format(&diag, said, sizeof(said)));
	if (!rc)
		rc = install(w, &k);
	weft_keep_clear(&k);
	weft_text_clear(&text);
	w->again = true;
	return rc;
}

/* ---- a look ---- */

static uint64_t realtime_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * S + (uint64_t)t.tv_nsec;
}

static void see(struct keeper *w, const struct weft_conf_peer *p, uint64_t now, uint64_t wall)
{
	struct weft_cand_peer *c = find(&w->k, p->public_key);
	const struct weft_conf_extra *age =
		weft_conf_find_extra(&p->extras, "last_received_age_ms");
	uint64_t at = p->last_handshake_sec * S + p->last_handshake_nsec;
	const struct weft_cand_seen seen = {
		.endpoint = p->endpoint,
		.handshake = at,
		.handshake_age_ns = wall > at ? wall - at : 0,
		.has_received = age != NULL,
		.received_age_ns = age ? age->value * 1000000 : 0,
		.tx = p->tx_bytes,
		.rx = p->rx_bytes,
		.keepalive_s = p->keepalive_s,
	};

	if (c)
		weft_cand_look(c, &seen, now);
}

/* Packets to it can leave, and not into the tunnel that they come from. */
static bool usable(void *ctx, const struct weft_endpoint *ep)
{
	struct asking *a = ctx;
	unsigned ifindex;

	if (ep->scope_id) /* its interface is given */
		return true;
	if (weft_route_lookup(a->keeper->link, &ep->ip, NULL, a->keeper->mark, &ifindex))
		return false;
	if (ifindex != a->keeper->ifindex)
		return true;
	weft_endpoint_format(ep, a->keeper->kept[a->peer].refused);
	return false;
}

static void report(const struct keeper *w, const struct weft_cand_peer *p)
{
	char key[WEFT_KEY_BASE64_LEN + 1], text[WEFT_ENDPOINT_TEXT_LEN];

	weft_key_to_base64(key, p->key);
	fprintf(stderr, "weft keep: interface=%s peer=%s endpoint=%s reason=\"%s\"\n", w->ifname,
		key, weft_endpoint_format(&p->now, text), weft_cand_why_name(p->why));
}

static int add_set(struct weft_conf_device *change, const struct weft_cand_peer *p)
{
	struct weft_conf_peer *to;
	int rc = weft_conf_add_peer(change, &to);

	if (rc)
		return rc;
	memcpy(to->public_key, p->key, WEFT_KEY_LEN);
	to->has = WEFT_PEER_UPDATE_ONLY | WEFT_PEER_HAS_ENDPOINT;
	to->endpoint = p->now;
	return 0;
}

static int step_peer(struct keeper *w, size_t i, uint64_t now, struct weft_conf_device *change)
{
	struct asking asking = {.keeper = w, .peer = i};
	struct weft_cand_peer *p = &w->k.peers[i];
	int rc = 0;

	for (int n = 0; n < STEPS && !rc; n++) {
		struct weft_cand_action a;

		weft_cand_step(p, &w->k.times, now, usable, &asking, &a);
		if (a.what == WEFT_CAND_NOTHING)
			break;
		if (a.what == WEFT_CAND_ASK) {
			rc = weft_names_ask(w->names, (uint64_t)i << 8 | a.line,
					    p->lines[a.line].text, w->mark);
		} else {
			rc = add_set(change, p);
			report(w, p);
		}
	}
	return rc;
}

static void on_name(void *ctx, uint64_t id, int rc, struct weft_cand_answer *answer)
{
	struct keeper *w = ctx;
	struct weft_cand_peer *p = &w->k.peers[id >> 8];
	uint64_t now = now_ns();

	if (rc)
		weft_cand_unresolved(p, &w->k.times, id & 0xff, rc, now);
	else
		weft_cand_resolved(p, &w->k.times, id & 0xff, answer, now);
	w->again = true;
}

static bool has_stopped(const struct keeper *w)
{
	char path[WEFT_KEEP_PATH_LEN];

	return weft_keep_path(path, w->ifname, "keep.json") || access(path, F_OK);
}

static int write_view(struct keeper *w, uint64_t now)
{
	struct weft_text text = {0};
	int rc;

	for (size_t i = 0; i < w->k.n_peers; i++) {
		uint64_t since = w->k.peers[i].since_ns;

		if (w->kept[i].since_ns == since)
			continue;
		w->kept[i].since_ns = since;
		w->kept[i].since = (int64_t)((realtime_ns() - (now - since)) / S);
	}
	rc = weft_keep_view(w->ifname, &w->k, w->kept, &text);
	if (!rc && (text.len != w->view.len || memcmp(text.p, w->view.p, text.len) != 0)) {
		rc = weft_keep_write_file(w->ifname, "endpoints.json", &text);
		if (!rc) {
			struct weft_text swap = w->view;

			w->view = text;
			text = swap;
		}
	}
	weft_text_clear(&text);
	return rc;
}

/* One of the interface and all of its peers. */
static int look(struct keeper *w)
{
	struct weft_conf_device dev = {0}, change = {0};
	uint64_t now = now_ns(), wall = realtime_ns();
	int rc = weft_control_get(WEFT_BACKEND_AUTO, w->ifname, &dev);

	w->again = false;
	for (size_t i = 0; i < dev.n_peers && !rc; i++)
		see(w, &dev.peers[i], now, wall);
	if (!rc)
		w->mark = dev.fwmark;
	weft_conf_device_clear(&dev);
	w->look_ns = now;
	w->rest_ns = COST * (now_ns() - now);
	for (size_t i = 0; i < w->k.n_peers && !rc; i++)
		if (w->k.peers[i].looked)
			rc = step_peer(w, i, now, &change);
	if (!rc && change.n_peers && !has_stopped(w))
		rc = weft_control_set(WEFT_BACKEND_AUTO, w->ifname, &change);
	weft_conf_device_clear(&change);
	return rc ? rc : write_view(w, now);
}

/* ---- waiting ---- */

static void set_timer(const struct keeper *w)
{
	uint64_t due = w->again ? 0 : w->look_ns + 3600 * S, rest = w->rest_ns;
	struct itimerspec t = {{0}, {0}};

	for (size_t i = 0; i < w->k.n_peers; i++)
		if (w->k.peers[i].looked) {
			uint64_t peer = weft_cand_due(&w->k.peers[i], &w->k.times);

			due = peer < due ? peer : due;
		}
	if (rest < REST_NS)
		rest = REST_NS;
	if (due < w->look_ns + rest)
		due = w->look_ns + rest;
	t.it_value.tv_sec = (time_t)(due / S);
	t.it_value.tv_nsec = (long)(due % S);
	timerfd_settime(w->timer_fd, TFD_TIMER_ABSTIME, &t, NULL);
}

/* True if the time has come. */
static bool timer_is_over(const struct keeper *w)
{
	uint64_t times;

	return read(w->timer_fd, &times, sizeof(times)) == sizeof(times);
}

static void note_link(struct keeper *w)
{
	int changes = weft_link_read(w->link);

	if (changes > 0 && (changes & WEFT_LINK_DELETED))
		w->gone = true;
}

static void note_files(struct keeper *w)
{
	char buf[4096] __attribute__((aligned(8)));
	bool changed = false;
	ssize_t n;

	while ((n = read(w->files_fd, buf, sizeof(buf))) > 0)
		for (ssize_t at = 0; at < n;) {
			struct inotify_event e;

			memcpy(&e, buf + at, sizeof(e));
			changed = changed || (e.mask & (IN_Q_OVERFLOW | IN_DELETE_SELF)) ||
				  (e.len && strcmp(buf + at + sizeof(e), "keep.json") == 0);
			at += (ssize_t)(sizeof(e) + e.len);
		}
	if (changed && read_file(w) == -ENOENT)
		w->gone = true;
}

static int wait_and_note(struct keeper *w)
{
	struct pollfd fds[FD_FIXED + WEFT_NAMES_MAX_FDS] = {
		[FD_TIMER] = {.fd = w->timer_fd, .events = POLLIN},
		[FD_LINK] = {.fd = weft_link_fd(w->link), .events = POLLIN},
		[FD_FILES] = {.fd = w->files_fd, .events = POLLIN},
	};
	size_t n = weft_names_fds(w->names, fds + FD_FIXED);
	int rc;

	set_timer(w);
	rc = poll(fds, FD_FIXED + n, weft_names_wait_ms(w->names));
	if (rc < 0)
		return errno == EINTR ? 0 : -errno;
	weft_names_process(w->names, fds + FD_FIXED, n);
	if (fds[FD_LINK].revents)
		note_link(w);
	if (fds[FD_FILES].revents)
		note_files(w);
	if (!w->gone && fds[FD_TIMER].revents && timer_is_over(w))
		rc = look(w);
	else
		rc = 0;
	/* the message may have been lost, and the name may be another's by now */
	if (rc && if_nametoindex(w->ifname) != w->ifindex) {
		w->gone = true;
		rc = 0;
	}
	/* a daemon that does not answer now may later; with its interface it goes */
	if (rc && rc != -ENOMEM) {
		fprintf(stderr, "weft keep: %s: %s\n", w->ifname, weft_strerror(rc));
		w->rest_ns = w->k.times.look_s * S;
		rc = 0;
	}
	return rc;
}

/* ---- beginning and end ---- */

static int take_lock(struct keeper *w)
{
	const struct timespec t = {.tv_nsec = LOCK_NS};

	/* the one of an interface that has just gone may not have ended yet */
	for (int i = 0; i < LOCK_TRIES; i++) {
		w->lock_fd = weft_keep_lock(w->ifname);
		if (w->lock_fd != -EAGAIN)
			break;
		nanosleep(&t, NULL);
	}
	return w->lock_fd < 0 ? w->lock_fd : 0;
}

static int watch(struct keeper *w)
{
	char path[WEFT_KEEP_PATH_LEN];
	int rc = weft_keep_path(path, w->ifname, "");

	if (rc)
		return rc;
	w->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	w->files_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (w->timer_fd < 0 || w->files_fd < 0 ||
	    inotify_add_watch(w->files_fd, path,
			      IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM |
				      IN_DELETE_SELF) < 0)
		return -errno;
	w->ifindex = if_nametoindex(w->ifname);
	return w->ifindex ? weft_link_open(&w->link, w->ifindex) : -ENODEV;
}

static void finish(struct keeper *w)
{
	char path[WEFT_KEEP_PATH_LEN];

	if (w->view.len && weft_keep_path(path, w->ifname, "endpoints.json") == 0)
		unlink(path);
	weft_names_free(w->names);
	if (w->link)
		weft_link_close(w->link);
	if (w->timer_fd >= 0)
		close(w->timer_fd);
	if (w->files_fd >= 0)
		close(w->files_fd);
	weft_keep_clear(&w->k);
	free(w->kept);
	weft_text_clear(&w->view);
	if (w->lock_fd >= 0)
		close(w->lock_fd);
}

int weft_keep_run(const char *ifname)
{
	struct keeper w = {.ifname = ifname, .timer_fd = -1, .files_fd = -1, .lock_fd = -1};
	int rc = take_lock(&w);

	if (rc == -EAGAIN)
		return 0;
	if (!rc)
		rc = watch(&w);
	if (!rc)
		rc = weft_priv_drop();
	if (!rc)
		rc = read_file(&w);
	while (!rc && !w.gone)
		rc = wait_and_note(&w);
	finish(&w);
	return rc;
}
