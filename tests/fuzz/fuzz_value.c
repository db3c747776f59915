/* SPDX-License-Identifier: Apache-2.0 */
/* The single values of files and command lines: taken ones are in range, refused ones change
 * nothing. */
#include <string.h>

#include "conf/value.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct weft_conf_peer peer = {0}, untouched = {0};
	struct weft_conf_name name = {0};
	char out[WEFT_CONF_ENDPOINT_LEN];
	struct weft_prefix prefix;
	uint32_t fwmark = 7;
	uint16_t v = 7;
	bool is_name = false;

	if (weft_value_port(text, size, &v) != WEFT_FAULT_NONE)
		FUZZ_CHECK(v == 7);
	v = 7;
	if (weft_value_keepalive(text, size, &v) != WEFT_FAULT_NONE)
		FUZZ_CHECK(v == 7);
	if (weft_value_fwmark(text, size, &fwmark) != WEFT_FAULT_NONE)
		FUZZ_CHECK(fwmark == 7);
	if (weft_value_prefix(text, size, &prefix) == WEFT_FAULT_NONE)
		FUZZ_CHECK(prefix.len <= weft_family_bits(prefix.ip.family));
	if (weft_value_endpoint(text, size, &peer, &name, &is_name) != WEFT_FAULT_NONE) {
		FUZZ_CHECK(!memcmp(&peer, &untouched, sizeof(peer)));
	} else if (is_name) {
		FUZZ_CHECK(name.host[0] && name.port[0]);
	} else {
		weft_conf_endpoint_text(&peer, out);
		FUZZ_CHECK(weft_value_endpoint(out, strlen(out), &untouched, &name, &is_name) ==
				   WEFT_FAULT_NONE &&
			   !is_name);
		FUZZ_CHECK(weft_endpoint_same_remote(&peer.endpoint, &untouched.endpoint));
	}
	return 0;
}
