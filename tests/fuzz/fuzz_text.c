/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys, addresses, prefixes, endpoints and sets of processors as text: whatever parses must be
 * written and read back to the same value.
 */
#include <string.h>

#include "fuzz.h"
#include "util/cpus.h"
#include "util/diag.h"
#include "util/encoding.h"
#include "util/inet.h"

static void keys(const char *text, size_t len)
{
	char base64[WEFT_KEY_BASE64_LEN + 1], hex[WEFT_KEY_HEX_LEN + 1];
	uint8_t key[WEFT_KEY_LEN], back[WEFT_KEY_LEN];

	if (!weft_key_from_base64(key, text, len)) {
		weft_key_to_base64(base64, key);
		FUZZ_CHECK(!memcmp(base64, text, len));
	}
	if (!weft_key_from_hex(key, text, len)) {
		weft_key_to_hex(hex, key);
		FUZZ_CHECK(!weft_key_from_hex(back, hex, WEFT_KEY_HEX_LEN));
		FUZZ_CHECK(!memcmp(key, back, sizeof(key)));
	}
}

static void addresses(const char *text, size_t len)
{
	char out[WEFT_ENDPOINT_TEXT_LEN];
	struct weft_prefix prefix, prefix_back;
	struct weft_endpoint endpoint, endpoint_back;
	struct weft_ip ip, ip_back;

	if (!weft_ip_parse(text, len, &ip)) {
		weft_ip_format(&ip, out);
		FUZZ_CHECK(!weft_ip_parse(out, strlen(out), &ip_back));
		FUZZ_CHECK(weft_ip_equal(&ip, &ip_back));
	}
	if (!weft_prefix_parse(text, len, &prefix)) {
		weft_prefix_format(&prefix, out);
		FUZZ_CHECK(!weft_prefix_parse(out, strlen(out), &prefix_back));
		FUZZ_CHECK(weft_ip_equal(&prefix.ip, &prefix_back.ip));
		FUZZ_CHECK(prefix.len == prefix_back.len);
		FUZZ_CHECK(weft_prefix_contains(&prefix, &prefix.ip));
		(void)weft_prefix_mask(&prefix);
		FUZZ_CHECK(weft_prefix_contains(&prefix_back, &prefix.ip));
	}
	if (!weft_endpoint_parse(text, len, &endpoint)) {
		weft_endpoint_format(&endpoint, out);
		FUZZ_CHECK(!weft_endpoint_parse(out, strlen(out), &endpoint_back));
		FUZZ_CHECK(weft_endpoint_same_remote(&endpoint, &endpoint_back));
	}
}

static void processors(const char *text, size_t len)
{
	char out[WEFT_CPUS_LIST_LEN], mask[WEFT_CPUS_MASK_LEN];
	struct weft_cpus set, back;

	if (!weft_cpus_parse(text, len, &set)) {
		weft_cpus_format(&set, out);
		FUZZ_CHECK(!weft_cpus_parse(out, strlen(out), &back));
		FUZZ_CHECK(weft_cpus_equal(&set, &back) && weft_cpus_count(&set));
	}
	if (!weft_cpus_parse_mask(text, len, &set)) {
		weft_cpus_format_mask(&set, mask);
		FUZZ_CHECK(!weft_cpus_parse_mask(mask, strlen(mask), &back));
		FUZZ_CHECK(weft_cpus_equal(&set, &back));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const known[] = {"PrivateKey", "AllowedIPs", "Endpoint", NULL};
	const char *text = (const char *)data;

	keys(text, size);
	addresses(text, size);
	processors(text, size);
	(void)weft_diag_nearest(text, size, known);
	return 0;
}
