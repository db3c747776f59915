/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sources whose handshakes keep failing, in a direct-mapped table.
 */
#include "core/suspect.h"

#include <string.h>

#include "util/cursor.h"

void weft_suspects_init(struct weft_suspects *s, const uint8_t key[WEFT_SIPHASH_KEY_LEN])
{
	memset(s, 0, sizeof(*s));
	memcpy(s->key, key, sizeof(s->key));
}

static uint64_t name_of(const struct weft_suspects *s, const struct weft_endpoint *from)
{
	uint8_t text[sizeof(from->ip) + 2];
	uint64_t hash;

	memcpy(text, &from->ip, sizeof(from->ip));
	weft_put_be16(text + sizeof(from->ip), from->port);
	hash = weft_siphash(s->key, text, sizeof(text));
	return hash ? hash : 1;
}

void weft_suspects_note(struct weft_suspects *s, const struct weft_endpoint *from, uint64_t now_ns)
{
	uint64_t name = name_of(s, from);
	unsigned i = name % WEFT_SUSPECT_ENTRIES;
	bool stale = now_ns >= s->entry[i].since_ns + WEFT_SUSPECT_HOLD_NS;

	if (s->entry[i].name != name && s->entry[i].failures >= WEFT_SUSPECT_FAILURES && !stale)
		return; /* a suspect is not displaced by another's first failure */
	if (s->entry[i].name != name || stale) {
		s->entry[i].name = name;
		s->entry[i].since_ns = now_ns;
		s->entry[i].failures = 0;
	}
	if (s->entry[i].failures < WEFT_SUSPECT_FAILURES)
		s->entry[i].failures++;
	else
		s->entry[i].since_ns = now_ns; /* it goes on: so does the suspicion */
}

bool weft_suspects_has(const struct weft_suspects *s, const struct weft_endpoint *from,
		       uint64_t now_ns)
{
	uint64_t name = name_of(s, from);
	unsigned i = name % WEFT_SUSPECT_ENTRIES;

	return s->entry[i].name == name && s->entry[i].failures >= WEFT_SUSPECT_FAILURES &&
	       now_ns < s->entry[i].since_ns + WEFT_SUSPECT_HOLD_NS;
}
