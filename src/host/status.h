/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An interface as a person wants to see it: which peers are well, and since when not; where they
 * are, and why there. Pure: what is known goes in (a device, the time, a file, notes), conclusions
 * come out. Nothing is called up because a flag says so: an authenticated packet has to have come.
 */
#ifndef WEFT_HOST_STATUS_H
#define WEFT_HOST_STATUS_H

#include "conf/quick.h"
#include "host/note.h"

#define WEFT_STATUS_FRESH_S  180 /* a session's life: WireGuard paper, section 6.1 */
#define WEFT_STATUS_NAME_LEN (WEFT_QUICK_MAX_PEER_NAME + 1)
#define WEFT_STATUS_WHY_LEN  512

/* In the order in which they are listed: what is wrong comes first. */
enum weft_health {
	WEFT_HEALTH_DOWN,  /* something was to come and did not */
	WEFT_HEALTH_QUIET, /* nothing came lately, and nothing was to */
	WEFT_HEALTH_UP,    /* something authentic came lately */
};

/* Why the endpoint is the one it is. */
enum weft_endpoint_origin {
	WEFT_ORIGIN_NONE,    /* there is no endpoint */
	WEFT_ORIGIN_FILE,    /* it stands in the file */
	WEFT_ORIGIN_NAME,    /* the file has a name, and nobody wrote down what it led to */
	WEFT_ORIGIN_NOTE,    /* as the note says */
	WEFT_ORIGIN_ROAMED,  /* the peer came from there, which is not what the file or note has */
	WEFT_ORIGIN_LEARNED, /* the peer came from there; the file says nothing */
	WEFT_ORIGIN_UNKNOWN, /* there is no file to compare it to */
};

struct weft_status_peer {
	const struct weft_conf_peer *peer; /* of the device */
	char name[WEFT_STATUS_NAME_LEN];   /* of the file, else the key's first characters */
	bool named;                        /* it is the file's */
	enum weft_health health;
	bool has_up;      /* it is up, and weftd told since when; then: */
	uint64_t up_s;    /* seconds since the first of its sessions that followed one another */
	bool heard;       /* ever; then: */
	uint64_t heard_s; /* seconds since something authentic came: exact with weftd, else since */
			  /* the last handshake, after which more may have come */
	bool heard_is_handshake;
	enum weft_endpoint_origin origin;
	char why[WEFT_STATUS_WHY_LEN]; /* of the endpoint, in words; "" if there is none */
	uint64_t endpoint_since;       /* seconds since 1970; 0: not known */
	uint32_t path_mtu;             /* bytes; 0: not measured */
	bool has_rates;
	uint64_t rx_rate, tx_rate; /* bytes a second */
};

enum weft_tunnel { WEFT_TUNNEL_NONE, WEFT_TUNNEL_SPLIT, WEFT_TUNNEL_FULL };

struct weft_status {
	enum weft_tunnel tunnel;
	struct weft_status_peer
		*peers; /* the ones that are down first, then as the device has them */
	size_t n_peers;
	size_t n_health[3];
};

/* What is known. All is borrowed; what is said to may be NULL. */
struct weft_status_facts {
	const struct weft_conf_device *dev;
	bool up;                             /* the interface */
	uint64_t now_sec;                    /* wall time */
	const struct weft_quick *file;       /* may be NULL */
	const struct weft_notes *notes;      /* may be NULL */
	const struct weft_conf_device *then; /* an earlier reading, may be NULL */
	uint64_t then_ms;                    /* how long ago that was; not 0 */
};

/* 0 or -ENOMEM. `ret` starts zeroed, borrows from the facts and is cleared by the caller. */
WEFT_MUST_CHECK int weft_status_make(const struct weft_status_facts *facts,
				     struct weft_status *ret);
void weft_status_clear(struct weft_status *s);

/*
 * The peer of the file with that key, or NULL; `file` may be NULL. `*i_io`: where to look first,
 * and where it was.
 */
const struct weft_quick_peer *weft_status_in_file(const struct weft_quick *file,
						  const uint8_t public_key[WEFT_KEY_LEN],
						  size_t *i_io);

/* The name of the file's peer, without control characters, else "abcdefgh…" of its key. */
void weft_status_name(const struct weft_quick_peer *peer, const uint8_t public_key[WEFT_KEY_LEN],
		      char ret[WEFT_STATUS_NAME_LEN]);

/* Seconds since something authentic came from the peer. False: it never did. */
bool weft_status_heard(const struct weft_conf_peer *peer, uint64_t now_sec, uint64_t *ret_s,
		       bool *ret_is_handshake);

/* "down", "quiet" or "up". Static. */
const char *weft_health_name(enum weft_health health);
/* "none", "file", … as the JSON has it. Static. */
const char *weft_origin_name(enum weft_endpoint_origin origin);
/* "none", "split" or "full". Static. */
const char *weft_tunnel_name(enum weft_tunnel tunnel);

#endif
