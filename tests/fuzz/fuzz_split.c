/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the TUN hands over: a vnet header and a packet, neither to be trusted. The segments must
 * fit where they were said to fit and carry every byte of payload once.
 * Input: flags, gso_type, gso_size, csum_start, csum_offset, then the packet.
 */
#include <string.h>

#include "fuzz.h"
#include "linux/offload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	struct virtio_net_hdr hdr = {0};
	size_t room, n, payload = 0;
	struct weft_split s;
	uint8_t *out;
	int segments;

	hdr.flags = fuzz_u8(&in);
	hdr.gso_type = fuzz_u8(&in);
	hdr.gso_size = fuzz_u16(&in);
	hdr.csum_start = fuzz_u16(&in);
	hdr.csum_offset = fuzz_u16(&in);
	segments = weft_split_init(&s, &hdr, in.p, in.left);
	if (segments < 0)
		return 0;
	FUZZ_CHECK(segments >= 1);
	room = weft_split_segment_len(&s);
	FUZZ_CHECK(room > 0 && room <= in.left);
	/* Just this much, so that a sanitizer sees the first byte past it. */
	out = malloc(room);
	FUZZ_CHECK(out);
	for (int i = 0; i < segments; i++) {
		n = weft_split_next(&s, out);
		FUZZ_CHECK(n > 0 && n <= room && n >= s.header_len);
		FUZZ_CHECK(i == segments - 1 || n == room);
		if (s.gso_size)
			FUZZ_CHECK(!memcmp(out + s.header_len, in.p + s.header_len + payload,
					   n - s.header_len));
		payload += n - s.header_len;
	}
	FUZZ_CHECK(weft_split_next(&s, out) == 0);
	FUZZ_CHECK(payload + s.header_len == in.left);
	free(out);
	return 0;
}
