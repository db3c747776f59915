/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the subcommands of `weft` share. One file each; main.c has the table. Called by the name
 * `wg` the program is wg: its usage, its sentences, its exit codes. Called `wg-quick` it is
 * wg-quick.
 */
#ifndef WEFT_CLI_CLI_H
#define WEFT_CLI_CLI_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

#include "conf/device.h"
#include "conf/quick.h"
#include "control/device.h"
#include "host/job.h"

struct weft_cli {
	const char *program; /* "weft", as wg: argv[0], or "wg-quick" */
	bool as_wg;
	bool as_wg_quick;
	enum weft_backend backend; /* --backend */
	bool has_backend;          /* the subcommand has that option */
	bool backend_given;        /* and it was used */
};

/* Whose subcommand it is, beside weft's. */
enum weft_cli_owner { WEFT_CLI_WG, WEFT_CLI_WG_QUICK, WEFT_CLI_WEFT };

struct weft_cli_command {
	const char *name;
	const char *help;                                              /* one line */
	int (*run)(const struct weft_cli *cli, int argc, char **argv); /* argv[0]: the subcommand */
	enum weft_cli_owner owner;
	bool has_backend; /* it talks to interfaces */
	/*
	 * What its words are, for shells to complete: options, which stand anywhere, and then one
	 * entry for each place, separated by spaces. "|" is between what may stand in a place. A
	 * word or an option with "=" takes one of the values after that, separated by ",", as its
	 * next word; with nothing after it there is nothing to offer. "..." repeats the last place.
	 * In capitals: INTERFACE, a running one; CONFIG, an interface's file or its name; PEER, a
	 * peer's key, after an INTERFACE; FILE; DIR. Without --backend and --help.
	 */
	const char *words;
};

extern const struct weft_cli_command weft_cli_commands[]; /* ends with a NULL name */

int weft_cli_show(const struct weft_cli *cli, int argc, char **argv);
int weft_cli_showconf(const struct weft_cli *cli, int argc, char **argv);
int weft_cli_set(const struct weft_cli *cli, int argc, char **argv);
int weft_cli_setconf(const struct weft_cli *cli, int argc, char **argv);
int weft_cli_addconf(const struct weft_cli *cli, int argc, char **argv);
int weft_cli_syncconf(const struct weft_cli *cli, int argc, char **argv);
int weft_cli_up(const struct weft_cli *cli, int argc, char **argv);
int weft_cli_down(const struct weft_cli *cli, int argc, char **argv);
int weft_cli_killswitch(const struct weft_cli *cli, int argc, char **argv);
int weft_cli_reload(const struct weft_cli *cli, int argc, char **argv);
int weft_cli_mtu(const struct weft_cli *cli, int argc, char **argv);
int weft_cli_save(const struct weft_cli *cli, int argc, char **argv);
int weft_cli_strip(const struct weft_cli *cli, int argc, char **argv);
int weft_cli_run(const struct weft_cli *cli, int argc, char **argv);
int weft_cli_keep(const struct weft_cli *cli, int argc, char **argv);
int weft_cli_status(const struct weft_cli *cli, int argc, char **argv);
int weft_cli_doctor(const struct weft_cli *cli, int argc, char **argv);
int weft_cli_tune(const struct weft_cli *cli, int argc, char **argv);
int weft_cli_genkey(const struct weft_cli *cli, int argc, char **argv);
int weft_cli_genpsk(const struct weft_cli *cli, int argc, char **argv);
int weft_cli_pubkey(const struct weft_cli *cli, int argc, char **argv);
int weft_cli_completion(const struct weft_cli *cli, int argc, char **argv);
int weft_cli_import(const struct weft_cli *cli, int argc, char **argv);
int weft_cli_help(const struct weft_cli *cli, int argc, char **argv);
int weft_cli_version(const struct weft_cli *cli, int argc, char **argv);

/* The list of subcommands, as `help` prints it. */
void weft_cli_print_help(const struct weft_cli *cli, FILE *out);

/*
 * True if the subcommand was asked for its usage, or has not between `min` and `max` arguments
 * after its name: then the usage ("Usage: weft <name> <args>") was printed and `*ret_exit` is what
 * to return.
 */
bool weft_cli_usage(const struct weft_cli *cli, int argc, char **argv, int min, int max,
		    const char *args, int *ret_exit);

/* "weft: " and a message to stderr, with a newline. */
void weft_cli_error(const struct weft_cli *cli, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* What was wrong with a text: weft's diagnosis, or wg's sentence. */
void weft_cli_fault(const struct weft_cli *cli, const struct weft_diag *diag,
		    const struct weft_fault *fault);

/* "<what>: <the code's sentence>", as wg's perror has it. Returns 1, for main. */
int weft_cli_failed(const struct weft_cli *cli, const char *what, int rc);
/* The same of an interface that cannot be reached; weft says which. */
int weft_cli_no_access(const struct weft_cli *cli, const char *name, int rc);

/* wg's sentence for a code: strerror, with weft's own codes put among errnos. */
const char *weft_cli_strerror(int rc);

/* weft_control_get of the backend chosen, and the public key if the device did not say it. */
WEFT_MUST_CHECK int weft_cli_get(const struct weft_cli *cli, const char *name,
				 struct weft_conf_device *ret_dev);

/*
 * A key from a file: base64 with white space after it; an empty file is a key of zeros. Prints
 * what is wrong, without a byte of the file. False: printed.
 */
bool weft_cli_read_key(const struct weft_cli *cli, const char *path, struct weft_secret *ret_key);

/*
 * Reads, resolves and checks a configuration file for `argv[2]`. False: what is wrong was printed.
 * `ret` is to be cleared by the caller either way.
 */
bool weft_cli_read_config(const struct weft_cli *cli, const char *path,
			  struct weft_ini_result *ret);

enum weft_cli_quick_option {
	WEFT_CLI_VERBOSE = 1 << 0,          /* -v: each change is printed before it is made */
	WEFT_CLI_DRY_RUN = 1 << 1,          /* --dry-run: changes are printed alone */
	WEFT_CLI_JSON = 1 << 2,             /* --json */
	WEFT_CLI_KEEP_KILL_SWITCH = 1 << 3, /* --keep-kill-switch */
	WEFT_CLI_EXCLUDE = 1 << 4,          /* --exclude, with a list after it */
};

/* A file for wg-quick(8), and what is done with it. */
struct weft_cli_quick {
	const struct weft_cli *cli;
	const char *exclude;            /* --exclude; NULL: none */
	unsigned options;               /* enum weft_cli_quick_option */
	char path[PATH_MAX];            /* where it really is */
	char name[WEFT_QUICK_NAME_LEN]; /* of the interface */
	struct weft_text text;
	struct weft_quick conf; /* after weft_cli_parse_quick */
};
void weft_cli_quick_clear(struct weft_cli_quick *q);

/*
 * Reads the file that wg-quick(8) takes `what` for: /etc/wireguard/NAME.conf, or a path that ends
 * in a name and ".conf". Warns if everybody may get at it. False: what is wrong was printed. `ret`
 * starts zeroed and is to be cleared by the caller either way.
 */
bool weft_cli_read_quick(const struct weft_cli *cli, const char *what, struct weft_cli_quick *ret);

#define WEFT_CLI_QUICK_DIR "/etc/wireguard"

/* An interface that is looked at, and its file, if there is one. */
struct weft_cli_target {
	char name[WEFT_QUICK_NAME_LEN];
	bool has_file;    /* quick.conf is what it says */
	char fault[1280]; /* what is wrong with the file; "" if nothing */
	struct weft_cli_quick quick;
};

/*
 * `what` is an interface, with or without a file in WEFT_CLI_QUICK_DIR, or a file's path. False:
 * what is wrong was printed. `ret` starts zeroed and is to be cleared by the caller either way.
 */
bool weft_cli_find_target(const struct weft_cli *cli, const char *what,
			  struct weft_cli_target *ret);
void weft_cli_target_clear(struct weft_cli_target *t);

/*
 * The interface's name that a file's name or path has in it; it need not be there. False: it has
 * none.
 */
bool weft_cli_quick_name(const char *what, char ret_name[WEFT_QUICK_NAME_LEN]);

/*
 * For up, down and their like: the arguments, with those options that `known` has, the file and
 * what it says. False as above, or `*ret_exit`.
 */
bool weft_cli_open_quick(const struct weft_cli *cli, int argc, char **argv, unsigned known,
			 struct weft_cli_quick *ret, int *ret_exit);

/*
 * Two peers with the same allowed IP: an error, which is printed (false), or, as wg-quick, a
 * warning.
 */
bool weft_cli_check_claims(const struct weft_cli_quick *q);

/* A job for the interface of `q`, whose steps and warnings go to stderr. Borrows `q`. */
void weft_cli_job(struct weft_cli_quick *q, struct weft_host_job *ret);

/* From here on SIGINT and SIGTERM stop the job between two steps. */
void weft_cli_catch_signals(void);
/* One of them came: whoever waits is to give up. */
bool weft_cli_stopped(void);

/* Prints what failed. Returns main's exit code. */
int weft_cli_job_end(const struct weft_host_job *job, int rc);

/*
 * Resolves every name into its peer's endpoint, trying again as WG_ENDPOINT_RESOLUTION_RETRIES
 * says. `source`: where the names were written. False: what is wrong was printed.
 */
bool weft_cli_resolve(const struct weft_cli *cli, const char *source,
		      const struct weft_conf_names *names, struct weft_conf_device *dev);

/* `up`, for a file that has been read. Returns main's exit code. */
int weft_cli_up_quick(struct weft_cli_quick *q);
/* `reload`, the same. */
int weft_cli_reload_quick(struct weft_cli_quick *q);

/* How often a name is tried again (WG_ENDPOINT_RESOLUTION_RETRIES). False: that was printed. */
bool weft_cli_get_retries(const struct weft_cli *cli, unsigned long *ret);

/*
 * The endpoints that the interface is to have, of all that the file has (endpoints.c). `now`: what
 * it is, if it is there; else NULL. False: what is wrong was printed, of a loop too.
 */
bool weft_cli_resolve_endpoints(struct weft_cli_quick *q, const struct weft_conf_device *now);
/* Before anything is there: refuses a numeric endpoint that would be routed into the tunnel. */
bool weft_cli_check_endpoints(struct weft_cli_quick *q);

/* weft_conf_host_bits: wg's warning. */
void weft_cli_warn_host_bits(void *ctx, unsigned line, const char *text, size_t len);

/* Applies a change. Returns main's exit code. */
int weft_cli_apply(const struct weft_cli *cli, const char *name,
		   const struct weft_conf_device *change);

/* Prints a key and a newline to stdout, warning first if everybody may read it. 0 or 1. */
int weft_cli_print_new_key(const struct weft_cli *cli, const struct weft_secret *key);

#endif
