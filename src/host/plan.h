/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole of what has to be done to one interface: to its device, which is one message, and
 * around it (host/state.h). Pure. Any thread.
 */
#ifndef WEFT_HOST_PLAN_H
#define WEFT_HOST_PLAN_H

#include "host/state.h"

struct weft_host_plan {
	struct weft_conf_device device;   /* a change; made before all others */
	struct weft_host_changes changes; /* in order */
};

/*
 * The smallest change that makes a device that is `is` what `wanted` says: the peers that differ,
 * and of them the fields and allowed IPs that do. A whole file is wanted, so a preshared key or
 * keepalive that it does not give is cleared; but not a port, a mark (host/state.h has it) or an
 * endpoint, and Relay only if WEFT_DEVICE_HAS_RELAY is set. A peer may stand there twice, as wg has
 * it: the later one adds to it and has the allowed IPs. `takes_away`: the device knows how to take
 * single allowed IPs away, else the peer's list is replaced. `ret_change` starts zeroed and is
 * cleared by the caller. 0, -ENOMEM or WEFT_E_LIMIT.
 */
WEFT_MUST_CHECK int weft_host_diff_device(const struct weft_conf_device *is,
					  const struct weft_conf_device *wanted, bool takes_away,
					  struct weft_conf_device *ret_change);

/*
 * A device's peers in order of their keys, to search in; to be freed. NULL: no memory. Those with
 * the same key are in the device's order, and the first of them is found.
 */
const struct weft_conf_peer **weft_host_sort_peers(const struct weft_conf_device *dev);
const struct weft_conf_peer *const *weft_host_find_peer(const struct weft_conf_peer *const *list,
							size_t n,
							const uint8_t public_key[WEFT_KEY_LEN]);

/* True if there is nothing in it. */
bool weft_host_device_is_empty(const struct weft_conf_device *change);
bool weft_host_plan_is_empty(const struct weft_host_plan *plan);

/*
 * As people know it: a command line for each change, with a newline; a secret is "(changed)". 0 or
 * -ENOMEM.
 */
WEFT_MUST_CHECK int weft_host_plan_text(const struct weft_host_plan *plan, const char *ifname,
					struct weft_text *out);
/* The first part of it. */
WEFT_MUST_CHECK int weft_host_device_text(const struct weft_conf_device *change, const char *ifname,
					  struct weft_text *out);

/* One line of JSON, as weft-reload(8) describes it. 0 or -ENOMEM. */
WEFT_MUST_CHECK int weft_host_plan_json(const struct weft_host_plan *plan, const char *ifname,
					struct weft_text *out);

void weft_host_plan_clear(struct weft_host_plan *plan);

#endif
