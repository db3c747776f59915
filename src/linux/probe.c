/* SPDX-License-Identifier: Apache-2.0 */
/* Echo requests by ping sockets, else raw ones; errors of a connected UDP socket; /proc/net/udp. */
#include "linux/probe.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "linux/csum.h"

#define MAX_ECHO_BYTES 65535u
#define ECHO_HEADER    8u

static socklen_t sockaddr_of(const struct weft_ip *ip, uint16_t port, uint32_t scope,
			     struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (ip->family == WEFT_IPV4) {
		struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};

		memcpy(&a.sin_addr, ip->b, 4);
		memcpy(ret, &a, sizeof(a));
		return sizeof(a);
	}
	struct sockaddr_in6 a = {
		.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_scope_id = scope};

	memcpy(&a.sin6_addr, ip->b, 16);
	memcpy(ret, &a, sizeof(a));
	return sizeof(a);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Not to be cut up: IPV6_PMTUDISC_PROBE is the same number. A raw socket: ping sockets are not
 * everybody's (net.ipv4.ping_group_range). */
static int echo_socket(const char *ifname, bool v6)
{
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC,
			v6 ? (int)IPPROTO_ICMPV6 : (int)IPPROTO_ICMP);
	int whole = IP_PMTUDISC_PROBE, err = 0;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, ifname, (socklen_t)strlen(ifname)) ||
	    setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER,
		       &whole, sizeof(whole)))
		err = -errno;
	if (err)
		close(fd);
	return err ? err : fd;
}

/* True if it is the answer to the request of `len` bytes whose first 8 are `header`. */
static bool is_answer(const uint8_t *p, size_t n, const uint8_t *header, bool v6)
{
	size_t skip = v6 ? 0 : n ? (size_t)(p[0] & 15) * 4 : 0;

	return n >= skip + ECHO_HEADER && p[skip] == (v6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY) &&
	       memcmp(p + skip + 4, header + 4, 4) == 0;
}

static int await_answer(int fd, const struct sockaddr_storage *to, const uint8_t *header, bool v6,
			unsigned timeout_ms)
{
	uint64_t end = now_ms() + timeout_ms;

	for (;;) {
		struct sockaddr_storage from = {0};
		socklen_t from_len = sizeof(from);
		uint8_t got[128]; /* its beginning is enough */
		uint64_t now = now_ms();
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;
		int r = now < end ? poll(&p, 1, (int)(end - now)) : 0;

		if (r < 0 && errno != EINTR)
			return -errno;
		if (r == 0)
			return 0;
		n = recvfrom(fd, got, sizeof(got), MSG_DONTWAIT, (struct sockaddr *)&from,
			     &from_len);
		if (n <= 0)
			continue;
		if (v6 ? memcmp(&((struct sockaddr_in6 *)&from)->sin6_addr,
				&((const struct sockaddr_in6 *)to)->sin6_addr, 16) == 0
		       : memcmp(&((struct sockaddr_in *)&from)->sin_addr,
				&((const struct sockaddr_in *)to)->sin_addr, 4) == 0)
			if (is_answer(got, (size_t)n, header, v6))
				return 1;
	}
}

int weft_probe_echo(const char *ifname, const struct weft_ip *to, uint32_t bytes,
		    unsigned timeout_ms)
{
	static uint8_t packet[MAX_ECHO_BYTES];
	bool v6 = to->family == WEFT_IPV6;
	uint32_t head = v6 ? 40 : 20, len;
	struct sockaddr_storage addr;
	socklen_t addr_len = sockaddr_of(to, 0, 0, &addr);
	uint16_t sum;
	int fd, rc;

	if (bytes < head + ECHO_HEADER || bytes > MAX_ECHO_BYTES)
		return -EINVAL;
	len = bytes - head;
	memset(packet, 0, len);
	packet[0] = v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO;
	if (getrandom(packet + 4, 4, 0) != 4) /* identifier and sequence number */
		return -EIO;
	if (!v6) { /* the kernel fills in that of ICMPv6 */
		sum = (uint16_t)~weft_csum_fold(weft_csum_add(NULL, packet, len, 0));
		memcpy(packet + 2, &sum, 2);
	}
	fd = echo_socket(ifname, v6);
	if (fd < 0)
		return fd;
	rc = sendto(fd, packet, len, 0, (struct sockaddr *)&addr, addr_len) < 0 ? -errno : 0;
	if (!rc)
		rc = await_answer(fd, &addr, packet, v6, timeout_ms);
	close(fd);
	return rc;
}

int weft_probe_port(const struct weft_endpoint *to, uint32_t mark, unsigned timeout_ms)
{
	struct sockaddr_storage addr;
	socklen_t len = sockaddr_of(&to->ip, to->port, to->scope_id, &addr), err_len;
	int fd = socket(addr.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	const uint8_t byte = 0;

	if (fd < 0)
		return -errno;
	if ((mark && setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark))) ||
	    connect(fd, (struct sockaddr *)&addr, len) || send(fd, &byte, 1, 0) < 0) {
		err = errno;
	} else if (poll(&p, 1, (int)timeout_ms) > 0) {
		err_len = sizeof(err);
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &err_len))
			err = 0;
	}
	close(fd);
	return -err;
}

/* ---- who has a port ---- */

/* Looks for the inode among the descriptors of one process. */
static bool has_inode(const char *pid, uint64_t inode)
{
	char path[64], want[64], is[64];
	const struct dirent *e;
	bool found = false;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	(void)snprintf(want, sizeof(want), "socket:[%" PRIu64 "]", inode);
	dir = opendir(path);
	while (dir && !found && (e = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), e->d_name, is, sizeof(is) - 1);

		if (n > 0) {
			is[n] = '\0';
			found = strcmp(is, want) == 0;
		}
	}
	if (dir)
		closedir(dir);
	return found;
}

static void name_of(pid_t pid, char ret[16])
{
	char path[64];
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	f = fopen(path, "re");
	if (!f || !fgets(ret, 16, f))
		ret[0] = '\0';
	for (char *c = ret; *c; c++) /* a process names itself */
		if (*c < ' ' || *c > '~')
			*c = *c == '\n' ? '\0' : '?';
	if (f)
		fclose(f);
}

static pid_t process_with(uint64_t inode)
{
	DIR *dir = opendir("/proc");
	const struct dirent *e;
	int pid = 0, n;

	while (dir && !pid && (e = readdir(dir)))
		if (sscanf(e->d_name, "%d", &n) == 1 && has_inode(e->d_name, inode))
			pid = n;
	if (dir)
		closedir(dir);
	return pid;
}

/* One socket that has the port. Those of the kernel have an inode that is no process's. */
static void take(uint64_t inode, pid_t mine, struct weft_port_holder *ret)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%d", (int)mine);
	if (mine && inode && has_inode(text, inode))
		ret->pid = mine;
	else if (!ret->taken) /* of those that are not mine the first */
		ret->pid = inode ? process_with(inode) : 0;
	ret->taken = true;
	if (ret->pid)
		name_of(ret->pid, ret->name);
}

int weft_port_find(uint16_t port, pid_t mine, struct weft_port_holder *ret)
{
	static const char *const files[] = {"/proc/net/udp", "/proc/net/udp6"};
	struct weft_port_holder holder = {.taken = false};
	bool any = false;

	for (size_t i = 0; i < 2; i++) {
		FILE *f = fopen(files[i], "re");
		char line[512];
		unsigned local;
		uint64_t inode;

		any |= f != NULL;
		while (f && fgets(line, sizeof(line), f))
			if (sscanf(line, "%*s %*[0-9A-F]:%x %*s %*s %*s %*s %*s %*s %*s %" SCNu64,
				   &local, &inode) == 2 &&
			    local == port && !(mine && holder.pid == mine))
				take(inode, mine, &holder);
		if (f)
			fclose(f);
	}
	if (!any)
		return -ENOENT;
	*ret = holder;
	return 0;
}
