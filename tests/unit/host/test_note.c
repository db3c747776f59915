/* SPDX-License-Identifier: Apache-2.0 */
/* Notes on endpoints: what is taken, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "host/note.h"

#define KEY  "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
#define PEER "\"public_key\":\"" KEY "\""

static const uint8_t ones[WEFT_KEY_LEN] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
					   1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

static int parse(const char *text, struct weft_notes *ret)
{
	*ret = (struct weft_notes){0};
	return weft_notes_parse(text, strlen(text), ret);
}

static void whole(void **state)
{
	struct weft_notes n;
	const struct weft_note *note;

	(void)state;
	assert_int_equal(parse("{\"version\":1,\"peers\":[{" PEER
			       ",\"endpoint\":\"192.0.2.1:5\",\"from\":"
			       "{\"kind\":\"name\",\"text\":\"a.example:5\"},\"since\":17,"
			       "\"reason\":\"x\\u0007"
			       "\",\"refused\":\"loop\",\"state\":[]}]}",
			       &n),
			 0);
	note = weft_notes_find(&n, ones);
	assert_non_null(note);
	assert_int_equal(note->endpoint.port, 5);
	assert_string_equal(note->origin, "a.example:5");
	assert_string_equal(note->reason, "x?");
	assert_string_equal(note->refused, "loop");
	assert_int_equal(note->since, 17);
	weft_notes_clear(&n);
}

static void little(void **state)
{
	struct weft_notes n;
	const struct weft_note *note;

	(void)state;
	assert_int_equal(parse("{\"peers\":[{" PEER ",\"endpoint\":null,\"since\":-5}]}", &n), 0);
	note = weft_notes_find(&n, ones);
	assert_non_null(note);
	assert_int_equal(note->endpoint.ip.family, WEFT_NONE);
	assert_int_equal(note->since, 0);
	assert_string_equal(note->origin, "");
	weft_notes_clear(&n);
	assert_int_equal(parse("{\"peers\":[]}", &n), 0);
	assert_null(weft_notes_find(&n, ones));
	weft_notes_clear(&n);
}

static void bad(void **state)
{
	static const char *const texts[] = {
		"",
		"[]",
		"{",
		"{\"peers\":{}}",
		"{\"peers\":[1]}",
		"{\"peers\":[{}]}",
		"{\"peers\":[{\"public_key\":\"AQ==\"}]}",
		"{\"peers\":[{" PEER ",\"endpoint\":\"a.example:5\"}]}",
		"{\"peers\":[{" PEER "},{}]}",
	};
	struct weft_notes n;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(parse(texts[i], &n), WEFT_E_PARSE);
		weft_notes_clear(&n);
	}
	n = (struct weft_notes){0};
	assert_int_equal(weft_notes_parse("", (size_t)WEFT_NOTE_MAX_BYTES + 1, &n), WEFT_E_LIMIT);
}

static void long_texts_are_cut(void **state)
{
	struct weft_notes n;
	char text[1024] = "{\"peers\":[{" PEER ",\"reason\":\"";
	size_t len = strlen(text);

	(void)state;
	memset(text + len, 'x', 500);
	strcpy(text + len + 500, "\"}]}");
	assert_int_equal(parse(text, &n), 0);
	assert_int_equal(strlen(n.v[0].reason), WEFT_NOTE_TEXT_LEN - 1);
	weft_notes_clear(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole),
		cmocka_unit_test(little),
		cmocka_unit_test(bad),
		cmocka_unit_test(long_texts_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
