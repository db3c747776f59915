/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for what was read ahead, and the two ways through it: see txq.h. */
#include "daemon/txq.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/fairq.h"
#include "core/inner.h"
#include "daemon/daemon.h"
#include "linux/offload.h"

#define SMALL_BYTES 2048u
#define LARGE_BYTES (WEFT_TUN_MAX_PACKET + 1u)
#define STRAIGHT    64u /* packets that go straight through, at most: one train */
#define QUANTUM     65536u
/*
 * What a packet costs beside its bytes, in bytes that take as long to seal: system calls, lookups.
 * Turns are about the processor's time, which is what runs short.
 */
#define PACKET_COST 1024u
/*
 * Read in one go: two trains of small packets, or two super-packets, so that what waits moves from
 * the device's ring to the fair queue; not more, or it leaves the second-level cache before its
 * turn comes (256 KiB: a tenth less TCP), and under a flood we would read only to drop. Measured:
 * with four times as many small packets a flood on two processors starved TCP to another peer.
 */
#define READ_PKTS  128u
#define READ_BYTES (64u << 10)
/* A flow's packets that wait for longer on average have a sender that should slow down. */
#define TARGET_NS   WEFT_NS_PER_MS
#define INTERVAL_NS (100 * WEFT_NS_PER_MS)

struct cell {
	struct virtio_net_hdr hdr;
	uint32_t len;
	uint32_t next; /* free one behind it, from 1 */
};

struct weftd_txq {
	struct weft_device *dev;
	struct weft_worker *w;
	struct weft_fairq fair;
	uint64_t seed;
	struct cell *cells; /* the small ones first, as in fairq.h */
	uint8_t *memory[WEFT_FAIRQ_SIZES];
	uint32_t count[WEFT_FAIRQ_SIZES], free[WEFT_FAIRQ_SIZES];
	uint32_t reading[WEFT_FAIRQ_SIZES]; /* cells that the next packet is read into */
	uint32_t sending;                   /* cell handed out, from 1; 0: none */
	/* those that go straight through */
	uint32_t straight[STRAIGHT], n_straight, at;
	size_t straight_cost;
};

static unsigned size_of(const struct weftd_txq *q, uint32_t cell)
{
	return cell >= q->count[0];
}

static uint8_t *data_of(const struct weftd_txq *q, uint32_t cell)
{
	return size_of(q, cell) ? q->memory[1] + (size_t)(cell - q->count[0]) * LARGE_BYTES
				: q->memory[0] + (size_t)cell * SMALL_BYTES;
}

static void give(struct weftd_txq *q, uint32_t cell)
{
	unsigned size = size_of(q, cell);

	q->cells[cell].next = q->free[size];
	q->free[size] = cell + 1;
}

static uint32_t segments_of(const struct weftd_txq *q, uint32_t cell)
{
	struct weft_split split;
	int n = weft_split_init(&split, &q->cells[cell].hdr, data_of(q, cell), q->cells[cell].len);

	return n < 1 ? 1 : (uint32_t)n;
}

/* A free cell of that kind, if need be that of a packet that is dropped for it. */
static uint32_t take(struct weftd_txq *q, unsigned size)
{
	uint32_t cell;

	if (!q->free[size]) {
		/* those that go straight through are fewer than there are cells */
		if (!weft_fairq_drop(&q->fair, size, &cell))
			abort();
		weft_worker_count_drop(q->w, WEFT_DROP_TX_QUEUE, segments_of(q, cell));
		return cell;
	}
	cell = q->free[size] - 1;
	q->free[size] = q->cells[cell].next;
	return cell;
}

static void *fairq_alloc(void *ctx, size_t size)
{
	void *p = aligned_alloc(64, (size + 63) / 64 * 64);

	(void)ctx;
	if (p)
		memset(p, 0, size);
	return p;
}

static void fairq_free(void *ctx, void *p, size_t size)
{
	(void)ctx;
	(void)size;
	free(p);
}

static int allocate(struct weftd_txq *q)
{
	const struct weft_mem mem = {.alloc = fairq_alloc, .free = fairq_free};
	const struct weft_fairq_params params = {
		.cells = {q->count[0], q->count[1]},
		.quantum = QUANTUM,
		.aqm = {.target_ns = TARGET_NS, .interval_ns = INTERVAL_NS},
	};

	q->cells = calloc((size_t)q->count[0] + q->count[1], sizeof(*q->cells));
	q->memory[0] = aligned_alloc(64, (size_t)q->count[0] * SMALL_BYTES);
	q->memory[1] = aligned_alloc(64, (size_t)q->count[1] * LARGE_BYTES);
	if (!q->cells || !q->memory[0] || !q->memory[1])
		return -ENOMEM;
	return weft_fairq_init(&q->fair, &mem, &params);
}

int weftd_txq_new(struct weft_device *dev, struct weft_worker *w, uint32_t small, uint32_t large,
		  struct weftd_txq **ret_q)
{
	struct weftd_txq *q;
	int rc;

	_Static_assert(WEFTD_TXQ_MIN_SMALL > STRAIGHT + 2, "some are left for the fair queue");
	if (small < WEFTD_TXQ_MIN_SMALL || large < WEFTD_TXQ_MIN_LARGE || small > UINT16_MAX ||
	    large > UINT16_MAX)
		return -EINVAL;
	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	q->dev = dev;
	q->w = w;
	q->count[0] = small;
	q->count[1] = large;
	rc = allocate(q);
	if (!rc)
		rc = weft_random(&q->seed, sizeof(q->seed));
	if (rc) {
		weftd_txq_free(q);
		return rc;
	}
	for (uint32_t i = small + large; i > 0; i--)
		give(q, i - 1);
	for (unsigned size = 0; size < WEFT_FAIRQ_SIZES; size++)
		q->reading[size] = take(q, size);
	*ret_q = q;
	return 0;
}

void weftd_txq_free(struct weftd_txq *q)
{
	if (!q)
		return;
	if (q->memory[0])
		weft_wipe(q->memory[0], (size_t)q->count[0] * SMALL_BYTES);
	if (q->memory[1])
		weft_wipe(q->memory[1], (size_t)q->count[1] * LARGE_BYTES);
	weft_fairq_fini(&q->fair);
	free(q->memory[0]);
	free(q->memory[1]);
	free(q->cells);
	free(q);
}

size_t weftd_txq_bytes(uint32_t small, uint32_t large)
{
	return (size_t)small * SMALL_BYTES + (size_t)large * LARGE_BYTES;
}

/*
 * One packet into a cell that fits it. A large one's beginning comes over from the small cell.
 * Returns its length or a negative code.
 */
static int read_one(struct weftd_txq *q, struct weft_tun *tun, uint32_t *ret_cell)
{
	uint8_t *small = data_of(q, q->reading[0]), *large = data_of(q, q->reading[1]);
	struct virtio_net_hdr hdr;
	unsigned size;
	int n = weft_tun_read_pieces(tun, &hdr, small, SMALL_BYTES, large + SMALL_BYTES,
				     WEFT_TUN_MAX_PACKET - SMALL_BYTES);

	if (n < 0)
		return n;
	size = (size_t)n > SMALL_BYTES;
	if (size)
		memcpy(large, small, SMALL_BYTES);
	*ret_cell = q->reading[size];
	q->cells[*ret_cell].hdr = hdr;
	q->cells[*ret_cell].len = (uint32_t)n;
	return n;
}

static uint32_t cost_of(const struct weftd_txq *q, uint32_t cell)
{
	return q->cells[cell].len + PACKET_COST;
}

/* Whom it goes to: a name, no more. The peer itself is looked up again when its turn comes. */
static uint64_t peer_of(const struct weftd_txq *q, const uint8_t *pkt, size_t len)
{
	struct weft_inner inner;

	if (weft_inner_parse(pkt, len, &inner) < 0)
		return 0;
	return (uintptr_t)weft_peer_by_allowed_ip(q->dev, &inner.dst);
}

static void queue(struct weftd_txq *q, uint32_t cell, uint64_t now_ns)
{
	const uint8_t *pkt = data_of(q, cell);
	size_t len = q->cells[cell].len;

	weft_fairq_push(&q->fair, cell, peer_of(q, pkt, len), weft_inner_flow(pkt, len, q->seed),
			cost_of(q, cell), now_ns);
}

/* Too much for that: all that has been read takes the fair way. */
static void give_up_straight(struct weftd_txq *q, uint64_t now_ns)
{
	for (uint32_t i = q->at; i < q->n_straight; i++)
		queue(q, q->straight[i], now_ns);
	q->at = q->n_straight = 0;
	q->straight_cost = 0;
}

static void put(struct weftd_txq *q, uint32_t cell, uint64_t now_ns)
{
	if (!weft_fairq_waiting(&q->fair) && q->n_straight < STRAIGHT &&
	    q->straight_cost < QUANTUM && (size_of(q, cell) == 0 || q->n_straight == 0)) {
		q->straight[q->n_straight++] = cell;
		q->straight_cost += cost_of(q, cell);
		return;
	}
	give_up_straight(q, now_ns);
	queue(q, cell, now_ns);
}

static void forget_sent(struct weftd_txq *q)
{
	if (q->sending)
		give(q, q->sending - 1);
	q->sending = 0;
}

int weftd_txq_fill(struct weftd_txq *q, struct weft_tun *tun, uint64_t now_ns)
{
	size_t bytes = 0;
	uint32_t cell;

	forget_sent(q);
	for (unsigned i = 0; i < READ_PKTS && bytes < READ_BYTES; i++) {
		int n = read_one(q, tun, &cell);

		if (n < 0)
			return n == -EAGAIN ? 0 : n;
		bytes += (size_t)n;
		put(q, cell, now_ns);
		q->reading[size_of(q, cell)] = take(q, size_of(q, cell));
	}
	return 0;
}

bool weftd_txq_next(struct weftd_txq *q, uint64_t now_ns, struct weftd_txq_pkt *ret_pkt)
{
	uint32_t cell;

	forget_sent(q);
	ret_pkt->mark = false;
	if (q->at < q->n_straight) {
		cell = q->straight[q->at++];
		if (q->at == q->n_straight) {
			q->at = q->n_straight = 0;
			q->straight_cost = 0;
		}
	} else if (!weft_fairq_pop(&q->fair, now_ns, &cell, &ret_pkt->mark)) {
		return false;
	}
	q->sending = cell + 1;
	ret_pkt->hdr = q->cells[cell].hdr;
	ret_pkt->data = data_of(q, cell);
	ret_pkt->len = q->cells[cell].len;
	return true;
}

bool weftd_txq_waiting(const struct weftd_txq *q)
{
	return q->at < q->n_straight || weft_fairq_waiting(&q->fair) > 0;
}
