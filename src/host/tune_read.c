/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The facts, from sysfs(5) and proc(5): Documentation/ABI/testing/sysfs-class-net-queues,
 * core-api/irq/irq-affinity.rst. Nothing here is needed: what cannot be read is not known.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/tune.h"

#define MAX_LINKS 64 /* looked at below one interface */

struct reader {
	const char *root;
	const char *name; /* the interface; "" for the host */
};

static bool path_of(const struct reader *r, char out[WEFT_TUNE_PATH_LEN], const char *fmt,
		    va_list ap) __attribute__((format(printf, 3, 0)));

/* Below the interface's directory in sysfs, or below the root if the format begins with "/". */
static bool path_of(const struct reader *r, char out[WEFT_TUNE_PATH_LEN], const char *fmt,
		    va_list ap)
{
	int n = fmt[0] == '/' ? snprintf(out, WEFT_TUNE_PATH_LEN, "%s", r->root)
			      : snprintf(out, WEFT_TUNE_PATH_LEN, "%s/sys/class/net/%s/", r->root,
					 r->name);

	if (n < 0 || n >= WEFT_TUNE_PATH_LEN)
		return false;
	return vsnprintf(out + n, WEFT_TUNE_PATH_LEN - (size_t)n, fmt, ap) < WEFT_TUNE_PATH_LEN - n;
}

static bool read_text(const struct reader *r, char *out, size_t len, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* A file's first bytes, without white space at the end. False: it is not to be read. */
static bool read_text(const struct reader *r, char *out, size_t len, const char *fmt, ...)
{
	char path[WEFT_TUNE_PATH_LEN];
	va_list ap;
	bool fits;
	ssize_t n;
	int fd;

	va_start(ap, fmt);
	fits = path_of(r, path, fmt, ap);
	va_end(ap);
	fd = fits ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		return false;
	n = read(fd, out, len - 1);
	close(fd);
	if (n < 0)
		return false;
	while (n && isspace((unsigned char)out[n - 1]))
		n--;
	out[n] = '\0';
	return true;
}

static DIR *open_dir(const struct reader *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static DIR *open_dir(const struct reader *r, const char *fmt, ...)
{
	char path[WEFT_TUNE_PATH_LEN];
	va_list ap;
	bool fits;

	va_start(ap, fmt);
	fits = path_of(r, path, fmt, ap);
	va_end(ap);
	return fits ? opendir(path) : NULL;
}

/* The last part of what a link points to. */
static bool read_link(const struct reader *r, char *out, size_t len, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static bool read_link(const struct reader *r, char *out, size_t len, const char *fmt, ...)
{
	char path[WEFT_TUNE_PATH_LEN], target[WEFT_TUNE_PATH_LEN];
	const char *slash;
	va_list ap;
	bool fits;
	ssize_t n;

	va_start(ap, fmt);
	fits = path_of(r, path, fmt, ap);
	va_end(ap);
	n = fits ? readlink(path, target, sizeof(target) - 1) : -1;
	if (n < 0)
		return false;
	target[n] = '\0';
	slash = strrchr(target, '/');
	snprintf(out, len, "%s", slash ? slash + 1 : target);
	return true;
}

static long number_in(const char *text)
{
	char *end;
	long v;

	errno = 0;
	v = strtol(text, &end, 10);
	return errno || end == text || *end || v < 0 ? WEFT_TUNE_UNKNOWN : v;
}

static long read_net_core(const struct reader *r, const char *name)
{
	char text[32];

	return read_text(r, text, sizeof(text), "/proc/sys/net/core/%s", name) ? number_in(text)
									       : WEFT_TUNE_UNKNOWN;
}

/* ---- the host ---- */

static bool runs(const struct reader *r, const char *program)
{
	DIR *dir = open_dir(r, "/proc");
	struct dirent *e;
	bool yes = false;
	char comm[32];

	while (dir && !yes && (e = readdir(dir)) != NULL)
		yes = isdigit((unsigned char)e->d_name[0]) &&
		      read_text(r, comm, sizeof(comm), "/proc/%s/comm", e->d_name) &&
		      strcmp(comm, program) == 0;
	if (dir)
		closedir(dir);
	return yes;
}

static FILE *open_file(const struct reader *r, const char *path)
{
	char whole[WEFT_TUNE_PATH_LEN];

	snprintf(whole, sizeof(whole), "%s%s", r->root, path);
	return fopen(whole, "re");
}

/* Second and third column of a line for each processor, hexadecimal: net/core/net-procfs.c. */
static void read_softnet(const struct reader *r, struct weft_tune_facts *f)
{
	FILE *file = open_file(r, "/proc/net/softnet_stat");
	char line[512];
	unsigned dropped, squeezed;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%*x %x %x", &dropped, &squeezed) != 2)
			continue;
		f->backlog_drops += dropped;
		f->squeezes += squeezed;
	}
	if (file)
		fclose(file);
}

void weft_tune_read_host(const char *root, struct weft_tune_facts *facts)
{
	const struct reader r = {.root = root, .name = ""};
	char text[WEFT_CPUS_LIST_LEN];

	facts->online = (struct weft_cpus){{0}};
	if (read_text(&r, text, sizeof(text), "/sys/devices/system/cpu/online"))
		(void)!weft_cpus_parse(text, strlen(text), &facts->online);
	facts->irqbalance = runs(&r, "irqbalance");
	facts->rmem_max = read_net_core(&r, "rmem_max");
	facts->wmem_max = read_net_core(&r, "wmem_max");
	facts->max_backlog = read_net_core(&r, "netdev_max_backlog");
	facts->budget = read_net_core(&r, "netdev_budget");
	facts->flow_entries = read_net_core(&r, "rps_sock_flow_entries");
	facts->backlog_drops = facts->squeezes = 0;
	read_softnet(&r, facts);
	facts->governor[0] = facts->cpufreq_driver[0] = '\0';
	(void)read_text(&r, facts->governor, sizeof(facts->governor),
			"/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
	(void)read_text(&r, facts->cpufreq_driver, sizeof(facts->cpufreq_driver),
			"/sys/devices/system/cpu/cpu0/cpufreq/scaling_driver");
	facts->rcvbuf = facts->sndbuf = facts->socket_drops = WEFT_TUNE_UNKNOWN;
}

/* ---- queues ---- */

static size_t count_queues(const struct reader *r, const char *kind)
{
	size_t n = 0;
	DIR *dir;

	while (n < WEFT_TUNE_MAX_QUEUES && (dir = open_dir(r, "queues/%s-%zu", kind, n))) {
		closedir(dir);
		n++;
	}
	return n;
}

/* The masks of all queues of a kind. `*ret_all`: every one could be read. NULL: no memory, or 0. */
static struct weft_cpus *read_masks(const struct reader *r, const char *kind, const char *file,
				    size_t n, bool *ret_all)
{
	struct weft_cpus *sets = n ? calloc(n, sizeof(*sets)) : NULL;
	char text[WEFT_CPUS_LIST_LEN];

	*ret_all = sets != NULL;
	for (size_t i = 0; sets && i < n; i++)
		if (!read_text(r, text, sizeof(text), "queues/%s-%zu/%s", kind, i, file) ||
		    weft_cpus_parse_mask(text, strlen(text), &sets[i]))
			*ret_all = false;
	return sets;
}

static long sum_flows(const struct reader *r, size_t n_rx)
{
	long sum = 0, v;
	char text[32];

	for (size_t i = 0; i < n_rx; i++) {
		if (!read_text(r, text, sizeof(text), "queues/rx-%zu/rps_flow_cnt", i))
			return WEFT_TUNE_UNKNOWN;
		v = number_in(text);
		if (v < 0)
			return WEFT_TUNE_UNKNOWN;
		sum += v;
	}
	return n_rx ? sum : WEFT_TUNE_UNKNOWN;
}

static int read_queues(const struct reader *r, struct weft_tune_nic *nic)
{
	nic->n_rx = count_queues(r, "rx");
	nic->n_tx = count_queues(r, "tx");
	nic->rps = read_masks(r, "rx", "rps_cpus", nic->n_rx, &nic->has_rps);
	nic->xps = read_masks(r, "tx", "xps_cpus", nic->n_tx, &nic->has_xps);
	nic->flows = sum_flows(r, nic->n_rx);
	return (nic->n_rx && !nic->rps) || (nic->n_tx && !nic->xps) ? -ENOMEM : 0;
}

/* ---- interrupts ---- */

/* A virtio device's interrupts and node are those of what it sits on. */
static const char *below_of(const struct reader *r)
{
	char device[64];

	return read_link(r, device, sizeof(device), "device") && strncmp(device, "virtio", 6) == 0
		       ? "device/.."
		       : "device";
}

/* Is `number` listed as one of the device's? `*ret_list`: there is such a list. */
static bool listed(const struct reader *r, const char *below, unsigned number, bool *ret_list)
{
	DIR *dir = open_dir(r, "%s/msi_irqs", below);
	char text[32];
	struct dirent *e;
	bool yes = false;

	*ret_list = dir != NULL;
	snprintf(text, sizeof(text), "%u", number);
	while (dir && !yes && (e = readdir(dir)) != NULL)
		yes = strcmp(e->d_name, text) == 0;
	if (dir)
		closedir(dir);
	return yes;
}

/* Drivers name an interrupt as they like; those that are not for packets say so. */
static bool for_queues(const struct reader *r, const char *name)
{
	static const char *const words[] = {"rx",    "tx",   "input", "output", "comp",
					    "queue", "ntfy", "-fp-",  "_q",     "-q"};
	size_t len = strlen(r->name);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasestr(name, words[i]))
			return true;
	return strncmp(name, r->name, len) == 0 &&
	       (!name[len] || (name[len] == '-' && isdigit((unsigned char)name[len + 1])));
}

/* "  38:  0  3782  PCI-MSIX-0000:00:03.0  1-edge  virtio2-input.0": number and last word. */
static bool parse_irq_line(char *line, unsigned *ret_number, const char **ret_name)
{
	char *end;
	unsigned long v = strtoul(line, &end, 10);
	size_t len = strlen(line);

	if (end == line || *end != ':' || v > INT32_MAX)
		return false;
	while (len && isspace((unsigned char)line[len - 1]))
		line[--len] = '\0';
	*ret_number = (unsigned)v;
	*ret_name = line + len;
	while (*ret_name > end + 1 && !isspace((unsigned char)(*ret_name)[-1]))
		(*ret_name)--;
	return true;
}

static void read_irq(const struct reader *r, unsigned number, const char *name,
		     struct weft_tune_irq *ret_irq)
{
	struct weft_tune_irq irq = {.number = number};
	char text[WEFT_CPUS_LIST_LEN];

	snprintf(irq.name, sizeof(irq.name), "%s", name);
	if (read_text(r, text, sizeof(text), "/proc/irq/%u/smp_affinity_list", number))
		(void)!weft_cpus_parse(text, strlen(text), &irq.allowed);
	if (read_text(r, text, sizeof(text), "/proc/irq/%u/effective_affinity_list", number))
		(void)!weft_cpus_parse(text, strlen(text), &irq.runs);
	if (!weft_cpus_count(&irq.runs) && weft_cpus_count(&irq.allowed) == 1)
		irq.runs = irq.allowed;
	*ret_irq = irq;
}

static int read_irqs(const struct reader *r, const char *below, struct weft_tune_nic *nic)
{
	FILE *file = open_file(r, "/proc/interrupts");
	size_t len = strlen(r->name), cap = 0;
	const char *name;
	char *line = NULL;
	unsigned number;
	bool list;
	int rc = 0;

	while (file && !rc && nic->n_irqs < WEFT_TUNE_MAX_IRQS && getline(&line, &cap, file) > 0) {
		struct weft_tune_irq *v;

		if (!parse_irq_line(line, &number, &name) ||
		    (!listed(r, below, number, &list) &&
		     (list || strncmp(name, r->name, len) != 0)) ||
		    !for_queues(r, name))
			continue;
		v = reallocarray(nic->irqs, nic->n_irqs + 1, sizeof(*v));
		if (v) {
			nic->irqs = v;
			read_irq(r, number, name, &v[nic->n_irqs++]);
		} else {
			rc = -ENOMEM;
		}
	}
	free(line);
	if (file)
		fclose(file);
	return rc;
}

/* ---- interfaces ---- */

static int read_nic(const char *root, const char *name, struct weft_tune_nic *ret_nic)
{
	const struct reader r = {.root = root, .name = name};
	struct weft_tune_nic nic = {
		.threaded = WEFT_TUNE_UNKNOWN,
		.gro = WEFT_TUNE_UNKNOWN,
		.gso = WEFT_TUNE_UNKNOWN,
		.tso = WEFT_TUNE_UNKNOWN,
		.udp_gro_forwarding = WEFT_TUNE_UNKNOWN,
		.gro_list = WEFT_TUNE_UNKNOWN,
		.channels = WEFT_TUNE_UNKNOWN,
		.max_channels = WEFT_TUNE_UNKNOWN,
	};
	const char *below = below_of(&r);
	char text[WEFT_CPUS_LIST_LEN];
	int rc;

	snprintf(nic.name, sizeof(nic.name), "%s", name);
	nic.hardware = read_link(&r, text, sizeof(text), "device");
	(void)read_link(&r, nic.driver, sizeof(nic.driver), "device/driver");
	if (read_text(&r, text, sizeof(text), "threaded"))
		nic.threaded = number_in(text);
	if (nic.hardware && read_text(&r, text, sizeof(text), "%s/local_cpulist", below))
		(void)!weft_cpus_parse(text, strlen(text), &nic.local);
	rc = read_queues(&r, &nic);
	if (!rc && nic.hardware)
		rc = read_irqs(&r, below, &nic);
	if (rc) {
		free(nic.rps);
		free(nic.xps);
		free(nic.irqs);
		return rc;
	}
	*ret_nic = nic;
	return 0;
}

static int add_nic(const char *root, const char *name, struct weft_tune_facts *facts)
{
	struct weft_tune_nic *v;
	int rc;

	for (size_t i = 0; i < facts->n_nics; i++)
		if (strcmp(facts->nics[i].name, name) == 0)
			return 0;
	if (facts->n_nics == WEFT_TUNE_MAX_NICS)
		return WEFT_E_LIMIT;
	v = reallocarray(facts->nics, facts->n_nics + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	facts->nics = v;
	rc = read_nic(root, name, &v[facts->n_nics]);
	facts->n_nics += rc == 0;
	return rc;
}

/* Interfaces still to be looked at, and those that were; each once. */
struct links {
	char v[MAX_LINKS][WEFT_TUNE_NAME_LEN];
	bool leaf[MAX_LINKS], hardware[MAX_LINKS];
	size_t n;
};

static void note_link(struct links *links, const char *name)
{
	for (size_t i = 0; i < links->n; i++)
		if (strcmp(links->v[i], name) == 0)
			return;
	if (links->n < MAX_LINKS && strlen(name) < WEFT_TUNE_NAME_LEN)
		snprintf(links->v[links->n++], WEFT_TUNE_NAME_LEN, "%s", name);
}

/* sysfs links an interface to each one below it as lower_NAME. */
static bool note_lower(const struct reader *r, struct links *links)
{
	static const char prefix[] = "lower_";
	DIR *dir = open_dir(r, ".");
	struct dirent *e;
	bool any = false;

	while (dir && (e = readdir(dir)) != NULL) {
		if (strncmp(e->d_name, prefix, sizeof(prefix) - 1) != 0)
			continue;
		note_link(links, e->d_name + sizeof(prefix) - 1);
		any = true;
	}
	if (dir)
		closedir(dir);
	return any;
}

int weft_tune_add_carriers(const char *root, const char *name, struct weft_tune_facts *facts)
{
	struct links links = {.n = 0};
	bool hardware = false;
	char text[64];
	int rc = 0;

	note_link(&links, name);
	for (size_t i = 0; i < links.n; i++) {
		const struct reader r = {.root = root, .name = links.v[i]};

		links.leaf[i] = !note_lower(&r, &links);
		links.hardware[i] = links.leaf[i] && read_link(&r, text, sizeof(text), "device");
		hardware |= links.hardware[i];
	}
	for (size_t i = 0; i < links.n && !rc; i++)
		if (hardware ? links.hardware[i] : links.leaf[i])
			rc = add_nic(root, links.v[i], facts);
	return rc;
}
