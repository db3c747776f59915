/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transport keys and their slots. WireGuard paper, sections 5.4.6, 6.1 and 6.2; the way keypairs
 * slide from next to current to previous is the kernel's.
 */
#include "core/keypair.h"

#include <assert.h>
#include <errno.h>

#define ENTRIES_PER_PEER (WEFT_KEYPAIR_SLOTS + 1) /* the handshake has an index too */

struct weft_session_block {
	struct weft_keypair slot[WEFT_KEYPAIR_SLOTS];
};

static struct weft_keypair *free_slot(const struct weft_sessions *s)
{
	if (!s->block)
		return NULL;
	for (unsigned i = 0; i < WEFT_KEYPAIR_SLOTS; i++) {
		if (!s->block->slot[i].in_use)
			return &s->block->slot[i];
	}
	return NULL;
}

int weft_sessions_prepare(struct weft_keypair_env *env, struct weft_sessions *s,
			  struct weft_keypair **ret_slot)
{
	struct weft_keypair *slot;
	size_t want = (env->blocks + 1) * ENTRIES_PER_PEER;
	int r;

	s->closing = false;
	if (!s->block) {
		if (want > env->indices->count) {
			r = weft_table_reserve(env->indices, want - env->indices->count);
			if (r < 0)
				return r;
		}
		s->block = env->mem.alloc(env->mem.ctx, sizeof(*s->block));
		if (!s->block)
			return -ENOMEM;
		env->blocks++;
	}
	slot = free_slot(s);
	if (!slot) {
		(void)weft_epoch_reclaim(env->epoch);
		slot = free_slot(s);
	}
	if (!slot)
		return -EAGAIN;
	*ret_slot = slot;
	return 0;
}

static void give_back(struct weft_keypair_env *env, struct weft_sessions *s)
{
	if (!s->closing || !s->block)
		return;
	for (unsigned i = 0; i < WEFT_KEYPAIR_SLOTS; i++) {
		if (s->block->slot[i].in_use)
			return;
	}
	env->mem.free(env->mem.ctx, s->block, sizeof(*s->block));
	s->block = NULL;
	env->blocks--;
}

static void reclaim_slot(struct weft_keypair_env *env, struct weft_keypair *kp)
{
	struct weft_sessions *s = kp->sessions;

	weft_wipe(kp, sizeof(*kp));
	give_back(env, s);
}

/* The epoch's ctx is the environment. */
static void reclaim(void *ctx, struct weft_retired *node)
{
	struct weft_keypair *kp =
		(struct weft_keypair *)(void *)((char *)node -
						offsetof(struct weft_keypair, retired));

	reclaim_slot(ctx, kp);
}

static void retire(struct weft_keypair_env *env, struct weft_keypair *kp)
{
	if (!kp)
		return;
	atomic_store_explicit(&kp->send_valid, false, memory_order_relaxed);
	(void)weft_index_remove(env->indices, kp->index);
	weft_epoch_retire(env->epoch, &kp->retired, reclaim);
}

static struct weft_keypair *look(_Atomic(struct weft_keypair *) *slot)
{
	return atomic_load_explicit(slot, memory_order_relaxed);
}

static void show(_Atomic(struct weft_keypair *) *slot, struct weft_keypair *kp)
{
	atomic_store_explicit(slot, kp, memory_order_release);
}

void weft_sessions_begin(struct weft_keypair_env *env, struct weft_sessions *s,
			 struct weft_keypair *kp, struct weft_peer *peer,
			 const struct weft_noise_keys *keys, uint32_t index, uint64_t now_ns)
{
	struct weft_keypair *current = look(&s->current), *next = look(&s->next);
	struct weft_keypair *previous = s->previous;

	kp->entry.peer = peer;
	kp->entry.keypair = kp;
	kp->send_key = keys->send;
	kp->recv_key = keys->recv;
	kp->born_ns = now_ns;
	kp->index = index;
	kp->remote_index = keys->remote_index;
	kp->initiator = keys->initiator;
	kp->sessions = s;
	kp->in_use = true;
	atomic_store_explicit(&kp->send_valid, true, memory_order_relaxed);
	atomic_store_explicit(&kp->confirmed, false, memory_order_relaxed);
	atomic_store_explicit(&kp->send_counter, 0, memory_order_relaxed);
	weft_replay_init(&kp->replay);

	if (!keys->initiator) {
		show(&s->next, kp);
		s->previous = NULL;
		retire(env, next);
		retire(env, previous);
	} else if (next) {
		/* A next one that nobody confirmed still may be: keep it to receive with. */
		show(&s->current, kp);
		show(&s->next, NULL);
		s->previous = next;
		retire(env, current);
		retire(env, previous);
	} else {
		show(&s->current, kp);
		s->previous = current;
		retire(env, previous);
	}
	(void)weft_index_replace(env->indices, index, &kp->entry);
}

bool weft_sessions_promote(struct weft_keypair_env *env, struct weft_sessions *s)
{
	struct weft_keypair *next = look(&s->next), *previous = s->previous;

	if (!next || !atomic_load_explicit(&next->confirmed, memory_order_acquire))
		return false;
	s->previous = look(&s->current);
	show(&s->current, next);
	show(&s->next, NULL);
	retire(env, previous);
	return true;
}

void weft_sessions_expire(struct weft_sessions *s)
{
	struct weft_keypair *current = look(&s->current), *next = look(&s->next);

	if (current)
		atomic_store_explicit(&current->send_valid, false, memory_order_relaxed);
	if (next)
		atomic_store_explicit(&next->send_valid, false, memory_order_relaxed);
}

void weft_sessions_clear(struct weft_keypair_env *env, struct weft_sessions *s)
{
	struct weft_keypair *current = look(&s->current), *next = look(&s->next);
	struct weft_keypair *previous = s->previous;

	show(&s->current, NULL);
	show(&s->next, NULL);
	s->previous = NULL;
	s->closing = true;
	retire(env, current);
	retire(env, next);
	retire(env, previous);
	give_back(env, s);
}

bool weft_keypair_can_send(const struct weft_keypair *kp, uint64_t now_ns)
{
	return kp && atomic_load_explicit(&kp->send_valid, memory_order_relaxed) &&
	       now_ns < kp->born_ns + WEFT_REJECT_AFTER_NS;
}

/*
 * Takes `n` counters, the first of which is returned. Past the end this cannot wrap: every worker
 * there can be would have to miss the flag, with a full batch each.
 */
static_assert(WEFT_EPOCH_MAX_WORKERS * WEFT_BATCH_MAX < WEFT_REPLAY_BITS, "no counter twice");

static uint64_t take_counters(struct weft_keypair *kp, unsigned n)
{
	uint64_t first = atomic_fetch_add_explicit(&kp->send_counter, n, memory_order_relaxed);

	if (first >= WEFT_REJECT_AFTER_MESSAGES || WEFT_REJECT_AFTER_MESSAGES - first < n)
		atomic_store_explicit(&kp->send_valid, false, memory_order_relaxed);
	return first;
}

/* Header and padding. */
static void frame(const struct weft_keypair *kp, uint8_t *buf, uint64_t counter, size_t inner_len,
		  size_t padded_len)
{
	weft_message_write_data(buf, kp->remote_index, counter);
	if (padded_len > inner_len)
		memset(buf + WEFT_DATA_HEADER_LEN + inner_len, 0, padded_len - inner_len);
}

int weft_keypair_seal(struct weft_keypair *kp, struct weft_crypto *c, uint8_t *buf,
		      size_t inner_len, size_t padded_len)
{
	uint64_t counter;

	if (!atomic_load_explicit(&kp->send_valid, memory_order_relaxed))
		return WEFT_E_NO_SESSION;
	counter = take_counters(kp, 1);
	if (counter >= WEFT_REJECT_AFTER_MESSAGES)
		return WEFT_E_NO_SESSION;
	frame(kp, buf, counter, inner_len, padded_len);
	buf += WEFT_DATA_HEADER_LEN;
	return weft_aead_seal(c, &kp->send_key, counter, NULL, 0, buf, buf, padded_len);
}

unsigned weft_keypair_seal_many(struct weft_keypair *kp, struct weft_crypto *c,
				struct weft_tx_item *items, unsigned n, uint32_t mtu)
{
	struct weft_aead_msg msgs[WEFT_BATCH_MAX];
	unsigned usable = 0, sealed = 0;
	uint64_t first = 0;

	if (atomic_load_explicit(&kp->send_valid, memory_order_relaxed)) {
		first = take_counters(kp, n);
		if (first < WEFT_REJECT_AFTER_MESSAGES)
			usable = WEFT_REJECT_AFTER_MESSAGES - first < n
					 ? (unsigned)(WEFT_REJECT_AFTER_MESSAGES - first)
					 : n;
	}
	for (unsigned i = 0; i < usable; i++) {
		size_t padded = items[i].len ? items[i].len - WEFT_DATA_OVERHEAD
					     : weft_padded_len(items[i].inner_len, mtu);
		uint8_t *text = items[i].buf + WEFT_DATA_HEADER_LEN;

		frame(kp, items[i].buf, first + i, items[i].inner_len, padded);
		msgs[i] = (struct weft_aead_msg){
			.counter = first + i, .in = text, .out = text, .len = padded};
		items[i].len = padded + WEFT_DATA_OVERHEAD;
	}
	if (usable)
		sealed = (unsigned)weft_aead_seal_many(c, &kp->send_key, msgs, usable);
	for (unsigned i = 0; i < usable; i++)
		items[i].result = msgs[i].result;
	for (unsigned i = usable; i < n; i++)
		items[i].result = WEFT_E_NO_SESSION;
	return sealed;
}

int weft_keypair_may_open(const struct weft_keypair *kp, uint64_t counter, uint64_t now_ns,
			  enum weft_drop *ret_reason)
{
	if (now_ns >= kp->born_ns + WEFT_REJECT_AFTER_NS || counter >= WEFT_REJECT_AFTER_MESSAGES) {
		*ret_reason = WEFT_DROP_RX_EXPIRED;
		return WEFT_E_DROP;
	}
	if (!weft_replay_check(&kp->replay, counter)) {
		*ret_reason = WEFT_DROP_RX_REPLAY;
		return WEFT_E_DROP;
	}
	return 0;
}

int weft_keypair_open(struct weft_keypair *kp, struct weft_crypto *c, uint8_t *pkt, size_t len,
		      uint64_t now_ns, enum weft_drop *ret_reason)
{
	uint64_t counter = weft_message_read_data(pkt).counter;
	int r = weft_keypair_may_open(kp, counter, now_ns, ret_reason);

	if (r < 0)
		return r;
	if (weft_aead_open(c, &kp->recv_key, counter, NULL, 0, pkt + 16, pkt + 16, len - 16) < 0) {
		*ret_reason = WEFT_DROP_RX_AUTH;
		return WEFT_E_DROP;
	}
	if (!weft_replay_commit(&kp->replay, counter)) {
		*ret_reason = WEFT_DROP_RX_REPLAY;
		return WEFT_E_DROP;
	}
	return 0;
}

size_t weft_padded_len(size_t inner_len, uint32_t mtu)
{
	size_t unit = inner_len, padded;

	if (mtu && unit > mtu)
		unit %= mtu;
	padded = (unit + WEFT_PADDING - 1) & ~(size_t)(WEFT_PADDING - 1);
	if (mtu && padded > mtu)
		padded = mtu;
	return inner_len + (padded - unit);
}
