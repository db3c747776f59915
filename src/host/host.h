/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at and changing the host for one interface: rtnetlink (linux/ifconf.h), nftables,
 * resolvconf, hooks. What is to be done is worked out in host/state.h.
 */
#ifndef WEFT_HOST_HOST_H
#define WEFT_HOST_HOST_H

#include "host/state.h"
#include "linux/ifconf.h"

/*
 * What the host has for the interface, whose device has this mark. Rules and firewall are those of
 * the mark and the name; of name servers it cannot tell. `ret` starts zeroed and is cleared by the
 * caller, also after an error. 0 or a negative code.
 */
WEFT_MUST_CHECK int weft_host_observe(struct weft_ifconf *conf, const char *ifname, uint32_t mark,
				      struct weft_host_state *ret);

/*
 * What the file leaves open. `quick` has its endpoints resolved. `mark`: that the device has, and
 * keeps if it is one that was found here; 0: none yet. 0 or a negative code.
 */
WEFT_MUST_CHECK int weft_host_find_facts(struct weft_ifconf *conf, const struct weft_quick *quick,
					 uint32_t mark, struct weft_host_facts *ret);

/*
 * Does one change. `s`: whose addresses the firewall guards. 0 or a negative code; of DNS -ENOENT:
 * nobody is here to be told.
 */
WEFT_MUST_CHECK int weft_host_apply(struct weft_ifconf *conf, const char *ifname,
				    const struct weft_host_change *change,
				    const struct weft_host_state *s);

/*
 * Tells resolvconf(8), or without it resolvectl(1), the interface's name servers, as resolvconf
 * reads them; NULL: there are none. 0, -EIO (it was refused) or -ENOENT: neither is here, or
 * systemd-resolved does not answer.
 */
WEFT_MUST_CHECK int weft_host_set_dns(const char *ifname, const char *dns);

/*
 * Runs a program and waits for it, with `input` (may be NULL) on its standard input. Returns its
 * exit code, 128 and the signal that ended it, or a negated errno (-ENOENT: no such program).
 */
WEFT_MUST_CHECK int weft_host_run(const char *const *argv, const struct weft_text *input);

#endif
