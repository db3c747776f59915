/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a firewall does with datagrams to one UDP port of this host, out of what
 * `nft -j list ruleset` prints. Only what is plain is understood; whatever is not may go either
 * way. Pure. libnftables-json(5).
 */
#ifndef WEFT_HOST_RULESET_H
#define WEFT_HOST_RULESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

#define WEFT_RULESET_TEXT_LEN 128 /* bytes with the NUL */

struct weft_ruleset_verdict {
	bool drops_new;                    /* nobody can begin from outside */
	bool drops_answers;                /* not even what answers this host comes in */
	char chain[WEFT_RULESET_TEXT_LEN]; /* which does it, "inet filter input"; "" if none */
};

/*
 * What comes from outside comes neither by "lo" nor by `ifname`, whose port it is.
 * 0, WEFT_E_PARSE (the text is no such list) or -ENOMEM. `*ret` is written only on success. Any
 * thread.
 */
WEFT_MUST_CHECK int weft_ruleset_judge(const char *json, size_t len, const char *ifname,
				       uint16_t port, struct weft_ruleset_verdict *ret);

#endif
