/* SPDX-License-Identifier: Apache-2.0 */
/* The fair queue: order in a flow, who goes first, shares, drops, and random work beside a model.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "core/fairq.h"
#include "unit_mem.h"
#include "unit_random.h"

#define MS UINT64_C(1000000)

static struct unit_mem um;
static struct weft_fairq q;

static void begin(uint32_t small, uint32_t large, uint32_t quantum)
{
	const struct weft_fairq_params params = {
		.cells = {small, large},
		.quantum = quantum,
		.aqm = {.target_ns = 5 * MS, .interval_ns = 100 * MS}};
	struct weft_mem mem;

	memset(&um, 0, sizeof(um));
	mem = unit_mem_of(&um);
	assert_int_equal(weft_fairq_init(&q, &mem, &params), 0);
}

static void end(void)
{
	weft_fairq_fini(&q);
	assert_int_equal(um.bytes, 0);
}

static uint32_t pop(void)
{
	uint32_t cell = UINT32_MAX;
	bool mark;

	assert_true(weft_fairq_pop(&q, 0, &cell, &mark));
	assert_false(mark);
	return cell;
}

static void test_init(void **state)
{
	struct weft_fairq_params p = {.cells = {0, 0}, .quantum = 1};
	struct weft_mem mem = unit_mem_of(&um);

	(void)state;
	assert_int_equal(weft_fairq_init(&q, &mem, &p), -EINVAL);
	p.cells[0] = UINT32_MAX;
	p.cells[1] = UINT32_MAX;
	assert_int_equal(weft_fairq_init(&q, &mem, &p), -EINVAL);
	p.cells[0] = p.cells[1] = 1;
	p.quantum = 0;
	assert_int_equal(weft_fairq_init(&q, &mem, &p), -EINVAL);
	p.quantum = 1;
	um.fail = 1;
	assert_int_equal(weft_fairq_init(&q, &mem, &p), -ENOMEM);
	um.fail = 0;
}

static void test_empty(void **state)
{
	uint32_t cell;
	bool mark;

	(void)state;
	begin(4, 1, 100);
	assert_false(weft_fairq_pop(&q, 0, &cell, &mark));
	assert_false(weft_fairq_drop(&q, 0, &cell));
	weft_fairq_push(&q, 4, 1, 1, 1, 0);
	assert_false(weft_fairq_drop(&q, 0, &cell)); /* it is of the other kind */
	assert_int_equal(pop(), 4);
	assert_int_equal(weft_fairq_waiting(&q), 0);
	end();
}

static void test_order_in_a_flow(void **state)
{
	(void)state;
	begin(50, 50, 3);
	for (uint32_t i = 0; i < 100; i++)
		weft_fairq_push(&q, (i * 37) % 100, 7, 7, 1 + i % 5, 0);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(pop(), (i * 37) % 100);
	end();
}

/* One that had nothing waiting passes those that stand in line: in its peer, and among peers. */
static void test_newcomer_first(void **state)
{
	(void)state;
	for (uint64_t peer = 1; peer <= 2; peer++) {
		begin(100, 0, 10);
		for (uint32_t i = 0; i < 50; i++)
			weft_fairq_push(&q, i, 1, 1, 10, 0);
		assert_int_equal(pop(), 0); /* the first turn of the bulk flow is as a newcomer */
		weft_fairq_push(&q, 60, peer, 2, 1, 0);
		/* newcomers are a quantum ahead: at most one packet of the line goes before */
		if (pop() != 60)
			assert_int_equal(pop(), 60);
		for (uint32_t i = 0; i < 10; i++) {
			pop();
			weft_fairq_push(&q, 61, peer, 3, 1, 0);
			assert_int_equal(pop(), 61);
		}
		end();
	}
}

/* Newcomers without end take no more than half. */
static void test_newcomers_do_not_starve(void **state)
{
	unsigned bulk = 0;

	(void)state;
	begin(300, 0, 10);
	for (uint32_t i = 0; i < 200; i++)
		weft_fairq_push(&q, i, 1, 1, 10, 0);
	pop();
	weft_fairq_push(&q, 250, 1, 1000, 10, 0);
	for (uint64_t i = 0; i < 300; i++) {
		uint32_t cell = pop();

		if (cell < 200) {
			bulk++;
		} else { /* another flow each time */
			weft_fairq_push(&q, cell, i % 2 ? 1 : 2 + i, 2000 + i, 10, 0);
		}
	}
	assert_in_range(bulk, 70, 199);
	end();
}

/* Peers share by cost, however many flows and however small the packets of each. */
static void test_shares(void **state)
{
	uint64_t taken[3] = {0}, of_flow[2] = {0};

	(void)state;
	begin(3000, 0, 1000);
	/* peer 0: one flow of large packets; peer 1: one of small ones; peer 2: 20 flows */
	for (uint32_t i = 0; i < 1000; i++) {
		weft_fairq_push(&q, i, 0, 0, 700, 0);
		weft_fairq_push(&q, 1000 + i, 1, i % 2, i % 2 ? 90 : 30, 0);
		weft_fairq_push(&q, 2000 + i, 2, i % 20, 250, 0);
	}
	for (unsigned i = 0; i < 400; i++) {
		uint32_t cell = pop();

		taken[cell / 1000] += cell < 1000 ? 700 : cell >= 2000 ? 250 : cell % 2 ? 90 : 30;
		if (cell / 1000 == 1)
			of_flow[cell % 2] += cell % 2 ? 90 : 30;
	}
	/* DRR: no two apart by more than a quantum and a packet at either end */
	for (unsigned i = 0; i < 3; i++)
		for (unsigned j = 0; j < 3; j++)
			assert_true(taken[i] <= taken[j] + 2 * 1700);
	assert_true(of_flow[0] <= of_flow[1] + 2 * 1090 && of_flow[1] <= of_flow[0] + 2 * 1090);
	assert_true(taken[1] > 5000);
	end();
}

static void test_drop_the_fattest(void **state)
{
	uint32_t cell;

	(void)state;
	begin(100, 10, 10);
	for (uint32_t i = 0; i < 20; i++)
		weft_fairq_push(&q, i, 1, 1, 1, 0); /* the fattest flow, of a thinner peer */
	for (uint32_t i = 20; i < 50; i++)
		weft_fairq_push(&q, i, 2, i % 3, 1, 0);
	for (uint32_t i = 50; i < 60; i++)
		weft_fairq_push(&q, i, 2, 1, 1, 0);
	weft_fairq_push(&q, 100, 3, 1, 1, 0);
	for (uint32_t i = 0; i < 10; i++) {
		assert_true(weft_fairq_drop(&q, 0, &cell)); /* peer 2's flow 1, oldest first */
		assert_int_equal(cell, 22 + 3 * i);
	}
	assert_true(weft_fairq_drop(&q, 1, &cell));
	assert_int_equal(cell, 100);
	assert_false(weft_fairq_drop(&q, 1, &cell));
	/* to the last */
	for (uint32_t i = 0; i < 50; i++)
		assert_true(weft_fairq_drop(&q, 0, &cell));
	assert_false(weft_fairq_drop(&q, 0, &cell));
	assert_int_equal(weft_fairq_waiting(&q), 0);
	end();
}

static void test_mark_of_the_standing_flow_only(void **state)
{
	unsigned marks[2] = {0};
	uint64_t now = 0;
	uint32_t cell, in = 0;
	bool mark;

	(void)state;
	begin(1000, 0, 10);
	/* one packet leaves each ms; the bulk flow keeps 50 waiting, the other none */
	for (uint32_t i = 0; i < 50; i++)
		weft_fairq_push(&q, in++ % 900, 1, 1, 10, now);
	for (unsigned i = 0; i < 2000; i++, now += MS) {
		if (i % 10 == 0)
			weft_fairq_push(&q, 950 + i % 50, 1, 2, 1, now);
		assert_true(weft_fairq_pop(&q, now, &cell, &mark));
		marks[cell >= 950] += mark;
		if (cell < 950)
			weft_fairq_push(&q, in++ % 900, 1, 1, 10, now);
	}
	assert_true(marks[0] > 20);
	assert_int_equal(marks[1], 0);
	end();
}

/* ---- random work, and a model that knows who holds what in which order ---- */

#define N_CELLS 64
#define N_NAMES 6

struct model {
	uint32_t fifo[N_NAMES][N_NAMES][N_CELLS];
	unsigned len[N_NAMES][N_NAMES];
	int where[N_CELLS]; /* peer * N_NAMES + flow, or -1 */
	unsigned waiting;
};

static unsigned held(const struct model *m, unsigned peer, unsigned flow, unsigned size)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->len[peer][flow]; i++)
		n += (m->fifo[peer][flow][i] >= N_CELLS / 2) == size;
	return n;
}

static unsigned held_by_peer(const struct model *m, unsigned peer, unsigned size)
{
	unsigned n = 0;

	for (unsigned f = 0; f < N_NAMES; f++)
		n += held(m, peer, f, size);
	return n;
}

static void take_out(struct model *m, uint32_t cell, bool first_of_all, unsigned size)
{
	unsigned peer, flow, i = 0;

	assert_true(cell < N_CELLS && m->where[cell] >= 0);
	peer = (unsigned)m->where[cell] / N_NAMES;
	flow = (unsigned)m->where[cell] % N_NAMES;
	/* the oldest of its flow, or of those in cells of that size */
	while (!first_of_all && (m->fifo[peer][flow][i] >= N_CELLS / 2) != size)
		i++;
	assert_int_equal(m->fifo[peer][flow][i], cell);
	memmove(&m->fifo[peer][flow][i], &m->fifo[peer][flow][i + 1],
		(m->len[peer][flow] - i - 1) * sizeof(uint32_t));
	m->len[peer][flow]--;
	m->where[cell] = -1;
	m->waiting--;
}

static void check_fattest(const struct model *m, uint32_t cell, unsigned size)
{
	unsigned peer = (unsigned)m->where[cell] / N_NAMES;
	unsigned flow = (unsigned)m->where[cell] % N_NAMES;

	for (unsigned i = 0; i < N_NAMES; i++) {
		assert_true(held_by_peer(m, i, size) <= held_by_peer(m, peer, size));
		assert_true(held(m, peer, i, size) <= held(m, peer, flow, size));
	}
}

static void step(struct model *m, uint64_t *seed, uint64_t now)
{
	uint32_t r = (uint32_t)unit_random(seed), cell;
	bool mark;

	if (r % 16 < 7) {
		unsigned peer = r >> 8 & 15, flow = r >> 12 & 15;

		peer = peer < N_NAMES ? peer : 0; /* some are fat */
		flow = flow < N_NAMES ? flow : 0;
		cell = (r >> 16) % N_CELLS;
		if (m->where[cell] >= 0)
			return;
		weft_fairq_push(&q, cell, peer, flow, 1 + (r >> 24), now);
		m->fifo[peer][flow][m->len[peer][flow]++] = cell;
		m->where[cell] = (int)(peer * N_NAMES + flow);
		m->waiting++;
	} else if (r % 16 < 14) {
		if (weft_fairq_pop(&q, now, &cell, &mark))
			take_out(m, cell, true, 0);
		else
			assert_int_equal(m->waiting, 0);
	} else {
		unsigned size = r >> 8 & 1;

		if (weft_fairq_drop(&q, size, &cell)) {
			assert_int_equal(cell >= N_CELLS / 2, size);
			check_fattest(m, cell, size);
			take_out(m, cell, false, size);
		} else {
			for (unsigned i = 0; i < N_NAMES; i++)
				assert_int_equal(held_by_peer(m, i, size), 0);
		}
	}
	assert_int_equal(weft_fairq_waiting(&q), m->waiting);
}

static void test_random_work(void **state)
{
	static struct model m;
	uint64_t seed = unit_seed();

	(void)state;
	for (unsigned quantum = 1; quantum <= 256; quantum *= 16) {
		begin(N_CELLS / 2, N_CELLS / 2, quantum);
		memset(&m, 0, sizeof(m));
		for (unsigned i = 0; i < N_CELLS; i++)
			m.where[i] = -1;
		for (unsigned i = 0; i < 200000; i++)
			step(&m, &seed, i * MS / 10);
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_init),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_order_in_a_flow),
		cmocka_unit_test(test_newcomer_first),
		cmocka_unit_test(test_newcomers_do_not_starve),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_drop_the_fattest),
		cmocka_unit_test(test_mark_of_the_standing_flow_only),
		cmocka_unit_test(test_random_work),
	};

	return cmocka_run_group_tests_name("core-fairq", tests, NULL, NULL);
}
