/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A WireGuard interface as configuration: the one value that the INI reader, the command line and
 * the UAPI reader produce, that UAPI and INI writers and the JSON view take, and that a device is
 * asked for and given. Used for a whole state (get) and for a change (set); `has` says what is in
 * it.
 */
#ifndef WEFT_CONF_DEVICE_H
#define WEFT_CONF_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/diag.h"
#include "util/error.h"
#include "util/inet.h"
#include "util/secret.h"

#define WEFT_CONF_MAX_PEERS      (1u << 20)
#define WEFT_CONF_MAX_EXTRAS     256 /* per device or peer */
#define WEFT_CONF_EXTRA_NAME_LEN 32  /* bytes with the NUL */
#define WEFT_CONF_ZONE_LEN       16  /* bytes with the NUL: an interface name */

/* Who runs an interface. */
enum weft_backend {
	WEFT_BACKEND_AUTO, /* what the kernel has is the kernel's, the rest is for daemons */
	WEFT_BACKEND_KERNEL,
	WEFT_BACKEND_USERSPACE,
};

/* "auto", "kernel" or "userspace", `len` bytes. 0 or -EINVAL. Any thread. */
WEFT_MUST_CHECK int weft_backend_parse(const char *text, size_t len,
				       enum weft_backend *ret_backend);

/*
 * What a get says beyond wg's fields: named figures, UAPI key "weft_<name>". Names in use, device:
 * drop_<reason> (reasons: core/drop.h), cookies_sent, under_load_ns, staged_bytes, relayed_pkts,
 * relayed_bytes; peer:
 * handshakes_initiated, handshakes_answered, handshakes_completed, handshakes_failed,
 * handshakes_unanswered, cookies_received, endpoint_age_sec, endpoint_changes,
 * last_received_age_ms, up_age_sec, and with probes of paths those of path_figures
 * (daemon/configure.c).
 */
struct weft_conf_extra {
	char name[WEFT_CONF_EXTRA_NAME_LEN];
	uint64_t value;
};

struct weft_conf_extras {
	struct weft_conf_extra *v;
	size_t n, cap;
};

struct weft_conf_allowed_ip {
	struct weft_prefix prefix;
	bool remove; /* in a change: take it away (UAPI "-") */
};

enum weft_conf_peer_has {
	WEFT_PEER_HAS_PSK = 1 << 0,
	WEFT_PEER_HAS_ENDPOINT = 1 << 1,
	WEFT_PEER_HAS_KEEPALIVE = 1 << 2,
	WEFT_PEER_REPLACE_ALLOWED_IPS = 1 << 3,
	WEFT_PEER_REMOVE = 1 << 4,
	WEFT_PEER_UPDATE_ONLY = 1 << 5,
};

struct weft_conf_peer {
	unsigned has;
	uint8_t public_key[WEFT_KEY_LEN];
	struct weft_secret psk;        /* all zeros: none */
	struct weft_endpoint endpoint; /* numeric */
	/*
	 * The endpoint's zone where the text has a name ("fe80::1%eth0"), else empty. This layer
	 * cannot turn it into endpoint.scope_id: src/control and src/cli do.
	 */
	char endpoint_zone[WEFT_CONF_ZONE_LEN];
	uint16_t keepalive_s; /* 0: off */
	struct weft_conf_allowed_ip *allowed_ips;
	size_t n_allowed_ips, cap_allowed_ips;
	/* only in a get */
	uint64_t last_handshake_sec;
	uint32_t last_handshake_nsec;
	uint64_t rx_bytes, tx_bytes;
	struct weft_conf_extras extras;
};

enum weft_conf_device_has {
	WEFT_DEVICE_HAS_PRIVATE_KEY = 1 << 0,
	WEFT_DEVICE_HAS_LISTEN_PORT = 1 << 1,
	WEFT_DEVICE_HAS_FWMARK = 1 << 2,
	WEFT_DEVICE_REPLACE_PEERS = 1 << 3,
	WEFT_DEVICE_HAS_PUBLIC_KEY = 1 << 4, /* only in a get */
	WEFT_DEVICE_HAS_RELAY = 1 << 5,
	WEFT_DEVICE_HAS_PATH_MTU = 1 << 6,
};

/* What becomes of packets from one peer to another. weft's own: no other device knows it. */
enum weft_conf_relay {
	WEFT_CONF_RELAY_DEFAULT, /* only in a change: as the daemon was started */
	WEFT_CONF_RELAY_OFF,     /* the host forwards them */
	WEFT_CONF_RELAY_FAST,    /* they go across, past the host */
};

/*
 * Whether it is measured how long a packet each peer's path carries. weft's own: no other device
 * knows it. Each peer then has the figures path_mtu (bytes of inner packet; not there: not
 * measured), path_mtu_state (enum weft_path_state, core/device.h), path_mtu_route (the outer
 * route's MTU), path_mtu_probes (sent) and path_mtu_age_sec.
 */
enum weft_conf_path_mtu {
	WEFT_CONF_PATH_MTU_OFF,
	WEFT_CONF_PATH_MTU_PROBE,
};

struct weft_conf_device {
	unsigned has;
	char name[16];
	struct weft_secret private_key; /* all zeros: none */
	uint8_t public_key[WEFT_KEY_LEN];
	uint16_t listen_port;
	uint32_t fwmark;
	enum weft_conf_relay relay;
	enum weft_conf_path_mtu path_mtu;
	struct weft_conf_peer *peers;
	size_t n_peers, cap_peers;
	/* only in a get */
	struct weft_conf_extras extras;
	char version[WEFT_CONF_EXTRA_NAME_LEN]; /* weft_version: the daemon's; "" if not told */
};

/* Wipes and frees everything inside; the struct itself is the caller's. Leaves it empty. */
void weft_conf_device_clear(struct weft_conf_device *dev);

/* Wipes and frees everything inside a peer that is not part of a device. Leaves it empty. */
void weft_conf_peer_clear(struct weft_conf_peer *peer);

/*
 * Appends an empty peer; the pointer is valid until the next append. 0, -ENOMEM or WEFT_E_LIMIT
 * (WEFT_CONF_MAX_PEERS).
 */
WEFT_MUST_CHECK int weft_conf_add_peer(struct weft_conf_device *dev,
				       struct weft_conf_peer **ret_peer);

/*
 * Room for `n` more peers at once, which are not appended yet: a list that doubles would for a
 * moment take three times what it needs. 0, -ENOMEM or WEFT_E_LIMIT.
 */
WEFT_MUST_CHECK int weft_conf_reserve_peers(struct weft_conf_device *dev, size_t n);

/* Appends a copy of `prefix` as it is (host bits are not looked at). 0 or -ENOMEM. */
WEFT_MUST_CHECK int weft_conf_add_allowed_ip(struct weft_conf_peer *peer,
					     const struct weft_prefix *prefix, bool remove);

/*
 * Appends a figure; `name` is without "weft_", `len` bytes, [a-z0-9_]. 0, -ENOMEM, -EINVAL (the
 * name is empty, too long or has other characters) or WEFT_E_LIMIT (WEFT_CONF_MAX_EXTRAS).
 */
WEFT_MUST_CHECK int weft_conf_add_extra(struct weft_conf_extras *extras, const char *name,
					size_t len, uint64_t value);

/* The figure called `name` (a C string), or NULL. */
const struct weft_conf_extra *weft_conf_find_extra(const struct weft_conf_extras *extras,
						   const char *name);

#endif
