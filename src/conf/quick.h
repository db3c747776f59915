/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wg-quick's configuration file: WireGuard's own, with more keys in [Interface] (wg-quick(8),
 * CONFIGURATION), and what `weft up` knows beyond wg-quick (weft.conf(5)). Pure: nothing is looked
 * up, and the hooks are not read, let alone run.
 *
 * wg-quick is stricter than wg about how its keys are written: no white space inside a key, and
 * the section's line is "[Interface]", in any case. What it does not take goes to wg, which refuses
 * it: here that is an error that says so.
 */
#ifndef WEFT_CONF_QUICK_H
#define WEFT_CONF_QUICK_H

#include "conf/ini.h"

#define WEFT_QUICK_MAX_ENTRIES    4096 /* of addresses, of DNS, of each kind of hook */
#define WEFT_QUICK_NAME_LEN       16   /* bytes with the NUL: an interface's name */
#define WEFT_QUICK_TABLE_NAME_LEN 32   /* bytes with the NUL */
#define WEFT_QUICK_CPUS_LEN       256  /* bytes with the NUL */
#define WEFT_QUICK_MAX_WORKERS    16
#define WEFT_QUICK_MAX_ENDPOINTS  64 /* of a peer */
#define WEFT_QUICK_MAX_PEER_NAME  63 /* bytes */

struct weft_quick_place {
	unsigned line, column;
};

struct weft_quick_texts {
	char **v; /* NUL-terminated */
	size_t n, cap;
	struct weft_quick_place *places; /* one for each; NULL: they are of no file */
};

/* Where the routes go. */
enum weft_quick_table {
	WEFT_QUICK_TABLE_AUTO,   /* main; a default route into one of its own, with rules */
	WEFT_QUICK_TABLE_OFF,    /* there are none */
	WEFT_QUICK_TABLE_NUMBER, /* all of them into that one, without rules */
	WEFT_QUICK_TABLE_NAME,   /* the same, by a name that the host knows */
};

/* A line "Endpoint = " as it stands in the file, without white space. */
struct weft_quick_endpoint {
	unsigned line, column;
	bool srv;   /* the name of an SRV record; else host:port */
	char *text; /* NUL-terminated */
};

/* What is said of a peer beyond WireGuard. */
struct weft_quick_peer {
	char *name; /* from a comment "# Name = x" or "# friendly_name = x"; NULL: none */
	struct weft_quick_endpoint *endpoints; /* in the file's order */
	size_t n_endpoints;
	struct weft_quick_place *places; /* of its allowed IPs, in their order */
	size_t n_places, cap_places;
	bool settled; /* the peer's endpoint is one that it has: nothing is to be resolved */
};

struct weft_quick {
	struct weft_ini_result wg;     /* what is WireGuard's own */
	struct weft_prefix *addresses; /* with their host bits, in the file's order */
	size_t n_addresses, cap_addresses;
	struct weft_quick_texts dns_servers; /* addresses as they are written, zones included */
	struct weft_quick_texts dns_search;  /* domains */
	uint32_t mtu;                        /* bytes; 0: to be worked out */
	bool mtu_auto;                       /* "auto": measured, too */
	enum weft_quick_table table;
	uint32_t table_number;
	char table_name[WEFT_QUICK_TABLE_NAME_LEN];
	/* As they stand in the file, "#" and "%i" included; they may hold secrets. */
	struct weft_quick_texts pre_up, post_up, pre_down, post_down;
	bool save_config;
	bool has_backend;
	enum weft_backend backend;
	uint32_t workers;               /* of weftd; 0: its own choice */
	char cpus[WEFT_QUICK_CPUS_LEN]; /* of weftd, a list as for taskset(1); "": any */
	bool kill_switch;
	struct weft_prefix *excludes;            /* without host bits, in the file's order */
	struct weft_quick_place *exclude_places; /* one for each */
	size_t n_excludes, cap_excludes;
	struct weft_quick_peer *peers; /* one for each of wg.dev.peers, in their order */
	size_t n_peers, cap_peers;
};

/*
 * Reads a whole file. As wg-quick has it: Address, DNS, hooks (and Exclude) add up, of the others
 * the last one counts, and without a value they are as if not there. Returns 0, WEFT_E_PARSE
 * (`diag`, may be NULL, says why), WEFT_E_LIMIT or -ENOMEM. `ret` starts zeroed and is cleared by
 * the caller, also after an error. `host_bits` may be NULL: it is called for allowed IPs, not for
 * addresses. Any thread.
 */
WEFT_MUST_CHECK int weft_quick_parse(const char *text, size_t len, struct weft_quick *ret,
				     weft_conf_host_bits host_bits, void *ctx,
				     struct weft_diag *diag);
void weft_quick_clear(struct weft_quick *q);

/*
 * Two peers of a file may not have the same allowed IP, although WireGuard would let the last have
 * it. 0, WEFT_E_PARSE (`diag`, may be NULL, names both places) or -ENOMEM. Any thread.
 */
WEFT_MUST_CHECK int weft_quick_check_claims(const struct weft_quick *q, struct weft_diag *diag);

/*
 * Appends to the excludes what a line "Exclude = " with this value would. 0, WEFT_E_PARSE (`diag`,
 * may be NULL, says why) or -ENOMEM. Any thread.
 */
WEFT_MUST_CHECK int weft_quick_add_excludes(struct weft_quick *q, const char *text,
					    struct weft_diag *diag);

/*
 * Appends what `wg-quick strip` prints: the lines that are not wg-quick's, without the white space
 * around them, and an empty one. Values are not looked at, but that of SaveConfig, which wg-quick
 * refuses: then WEFT_E_PARSE, and `diag` and `ret_fault` (each may be NULL) say so. Else 0,
 * WEFT_E_LIMIT or -ENOMEM. `out` is cleared by the caller. Any thread.
 */
WEFT_MUST_CHECK int weft_quick_strip(const char *text, size_t len, struct weft_text *out,
				     struct weft_fault *ret_fault, struct weft_diag *diag);

/* An interface as it is, for weft_quick_write. Borrowed. */
struct weft_quick_now {
	const struct weft_conf_device *dev;
	const struct weft_prefix *addresses;
	size_t n_addresses;
	uint32_t mtu;
	const struct weft_quick_texts *dns_servers, *dns_search;
};

/*
 * Appends the file that `wg-quick save` makes of an interface, whose file so far is `q`. It has the
 * keys in it. Names of peers and of endpoints, several endpoints of a peer and weft's own keys are
 * kept, other comments are not. 0 or -ENOMEM. Any thread.
 */
WEFT_MUST_CHECK int weft_quick_write(struct weft_text *out, const struct weft_quick *q,
				     const struct weft_quick_now *now);

/*
 * True if wg-quick takes it for an interface's name: 1 to 15 of [a-zA-Z0-9_=+.-]; but not "." and
 * "..", which the kernel refuses. Any thread.
 */
bool weft_quick_is_name(const char *text, size_t len);
bool weft_quick_is_name_char(char c);

#endif
