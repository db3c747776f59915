/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading facts from a tree that stands for /, changing what is in it and putting it back: what is
 * remembered when, what happens half-way, and what a tampered memory cannot do.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/tune.h"

static char root[64];

static const char *at(const char *path)
{
	static char whole[8][512];
	static unsigned next;
	char *out = whole[next++ % 8];

	snprintf(out, sizeof(whole[0]), "%s%s", root, path);
	return out;
}

static void make_parents(const char *path)
{
	char part[512];

	snprintf(part, sizeof(part), "%s", path);
	for (char *p = strchr(part + strlen(root) + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		(void)mkdir(part, 0755);
		*p = '/';
	}
}

static void put(const char *path, const char *text)
{
	FILE *f;

	make_parents(at(path));
	f = fopen(at(path), "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void put_link(const char *path, const char *target)
{
	make_parents(at(path));
	assert_int_equal(symlink(target, at(path)), 0);
}

static const char *get(const char *path)
{
	static char text[4][1024];
	static unsigned next;
	char *out = text[next++ % 4];
	FILE *f = fopen(at(path), "r");
	size_t n;

	if (!f)
		return NULL;
	n = fread(out, 1, sizeof(text[0]) - 1, f);
	fclose(f);
	out[n] = '\0';
	return out;
}

static int make_root(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "/tmp/weft-tune-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	return mkdir(at("/run"), 0755);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)kind;
	(void)where;
	return remove(path);
}

static int remove_root(void **state)
{
	(void)state;
	return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- a machine: virtio with two queues on four processors, all its interrupts on the first ----
 */

#define NET "/sys/class/net"
#define ETH NET "/eth0"

static void make_machine(void)
{
	static const char *const names[] = {"config", "input.0", "output.0", "input.1", "output.1"};
	char path[128], interrupts[1024], *p = interrupts;

	put("/sys/devices/system/cpu/online", "0-3\n");
	put("/sys/devices/pci0/local_cpulist", "0-3\n");
	put("/sys/devices/pci0/virtio2/net/eth0/threaded", "0\n");
	put_link("/sys/devices/pci0/virtio2/driver", "../../../bus/virtio/drivers/virtio_net");
	put_link("/sys/devices/pci0/virtio2/net/eth0/device", "../../../virtio2");
	put_link(ETH, "../../devices/pci0/virtio2/net/eth0");
	for (unsigned q = 0; q < 2; q++) {
		snprintf(path, sizeof(path), ETH "/queues/rx-%u/rps_cpus", q);
		put(path, "00000000,00000000\n");
		snprintf(path, sizeof(path), ETH "/queues/rx-%u/rps_flow_cnt", q);
		put(path, "16\n");
		snprintf(path, sizeof(path), ETH "/queues/tx-%u/xps_cpus", q);
		put(path, "0\n");
	}
	p += sprintf(p, "           CPU0       CPU1\n");
	for (unsigned i = 0; i < 5; i++) {
		snprintf(path, sizeof(path), "/sys/devices/pci0/msi_irqs/%u", 37 + i);
		put(path, "msix\n");
		snprintf(path, sizeof(path), "/proc/irq/%u/smp_affinity_list", 37 + i);
		put(path, "0-3\n");
		snprintf(path, sizeof(path), "/proc/irq/%u/effective_affinity_list", 37 + i);
		put(path, "0\n");
		p += sprintf(p,
			     " %u:     0  3782 PCI-MSIX-0000:00:03.0   %u-edge      virtio2-%s\n",
			     37 + i, i, names[i]);
	}
	sprintf(p, " 90:  1  0 PCI-MSIX-0000:00:04.0  0-edge  virtio3-rx\nNMI: 0 0 Non-maskable\n");
	put("/proc/interrupts", interrupts);
	put("/proc/sys/net/core/rmem_max", "212992\n");
	put("/proc/sys/net/core/netdev_max_backlog", "1000\n");
	put("/proc/net/softnet_stat",
	    "049bae78 0000000a 00000007 0\n049f6dee 00000001 00000004 0\n");
	put("/proc/1/comm", "systemd\n");
}

static void read_facts(struct weft_tune_facts *f, const char *carrier)
{
	*f = (struct weft_tune_facts){.wanted_buf = 7 << 20};
	weft_tune_read_host(root, f);
	assert_int_equal(weft_tune_add_carriers(root, carrier, f), 0);
}

static void test_facts(void **state)
{
	struct weft_tune_facts f;
	const struct weft_tune_nic *nic;

	(void)state;
	make_machine();
	read_facts(&f, "eth0");
	assert_int_equal(weft_tune_add_carriers(root, "eth0", &f), 0);
	assert_int_equal(f.n_nics, 1); /* once */
	nic = &f.nics[0];
	assert_string_equal(nic->name, "eth0");
	assert_string_equal(nic->driver, "virtio_net");
	assert_true(nic->hardware && nic->has_rps && nic->has_xps);
	assert_int_equal(weft_cpus_count(&nic->local), 4);
	assert_int_equal(nic->n_rx, 2);
	assert_int_equal(nic->n_tx, 2);
	assert_int_equal(nic->flows, 32);
	assert_int_equal(nic->threaded, 0);
	assert_int_equal(nic->n_irqs, 4); /* not for configuration, not another device's */
	assert_int_equal(nic->irqs[3].number, 41);
	assert_string_equal(nic->irqs[3].name, "virtio2-output.1");
	assert_int_equal(weft_cpus_count(&nic->irqs[3].allowed), 4);
	assert_int_equal(weft_cpus_count(&nic->irqs[3].runs), 1);
	assert_int_equal(weft_cpus_count(&f.online), 4);
	assert_int_equal(f.rmem_max, 212992);
	assert_int_equal(f.wmem_max, WEFT_TUNE_UNKNOWN);
	assert_int_equal(f.max_backlog, 1000);
	assert_int_equal(f.backlog_drops, 11);
	assert_int_equal(f.squeezes, 11);
	assert_false(f.irqbalance);
	weft_tune_facts_clear(&f);

	put("/proc/77/comm", "irqbalance\n");
	read_facts(&f, "eth0");
	assert_true(f.irqbalance);
	weft_tune_facts_clear(&f);
}

static void test_nothing_there(void **state)
{
	struct weft_tune_facts f;
	struct weft_tune_rows rows = {.n = 0};

	(void)state;
	read_facts(&f, "eth0");
	assert_int_equal(f.n_nics, 1);
	assert_int_equal(weft_tune_judge(&f, &rows), 0);
	assert_int_equal(weft_tune_rows_better(&rows, false), 0);
	weft_tune_rows_clear(&rows);
	weft_tune_facts_clear(&f);
}

/* A VLAN on a bond of two; the bridge beside it has a port on hardware and one without. */
static void test_carriers(void **state)
{
	struct weft_tune_facts f;

	(void)state;
	make_machine();
	put_link("/sys/devices/pci1/net/eth1/device", "../../../pci1");
	put_link(NET "/eth1", "../../devices/pci1/net/eth1");
	put_link(NET "/bond0/lower_eth0", "../eth0");
	put_link(NET "/bond0/lower_eth1", "../eth1");
	put_link(NET "/bond0.5/lower_bond0", "../bond0");
	put(NET "/tap0/threaded", "0\n");
	put_link(NET "/br0/lower_tap0", "../tap0");
	put_link(NET "/br0/lower_eth1", "../eth1");
	put_link(NET "/loop0/lower_loop1", "../loop1"); /* no kernel has it, and no end */
	put_link(NET "/loop1/lower_loop0", "../loop0");
	read_facts(&f, "bond0.5");
	assert_int_equal(f.n_nics, 2);
	assert_true(f.nics[0].hardware && f.nics[1].hardware);
	weft_tune_facts_clear(&f);
	read_facts(&f, "br0");
	assert_int_equal(f.n_nics, 1);
	assert_string_equal(f.nics[0].name, "eth1");
	weft_tune_facts_clear(&f);
	read_facts(&f, "tap0");
	assert_int_equal(f.n_nics, 1);
	weft_tune_facts_clear(&f);
	read_facts(&f, "loop0");
	assert_int_equal(f.n_nics, 0);
	weft_tune_facts_clear(&f);
}

/* ---- changing ---- */

static void judge(struct weft_tune_rows *rows)
{
	struct weft_tune_facts f;

	*rows = (struct weft_tune_rows){.n = 0};
	read_facts(&f, "eth0");
	assert_int_equal(weft_tune_judge(&f, rows), 0);
	weft_tune_facts_clear(&f);
}

struct seen {
	unsigned n[WEFT_TUNE_GONE + 1];
	bool remembered_first;
	bool choke; /* nothing can be written after the first */
};

static const struct rlimit nothing = {0, RLIM_INFINITY}, anything = {RLIM_INFINITY, RLIM_INFINITY};

static void told(void *ctx, const struct weft_tune_target *t, enum weft_tune_outcome outcome,
		 const struct weft_tune_value *value, int rc)
{
	struct seen *s = ctx;

	(void)t;
	(void)value;
	assert_int_equal(outcome == WEFT_TUNE_FAILED, rc != 0);
	if (outcome == WEFT_TUNE_DONE && !s->n[WEFT_TUNE_DONE]) {
		const char *text = get("/run/weft/tune/wg0.json");

		s->remembered_first = text && strstr(text, "\"queue\": 1");
		if (s->choke)
			assert_int_equal(setrlimit(RLIMIT_FSIZE, &nothing), 0);
	}
	if (outcome == WEFT_TUNE_FAILED)
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &anything), 0);
	s->n[outcome]++;
}

static int apply(struct seen *s, struct weft_diag *diag)
{
	struct weft_tune_rows rows;
	int rc;

	judge(&rows);
	rc = weft_tune_apply(root, "wg0", &rows, told, s, diag);
	weft_tune_rows_clear(&rows);
	return rc;
}

static int revert(struct seen *s, struct weft_diag *diag)
{
	return weft_tune_revert(root, "wg0", told, s, diag);
}

static void assert_applied(void)
{
	assert_string_equal(get(ETH "/queues/rx-0/rps_cpus"), "f\n");
	assert_string_equal(get(ETH "/queues/rx-1/rps_cpus"), "f\n");
	assert_string_equal(get(ETH "/queues/tx-0/xps_cpus"), "5\n");
	assert_string_equal(get(ETH "/queues/tx-1/xps_cpus"), "a\n");
	assert_string_equal(get("/proc/irq/38/smp_affinity_list"), "0-3\n");
	assert_string_equal(get("/proc/irq/40/smp_affinity_list"), "1\n");
	assert_string_equal(get("/proc/irq/41/smp_affinity_list"), "1\n");
	assert_string_equal(get("/proc/sys/net/core/netdev_max_backlog"), "4096\n");
	assert_string_equal(get("/proc/sys/net/core/rmem_max"), "212992\n");
}

static void assert_as_before(void)
{
	assert_string_equal(get(ETH "/queues/rx-0/rps_cpus"), "0\n");
	assert_string_equal(get(ETH "/queues/rx-1/rps_cpus"), "0\n");
	assert_string_equal(get(ETH "/queues/tx-0/xps_cpus"), "0\n");
	assert_string_equal(get(ETH "/queues/tx-1/xps_cpus"), "0\n");
	assert_string_equal(get("/proc/irq/40/smp_affinity_list"), "0-3\n");
	assert_string_equal(get("/proc/irq/41/smp_affinity_list"), "0-3\n");
	assert_string_equal(get("/proc/sys/net/core/netdev_max_backlog"), "1000\n");
}

static void test_apply_and_revert(void **state)
{
	struct seen s = {.choke = false};
	struct stat st;

	(void)state;
	make_machine();
	assert_int_equal(apply(&s, NULL), 0);
	assert_int_equal(s.n[WEFT_TUNE_DONE], 7);
	assert_true(s.remembered_first);
	assert_applied();
	assert_int_equal(stat(at("/run/weft/tune"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(at("/run/weft/tune/wg0.json"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_null(get("/run/weft/tune/wg0.json.new"));

	s = (struct seen){.choke = false};
	assert_int_equal(revert(&s, NULL), 0);
	assert_int_equal(s.n[WEFT_TUNE_DONE], 7);
	assert_as_before();
	assert_null(get("/run/weft/tune/wg0.json"));
	assert_int_equal(revert(&s, NULL), -ENOENT);
}

/* The values of before the first time count, also when a second finds more to do. */
static void test_twice(void **state)
{
	struct seen s = {.choke = false};

	(void)state;
	make_machine();
	assert_int_equal(apply(&s, NULL), 0);
	/* the interrupts are not yet where they are to be: advised, and written, once more */
	s = (struct seen){.choke = false};
	assert_int_equal(apply(&s, NULL), 0);
	assert_int_equal(s.n[WEFT_TUNE_DONE], 2);
	s = (struct seen){.choke = false};
	put("/proc/irq/40/effective_affinity_list", "1\n"); /* as a kernel would */
	assert_int_equal(apply(&s, NULL), 0);
	assert_int_equal(s.n[WEFT_TUNE_DONE], 0);
	put(ETH "/queues/tx-0/xps_cpus", "0\n"); /* somebody, since */
	put(ETH "/queues/tx-1/xps_cpus", "0\n");
	assert_int_equal(apply(&s, NULL), 0);
	assert_int_equal(s.n[WEFT_TUNE_DONE], 2);
	assert_applied();
	assert_int_equal(revert(&s, NULL), 0);
	assert_as_before();
}

static void test_foreign(void **state)
{
	struct seen s = {.choke = false};

	(void)state;
	make_machine();
	assert_int_equal(apply(&s, NULL), 0);
	put(ETH "/queues/rx-0/rps_cpus", "2\n");
	put(ETH "/queues/rx-1/rps_cpus", "00000000,00000000\n"); /* as before, in other words */
	assert_int_equal(unlink(at("/proc/irq/41/smp_affinity_list")), 0);
	s = (struct seen){.choke = false};
	assert_int_equal(revert(&s, NULL), 0);
	assert_int_equal(s.n[WEFT_TUNE_DONE], 4);
	assert_int_equal(s.n[WEFT_TUNE_FOREIGN], 1);
	assert_int_equal(s.n[WEFT_TUNE_ALREADY], 1);
	assert_int_equal(s.n[WEFT_TUNE_GONE], 1);
	assert_string_equal(get(ETH "/queues/rx-0/rps_cpus"), "2\n");
	assert_null(get("/run/weft/tune/wg0.json"));
}

/* Half-way something cannot be written: all as it was, and nothing remembered. */
static void test_failure(void **state)
{
	struct seen s = {.choke = true};

	(void)state;
	make_machine();
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(apply(&s, NULL), -EFBIG);
	assert_int_equal(s.n[WEFT_TUNE_DONE], 1);
	assert_int_equal(s.n[WEFT_TUNE_FAILED], 1);
	assert_int_equal(s.n[WEFT_TUNE_UNDONE], 1);
	assert_null(get("/run/weft/tune/wg0.json"));
	assert_string_equal(get("/proc/irq/40/smp_affinity_list"), "0-3\n");

	/* a revert that fails on one remembers that one */
	put("/proc/irq/41/smp_affinity_list", "0-3\n"); /* the file's stand-in was cut */
	s = (struct seen){.choke = false};
	assert_int_equal(apply(&s, NULL), 0);
	s = (struct seen){.choke = true};
	assert_int_equal(revert(&s, NULL), -EFBIG);
	assert_int_equal(s.n[WEFT_TUNE_FAILED], 1);
	assert_int_equal(s.n[WEFT_TUNE_DONE], 6);
	assert_non_null(get("/run/weft/tune/wg0.json"));
}

static void expect_refused(const char *said)
{
	struct weft_diag diag = {0};
	struct seen s = {.choke = false};

	assert_int_equal(revert(&s, &diag), WEFT_E_PARSE);
	assert_non_null(strstr(diag.message, said));
	assert_non_null(strstr(diag.source, "/run/weft/tune/wg0.json"));
	assert_int_equal(apply(&s, &diag), WEFT_E_PARSE);
	for (size_t i = 0; i < sizeof(s.n) / sizeof(s.n[0]); i++)
		assert_int_equal(s.n[i], 0);
	assert_string_equal(get("/victim"), "mine\n");
	assert_string_equal(get(ETH "/queues/rx-0/rps_cpus"), "00000000,00000000\n");
}

static void test_tampered(void **state)
{
	static const char good[] =
		"{\"interface\":\"wg0\",\"changes\":[{\"setting\":\"rps_cpus\",\"device\":\"eth0\","
		"\"queue\":0,\"old\":\"0\",\"new\":\"\"}]}";
	struct seen s = {.choke = false};

	(void)state;
	make_machine();
	put("/victim", "mine\n");
	assert_int_equal(mkdir(at("/run/weft"), 0700), 0);
	assert_int_equal(mkdir(at("/run/weft/tune"), 0700), 0);
	put("/run/weft/tune/wg0.json",
	    "{\"interface\":\"wg0\",\"changes\":[{\"setting\":\"rps_cpus\","
	    "\"device\":\"../../../victim\",\"queue\":0,\"old\":\"\",\"new\":\"0\"}]}");
	assert_int_equal(chmod(at("/run/weft/tune/wg0.json"), 0600), 0);
	expect_refused("not an interface's name");
	put("/run/weft/tune/wg0.json", "{");
	expect_refused("not JSON");
	put("/run/weft/tune/wg0.json", good);
	assert_int_equal(chmod(at("/run/weft/tune/wg0.json"), 0666), 0);
	expect_refused("others than this user");
	assert_int_equal(unlink(at("/run/weft/tune/wg0.json")), 0);
	put("/other.json", good);
	put_link("/run/weft/tune/wg0.json", at("/other.json"));
	assert_int_equal(revert(&s, NULL), -ELOOP);
	assert_int_equal(unlink(at("/run/weft/tune/wg0.json")), 0);
	assert_int_equal(chmod(at("/run/weft/tune"), 0777), 0);
	assert_int_equal(apply(&s, NULL), -EPERM);
	assert_int_equal(s.n[WEFT_TUNE_DONE], 0);
	assert_string_equal(get("/victim"), "mine\n");
}

/* A setting's file is never a link. */
static void test_link(void **state)
{
	struct seen s = {.choke = false};

	(void)state;
	make_machine();
	put("/victim", "0\n");
	assert_int_equal(unlink(at(ETH "/queues/tx-1/xps_cpus")), 0);
	put_link(ETH "/queues/tx-1/xps_cpus", at("/victim"));
	assert_int_equal(apply(&s, NULL), -ELOOP);
	assert_int_equal(s.n[WEFT_TUNE_DONE], 0);
	assert_string_equal(get("/victim"), "0\n");
	assert_string_equal(get(ETH "/queues/tx-0/xps_cpus"), "0\n");
	assert_null(get("/run/weft/tune/wg0.json"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_root, remove_root)
	const struct CMUnitTest tests[] = {
		TEST(test_facts),    TEST(test_nothing_there),
		TEST(test_carriers), TEST(test_apply_and_revert),
		TEST(test_twice),    TEST(test_foreign),
		TEST(test_failure),  TEST(test_tampered),
		TEST(test_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
