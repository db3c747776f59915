/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper: a process beside an interface that keeps the endpoints of its peers fresh
 * (host/candidates.h). It lives as long as the interface, and sleeps until a TTL ends, a handshake
 * may be stale, keep.json changes or the interface goes. In /run/weft/IFNAME:
 *
 *     keep.json       what it is to look after (host/keepfile.h), by `weft up`
 *     keep.lock       held by the keeper: there is one
 *     endpoints.json  which endpoint each peer has, and why, for `weft status`
 */
#ifndef WEFT_HOST_KEEP_H
#define WEFT_HOST_KEEP_H

#include "host/keepfile.h"
#include "host/rundir.h"

/*
 * Tells the keeper of `ifname` of the file (`source`: its path), and starts one in the background
 * if there is none; without anything to keep it is ended. The interface is there. 0 or negated
 * errno.
 */
WEFT_MUST_CHECK int weft_keep_start(const char *ifname, const struct weft_quick *quick,
				    const char *source);

/* Ends the keeper, if there is one, and takes its files away. Waits for it for up to two seconds.
 */
void weft_keep_stop(const char *ifname);

/*
 * Is the keeper until the interface or keep.json goes. 0 then, also when another keeper is there;
 * -ENODEV: no such interface; -ENOENT: no keep.json; or a negative code. Reports to stderr.
 */
WEFT_MUST_CHECK int weft_keep_run(const char *ifname);

#endif
