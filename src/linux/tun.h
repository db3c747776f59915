/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tunnel device: /dev/net/tun with vnet headers and, where the kernel has them, TSO and USO
 * (Documentation/networking/tuntap.rst; virtio spec 5.1.6). Moves super-packets; what is inside
 * is offload.h's business.
 */
#ifndef WEFT_LINUX_TUN_H
#define WEFT_LINUX_TUN_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

#define WEFT_TUN_MAX_PACKET  65535
#define WEFT_TUN_DEFAULT_MTU 1420 /* of a device that did not exist before, as the kernel's wg */

struct weft_tun {
	int fd;
	char name[16];
	unsigned ifindex;
	bool multi_queue; /* of the kind that may have several queues */
	bool vnet_hdr;    /* every read and write carries a struct virtio_net_hdr */
	bool tso;         /* reads may be TCP super-packets; writes of them are accepted */
	bool uso;         /* likewise for UDP (Linux 6.2) */
};

/*
 * Creates (or attaches to) `name`; "%d" patterns are allowed. Non-blocking, IFF_NO_PI. A device
 * that did not exist gets WEFT_TUN_DEFAULT_MTU and goes away with the descriptor.
 * `offload` false: no vnet header at all. Needs CAP_NET_ADMIN. `tun->name` is what it became.
 * `multi_queue`: make one that may have several queues. One that was there stays of the kind that
 * it is, whatever is asked for: `tun->multi_queue` tells.
 * Returns 0 or negated errno (-EBUSY: a live daemon has it; -ENOENT: no /dev/net/tun; -EPERM).
 */
WEFT_MUST_CHECK int weft_tun_open(struct weft_tun *ret_tun, const char *name, bool offload,
				  bool multi_queue);

/*
 * Takes over an open TUN descriptor (WG_TUN_FD), attached already; owns it on success. Whether it
 * has vnet headers was settled when it was attached; `offload` false turns TSO and USO off.
 * Returns 0 or negated errno (-EINVAL: a TAP, or one without IFF_NO_PI).
 */
WEFT_MUST_CHECK int weft_tun_from_fd(struct weft_tun *ret_tun, int fd, bool offload);
/*
 * Another queue of a multi-queue device, to be read and written like `tun` and closed by itself.
 * The kernel gives each queue some of the flows: a flow's packets come through one of them, that
 * through which its answers were written if there were any of late. Needs CAP_NET_ADMIN.
 * Returns 0 or negated errno (-E2BIG: no more).
 */
WEFT_MUST_CHECK int weft_tun_add_queue(const struct weft_tun *tun, struct weft_tun *ret_queue);
void weft_tun_close(struct weft_tun *tun);

/*
 * Reads one packet or super-packet. Without vnet header `ret_hdr` is zeroed. `buf` should take
 * 65535 bytes. Returns the packet's length, -EAGAIN (also while the interface is down), -EBADFD
 * (device is gone), or other.
 */
WEFT_MUST_CHECK int weft_tun_read(struct weft_tun *tun, struct virtio_net_hdr *ret_hdr,
				  uint8_t *buf, size_t cap);

/*
 * The same into two pieces of memory: the first `head_cap` bytes to `head`, the others to `rest`.
 * Whoever reads many small packets need not have 64 KiB for each.
 */
WEFT_MUST_CHECK int weft_tun_read_pieces(struct weft_tun *tun, struct virtio_net_hdr *ret_hdr,
					 uint8_t *head, size_t head_cap, uint8_t *rest,
					 size_t rest_cap);

/*
 * Writes one packet or super-packet, at most 127 pieces. `hdr` NULL: a plain packet. Returns 0 or
 * negated errno. -EINVAL on a GSO packet (some 6.6 kernels): the caller writes the segments singly.
 * -EIO: the interface is down. -EBADFD: it is gone.
 */
struct iovec;
WEFT_MUST_CHECK int weft_tun_write(struct weft_tun *tun, const struct virtio_net_hdr *hdr,
				   const struct iovec *iov, unsigned n_iov);

#endif
