/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tunnel device. Opens /dev/net/tun, asks for what offload the kernel has, moves packets.
 * Knows nothing of what is inside them. Documentation/networking/tuntap.rst; virtio spec 5.1.6.
 */
#include "linux/tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Linux 6.2; older headers lack them. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

/* One header and the pieces of one super-packet. */
#define MAX_IOV 128

static const struct virtio_net_hdr plain_hdr;

/*
 * Asks for as much as the kernel knows. TSO_ECN: without it the kernel segments by itself each
 * super-packet that carries CWR; weft_split keeps CWR to the first segment, so we can take them.
 */
static void request_offload(struct weft_tun *tun, bool offload)
{
	static const unsigned tso = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
	static const unsigned uso = TUN_F_USO4 | TUN_F_USO6;

	tun->tso = tun->uso = false;
	if (!tun->vnet_hdr)
		return;
	if (offload && ioctl(tun->fd, TUNSETOFFLOAD, tso | uso) == 0) {
		tun->tso = tun->uso = true;
		return;
	}
	if (offload && ioctl(tun->fd, TUNSETOFFLOAD, tso) == 0) {
		tun->tso = true;
		return;
	}
	/* A device that we took over may still have them on. */
	(void)ioctl(tun->fd, TUNSETOFFLOAD, 0);
}

/* One ioctl on the interface by its name, through any socket. 0 or negated errno. */
static int if_ioctl(unsigned long request, struct ifreq *ifr)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, request, ifr) < 0)
		err = -errno;
	close(fd);
	return err;
}

static int find_ifindex(const char *name, unsigned *ret_ifindex)
{
	struct ifreq ifr = {0};
	int err;

	memcpy(ifr.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	err = if_ioctl(SIOCGIFINDEX, &ifr);
	if (err < 0)
		return err;
	*ret_ifindex = (unsigned)ifr.ifr_ifindex;
	return 0;
}

/* Fills in `tun` from a descriptor that is attached already. The caller closes on error. */
static int adopt(struct weft_tun *tun, bool offload)
{
	int hdr_len = sizeof(struct virtio_net_hdr);
	struct ifreq ifr = {0};
	int flags, err;

	if (ioctl(tun->fd, TUNGETIFF, &ifr) < 0)
		return -errno;
	/* No TAP, and no packet information header in front of the packets. */
	if ((ifr.ifr_flags & (IFF_TUN | IFF_NO_PI)) != (IFF_TUN | IFF_NO_PI))
		return -EINVAL;
	tun->vnet_hdr = (ifr.ifr_flags & IFF_VNET_HDR) != 0;
	if (tun->vnet_hdr && ioctl(tun->fd, TUNSETVNETHDRSZ, &hdr_len) < 0)
		return -errno;

	memcpy(tun->name, ifr.ifr_name, sizeof(tun->name));
	tun->name[sizeof(tun->name) - 1] = '\0';
	err = find_ifindex(tun->name, &tun->ifindex);
	if (err < 0)
		return err;

	flags = fcntl(tun->fd, F_GETFL);
	if (flags < 0 || fcntl(tun->fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	request_offload(tun, offload);
	return 0;
}

int weft_tun_open(struct weft_tun *ret_tun, const char *name, bool offload)
{
	struct weft_tun tun = {.fd = -1};
	struct ifreq ifr = {0};
	unsigned existing;
	bool fresh;
	int err;

	if (!name[0] || strlen(name) >= sizeof(ifr.ifr_name))
		return -EINVAL;
	memcpy(ifr.ifr_name, name, strlen(name));
	fresh = find_ifindex(name, &existing) < 0;

	tun.fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (tun.fd < 0)
		return -errno;
	ifr.ifr_flags = (short)(IFF_TUN | IFF_NO_PI | (offload ? IFF_VNET_HDR : 0));
	if (ioctl(tun.fd, TUNSETIFF, &ifr) < 0) {
		err = -errno;
		goto fail;
	}
	err = adopt(&tun, offload);
	if (err < 0)
		goto fail;
	if (fresh) {
		struct ifreq mtu = {.ifr_mtu = WEFT_TUN_DEFAULT_MTU};

		memcpy(mtu.ifr_name, tun.name, sizeof(tun.name));
		err = if_ioctl(SIOCSIFMTU, &mtu);
		if (err < 0)
			goto fail;
	}
	*ret_tun = tun;
	return 0;
fail:
	close(tun.fd);
	return err;
}

int weft_tun_from_fd(struct weft_tun *ret_tun, int fd, bool offload)
{
	struct weft_tun tun = {.fd = fd};
	int err = adopt(&tun, offload);

	if (err < 0)
		return err;
	*ret_tun = tun;
	return 0;
}

void weft_tun_close(struct weft_tun *tun)
{
	if (tun->fd >= 0)
		close(tun->fd);
	tun->fd = -1;
}

int weft_tun_read(struct weft_tun *tun, struct virtio_net_hdr *ret_hdr, uint8_t *buf, size_t cap)
{
	struct virtio_net_hdr hdr = {0};
	struct iovec iov[2] = {{&hdr, sizeof(hdr)}, {buf, cap}};
	size_t hdr_len = tun->vnet_hdr ? sizeof(hdr) : 0;
	ssize_t n;

	do {
		n = tun->vnet_hdr ? readv(tun->fd, iov, 2) : read(tun->fd, buf, cap);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		/* EFAULT: the device was shut down while we were at it; the buffers are good. */
		return errno == EFAULT ? -EBADFD : -errno;
	}
	if ((size_t)n < hdr_len)
		return -EIO;
	*ret_hdr = hdr;
	return (int)((size_t)n - hdr_len);
}

int weft_tun_write(struct weft_tun *tun, const struct virtio_net_hdr *hdr, const struct iovec *iov,
		   unsigned n_iov)
{
	struct iovec all[MAX_IOV];
	unsigned n = 0;
	ssize_t written;

	if (n_iov + 1 > MAX_IOV)
		return -EMSGSIZE;
	if (tun->vnet_hdr) {
		/* Only read by the kernel. */
		all[n].iov_base = (void *)(uintptr_t)(hdr ? hdr : &plain_hdr);
		all[n++].iov_len = sizeof(*hdr);
	}
	memcpy(&all[n], iov, n_iov * sizeof(*iov));
	n += n_iov;
	do {
		written = writev(tun->fd, all, (int)n);
	} while (written < 0 && errno == EINTR);
	return written < 0 ? -errno : 0;
}
