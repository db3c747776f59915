/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A UAPI get answer from a device that may be hostile: whatever is taken can be written in every
 * form that there is, and as an answer it reads back to itself.
 */
#include <string.h>

#include "conf/ini.h"
#include "conf/json.h"
#include "conf/uapi.h"
#include "fuzz.h"

static void write_answer(struct weft_text *out, const struct weft_conf_device *dev)
{
	FUZZ_CHECK(!weft_uapi_write_device(out, dev));
	for (size_t i = 0; i < dev->n_peers; i++)
		FUZZ_CHECK(!weft_uapi_write_peer(out, &dev->peers[i]));
	FUZZ_CHECK(!weft_text_printf(out, "errno=0\n\n"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weft_conf_device dev = {0}, back = {0};
	struct weft_text once = {0}, twice = {0}, other = {0};

	if (weft_uapi_parse_get((const char *)data, size, &dev) == 0) {
		write_answer(&once, &dev);
		FUZZ_CHECK(!weft_uapi_parse_get(once.p, once.len, &back));
		write_answer(&twice, &back);
		FUZZ_CHECK(once.len == twice.len && !memcmp(once.p, twice.p, once.len));
		FUZZ_CHECK(!weft_ini_write(&other, &dev));
		FUZZ_CHECK(!weft_json_devices(&other, &dev, 1, true));
	}
	weft_text_clear(&once);
	weft_text_clear(&twice);
	weft_text_clear(&other);
	weft_conf_device_clear(&dev);
	weft_conf_device_clear(&back);
	return 0;
}
