/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was last made of a file, for the next reload: which addresses and routes are weft's own, and
 * where the file said that peers are, so that one who has moved since is left alone. No secret is
 * in it. Pure; rundir.h keeps it. Any thread.
 */
#ifndef WEFT_HOST_RECORD_H
#define WEFT_HOST_RECORD_H

#include "host/state.h"

#define WEFT_HOST_RECORD_MAX_BYTES (64u << 20)

struct weft_host_record_peer {
	uint8_t public_key[WEFT_KEY_LEN];
	char *endpoints; /* as they stood in the file, with a blank between them */
};

struct weft_host_record {
	/* Of what: a record of another interface of the same name counts for nothing. */
	uint32_t ifindex;
	uint64_t netns;                      /* inode of the network namespace */
	bool relay;                          /* the file had a Relay */
	struct weft_host_state state;        /* addresses, routes, name servers alone */
	struct weft_host_record_peer *peers; /* in order of their keys */
	size_t n_peers, cap_peers;
};

/* Adds what the file and what was made of it say. 0 or -ENOMEM; to be cleared also then. */
WEFT_MUST_CHECK int weft_host_record_add(struct weft_host_record *rec,
					 const struct weft_quick *quick,
					 const struct weft_host_state *state);

/* The endpoints that are recorded of a peer, or NULL. */
const char *weft_host_record_find(const struct weft_host_record *rec,
				  const uint8_t public_key[WEFT_KEY_LEN]);

/* A peer's endpoints as the record has them, to be freed. NULL: no memory. */
char *weft_host_endpoints_text(const struct weft_quick_peer *peer);

WEFT_MUST_CHECK int weft_host_record_write(const struct weft_host_record *rec,
					   struct weft_text *out);

/* 0, WEFT_E_PARSE (also: of another version) or -ENOMEM; `ret` is to be cleared also then. */
WEFT_MUST_CHECK int weft_host_record_parse(const char *text, size_t len,
					   struct weft_host_record *ret);

void weft_host_record_clear(struct weft_host_record *rec);

#endif
