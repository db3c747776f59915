/* SPDX-License-Identifier: Apache-2.0 */
/* What weft tune finds better on machines that were made up, and that it leaves the others alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/tune.h"

static struct weft_cpus cpus(const char *list)
{
	struct weft_cpus set = {{0}};

	if (list[0])
		assert_int_equal(weft_cpus_parse(list, strlen(list), &set), 0);
	return set;
}

/* A host on which nothing but the number of processors is known. */
static struct weft_tune_facts host(const char *online)
{
	return (struct weft_tune_facts){
		.online = cpus(online),
		.rmem_max = WEFT_TUNE_UNKNOWN,
		.wmem_max = WEFT_TUNE_UNKNOWN,
		.max_backlog = WEFT_TUNE_UNKNOWN,
		.budget = WEFT_TUNE_UNKNOWN,
		.flow_entries = WEFT_TUNE_UNKNOWN,
		.rcvbuf = WEFT_TUNE_UNKNOWN,
		.sndbuf = WEFT_TUNE_UNKNOWN,
		.socket_drops = WEFT_TUNE_UNKNOWN,
		.wanted_buf = 7 << 20,
	};
}

static struct weft_tune_nic *add_nic(struct weft_tune_facts *f, const char *name, size_t rx,
				     size_t tx)
{
	struct weft_tune_nic *nic;

	f->nics = reallocarray(f->nics, f->n_nics + 1, sizeof(*f->nics));
	assert_non_null(f->nics);
	nic = &f->nics[f->n_nics++];
	*nic = (struct weft_tune_nic){
		.hardware = true,
		.threaded = 0,
		.rps = calloc(rx, sizeof(*nic->rps)),
		.has_rps = true,
		.n_rx = rx,
		.flows = 0,
		.xps = calloc(tx, sizeof(*nic->xps)),
		.has_xps = true,
		.n_tx = tx,
		.gro = 1,
		.gso = 1,
		.tso = 1,
		.udp_gro_forwarding = 0,
		.gro_list = 0,
		.channels = WEFT_TUNE_UNKNOWN,
		.max_channels = WEFT_TUNE_UNKNOWN,
	};
	snprintf(nic->name, sizeof(nic->name), "%s", name);
	return nic;
}

/* An interrupt for each queue, all delivered to `runs`. */
static void add_irqs(struct weft_tune_nic *nic, const char *fmt, unsigned n, const char *runs)
{
	nic->irqs = calloc(n, sizeof(*nic->irqs));
	assert_non_null(nic->irqs);
	nic->n_irqs = n;
	for (unsigned i = 0; i < n; i++) {
		nic->irqs[i].number = 40 + i;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(nic->irqs[i].name, sizeof(nic->irqs[i].name), fmt, i);
#pragma GCC diagnostic pop
		nic->irqs[i].allowed = cpus("0-7");
		nic->irqs[i].runs = cpus(runs);
	}
}

/* All that is better, a line each: "eth0 rps_cpus rx-0 none>0-1". */
static const char *better(struct weft_tune_facts *f)
{
	static char text[8192];
	struct weft_tune_rows rows = {.n = 0};
	size_t len = 0;

	text[0] = '\0';
	assert_int_equal(weft_tune_judge(f, &rows), 0);
	for (size_t i = 0; i < rows.n; i++) {
		const struct weft_tune_row *r = &rows.v[i];

		assert_true(r->now[0] && r->setting[0] && r->on[0]);
		assert_int_equal(r->better[0] != '\0', r->why[0] != '\0');
		if (!r->better[0])
			continue;
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s %s%s%s %s>%s%s\n",
					r->on, r->setting, r->part[0] ? " " : "", r->part, r->now,
					r->better, r->applies ? "" : " by hand");
		assert_true(len < sizeof(text));
	}
	weft_tune_rows_clear(&rows);
	weft_tune_facts_clear(f);
	return text;
}

static void test_one_queue(void **state)
{
	struct weft_tune_facts f = host("0-1");

	(void)state;
	add_irqs(add_nic(&f, "eth0", 1, 1), "virtio0-input.%u", 1, "1");
	assert_string_equal(better(&f), "eth0 rps_cpus rx-0 none>0-1\n");

	f = host("0-7");
	add_nic(&f, "eth0", 1, 1)->local = cpus("4-7,12"); /* the node that is near */
	assert_string_equal(better(&f), "eth0 rps_cpus rx-0 none>4-7\n");

	f = host("0-7");
	add_nic(&f, "eth0", 1, 1)->local = cpus("3");
	assert_string_equal(better(&f), "");
}

static void test_rps_left_alone(void **state)
{
	struct weft_tune_facts f;

	(void)state;
	f = host("0-3");
	add_nic(&f, "eth0", 1, 1)->rps[0] = cpus("2"); /* somebody's choice */
	assert_string_equal(better(&f), "");
	f = host("0-3");
	add_nic(&f, "eth0", 4, 1);
	assert_string_equal(better(&f), "");
	f = host("0-3");
	add_nic(&f, "veth0", 1, 1)->hardware = false;
	assert_string_equal(better(&f), "");
	f = host("0-3");
	add_nic(&f, "eth0", 1, 1)->threaded = 1;
	assert_string_equal(better(&f), "");
	f = host("0-3");
	add_nic(&f, "eth0", 1, 1)->has_rps = false;
	assert_string_equal(better(&f), "");
}

/* One processor, or none known: nothing. */
static void test_one_processor(void **state)
{
	static const char *const online[] = {"0", ""};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct weft_tune_facts f = host(online[i]);
		struct weft_tune_nic *nic = add_nic(&f, "eth0", 4, 4);

		add_irqs(nic, "eth0-TxRx-%u", 4, "0");
		nic->channels = 1;
		nic->max_channels = 4;
		assert_string_equal(better(&f), "");
	}
}

static void test_irqs_on_one(void **state)
{
	struct weft_tune_facts f = host("0-3");

	(void)state;
	add_irqs(add_nic(&f, "eth0", 4, 1), "eth0-TxRx-%u", 4, "0");
	assert_string_equal(better(&f), "eth0 interrupt 41 eth0-TxRx-1 0>1\n"
					"eth0 interrupt 42 eth0-TxRx-2 0>2\n"
					"eth0 interrupt 43 eth0-TxRx-3 0>3\n");

	f = host("0-3"); /* those near the device, by queue and not by interrupt */
	add_irqs(add_nic(&f, "eth0", 4, 1), "mlx5_comp%u@pci:0000:00:0", 4, "0");
	f.nics[0].local = cpus("2-3");
	assert_string_equal(better(&f), "eth0 interrupt 40 mlx5_comp0@pci:0000:00:0 0>2\n"
					"eth0 interrupt 41 mlx5_comp1@pci:0000:00:0 0>3\n"
					"eth0 interrupt 42 mlx5_comp2@pci:0000:00:0 0>2\n"
					"eth0 interrupt 43 mlx5_comp3@pci:0000:00:0 0>3\n");
}

static void test_irqs_left_alone(void **state)
{
	struct weft_tune_facts f;

	(void)state;
	f = host("0-3");
	add_irqs(add_nic(&f, "eth0", 4, 1), "eth0-TxRx-%u", 4, "0");
	f.nics[0].irqs[2].runs = cpus("3"); /* spread already, if not well */
	assert_string_equal(better(&f), "");
	f = host("0-3");
	add_irqs(add_nic(&f, "eth0", 4, 1), "eth0-TxRx-%u", 4, "0");
	f.irqbalance = true; /* which would undo it */
	assert_string_equal(better(&f), "");
	f = host("0-3");
	add_irqs(add_nic(&f, "eth0", 4, 1), "eth0-TxRx-%u", 4, "");
	assert_string_equal(better(&f), "");
	f = host("0-3"); /* one queue's two: in and out belong together */
	add_irqs(add_nic(&f, "eth0", 4, 1), "virtio0-input.0", 2, "0");
	assert_string_equal(better(&f), "");
}

static void test_xps(void **state)
{
	struct weft_tune_facts f = host("0-1");

	(void)state;
	add_nic(&f, "veth0", 2, 4)->hardware = false; /* also without hardware */
	assert_string_equal(better(&f), "veth0 xps_cpus tx-0 none>0\nveth0 xps_cpus tx-1 none>1\n");
	f = host("0-4");
	add_nic(&f, "eth0", 8, 2);
	assert_string_equal(better(&f),
			    "eth0 xps_cpus tx-0 none>0,2,4\neth0 xps_cpus tx-1 none>1,3\n");
	f = host("0-1");
	add_nic(&f, "eth0", 2, 2)->xps[1] = cpus("0");
	assert_string_equal(better(&f), "");
	f = host("0-1");
	add_nic(&f, "eth0", 2, 2)->has_xps = false;
	assert_string_equal(better(&f), "");
}

/* A good machine has nothing to be said of; of one that could have more queues, that first. */
static void test_eight_queues(void **state)
{
	struct weft_tune_facts f = host("0-7");
	struct weft_tune_nic *nic = add_nic(&f, "eth0", 8, 8);

	(void)state;
	add_irqs(nic, "eth0-TxRx-%u", 8, "0");
	for (unsigned i = 0; i < 8; i++) {
		nic->irqs[i].runs = (struct weft_cpus){{UINT32_C(1) << i}};
		nic->xps[i] = nic->irqs[i].runs;
	}
	nic->channels = nic->max_channels = 8;
	f.rmem_max = f.wmem_max = 212992;
	f.rcvbuf = f.sndbuf = 14 << 20;
	f.socket_drops = 0;
	f.max_backlog = 1000;
	f.budget = 300;
	f.squeezes = 12;
	snprintf(f.governor, sizeof(f.governor), "performance");
	assert_string_equal(better(&f), "");

	f = host("0-7");
	nic = add_nic(&f, "eth0", 2, 1);
	nic->channels = 2;
	nic->max_channels = 63;
	assert_string_equal(better(&f), "eth0 channels 2 of 63>8 by hand\n");
}

static void test_host(void **state)
{
	struct weft_tune_facts f = host("0-1");

	(void)state;
	f.rmem_max = f.wmem_max = 212992;
	f.rcvbuf = 425984;
	f.sndbuf = 14 << 20;
	f.max_backlog = 1000;
	f.backlog_drops = 7;
	snprintf(f.governor, sizeof(f.governor), "powersave");
	snprintf(f.cpufreq_driver, sizeof(f.cpufreq_driver), "acpi-cpufreq");
	assert_string_equal(better(&f), "host rmem_max 212992>7340032\n"
					"host netdev_max_backlog 1000, 7 dropped>4096\n"
					"host governor powersave>schedutil by hand\n");

	f = host("0-1"); /* the limits are no matter where weftd is not held by them */
	f.rmem_max = f.wmem_max = 212992;
	f.max_backlog = 4096;
	f.backlog_drops = 7;
	snprintf(f.governor, sizeof(f.governor), "powersave");
	snprintf(f.cpufreq_driver, sizeof(f.cpufreq_driver), "intel_pstate");
	assert_string_equal(better(&f), "");
	f = host("0-1"); /* raised already, and not yet asked again */
	f.rmem_max = 7 << 20;
	f.rcvbuf = 425984;
	assert_string_equal(better(&f), "");
	f = host("0-1");
	add_nic(&f, "eth0", 2, 1)->gro = 0;
	assert_string_equal(better(&f), "eth0 gro off>on by hand\n");
}

/* What does not fit is cut for people, and whole for the kernel. */
static void test_long_list(void **state)
{
	struct weft_tune_facts f = host("0");
	struct weft_tune_rows rows = {.n = 0};

	(void)state;
	for (unsigned i = 0; i < WEFT_CPUS_MAX; i += 2)
		weft_cpus_add(&f.online, i);
	add_nic(&f, "eth0", 1, 1);
	assert_int_equal(weft_tune_judge(&f, &rows), 0);
	for (size_t i = 0; i < rows.n; i++) {
		if (!rows.v[i].better[0])
			continue;
		assert_string_equal(rows.v[i].better + strlen(rows.v[i].better) - 3, "...");
		assert_true(weft_cpus_equal(&rows.v[i].value.cpus, &f.online));
	}
	assert_int_equal(weft_tune_rows_better(&rows, true), 1);
	weft_tune_rows_clear(&rows);
	weft_tune_facts_clear(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_queue),       cmocka_unit_test(test_rps_left_alone),
		cmocka_unit_test(test_one_processor),   cmocka_unit_test(test_irqs_on_one),
		cmocka_unit_test(test_irqs_left_alone), cmocka_unit_test(test_xps),
		cmocka_unit_test(test_eight_queues),    cmocka_unit_test(test_host),
		cmocka_unit_test(test_long_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
