/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at an interface's surroundings. proc(5) for the daemon's start. */
#include "host/look.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control/device.h"
#include "host/fence_nft.h"
#include "host/file.h"
#include "host/rundir.h"
#include "linux/ifconf.h"

#define MAX_ADDRESSES 4096

/* The name of a process, and when it was started: the 22nd field of its stat, after "(name)". */
static void look_at_process(pid_t pid, struct weft_host_look *ret)
{
	struct weft_text text = {0};
	char path[64];
	struct timespec boot;
	const char *from, *end;
	unsigned long long ticks;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (weft_file_read(path, O_NOFOLLOW, 4096, &text) || weft_text_append(&text, "", 1)) {
		weft_text_clear(&text);
		return;
	}
	from = strchr(text.p, '(');
	end = strrchr(text.p, ')');
	if (from && end && end > from)
		(void)snprintf(ret->program, sizeof(ret->program), "%.*s", (int)(end - from - 1),
			       from + 1);
	for (char *c = ret->program; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	if (end &&
	    sscanf(end + 1,
		   " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
		   "%*s %*s %*s %llu",
		   &ticks) == 1 &&
	    clock_gettime(CLOCK_BOOTTIME, &boot) == 0) {
		uint64_t age = (uint64_t)boot.tv_sec;
		uint64_t began = ticks / (uint64_t)sysconf(_SC_CLK_TCK);

		age = age > began ? age - began : 0;
		ret->since = (uint64_t)time(NULL) - age;
	}
	weft_text_clear(&text);
}

static int on_address(void *ctx, const struct weft_prefix *p)
{
	struct weft_host_look *look = ctx;

	if (look->n_addresses == MAX_ADDRESSES)
		return 0;
	if (look->n_addresses == look->cap_addresses) {
		size_t cap = look->cap_addresses ? look->cap_addresses * 2 : 4;
		struct weft_prefix *v = reallocarray(look->addresses, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		look->addresses = v;
		look->cap_addresses = cap;
	}
	look->addresses[look->n_addresses++] = *p;
	return 0;
}

static int look_at_link(const char *ifname, struct weft_host_look *ret)
{
	const struct weft_ifconf_seen seen = {.address = on_address, .ctx = ret};
	struct weft_ifconf *conf = NULL;
	char path[64];
	int rc = weft_ifconf_open(&conf, ifname);

	if (rc)
		return rc == -ENOMEM ? rc : 0;
	ret->link = weft_ifconf_link(conf, &ret->up, &ret->mtu) == 0;
	if (ret->link)
		rc = weft_ifconf_read(conf, &seen);
	weft_ifconf_close(conf);
	(void)snprintf(path, sizeof(path), "/sys/class/net/%s/tun_flags", ifname);
	ret->tun = access(path, F_OK) == 0;
	return rc == -ENOMEM ? rc : 0;
}

/* 1, 0 or -1: not known. */
static int look_at_kill_switch(const char *ifname)
{
	struct weft_fence fence = {0};
	int rc = weft_fence_observe(ifname, &fence);
	int yes = fence.kill_switch;

	weft_fence_clear(&fence);
	return rc ? -1 : yes;
}

int weft_host_look_around(const char *ifname, struct weft_host_look *ret)
{
	struct weft_text text = {0};
	char path[64];
	int rc;

	ret->daemon_rc = weft_control_daemon(ifname, &ret->pid);
	if (!ret->daemon_rc && ret->pid)
		look_at_process(ret->pid, ret);
	rc = look_at_link(ifname, ret);
	if (rc)
		return rc;
	ret->kill_switch = look_at_kill_switch(ifname);
	(void)snprintf(path, sizeof(path), WEFT_HOST_RUN_DIR "/%s/endpoints.json", ifname);
	rc = weft_file_read(path, O_NOFOLLOW, WEFT_NOTE_MAX_BYTES, &text);
	if (!rc && weft_notes_parse(text.p, text.len, &ret->notes))
		weft_notes_clear(&ret->notes);
	weft_text_clear(&text);
	return 0;
}

void weft_host_look_clear(struct weft_host_look *look)
{
	free(look->addresses);
	weft_notes_clear(&look->notes);
	*look = (struct weft_host_look){0};
}
