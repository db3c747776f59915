/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Initiations, responses and cookie replies into a device: raw bytes, valid messages of a second
 * device that the input alters (with mac1 made right again, so that what lies behind it is
 * reached), and messages with any timestamp and ephemeral from a peer that knows its own key. In
 * the end an honest peer has to get through.
 */
#include <string.h>

#include "core/cookie.h"
#include "core/noise.h"
#include "fuzz_world.h"
#include "util/cursor.h"

#define MAX_STEPS 24
#define MSG_MAX   256

enum mutation_flag { MUTATE_CUT = 1, MUTATE_GROW = 2, MUTATE_MAC1 = 4, MUTATE_TWICE = 8 };

static struct weft_endpoint source(struct fuzz_world *w, uint8_t choice)
{
	struct weft_endpoint from = w->end[FUZZ_INSIDER].addr;

	from.ip.b[3] = (uint8_t)(from.ip.b[3] + (choice & 3) * 16);
	from.port = (uint16_t)(from.port + (choice >> 2 & 3));
	return from;
}

/* Alters a copy of `msg` as the input says, and feeds it to the target. */
static void feed_altered(struct fuzz_world *w, struct fuzz_input *in, const uint8_t *msg,
			 size_t len)
{
	struct fuzz_end *target = &w->end[FUZZ_TARGET];
	struct weft_endpoint from = source(w, fuzz_u8(in));
	uint8_t copy[MSG_MAX] = {0}, flags = fuzz_u8(in);

	FUZZ_CHECK(len <= sizeof(copy));
	memcpy(copy, msg, len);
	for (unsigned n = fuzz_u8(in) & 7; n; n--) {
		size_t at = fuzz_u8(in) % len;

		copy[at] ^= fuzz_u8(in);
	}
	if (flags & MUTATE_CUT)
		len = fuzz_u8(in) % (len + 1);
	if (flags & MUTATE_GROW)
		len += fuzz_u8(in) % (sizeof(copy) - len + 1);
	if (flags & MUTATE_MAC1)
		fuzz_set_mac1(target, copy, len);
	(void)fuzz_feed(target, &from, flags >> 6, copy, len);
	if (flags & MUTATE_TWICE)
		(void)fuzz_feed(target, &from, 0, copy, len);
}

/* The first message of this type that `e` has sent and not yet delivered, or NULL. */
static const struct fuzz_datagram *find_sent(const struct fuzz_end *e, uint8_t type)
{
	for (unsigned i = 0; i < e->outbox_len; i++) {
		if (e->outbox[i].data[0] == type)
			return &e->outbox[i];
	}
	return NULL;
}

/* Makes `e` want a session with `to`, long enough after the last try for it to try again. */
static const struct fuzz_datagram *initiate(struct fuzz_end *e, unsigned to)
{
	uint8_t inner[24];

	fuzz_clear_outbox(e);
	fuzz_advance(e->world, 6 * WEFT_NS_PER_S);
	fuzz_inner(inner, sizeof(inner), e->number, to);
	(void)fuzz_send(e, inner, sizeof(inner));
	fuzz_run(e);
	return find_sent(e, WEFT_MSG_INITIATION);
}

static void altered_initiation(struct fuzz_world *w, struct fuzz_input *in)
{
	const struct fuzz_datagram *d = initiate(&w->end[FUZZ_INSIDER], FUZZ_TARGET);

	if (d)
		feed_altered(w, in, d->data, d->len);
}

/* The target asks, the insider answers, the answer is altered. */
static void altered_response(struct fuzz_world *w, struct fuzz_input *in)
{
	struct fuzz_end *target = &w->end[FUZZ_TARGET], *insider = &w->end[FUZZ_INSIDER];
	const struct fuzz_datagram *d = initiate(target, FUZZ_INSIDER);

	fuzz_clear_outbox(insider);
	if (d)
		(void)fuzz_feed(insider, &target->addr, 0, d->data, d->len);
	fuzz_run(insider);
	d = find_sent(insider, WEFT_MSG_RESPONSE);
	if (d)
		feed_altered(w, in, d->data, d->len);
}

static void fill(void *ctx, void *out, size_t len)
{
	(void)ctx;
	memset(out, 0x5c, len);
}

/* The target asks, and gets a cookie reply made with the insider's key, altered. */
static void altered_cookie(struct fuzz_world *w, struct fuzz_input *in)
{
	struct fuzz_end *target = &w->end[FUZZ_TARGET], *insider = &w->end[FUZZ_INSIDER];
	const struct fuzz_datagram *d = initiate(target, FUZZ_INSIDER);
	const struct weft_rng rng = {.fill = fill};
	uint8_t reply[WEFT_COOKIE_REPLY_LEN];
	struct weft_cookie_checker checker;

	if (!d)
		return;
	weft_cookie_checker_init(&checker, &rng);
	FUZZ_CHECK(!weft_cookie_checker_set_key(&checker, insider->crypto, insider->public_key));
	FUZZ_CHECK(!weft_cookie_reply(&checker, insider->crypto, d->data, d->len,
				      weft_get_le32(d->data + 4), &target->addr, w->now_ns, reply));
	weft_cookie_checker_fini(&checker);
	feed_altered(w, in, reply, sizeof(reply));
}

/* An initiation that authenticates, with a timestamp and an index that the input chooses. */
static void hostile_initiation(struct fuzz_world *w, struct fuzz_input *in)
{
	struct fuzz_end *target = &w->end[FUZZ_TARGET], *insider = &w->end[FUZZ_INSIDER];
	struct fuzz_end *self = fuzz_u8(in) & 1 ? target : insider; /* also with the target's key */
	uint8_t timestamp[WEFT_TIMESTAMP_LEN], msg[WEFT_MSG_INITIATION_LEN];
	struct weft_secret ephemeral;
	struct weft_handshake_run run;
	struct weft_handshake hs;
	struct weft_noise noise;
	uint32_t sender;

	for (size_t i = 0; i < sizeof(timestamp); i++)
		timestamp[i] = fuzz_u8(in);
	memset(ephemeral.b, fuzz_u8(in), sizeof(ephemeral.b));
	sender = fuzz_u16(in);
	FUZZ_CHECK(!weft_noise_init(&noise, self->crypto, fuzz_static_dh, self));
	weft_noise_set_static(&noise, self->public_key);
	weft_handshake_init(&hs, target->public_key);
	hs.run = &run;
	FUZZ_CHECK(!weft_noise_create_initiation(&noise, &hs, &ephemeral, timestamp, sender, msg));
	fuzz_set_mac1(target, msg, sizeof(msg));
	feed_altered(w, in, msg, sizeof(msg));
}

static void raw(struct fuzz_world *w, struct fuzz_input *in)
{
	struct weft_endpoint from = source(w, fuzz_u8(in));
	size_t len = fuzz_u8(in);
	const uint8_t *bytes = fuzz_bytes(in, &len);

	(void)fuzz_feed(&w->end[FUZZ_TARGET], &from, 0, bytes, len);
}

static void step(struct fuzz_world *w, struct fuzz_input *in)
{
	switch (fuzz_u8(in) & 7) {
	case 0:
		raw(w, in);
		break;
	case 1:
		altered_initiation(w, in);
		break;
	case 2:
		altered_response(w, in);
		break;
	case 3:
		altered_cookie(w, in);
		break;
	case 4:
		hostile_initiation(w, in);
		break;
	case 5:
		fuzz_advance(w, (uint64_t)fuzz_u16(in) * 4 * WEFT_NS_PER_MS);
		break;
	case 6:
		fuzz_exchange(&w->end[FUZZ_TARGET], &w->end[FUZZ_INSIDER]);
		break;
	default:
		fuzz_run(&w->end[FUZZ_TARGET]);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	static struct fuzz_world w;

	fuzz_world_init(&w);
	for (int i = 0; in.left && i < MAX_STEPS; i++)
		step(&w, &in);
	fuzz_honest_gets_through(&w);
	fuzz_world_fini(&w);
	return 0;
}
