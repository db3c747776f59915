/* SPDX-License-Identifier: Apache-2.0 */
/* What `weft up` and its like share: a job of host/job.h, and what people hear of it. */
#include <errno.h>
#include <signal.h>

#include "cli/cli.h"

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	stopped = number;
}

void weft_cli_catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

bool weft_cli_stopped(void)
{
	return stopped != 0;
}

static bool is_stopped(void *ctx)
{
	(void)ctx;
	return weft_cli_stopped();
}

static void step(void *ctx, const char *line)
{
	(void)ctx;
	fprintf(stderr, "[#] %s\n", line);
}

static void warn(void *ctx, const char *line)
{
	(void)ctx;
	fprintf(stderr, "Warning: %s\n", line);
}

static int resolve(void *ctx, struct weft_quick *quick)
{
	struct weft_cli_quick *q = ctx;
	struct weft_conf_device dev = {0};
	bool there = weft_control_get(q->cli->backend, q->name, &dev) == 0;
	bool ok = weft_cli_resolve_endpoints(q, there ? &dev : NULL);

	(void)quick; /* q's */
	weft_conf_device_clear(&dev);
	return ok ? 0 : -EHOSTUNREACH;
}

void weft_cli_job(struct weft_cli_quick *q, struct weft_host_job *ret)
{
	*ret = (struct weft_host_job){
		.ifname = q->name,
		.path = q->path,
		.quick = &q->conf,
		/* the command line wins over the file, where there is one */
		.backend = q->cli->backend_given ? q->cli->backend : q->conf.backend,
		.keep_kill_switch = (q->options & WEFT_CLI_KEEP_KILL_SWITCH) != 0,
		.step = q->options & WEFT_CLI_VERBOSE ? step : NULL,
		.warn = warn,
		.stopped = is_stopped,
		.resolve = resolve,
		.keep = !q->cli->as_wg_quick,
		.ctx = q,
	};
}

int weft_cli_job_end(const struct weft_host_job *job, int rc)
{
	const struct weft_cli_quick *q = job->ctx;
	char text[1280];

	if (job->diag.message[0])
		weft_cli_error(q->cli, "%s", weft_diag_format(&job->diag, text, sizeof(text)));
	return rc ? 1 : 0;
}
