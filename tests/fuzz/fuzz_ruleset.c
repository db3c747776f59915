/* SPDX-License-Identifier: Apache-2.0 */
/* A ruleset: what keeps answers out keeps out whoever begins, and a chain is named for it. */
#include <string.h>

#include "fuzz.h"
#include "host/ruleset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weft_ruleset_verdict v = {0};
	int rc = weft_ruleset_judge((const char *)data, size, "wg0", 51820, &v);

	FUZZ_CHECK(rc == 0 || rc == WEFT_E_PARSE);
	FUZZ_CHECK(v.drops_new == (v.chain[0] != 0) && (v.drops_new || !v.drops_answers));
	FUZZ_CHECK(memchr(v.chain, '\0', sizeof(v.chain)));
	return 0;
}
