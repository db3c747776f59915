/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What could stand better, and why: the kernel's Documentation/networking/scaling.rst ("Suggested
 * Configuration" of each part). Only where it is plain: what somebody has set already is left, and
 * with one processor there is nothing to spread. Pure.
 */
#include "host/tune.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKLOG_BETTER 4096 /* four times the kernel's own */

void weft_tune_facts_clear(struct weft_tune_facts *facts)
{
	for (size_t i = 0; i < facts->n_nics; i++) {
		free(facts->nics[i].rps);
		free(facts->nics[i].xps);
		free(facts->nics[i].irqs);
	}
	free(facts->nics);
	*facts = (struct weft_tune_facts){.n_nics = 0};
}

void weft_tune_rows_clear(struct weft_tune_rows *rows)
{
	free(rows->v);
	*rows = (struct weft_tune_rows){.n = 0};
}

size_t weft_tune_rows_better(const struct weft_tune_rows *rows, bool applies)
{
	size_t n = 0;

	for (size_t i = 0; i < rows->n; i++)
		n += rows->v[i].better[0] && (rows->v[i].applies || !applies);
	return n;
}

const char *weft_tune_kind_name(enum weft_tune_kind kind)
{
	static const char *const names[WEFT_TUNE_KINDS] = {
		[WEFT_TUNE_RPS] = "rps_cpus",     [WEFT_TUNE_XPS] = "xps_cpus",
		[WEFT_TUNE_IRQ] = "smp_affinity", [WEFT_TUNE_RMEM] = "rmem_max",
		[WEFT_TUNE_WMEM] = "wmem_max",    [WEFT_TUNE_BACKLOG] = "netdev_max_backlog",
	};

	return names[kind];
}

bool weft_tune_kind_has_cpus(enum weft_tune_kind kind)
{
	return kind == WEFT_TUNE_RPS || kind == WEFT_TUNE_XPS || kind == WEFT_TUNE_IRQ;
}

bool weft_tune_value_equal(const struct weft_tune_value *a, const struct weft_tune_value *b)
{
	return a->number == b->number && weft_cpus_equal(&a->cpus, &b->cpus);
}

static void cpus_text(const struct weft_cpus *cpus, char *out, size_t len)
{
	char text[WEFT_CPUS_LIST_LEN];

	weft_cpus_format(cpus, text);
	if (strlen(text) < len)
		snprintf(out, len, "%s", text[0] ? text : "none");
	else
		snprintf(out, len, "%.*s...", (int)len - 4, text);
}

const char *weft_tune_value_text(enum weft_tune_kind kind, const struct weft_tune_value *value,
				 char *out, size_t len)
{
	if (weft_tune_kind_has_cpus(kind))
		cpus_text(&value->cpus, out, len);
	else
		snprintf(out, len, "%lu", value->number);
	return out;
}

/* ---- rows ---- */

/* What is being judged, and where the rows go. */
struct judging {
	const struct weft_tune_facts *f;
	struct weft_tune_rows rows;
	char on[WEFT_TUNE_NAME_LEN];
	struct weft_tune_row spare; /* written when there is no memory, so that nobody has to ask */
	int rc;
};

static struct weft_tune_row *add(struct judging *j, const char *setting)
{
	struct weft_tune_rows *rows = &j->rows;
	struct weft_tune_row *row = &j->spare;

	if (rows->n == rows->cap && !j->rc) {
		size_t cap = rows->cap ? rows->cap * 2 : 32;
		struct weft_tune_row *v = reallocarray(rows->v, cap, sizeof(*v));

		if (v) {
			rows->v = v;
			rows->cap = cap;
		} else {
			j->rc = -ENOMEM;
		}
	}
	if (!j->rc)
		row = &rows->v[rows->n++];
	*row = (struct weft_tune_row){.applies = false};
	snprintf(row->on, sizeof(row->on), "%s", j->on);
	snprintf(row->setting, sizeof(row->setting), "%s", setting);
	return row;
}

static void because(struct weft_tune_row *row, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void because(struct weft_tune_row *row, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(row->why, sizeof(row->why), fmt, ap);
	va_end(ap);
}

static struct weft_tune_row *add_target(struct judging *j, enum weft_tune_kind kind,
					const char *setting, const char *device, unsigned index)
{
	struct weft_tune_row *row = add(j, setting);

	row->target = (struct weft_tune_target){.kind = kind, .index = index};
	snprintf(row->target.device, sizeof(row->target.device), "%s", device);
	return row;
}

static void set_better(struct weft_tune_row *row, const struct weft_tune_value *value)
{
	row->applies = true;
	row->value = *value;
	weft_tune_value_text(row->target.kind, value, row->better, sizeof(row->better));
}

static void add_number(struct judging *j, const char *setting, long value)
{
	if (value >= 0)
		snprintf(add(j, setting)->now, sizeof(j->spare.now), "%ld", value);
}

/* ---- one interface ---- */

static struct weft_cpus near(const struct judging *j, const struct weft_tune_nic *nic)
{
	struct weft_cpus both = weft_cpus_and(&nic->local, &j->f->online);

	return weft_cpus_count(&both) ? both : j->f->online;
}

static bool any(const struct weft_cpus *sets, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (weft_cpus_count(&sets[i]))
			return true;
	return false;
}

static bool more_channels(const struct judging *j, const struct weft_tune_nic *nic)
{
	return nic->channels > 0 && nic->max_channels > nic->channels &&
	       (unsigned long)nic->channels < weft_cpus_count(&j->f->online);
}

static void judge_queues(struct judging *j, const struct weft_tune_nic *nic)
{
	struct weft_tune_row *row = add(j, "queues");
	unsigned cpus = weft_cpus_count(&j->f->online);
	long best = nic->max_channels < (long)cpus ? nic->max_channels : (long)cpus;

	snprintf(row->now, sizeof(row->now), "%zu rx, %zu tx", nic->n_rx, nic->n_tx);
	if (nic->max_channels <= 0 || nic->channels < 0)
		return;
	row = add(j, "channels");
	snprintf(row->now, sizeof(row->now), "%ld of %ld", nic->channels, nic->max_channels);
	if (!more_channels(j, nic))
		return;
	snprintf(row->better, sizeof(row->better), "%ld", best);
	because(row,
		"a queue for each processor spreads best, in the device itself; it takes the "
		"link down for a moment: ethtool -L %s combined %ld (scaling.rst, RSS)",
		nic->name, best);
}

/* The queue that an interrupt's name ends in ("eth0-TxRx-3", "virtio0-input.3"), else `otherwise`.
 */
static unsigned queue_of(const struct weft_tune_irq *irq, unsigned otherwise)
{
	size_t end = strcspn(irq->name, "@"), start = end;

	while (start && irq->name[start - 1] >= '0' && irq->name[start - 1] <= '9')
		start--;
	if (start == end || end - start > 4)
		return otherwise;
	return (unsigned)strtoul(irq->name + start, NULL, 10);
}

/* Do several queues' interrupts all come to one processor, where there are others? */
static bool crowded(const struct judging *j, const struct weft_tune_nic *nic,
		    const struct weft_cpus *cpus)
{
	bool queues_differ = false;

	if (!nic->hardware || j->f->irqbalance || nic->n_irqs < 2 || weft_cpus_count(cpus) < 2)
		return false;
	for (size_t i = 0; i < nic->n_irqs; i++) {
		const struct weft_tune_irq *irq = &nic->irqs[i];

		if (weft_cpus_count(&irq->runs) != 1 ||
		    !weft_cpus_equal(&irq->runs, &nic->irqs[0].runs))
			return false;
		queues_differ |= queue_of(irq, (unsigned)i) != queue_of(&nic->irqs[0], 0);
	}
	return queues_differ;
}

static void judge_irqs(struct judging *j, const struct weft_tune_nic *nic)
{
	struct weft_cpus cpus = near(j, nic);
	unsigned n = weft_cpus_count(&cpus);
	bool spread = crowded(j, nic, &cpus);

	for (size_t i = 0; i < nic->n_irqs; i++) {
		const struct weft_tune_irq *irq = &nic->irqs[i];
		struct weft_tune_row *row =
			add_target(j, WEFT_TUNE_IRQ, "interrupt", "", irq->number);
		struct weft_tune_value one = {.number = 0};

		snprintf(row->part, sizeof(row->part), "%u %.48s", irq->number, irq->name);
		cpus_text(weft_cpus_count(&irq->runs) ? &irq->runs : &irq->allowed, row->now,
			  sizeof(row->now));
		if (!spread)
			continue;
		weft_cpus_add(&one.cpus, weft_cpus_nth(&cpus, queue_of(irq, (unsigned)i) % n));
		if (weft_cpus_equal(&one.cpus, &irq->runs))
			continue;
		set_better(row, &one);
		because(row,
			"the interrupts of all %zu come to one processor, and %u could take them; "
			"irqbalance(1) does not run (scaling.rst, RSS)",
			nic->n_irqs, n);
	}
}

static void judge_rps(struct judging *j, const struct weft_tune_nic *nic)
{
	const struct weft_tune_value value = {.cpus = near(j, nic)};
	unsigned n = weft_cpus_count(&value.cpus);
	bool advise = nic->has_rps && nic->hardware && n > 1 && nic->n_rx < n &&
		      nic->threaded != 1 && !any(nic->rps, nic->n_rx) && !more_channels(j, nic);

	for (size_t i = 0; i < nic->n_rx && nic->has_rps; i++) {
		struct weft_tune_row *row =
			add_target(j, WEFT_TUNE_RPS, "rps_cpus", nic->name, (unsigned)i);

		snprintf(row->part, sizeof(row->part), "rx-%zu", i);
		cpus_text(&nic->rps[i], row->now, sizeof(row->now));
		if (!advise)
			continue;
		set_better(row, &value);
		because(row,
			"fewer receive queues (%zu) than processors (%u): the protocol's work for "
			"all that comes in is left to those that take the interrupts "
			"(scaling.rst, RPS)",
			nic->n_rx, n);
	}
}

/* Processor k of those that are there sends by queue k, over and over. */
static void judge_xps(struct judging *j, const struct weft_tune_nic *nic)
{
	unsigned n = weft_cpus_count(&j->f->online);
	bool advise = nic->has_xps && nic->n_tx > 1 && n > 1 && !any(nic->xps, nic->n_tx);

	for (size_t i = 0; i < nic->n_tx && nic->has_xps && nic->n_tx > 1; i++) {
		struct weft_tune_row *row =
			add_target(j, WEFT_TUNE_XPS, "xps_cpus", nic->name, (unsigned)i);
		struct weft_tune_value value = {.number = 0};

		snprintf(row->part, sizeof(row->part), "tx-%zu", i);
		cpus_text(&nic->xps[i], row->now, sizeof(row->now));
		for (size_t k = i; k < n; k += nic->n_tx)
			weft_cpus_add(&value.cpus, weft_cpus_nth(&j->f->online, (unsigned)k));
		if (!advise || !weft_cpus_count(&value.cpus))
			continue;
		set_better(row, &value);
		because(row, "processors that send by queues of their own do not wait for each "
			     "other's locks (scaling.rst, XPS)");
	}
}

static const char *on_off(long flag)
{
	return flag > 0 ? "on" : "off";
}

static void judge_offloads(struct judging *j, const struct weft_tune_nic *nic)
{
	const struct {
		const char *name;
		long flag;
	} shown[] = {
		{"gso", nic->gso},
		{"tso", nic->tso},
		{"rx-udp-gro-forwarding", nic->udp_gro_forwarding},
		{"rx-gro-list", nic->gro_list},
	};
	struct weft_tune_row *row;

	if (nic->threaded >= 0)
		snprintf(add(j, "threaded NAPI")->now, sizeof(j->spare.now), "%s",
			 on_off(nic->threaded));
	if (nic->gro >= 0) {
		row = add(j, "gro");
		snprintf(row->now, sizeof(row->now), "%s", on_off(nic->gro));
		if (!nic->gro && nic->hardware) {
			snprintf(row->better, sizeof(row->better), "on");
			because(row,
				"without it no datagrams are joined on receipt, and each goes up "
				"the stack and to weftd alone: ethtool -K %s gro on "
				"(segmentation-offloads.rst)",
				nic->name);
		}
	}
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		if (shown[i].flag >= 0)
			snprintf(add(j, shown[i].name)->now, sizeof(j->spare.now), "%s",
				 on_off(shown[i].flag));
}

static void judge_nic(struct judging *j, const struct weft_tune_nic *nic)
{
	snprintf(j->on, sizeof(j->on), "%s", nic->name);
	judge_queues(j, nic);
	judge_irqs(j, nic);
	judge_rps(j, nic);
	add_number(j, "rps_flow_cnt", nic->flows);
	judge_xps(j, nic);
	judge_offloads(j, nic);
}

/* ---- the host ---- */

/* The kernel counts its own overhead too: a socket shows twice what it was granted, socket(7). */
static void judge_buffer(struct judging *j, enum weft_tune_kind kind, const char *name, long has,
			 long limit)
{
	struct weft_tune_row *row;
	struct weft_tune_value value = {.number = (unsigned long)j->f->wanted_buf};

	if (has >= 0) {
		char setting[32];

		snprintf(setting, sizeof(setting), "weftd's %s buffer", name);
		add_number(j, setting, has);
	}
	if (limit < 0)
		return;
	row = add_target(j, kind, weft_tune_kind_name(kind), "", 0);
	snprintf(row->now, sizeof(row->now), "%ld", limit);
	if (has < 0 || has / 2 >= j->f->wanted_buf || limit >= j->f->wanted_buf)
		return;
	set_better(row, &value);
	because(row,
		"weftd asked for a %s buffer of %ld bytes and got %ld, no more than this allows; "
		"it asks again when its interface comes up (socket(7))",
		name, j->f->wanted_buf, has / 2);
}

static void judge_backlog(struct judging *j)
{
	const struct weft_tune_facts *f = j->f;
	const struct weft_tune_value value = {.number = BACKLOG_BETTER};
	struct weft_tune_row *row;

	if (f->max_backlog >= 0) {
		row = add_target(j, WEFT_TUNE_BACKLOG, "netdev_max_backlog", "", 0);
		snprintf(row->now, sizeof(row->now), "%ld, %llu dropped", f->max_backlog,
			 f->backlog_drops);
		if (f->backlog_drops && f->max_backlog < BACKLOG_BETTER) {
			set_better(row, &value);
			because(row,
				"%llu packets since boot found a processor's queue of received "
				"packets full (softnet_stat; admin-guide/sysctl/net.rst)",
				f->backlog_drops);
		}
	}
	if (f->budget >= 0)
		snprintf(add(j, "netdev_budget")->now, sizeof(j->spare.now),
			 "%ld, %llu times used up", f->budget, f->squeezes);
}

static void judge_governor(struct judging *j)
{
	const struct weft_tune_facts *f = j->f;
	struct weft_tune_row *row;

	if (!f->governor[0])
		return;
	row = add(j, "governor");
	snprintf(row->now, sizeof(row->now), "%s", f->governor);
	/* of intel_pstate and amd-pstate the word means something else: cpufreq's intel_pstate.rst
	 */
	if (strcmp(f->governor, "powersave") != 0 || strstr(f->cpufreq_driver, "pstate"))
		return;
	snprintf(row->better, sizeof(row->better), "schedutil");
	because(row, "\"powersave\" of this driver keeps processors at their lowest frequency: "
		     "cpupower frequency-set -g schedutil (admin-guide/pm/cpufreq.rst)");
}

static void judge_host(struct judging *j)
{
	const struct weft_tune_facts *f = j->f;

	snprintf(j->on, sizeof(j->on), "host");
	judge_buffer(j, WEFT_TUNE_RMEM, "receive", f->rcvbuf, f->rmem_max);
	judge_buffer(j, WEFT_TUNE_WMEM, "send", f->sndbuf, f->wmem_max);
	add_number(j, "weftd's socket drops", f->socket_drops);
	judge_backlog(j);
	add_number(j, "rps_sock_flow_entries", f->flow_entries);
	judge_governor(j);
}

int weft_tune_judge(const struct weft_tune_facts *facts, struct weft_tune_rows *ret_rows)
{
	struct judging j = {.f = facts};

	for (size_t i = 0; i < facts->n_nics; i++)
		judge_nic(&j, &facts->nics[i]);
	judge_host(&j);
	if (j.rc) {
		weft_tune_rows_clear(&j.rows);
		return j.rc;
	}
	*ret_rows = j.rows;
	return 0;
}
