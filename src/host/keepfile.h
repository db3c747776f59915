/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keep.json: what `weft up` tells the keeper of an interface. Peers and their endpoint lines as
 * they stand in the file, no secret. Pure.
 *
 *     {"version": 1, "source": "/etc/wireguard/wg0.conf",
 *      "peers": [{"public_key": "…", "endpoints": [{"text": "hub.example.com:51820", "line": 9},
 *                                                  {"text": "_wireguard._udp.example.com"}]}],
 *      "times": {"stale_s": 135}}
 *
 * `times` is for tests: whatever of struct weft_cand_times is to be another.
 */
#ifndef WEFT_HOST_KEEPFILE_H
#define WEFT_HOST_KEEPFILE_H

#include "conf/quick.h"
#include "host/candidates.h"

#define WEFT_KEEP_MAX_BYTES (64u << 20)

struct weft_keep {
	char source[256]; /* the file that it was made of, for messages */
	struct weft_cand_times times;
	struct weft_cand_peer *peers; /* each with its lines */
	size_t n_peers;
};

/* True if the file has anything for a keeper: a name, an SRV record, several endpoints of a peer.
 */
bool weft_keep_wanted(const struct weft_quick *quick);

/* The text for the file; peers with one numeric endpoint are left out. 0 or -ENOMEM. */
WEFT_MUST_CHECK int weft_keep_write(const struct weft_quick *quick, const char *source,
				    struct weft_text *out);

/*
 * Reads it. 0, WEFT_E_PARSE (`diag`, may be NULL, says why), WEFT_E_LIMIT or -ENOMEM. `ret` starts
 * zeroed and is cleared by the caller, also after an error.
 */
WEFT_MUST_CHECK int weft_keep_parse(const char *text, size_t len, struct weft_keep *ret,
				    struct weft_diag *diag);
void weft_keep_clear(struct weft_keep *k);

#endif
