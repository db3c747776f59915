/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three devices for the fuzz targets of the core: the target, whom the fuzzed input is fed to; the
 * insider, a peer of it that may misbehave; the honest one, a peer that must be able to reach the
 * target whatever the input did. Everything is a function of the input: keys, randomness and time.
 */
#ifndef WEFT_TESTS_FUZZ_FUZZ_WORLD_H
#define WEFT_TESTS_FUZZ_FUZZ_WORLD_H

#include <stdbool.h>

#include "core/device.h"
#include "core/messages.h"
#include "core/worker.h"
#include "crypto/crypto.h"
#include "fuzz.h"

#define FUZZ_OUTBOX 16
#define FUZZ_MTU    1420

enum fuzz_who { FUZZ_TARGET, FUZZ_INSIDER, FUZZ_HONEST, FUZZ_ENDS };

/* On its way; `data` is of exactly `len` bytes. */
struct fuzz_datagram {
	uint8_t *data;
	size_t len;
};

struct fuzz_world;

struct fuzz_end {
	struct fuzz_world *world;
	unsigned number;
	struct weft_secret secret;
	uint8_t public_key[WEFT_KEY_LEN];
	struct weft_crypto *crypto;
	struct weft_device *dev;
	struct weft_worker *worker;
	struct weft_endpoint addr;
	struct fuzz_datagram outbox[FUZZ_OUTBOX]; /* what it sent last; the rest is lost */
	unsigned outbox_len;
	unsigned delivered; /* inner packets */
};

struct fuzz_world {
	uint64_t now_ns;
	uint64_t random;
	struct fuzz_end end[FUZZ_ENDS];
};

/* All three up; insider and honest have the target as their peer, and it has them. */
void fuzz_world_init(struct fuzz_world *w);
void fuzz_world_fini(struct fuzz_world *w);

/* A well-formed IPv4 packet between two ends, `len` (at least 20) bytes. */
void fuzz_inner(uint8_t *out, size_t len, unsigned from, unsigned to);

/* Sends an inner packet: seals it, or stages it. What weft_tx_begin said. */
int fuzz_send(struct fuzz_end *from, const uint8_t *inner, size_t len);

/*
 * Seals `len` bytes, whatever they are, under the session that `from` has with `to`. False without
 * one. The datagram goes to the outbox.
 */
bool fuzz_seal(struct fuzz_end *from, unsigned to, const uint8_t *inner, size_t len);

/*
 * Feeds a copy of a datagram of exactly this size, from `from`'s address or another. Checks what
 * is delivered against the promises of worker.h. What weft_rx_packet said.
 */
int fuzz_feed(struct fuzz_end *to, const struct weft_endpoint *from, uint8_t tos,
	      const uint8_t *data, size_t len);

/* Does all work that is due. */
void fuzz_run(struct fuzz_end *e);
/* Runs both, and hands over what they send to each other until they are quiet. */
void fuzz_exchange(struct fuzz_end *a, struct fuzz_end *b);
void fuzz_clear_outbox(struct fuzz_end *e);
void fuzz_advance(struct fuzz_world *w, uint64_t ns);

/* The honest end makes a session with the target and has a packet delivered, or this aborts. */
void fuzz_honest_gets_through(struct fuzz_world *w);

/* The private key of the end that `ctx` is, at work. As the callback of device.h. */
int fuzz_static_dh(void *ctx, struct weft_secret *ret_shared, const uint8_t point[WEFT_KEY_LEN]);

/* Sets mac1 of a handshake message for `to`, as anyone can who knows its public key. */
void fuzz_set_mac1(struct fuzz_end *to, uint8_t *msg, size_t len);

#endif
