/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inwards: one thread receives trains of datagrams into a ring of slots. They are opened in place,
 * and delivered (deliver.h) in the order in which they came. Knows no protocol: core/worker.h does.
 *
 * Alone, the receiving thread opens and delivers each batch at once. With helpers the slots go
 * through a pipeline (pipeline.h): while trains come singly and nothing waits, the receiver does
 * all by itself, for handing over costs a wake-up; what comes in numbers is there for everybody,
 * and helpers are woken. The receiver opens too when there is nothing to receive, or no slot free.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/daemon.h"
#include "daemon/deliver.h"
#include "daemon/pipeline.h"
#include "daemon/share.h"

#define SMALL_TRAIN_BYTES 4096 /* below this, several slots are claimed at once */
#define SMALL_RUN         8
#define QUIET_ROUNDS      8
#define SPIN_ROUNDS       2000 /* looks for work, about 20 us, before a helper sleeps */

struct slot {
	struct weft_udp_train train; /* its data is the slot's buffer */
	struct weft_rx_item items[WEFT_BATCH_MAX];
	unsigned n;  /* datagrams opened */
	size_t next; /* where the others begin */
};

struct weftd_receiver {
	struct weftd *d;
	struct weft_udp_rx *udp_rx;
	struct weftd_deliver *deliver;
	struct weft_worker *deliver_w; /* with helpers: of whoever delivers */
	bool delivering;               /* holder of the baton: inside a batch of deliver_w */
	bool handshakes_only;          /* alone: all that came in this round, and was there */
	_Atomic unsigned run;          /* slots worth claiming at once */
	unsigned spin_rounds;
	struct weftd_pipeline pipeline;
	struct weftd_pipeline_sink sink;
	struct slot slot[WEFTD_RX_SLOTS];
	_Alignas(64) uint8_t data[WEFTD_RX_SLOTS][WEFT_UDP_RX_BYTES];
};

static bool has_helpers(const struct weftd_receiver *r)
{
	return r->d->n_rx > 1;
}

static struct slot *slot_at(struct weftd_receiver *r, uint64_t position)
{
	return &r->slot[weftd_pipeline_slot(&r->pipeline, position)];
}

/* ---- delivery in order: called by whoever holds the baton ---- */

static void deliver_slot(void *ctx, uint64_t position)
{
	struct weftd_receiver *r = ctx;
	struct slot *s = slot_at(r, position);

	if (!r->delivering)
		weft_worker_enter(r->deliver_w, weftd_now_ns());
	r->delivering = true;
	weftd_deliver_train(r->deliver, &s->train, s->items, s->n, s->next);
}

static void flush_slots(void *ctx)
{
	struct weftd_receiver *r = ctx;

	weftd_deliver_flush(r->deliver);
	weft_worker_leave(r->deliver_w);
	r->delivering = false;
}

static void deliver(struct weftd_receiver *r)
{
	if (weftd_pipeline_deliver(&r->pipeline, &r->sink))
		weftd_worker_kick(&r->d->rx[0], false);
}

/* The delivery may hold keys too (it may send). False if it is busy: try again. */
static bool forget_delivery(struct weftd_receiver *r)
{
	if (!has_helpers(r))
		return true;
	if (!weftd_pipeline_hold(&r->pipeline))
		return false;
	weft_worker_idle(r->deliver_w);
	weftd_pipeline_release(&r->pipeline);
	deliver(r);
	return true;
}

/* ---- opening: any rx thread ---- */

static void open_slot(struct weftd_worker *me, struct slot *s)
{
	s->n = weftd_open_train(me->w, &s->train, 0, s->items, &s->next);
}

/* Claims up to `max` slots, opens and delivers. False if there were none. */
static bool work(struct weftd_worker *me, unsigned max)
{
	struct weftd_receiver *r = me->d->rcv;
	uint64_t position;
	unsigned n = weftd_pipeline_claim(&r->pipeline, max, &position);

	if (n == 0)
		return false;
	weft_worker_enter(me->w, weftd_now_ns());
	for (unsigned i = 0; i < n; i++) {
		open_slot(me, slot_at(r, position + i));
		weftd_pipeline_done(&r->pipeline, position + i, 1);
	}
	weft_worker_leave(me->w);
	deliver(r);
	return true;
}

/* ---- helpers ---- */

/* A wake-up costs more than looking for a while. False: there is nothing. */
static bool look_for_work(struct weftd_receiver *r)
{
	for (unsigned i = 0; i < r->spin_rounds; i++) {
		if (weftd_pipeline_unclaimed(&r->pipeline) > 0)
			return true;
#if defined(__x86_64__) || defined(__i386__)
		__builtin_ia32_pause();
#endif
	}
	return false;
}

/* Until there is work, or the key time is over. True if keys were forgotten. */
static bool sleep_helper(struct weftd_worker *me, bool holds_keys)
{
	struct weftd_receiver *r = me->d->rcv;
	struct pollfd pfd = {.fd = me->kick_fd, .events = POLLIN};
	bool asleep = weftd_pipeline_sleep(&r->pipeline, me->number);
	bool forgot = false;
	int n = poll(&pfd, 1, !asleep ? 0 : holds_keys ? WEFTD_KEEP_KEYS_MS : -1);

	weftd_pipeline_awake(&r->pipeline, me->number);
	if (n < 0 && errno != EINTR)
		weftd_fail(me->d, "poll of a thread's event", -errno);
	if (n == 0 && asleep && holds_keys) {
		weftd_worker_forget(me);
		forgot = true;
	}
	if (n > 0)
		weftd_worker_kicked(me);
	return forgot;
}

void *weftd_rx_help_main(void *arg)
{
	struct weftd_worker *me = arg;
	struct weftd_receiver *r = me->d->rcv;
	bool holds_keys = true;

	while (!atomic_load(&me->d->stopping)) {
		if (work(me, atomic_load_explicit(&r->run, memory_order_relaxed))) {
			holds_keys = true;
			if (!atomic_load(&me->forget))
				continue;
		} else if (!atomic_load(&me->forget) && look_for_work(r)) {
			continue;
		}
		if (sleep_helper(me, holds_keys))
			holds_keys = false;
	}
	return NULL;
}

static void wake_helpers(struct weftd_receiver *r, unsigned n)
{
	uint64_t picked = weftd_pipeline_pick(&r->pipeline, n);

	for (unsigned i = 1; i < r->d->n_rx; i++)
		if (picked >> i & 1)
			weftd_worker_kick(&r->d->rx[i], false);
}

/* ---- the receiver ---- */

/* Handshakes, and the empty packets that confirm them. */
static bool only_handshakes(const struct slot *s)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->items[i].result != 1 && s->items[i].len != WEFT_DATA_OVERHEAD)
			return false;
	return s->next >= s->train.len;
}

/*
 * Alone: opens and delivers what was received, now. First the one, then the other: whoever waits
 * for the packets is woken once.
 */
static void take_all(struct weftd_receiver *r, struct weftd_worker *me, uint64_t position, int n)
{
	weft_worker_enter(me->w, weftd_now_ns());
	for (int i = 0; i < n; i++)
		open_slot(me, slot_at(r, position + (unsigned)i));
	for (int i = 0; i < n; i++) {
		struct slot *s = slot_at(r, position + (unsigned)i);

		r->handshakes_only &= only_handshakes(s);
		weftd_deliver_train(r->deliver, &s->train, s->items, s->n, s->next);
	}
	weftd_deliver_flush(r->deliver);
	weft_worker_leave(me->w);
}

/* `n` trains lie in the slots from the next free one on. */
static void hand_over(struct weftd_receiver *r, struct weftd_worker *me, int n, size_t bytes)
{
	bool light = n == 1 && weftd_pipeline_pending(&r->pipeline) == 0;
	bool small = bytes / (unsigned)n < SMALL_TRAIN_BYTES;

	atomic_store_explicit(&r->run, small ? SMALL_RUN : 1, memory_order_relaxed);
	weftd_pipeline_publish(&r->pipeline, (unsigned)n);
	if (light)
		(void)work(me, 1);
	else
		wake_helpers(r, small ? (unsigned)n / SMALL_RUN + 1 : (unsigned)n);
}

/* What is there on one socket, once. Returns the number of trains, or a negative code. */
static int receive(struct weftd_receiver *r, struct weftd_worker *me, bool v6)
{
	const struct weft_udp_train *trains;
	struct weftd *d = r->d;
	uint8_t *bufs[WEFT_UDP_BATCH];
	uint64_t position;
	unsigned room = weftd_pipeline_free(&r->pipeline, &position);
	size_t bytes = 0;
	int n = 0, fd;

	if (room == 0)
		return 0;
	if (room > WEFT_UDP_BATCH)
		room = WEFT_UDP_BATCH;
	for (unsigned i = 0; i < room; i++)
		bufs[i] = r->data[weftd_pipeline_slot(&r->pipeline, position + i)];
	pthread_rwlock_rdlock(&d->udp_lock);
	fd = !d->udp ? -1 : v6 ? d->udp->fd6 : d->udp->fd4;
	if (fd >= 0)
		n = weft_udp_recv(d->udp, fd, r->udp_rx, bufs, room, &trains);
	pthread_rwlock_unlock(&d->udp_lock);
	if (n <= 0)
		return n;
	r->handshakes_only &= !weft_udp_rx_filled(r->udp_rx);
	for (int i = 0; i < n; i++) {
		slot_at(r, position + (unsigned)i)->train = trains[i];
		bytes += trains[i].len;
	}
	if (has_helpers(r))
		hand_over(r, me, n, bytes);
	else
		take_all(r, me, position, n);
	return n;
}

/* Errors that pass by themselves: memory is short. Everything else ends the daemon. */
static bool ride_out(struct weftd *d, int rc)
{
	const struct timespec nap = {.tv_nsec = 10 * 1000000};

	if (rc != -ENOMEM && rc != -ENOBUFS) {
		weftd_fail(d, "receiving on the UDP socket", rc);
		return false;
	}
	nanosleep(&nap, NULL);
	return true;
}

/* What the receiver's loop knows from round to round. */
struct loop {
	struct weftd_worker *me;
	struct weftd_receiver *r;
	struct weftd_worker *tx; /* whose work is lent to us, or NULL */
	struct weftd_share share;
	uint64_t together_until_ns; /* for two threads stood in each other's way */
	bool holds_keys;
	bool forget_due;      /* of the delivery, which was busy when we were told to */
	bool v6_quiet;        /* the IPv6 socket had nothing when we last looked */
	unsigned round;       /* since */
	struct pollfd pfd[4]; /* the sockets, our event, the TUN */
};

/* The sockets, unless there is no room to receive into: then the delivery wakes us. */
static void poll_set(struct loop *l)
{
	struct weftd *d = l->me->d;
	bool full = has_helpers(l->r) && weftd_pipeline_wait_room(&l->r->pipeline);

	pthread_rwlock_rdlock(&d->udp_lock);
	l->pfd[0] = (struct pollfd){.fd = d->udp && !full ? d->udp->fd4 : -1, .events = POLLIN};
	l->pfd[1] = (struct pollfd){.fd = d->udp && !full ? d->udp->fd6 : -1, .events = POLLIN};
	pthread_rwlock_unlock(&d->udp_lock);
	l->pfd[2] = (struct pollfd){.fd = l->me->kick_fd, .events = POLLIN};
	l->pfd[3] = (struct pollfd){.fd = l->tx ? l->tx->tun->fd : -1, .events = POLLIN};
}

/* 1: there was something, 0: nothing, negative: this ends the thread. */
static int receive_both(struct loop *l)
{
	int n4, n6 = 0;

	l->r->handshakes_only = true;
	n4 = receive(l->r, l->me, false);

	/* poll tells of it, too: while we do not come to that, a look now and then */
	if (n4 >= 0 && (!l->v6_quiet || ++l->round % QUIET_ROUNDS == 0)) {
		n6 = receive(l->r, l->me, true);
		l->v6_quiet = n6 == 0;
	}

	if (n4 <= 0 && n6 <= 0)
		l->r->handshakes_only = false;
	if (n4 < 0 || n6 < 0)
		return ride_out(l->me->d, n4 < 0 ? n4 : n6) ? 1 : -1;
	if (n4 + n6 == 0 && has_helpers(l->r))
		return work(l->me, 1);
	return n4 + n6 > 0;
}

/* The look of the thread that serves both is over: gives the sender its half if that helps. */
static void part(struct loop *l, uint64_t now_ns)
{
	struct weftd_share_verdict v = weftd_share_decide(&l->share, now_ns, weftd_thread_now());

	if (!v.busy || v.crowded || now_ns < l->together_until_ns)
		return;
	atomic_store(&l->me->d->tx_lent, false);
	weftd_worker_kick(l->tx, false);
	l->tx = NULL;
	l->share = (struct weftd_share){0};
	atomic_store(&l->me->d->crowded, false);
}

/* One round of both directions. */
static int serve_both(struct loop *l)
{
	struct weftd *d = l->me->d;
	uint64_t begin_ns = weftd_now_ns(), between_ns, end_ns;
	int rx = receive_both(l), tx;

	if (rx < 0)
		return rx;
	between_ns = weftd_now_ns();
	tx = weftd_tx_round(l->tx);
	if (tx < 0) {
		weftd_tun_error(d, tx);
		return tx;
	}
	end_ns = weftd_now_ns();
	if (weftd_share_worked(&l->share, end_ns, rx > 0 ? between_ns - begin_ns : 0,
			       tx > 0 ? end_ns - between_ns : 0, WEFTD_SHARE_APART_NS))
		part(l, end_ns);
	return rx + tx > 0;
}

/*
 * The receiver's half alone. Says so when it has to wait for a processor: the sender's thread is
 * one too many then.
 */
static int serve_one(struct weftd *d, struct loop *l)
{
	bool two = d->n_tx + d->n_rx == 2;
	uint64_t begin_ns = weftd_now_ns(), end_ns;
	int rx = receive_both(l);

	if (rx < 0 || !two)
		return rx;
	end_ns = weftd_now_ns();
	if (weftd_share_worked(&l->share, end_ns, rx > 0 ? end_ns - begin_ns : 0, 0,
			       WEFTD_SHARE_TOGETHER_NS) &&
	    weftd_share_decide(&l->share, end_ns, weftd_thread_now()).crowded)
		atomic_store(&d->crowded, true);
	return rx;
}

/* Takes the sender's half, which was lent to us. */
static void take_over(struct loop *l)
{
	struct weftd *d = l->me->d;

	l->tx = &d->tx[0];
	if (atomic_exchange(&l->tx->forget, false))
		weftd_worker_forget(l->tx);
	if (atomic_exchange(&d->crowded, false))
		l->together_until_ns = weftd_now_ns() + WEFTD_SHARE_CROWDED_NS;
	l->share = (struct weftd_share){0};
	l->holds_keys = true;
}

/*
 * Handshakes that come singly, to an owner that is behind with them, would each take the processor
 * away from it to be put at the end of the queue: what comes next is let come together. Nobody else
 * waits for that longer than WEFTD_NAP_NS: where anything but handshakes came, or nothing, or the
 * host has packets that wait, there is no nap; packets of the host's and events end it.
 */
static bool may_nap(const struct loop *l)
{
	return !has_helpers(l->r) && l->r->handshakes_only && !(l->tx && weftd_tx_waiting(l->tx)) &&
	       weft_device_handshakes_waiting(l->me->d->dev) >= WEFTD_NAP_HANDSHAKES;
}

static void nap(struct loop *l)
{
	const struct timespec time = {.tv_nsec = WEFTD_NAP_NS};
	struct pollfd pfd[2] = {
		{.fd = l->me->kick_fd, .events = POLLIN},
		{.fd = l->tx ? l->tx->tun->fd : -1, .events = POLLIN},
	};

	/* what ended it is still there when we look at it in the usual way */
	(void)ppoll(pfd, 2, &time, NULL);
	l->v6_quiet = false; /* as far as we know: nobody looked at that socket meanwhile */
}

/* No key stays behind. */
static void forget(struct loop *l)
{
	weftd_worker_forget(l->me);
	if (l->tx) {
		atomic_store(&l->tx->forget, false);
		weftd_worker_forget(l->tx);
	}
	l->holds_keys = !forget_delivery(l->r);
}

/* False: this ends the thread. */
static bool sleep_until_something(struct loop *l, bool busy)
{
	bool wait = !busy && !(l->tx && weftd_tx_waiting(l->tx));
	int n;

	/* a pair of sockets that is replaced from here on comes with a kick */
	poll_set(l);
	n = poll(l->pfd, 4, !wait ? 0 : l->holds_keys ? WEFTD_KEEP_KEYS_MS : -1);
	if (n < 0 && errno != EINTR) {
		weftd_fail(l->me->d, "poll of the UDP sockets", -errno);
		return false;
	}
	if (n > 0 && l->pfd[1].revents)
		l->v6_quiet = false;
	if (n == 0 && wait && l->holds_keys)
		forget(l);
	if (n > 0 && (l->pfd[2].revents & POLLIN)) {
		weftd_worker_kicked(l->me);
		if (l->tx && atomic_exchange(&l->tx->forget, false))
			weftd_worker_forget(l->tx);
		l->forget_due = true;
	}
	return true;
}

void *weftd_rx_main(void *arg)
{
	struct weftd_worker *me = arg;
	struct weftd *d = me->d;
	struct loop l = {.me = me, .r = d->rcv, .holds_keys = true};
	int busy;

	while (!atomic_load(&d->stopping)) {
		if (!l.tx && atomic_load(&d->tx_lent))
			take_over(&l);
		if (l.forget_due) {
			l.forget_due = !forget_delivery(l.r);
			l.holds_keys |= l.forget_due;
		}
		busy = l.tx ? serve_both(&l) : serve_one(d, &l);
		if (busy < 0)
			break;
		if (busy) {
			l.holds_keys = true;
			if (may_nap(&l))
				nap(&l);
			if (!atomic_load(&me->forget))
				continue;
		}
		if (!sleep_until_something(&l, busy))
			break;
	}
	return NULL;
}

/* ---- beginning and end ---- */

int weftd_rx_init(struct weftd *d)
{
	struct weftd_receiver *r = aligned_alloc(64, (sizeof(*r) + 63) / 64 * 64);
	int rc = weft_budget_take(&d->packets, sizeof(*r));

	if (!r)
		rc = -ENOMEM;
	if (rc) {
		free(r);
		return rc;
	}
	/* the buffers are left alone: what is never used takes no memory */
	memset(r, 0, offsetof(struct weftd_receiver, data));
	r->d = d;
	d->rcv = r;
	weftd_pipeline_init(&r->pipeline, WEFTD_RX_SLOTS);
	r->sink = (struct weftd_pipeline_sink){deliver_slot, flush_slots, r};
	/* where threads outnumber processors, looking takes the time of those that work */
	r->spin_rounds = d->n_tx + d->n_rx <= weftd_cpus() ? SPIN_ROUNDS : 0;
	atomic_store(&r->run, 1);
	rc = weft_udp_rx_new(&r->udp_rx);
	if (!rc && has_helpers(r))
		rc = weft_worker_new(d->dev, &r->deliver_w);
	if (!rc)
		rc = weftd_deliver_new(d, has_helpers(r) ? r->deliver_w : d->rx[0].w, &r->deliver);
	return rc;
}

void weftd_rx_fini(struct weftd *d)
{
	struct weftd_receiver *r = d->rcv;

	if (!r)
		return;
	weft_udp_rx_free(r->udp_rx);
	weftd_deliver_free(r->deliver);
	weft_worker_free(r->deliver_w);
	free(r);
	d->rcv = NULL;
}
