/* SPDX-License-Identifier: Apache-2.0 */
/* A UAPI set request: whatever is taken must, written out, be taken again and mean the same. */
#include <string.h>

#include "conf/uapi.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weft_conf_device dev = {0}, back = {0};
	struct weft_text once = {0}, twice = {0};
	struct weft_diag diag = {0};
	int rc = weft_uapi_parse_set((const char *)data, size, &dev, &diag);

	if (rc) {
		FUZZ_CHECK(diag.line > 0 && diag.message[0]);
	} else {
		FUZZ_CHECK(!weft_uapi_write_set(&once, &dev));
		FUZZ_CHECK(once.len >= 7 && !memcmp(once.p, "set=1\n", 6));
		FUZZ_CHECK(!weft_uapi_parse_set(once.p + 6, once.len - 7, &back, NULL));
		FUZZ_CHECK(back.n_peers == dev.n_peers && back.has == dev.has);
		FUZZ_CHECK(!weft_uapi_write_set(&twice, &back));
		FUZZ_CHECK(once.len == twice.len && !memcmp(once.p, twice.p, once.len));
	}
	weft_text_clear(&once);
	weft_text_clear(&twice);
	weft_conf_device_clear(&dev);
	weft_conf_device_clear(&back);
	return 0;
}
