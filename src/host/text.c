/* SPDX-License-Identifier: Apache-2.0 */
/* Changes as people know them: command lines, and what nft(8) reads. */
#include <inttypes.h>

#include "host/state.h"

static int flag(uint8_t family)
{
	return family == WEFT_IPV6 ? 6 : 4;
}

int weft_host_change_text(const struct weft_host_change *c, const char *ifname,
			  struct weft_text *out)
{
	const char *verb = c->add ? "add" : "delete";
	char to[WEFT_PREFIX_TEXT_LEN];
	int rc;

	switch (c->kind) {
	case WEFT_HOST_ADDRESS:
		return weft_text_printf(out, "ip -%d address %s %s dev %s",
					flag(c->prefix.ip.family), verb,
					weft_prefix_format(&c->prefix, to), ifname);
	case WEFT_HOST_LINK:
		return weft_text_printf(out, "ip link set mtu %" PRIu32 " up dev %s", c->mtu,
					ifname);
	case WEFT_HOST_DNS:
		return weft_text_printf(out, "resolvconf %s %s %s", c->add ? "-a" : "-d", ifname,
					c->add ? "-m 0 -x" : "-f");
	case WEFT_HOST_MARK:
		if (!c->mark)
			return weft_text_printf(out, "weft set %s fwmark off", ifname);
		return weft_text_printf(out, "weft set %s fwmark %" PRIu32, ifname, c->mark);
	case WEFT_HOST_ROUTE:
		rc = weft_text_printf(out, "ip -%d route %s %s dev %s", flag(c->prefix.ip.family),
				      verb, weft_prefix_format(&c->prefix, to), ifname);
		return rc || c->table == 254 ? rc
					     : weft_text_printf(out, " table %" PRIu32, c->table);
	case WEFT_HOST_MARK_RULE:
		return weft_text_printf(out, "ip -%d rule %s not fwmark %" PRIu32 " table %" PRIu32,
					flag(c->family), verb, c->mark, c->mark);
	case WEFT_HOST_SUPPRESS_RULE:
		return weft_text_printf(out, "ip -%d rule %s table main suppress_prefixlength 0",
					flag(c->family), verb);
	case WEFT_HOST_SRC_VALID_MARK:
		return weft_text_printf(out, "sysctl -q net.ipv4.conf.all.src_valid_mark=1");
	case WEFT_HOST_FIREWALL:
		break;
	}
	return weft_text_printf(out, "nft %s table %s wg-quick-%s", verb,
				c->family == WEFT_IPV6 ? "ip6" : "ip", ifname);
}

int weft_host_firewall_text(const struct weft_host_change *c, const char *ifname,
			    const struct weft_prefix *addresses, size_t n, struct weft_text *out)
{
	const char *family = c->family == WEFT_IPV6 ? "ip6" : "ip";
	char ip[WEFT_IP_TEXT_LEN];
	int rc;

	/* made empty first, so that there is something to take away */
	rc = weft_text_printf(out, "add table %s wg-quick-%s\ndelete table %s wg-quick-%s\n",
			      family, ifname, family, ifname);
	if (rc || !c->add)
		return rc;
	rc = weft_text_printf(out,
			      "table %s wg-quick-%s {\n"
			      "\tchain preraw {\n"
			      "\t\ttype filter hook prerouting priority -300;\n",
			      family, ifname);
	for (size_t i = 0; i < n && !rc; i++)
		if (addresses[i].ip.family == c->family)
			rc = weft_text_printf(out,
					      "\t\tiifname != \"%s\" %s daddr %s "
					      "fib saddr type != local drop\n",
					      ifname, family, weft_ip_format(&addresses[i].ip, ip));
	if (rc)
		return rc;
	return weft_text_printf(out,
				"\t}\n"
				"\tchain premangle {\n"
				"\t\ttype filter hook prerouting priority -150;\n"
				"\t\tmeta l4proto udp meta mark set ct mark\n"
				"\t}\n"
				"\tchain postmangle {\n"
				"\t\ttype filter hook postrouting priority -150;\n"
				"\t\tmeta l4proto udp mark %" PRIu32 " ct mark set mark\n"
				"\t}\n"
				"}\n",
				c->mark);
}
