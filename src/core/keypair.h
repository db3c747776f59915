/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transport keys (WireGuard paper, 5.4.6) and the slots they live in. A peer's block of slots is
 * taken when it first needs a session and given back when its keys have been wiped; a rekey
 * allocates nothing. It knows nothing of handshakes, timers or sockets.
 *
 * For workers a keypair is immutable but for its send counter, its replay window and two flags.
 * A slot that the owner took out of sight is wiped, and may be used again, when no worker can hold
 * it any more (epoch.h).
 */
#ifndef WEFT_CORE_KEYPAIR_H
#define WEFT_CORE_KEYPAIR_H

#include <stdatomic.h>

#include "core/epoch.h"
#include "core/mem.h"
#include "core/messages.h"
#include "core/noise.h"
#include "core/replay.h"
#include "core/table.h"
#include "core/worker.h"

/* Three that live, and one that waits until no worker holds it. */
#define WEFT_KEYPAIR_SLOTS 4

struct weft_sessions;
struct weft_session_block;

/* What a receiver index leads to: a keypair, or (`keypair` NULL) the handshake of `peer`. */
struct weft_index_entry {
	struct weft_peer *peer;
	struct weft_keypair *keypair;
};

struct weft_keypair {
	/* Set before anyone sees it; then read by all. */
	struct weft_index_entry entry;
	struct weft_secret send_key, recv_key;
	uint64_t born_ns;
	uint32_t index;        /* ours: what the other side puts into its packets */
	uint32_t remote_index; /* theirs */
	bool initiator;
	/* Any thread. */
	atomic_bool send_valid; /* owner clears it; a worker too, when the counter ends */
	atomic_bool confirmed;  /* a packet authenticated under it */
	alignas(64) _Atomic uint64_t send_counter;
	alignas(64) struct weft_replay replay;
	/* Owner. */
	struct weft_sessions *sessions;
	struct weft_retired retired;
	bool in_use;
};

/* Lies in the peer. */
struct weft_sessions {
	/* Written by the owner, read by workers. */
	_Atomic(struct weft_keypair *) current;
	_Atomic(struct weft_keypair *) next; /* responder: until the first packet confirms it */
	/* Owner. */
	struct weft_keypair *previous; /* workers find it by its index */
	struct weft_session_block *block;
	bool closing; /* give the block back once every slot is free */
};

/* What the slots need of the device. */
struct weft_keypair_env {
	struct weft_mem mem;
	struct weft_epoch *epoch;
	struct weft_table *indices;
	size_t blocks; /* in use, over all peers */
};

/*
 * Finds a free slot for begin(), which must be the next call on `s`. Returns 0; -ENOMEM or
 * WEFT_E_LIMIT (memory or the index table); -EAGAIN if every slot is still in use. Owner.
 */
WEFT_MUST_CHECK int weft_sessions_prepare(struct weft_keypair_env *env, struct weft_sessions *s,
					  struct weft_keypair **ret_slot);

/*
 * A new keypair of `peer` under `index` (whose table entry it takes over) slides into place: as
 * the current one for an initiator, as the next one for a responder. Keypairs that fall out are
 * retired. `kp` is what prepare() gave. Owner. (kernel: add_new_keypair)
 */
void weft_sessions_begin(struct weft_keypair_env *env, struct weft_sessions *s,
			 struct weft_keypair *kp, struct weft_peer *peer,
			 const struct weft_noise_keys *keys, uint32_t index, uint64_t now_ns);

/* If the next keypair has been confirmed, it becomes the current one: true. Owner. */
bool weft_sessions_promote(struct weft_keypair_env *env, struct weft_sessions *s);

/* Nothing more is sent under the keypairs there are; receiving goes on. Owner. */
void weft_sessions_expire(struct weft_sessions *s);

/* All keypairs out of sight at once, wiped and given back when no worker holds them. Owner. */
void weft_sessions_clear(struct weft_keypair_env *env, struct weft_sessions *s);

/* True if data may be sent under it at `now_ns`. NULL: false. Any thread in a batch, or owner. */
bool weft_keypair_can_send(const struct weft_keypair *kp, uint64_t now_ns);

/*
 * Seals `inner_len` bytes at `buf` + 16, padded with zeros to `padded_len`, in place; `buf` is
 * padded_len + 32 long, all of which is then the datagram. Returns 0, WEFT_E_NO_SESSION (counter
 * ended) or WEFT_E_CRYPTO. Any thread in a batch, or owner.
 */
WEFT_MUST_CHECK int weft_keypair_seal(struct weft_keypair *kp, struct weft_crypto *c, uint8_t *buf,
				      size_t inner_len, size_t padded_len);

/*
 * Many packets, padded for `mtu` where their `len` is 0, with one step of the counter and one
 * setting of the key: fills `len` and `result` (as above) of each. `n` is at most WEFT_BATCH_MAX.
 * Returns how many were sealed.
 */
unsigned weft_keypair_seal_many(struct weft_keypair *kp, struct weft_crypto *c,
				struct weft_tx_item *items, unsigned n, uint32_t mtu);

/*
 * What can be said of a data message before it is opened: 0, or WEFT_E_DROP with `*ret_reason`
 * WEFT_DROP_RX_EXPIRED or _RX_REPLAY. Changes nothing. Any thread in a batch.
 */
WEFT_MUST_CHECK int weft_keypair_may_open(const struct weft_keypair *kp, uint64_t counter,
					  uint64_t now_ns, enum weft_drop *ret_reason);

/*
 * Opens a data message of at least 32 bytes in place: the inner packet, padded, lies at pkt + 16
 * and has len - 32 bytes. Returns 0; or WEFT_E_DROP with `*ret_reason` WEFT_DROP_RX_EXPIRED,
 * _RX_REPLAY or _RX_AUTH. The window is looked at before, and committed to after authentication.
 */
WEFT_MUST_CHECK int weft_keypair_open(struct weft_keypair *kp, struct weft_crypto *c, uint8_t *pkt,
				      size_t len, uint64_t now_ns, enum weft_drop *ret_reason);

/* Length after padding to 16, but not past the MTU (kernel: calculate_skb_padding). */
size_t weft_padded_len(size_t inner_len, uint32_t mtu);

#endif
