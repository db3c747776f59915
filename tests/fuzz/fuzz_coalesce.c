/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a peer sends through the tunnel: any packets at all. Each comes out exactly once, and
 * cutting a super-packet gives its packets back as they were.
 * Input: switches (1: TSO, 2: USO, 4: repair checksums, so that merging is reached), then packets,
 * each behind its length in two bytes.
 */
#include <netinet/in.h>
#include <string.h>

#include "fuzz.h"
#include "linux/csum.h"
#include "linux/offload.h"

#define MAX_PKTS 128

static struct {
	uint8_t *pkt[MAX_PKTS];  /* what coalesce may write to */
	uint8_t *copy[MAX_PKTS]; /* what it was */
	size_t len[MAX_PKTS];
	bool out[MAX_PKTS];
	unsigned n;
} all;

/* Which of the packets a piece lies in. */
static unsigned owner_of(const struct iovec *iov)
{
	const uint8_t *p = iov->iov_base;

	for (unsigned i = 0; i < all.n; i++)
		if (p >= all.pkt[i] && p + iov->iov_len <= all.pkt[i] + all.len[i])
			return i;
	FUZZ_CHECK(!"a piece of no packet");
	return 0;
}

/* Where DF is set the identification is free, and with it the header's checksum. */
static bool same_packet(const uint8_t *a, const uint8_t *b, size_t len)
{
	if (len < 20 || a[0] >> 4 != 4 || !(a[6] & 0x40))
		return memcmp(a, b, len) == 0;
	return memcmp(a, b, 4) == 0 && memcmp(a + 6, b + 6, 4) == 0 &&
	       memcmp(a + 12, b + 12, len - 12) == 0;
}

static void emit(void *ctx, struct weft_coalesced *c)
{
	struct weft_split s;
	uint8_t *flat, *cut;
	size_t at = 0, n;

	(void)ctx;
	FUZZ_CHECK(c->n_pkts >= 1 && c->n_iov == c->n_pkts && c->len <= 65575);
	flat = malloc(c->len);
	cut = malloc(c->len);
	FUZZ_CHECK(flat && cut);
	for (unsigned i = 0; i < c->n_iov; i++) {
		FUZZ_CHECK(c->iov[i].iov_len <= c->len - at);
		memcpy(flat + at, c->iov[i].iov_base, c->iov[i].iov_len);
		at += c->iov[i].iov_len;
	}
	FUZZ_CHECK(at == c->len);
	FUZZ_CHECK(weft_split_init(&s, &c->hdr, flat, c->len) == (int)c->n_pkts);
	for (unsigned i = 0; i < c->n_pkts; i++) {
		unsigned owner = owner_of(&c->iov[i]);

		FUZZ_CHECK(!all.out[owner]);
		all.out[owner] = true;
		n = weft_split_next(&s, cut);
		FUZZ_CHECK(n == all.len[owner]);
		FUZZ_CHECK(same_packet(cut, all.copy[owner], n));
	}
	free(flat);
	free(cut);
}

/* Right checksums for a plain TCP or UDP packet. */
static void repair(uint8_t *p, size_t len)
{
	size_t l3 = 0, field;
	uint8_t proto = 0;

	if (len >= 20 && p[0] == 0x45) {
		l3 = 20;
		proto = p[9];
		p[2] = (uint8_t)(len >> 8);
		p[3] = (uint8_t)len;
		weft_csum_store(p + 10, 0);
		weft_csum_store(p + 10, (uint16_t)~weft_csum_fold(weft_csum_tail(p, 20, 0)));
	} else if (len >= 40 && p[0] >> 4 == 6) {
		l3 = 40;
		proto = p[6];
		p[4] = (uint8_t)((len - 40) >> 8);
		p[5] = (uint8_t)(len - 40);
	}
	field = proto == IPPROTO_TCP ? 16 : 6;
	if ((proto != IPPROTO_TCP && proto != IPPROTO_UDP) || len < l3 + field + 2)
		return;
	if (proto == IPPROTO_UDP) {
		p[l3 + 4] = (uint8_t)((len - l3) >> 8);
		p[l3 + 5] = (uint8_t)(len - l3);
	}
	weft_csum_store(p + l3 + field, 0);
	weft_csum_store(p + l3 + field,
			(uint16_t)~weft_csum_fold(weft_csum_add(
				NULL, p + l3, len - l3, weft_csum_pseudo(p, proto, len - l3))));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	uint8_t switches = fuzz_u8(&in);
	struct weft_coalesce c;

	memset(&all, 0, sizeof(all));
	while (in.left > 2 && all.n < MAX_PKTS) {
		size_t len = fuzz_u16(&in);
		const uint8_t *p = fuzz_bytes(&in, &len);

		if (len == 0)
			continue;
		all.pkt[all.n] = malloc(len);
		all.copy[all.n] = malloc(len);
		FUZZ_CHECK(all.pkt[all.n] && all.copy[all.n]);
		memcpy(all.pkt[all.n], p, len);
		if (switches & 4)
			repair(all.pkt[all.n], len);
		memcpy(all.copy[all.n], all.pkt[all.n], len);
		all.len[all.n++] = len;
	}
	weft_coalesce_init(&c, switches & 1, switches & 2, emit, NULL);
	for (unsigned i = 0; i < all.n; i++)
		weft_coalesce_add(&c, all.pkt[i], all.len[i]);
	weft_coalesce_flush(&c);
	for (unsigned i = 0; i < all.n; i++) {
		FUZZ_CHECK(all.out[i]);
		free(all.pkt[i]);
		free(all.copy[i]);
	}
	return 0;
}
