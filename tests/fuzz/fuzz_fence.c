/* SPDX-License-Identifier: Apache-2.0 */
/* What nft may list of weft's table: taken, it can be made into a text again. */
#include "fuzz.h"
#include "host/fence.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weft_fence f = {0};
	struct weft_text text = {0};

	if (weft_fence_read((const char *)data, size, &f) == 0) {
		FUZZ_CHECK(weft_fence_is(&f, &f) || !f.intact);
		FUZZ_CHECK(weft_fence_text(&f, "wg0", &text) == 0);
	}
	weft_text_clear(&text);
	weft_fence_clear(&f);
	return 0;
}
