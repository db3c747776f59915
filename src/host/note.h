/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What whoever keeps endpoint names fresh has written down of a running interface
 * (/run/weft/IFNAME/endpoints.json): which endpoint each peer has been given, where it is from and
 * why. Read as if anybody had written it. Pure.
 *
 * An object with the array "peers"; each is an object with "public_key" (base64), "endpoint"
 * (numeric, or null), "from" (an object whose "text" is what stands in the file), "since" (seconds
 * since 1970), "reason", and "refused": why another endpoint was not taken. All but the key may be
 * missing; names that are not known are passed over.
 */
#ifndef WEFT_HOST_NOTE_H
#define WEFT_HOST_NOTE_H

#include "conf/device.h"

#define WEFT_NOTE_MAX_BYTES (64u << 20)
#define WEFT_NOTE_TEXT_LEN  160 /* bytes with the NUL */

struct weft_note {
	uint8_t public_key[WEFT_KEY_LEN];
	struct weft_endpoint endpoint; /* family WEFT_NONE: not said */
	char origin[WEFT_NOTE_TEXT_LEN];
	char reason[WEFT_NOTE_TEXT_LEN];
	char refused[WEFT_NOTE_TEXT_LEN];
	uint64_t since; /* 0: not said */
};

struct weft_notes {
	struct weft_note *v;
	size_t n;
};

/*
 * Reads the whole text. 0, WEFT_E_PARSE (it is not as above), WEFT_E_LIMIT (WEFT_NOTE_MAX_BYTES,
 * WEFT_CONF_MAX_PEERS) or -ENOMEM. `ret` starts zeroed and is cleared by the caller, also after an
 * error. Texts come cut to fit and without control characters. Any thread.
 */
WEFT_MUST_CHECK int weft_notes_parse(const char *text, size_t len, struct weft_notes *ret);
void weft_notes_clear(struct weft_notes *notes);

/* The last one of that peer, or NULL. */
const struct weft_note *weft_notes_find(const struct weft_notes *notes,
					const uint8_t public_key[WEFT_KEY_LEN]);

#endif
