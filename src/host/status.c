/* SPDX-License-Identifier: Apache-2.0 */
/* Conclusions on peers. */
#include "host/status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/value.h"
#include "util/encoding.h"

#define SHORT_KEY_LEN 8

/*
 * Initiations without an answer, one each 5 s: from how many on the peer counts as down. One that
 * was heard within the life of a session is given one more, for a packet may get lost.
 */
#define UNANSWERED       2
#define UNANSWERED_FRESH 3

const char *weft_health_name(enum weft_health health)
{
	return health == WEFT_HEALTH_DOWN ? "down" : health == WEFT_HEALTH_QUIET ? "quiet" : "up";
}

const char *weft_origin_name(enum weft_endpoint_origin origin)
{
	static const char *const names[] = {"none",   "file",    "name",   "kept",
					    "roamed", "learned", "unknown"};

	return names[origin];
}

const char *weft_tunnel_name(enum weft_tunnel tunnel)
{
	return tunnel == WEFT_TUNNEL_FULL ? "full" : tunnel == WEFT_TUNNEL_SPLIT ? "split" : "none";
}

const struct weft_quick_peer *weft_status_in_file(const struct weft_quick *file,
						  const uint8_t public_key[WEFT_KEY_LEN],
						  size_t *i_io)
{
	size_t n = file && file->n_peers == file->wg.dev.n_peers ? file->n_peers : 0;

	for (size_t i = 0; i < n; i++) {
		size_t at = (*i_io + i) % n;

		if (memcmp(file->wg.dev.peers[at].public_key, public_key, WEFT_KEY_LEN) != 0)
			continue;
		*i_io = at;
		return &file->peers[at];
	}
	return NULL;
}

void weft_status_name(const struct weft_quick_peer *peer, const uint8_t public_key[WEFT_KEY_LEN],
		      char ret[WEFT_STATUS_NAME_LEN])
{
	char key[WEFT_KEY_BASE64_LEN + 1];

	if (!peer || !peer->name) {
		weft_key_to_base64(key, public_key);
		(void)snprintf(ret, WEFT_STATUS_NAME_LEN, "%.*s…", SHORT_KEY_LEN, key);
		return;
	}
	(void)snprintf(ret, WEFT_STATUS_NAME_LEN, "%s", peer->name);
	for (char *c = ret; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
}

static uint64_t figure(const struct weft_conf_peer *p, const char *name, uint64_t otherwise)
{
	const struct weft_conf_extra *e = weft_conf_find_extra(&p->extras, name);

	return e ? e->value : otherwise;
}

bool weft_status_heard(const struct weft_conf_peer *peer, uint64_t now_sec, uint64_t *ret_s,
		       bool *ret_is_handshake)
{
	const struct weft_conf_extra *e =
		weft_conf_find_extra(&peer->extras, "last_received_age_ms");

	*ret_is_handshake = !e;
	*ret_s = 0;
	if (e)
		*ret_s = e->value / 1000;
	else if (now_sec > peer->last_handshake_sec) /* the clock may have gone back */
		*ret_s = now_sec - peer->last_handshake_sec;
	return e || peer->last_handshake_sec;
}

static const struct weft_conf_peer *same_peer(const struct weft_conf_device *dev,
					      const struct weft_conf_peer *peer, size_t guess)
{
	if (guess < dev->n_peers &&
	    memcmp(dev->peers[guess].public_key, peer->public_key, WEFT_KEY_LEN) == 0)
		return &dev->peers[guess];
	for (size_t i = 0; i < dev->n_peers; i++)
		if (memcmp(dev->peers[i].public_key, peer->public_key, WEFT_KEY_LEN) == 0)
			return &dev->peers[i];
	return NULL;
}

static void take_rates(const struct weft_status_facts *f, const struct weft_conf_peer *then,
		       struct weft_status_peer *s)
{
	/* a peer that was taken away and came again counts from 0 */
	if (!then || !f->then_ms || s->peer->rx_bytes < then->rx_bytes ||
	    s->peer->tx_bytes < then->tx_bytes)
		return;
	s->has_rates = true;
	s->rx_rate = (s->peer->rx_bytes - then->rx_bytes) * 1000 / f->then_ms;
	s->tx_rate = (s->peer->tx_bytes - then->tx_bytes) * 1000 / f->then_ms;
}

static enum weft_health health_of(const struct weft_status_facts *f,
				  const struct weft_status_peer *s)
{
	const struct weft_conf_peer *p = s->peer;
	const uint64_t unknown = UINT64_MAX;
	uint64_t unanswered = figure(p, "handshakes_unanswered", unknown);
	bool fresh = s->heard && s->heard_s < WEFT_STATUS_FRESH_S;

	if (!f->up)
		return WEFT_HEALTH_QUIET;
	if (unanswered != unknown && unanswered >= UNANSWERED_FRESH)
		return WEFT_HEALTH_DOWN;
	if (fresh)
		return WEFT_HEALTH_UP;
	if (unanswered != unknown)
		return unanswered >= UNANSWERED ? WEFT_HEALTH_DOWN : WEFT_HEALTH_QUIET;
	/* another than weftd: a keepalive alone brings a handshake every two minutes */
	if (s->heard && p->keepalive_s && p->endpoint.ip.family != WEFT_NONE)
		return WEFT_HEALTH_DOWN;
	/* what has been sent was never answered, or is being sent now and is not */
	if ((!s->heard && p->tx_bytes) || (s->has_rates && s->tx_rate && !s->rx_rate))
		return WEFT_HEALTH_DOWN;
	return WEFT_HEALTH_QUIET;
}

/* True if one of the peer's lines has this endpoint in numbers; `*ret_name`: one has a name. */
static bool file_has(const struct weft_quick_peer *peer, const struct weft_endpoint *endpoint,
		     const char **ret_name)
{
	*ret_name = NULL;
	for (size_t i = 0; i < peer->n_endpoints; i++) {
		const char *text = peer->endpoints[i].text;
		struct weft_endpoint e = {0};

		if (peer->endpoints[i].srv || weft_endpoint_parse(text, strlen(text), &e))
			*ret_name = *ret_name ? *ret_name : text;
		else if (weft_ip_equal(&e.ip, &endpoint->ip) && e.port == endpoint->port)
			return true;
	}
	return false;
}

/* What the note has to say. */
static void tell_note(const struct weft_note *note, struct weft_status_peer *s)
{
	s->endpoint_since = note->since;
	(void)snprintf(s->why, sizeof(s->why), "%s%s%s%s%s", note->origin,
		       note->origin[0] && note->reason[0] ? ": " : "", note->reason,
		       note->refused[0] ? "; refused: " : "", note->refused);
}

static void find_origin(const struct weft_status_facts *f, const struct weft_quick_peer *file,
			struct weft_status_peer *s)
{
	const struct weft_endpoint *e = &s->peer->endpoint;
	const struct weft_note *note =
		f->notes ? weft_notes_find(f->notes, s->peer->public_key) : NULL;
	char text[WEFT_ENDPOINT_TEXT_LEN];
	const char *name = NULL;

	if (e->ip.family == WEFT_NONE)
		return;
	if (note && note->endpoint.ip.family != WEFT_NONE) {
		bool same =
			weft_ip_equal(&note->endpoint.ip, &e->ip) && note->endpoint.port == e->port;

		s->origin = same ? WEFT_ORIGIN_NOTE : WEFT_ORIGIN_ROAMED;
		if (same)
			tell_note(note, s);
		else
			(void)snprintf(s->why, sizeof(s->why), "roamed, was %s",
				       weft_endpoint_format(&note->endpoint, text));
	} else if (!file) {
		s->origin = WEFT_ORIGIN_UNKNOWN;
	} else if (file_has(file, e, &name)) {
		s->origin = WEFT_ORIGIN_FILE;
		(void)snprintf(s->why, sizeof(s->why), "as in the file");
	} else if (name) {
		s->origin = WEFT_ORIGIN_NAME;
		(void)snprintf(s->why, sizeof(s->why), "the file has %s", name);
	} else if (file->n_endpoints) {
		s->origin = WEFT_ORIGIN_ROAMED;
		(void)snprintf(s->why, sizeof(s->why), "roamed, the file has %s",
			       file->endpoints[0].text);
	} else {
		s->origin = WEFT_ORIGIN_LEARNED;
		(void)snprintf(s->why, sizeof(s->why), "it came from there");
	}
}

static void look_at(const struct weft_status_facts *f, size_t i, struct weft_status_peer *s)
{
	const struct weft_conf_peer *p = &f->dev->peers[i];
	size_t index = i;
	const struct weft_quick_peer *file = weft_status_in_file(f->file, p->public_key, &index);

	s->peer = p;
	weft_status_name(file, p->public_key, s->name);
	s->named = file && file->name;
	s->heard = weft_status_heard(p, f->now_sec, &s->heard_s, &s->heard_is_handshake);
	s->path_mtu = (uint32_t)figure(p, "path_mtu", 0);
	if (f->then)
		take_rates(f, same_peer(f->then, p, i), s);
	s->health = health_of(f, s);
	/* weftd's sessions may follow one another still when the last is over, or not answered */
	s->up_s = figure(p, "up_age_sec", UINT64_MAX);
	s->has_up = s->health == WEFT_HEALTH_UP && s->up_s != UINT64_MAX;
	find_origin(f, file, s);
}

/* Both halves of a family's addresses are as good as all of them. */
static enum weft_tunnel tunnel_of(const struct weft_conf_device *dev)
{
	enum weft_tunnel t = WEFT_TUNNEL_NONE;
	bool half[2][2] = {{false}};

	for (size_t i = 0; i < dev->n_peers; i++)
		for (size_t k = 0; k < dev->peers[i].n_allowed_ips; k++) {
			const struct weft_prefix *p = &dev->peers[i].allowed_ips[k].prefix;
			bool v6 = p->ip.family == WEFT_IPV6;

			t = WEFT_TUNNEL_SPLIT;
			if (p->len <= 1)
				half[v6][p->ip.b[0] >> 7] = true;
			if (p->len == 0)
				half[v6][1] = true;
		}
	return (half[0][0] && half[0][1]) || (half[1][0] && half[1][1]) ? WEFT_TUNNEL_FULL : t;
}

static int compare(const void *a, const void *b)
{
	const struct weft_status_peer *x = a, *y = b;

	if (x->health != y->health)
		return x->health < y->health ? -1 : 1;
	return x->peer < y->peer ? -1 : x->peer > y->peer;
}

int weft_status_make(const struct weft_status_facts *facts, struct weft_status *ret)
{
	size_t n = facts->dev->n_peers;

	ret->peers = calloc(n ? n : 1, sizeof(*ret->peers));
	if (!ret->peers)
		return -ENOMEM;
	ret->n_peers = n;
	for (size_t i = 0; i < n; i++) {
		look_at(facts, i, &ret->peers[i]);
		ret->n_health[ret->peers[i].health]++;
	}
	if (n)
		qsort(ret->peers, n, sizeof(*ret->peers), compare);
	ret->tunnel = tunnel_of(facts->dev);
	return 0;
}

void weft_status_clear(struct weft_status *s)
{
	free(s->peers);
	*s = (struct weft_status){0};
}
