/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tunnel device. Opens /dev/net/tun, asks for what offload the kernel has, moves packets.
 * Knows nothing of what is inside them. Documentation/networking/tuntap.rst; virtio spec 5.1.6.
 */
#include "linux/tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "linux/rtnl.h"

/* Linux 6.2; older headers lack them. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

/*
 * Of the device's ring, a queue: as many as the kernel's WireGuard keeps (MAX_QUEUED_PACKETS). The
 * TUN's own 500 are over in 2 ms at 250,000 packets a second, before a busy processor comes back.
 */
#define QUEUE_PKTS 1024

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
	tun->multi_queue = (ifr.ifr_flags & IFF_MULTI_QUEUE) != 0;
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

/* The queues of a multi-queue TUN; of anything else none is counted. */
static int count_queues(const struct nlmsghdr *answer, void *arg)
{
	struct nlattr *attr, *info, *data = NULL;
	unsigned *queues = arg;
	bool is_tun = false;

	mnl_attr_for_each(attr, answer, sizeof(struct ifinfomsg))
	{
		if (mnl_attr_get_type(attr) != IFLA_LINKINFO)
			continue;
		mnl_attr_for_each_nested(info, attr)
		{
			if (mnl_attr_get_type(info) == IFLA_INFO_KIND)
				is_tun = mnl_attr_get_payload_len(info) >= 3 &&
					 memcmp(mnl_attr_get_payload(info), "tun", 3) == 0;
			else if (mnl_attr_get_type(info) == IFLA_INFO_DATA)
				data = info;
		}
	}
	if (!is_tun || !data)
		return MNL_CB_OK;
	mnl_attr_for_each_nested(attr, data)
	{
		if (mnl_attr_get_type(attr) == IFLA_TUN_NUM_QUEUES &&
		    mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
			*queues = mnl_attr_get_u32(attr);
	}
	return MNL_CB_OK;
}

/* A multi-queue TUN that somebody else has open. */
static bool is_shared(unsigned ifindex)
{
	uint8_t buf[WEFT_RTNL_REQUEST_BYTES] = {0};
	struct nlmsghdr *req = weft_rtnl_request(buf, RTM_GETLINK, NLM_F_ACK);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(req, sizeof(*ifi));
	struct weft_rtnl rtnl;
	unsigned queues = 0;

	ifi->ifi_family = AF_UNSPEC;
	ifi->ifi_index = (int)ifindex;
	if (weft_rtnl_open(&rtnl) < 0)
		return false;
	if (weft_rtnl_talk(&rtnl, req, count_queues, &queues) < 0)
		queues = 0;
	weft_rtnl_close(&rtnl);
	return queues > 0;
}

static int attach(int fd, const char *name, short flags)
{
	struct ifreq ifr = {.ifr_flags = flags};

	memcpy(ifr.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	return ioctl(fd, TUNSETIFF, &ifr) < 0 ? -errno : 0;
}

/*
 * Attaches to `name`, or makes it. Persistent devices are of one kind, with one queue or several,
 * and refuse (EINVAL) the other. Several would let a second daemon in beside the first, which then
 * gets some of its flows: so one that is in use is refused here.
 */
static int attach_either(int fd, const char *name, short flags, bool multi_queue, unsigned existing)
{
	short multi = multi_queue ? IFF_MULTI_QUEUE : 0;
	int err;

	if (existing && is_shared(existing))
		return -EBUSY;
	err = attach(fd, name, (short)(flags | multi));
	if (err == -EINVAL && existing)
		err = attach(fd, name, (short)(flags | (multi ^ IFF_MULTI_QUEUE)));
	return err;
}

static short flags_for(bool vnet_hdr)
{
	return (short)(IFF_TUN | IFF_NO_PI | (vnet_hdr ? IFF_VNET_HDR : 0));
}

/* What a device that was not there before does not have from its maker. */
static int set_up_fresh(const char *name)
{
	struct ifreq mtu = {.ifr_mtu = WEFT_TUN_DEFAULT_MTU}, qlen = {.ifr_qlen = QUEUE_PKTS};
	int err;

	memcpy(mtu.ifr_name, name, sizeof(mtu.ifr_name));
	memcpy(qlen.ifr_name, name, sizeof(qlen.ifr_name));
	err = if_ioctl(SIOCSIFMTU, &mtu);
	return err < 0 ? err : if_ioctl(SIOCSIFTXQLEN, &qlen);
}

int weft_tun_open(struct weft_tun *ret_tun, const char *name, bool offload, bool multi_queue)
{
	struct weft_tun tun = {.fd = -1};
	unsigned existing = 0;
	bool fresh;
	int err;

	if (!name[0] || strlen(name) >= IFNAMSIZ)
		return -EINVAL;
	fresh = find_ifindex(name, &existing) < 0;

	tun.fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (tun.fd < 0)
		return -errno;
	err = attach_either(tun.fd, name, flags_for(offload), multi_queue, existing);
	if (err < 0)
		goto fail;
	err = adopt(&tun, offload);
	if (err < 0)
		goto fail;
	if (fresh) {
		err = set_up_fresh(tun.name);
		if (err < 0)
			goto fail;
	}
	*ret_tun = tun;
	return 0;
fail:
	close(tun.fd);
	return err;
}

int weft_tun_add_queue(const struct weft_tun *tun, struct weft_tun *ret_queue)
{
	struct weft_tun queue = *tun;
	int err;

	queue.fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (queue.fd < 0)
		return -errno;
	/* the offload and the header's length are the device's: there already */
	err = attach(queue.fd, tun->name, (short)(flags_for(tun->vnet_hdr) | IFF_MULTI_QUEUE));
	if (err < 0) {
		close(queue.fd);
		return err;
	}
	*ret_queue = queue;
	return 0;
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

int weft_tun_read_pieces(struct weft_tun *tun, struct virtio_net_hdr *ret_hdr, uint8_t *head,
			 size_t head_cap, uint8_t *rest, size_t rest_cap)
{
	struct virtio_net_hdr hdr = {0};
	struct iovec iov[3] = {{&hdr, sizeof(hdr)}, {head, head_cap}, {rest, rest_cap}};
	int skip = tun->vnet_hdr ? 0 : 1, pieces = rest_cap ? 3 : 2;
	ssize_t n;

	do {
		n = readv(tun->fd, iov + skip, pieces - skip);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		/* EFAULT: the device was shut down while we were at it; the buffers are good. */
		return errno == EFAULT ? -EBADFD : -errno;
	}
	if (tun->vnet_hdr) {
		if ((size_t)n < sizeof(hdr))
			return -EIO;
		n -= (ssize_t)sizeof(hdr);
	}
	*ret_hdr = hdr;
	return (int)n;
}

int weft_tun_read(struct weft_tun *tun, struct virtio_net_hdr *ret_hdr, uint8_t *buf, size_t cap)
{
	return weft_tun_read_pieces(tun, ret_hdr, buf, cap, NULL, 0);
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
