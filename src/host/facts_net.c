/* SPDX-License-Identifier: Apache-2.0 */
/* Facts that are asked of the network. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/facts_internal.h"

#define REFUSAL_MS    300
#define SMALL_BYTES   84
#define ECHO_MS       1000
#define FIND_MS       500
#define POLL_MS       250
#define MAX_MTU_TRIED 8

/*
 * A peer with which there is no session answers the first initiation, or the second, 5 s later. One
 * with a session answers data with an empty packet after 10 s, if with nothing else (WireGuard
 * paper, section 6.5).
 */
#define HANDSHAKE_MS 6500
#define SESSION_MS   11500

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool is_own(const struct weft_doctor_facts *f, const struct weft_ip *ip)
{
	for (size_t i = 0; i < f->look.n_addresses; i++)
		if (weft_ip_equal(&f->look.addresses[i].ip, ip))
			return true;
	return false;
}

/* An address in the prefix: the only one, or its first that is not ours. */
static struct weft_ip address_in(const struct weft_doctor_facts *f, const struct weft_prefix *p)
{
	struct weft_ip ip = p->ip;
	size_t last = weft_family_bytes(ip.family) - 1;

	for (unsigned i = 0; p->len < weft_family_bits(ip.family) - 1 && i < 3; i++) {
		ip.b[last]++;
		if (!is_own(f, &ip))
			break;
	}
	return ip;
}

void weft_facts_ask_ways(struct weft_doctor_facts *f)
{
	for (size_t i = 0; i < f->n_peers && i < WEFT_FACTS_MAX_PROBED; i++) {
		struct weft_doctor_peer *p = &f->peers[i];

		if (p->endpoint.ip.family == WEFT_NONE)
			continue;
		p->way_asked = true;
		p->way_rc = weft_way_find(&p->endpoint.ip, f->fwmark, &p->way);
		if (p->way_rc || p->way.local || strcmp(p->way.ifname, f->ifname) == 0)
			continue;
		p->port_asked = true;
		p->port_rc = weft_probe_port(&p->endpoint, f->fwmark, REFUSAL_MS);
	}
}

static bool has_routes_of_its_own(const struct weft_doctor_facts *f)
{
	return f->file && f->file->table == WEFT_QUICK_TABLE_OFF;
}

int weft_facts_ask_routes(struct weft_doctor_facts *f, const struct weft_conf_device *dev)
{
	f->routes = calloc(WEFT_FACTS_MAX_ROUTES, sizeof(*f->routes));
	if (!f->routes)
		return -ENOMEM;
	if (!dev || has_routes_of_its_own(f))
		return 0;
	/* the device's peers come first, in its order; so do the file's if there is no device */
	for (size_t i = 0; i < dev->n_peers && i < f->n_peers; i++)
		for (size_t k = 0; k < dev->peers[i].n_allowed_ips; k++) {
			struct weft_doctor_route *r = &f->routes[f->n_routes];
			struct weft_ip ip;

			if (f->n_routes == WEFT_FACTS_MAX_ROUTES)
				return 0;
			f->n_routes++;
			r->peer = i;
			r->prefix = dev->peers[i].allowed_ips[k].prefix;
			ip = address_in(f, &r->prefix);
			/* of much of the internet one address says little */
			r->rc = r->prefix.len < 8 ? -EAGAIN : weft_way_find(&ip, 0, &r->way);
		}
	return 0;
}

/* An address that goes to the peer. False: none is known that could be asked. */
static bool address_of(const struct weft_doctor_facts *f, const struct weft_conf_peer *p,
		       struct weft_ip *ret)
{
	static const struct weft_ip documentation = {.family = WEFT_IPV4, .b = {192, 0, 2, 1}};
	bool any = false;

	for (size_t i = 0; i < p->n_allowed_ips; i++) {
		const struct weft_prefix *a = &p->allowed_ips[i].prefix;

		if (a->len < 8 && !weft_prefix_contains(a, &documentation))
			continue;
		if (a->len == weft_family_bits(a->ip.family)) { /* the peer's own, most likely */
			*ret = a->ip;
			return !is_own(f, ret);
		}
		if (!any)
			*ret = a->len < 8 ? documentation : address_in(f, a);
		any = true;
	}
	return any;
}

/* Something new came from all that were sent something. */
static bool have_all_answered(const struct weft_doctor_facts *f, bool *ret_session)
{
	bool all = true;

	*ret_session = false;
	for (size_t i = 0; i < f->n_peers; i++) {
		const struct weft_doctor_peer *p = &f->peers[i];

		if (!p->provoked || p->after.rx_bytes > p->before.rx_bytes ||
		    p->after.last_handshake_sec > p->before.last_handshake_sec)
			continue;
		all = false;
		*ret_session |= p->before.heard && p->before.heard_s < WEFT_STATUS_FRESH_S;
	}
	return all;
}

static void await_answers(const struct weft_doctor_source *source, struct weft_doctor_facts *f)
{
	const struct timespec wait = {.tv_nsec = POLL_MS * 1000000L};
	uint64_t begin = now_ms();

	for (;;) {
		struct weft_conf_device dev = {0};
		bool session, all;

		if (source->get(source->ctx, f->ifname, &dev) == 0)
			weft_facts_read_again(f, &dev);
		weft_conf_device_clear(&dev);
		all = have_all_answered(f, &session);
		if (all || now_ms() - begin > (session ? SESSION_MS : HANDSHAKE_MS))
			return;
		nanosleep(&wait, NULL);
	}
}

/* A large packet that is not answered although small ones are: which size is? */
static void try_sizes(const struct weft_doctor_facts *f, const struct weft_ip *ip,
		      struct weft_doctor_peer *p)
{
	static const uint32_t sizes[] = {1420, 1400, 1380, 1340, 1280, 1200, 1000, 576};
	const char *name = f->ifname;
	int rc = 0;

	p->small_answered =
		weft_probe_echo(name, ip, SMALL_BYTES, ECHO_MS) == 1 ? WEFT_YES : WEFT_NO;
	if (p->small_answered != WEFT_YES)
		return;
	p->large_bytes = f->look.mtu < 65535 ? f->look.mtu : 65535;
	for (unsigned i = 0; i < 3 && rc == 0; i++)
		rc = weft_probe_echo(name, ip, p->large_bytes, ECHO_MS);
	if (rc < 0) /* it did not even get out */
		return;
	p->large_answered = rc == 1 ? WEFT_YES : WEFT_NO;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && rc != 1; i++) {
		if (sizes[i] >= p->large_bytes)
			continue;
		rc = weft_probe_echo(name, ip, sizes[i], FIND_MS);
		if (rc == 1)
			p->fits_bytes = sizes[i];
	}
}

void weft_facts_try_peers(const struct weft_doctor_source *source, struct weft_doctor_facts *f,
			  const struct weft_conf_device *dev)
{
	struct weft_ip ip;
	size_t tried = 0;

	for (size_t i = 0; i < dev->n_peers && i < WEFT_FACTS_MAX_PROBED; i++) {
		struct weft_doctor_peer *p = &f->peers[i];

		if (p->endpoint.ip.family != WEFT_NONE && address_of(f, &dev->peers[i], &ip))
			p->provoked = weft_probe_echo(f->ifname, &ip, SMALL_BYTES, 0) >= 0;
	}
	await_answers(source, f);
	for (size_t i = 0; i < dev->n_peers && tried < MAX_MTU_TRIED; i++) {
		struct weft_doctor_peer *p = &f->peers[i];

		if (!p->provoked || p->after.rx_bytes == p->before.rx_bytes ||
		    !address_of(f, &dev->peers[i], &ip))
			continue;
		tried++;
		try_sizes(f, &ip, p);
	}
}
