/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel says of its WireGuard devices. Trusts no length; attributes that it does not
 * know are passed over, for kernels grow. No system call here.
 */
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/time_types.h>
#include <linux/wireguard.h>
#include <netinet/in.h>
#include <string.h>

#include "control/kernel_msg.h"

/* Copies a value of exactly `len` bytes. False: it is of another size. */
static bool take(const struct nlattr *attr, void *out, size_t len)
{
	if (mnl_attr_get_payload_len(attr) != len)
		return false;
	memcpy(out, mnl_attr_get_payload(attr), len);
	return true;
}

/* The attributes after a header of `extra` bytes; NULL: not even that is there. */
static const void *after_header(const struct nlmsghdr *nlh, size_t extra)
{
	return nlh->nlmsg_len < MNL_NLMSG_HDRLEN + MNL_ALIGN(extra) ? NULL
								    : mnl_nlmsg_get_payload(nlh);
}

static bool take_endpoint(const struct nlattr *attr, struct weft_endpoint *ret)
{
	struct sockaddr_in6 sin6;
	struct sockaddr_in sin;

	memset(ret, 0, sizeof(*ret));
	if (take(attr, &sin, sizeof(sin)) && sin.sin_family == AF_INET) {
		ret->ip.family = WEFT_IPV4;
		memcpy(ret->ip.b, &sin.sin_addr, sizeof(sin.sin_addr));
		ret->port = ntohs(sin.sin_port);
		return true;
	}
	if (take(attr, &sin6, sizeof(sin6)) && sin6.sin6_family == AF_INET6) {
		ret->ip.family = WEFT_IPV6;
		memcpy(ret->ip.b, &sin6.sin6_addr, sizeof(sin6.sin6_addr));
		ret->port = ntohs(sin6.sin6_port);
		ret->scope_id = sin6.sin6_scope_id;
		return true;
	}
	return false;
}

static int parse_allowed_ip(const struct nlattr *nest, struct weft_conf_peer *peer)
{
	const struct nlattr *ip = NULL;
	struct nlattr *attr;
	struct weft_prefix p = {0};
	uint16_t family = 0;
	bool ok = true;

	mnl_attr_for_each_nested(attr, nest)
	{
		switch (mnl_attr_get_type(attr)) {
		case WGALLOWEDIP_A_FAMILY:
			ok = ok && take(attr, &family, sizeof(family));
			break;
		case WGALLOWEDIP_A_IPADDR:
			ip = attr;
			break;
		case WGALLOWEDIP_A_CIDR_MASK:
			ok = ok && take(attr, &p.len, sizeof(p.len));
			break;
		default:
			break;
		}
	}
	if (family == AF_INET)
		p.ip.family = WEFT_IPV4;
	else if (family == AF_INET6)
		p.ip.family = WEFT_IPV6;
	if (!ok || !ip || p.ip.family == WEFT_NONE || p.len > weft_family_bits(p.ip.family) ||
	    !take(ip, p.ip.b, weft_family_bytes(p.ip.family)))
		return WEFT_E_PROTOCOL;
	return weft_conf_add_allowed_ip(peer, &p, false);
}

static int parse_allowed_ips(const struct nlattr *nest, struct weft_conf_peer *peer)
{
	struct nlattr *attr;
	int rc = 0;

	mnl_attr_for_each_nested(attr, nest)
	{
		if (!rc)
			rc = parse_allowed_ip(attr, peer);
	}
	return rc;
}

static bool take_handshake(const struct nlattr *attr, struct weft_conf_peer *peer)
{
	struct __kernel_timespec t;

	if (!take(attr, &t, sizeof(t)))
		return false;
	peer->last_handshake_sec = (uint64_t)t.tv_sec;
	peer->last_handshake_nsec = (uint32_t)t.tv_nsec;
	return true;
}

static int parse_peer_attr(const struct nlattr *attr, struct weft_conf_peer *peer)
{
	bool ok = true;

	switch (mnl_attr_get_type(attr)) {
	case WGPEER_A_PRESHARED_KEY:
		ok = take(attr, peer->psk.b, WEFT_KEY_LEN);
		peer->has |= WEFT_PEER_HAS_PSK;
		break;
	case WGPEER_A_ENDPOINT:
		ok = take_endpoint(attr, &peer->endpoint);
		peer->has |= WEFT_PEER_HAS_ENDPOINT;
		break;
	case WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL:
		ok = take(attr, &peer->keepalive_s, sizeof(peer->keepalive_s));
		peer->has |= WEFT_PEER_HAS_KEEPALIVE;
		break;
	case WGPEER_A_LAST_HANDSHAKE_TIME:
		ok = take_handshake(attr, peer);
		break;
	case WGPEER_A_RX_BYTES:
		ok = take(attr, &peer->rx_bytes, sizeof(peer->rx_bytes));
		break;
	case WGPEER_A_TX_BYTES:
		ok = take(attr, &peer->tx_bytes, sizeof(peer->tx_bytes));
		break;
	case WGPEER_A_ALLOWEDIPS:
		return parse_allowed_ips(attr, peer);
	default:
		break;
	}
	return ok ? 0 : WEFT_E_PROTOCOL;
}

/* A peer, or more of the one before, which then has the same key. */
static int parse_peer(const struct nlattr *nest, struct weft_conf_device *dev)
{
	struct weft_conf_peer *peer = dev->n_peers ? &dev->peers[dev->n_peers - 1] : NULL;
	struct nlattr *attr;
	uint8_t key[WEFT_KEY_LEN];
	bool has_key = false;
	int rc = 0;

	mnl_attr_for_each_nested(attr, nest)
	{
		if (mnl_attr_get_type(attr) == WGPEER_A_PUBLIC_KEY)
			has_key = take(attr, key, sizeof(key));
	}
	if (!has_key)
		return WEFT_E_PROTOCOL;
	if (!peer || memcmp(peer->public_key, key, WEFT_KEY_LEN) != 0) {
		rc = weft_conf_add_peer(dev, &peer);
		if (rc)
			return rc;
		memcpy(peer->public_key, key, WEFT_KEY_LEN);
	}
	mnl_attr_for_each_nested(attr, nest)
	{
		if (!rc)
			rc = parse_peer_attr(attr, peer);
	}
	return rc;
}

static int parse_peers(const struct nlattr *nest, struct weft_conf_device *dev)
{
	struct nlattr *attr;
	int rc = 0;

	mnl_attr_for_each_nested(attr, nest)
	{
		if (!rc)
			rc = parse_peer(attr, dev);
	}
	return rc;
}

static int parse_device_attr(const struct nlattr *attr, struct weft_conf_device *dev)
{
	bool ok = true;

	switch (mnl_attr_get_type(attr)) {
	case WGDEVICE_A_PRIVATE_KEY:
		ok = take(attr, dev->private_key.b, WEFT_KEY_LEN);
		dev->has |= WEFT_DEVICE_HAS_PRIVATE_KEY;
		break;
	case WGDEVICE_A_PUBLIC_KEY:
		ok = take(attr, dev->public_key, WEFT_KEY_LEN);
		dev->has |= WEFT_DEVICE_HAS_PUBLIC_KEY;
		break;
	case WGDEVICE_A_LISTEN_PORT:
		ok = take(attr, &dev->listen_port, sizeof(dev->listen_port));
		dev->has |= WEFT_DEVICE_HAS_LISTEN_PORT;
		break;
	case WGDEVICE_A_FWMARK:
		ok = take(attr, &dev->fwmark, sizeof(dev->fwmark));
		dev->has |= WEFT_DEVICE_HAS_FWMARK;
		break;
	case WGDEVICE_A_PEERS:
		return parse_peers(attr, dev);
	default:
		break;
	}
	return ok ? 0 : WEFT_E_PROTOCOL;
}

int weft_kernel_parse_get(const struct nlmsghdr *nlh, struct weft_conf_device *dev)
{
	struct nlattr *attr;
	int rc = 0;

	if (!after_header(nlh, sizeof(struct genlmsghdr)))
		return WEFT_E_PROTOCOL;
	mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr))
	{
		if (!rc)
			rc = parse_device_attr(attr, dev);
	}
	return rc;
}

int weft_kernel_parse_family(const struct nlmsghdr *nlh, uint16_t *ret_family)
{
	struct nlattr *attr;
	uint16_t family = 0;

	if (!after_header(nlh, sizeof(struct genlmsghdr)))
		return WEFT_E_PROTOCOL;
	mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr))
	{
		if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID &&
		    !take(attr, &family, sizeof(family)))
			return WEFT_E_PROTOCOL;
	}
	if (family < NLMSG_MIN_TYPE)
		return WEFT_E_PROTOCOL;
	*ret_family = family;
	return 0;
}

/* The kind may come with its NUL or without. */
static bool is_wireguard(const struct nlattr *linkinfo)
{
	struct nlattr *attr;
	bool yes = false;

	mnl_attr_for_each_nested(attr, linkinfo)
	{
		if (mnl_attr_get_type(attr) == IFLA_INFO_KIND) {
			const char *kind = mnl_attr_get_payload(attr);
			size_t len = strnlen(kind, mnl_attr_get_payload_len(attr));

			yes = len == sizeof(WG_GENL_NAME) - 1 &&
			      memcmp(kind, WG_GENL_NAME, len) == 0;
		}
	}
	return yes;
}

int weft_kernel_parse_link(const struct nlmsghdr *nlh, char ret_name[WEFT_KERNEL_IFNAME_SIZE])
{
	char name[WEFT_KERNEL_IFNAME_SIZE] = "";
	struct nlattr *attr;
	bool yes = false;

	if (!after_header(nlh, sizeof(struct ifinfomsg)))
		return WEFT_E_PROTOCOL;
	mnl_attr_for_each(attr, nlh, sizeof(struct ifinfomsg))
	{
		if (mnl_attr_get_type(attr) == IFLA_LINKINFO) {
			yes = is_wireguard(attr);
		} else if (mnl_attr_get_type(attr) == IFLA_IFNAME) {
			const char *text = mnl_attr_get_payload(attr);
			size_t len = strnlen(text, mnl_attr_get_payload_len(attr));

			if (len == 0 || len >= sizeof(name))
				return WEFT_E_PROTOCOL;
			memcpy(name, text, len);
			name[len] = '\0';
		}
	}
	if (!yes)
		return 0;
	if (!name[0])
		return WEFT_E_PROTOCOL;
	memcpy(ret_name, name, sizeof(name));
	return 1;
}
