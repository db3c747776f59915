/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pipeline under many hands, also for ThreadSanitizer: more workers than cores, small rings,
 * random work, and pauses between the steps of the code itself. Every slot must be delivered once
 * and in order, none may be left behind when all sleep, and an end in the middle must end.
 *
 *     stress_pipeline [rounds [slots a round]]
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "unit_random.h"

static void stress_pause(void);
#define WEFTD_PIPELINE_PAUSE() stress_pause()
#include "daemon/pipeline.c"

#define MAX_WORKERS 12
#ifndef DEADLINE_S
#define DEADLINE_S 240
#endif
#define CHECK(x) \
	((x) ? (void)0 : (void)(fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x), abort()))

/* Plain memory on purpose: the pipeline alone may order the accesses to it. */
struct work {
	uint64_t position, worked;
};

struct thread {
	pthread_t id;
	sem_t wake;
	unsigned who;
	uint64_t seed;
};

static struct weftd_pipeline pipeline;
static struct work work[WEFTD_PIPELINE_MAX_SLOTS];
static struct thread workers[MAX_WORKERS], filler;
static unsigned n_workers;
static uint64_t to_fill;
static _Atomic bool stopping;
static _Atomic unsigned inside; /* of the delivery */
static uint64_t delivered, flushed;
static _Atomic uint64_t total;
static _Thread_local uint64_t *seed;

static uint32_t random_below(uint32_t n)
{
	return (uint32_t)(unit_random(seed) % n);
}

static void stress_pause(void)
{
	if (random_below(16) == 0)
		sched_yield();
}

/* A step of random length. */
static void dawdle(void)
{
	const struct timespec nap = {.tv_nsec = 1000 * (long)random_below(50)};
	uint32_t kind = random_below(64);

	if (kind == 0)
		(void)nanosleep(&nap, NULL);
	else if (kind < 12)
		sched_yield();
	else
		for (volatile uint32_t i = random_below(400); i > 0; i--)
			;
}

/* ---- delivery ---- */

static void deliver_slot(void *ctx, uint64_t position)
{
	struct work *w = &work[weftd_pipeline_slot(&pipeline, position)];

	CHECK(ctx == &pipeline);
	CHECK(atomic_fetch_add(&inside, 1) == 0);
	CHECK(position == delivered);
	CHECK(w->position == position && w->worked == position * 3 + 1);
	w->worked = 0;
	delivered++;
	dawdle();
	CHECK(atomic_fetch_sub(&inside, 1) == 1);
}

static void flush_slots(void *ctx)
{
	(void)ctx;
	CHECK(atomic_fetch_add(&inside, 1) == 0);
	CHECK(delivered > flushed && delivered - flushed <= WEFTD_PIPELINE_FLUSH);
	flushed = delivered;
	atomic_store(&total, flushed);
	CHECK(atomic_fetch_sub(&inside, 1) == 1);
}

static const struct weftd_pipeline_sink sink = {deliver_slot, flush_slots, &pipeline};

static void deliver(void)
{
	if (weftd_pipeline_deliver(&pipeline, &sink))
		sem_post(&filler.wake);
}

/* ---- threads ---- */

/* Claims, works and delivers once. False if there was nothing. */
static bool work_some(void)
{
	uint64_t position;
	unsigned n = weftd_pipeline_claim(&pipeline, 1 + random_below(4), &position);
	unsigned told = 0;

	for (unsigned i = 0; i < n; i++) {
		struct work *w = &work[weftd_pipeline_slot(&pipeline, position + i)];

		CHECK(w->position == position + i && w->worked == 0);
		dawdle();
		w->worked = w->position * 3 + 1;
		if (random_below(2) && i + 1 < n)
			continue;
		/* some at once, or each by itself */
		weftd_pipeline_done(&pipeline, position + told, i + 1 - told);
		told = i + 1;
		deliver();
	}
	return n > 0;
}

static void *work_main(void *arg)
{
	struct thread *t = arg;

	seed = &t->seed;
	while (!atomic_load(&stopping)) {
		if (work_some())
			continue;
		if (weftd_pipeline_sleep(&pipeline, t->who)) {
			while (sem_wait(&t->wake))
				;
			weftd_pipeline_awake(&pipeline, t->who);
		}
	}
	return NULL;
}

static void wake_workers(uint64_t picked)
{
	for (unsigned i = 0; i < n_workers; i++)
		if (picked >> i & 1)
			sem_post(&workers[i].wake);
}

static void *fill_main(void *arg)
{
	struct thread *t = arg;
	bool helps = t->seed & 1, slow = t->seed & 2;
	uint64_t filled = 0, position;

	seed = &t->seed;
	while (filled < to_fill && !atomic_load(&stopping)) {
		unsigned n = weftd_pipeline_free(&pipeline, &position);

		if (n == 0) {
			if (helps && work_some())
				continue;
			if (weftd_pipeline_wait_room(&pipeline))
				while (sem_wait(&t->wake))
					;
			continue;
		}
		/* one after the other: nobody else comes by to find what a lost wake-up left */
		while (slow && atomic_load(&total) < filled && !atomic_load(&stopping))
			sched_yield();
		CHECK(position == filled && n <= pipeline.slots);
		n = 1 + random_below(n);
		if (n > to_fill - filled)
			n = (unsigned)(to_fill - filled);
		for (unsigned i = 0; i < n; i++) {
			struct work *w = &work[weftd_pipeline_slot(&pipeline, position + i)];

			*w = (struct work){.position = position + i};
		}
		weftd_pipeline_publish(&pipeline, n);
		filled += n;
		wake_workers(weftd_pipeline_pick(&pipeline, 1 + random_below(n)));
		if (random_below(8) == 0)
			dawdle();
	}
	return NULL;
}

/* ---- one round ---- */

static void start_thread(struct thread *t, unsigned who, void *(*main_)(void *), uint64_t own_seed)
{
	t->who = who;
	t->seed = own_seed;
	CHECK(sem_init(&t->wake, 0, 0) == 0);
	CHECK(pthread_create(&t->id, NULL, main_, t) == 0);
}

static void join_thread(struct thread *t)
{
	sem_post(&t->wake);
	CHECK(pthread_join(t->id, NULL) == 0);
	CHECK(sem_destroy(&t->wake) == 0);
}

static void round_of(uint64_t n, bool whole, uint64_t *main_seed)
{
	const struct timespec nap = {.tv_nsec = 1000000};
	time_t deadline = time(NULL) + DEADLINE_S;

	n_workers = 1 + random_below(MAX_WORKERS);
	memset(work, 0, sizeof(work));
	weftd_pipeline_init(&pipeline, 2 + random_below(random_below(4) ? 6 : 62));
	delivered = flushed = 0;
	atomic_store(&total, 0);
	atomic_store(&stopping, false);
	to_fill = n;
	/* the filler first, sometimes last */
	start_thread(&filler, 0, fill_main, unit_random(main_seed));
	for (unsigned i = 0; i < n_workers; i++)
		start_thread(&workers[i], i, work_main, unit_random(main_seed));
	while (whole && atomic_load(&total) < n) {
		if (time(NULL) > deadline) {
			fprintf(stderr, "stranded: %llu of %llu, %u workers, %u slots\n",
				(unsigned long long)atomic_load(&total), (unsigned long long)n,
				n_workers, pipeline.slots);
			abort();
		}
		(void)nanosleep(&nap, NULL);
	}
	if (!whole)
		for (uint32_t i = random_below(20); i > 0; i--)
			(void)nanosleep(&nap, NULL);
	atomic_store(&stopping, true);
	join_thread(&filler);
	for (unsigned i = 0; i < n_workers; i++)
		join_thread(&workers[i]);
	/* whoever was last has seen to all that was done in order */
	CHECK(delivered == flushed && atomic_load(&pipeline.delivered) == delivered);
	CHECK(!is_done(&pipeline, delivered) && !atomic_load(&pipeline.baton));
	CHECK(!whole || delivered == n);
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 40;
	uint64_t n = argc > 2 ? (uint64_t)atoll(argv[2]) : 1500;
	uint64_t main_seed = unit_seed();
	uint64_t sum = 0;

	seed = &main_seed;
	for (unsigned i = 0; i < rounds; i++) {
		round_of(i % 4 == 3 ? UINT64_MAX : n, i % 4 != 3, &main_seed);
		sum += delivered;
	}
	printf("# %u rounds, %llu slots delivered in order\n", rounds, (unsigned long long)sum);
	return 0;
}
