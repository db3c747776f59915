/* SPDX-License-Identifier: Apache-2.0 */
/* What the keeper's files share. Inside src/host only. */
#ifndef WEFT_HOST_KEEP_INTERNAL_H
#define WEFT_HOST_KEEP_INTERNAL_H

#include "host/keep.h"

#define WEFT_KEEP_PATH_LEN (sizeof(WEFT_HOST_RUN_DIR) + WEFT_QUICK_NAME_LEN + 24)

/* The interface's folder ("") or a file in it. 0 or -EINVAL: no interface has such a name. */
WEFT_MUST_CHECK int weft_keep_path(char out[WEFT_KEEP_PATH_LEN], const char *ifname,
				   const char *file);

/* The whole file at once, for root alone. 0 or negated errno. */
WEFT_MUST_CHECK int weft_keep_write_file(const char *ifname, const char *file,
					 const struct weft_text *text);
/* 0, WEFT_E_LIMIT or negated errno. `ret` is cleared by the caller, also after an error. */
WEFT_MUST_CHECK int weft_keep_read_file(const char *ifname, const char *file,
					struct weft_text *ret);

/* A descriptor that holds the lock until it is closed; -EAGAIN: somebody has it; negated errno. */
WEFT_MUST_CHECK int weft_keep_lock(const char *ifname);

/* What the keeper knows of a peer beside its candidates. */
struct weft_kept {
	uint64_t since_ns;                    /* as in the peer, when `since` was made of it */
	int64_t since;                        /* unix time, seconds */
	char refused[WEFT_ENDPOINT_TEXT_LEN]; /* the last that leads into the tunnel; "": none */
};

/* The text of endpoints.json. 0 or -ENOMEM. */
WEFT_MUST_CHECK int weft_keep_view(const char *ifname, const struct weft_keep *k,
				   const struct weft_kept *kept, struct weft_text *out);

#endif
