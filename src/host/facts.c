/* SPDX-License-Identifier: Apache-2.0 */
/* The facts, in the order in which the doctor looks at them. */
#include "host/facts.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "host/facts_internal.h"
#include "host/fence_nft.h"
#include "host/file.h"

#define RULESET_BYTES (16u << 20)

/* ---- the device, the file, and what is the same in both ---- */

static void take_figures(const struct weft_conf_peer *p, uint64_t now_sec,
			 struct weft_doctor_figures *ret)
{
	const struct weft_conf_extra *sent =
		weft_conf_find_extra(&p->extras, "handshakes_initiated");
	const struct weft_conf_extra *done =
		weft_conf_find_extra(&p->extras, "handshakes_completed");
	bool is_handshake;

	*ret = (struct weft_doctor_figures){
		.counts = sent && done,
		.initiated = sent ? sent->value : 0,
		.completed = done ? done->value : 0,
		.last_handshake_sec = p->last_handshake_sec,
		.rx_bytes = p->rx_bytes,
		.tx_bytes = p->tx_bytes,
	};
	ret->heard = weft_status_heard(p, now_sec, &ret->heard_s, &is_handshake);
}

static void take_drops(const struct weft_conf_device *dev, unsigned when,
		       struct weft_doctor_facts *f)
{
	static const char *const names[WEFT_DOCTOR_DROPS] = {
		"drop_rx_mac1",      "drop_rx_handshake",   "drop_rx_unknown_peer",
		"drop_rx_timestamp", "drop_rx_allowed_ips", "drop_tx_no_peer",
		"drop_tx_loop"};

	for (size_t i = 0; i < WEFT_DOCTOR_DROPS; i++) {
		const struct weft_conf_extra *e = weft_conf_find_extra(&dev->extras, names[i]);

		f->has_drops |= e != NULL;
		f->drops[i][when] = e ? e->value : 0;
	}
}

static void take_device_peer(struct weft_doctor_facts *f, const struct weft_conf_peer *p, size_t i)
{
	struct weft_doctor_peer *d = &f->peers[f->n_peers++];
	const struct weft_conf_extra *mtu = weft_conf_find_extra(&p->extras, "path_mtu");
	size_t at = i;
	const struct weft_quick_peer *in_file = weft_status_in_file(f->file, p->public_key, &at);

	memcpy(d->public_key, p->public_key, WEFT_KEY_LEN);
	weft_status_name(in_file, p->public_key, d->name);
	d->on_device = true;
	d->in_file = in_file != NULL;
	d->comes_by_itself = in_file && !in_file->n_endpoints;
	d->has_psk = !weft_ct_is_zero(p->psk.b, WEFT_KEY_LEN);
	if (in_file)
		d->same_psk = weft_ct_equal(p->psk.b, f->file->wg.dev.peers[at].psk.b, WEFT_KEY_LEN)
				      ? WEFT_YES
				      : WEFT_NO;
	d->keepalive_s = p->keepalive_s;
	d->endpoint = p->endpoint;
	d->path_mtu = mtu ? (uint32_t)mtu->value : 0;
	take_figures(p, f->now_sec, &d->before);
	d->after = d->before;
}

static void take_file_peer(struct weft_doctor_facts *f, size_t i)
{
	const struct weft_conf_peer *p = &f->file->wg.dev.peers[i];
	struct weft_doctor_peer *d;

	for (size_t k = 0; k < f->n_peers; k++)
		if (memcmp(f->peers[k].public_key, p->public_key, WEFT_KEY_LEN) == 0)
			return;
	d = &f->peers[f->n_peers++];
	memcpy(d->public_key, p->public_key, WEFT_KEY_LEN);
	weft_status_name(&f->file->peers[i], p->public_key, d->name);
	d->in_file = true;
	d->has_psk = !weft_ct_is_zero(p->psk.b, WEFT_KEY_LEN);
	d->keepalive_s = p->keepalive_s;
	d->endpoint = p->endpoint;
}

static int take_peers(struct weft_doctor_facts *f, const struct weft_conf_device *dev)
{
	size_t n = dev->n_peers + (f->file ? f->file->wg.dev.n_peers : 0);

	f->peers = calloc(n ? n : 1, sizeof(*f->peers));
	if (!f->peers)
		return -ENOMEM;
	for (size_t i = 0; i < dev->n_peers; i++)
		take_device_peer(f, &dev->peers[i], i);
	for (size_t i = 0; f->file && i < f->file->wg.dev.n_peers; i++)
		take_file_peer(f, i);
	return 0;
}

static void take_device(struct weft_doctor_facts *f, const struct weft_conf_device *dev)
{
	const struct weft_conf_device *file = f->file ? &f->file->wg.dev : NULL;

	f->listen_port = f->has_device ? dev->listen_port : file ? file->listen_port : 0;
	if (!f->has_device)
		return;
	f->has_private_key = !weft_ct_is_zero(dev->private_key.b, WEFT_KEY_LEN);
	memcpy(f->public_key, dev->public_key, WEFT_KEY_LEN);
	if (file && (file->has & WEFT_DEVICE_HAS_PRIVATE_KEY))
		f->same_key = weft_ct_equal(dev->private_key.b, file->private_key.b, WEFT_KEY_LEN)
				      ? WEFT_YES
				      : WEFT_NO;
	f->fwmark = dev->fwmark;
	f->relays = dev->relay == WEFT_CONF_RELAY_FAST;
	take_drops(dev, 0, f);
	take_drops(dev, 1, f);
}

void weft_facts_read_again(struct weft_doctor_facts *f, const struct weft_conf_device *dev)
{
	uint64_t now_sec = (uint64_t)time(NULL);

	for (size_t i = 0; i < dev->n_peers; i++)
		for (size_t k = 0; k < f->n_peers; k++) {
			/* mostly in the same place */
			struct weft_doctor_peer *p = &f->peers[(i + k) % f->n_peers];

			if (memcmp(p->public_key, dev->peers[i].public_key, WEFT_KEY_LEN) != 0)
				continue;
			take_figures(&dev->peers[i], now_sec, &p->after);
			break;
		}
	take_drops(dev, 1, f);
}

/* ---- the host ---- */

static enum weft_answer sysctl_is(const char *name, long value)
{
	struct weft_text text = {0};
	char path[128];
	enum weft_answer a = WEFT_NOT_KNOWN;

	(void)snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	if (!weft_file_read(path, O_NOFOLLOW, 64, &text) && !weft_text_append(&text, "", 1))
		a = strtol(text.p, NULL, 10) == value ? WEFT_YES : WEFT_NO;
	weft_text_clear(&text);
	return a;
}

/* The stricter of both counts, 2 being laxer than 1: ip-sysctl.rst says the greater one. */
static enum weft_answer rp_filter_strict(const struct weft_doctor_facts *f)
{
	char name[64];
	enum weft_answer a = sysctl_is("ipv4/conf/all/rp_filter", 1);

	if (sysctl_is("ipv4/conf/all/rp_filter", 2) != WEFT_NO)
		return WEFT_NO;
	for (size_t i = 0; i < f->n_peers; i++) {
		const struct weft_doctor_peer *p = &f->peers[i];

		if (!p->way_asked || p->way_rc || a == WEFT_YES)
			continue;
		(void)snprintf(name, sizeof(name), "ipv4/conf/%s/rp_filter", p->way.ifname);
		a = sysctl_is(name, 1);
	}
	return a;
}

static void take_clock(struct weft_doctor_facts *f)
{
	struct timex t = {.modes = 0};
	int state = adjtimex(&t);

	f->now_sec = (uint64_t)time(NULL);
	if (state >= 0)
		f->synchronised =
			state == TIME_ERROR || (t.status & STA_UNSYNC) ? WEFT_NO : WEFT_YES;
}

static void take_port(struct weft_doctor_facts *f)
{
	struct weft_text text = {0};

	if (!f->listen_port)
		return;
	f->port_known = weft_port_find(f->listen_port, f->look.pid, &f->holder) == 0;
	if (f->root && !weft_host_nft("list ruleset", true, &text) && text.len <= RULESET_BYTES)
		f->firewall_known = !weft_ruleset_judge(text.p, text.len, f->ifname, f->listen_port,
							&f->firewall);
	weft_text_clear(&text);
}

/* ---- names ---- */

static void take_found(const struct addrinfo *found, struct weft_doctor_name *ret)
{
	for (; found && ret->n_found < WEFT_DOCTOR_MAX_ADDRESSES; found = found->ai_next) {
		struct weft_ip ip = {.family = WEFT_NONE};
		struct sockaddr_in a4;
		struct sockaddr_in6 a6;

		if (found->ai_family == AF_INET) {
			memcpy(&a4, found->ai_addr, sizeof(a4));
			ip.family = WEFT_IPV4;
			memcpy(ip.b, &a4.sin_addr, 4);
		} else if (found->ai_family == AF_INET6) {
			memcpy(&a6, found->ai_addr, sizeof(a6));
			ip.family = WEFT_IPV6;
			memcpy(ip.b, &a6.sin6_addr, 16);
		}
		if (ip.family != WEFT_NONE)
			ret->found[ret->n_found++] = ip;
	}
}

static void resolve(const struct weft_conf_name *name, struct weft_doctor_name *ret)
{
	static const struct addrinfo hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM, .ai_protocol = IPPROTO_UDP};
	struct addrinfo *found = NULL;
	int error = getaddrinfo(name->host, name->port, &hints, &found);

	(void)snprintf(ret->host, sizeof(ret->host), "%s", name->host);
	if (!error) {
		ret->dns = WEFT_DNS_FOUND;
		take_found(found, ret);
		freeaddrinfo(found);
	} else if (error == EAI_NONAME || error == EAI_NODATA || error == EAI_ADDRFAMILY) {
		ret->dns = WEFT_DNS_NO_SUCH_NAME;
	} else {
		ret->dns = WEFT_DNS_NO_ANSWER;
	}
}

static void take_names(struct weft_doctor_facts *f)
{
	const struct weft_conf_names *names = &f->file->wg.names;

	for (size_t i = 0; i < names->n && i < WEFT_FACTS_MAX_PROBED; i++) {
		const struct weft_conf_name *name = &names->v[i];
		const uint8_t *key = f->file->wg.dev.peers[name->peer].public_key;

		for (size_t k = 0; k < f->n_peers; k++) {
			struct weft_doctor_peer *p = &f->peers[k];

			if (memcmp(p->public_key, key, WEFT_KEY_LEN) != 0 || p->dns.host[0])
				continue;
			resolve(name, &p->dns);
			if (p->endpoint.ip.family == WEFT_NONE && p->dns.n_found && !p->on_device) {
				p->endpoint.ip = p->dns.found[0];
				p->endpoint.port = (uint16_t)strtoul(name->port, NULL, 10);
			}
		}
	}
}

/* ---- all of it ---- */

static int gather(const struct weft_doctor_source *source, struct weft_doctor_facts *f,
		  struct weft_conf_device *dev)
{
	int rc = weft_host_look_around(f->ifname, &f->look);

	if (rc)
		return rc;
	/* to be asked by its name a stale socket would be removed: here nothing is changed */
	f->device_rc = -ENODEV;
	if (f->look.daemon_rc != -ECONNREFUSED || (f->look.link && !f->look.tun))
		f->device_rc = source->get(source->ctx, f->ifname, dev);
	f->has_device = f->device_rc == 0;
	if (!f->has_device)
		weft_conf_device_clear(dev);
	take_device(f, dev);
	rc = take_peers(f, dev);
	if (rc)
		return rc;
	take_port(f);
	if (f->file)
		take_names(f);
	weft_facts_ask_ways(f);
	rc = weft_facts_ask_routes(f, f->has_device ? dev : f->file ? &f->file->wg.dev : NULL);
	if (!rc && f->has_device && f->look.up)
		weft_facts_try_peers(source, f, dev);
	f->rp_filter_strict = rp_filter_strict(f);
	f->src_valid_mark = sysctl_is("ipv4/conf/all/src_valid_mark", 1);
	f->forwards = sysctl_is("ipv4/ip_forward", 1);
	return rc;
}

int weft_doctor_gather(const struct weft_doctor_source *source, struct weft_doctor_facts *ret)
{
	struct weft_conf_device dev = {0};
	int rc;

	(void)snprintf(ret->ifname, sizeof(ret->ifname), "%s", source->ifname);
	(void)snprintf(ret->file_fault, sizeof(ret->file_fault), "%s", source->file_fault);
	ret->file = source->file;
	ret->root = geteuid() == 0;
	ret->kernel_has_wireguard = access("/sys/module/wireguard", F_OK) == 0 ? WEFT_YES : WEFT_NO;
	take_clock(ret);
	rc = gather(source, ret, &dev);
	weft_conf_device_clear(&dev);
	return rc;
}

void weft_doctor_facts_clear(struct weft_doctor_facts *f)
{
	weft_host_look_clear(&f->look);
	free(f->peers);
	free(f->routes);
	*f = (struct weft_doctor_facts){0};
}
