/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Weft's own nftables table for an interface, "inet weft-<ifname>": the kill switch and the TCP MSS
 * clamp. Its text, and reading it back; pure. fence_nft.h hands it to the kernel. nft(8);
 * docs/decisions/0020 says what passes and why.
 */
#ifndef WEFT_HOST_FENCE_H
#define WEFT_HOST_FENCE_H

#include "host/exclude.h"

#define WEFT_FENCE_TABLE_LEN 64 /* bytes with the NUL */

struct weft_fence {
	bool kill_switch; /* nothing leaves outside the tunnel */
	bool mss;         /* connections through the tunnel are told what segments fit */
	uint32_t mark;    /* of packets that the kill switch lets out: the device's; 0: of none */
	struct weft_prefixes
		excludes; /* what it lets packets go to; as weft_exclude_tidy makes it */
	/* of the rest, by weft_fence_seal */
	uint64_t digest;
	size_t n_rules;
	/* only if it was read from the kernel */
	bool intact;                          /* nobody has changed it since it was made */
	uint64_t rejected_pkts, dropped_pkts; /* of this host, and forwarded */
};

/* True if there has to be a table at all. */
static inline bool weft_fence_is_wanted(const struct weft_fence *f)
{
	return f->kill_switch || f->mss;
}

void weft_fence_clear(struct weft_fence *f);

/* `ret` starts zeroed. 0 or -ENOMEM. */
WEFT_MUST_CHECK int weft_fence_copy(const struct weft_fence *f, struct weft_fence *ret);

/* Fills in digest and number of rules, once all above them is set. 0 or -ENOMEM. */
WEFT_MUST_CHECK int weft_fence_seal(struct weft_fence *f);

/* True if the table that was read is the wanted one (both sealed), or neither is to be there. */
bool weft_fence_is(const struct weft_fence *read, const struct weft_fence *wanted);

/*
 * The table's name. Of the characters that an interface may have and nft's words may not, each is
 * written "/" and two digits. Returns `out`.
 */
const char *weft_fence_table(const char *ifname, char out[WEFT_FENCE_TABLE_LEN]);

/*
 * Appends what nft(8) reads, as one transaction, to make the table anew or, if it is not wanted, to
 * take it away. `f` is sealed. 0 or -ENOMEM. Any thread.
 */
WEFT_MUST_CHECK int weft_fence_text(const struct weft_fence *f, const char *ifname,
				    struct weft_text *out);

/*
 * Reads `nft --json list table` (libnftables-json(5)). `ret` starts zeroed, is sealed, and is
 * cleared by the caller, also after an error. A table that weft has not made, or that was changed,
 * is not `intact`. 0, WEFT_E_PROTOCOL (not what nft prints) or -ENOMEM. Any thread.
 */
WEFT_MUST_CHECK int weft_fence_read(const char *json, size_t len, struct weft_fence *ret);

#endif
