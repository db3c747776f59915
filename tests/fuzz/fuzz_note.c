/* SPDX-License-Identifier: Apache-2.0 */
/* Notes on endpoints: what is taken can be shown on a terminal, and found again by its key. */
#include <string.h>

#include "fuzz.h"
#include "host/note.h"

static void check_text(const char *text)
{
	FUZZ_CHECK(strnlen(text, WEFT_NOTE_TEXT_LEN) < WEFT_NOTE_TEXT_LEN);
	for (; *text; text++)
		FUZZ_CHECK(*text >= ' ' && *text <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weft_notes notes = {0};
	int rc = weft_notes_parse((const char *)data, size, &notes);

	FUZZ_CHECK(rc == 0 || rc == WEFT_E_PARSE);
	for (size_t i = 0; !rc && i < notes.n; i++) {
		check_text(notes.v[i].origin);
		check_text(notes.v[i].reason);
		check_text(notes.v[i].refused);
		FUZZ_CHECK(weft_notes_find(&notes, notes.v[i].public_key) >= &notes.v[i]);
	}
	weft_notes_clear(&notes);
	return 0;
}
