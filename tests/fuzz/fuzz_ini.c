/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A configuration file: an error always has a place and a sentence; what is read, written as
 * showconf does, is read back to the same file.
 */
#include <string.h>

#include "conf/ini.h"
#include "fuzz.h"

static void on_host_bits(void *ctx, unsigned line, const char *text, size_t len)
{
	FUZZ_CHECK(line > 0 && len > 0 && text);
	++*(unsigned *)ctx;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weft_ini_result r = {0}, back = {0};
	struct weft_text once = {0}, twice = {0};
	struct weft_diag diag = {0};
	unsigned warnings = 0;
	char sentence[512];
	int rc = weft_ini_parse((const char *)data, size, &r, on_host_bits, &warnings, &diag);

	if (rc == WEFT_E_PARSE) {
		FUZZ_CHECK(diag.line > 0 && diag.message[0] && r.fault.kind != WEFT_FAULT_NONE);
		weft_fault_wg_sentence(&r.fault, sentence, sizeof(sentence));
		FUZZ_CHECK(sentence[0]);
	} else {
		FUZZ_CHECK(!rc);
		for (size_t i = 0; i < r.names.n; i++)
			FUZZ_CHECK(r.names.v[i].peer < r.dev.n_peers && r.names.v[i].host[0]);
		FUZZ_CHECK(!weft_ini_write(&once, &r.dev));
		warnings = 0;
		FUZZ_CHECK(!weft_ini_parse(once.p, once.len, &back, on_host_bits, &warnings, NULL));
		FUZZ_CHECK(!warnings && back.dev.n_peers == r.dev.n_peers);
		FUZZ_CHECK(!weft_ini_write(&twice, &back.dev));
		FUZZ_CHECK(once.len == twice.len && !memcmp(once.p, twice.p, once.len));
	}
	weft_text_clear(&once);
	weft_text_clear(&twice);
	weft_ini_result_clear(&r);
	weft_ini_result_clear(&back);
	return 0;
}
