/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a device's features and channels, and sockets' buffers: see nicinfo.h. */
#include "linux/nicinfo.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "linux/rtnl.h"

#define MAX_FEATURES 512

/* A request to a device: `data` begins with its command. */
static int ask(int fd, const char *ifname, void *data)
{
	struct ifreq ifr = {.ifr_data = data};

	strncpy(ifr.ifr_name, ifname, sizeof(ifr.ifr_name) - 1);
	return ioctl(fd, SIOCETHTOOL, &ifr) ? -errno : 0;
}

static long flag(int fd, const char *ifname, uint32_t command)
{
	struct ethtool_value value = {.cmd = command};

	return ask(fd, ifname, &value) ? -1 : value.data != 0;
}

static void read_channels(int fd, const char *ifname, struct weft_ethtool *ret)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};

	if (ask(fd, ifname, &channels) || !channels.max_combined)
		return;
	ret->channels = (long)channels.combined_count;
	ret->max_channels = (long)channels.max_combined;
}

static uint32_t count_features(int fd, const char *ifname)
{
	struct ethtool_sset_info *info = calloc(1, sizeof(*info) + sizeof(uint32_t));
	uint32_t n = 0;

	if (!info)
		return 0;
	info->cmd = ETHTOOL_GSSET_INFO;
	info->sset_mask = 1ULL << ETH_SS_FEATURES;
	if (!ask(fd, ifname, info) && info->sset_mask)
		n = info->data[0];
	free(info);
	return n <= MAX_FEATURES ? n : 0;
}

/* Features that have no command of their own: their names first, then the bits of all. */
static void read_features(int fd, const char *ifname, struct weft_ethtool *ret)
{
	uint32_t n = count_features(fd, ifname), blocks = (n + 31) / 32;
	struct ethtool_gstrings *names = calloc(1, sizeof(*names) + (size_t)n * ETH_GSTRING_LEN);
	struct ethtool_gfeatures *bits =
		calloc(1, sizeof(*bits) + blocks * sizeof(bits->features[0]));

	if (n && names && bits) {
		names->cmd = ETHTOOL_GSTRINGS;
		names->string_set = ETH_SS_FEATURES;
		names->len = n;
		bits->cmd = ETHTOOL_GFEATURES;
		bits->size = blocks;
		if (ask(fd, ifname, names) || ask(fd, ifname, bits))
			n = 0;
		for (uint32_t i = 0; i < n; i++) {
			const char *name = (const char *)names->data + (size_t)i * ETH_GSTRING_LEN;
			long on = bits->features[i / 32].active >> i % 32 & 1;

			if (strncmp(name, "rx-udp-gro-forwarding", ETH_GSTRING_LEN) == 0)
				ret->udp_gro_forwarding = on;
			else if (strncmp(name, "rx-gro-list", ETH_GSTRING_LEN) == 0)
				ret->gro_list = on;
		}
	}
	free(names);
	free(bits);
}

int weft_ethtool_read(const char *ifname, struct weft_ethtool *ret)
{
	struct weft_ethtool seen = {-1, -1, -1, -1, -1, -1, -1};
	int fd;

	if (!if_nametoindex(ifname))
		return -ENODEV;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	seen.gro = flag(fd, ifname, ETHTOOL_GGRO);
	seen.gso = flag(fd, ifname, ETHTOOL_GGSO);
	seen.tso = flag(fd, ifname, ETHTOOL_GTSO);
	read_channels(fd, ifname, &seen);
	read_features(fd, ifname, &seen);
	close(fd);
	*ret = seen;
	return 0;
}

/* ---- sockets ---- */

struct looking {
	uint16_t port;
	bool found;
	struct weft_udp_buffers b;
};

static void note_memory(struct looking *l, const struct nlattr *attr)
{
	const uint32_t *m = mnl_attr_get_payload(attr);
	struct weft_udp_buffers *b = &l->b;

	if (mnl_attr_get_payload_len(attr) <= SK_MEMINFO_DROPS * sizeof(*m))
		return;
	if (!l->found || (long)m[SK_MEMINFO_RCVBUF] < b->rcvbuf)
		b->rcvbuf = (long)m[SK_MEMINFO_RCVBUF];
	if (!l->found || (long)m[SK_MEMINFO_SNDBUF] < b->sndbuf)
		b->sndbuf = (long)m[SK_MEMINFO_SNDBUF];
	b->drops += (long)m[SK_MEMINFO_DROPS];
	l->found = true;
}

static int on_socket(const struct nlmsghdr *nlh, void *arg)
{
	const struct inet_diag_msg *msg = mnl_nlmsg_get_payload(nlh);
	struct looking *l = arg;
	struct nlattr *attr;

	if (nlh->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(*msg) || ntohs(msg->id.idiag_sport) != l->port)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(*msg))
	{
		if (mnl_attr_get_type(attr) == INET_DIAG_SKMEMINFO)
			note_memory(l, attr);
	}
	return MNL_CB_OK;
}

static int dump_family(struct weft_rtnl *nl, uint8_t family, struct looking *l)
{
	uint8_t buf[WEFT_RTNL_REQUEST_BYTES] = {0};
	struct nlmsghdr *req = weft_rtnl_request(buf, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP);
	struct inet_diag_req_v2 *diag = mnl_nlmsg_put_extra_header(req, sizeof(*diag));

	diag->sdiag_family = family;
	diag->sdiag_protocol = IPPROTO_UDP;
	diag->idiag_ext = 1 << (INET_DIAG_SKMEMINFO - 1);
	diag->idiag_states = UINT32_MAX;
	return weft_rtnl_talk(nl, req, on_socket, l);
}

int weft_udp_buffers(uint16_t port, struct weft_udp_buffers *ret)
{
	struct timeval timeout = {.tv_sec = 2};
	struct weft_rtnl nl = {.nl = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC)};
	struct looking l = {.port = port};
	int rc = 0;

	if (!nl.nl)
		return -errno;
	if (mnl_socket_bind(nl.nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    setsockopt(mnl_socket_get_fd(nl.nl), SOL_SOCKET, SO_RCVTIMEO, &timeout,
		       sizeof(timeout)) < 0)
		rc = -errno;
	if (!rc)
		rc = dump_family(&nl, AF_INET, &l);
	if (!rc)
		rc = dump_family(&nl, AF_INET6, &l);
	weft_rtnl_close(&nl);
	if (rc)
		return rc;
	if (!l.found)
		return -ENOENT;
	*ret = l.b;
	return 0;
}
