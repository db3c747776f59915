/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Giving up privilege, each time in a child: what is left, and what cannot be done any more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cap-ng.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "linux/privilege.h"
#include "netns.h"

#define KEPT (1ull << CAP_NET_ADMIN | 1ull << CAP_NET_BIND_SERVICE | 1ull << CAP_IPC_LOCK)

static unsigned long long status_hex(const char *key)
{
	FILE *f = fopen("/proc/self/status", "r");
	unsigned long long v = ~0ull;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0)
			v = strtoull(line + strlen(key), NULL, 16);
	if (f)
		fclose(f);
	return v;
}

/* Returns 0, or the number of the first thing that is not as it should be. */
static int check_dropped(unsigned long long permitted)
{
	if (status_hex("CapPrm:") != permitted || status_hex("CapEff:") != permitted)
		return 10;
	if (status_hex("CapInh:") != 0 || status_hex("CapAmb:") != 0)
		return 11;
	if (status_hex("NoNewPrivs:") != 1)
		return 12;
	if (prctl(PR_GET_DUMPABLE) != 0)
		return 13;
	return 0;
}

static int child_root(void)
{
	unsigned long long before = status_hex("CapPrm:");
	struct weft_udp udp;
	int r;

	if (weft_priv_drop() != 0)
		return 1;
	r = check_dropped(before & KEPT);
	if (r)
		return r;
	if (status_hex("CapBnd:") & ~KEPT)
		return 2;
	/* What packets need still works: a low port, a mark. */
	if (weft_priv_udp_open(&udp, 123, 0, true) != 0)
		return 3;
	if (weft_priv_udp_set_fwmark(&udp, 7) != 0)
		return 4;
	weft_udp_close(&udp);
	/* And the rest does not. */
	if (mount("none", "/tmp", "tmpfs", 0, NULL) == 0)
		return 5;
	if (socket(AF_INET, SOCK_RAW, 1) >= 0)
		return 6;
	return weft_priv_drop() == 0 ? check_dropped(before & KEPT) : 7;
}

static int child_poor(void)
{
	capng_clear(CAPNG_SELECT_CAPS);
	capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_IPC_LOCK);
	if (capng_apply(CAPNG_SELECT_CAPS) < 0)
		return 1;
	if (weft_priv_drop() != 0)
		return 2;
	return check_dropped(1ull << CAP_IPC_LOCK);
}

static int child_nothing(void)
{
	capng_clear(CAPNG_SELECT_CAPS);
	if (capng_apply(CAPNG_SELECT_CAPS) < 0)
		return 1;
	if (weft_priv_drop() != 0)
		return 2;
	return check_dropped(0);
}

static void in_child(int (*f)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(f());
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_root(void **state)
{
	(void)state;
	NEEDS_NETNS();
	in_child(child_root);
}

static void test_few_or_none(void **state)
{
	(void)state;
	NEEDS_NETNS();
	in_child(child_poor);
	in_child(child_nothing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_root),
		cmocka_unit_test(test_few_or_none),
	};

	return cmocka_run_group_tests(tests, enter_netns, NULL);
}
