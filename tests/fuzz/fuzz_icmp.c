/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inner packets of any content: parsing, ECN on the way out of the tunnel, and the ICMP errors that
 * answer what cannot be carried, and answers to probes of a path's MTU. An error is a whole packet
 * with right checksums, fits its buffer, and never answers an ICMP error.
 */
#include <string.h>

#include "core/icmp.h"
#include "core/inner.h"
#include "core/pmtu.h"
#include "fuzz.h"
#include "util/cursor.h"

static uint16_t sum16(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void check_error(const uint8_t *out, size_t n)
{
	struct weft_inner in;
	uint8_t *again;

	if (!n)
		return;
	FUZZ_CHECK(n <= WEFT_ICMP_MAX_LEN);
	FUZZ_CHECK(!weft_inner_parse(out, n, &in));
	FUZZ_CHECK(in.total_len == n);
	if (in.version == 4) {
		FUZZ_CHECK(in.proto == 1 && n <= 576);
		FUZZ_CHECK(sum16(0, out, 20) == 0xffff);
		FUZZ_CHECK(sum16(0, out + 20, n - 20) == 0xffff);
	} else {
		FUZZ_CHECK(in.proto == 58);
		FUZZ_CHECK(sum16((uint32_t)(n - 40) + 58, out + 8, n - 8) == 0xffff);
	}
	/* no error about an error */
	again = malloc(WEFT_ICMP_MAX_LEN);
	FUZZ_CHECK(again);
	FUZZ_CHECK(!weft_icmp_unreachable(again, out, n));
	free(again);
}

static void ecn(const uint8_t *inner, size_t len, uint8_t tos)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct weft_inner in, after;
	uint16_t before;

	FUZZ_CHECK(copy);
	if (len)
		memcpy(copy, inner, len);
	if (!weft_inner_parse(copy, len, &in)) {
		FUZZ_CHECK(in.header_len <= in.total_len && in.total_len <= len);
		before = in.version == 4 ? sum16(0, copy, in.header_len) : 0;
		if (!weft_ecn_decap(copy, &in, tos)) {
			FUZZ_CHECK(!weft_inner_parse(copy, len, &after));
			FUZZ_CHECK(after.ecn == in.ecn && after.total_len == in.total_len);
			/* a right checksum stays right */
			if (before == 0xffff)
				FUZZ_CHECK(sum16(0, copy, in.header_len) == 0xffff);
		}
	}
	free(copy);
}

/* No more is looked at than the packet says that it has. */
static void answer(const uint8_t *inner, size_t len)
{
	struct weft_inner in;
	uint32_t cookie, mtu;
	uint8_t *copy;

	(void)weft_pmtu_too_long(inner, len, 1420, 1280, &mtu);
	if (weft_inner_parse(inner, len, &in))
		return;
	copy = malloc(in.total_len);
	FUZZ_CHECK(copy);
	memcpy(copy, inner, in.total_len);
	if (weft_pmtu_answer(copy, &in, &cookie))
		FUZZ_CHECK(in.proto == (in.version == 4 ? 1 : 58));
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	uint8_t flags = fuzz_u8(&in), *out = malloc(WEFT_ICMP_MAX_LEN);

	(void)fuzz_u16(&in); /* the corpus has two bytes here */
	FUZZ_CHECK(out);
	check_error(out, weft_icmp_unreachable(out, in.p, in.left));
	ecn(in.p, in.left, flags >> 6);
	answer(in.p, in.left);
	free(out);
	return 0;
}
