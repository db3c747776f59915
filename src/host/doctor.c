/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Findings, one function a step, in the order in which the steps stand in doctor.h. A peer is
 * silent if nothing authentic came from it within a session's life, nor when it was asked to;
 * suspicions are only uttered where they would explain a silent peer.
 */
#include "host/doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/state.h"
#include "util/encoding.h"

#define YEAR_2020     1577836800u
#define CLOCK_SLACK_S 5
#define MTU_SAFE      1280

struct exam {
	const struct weft_doctor_facts *f;
	struct weft_findings *out;
	int rc;
	size_t n_silent;  /* peers with an endpoint that do not answer */
	size_t n_missing; /* peers without an endpoint that never came */
	bool keys_told;   /* the keys explain the silence already */
};

const char *weft_step_name(enum weft_doctor_step step)
{
	static const char *const names[] = {
		"file", "clock", "backend",  "link",        "key", "port", "dns",     "route",
		"sent", "keys",  "answered", "allowed-ips", "mtu", "nat",  "firewall"};

	return names[step];
}

const char *weft_severity_name(enum weft_severity severity)
{
	static const char *const names[] = {"note", "suspect", "fault"};

	return names[severity];
}

/* Appends a finding; what is to be done is said next, with to_do. */
__attribute__((format(printf, 5, 6))) static void find(struct exam *e, enum weft_doctor_step step,
						       enum weft_severity severity,
						       const struct weft_doctor_peer *peer,
						       const char *fmt, ...)
{
	struct weft_findings *out = e->out;
	struct weft_finding *f;
	va_list ap;

	if (e->rc)
		return;
	if (out->n == out->cap) {
		size_t cap = out->cap ? out->cap * 2 : 8;
		struct weft_finding *v = realloc(out->v, cap * sizeof(*v));

		if (!v) {
			e->rc = -ENOMEM;
			return;
		}
		out->v = v;
		out->cap = cap;
	}
	f = &out->v[out->n++];
	*f = (struct weft_finding){.step = step, .severity = severity};
	if (peer)
		(void)snprintf(f->peer, sizeof(f->peer), "%s", peer->name);
	va_start(ap, fmt);
	(void)vsnprintf(f->what, sizeof(f->what), fmt, ap);
	va_end(ap);
}

/* To the finding just made. */
__attribute__((format(printf, 2, 3))) static void to_do(struct exam *e, const char *fmt, ...)
{
	struct weft_finding *f;
	va_list ap;

	if (e->rc || !e->out->n)
		return;
	f = &e->out->v[e->out->n - 1];
	va_start(ap, fmt);
	(void)vsnprintf(f->to_do, sizeof(f->to_do), fmt, ap);
	va_end(ap);
}

static bool has_endpoint(const struct weft_doctor_peer *p)
{
	return p->endpoint.ip.family != WEFT_NONE;
}

/* Something authentic came lately: and if something was sent to it meanwhile, after that. */
static bool is_well(const struct weft_doctor_peer *p)
{
	if (!p->after.heard)
		return false;
	if (p->provoked)
		return p->after.rx_bytes > p->before.rx_bytes ||
		       p->after.last_handshake_sec > p->before.last_handshake_sec ||
		       p->small_answered == WEFT_YES;
	return p->after.heard_s < WEFT_STATUS_FRESH_S;
}

/* It should answer, and does not. */
static bool is_silent(const struct exam *e, const struct weft_doctor_peer *p)
{
	return e->f->has_device && e->f->look.up && p->on_device && has_endpoint(p) &&
	       !p->comes_by_itself && !is_well(p) &&
	       (p->provoked || p->after.tx_bytes || p->keepalive_s);
}

/* ---- clock ---- */

static void clock_of(struct exam *e)
{
	const struct weft_doctor_facts *f = e->f;

	if (f->now_sec < YEAR_2020) {
		find(e, WEFT_STEP_CLOCK, WEFT_SEVERITY_FAULT, NULL,
		     "this host's clock is before 2020");
		to_do(e, "set it (timedatectl, chronyd): peers that have heard this key at a later "
			 "time drop its handshakes");
		return;
	}
	for (size_t i = 0; i < f->n_peers; i++) {
		const struct weft_doctor_peer *p = &f->peers[i];

		if (p->after.last_handshake_sec <= f->now_sec + CLOCK_SLACK_S)
			continue;
		find(e, WEFT_STEP_CLOCK, WEFT_SEVERITY_SUSPECT, p,
		     "this host's clock went back: the last handshake lies %llu seconds in the "
		     "future",
		     (unsigned long long)(p->after.last_handshake_sec - f->now_sec));
		to_do(e, "set the clock right; until it has passed that time again, peers take "
			 "handshakes of a daemon that is started anew for replays");
		break;
	}
	if (f->synchronised == WEFT_NO)
		find(e, WEFT_STEP_CLOCK, WEFT_SEVERITY_NOTE, NULL,
		     "the kernel does not count the clock as synchronised");
}

/* ---- module or daemon, link ---- */

static void backend_of(struct exam *e)
{
	const struct weft_doctor_facts *f = e->f;
	const char *name = f->ifname;

	if (f->has_device)
		return;
	if (f->look.daemon_rc == -ECONNREFUSED) {
		find(e, WEFT_STEP_BACKEND, WEFT_SEVERITY_FAULT, NULL,
		     "the daemon of %s is gone: its socket is there, but nobody listens on it",
		     name);
		to_do(e,
		      "weft up %s (it removes the stale socket); look in the log why the daemon "
		      "ended",
		      name);
	} else if (f->device_rc == -EACCES || f->device_rc == -EPERM) {
		find(e, WEFT_STEP_BACKEND, WEFT_SEVERITY_FAULT, NULL,
		     "%s is there, but not for you", name);
		to_do(e, "run this as root");
	} else if (f->look.link && f->look.tun) {
		find(e, WEFT_STEP_BACKEND, WEFT_SEVERITY_FAULT, NULL,
		     "%s is a tunnel device that no WireGuard daemon serves", name);
		to_do(e, "start its daemon again, or: ip link delete %s; weft up %s", name, name);
	} else if (f->look.link) {
		find(e, WEFT_STEP_BACKEND, WEFT_SEVERITY_FAULT, NULL,
		     "%s is an interface, but no WireGuard interface", name);
		to_do(e, "take another name, or remove it: ip link delete %s", name);
	} else if (f->device_rc == -ENODEV) {
		find(e, WEFT_STEP_BACKEND, WEFT_SEVERITY_FAULT, NULL,
		     "there is no interface %s: neither the kernel nor a daemon has it", name);
		to_do(e, "weft up %s", name);
		if (f->kernel_has_wireguard == WEFT_NO)
			find(e, WEFT_STEP_BACKEND, WEFT_SEVERITY_NOTE, NULL,
			     "the kernel has no WireGuard loaded: without its module weftd is "
			     "used");
	} else {
		find(e, WEFT_STEP_BACKEND, WEFT_SEVERITY_FAULT, NULL, "%s cannot be read: %s", name,
		     weft_strerror(f->device_rc));
	}
}

static void link_of(struct exam *e)
{
	const struct weft_doctor_facts *f = e->f;

	if (!f->has_device)
		return;
	if (!f->look.link) {
		find(e, WEFT_STEP_LINK, WEFT_SEVERITY_SUSPECT, NULL,
		     "a daemon serves %s, but the interface is in another network namespace",
		     f->ifname);
	} else if (!f->look.up) {
		find(e, WEFT_STEP_LINK, WEFT_SEVERITY_FAULT, NULL, "%s is down", f->ifname);
		to_do(e, "ip link set %s up", f->ifname);
	} else if (!f->look.n_addresses) {
		find(e, WEFT_STEP_LINK, WEFT_SEVERITY_SUSPECT, NULL, "%s has no address",
		     f->ifname);
		to_do(e, "ip address add ADDRESS dev %s, or Address = in its file", f->ifname);
	}
}

/* ---- keys that are there or not, file and device ---- */

static void key_of(struct exam *e)
{
	const struct weft_doctor_facts *f = e->f;

	if (!f->has_device)
		return;
	if (!f->has_private_key) {
		find(e, WEFT_STEP_KEY, WEFT_SEVERITY_FAULT, NULL, "%s has no private key",
		     f->ifname);
		to_do(e, "weft set %s private-key FILE, or PrivateKey = in its file", f->ifname);
		return;
	}
	if (f->same_key == WEFT_NO) {
		find(e, WEFT_STEP_KEY, WEFT_SEVERITY_SUSPECT, NULL,
		     "%s has another private key than its file", f->ifname);
		to_do(e, "weft reload %s, if the file is right", f->ifname);
	}
	for (size_t i = 0; i < f->n_peers; i++) {
		const struct weft_doctor_peer *p = &f->peers[i];

		if (memcmp(p->public_key, f->public_key, WEFT_KEY_LEN) == 0) {
			find(e, WEFT_STEP_KEY, WEFT_SEVERITY_FAULT, p,
			     "this peer's public key is this host's own");
			to_do(e,
			      "put the peer's public key there: `weft pubkey` of its private "
			      "key, or `weft show %s public-key` on it",
			      f->ifname);
		} else if (f->file && p->in_file && !p->on_device) {
			find(e, WEFT_STEP_KEY, WEFT_SEVERITY_FAULT, p,
			     "the file has this peer, and the device has not");
			to_do(e, "weft reload %s", f->ifname);
		} else if (f->file && !p->in_file) {
			find(e, WEFT_STEP_KEY, WEFT_SEVERITY_NOTE, p,
			     "the device has this peer, and the file has not");
		} else if (p->same_psk == WEFT_NO) {
			find(e, WEFT_STEP_KEY, WEFT_SEVERITY_SUSPECT, p,
			     "the device has another preshared key for it than the file");
			to_do(e, "weft reload %s, if the file is right", f->ifname);
		}
	}
}

/* ---- port ---- */

static void port_of(struct exam *e)
{
	const struct weft_doctor_facts *f = e->f;
	const struct weft_port_holder *h = &f->holder;
	unsigned port = f->listen_port;

	if (!port)
		return;
	if (!f->port_known) {
		find(e, WEFT_STEP_PORT, WEFT_SEVERITY_NOTE, NULL, "not known: who has UDP port %u",
		     port);
	} else if (h->taken && h->pid && !(f->look.daemon_rc == 0 && h->pid == f->look.pid)) {
		find(e, WEFT_STEP_PORT, WEFT_SEVERITY_FAULT, NULL,
		     "UDP port %u belongs to another process: %s (pid %d)", port, h->name,
		     (int)h->pid);
		to_do(e, "end that process, or take another ListenPort here and in the Endpoint of "
			 "the peers");
	} else if (h->taken && !h->pid && !f->has_device) {
		find(e, WEFT_STEP_PORT, WEFT_SEVERITY_SUSPECT, NULL,
		     "UDP port %u is taken by the kernel, or by a process that cannot be seen from "
		     "here",
		     port);
		to_do(e, "look for another WireGuard interface with that port (weft show all "
			 "listen-port)");
	} else if (!h->taken && f->has_device && f->look.up) {
		find(e, WEFT_STEP_PORT, WEFT_SEVERITY_FAULT, NULL,
		     "UDP port %u is not open, although %s is up", port, f->ifname);
		to_do(e,
		      "look in the daemon's log for sockets_failed; then ip link set %s down and "
		      "up again",
		      f->ifname);
	}
	if (!f->firewall_known) {
		find(e, WEFT_STEP_PORT, WEFT_SEVERITY_NOTE, NULL,
		     "not known: whether this host's firewall lets UDP port %u in", port);
		return;
	}
	if (!f->firewall.drops_new || !(e->n_missing || e->n_silent))
		return;
	find(e, WEFT_STEP_PORT,
	     f->firewall.drops_answers || e->n_missing ? WEFT_SEVERITY_SUSPECT : WEFT_SEVERITY_NOTE,
	     NULL, "this host's firewall may drop what comes to UDP port %u (nft chain %s)%s", port,
	     f->firewall.chain,
	     f->firewall.drops_answers ? "" : "; answers to what this host sends pass");
	to_do(e, "nft insert rule %s udp dport %u accept", f->firewall.chain, port);
}

/* ---- names ---- */

static void dns_of(struct exam *e)
{
	for (size_t i = 0; i < e->f->n_peers; i++) {
		const struct weft_doctor_peer *p = &e->f->peers[i];
		const struct weft_doctor_name *d = &p->dns;
		enum weft_severity severity = is_well(p) ? WEFT_SEVERITY_NOTE : WEFT_SEVERITY_FAULT;
		char text[WEFT_IP_TEXT_LEN], now[WEFT_IP_TEXT_LEN];
		bool same = false;

		for (size_t k = 0; k < d->n_found; k++)
			same |= weft_ip_equal(&d->found[k], &p->endpoint.ip);
		if (d->dns == WEFT_DNS_NO_SUCH_NAME) {
			find(e, WEFT_STEP_DNS, severity, p, "the name %s has no address", d->host);
			to_do(e, "correct the name in Endpoint =, or its zone (dig %s)", d->host);
		} else if (d->dns == WEFT_DNS_NO_ANSWER) {
			find(e, WEFT_STEP_DNS, severity, p, "no name server answers for %s",
			     d->host);
			to_do(e, "look at /etc/resolv.conf: are its servers reached past the "
				 "tunnel?");
		} else if (d->dns == WEFT_DNS_FOUND && p->on_device && has_endpoint(p) && !same) {
			find(e, WEFT_STEP_DNS,
			     is_well(p) ? WEFT_SEVERITY_NOTE : WEFT_SEVERITY_SUSPECT, p,
			     "%s is %s now, and the endpoint is still %s", d->host,
			     weft_ip_format(&d->found[0], text),
			     weft_ip_format(&p->endpoint.ip, now));
			if (!is_well(p))
				to_do(e, "weft reload %s, or set the endpoint by hand",
				      e->f->ifname);
		}
	}
}

/* ---- the way to the endpoint ---- */

static void one_route(struct exam *e, const struct weft_doctor_peer *p)
{
	char text[WEFT_ENDPOINT_TEXT_LEN];
	const char *to = weft_endpoint_format(&p->endpoint, text);

	if (!p->way_asked)
		return;
	if (p->way_rc) {
		find(e, WEFT_STEP_ROUTE, WEFT_SEVERITY_FAULT, p,
		     "there is no route to its endpoint %s: %s", to, weft_strerror(p->way_rc));
		to_do(e,
		      "ip route get %s: is there a default route, and an address of that family?",
		      weft_ip_format(&p->endpoint.ip, text));
	} else if (strcmp(p->way.ifname, e->f->ifname) == 0) {
		find(e, WEFT_STEP_ROUTE, WEFT_SEVERITY_FAULT, p,
		     "its endpoint %s is routed into %s itself", to, e->f->ifname);
		to_do(e, "leave the endpoint out of the allowed IPs, or let `weft up` do the "
			 "routes (Table = auto)");
	} else if (p->way.local) {
		find(e, WEFT_STEP_ROUTE, WEFT_SEVERITY_FAULT, p,
		     "its endpoint %s is an address of this host", to);
		to_do(e, "put the peer's address into Endpoint =");
	} else if (p->port_asked && (p->port_rc == -EPERM || p->port_rc == -EACCES)) {
		find(e, WEFT_STEP_ROUTE, WEFT_SEVERITY_FAULT, p,
		     "this host's own firewall lets nothing out to its endpoint %s%s", to,
		     e->f->look.kill_switch > 0 ? " (the kill switch is on)" : "");
		to_do(e, "nft list ruleset: which chain of the hook output drops it?");
	} else if (p->port_asked && p->port_rc == -ECONNREFUSED && !is_well(p)) {
		find(e, WEFT_STEP_ROUTE, WEFT_SEVERITY_FAULT, p,
		     "at its endpoint %s nobody listens: the port is refused", to);
		to_do(e, "start WireGuard there, or correct the port in Endpoint =");
	} else if (p->port_asked && p->port_rc && !is_well(p)) {
		find(e, WEFT_STEP_ROUTE, WEFT_SEVERITY_SUSPECT, p,
		     "its endpoint %s is not reached: %s", to, weft_strerror(p->port_rc));
		to_do(e, "is the address right, and is the host up? traceroute to it");
	}
}

/* ---- handshakes ---- */

static void sent(struct exam *e, const struct weft_doctor_peer *p)
{
	const struct weft_doctor_facts *f = e->f;

	if (!f->has_device || !f->look.up || !p->on_device || is_well(p))
		return;
	if (!has_endpoint(p)) {
		find(e, WEFT_STEP_SENT, WEFT_SEVERITY_NOTE, p,
		     p->after.heard ? "its endpoint is not known: it has to begin"
				    : "it has no endpoint and never came: it has to begin");
		return;
	}
	if (p->comes_by_itself) {
		find(e, WEFT_STEP_SENT, WEFT_SEVERITY_NOTE, p,
		     "it is not where it was last: it has to come by itself");
		return;
	}
	if (p->after.tx_bytes || (p->after.counts && p->after.initiated))
		return;
	if (!p->provoked) {
		find(e, WEFT_STEP_SENT, WEFT_SEVERITY_NOTE, p,
		     "no handshake was sent: nothing was to be sent to it yet");
		return;
	}
	find(e, WEFT_STEP_SENT, WEFT_SEVERITY_FAULT, p, "no handshake goes out to it%s",
	     f->has_drops && f->drops[WEFT_DOCTOR_LOOP][1] > f->drops[WEFT_DOCTOR_LOOP][0]
		     ? ": its endpoint is routed into this tunnel"
		     : "");
	to_do(e, "look at `weft show %s --json` (drops) and the daemon's log", f->ifname);
}

/* The only silent peer, or NULL. */
static const struct weft_doctor_peer *only_silent(const struct exam *e)
{
	const struct weft_doctor_peer *found = NULL;

	for (size_t i = 0; i < e->f->n_peers; i++)
		if (is_silent(e, &e->f->peers[i])) {
			if (found)
				return NULL;
			found = &e->f->peers[i];
		}
	return found;
}

/* What weftd's counters say of keys: now, while we looked on, or at some time since its start. */
static void keys(struct exam *e)
{
	static const struct {
		enum weft_doctor_drop drop;
		const char *what, *to_do;
	} signs[] = {
		{WEFT_DOCTOR_MAC1,
		 "handshakes come in that are meant for another public key than this host's",
		 "on the peers: compare their PublicKey for this host with its own, shown below"},
		{WEFT_DOCTOR_UNKNOWN_PEER,
		 "handshakes come in from a public key that no peer here has",
		 "compare each peer's own public key (`weft show IFACE public-key` on it) with "
		 "what stands here"},
		{WEFT_DOCTOR_TIMESTAMP,
		 "handshakes come in whose time is not newer than the last: a peer's clock went "
		 "back, or two hosts have the same key",
		 "set that peer's clock right, or take and set the peer again here; give each host "
		 "a key of its own"},
		{WEFT_DOCTOR_HANDSHAKE,
		 "handshake messages come in that do not authenticate: the preshared keys differ, "
		 "or the peer's public key is wrong",
		 "compare PresharedKey and PublicKey on both sides"},
	};
	const struct weft_doctor_facts *f = e->f;

	if (!f->has_drops || !(e->n_silent || e->n_missing))
		return;
	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		const uint64_t *n = f->drops[signs[i].drop];
		bool now = n[1] > n[0];

		if (!n[1])
			continue;
		find(e, WEFT_STEP_KEYS, now ? WEFT_SEVERITY_FAULT : WEFT_SEVERITY_SUSPECT,
		     only_silent(e), "%s (%llu%s)", signs[i].what, (unsigned long long)n[1],
		     now ? ", also just now" : " since the daemon was started");
		to_do(e, "%s", signs[i].to_do);
		e->keys_told |= now;
	}
}

static void answered(struct exam *e, const struct weft_doctor_peer *p)
{
	char key[WEFT_KEY_BASE64_LEN + 1], count[64] = "";

	if (!is_silent(e, p) || (!p->after.tx_bytes && !p->after.initiated))
		return;
	if (p->after.counts)
		(void)snprintf(count, sizeof(count), " (%llu sent)",
			       (unsigned long long)p->after.initiated);
	if (!p->after.heard)
		find(e, WEFT_STEP_ANSWERED, WEFT_SEVERITY_FAULT, p,
		     "it has never answered a handshake%s", count);
	else
		find(e, WEFT_STEP_ANSWERED, WEFT_SEVERITY_FAULT, p,
		     "it does not answer: nothing came from it for %llu seconds",
		     (unsigned long long)p->after.heard_s);
	weft_key_to_base64(key, e->f->public_key);
	to_do(e,
	      "there: is it up, does its firewall let UDP port %u in, and has it a peer with "
	      "this host's public key %s%s?",
	      (unsigned)p->endpoint.port, key, p->has_psk ? " and the same PresharedKey" : "");
}

/* ---- allowed IPs ---- */

/* The first of them: `weft up` would say the same. */
static void same_prefix(struct exam *e)
{
	struct weft_diag diag = {.line = 0};
	int rc = e->f->file ? weft_quick_check_claims(e->f->file, &diag) : 0;

	if (rc == WEFT_E_PARSE) {
		find(e, WEFT_STEP_ALLOWED_IPS, WEFT_SEVERITY_FAULT, NULL,
		     "two peers claim the same: line %u of the file, %s", diag.line, diag.message);
		to_do(e, "leave it to one of them: WireGuard gives it to the last");
	} else if (rc && !e->rc) {
		e->rc = rc;
	}
}

static void own_address(struct exam *e, const struct weft_doctor_route *r)
{
	char text[WEFT_PREFIX_TEXT_LEN];

	if (r->prefix.len != weft_family_bits(r->prefix.ip.family))
		return;
	for (size_t i = 0; i < e->f->look.n_addresses; i++)
		if (weft_ip_equal(&e->f->look.addresses[i].ip, &r->prefix.ip)) {
			find(e, WEFT_STEP_ALLOWED_IPS, WEFT_SEVERITY_FAULT, &e->f->peers[r->peer],
			     "its allowed IP %s is this host's own address",
			     weft_prefix_format(&r->prefix, text));
			to_do(e, "give the peer its own address there");
		}
}

static void elsewhere(struct exam *e, const struct weft_doctor_route *r)
{
	const struct weft_doctor_peer *p = &e->f->peers[r->peer];
	char text[WEFT_PREFIX_TEXT_LEN], by[WEFT_PREFIX_TEXT_LEN];

	if (r->rc == -ENETUNREACH || r->rc == -EHOSTUNREACH) {
		find(e, WEFT_STEP_ALLOWED_IPS, WEFT_SEVERITY_SUSPECT, p,
		     "no route leads to its allowed IP %s", weft_prefix_format(&r->prefix, text));
		to_do(e, "ip route add %s dev %s", text, e->f->ifname);
		return;
	}
	if (r->rc || r->way.local || strcmp(r->way.ifname, e->f->ifname) == 0)
		return;
	find(e, WEFT_STEP_ALLOWED_IPS, WEFT_SEVERITY_SUSPECT, p,
	     "its allowed IP %s goes out by %s instead (route %s)",
	     weft_prefix_format(&r->prefix, text), r->way.ifname,
	     r->way.matched.ip.family == WEFT_NONE ? "not known"
						   : weft_prefix_format(&r->way.matched, by));
	to_do(e, "ip route add %s dev %s, or remove the other route if it is as long", text,
	      e->f->ifname);
}

static void allowed_ips(struct exam *e)
{
	same_prefix(e);
	for (size_t i = 0; i < e->f->n_routes && e->f->look.up; i++) {
		own_address(e, &e->f->routes[i]);
		elsewhere(e, &e->f->routes[i]);
	}
	if (e->f->has_drops &&
	    e->f->drops[WEFT_DOCTOR_ALLOWED_IPS][1] > e->f->drops[WEFT_DOCTOR_ALLOWED_IPS][0]) {
		find(e, WEFT_STEP_ALLOWED_IPS, WEFT_SEVERITY_SUSPECT, NULL,
		     "packets come out of the tunnel whose source is not among their peer's "
		     "allowed "
		     "IPs");
		to_do(e, "add the network behind the peer to its AllowedIPs here");
	}
}

/* ---- MTU ---- */

static void mtu(struct exam *e, const struct weft_doctor_peer *p)
{
	uint32_t over = weft_host_overhead(&p->endpoint);
	uint32_t link = e->f->look.mtu;

	if (!e->f->look.up || !p->way_asked || p->way_rc)
		return;
	if (p->way.mtu && link + over > p->way.mtu) {
		find(e, WEFT_STEP_MTU, WEFT_SEVERITY_SUSPECT, p,
		     "%s has an MTU of %u, but the way to this peer carries %u less %u for "
		     "WireGuard",
		     e->f->ifname, (unsigned)link, (unsigned)p->way.mtu, (unsigned)over);
		to_do(e, "ip link set %s mtu %u, or MTU = in its file", e->f->ifname,
		      (unsigned)(p->way.mtu > over ? p->way.mtu - over : 0));
	}
	if (p->small_answered == WEFT_YES && p->large_answered == WEFT_NO) {
		uint32_t fits = p->fits_bytes ? p->fits_bytes : MTU_SAFE;

		find(e, WEFT_STEP_MTU, WEFT_SEVERITY_FAULT, p,
		     "small packets through the tunnel are answered, those of %u bytes are not: a "
		     "black hole for large ones",
		     (unsigned)p->large_bytes);
		to_do(e, "ip link set %s mtu %u, or MTU = in its file; %s", e->f->ifname,
		      (unsigned)fits,
		      p->fits_bytes ? "packets of that size are answered"
				    : "none of the sizes that were tried is answered");
	} else if (p->path_mtu && p->path_mtu < link) {
		find(e, WEFT_STEP_MTU, WEFT_SEVERITY_NOTE, p,
		     "its path carries packets of %u bytes, the MTU of %s is %u",
		     (unsigned)p->path_mtu, e->f->ifname, (unsigned)link);
	}
}

/* ---- NAT ---- */

/* RFC 1918, 6598, 3927, 4193, 4291: behind a translator, seen from the internet. */
static bool is_private(const struct weft_ip *ip)
{
	const uint8_t *b = ip->b;

	if (ip->family == WEFT_IPV6)
		return (b[0] & 0xfe) == 0xfc || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
	return b[0] == 10 || b[0] == 127 || (b[0] == 172 && (b[1] & 0xf0) == 16) ||
	       (b[0] == 192 && b[1] == 168) || (b[0] == 100 && (b[1] & 0xc0) == 64) ||
	       (b[0] == 169 && b[1] == 254);
}

static void nat(struct exam *e, const struct weft_doctor_peer *p)
{
	if (!p->way_asked || p->way_rc || p->keepalive_s || p->way.local ||
	    p->way.source.family == WEFT_NONE || !is_private(&p->way.source) ||
	    is_private(&p->endpoint.ip))
		return;
	find(e, WEFT_STEP_NAT, WEFT_SEVERITY_SUSPECT, p,
	     "this host is behind a NAT and keeps no way open: after a while without traffic this "
	     "peer cannot begin");
	to_do(e, "PersistentKeepalive = 25 for this peer, here");
}

/* ---- firewall, and other settings of the host ---- */

static void firewall(struct exam *e)
{
	const struct weft_doctor_facts *f = e->f;
	size_t networks = 0;
	bool full = false;

	for (size_t i = 0; i < f->n_peers; i++)
		networks += f->peers[i].on_device;
	for (size_t i = 0; i < f->n_routes; i++)
		full |= f->routes[i].prefix.len == 0;
	if (f->look.kill_switch > 0 && !f->look.up) {
		find(e, WEFT_STEP_FIREWALL, WEFT_SEVERITY_FAULT, NULL,
		     "the kill switch of %s is closed and %s is not up: nothing leaves this host",
		     f->ifname, f->ifname);
		to_do(e, "weft up %s, or weft killswitch off %s", f->ifname, f->ifname);
	}
	if (full && f->fwmark && f->rp_filter_strict == WEFT_YES && f->src_valid_mark == WEFT_NO) {
		find(e, WEFT_STEP_FIREWALL, WEFT_SEVERITY_FAULT, NULL,
		     "sources are checked strictly (rp_filter 1) without their mark: the answers "
		     "to "
		     "the tunnel's own packets are dropped");
		to_do(e, "sysctl -w net.ipv4.conf.all.src_valid_mark=1");
	}
	if (networks > 1 && f->forwards == WEFT_NO && !f->relays && f->has_device) {
		find(e, WEFT_STEP_FIREWALL, WEFT_SEVERITY_NOTE, NULL,
		     "this host does not forward: its %zu peers cannot reach each other through it",
		     networks);
		to_do(e, "if they are to: sysctl -w net.ipv4.ip_forward=1 "
			 "net.ipv6.conf.all.forwarding=1");
	}
}

static void each_peer(struct exam *e, void (*step)(struct exam *, const struct weft_doctor_peer *))
{
	for (size_t i = 0; i < e->f->n_peers; i++)
		step(e, &e->f->peers[i]);
}

int weft_doctor_diagnose(const struct weft_doctor_facts *f, struct weft_findings *ret)
{
	struct exam e = {.f = f, .out = ret};

	for (size_t i = 0; i < f->n_peers; i++) {
		const struct weft_doctor_peer *p = &f->peers[i];

		e.n_silent += is_silent(&e, p);
		e.n_missing += f->has_device && p->on_device && !is_well(p) &&
			       (!has_endpoint(p) || p->comes_by_itself);
	}
	if (f->file_fault[0]) {
		find(&e, WEFT_STEP_FILE, WEFT_SEVERITY_FAULT, NULL, "%s", f->file_fault);
		to_do(&e, "correct the file there");
	}
	clock_of(&e);
	backend_of(&e);
	link_of(&e);
	key_of(&e);
	port_of(&e);
	dns_of(&e);
	each_peer(&e, one_route);
	each_peer(&e, sent);
	keys(&e);
	each_peer(&e, answered);
	allowed_ips(&e);
	each_peer(&e, mtu);
	each_peer(&e, nat);
	firewall(&e);
	return e.rc;
}

void weft_findings_clear(struct weft_findings *f)
{
	free(f->v);
	*f = (struct weft_findings){0};
}

const struct weft_finding *weft_doctor_cause(const struct weft_findings *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].severity != WEFT_SEVERITY_NOTE)
			return &f->v[i];
	return NULL;
}
