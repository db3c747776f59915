/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network namespace of the test's own, gone with the process. Without root the tests that need
 * it are skipped, and say so.
 */
#ifndef WEFT_TEST_LINUX_NETNS_H
#define WEFT_TEST_LINUX_NETNS_H

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool have_netns;

/* Runs a command line; it must succeed. */
__attribute__((format(printf, 1, 2))) static inline void sh(const char *fmt, ...)
{
	char line[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	assert_true(n > 0 && (size_t)n < sizeof(line));
	n = system(line);
	if (n != 0)
		fail_msg("\"%s\" ended with %d", line, n);
}

static inline bool sh_ok(const char *line)
{
	return system(line) == 0;
}

static inline int enter_netns(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET) < 0) {
		printf("# no network namespace (%s): tests are skipped\n", strerror(errno));
		return 0;
	}
	have_netns = true;
	return system("ip link set lo up");
}

#define NEEDS_NETNS()            \
	do {                     \
		if (!have_netns) \
			skip();  \
	} while (0)

#endif
