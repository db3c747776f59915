/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Internet checksum (RFC 1071), while copying or in place. Sums are kept in 64 bits in the
 * machine's byte order, which the one's complement sum does not mind (RFC 1071, section 2 (B)).
 * Each piece but the last must have an even length. Shared by split.c and coalesce.c.
 */
#ifndef WEFT_LINUX_CSUM_H
#define WEFT_LINUX_CSUM_H

#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint64_t weft_csum_lanes __attribute__((vector_size(16)));

static inline uint64_t weft_csum_tail(const uint8_t *p, size_t len, uint64_t sum)
{
	uint16_t word;

	for (; len >= 2; p += 2, len -= 2) {
		memcpy(&word, p, 2);
		sum += word;
	}
	if (len) {
		word = 0;
		memcpy(&word, p, 1);
		sum += word;
	}
	return sum;
}

/* Adds `len` bytes at `p` to `sum`; copies them to `dst` on the way unless it is NULL. */
static inline uint64_t weft_csum_add(uint8_t *dst, const uint8_t *p, size_t len, uint64_t sum)
{
	const weft_csum_lanes mask = {0xffffffff, 0xffffffff};
	weft_csum_lanes even = {0}, odd = {0}, a, b;

	/* At most 2^16 bytes come in one call: 32-bit words cannot overflow 64-bit lanes. */
	for (; len >= 32; p += 32, len -= 32) {
		memcpy(&a, p, 16);
		memcpy(&b, p + 16, 16);
		if (dst) {
			memcpy(dst, &a, 16);
			memcpy(dst + 16, &b, 16);
			dst += 32;
		}
		even += a & mask;
		odd += a >> 32;
		even += b & mask;
		odd += b >> 32;
	}
	even += odd;
	sum += even[0] + even[1];
	if (dst && len)
		memcpy(dst, p, len);
	return weft_csum_tail(p, len, sum);
}

/* Folds to 16 bits, not complemented. */
static inline uint16_t weft_csum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Pseudo-header of the packet at `ip` (RFC 9293, 3.1; RFC 8200, 8.1). */
static inline uint64_t weft_csum_pseudo(const uint8_t *ip, uint8_t proto, size_t l4_len)
{
	uint64_t sum = (uint64_t)htons(proto) + htons((uint16_t)l4_len);

	if (ip[0] >> 4 == 4)
		return weft_csum_tail(ip + 12, 8, sum);
	return weft_csum_tail(ip + 8, 32, sum);
}

static inline void weft_csum_store(uint8_t *at, uint16_t csum)
{
	memcpy(at, &csum, 2);
}

#endif
