/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transport data into an established session: raw datagrams, headers with any index and counter,
 * altered and replayed packets, and inner packets of any content sealed by the peer itself; and
 * hostile packets from the machine's own side. Nothing is accepted twice, what is delivered keeps
 * the promises of worker.h, and an honest peer gets through in the end.
 */
#include <string.h>

#include "fuzz_world.h"
#include "util/cursor.h"

#define MAX_STEPS 64
#define INNER_MAX 2048

/* Inner bytes: a good header that the input alters, or bytes alone. */
static size_t inner_of(struct fuzz_input *in, uint8_t *out, unsigned from, unsigned to)
{
	uint8_t kind = fuzz_u8(in);
	size_t len = fuzz_u8(in);
	const uint8_t *bytes;

	if (kind & 1) {
		bytes = fuzz_bytes(in, &len);
		if (len)
			memcpy(out, bytes, len);
		return len;
	}
	if (kind & 2)
		len = len * 8;
	if (len < 60)
		len = 60;
	fuzz_inner(out, len, from, to);
	if (kind & 4) { /* IPv6 */
		memset(out, 0, 40);
		out[0] = 0x60;
		weft_put_be16(out + 4, (uint16_t)(len - 40));
		memcpy(out + 8, (const uint8_t[]){0xfd, 0, (uint8_t)(from + 1)}, 3);
		memcpy(out + 24, (const uint8_t[]){0xfd, 0, (uint8_t)(to + 1)}, 3);
	}
	for (unsigned n = kind >> 5; n; n--) {
		size_t at = fuzz_u8(in) % 60;

		out[at] ^= fuzz_u8(in);
	}
	return len;
}

/* The newest datagram of `e`, or NULL. */
static struct fuzz_datagram *newest(struct fuzz_end *e)
{
	return e->outbox_len ? &e->outbox[e->outbox_len - 1] : NULL;
}

static void sealed(struct fuzz_world *w, struct fuzz_input *in)
{
	struct fuzz_end *target = &w->end[FUZZ_TARGET], *insider = &w->end[FUZZ_INSIDER];
	uint8_t inner[INNER_MAX], flags = fuzz_u8(in);
	size_t len = inner_of(in, inner, FUZZ_INSIDER, FUZZ_TARGET);
	struct fuzz_datagram *d;
	int r;

	fuzz_clear_outbox(insider);
	if (!fuzz_seal(insider, FUZZ_TARGET, inner, len))
		return;
	d = newest(insider);
	FUZZ_CHECK(d);
	for (unsigned n = flags & 3; n; n--) { /* often none */
		size_t at = fuzz_u16(in) % d->len;

		d->data[at] ^= fuzz_u8(in);
	}
	if (flags & 4)
		d->len = fuzz_u16(in) % (d->len + 1);
	r = fuzz_feed(target, &insider->addr, flags >> 6, d->data, d->len);
	if (r == 0) /* never twice */
		FUZZ_CHECK(fuzz_feed(target, &insider->addr, flags >> 6, d->data, d->len) ==
			   WEFT_E_DROP);
}

/* A true receiver index with any counter, and no authentication. */
static void forged(struct fuzz_world *w, struct fuzz_input *in)
{
	struct fuzz_end *target = &w->end[FUZZ_TARGET], *insider = &w->end[FUZZ_INSIDER];
	uint8_t pkt[16 + 255] = {0};
	struct fuzz_datagram *d;
	struct weft_msg_data header;
	size_t len = fuzz_u8(in);
	uint64_t counter = 0;
	const uint8_t *bytes;
	int r;

	fuzz_clear_outbox(insider);
	if (!fuzz_seal(insider, FUZZ_TARGET, NULL, 0))
		return;
	d = newest(insider);
	FUZZ_CHECK(d);
	header = weft_message_read_data(d->data);
	for (int i = 0; i < 8; i++)
		counter = counter << 8 | fuzz_u8(in);
	bytes = fuzz_bytes(in, &len);
	weft_message_write_data(pkt, header.receiver, counter);
	if (len)
		memcpy(pkt + 16, bytes, len);
	r = fuzz_feed(target, &insider->addr, 0, pkt, 16 + len);
	FUZZ_CHECK(r == WEFT_E_DROP);
}

static void raw(struct fuzz_world *w, struct fuzz_input *in)
{
	size_t len = fuzz_u8(in);
	const uint8_t *bytes = fuzz_bytes(in, &len);

	(void)fuzz_feed(&w->end[FUZZ_TARGET], &w->end[FUZZ_INSIDER].addr, 0, bytes, len);
}

static void outward(struct fuzz_world *w, struct fuzz_input *in)
{
	uint8_t inner[INNER_MAX], *exact;
	size_t len = inner_of(in, inner, FUZZ_TARGET, fuzz_u8(in) % FUZZ_ENDS);

	exact = malloc(len ? len : 1);
	FUZZ_CHECK(exact);
	memcpy(exact, inner, len);
	(void)fuzz_send(&w->end[FUZZ_TARGET], exact, len);
	free(exact);
}

static void step(struct fuzz_world *w, struct fuzz_input *in)
{
	struct fuzz_end *target = &w->end[FUZZ_TARGET];

	switch (fuzz_u8(in) & 7) {
	case 0:
		raw(w, in);
		break;
	case 1:
		forged(w, in);
		break;
	case 2:
		outward(w, in);
		break;
	case 3:
		fuzz_advance(w, (uint64_t)fuzz_u16(in) * 4 * WEFT_NS_PER_MS);
		break;
	case 4:
		fuzz_exchange(target, &w->end[FUZZ_INSIDER]);
		break;
	case 5:
		weft_device_set_mtu(target->dev, fuzz_u16(in));
		break;
	default:
		sealed(w, in);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	static struct fuzz_world w;
	struct fuzz_end *insider = &w.end[FUZZ_INSIDER];
	uint8_t inner[20];

	fuzz_world_init(&w);
	fuzz_inner(inner, sizeof(inner), FUZZ_INSIDER, FUZZ_TARGET);
	(void)fuzz_send(insider, inner, sizeof(inner));
	fuzz_exchange(insider, &w.end[FUZZ_TARGET]);
	FUZZ_CHECK(w.end[FUZZ_TARGET].delivered == 1);
	for (int i = 0; in.left && i < MAX_STEPS; i++)
		step(&w, &in);
	weft_device_set_mtu(w.end[FUZZ_TARGET].dev, FUZZ_MTU);
	fuzz_honest_gets_through(&w);
	fuzz_world_fini(&w);
	return 0;
}
