/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state file of weft tune: what is taken names files in three places only, and is written and
 * read back to the same.
 */
#include <string.h>

#include "fuzz.h"
#include "host/tune.h"

static void check_change(const struct weft_tune_change *c)
{
	FUZZ_CHECK(c->target.kind < WEFT_TUNE_KINDS);
	FUZZ_CHECK(!strchr(c->target.device, '/'));
	if (c->target.device[0])
		FUZZ_CHECK(weft_tune_name_valid(c->target.device));
	else
		FUZZ_CHECK(c->target.kind != WEFT_TUNE_RPS && c->target.kind != WEFT_TUNE_XPS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weft_tune_state state = {0}, back = {0};
	struct weft_diag diag = {0};
	struct weft_text text = {0};
	int rc = weft_tune_state_parse((const char *)data, size, "wg0", &state, &diag);

	FUZZ_CHECK(!rc || (rc == WEFT_E_PARSE && diag.message[0]));
	for (size_t i = 0; i < state.n; i++)
		check_change(&state.v[i]);
	if (!rc) {
		FUZZ_CHECK(!weft_tune_state_format("wg0", &state, &text));
		FUZZ_CHECK(!weft_tune_state_parse(text.p, text.len, "wg0", &back, NULL));
		FUZZ_CHECK(back.n == state.n);
	}
	weft_text_clear(&text);
	weft_tune_state_clear(&state);
	weft_tune_state_clear(&back);
	return 0;
}
