/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weftd's arguments and environment, as wireguard-go has them and a few more. Pure but for getopt.
 */
#ifndef WEFT_DAEMON_OPTIONS_H
#define WEFT_DAEMON_OPTIONS_H

#include <stdbool.h>

#include "crypto/crypto.h"
#include "daemon/log.h"
#include "util/cpus.h"
#include "util/diag.h"
#include "util/error.h"

#define WEFTD_PACKET_MEMORY     ((size_t)32 << 20)
#define WEFTD_MIN_PACKET_MEMORY ((size_t)16 << 20)
#define WEFTD_MAX_PACKET_MEMORY ((size_t)1 << 30)

struct weftd_options {
	bool foreground;
	bool help, version;
	bool log_json;
	bool tun_offload, udp_offload;
	enum weft_aead_choice crypto;
	bool relay; /* packets from peer to peer go past the host, unless configured otherwise */
	unsigned workers;      /* threads that move data: WEFTD_MIN_THREADS to WEFTD_MAX_THREADS */
	struct weft_cpus cpus; /* to run on; none: wherever it was started */
	enum weftd_log_level log_level;
	const char *unknown_log_level; /* what LOG_LEVEL says, if that is no level; else NULL */
	bool keep_stderr; /* LOG_LEVEL was given: a daemon in the background keeps logging */
	int tun_fd;       /* WG_TUN_FD, or -1 */
	int uapi_fd;      /* WG_UAPI_FD, or -1 */
	const char *notify_socket; /* NOTIFY_SOCKET, borrowed from the environment, or NULL */
	size_t packet_memory;      /* bytes for packets; see daemon.h */
	char ifname[16];
};

/*
 * Reads arguments and environment. Returns 0 or -EINVAL with `diag` filled. With help or version
 * the rest is not looked at. Main thread (getopt, getenv).
 */
WEFT_MUST_CHECK int weftd_options_parse(struct weftd_options *ret_opt, int argc, char **argv,
					struct weft_diag *diag);

/* True for a name that Linux and the control socket's path both take: wg-quick's rule. */
bool weftd_ifname_valid(const char *name);

/* The text of --help, with the environment. */
const char *weftd_help(void);

#endif
