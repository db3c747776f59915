/* SPDX-License-Identifier: Apache-2.0 */
/* From a WireGuard device to the facts about what carries it. */
#include <errno.h>
#include <net/if.h>

#include "host/tune.h"
#include "linux/nicinfo.h"
#include "linux/link.h"
#include "linux/udp.h"

static int add_peers(const struct weft_conf_device *dev, struct weft_link *link,
		     struct weft_tune_facts *facts)
{
	char name[IF_NAMESIZE];
	unsigned seen = 0;
	int rc = 0;

	for (size_t i = 0; i < dev->n_peers && !rc; i++) {
		const struct weft_conf_peer *p = &dev->peers[i];
		unsigned ifindex = p->endpoint.scope_id;

		if (!(p->has & WEFT_PEER_HAS_ENDPOINT))
			continue;
		if (!ifindex &&
		    weft_route_lookup(link, &p->endpoint.ip, NULL, dev->fwmark, &ifindex))
			continue; /* no way there now */
		if (ifindex == seen || !if_indextoname(ifindex, name))
			continue;
		seen = ifindex;
		rc = weft_tune_add_carriers("", name, facts);
	}
	return rc == WEFT_E_LIMIT ? 0 : rc; /* so many are enough to see */
}

static void add_features(struct weft_tune_nic *nic)
{
	struct weft_ethtool e;

	if (weft_ethtool_read(nic->name, &e))
		return;
	nic->gro = e.gro;
	nic->gso = e.gso;
	nic->tso = e.tso;
	nic->udp_gro_forwarding = e.udp_gro_forwarding;
	nic->gro_list = e.gro_list;
	nic->channels = e.channels;
	nic->max_channels = e.max_channels;
}

/* The kernel's own WireGuard takes datagrams before they are queued for a socket. */
static void add_sockets(const struct weft_conf_device *dev, struct weft_tune_facts *facts)
{
	struct weft_udp_buffers b;

	facts->wanted_buf = WEFT_UDP_SOCKET_BYTES;
	if (!dev->version[0] || !dev->listen_port || weft_udp_buffers(dev->listen_port, &b))
		return;
	facts->rcvbuf = b.rcvbuf;
	facts->sndbuf = b.sndbuf;
	facts->socket_drops = b.drops;
}

int weft_tune_find(const struct weft_conf_device *dev, struct weft_tune_facts *ret_facts)
{
	struct weft_link *link;
	unsigned ifindex = if_nametoindex(dev->name);
	int rc = ifindex ? weft_link_open(&link, ifindex) : -ENODEV;

	if (rc)
		return rc;
	weft_tune_read_host("", ret_facts);
	rc = add_peers(dev, link, ret_facts);
	weft_link_close(link);
	for (size_t i = 0; i < ret_facts->n_nics; i++)
		add_features(&ret_facts->nics[i]);
	add_sockets(dev, ret_facts);
	return rc;
}
