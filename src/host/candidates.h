/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a peer may be, and when to try it elsewhere. A peer has endpoint lines; a line has
 * addresses (a name's, an SRV record's, or one that stands there). The rules:
 *
 *   works     an authenticated packet came lately. What works is never touched, wherever the peer
 *             has moved by itself.
 *   asked     more has been sent since then than persistent keepalives (32 bytes each, which nobody
 *             answers): a packet, or an initiation, that wants an answer. WireGuard's receiver
 *             answers within 10 s, so what is asked for `grace_s` without one is lost.
 *   stale     asked, and the last handshake is older than `stale_s`. An idle peer is never stale.
 *   a round   stale: names are resolved again, then each address is tried for `try_s`, the next one
 *             in the file's order first, until something works. If nothing does, the one that
 * worked last is put back and the next round waits, twice as long each time. An address that is new
 * among the answers is tried at once. gone      a name has been resolved again (its TTL has ended),
 * and the endpoint is no longer among its addresses: the new one is put in, but not as long as a
 * session may live.
 *
 * Pure: the clock (ns, any that also counts while the host sleeps) comes in with each call.
 * WireGuard paper, section 6; the 135 s are those of reresolve-dns in wireguard-tools.
 */
#ifndef WEFT_HOST_CANDIDATES_H
#define WEFT_HOST_CANDIDATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/inet.h"
#include "util/secret.h"

#define WEFT_CAND_MAX_LINES 64 /* of a peer */
#define WEFT_CAND_MAX_ADDRS 32 /* of a line: what is beyond is not looked at */
#define WEFT_CAND_NEVER     UINT64_MAX

struct weft_cand_times {
	uint32_t stale_s, grace_s, try_s;
	uint32_t look_s;                   /* how often a peer without a session is looked at */
	uint32_t session_s;                /* no session lives longer */
	uint32_t ttl_min_s, ttl_max_s;     /* what is made of a TTL below and above */
	uint32_t backoff_s, backoff_max_s; /* between rounds */
};
extern const struct weft_cand_times weft_cand_times_default;

enum weft_cand_kind { WEFT_CAND_ADDRESS, WEFT_CAND_NAME, WEFT_CAND_SRV };

struct weft_cand_addr {
	struct weft_endpoint ep;
	char *target; /* of an SRV record: whose address it is; else NULL */
	bool tried;   /* in this round */
};

/* What a name has, in the order in which it is to be tried. */
struct weft_cand_answer {
	struct weft_cand_addr *v;
	size_t n;
	uint32_t ttl_s;
};
void weft_cand_answer_clear(struct weft_cand_answer *a);

/* Appends one. 0, -ENOMEM, or WEFT_E_LIMIT (WEFT_CAND_MAX_ADDRS). `target` (may be NULL): copied.
 */
WEFT_MUST_CHECK int weft_cand_answer_add(struct weft_cand_answer *a, const struct weft_endpoint *ep,
					 const char *target);

/*
 * The first address stays the first; the families take turns after it, each in the order that it
 * has (RFC 8305, section 4). For the addresses of one name, from `from` on.
 */
void weft_cand_interleave(struct weft_cand_answer *a, size_t from);

struct weft_cand_line {
	enum weft_cand_kind kind;
	unsigned number; /* in the file; 0: not known */
	char *text;      /* as it stands there */
	struct weft_cand_answer answer;
	bool known;  /* it has been resolved */
	bool asking; /* it is being resolved */
	unsigned fails;
	int error;           /* why, the last time; 0: it was resolved */
	uint64_t ask_ns;     /* when it is to be asked next */
	uint64_t answer_ns;  /* when it was asked last, with or without success */
	uint64_t expires_ns; /* the end of its TTL */
};

enum weft_cand_state {
	WEFT_CAND_IDLE,      /* it works, or nothing is asked of it */
	WEFT_CAND_RESOLVING, /* stale; names are being resolved */
	WEFT_CAND_TRYING,    /* stale; an address has been put in */
	WEFT_CAND_WAITING,   /* stale; nothing works: for the next round */
};

/* Why the endpoint is the one that it is. */
enum weft_cand_why {
	WEFT_CAND_FOUND,    /* it was there when the keeper came */
	WEFT_CAND_FIRST,    /* there was none */
	WEFT_CAND_STALE,    /* the one before gave no answer */
	WEFT_CAND_GONE,     /* the one before has left the name, and had no session */
	WEFT_CAND_PUT_BACK, /* nothing answers: the one that worked last, or the first */
	WEFT_CAND_ROAMED,   /* the peer came from there */
	WEFT_CAND_BY_HAND,  /* somebody else has set it */
};

struct weft_cand_peer {
	uint8_t key[WEFT_KEY_LEN];
	struct weft_cand_line *lines;
	size_t n_lines;
	enum weft_cand_state state;

	/* the endpoint, as the device has it */
	struct weft_endpoint now;
	uint64_t since_ns; /* that it has this one */
	enum weft_cand_why why;
	size_t line; /* whose it was last; n_lines: of none yet */
	struct weft_endpoint worked;
	bool gone;

	/* what was seen */
	bool looked;
	uint64_t look_ns, handshake_ns, alive_ns; /* 0: never */
	uint64_t stamp, tx, rx;
	uint16_t keepalive_s;
	uint64_t base_tx, base_ns; /* at the last sign of life, or at the last change */
	uint64_t grew_ns;          /* more was sent */
	uint64_t asked_ns;         /* WEFT_CAND_NEVER: nothing is asked */

	/* of a round */
	uint64_t until_ns; /* of TRYING, of WAITING */
	uint64_t backoff_ns;
	bool fresh; /* an address has come that has not been tried */
};

/* A zeroed peer gets a line; `text` is copied. An ADDRESS has `ep`. 0, -ENOMEM or WEFT_E_LIMIT. */
WEFT_MUST_CHECK int weft_cand_add_line(struct weft_cand_peer *p, enum weft_cand_kind kind,
				       const char *text, unsigned number,
				       const struct weft_endpoint *ep);
void weft_cand_peer_clear(struct weft_cand_peer *p);

/* What the device says of the peer. */
struct weft_cand_seen {
	struct weft_endpoint endpoint;
	uint64_t handshake;        /* any number that is another after each; 0: there was none */
	uint64_t handshake_age_ns; /* by the wall clock: believed when it is first seen */
	bool has_received;
	uint64_t received_age_ns; /* since the last authenticated packet */
	uint64_t tx, rx;          /* bytes; rx counts what is authenticated alone */
	uint16_t keepalive_s;
};
void weft_cand_look(struct weft_cand_peer *p, const struct weft_cand_seen *seen, uint64_t now);

/* A name's addresses, which are taken (`answer` is left empty); none count as -ENOENT. */
void weft_cand_resolved(struct weft_cand_peer *p, const struct weft_cand_times *t, size_t line,
			struct weft_cand_answer *answer, uint64_t now);
/* It could not be had: the old ones stay, and it is asked again later. */
void weft_cand_unresolved(struct weft_cand_peer *p, const struct weft_cand_times *t, size_t line,
			  int error, uint64_t now);

enum weft_cand_do { WEFT_CAND_NOTHING, WEFT_CAND_ASK, WEFT_CAND_SET };

struct weft_cand_action {
	enum weft_cand_do what;
	size_t line;             /* ASK: to be resolved; exactly one answer is to come */
	struct weft_endpoint ep; /* SET: the peer's endpoint from now on */
};

/* True if packets to it could leave the host, outside the tunnel. */
typedef bool (*weft_cand_usable)(void *ctx, const struct weft_endpoint *ep);

/* What is to be done now, one thing at a time until there is nothing. After a look. */
void weft_cand_step(struct weft_cand_peer *p, const struct weft_cand_times *t, uint64_t now,
		    weft_cand_usable usable, void *ctx, struct weft_cand_action *ret);

/* When to look and step again at the latest; WEFT_CAND_NEVER: when an answer has come. */
uint64_t weft_cand_due(const struct weft_cand_peer *p, const struct weft_cand_times *t);

/* True if an authenticated packet came as lately as it would if all was well. */
bool weft_cand_works(const struct weft_cand_peer *p, const struct weft_cand_times *t, uint64_t now);

/* The address among the lines' that is the endpoint, or NULL; and its line. */
const struct weft_cand_addr *weft_cand_find(const struct weft_cand_peer *p,
					    const struct weft_endpoint *ep, size_t *ret_line);

/* Static words. */
const char *weft_cand_state_name(enum weft_cand_state state);
const char *weft_cand_why_name(enum weft_cand_why why);
const char *weft_cand_kind_name(enum weft_cand_kind kind);

#endif
