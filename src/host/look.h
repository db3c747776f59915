/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What there is around an interface, for those who only want to see it: who runs it and since when,
 * its link, its addresses, its kill switch, the notes on its endpoints. Changes nothing.
 */
#ifndef WEFT_HOST_LOOK_H
#define WEFT_HOST_LOOK_H

#include <sys/types.h>

#include "conf/quick.h"
#include "host/note.h"

struct weft_host_look {
	int daemon_rc;      /* of weft_control_daemon */
	pid_t pid;          /* of the daemon; 0: not known */
	char program[16];   /* its name, "" if not known */
	uint64_t since;     /* when it was started, seconds since 1970; 0: not known */
	bool link, up, tun; /* there is a link of that name; it is up; it is a TUN */
	uint32_t mtu;       /* bytes */
	struct weft_prefix *addresses;
	size_t n_addresses, cap_addresses;
	int kill_switch;         /* 1: its table is there; 0: it is not; -1: not known */
	struct weft_notes notes; /* none if there is no file, or one that makes no sense */
};

/* 0 or -ENOMEM. `ret` starts zeroed and is cleared by the caller. */
WEFT_MUST_CHECK int weft_host_look_around(const char *ifname, struct weft_host_look *ret);
void weft_host_look_clear(struct weft_host_look *look);

#endif
