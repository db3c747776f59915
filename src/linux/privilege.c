/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What needs privilege while packets flow, and giving up the rest of it. capabilities(7),
 * prctl(2). Keys' memory is in secmem.c.
 */
#include "linux/privilege.h"

#include <cap-ng.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/prctl.h>

int weft_priv_udp_open(struct weft_udp *ret_udp, uint16_t port, uint32_t fwmark, bool offload)
{
	return weft_udp_open(ret_udp, port, fwmark, offload);
}

int weft_priv_udp_set_fwmark(struct weft_udp *udp, uint32_t fwmark)
{
	return weft_udp_set_fwmark(udp, fwmark);
}

/* Keeps, of what we have, the three; everything else leaves every set. 0 or negated errno. */
static int drop_capabilities(void)
{
	static const unsigned kept[] = {CAP_NET_ADMIN, CAP_NET_BIND_SERVICE, CAP_IPC_LOCK};
	bool have[sizeof(kept) / sizeof(kept[0])];
	capng_select_t what = CAPNG_SELECT_CAPS;

	if (capng_get_caps_process() < 0)
		return -EPERM;
	for (unsigned i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		have[i] = capng_have_capability(CAPNG_PERMITTED, kept[i]);
	/* Shrinking the bounding set takes CAP_SETPCAP. Without it, no_new_privs has to do. */
	if (capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP))
		what = CAPNG_SELECT_BOTH;

	capng_clear(what);
	for (unsigned i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		capng_type_t sets = CAPNG_EFFECTIVE | CAPNG_PERMITTED;

		if (!have[i])
			continue;
		if (what == CAPNG_SELECT_BOTH)
			sets |= CAPNG_BOUNDING_SET;
		if (capng_update(CAPNG_ADD, sets, kept[i]) < 0)
			return -EINVAL;
	}
	if (capng_apply(what) < 0)
		return -EPERM;
	/* Absent before Linux 4.3; nothing can be in the set when the permitted one is this small.
	 */
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return 0;
}

int weft_priv_drop(void)
{
	int err = drop_capabilities();

	if (err < 0)
		return err;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	/* No core dump, and no ptrace by processes of the same user. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	/*
	 * Configuration texts with keys pass through the heap: no page goes to swap. Without the
	 * capability a limit would apply, and later mappings would fail at it.
	 */
	if (capng_have_capability(CAPNG_EFFECTIVE, CAP_IPC_LOCK))
		(void)mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
	return 0;
}
