/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranges that stay outside the tunnel (Exclude): what is left of the allowed IPs as routes, and
 * whether a file's ranges make sense. Pure. Only routing follows them: a peer may still send from
 * its allowed IPs, for WireGuard knows no other list.
 */
#ifndef WEFT_HOST_EXCLUDE_H
#define WEFT_HOST_EXCLUDE_H

#include "conf/quick.h"

#define WEFT_EXCLUDE_MAX_ROUTES 16384 /* that one allowed IP may be cut into */

/* Grows as it is appended to; starts zeroed. */
struct weft_prefixes {
	struct weft_prefix *v;
	size_t n, cap;
};
void weft_prefixes_clear(struct weft_prefixes *p);
/* Appends a copy. 0 or -ENOMEM. */
WEFT_MUST_CHECK int weft_prefixes_add(struct weft_prefixes *p, const struct weft_prefix *prefix);

/*
 * `n` ranges in order of family and address, without those that lie in another of them, appended
 * to `ret`. Host bits are cleared. 0 or -ENOMEM. Any thread.
 */
WEFT_MUST_CHECK int weft_exclude_tidy(const struct weft_prefix *ranges, size_t n,
				      struct weft_prefixes *ret);

/*
 * What is left of `from` without `ranges`, which weft_exclude_tidy has made: the smallest list of
 * prefixes that holds it, in order of address, appended to `ret`. One that no range touches stays
 * as it is, and nothing of it is joined with anything outside it: a route is never shorter than
 * the allowed IP that it is for. 0, -ENOMEM or WEFT_E_LIMIT (more than
 * WEFT_EXCLUDE_MAX_ROUTES). Any thread.
 */
WEFT_MUST_CHECK int weft_exclude_cut(const struct weft_prefix *from,
				     const struct weft_prefixes *ranges, struct weft_prefixes *ret);

/*
 * Looks at entry `i` of the file's excludes. 0: it is well. 1: it does nothing, for no allowed IP
 * has any of it. WEFT_E_PARSE: an address of the interface lies in it, and then what is said to the
 * tunnel's own network might go outside. `diag` (may be NULL) says which and where. Any thread.
 */
WEFT_MUST_CHECK int weft_exclude_check(const struct weft_quick *quick, size_t i,
				       struct weft_diag *diag);

#endif
