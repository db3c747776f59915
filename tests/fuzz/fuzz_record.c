/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of an interface: what is read can be written, and is then read as the same. */
#include <string.h>

#include "fuzz.h"
#include "host/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weft_host_record a = {0}, b = {0};
	struct weft_text once = {0}, twice = {0};
	int rc = weft_host_record_parse((const char *)data, size, &a);

	FUZZ_CHECK(!rc || rc == WEFT_E_PARSE);
	if (!rc) {
		FUZZ_CHECK(!weft_host_record_write(&a, &once));
		FUZZ_CHECK(!weft_host_record_parse(once.p, once.len, &b));
		FUZZ_CHECK(!weft_host_record_write(&b, &twice));
		FUZZ_CHECK(once.len == twice.len && !memcmp(once.p, twice.p, once.len));
		for (size_t i = 0; i < a.n_peers; i++)
			FUZZ_CHECK(weft_host_record_find(&a, a.peers[i].public_key));
	}
	weft_text_clear(&once);
	weft_text_clear(&twice);
	weft_host_record_clear(&a);
	weft_host_record_clear(&b);
	return 0;
}
