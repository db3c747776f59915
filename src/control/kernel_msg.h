/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages of the kernel's WireGuard, to and from a configuration: generic netlink, family
 * "wireguard", as linux/wireguard.h describes it. Makes no system call. For src/control alone.
 */
#ifndef WEFT_CONTROL_KERNEL_MSG_H
#define WEFT_CONTROL_KERNEL_MSG_H

#include <libmnl/libmnl.h>

#include "conf/device.h"

#define WEFT_KERNEL_IFNAME_SIZE 16 /* with the NUL */

/*
 * The size of a message that changes a device. The kernel takes more; but its peers are one
 * attribute, which has 16 bits for its length.
 */
#define WEFT_KERNEL_MSG_BYTES 32768
#define WEFT_KERNEL_MSG_MIN   512 /* any device and peer with one allowed IP fit into this */

/*
 * A change on its way into messages. The caller fills in what is above the line and leaves the
 * rest zero. Everything in it is borrowed.
 */
struct weft_kernel_set {
	uint16_t family;
	const char *name; /* at most WEFT_KERNEL_IFNAME_SIZE - 1 bytes */
	const struct weft_conf_device *change;
	uint32_t (*ifindex)(const char *zone); /* NULL: zones that are names count for nothing */
	/* ---- where it stands */
	bool begun;      /* the device's own part is out */
	bool in_peer;    /* that peer's own part is out */
	size_t peer;     /* the next one, or the one that goes on */
	size_t entry;    /* its next allowed IP */
	bool removes;    /* the last message took away allowed IPs of one peer, and did no more: */
	size_t of_peer;  /* of this one, */
	size_t from, to; /* these entries, `to` not among them */
};

/*
 * Writes the next WG_CMD_SET_DEVICE message, with NLM_F_ACK and without a sequence number, into
 * `buf`, `size` bytes (at least WEFT_KERNEL_MSG_MIN), aligned for a nlmsghdr. The order of entries
 * is kept; those that take away are in messages of their own, for not every kernel knows them. A
 * peer goes on in the next message with WGPEER_F_UPDATE_ONLY, for its first part has made it, if
 * it was to be made. Returns the length, 0 if all is out, or WEFT_E_NO_SPACE. The message may
 * hold keys: to be wiped.
 */
WEFT_MUST_CHECK int weft_kernel_put_set(struct weft_kernel_set *set, void *buf, size_t size);

/*
 * The change that takes away what `set`'s last message was to, for kernels that do not know how:
 * the peer's allowed IPs in `now`, without those, in place of all. `ret_change` is empty if the
 * peer has none of them, or is not there. 0 or -ENOMEM; to be cleared either way.
 */
WEFT_MUST_CHECK int weft_kernel_replace(const struct weft_kernel_set *set,
					const struct weft_conf_device *now,
					struct weft_conf_device *ret_change);

/* WG_CMD_GET_DEVICE, a dump. `buf`: WEFT_KERNEL_MSG_MIN bytes, as for the next two. */
struct nlmsghdr *weft_kernel_put_get(void *buf, uint16_t family, const char *name);
/* CTRL_CMD_GETFAMILY of "wireguard". */
struct nlmsghdr *weft_kernel_put_family(void *buf);
/* RTM_GETLINK of one interface, or with NULL a dump of all. */
struct nlmsghdr *weft_kernel_put_link(void *buf, const char *name);

/*
 * Adds one message of a WG_CMD_GET_DEVICE dump to `dev`. A peer that the last message left
 * unfinished goes on. Zones stay numbers. 0, WEFT_E_PROTOCOL, -ENOMEM or WEFT_E_LIMIT; `dev` is to
 * be cleared either way.
 */
WEFT_MUST_CHECK int weft_kernel_parse_get(const struct nlmsghdr *nlh, struct weft_conf_device *dev);

/* The family's id out of the answer to weft_kernel_put_family. 0 or WEFT_E_PROTOCOL. */
WEFT_MUST_CHECK int weft_kernel_parse_family(const struct nlmsghdr *nlh, uint16_t *ret_family);

/*
 * 1 and its name if the message is of a WireGuard link of the kernel, 0 if it is of another, or
 * WEFT_E_PROTOCOL.
 */
WEFT_MUST_CHECK int weft_kernel_parse_link(const struct nlmsghdr *nlh,
					   char ret_name[WEFT_KERNEL_IFNAME_SIZE]);

#endif
