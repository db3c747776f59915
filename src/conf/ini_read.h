/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the readers, and the writers, of WireGuard's file and of wg-quick's share. Inside src/conf
 * only.
 */
#ifndef WEFT_CONF_INI_READ_H
#define WEFT_CONF_INI_READ_H

#include "conf/ini.h"

/*
 * The keys of [Interface] that wg-quick(8) adds, and then those that `weft up` adds to them, in the
 * order of enum weft_ini_quick_key.
 */
extern const char *const weft_ini_quick_keys[]; /* ends with NULL */

enum weft_ini_quick_key {
	WEFT_INI_ADDRESS,
	WEFT_INI_DNS,
	WEFT_INI_MTU,
	WEFT_INI_TABLE,
	WEFT_INI_PRE_UP,
	WEFT_INI_POST_UP,
	WEFT_INI_PRE_DOWN,
	WEFT_INI_POST_DOWN,
	WEFT_INI_SAVE_CONFIG,
	WEFT_INI_BACKEND, /* from here on weft's own */
	WEFT_INI_WORKERS,
	WEFT_INI_CPUS,
	WEFT_INI_KILL_SWITCH,
	WEFT_INI_EXCLUDE,
};

/* White space as C's isspace has it, whatever the locale. */
bool weft_ini_is_space(char c);

/* True if the text is the word, in any case. */
bool weft_ini_same(const char *text, size_t len, const char *word);

/* The entry of a NULL-terminated list that is the text, in any case; NULL if none is. */
const char *const *weft_ini_find(const char *text, size_t len, const char *const *list);

/* Takes a line, without its newline, off the text. False at the end of it. */
bool weft_ini_next_line(const char **text, size_t *len, const char **ret_line, size_t *ret_len);

/*
 * True if an endpoint, without white space, is the name of an SRV record (RFC 2782: it begins with
 * "_") and no host:port.
 */
bool weft_ini_is_srv(const char *text, size_t len);

/* How much of a text is shown in an error: so that a line of megabytes does not drown the rest. */
int weft_ini_shown(size_t len);

/* Whoever sees each line before WireGuard's reader does. */
struct weft_ini_first {
	/*
	 * The line as it stands in the file. 1: it was taken, 0: it is for WireGuard, or a
	 * negative code, which ends the reading.
	 */
	int (*line)(void *ctx, unsigned number, const char *raw, size_t len);
	/*
	 * Each endpoint of peer `peer` (index) in turn, without white space, as host:port or as the
	 * name of an SRV record: the device has the last one that is host:port. 0 or a negative
	 * code, which ends the reading.
	 */
	int (*endpoint)(void *ctx, size_t peer, unsigned line, unsigned column, const char *text,
			size_t len);
	/* Where each allowed IP of peer `peer` stands, in turn. Returns as above. */
	int (*allowed_ip)(void *ctx, size_t peer, unsigned line, unsigned column);
	void *ctx;
};

/*
 * weft_ini_parse with `first` in front of it, unless that is NULL: then wg-quick's keys are known,
 * and one that arrives nevertheless stands where wg-quick does not see it.
 */
WEFT_MUST_CHECK int weft_ini_read(const char *text, size_t len, struct weft_ini_result *ret,
				  weft_conf_host_bits host_bits, void *ctx,
				  const struct weft_ini_first *first, struct weft_diag *diag);

/*
 * Parts of weft_ini_write: [Interface] without that line; and a peer, with its name as a comment,
 * and these lines for its endpoint. Each may be NULL. 0 or -ENOMEM.
 */
WEFT_MUST_CHECK int weft_ini_write_device(struct weft_text *out,
					  const struct weft_conf_device *dev);
WEFT_MUST_CHECK int weft_ini_write_peer(struct weft_text *out, const struct weft_conf_peer *peer,
					const char *name, const char *endpoints);

#endif
