/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd-networkd's files of a WireGuard interface, as a file for `weft up`: systemd.netdev(5),
 * [NetDev], [WireGuard] and [WireGuardPeer], and systemd.network(5), what there is to addresses,
 * routes and name servers. Pure: files of keys are named, not read.
 */
#ifndef WEFT_CONF_NETWORKD_H
#define WEFT_CONF_NETWORKD_H

#include "conf/quick.h"

#define WEFT_NETWORKD_MAX_BYTES   (16u << 20)
#define WEFT_NETWORKD_MAX_ENTRIES 65536 /* of addresses, of DNS, of routes */

/* Called for each line that is left out or means something else: position and sentence. */
typedef void (*weft_networkd_warn)(void *ctx, const struct weft_diag *diag);

/* Where a key is; all NULL: in the device, or there is none. */
struct weft_networkd_key {
	unsigned line, column;
	char *file;       /* PrivateKeyFile= and the like */
	char *credential; /* "@name" instead of a key: systemd.exec(5), CREDENTIALS */
};

struct weft_networkd_peer {
	unsigned line; /* of its section */
	bool has_key;  /* in the device */
	struct weft_networkd_key public_key, psk;
	char *endpoint; /* host:port, NULL: none */
};

struct weft_networkd_route {
	struct weft_prefix to;
	struct weft_ip via; /* family WEFT_NONE: none */
	char table[WEFT_QUICK_TABLE_NAME_LEN];
	bool has_to, has_metric;
	uint32_t metric;
	unsigned line;
};

/* What stands in a file, of either kind. */
struct weft_networkd {
	bool is_netdev;                 /* it has [NetDev] */
	bool is_wireguard;              /* Kind=wireguard */
	char name[WEFT_QUICK_NAME_LEN]; /* of the interface, "": none */
	char *match;                    /* [Match] Name= of a .network file: globs; NULL: none */
	struct weft_conf_device dev;    /* keys, port, mark, and the peers without endpoints */
	struct weft_networkd_key private_key;
	struct weft_networkd_peer *peers; /* one for each of dev.peers, in their order */
	size_t n_peers, cap_peers;
	char table[WEFT_QUICK_TABLE_NAME_LEN]; /* RouteTable=, "": no routes */
	uint32_t mtu;                          /* bytes; 0: none */
	struct weft_prefix *addresses;
	size_t n_addresses, cap_addresses;
	struct weft_quick_texts dns; /* addresses and domains, as DNS in the file takes them */
	struct weft_networkd_route *routes;
	size_t n_routes, cap_routes;
};

/*
 * Reads a file. Sections and keys that have no counterpart are warnings; `diag`, whose source the
 * caller has set, is used for them, too. Returns 0, WEFT_E_PARSE (`diag` says why), WEFT_E_LIMIT
 * or -ENOMEM. `ret` starts zeroed and is cleared by the caller, also after an error. Any thread.
 */
WEFT_MUST_CHECK int weft_networkd_parse(const char *text, size_t len, struct weft_networkd *ret,
					weft_networkd_warn warn, void *ctx, struct weft_diag *diag);
void weft_networkd_clear(struct weft_networkd *n);

/*
 * Appends the file for `weft up` of a .netdev and the `n` .network files that match it. Keys from
 * files are to be in the device by now. 0 or -ENOMEM. Any thread.
 */
WEFT_MUST_CHECK int weft_networkd_write(struct weft_text *out, const struct weft_networkd *netdev,
					const struct weft_networkd *const *networks, size_t n);

#endif
