/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What we change on our interface: quiet, MTU, how large its super-packets may be. rtnetlink(7),
 * Documentation/networking/ip-sysctl.rst.
 */
#include "linux/link.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "linux/rtnl.h"

#define DATAGRAM_OVERHEAD 32    /* of a transport data message (WireGuard paper, 5.4.6) */
#define MAX_PAYLOAD       65507 /* of one UDP GSO send */
#define NO_LINK_LOCAL     1     /* IN6_ADDR_GEN_MODE_NONE */

static int open_sysctl(const char *family, const char *name, const char *key, int flags)
{
	char path[128];
	int n = snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", family, name, key);
	int fd;

	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* 0 or negated errno. -ENOENT: no such stack. */
static int write_sysctl(const char *family, const char *name, const char *key, char value)
{
	int fd = open_sysctl(family, name, key, O_WRONLY);
	int err = 0;

	if (fd < 0)
		return fd;
	if (write(fd, &value, 1) != 1)
		err = -errno;
	close(fd);
	return err;
}

/* The first character, or negated errno. */
static int read_sysctl(const char *family, const char *name, const char *key)
{
	int fd = open_sysctl(family, name, key, O_RDONLY);
	char value = 0;
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read(fd, &value, 1);
	close(fd);
	return n == 1 ? value : -EIO;
}

/*
 * A hub that forwards between two spokes would tell each packet's sender to go straight to the
 * other. The kernel redirects if either the interface's switch or that of "all" is on, so "all"
 * has to go off, as the kernel's own WireGuard does; and so that nothing changes for any other
 * interface, theirs are turned on first, by name, if "all" was.
 */
static int no_redirects(const char *name)
{
	const struct dirent *e;
	DIR *dir;
	int all, err;

	err = write_sysctl("ipv4", name, "send_redirects", '0');
	if (err < 0)
		return err;
	all = read_sysctl("ipv4", "all", "send_redirects");
	if (all < 0 || all == '0')
		return all < 0 ? all : 0;
	dir = opendir("/proc/sys/net/ipv4/conf");
	if (!dir)
		return -errno;
	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.' || strcmp(e->d_name, "all") == 0 ||
		    strcmp(e->d_name, name) == 0)
			continue;
		err = write_sysctl("ipv4", e->d_name, "send_redirects", '1');
		/* One that has just gone away. */
		if (err == -ENOENT)
			err = 0;
		if (err < 0)
			break;
	}
	closedir(dir);
	return err < 0 ? err : write_sysctl("ipv4", "all", "send_redirects", '0');
}

static int set_link(struct nlmsghdr *req)
{
	struct weft_rtnl rtnl;
	int err = weft_rtnl_open(&rtnl);

	if (err < 0)
		return err;
	err = weft_rtnl_talk(&rtnl, req, NULL, NULL);
	weft_rtnl_close(&rtnl);
	return err;
}

static struct nlmsghdr *begin_set_link(void *buf, unsigned ifindex)
{
	struct nlmsghdr *req = weft_rtnl_request(buf, RTM_NEWLINK, NLM_F_ACK);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(req, sizeof(*ifi));

	ifi->ifi_family = AF_UNSPEC;
	ifi->ifi_index = (int)ifindex;
	return req;
}

static int no_link_local(unsigned ifindex)
{
	uint8_t buf[WEFT_RTNL_REQUEST_BYTES] = {0};
	struct nlmsghdr *req = begin_set_link(buf, ifindex);
	struct nlattr *af_spec = mnl_attr_nest_start(req, IFLA_AF_SPEC);
	struct nlattr *inet6 = mnl_attr_nest_start(req, AF_INET6);

	mnl_attr_put_u8(req, IFLA_INET6_ADDR_GEN_MODE, NO_LINK_LOCAL);
	mnl_attr_nest_end(req, inet6);
	mnl_attr_nest_end(req, af_spec);
	return set_link(req);
}

int weft_link_quiet(const char *name, unsigned ifindex)
{
	int err = 0, first = 0;

	/* Without an IPv6 stack there is nothing to silence. */
	if (access("/proc/sys/net/ipv6", F_OK) == 0) {
		first = no_link_local(ifindex);
		if (first < 0)
			first = write_sysctl("ipv6", name, "addr_gen_mode", '0' + NO_LINK_LOCAL);
		err = write_sysctl("ipv6", name, "router_solicitations", '0');
		if (first == 0)
			first = err;
	}
	err = no_redirects(name);
	return first < 0 ? first : err;
}

int weft_link_limit_gso(unsigned ifindex, uint32_t mtu)
{
	uint8_t buf[WEFT_RTNL_REQUEST_BYTES] = {0};
	struct nlmsghdr *req = begin_set_link(buf, ifindex);
	uint32_t segs = MAX_PAYLOAD / (mtu + DATAGRAM_OVERHEAD);

	mnl_attr_put_u32(req, IFLA_GSO_MAX_SEGS, segs ? segs : 1);
	return set_link(req);
}

int weft_link_set_mtu(unsigned ifindex, uint32_t mtu)
{
	uint8_t buf[WEFT_RTNL_REQUEST_BYTES] = {0};
	struct nlmsghdr *req = begin_set_link(buf, ifindex);

	mnl_attr_put_u32(req, IFLA_MTU, mtu);
	return set_link(req);
}
