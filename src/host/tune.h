/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the interfaces that carry a tunnel stand towards the machine's processors: facts in,
 * settings with what would be better and why out (tune.c, pure); reading the facts (tune_read.c);
 * what was changed, remembered (tune_state.c, pure); changing and putting back (tune_apply.c).
 * The advice follows the kernel's Documentation/networking/scaling.rst, napi.rst and
 * admin-guide/sysctl/net.rst. One thread at a time.
 */
#ifndef WEFT_HOST_TUNE_H
#define WEFT_HOST_TUNE_H

#include "conf/device.h"
#include "conf/uapi.h"
#include "util/cpus.h"
#include "util/diag.h"

#define WEFT_TUNE_NAME_LEN    16   /* of an interface, with NUL */
#define WEFT_TUNE_MAX_QUEUES  1024 /* in one direction */
#define WEFT_TUNE_MAX_IRQS    1024 /* of one interface */
#define WEFT_TUNE_MAX_NICS    16
#define WEFT_TUNE_MAX_CHANGES 4096
#define WEFT_TUNE_UNKNOWN     (-1L)

/* ---- facts ---- */

struct weft_tune_irq {
	unsigned number;
	char name[64];
	struct weft_cpus allowed; /* smp_affinity_list */
	struct weft_cpus runs;    /* where it is delivered; none: not known */
};

struct weft_tune_nic {
	char name[WEFT_TUNE_NAME_LEN];
	char driver[32];        /* "": not known */
	bool hardware;          /* it has a device below, and so interrupts of its own */
	struct weft_cpus local; /* of its memory node; none: not known */
	long threaded;          /* NAPI in threads: 0, 1 or unknown */
	struct weft_cpus *rps;  /* of each receive queue */
	bool has_rps;           /* all of them could be read */
	long flows;             /* rps_flow_cnt of all of them */
	size_t n_rx;
	struct weft_cpus *xps; /* of each transmit queue */
	bool has_xps;          /* all of them could be read */
	size_t n_tx;
	struct weft_tune_irq *irqs; /* those of its queues, by number */
	size_t n_irqs;
	/* ethtool(8): 0, 1 or unknown */
	long gro, gso, tso, udp_gro_forwarding, gro_list;
	long channels, max_channels; /* combined; or unknown */
};

struct weft_tune_facts {
	struct weft_cpus online;
	bool irqbalance; /* irqbalance(1) runs */
	/* net.core, or unknown: a namespace has not all of them */
	long rmem_max, wmem_max, max_backlog, budget, flow_entries;
	unsigned long long backlog_drops, squeezes; /* since boot, of all processors */
	char governor[32];                          /* of the first processor; "": none */
	char cpufreq_driver[32];
	/* of weftd's sockets; unknown: not weftd, or not open */
	long rcvbuf, sndbuf, socket_drops;
	long wanted_buf; /* what weftd asks the kernel for; set with the others */
	struct weft_tune_nic *nics;
	size_t n_nics;
};

/* Frees what it has and zeroes it. */
void weft_tune_facts_clear(struct weft_tune_facts *facts);

/* ---- settings ---- */

/* What can be changed. Nothing else is ever written, whatever a state file says. */
enum weft_tune_kind {
	WEFT_TUNE_RPS,     /* /sys/class/net/DEVICE/queues/rx-INDEX/rps_cpus */
	WEFT_TUNE_XPS,     /* /sys/class/net/DEVICE/queues/tx-INDEX/xps_cpus */
	WEFT_TUNE_IRQ,     /* /proc/irq/INDEX/smp_affinity_list */
	WEFT_TUNE_RMEM,    /* /proc/sys/net/core/rmem_max */
	WEFT_TUNE_WMEM,    /* /proc/sys/net/core/wmem_max */
	WEFT_TUNE_BACKLOG, /* /proc/sys/net/core/netdev_max_backlog */
	WEFT_TUNE_KINDS
};

struct weft_tune_target {
	enum weft_tune_kind kind;
	char device[WEFT_TUNE_NAME_LEN]; /* RPS, XPS; else "" */
	unsigned index;                  /* queue or interrupt; else 0 */
};

/* Processors for RPS, XPS and IRQ, else a number. The other one is zero. */
struct weft_tune_value {
	struct weft_cpus cpus;
	unsigned long number;
};

struct weft_tune_row {
	char on[WEFT_TUNE_NAME_LEN]; /* the interface; "host" */
	char setting[32];
	char part[64];    /* "rx-0", "irq 38 eth0-rx-0"; "": there is but one */
	char now[128];    /* for people; long lists are cut */
	char better[128]; /* "": leave it */
	char why[256];    /* "" without a better one */
	bool applies;     /* weft can do it; else it is for hand */
	struct weft_tune_target target;
	struct weft_tune_value value;
};

struct weft_tune_rows {
	struct weft_tune_row *v;
	size_t n, cap;
};
void weft_tune_rows_clear(struct weft_tune_rows *rows);
/* How many have something better; with `applies`, that weft can do. */
size_t weft_tune_rows_better(const struct weft_tune_rows *rows, bool applies);

/* All settings, interface by interface and then the host's. Pure. 0 or -ENOMEM. */
WEFT_MUST_CHECK int weft_tune_judge(const struct weft_tune_facts *facts,
				    struct weft_tune_rows *ret_rows);

/* ---- reading: `root` is "" or a directory that stands for / ---- */

/* The host's part: processors, net.core, governor, irqbalance. What is not there is unknown. */
void weft_tune_read_host(const char *root, struct weft_tune_facts *facts);

/*
 * Adds the interfaces that carry what `name` sends: itself, or what it is made of (ports of a bond
 * or bridge, a VLAN's parent), of which those on hardware count where there are any. What is there
 * already is not added again. 0, -ENOMEM, WEFT_E_LIMIT.
 */
WEFT_MUST_CHECK int weft_tune_add_carriers(const char *root, const char *name,
					   struct weft_tune_facts *facts);

/*
 * All facts of this machine and of the interface `dev`: the routes to its peers' endpoints, the
 * devices that those lead to, and weftd's sockets. No peer with an endpoint that has a route: no
 * interfaces. 0 or negated errno; `ret_facts` is to be cleared by the caller either way.
 */
WEFT_MUST_CHECK int weft_tune_find(const struct weft_conf_device *dev,
				   struct weft_tune_facts *ret_facts);

/* ---- what was changed ---- */

/* A name that the kernel lets an interface have (dev_valid_name), and so no path. */
bool weft_tune_name_valid(const char *name);

struct weft_tune_change {
	struct weft_tune_target target;
	struct weft_tune_value old, new;
};

struct weft_tune_state {
	struct weft_tune_change *v;
	size_t n, cap;
};
void weft_tune_state_clear(struct weft_tune_state *state);

/* The change of this target, or NULL. */
struct weft_tune_change *weft_tune_state_find(const struct weft_tune_state *state,
					      const struct weft_tune_target *target);
/* Appends. 0, -ENOMEM, WEFT_E_LIMIT. */
WEFT_MUST_CHECK int weft_tune_state_add(struct weft_tune_state *state,
					const struct weft_tune_change *change);

/*
 * The file's text, there and back. `diag` gets what is wrong (WEFT_E_PARSE): anything that was not
 * written by format, another interface's file, a device's name that is a path, a value that the
 * setting cannot have. `ret_state` is to be cleared by the caller either way.
 */
WEFT_MUST_CHECK int weft_tune_state_format(const char *ifname, const struct weft_tune_state *state,
					   struct weft_text *ret_text);
WEFT_MUST_CHECK int weft_tune_state_parse(const char *text, size_t len, const char *ifname,
					  struct weft_tune_state *ret_state,
					  struct weft_diag *diag);

/* "rps_cpus" and so on, as in the state file. */
const char *weft_tune_kind_name(enum weft_tune_kind kind);
bool weft_tune_kind_has_cpus(enum weft_tune_kind kind);
bool weft_tune_value_equal(const struct weft_tune_value *a, const struct weft_tune_value *b);
/* For people: "0-3", "none", "212992"; cut to fit. Returns `out`. */
const char *weft_tune_value_text(enum weft_tune_kind kind, const struct weft_tune_value *value,
				 char *out, size_t len);

/* ---- changing ---- */

#define WEFT_TUNE_PATH_LEN 512

/* The file of a target. */
const char *weft_tune_path(const char *root, const struct weft_tune_target *target,
			   char out[WEFT_TUNE_PATH_LEN]);
/* <root>/run/weft/tune/IFNAME.json */
const char *weft_tune_state_path(const char *root, const char *ifname,
				 char out[WEFT_TUNE_PATH_LEN]);

enum weft_tune_outcome {
	WEFT_TUNE_DONE,
	WEFT_TUNE_FAILED,  /* with the code */
	WEFT_TUNE_UNDONE,  /* after a failure: as it was */
	WEFT_TUNE_ALREADY, /* revert: it had the old value */
	WEFT_TUNE_FOREIGN, /* revert: somebody changed it since; left alone */
	WEFT_TUNE_GONE,    /* revert: the device or interrupt is not there any more */
};

/* Called for each target that was dealt with; `value` is what it has now, or would have had. */
typedef void (*weft_tune_told)(void *ctx, const struct weft_tune_target *target,
			       enum weft_tune_outcome outcome, const struct weft_tune_value *value,
			       int rc);

/*
 * Makes all changes of `rows`, the old values remembered first. On a failure what was done is
 * undone and the memory of it too, and the code returned. Old values of an earlier call stay.
 * WEFT_E_PARSE: there is a state file that will not do (`diag`); nothing changed.
 */
WEFT_MUST_CHECK int weft_tune_apply(const char *root, const char *ifname,
				    const struct weft_tune_rows *rows, weft_tune_told told,
				    void *ctx, struct weft_diag *diag);

/*
 * Puts the old values back where the present one is still ours, and forgets them. -ENOENT: nothing
 * was applied. WEFT_E_PARSE as above. Another code: some could not be put back, and only those are
 * remembered still.
 */
WEFT_MUST_CHECK int weft_tune_revert(const char *root, const char *ifname, weft_tune_told told,
				     void *ctx, struct weft_diag *diag);

#endif
