/* SPDX-License-Identifier: Apache-2.0 */
/* The datagram to systemd, on an abstract socket; and what is not an address of one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "linux/notify.h"

static void arrives(void **state)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	char path[64], got[32] = "";
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0), n;

	(void)state;
	n = snprintf(path, sizeof(path), "@weft-test-notify-%ld", (long)getpid());
	memcpy(sun.sun_path + 1, path + 1, (size_t)n - 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n)),
			 0);
	assert_int_equal(weft_notify(path, "READY=1"), 0);
	assert_int_equal(recv(fd, got, sizeof(got), MSG_DONTWAIT), 7);
	assert_string_equal(got, "READY=1");
	close(fd);
	assert_int_equal(weft_notify(path, "READY=1"), -ECONNREFUSED);
}

static void nowhere(void **state)
{
	char path[200];

	(void)state;
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[199] = '\0';
	assert_int_equal(weft_notify(NULL, "READY=1"), 0);
	assert_int_equal(weft_notify("", "READY=1"), -EINVAL);
	assert_int_equal(weft_notify("@", "READY=1"), -EINVAL);
	assert_int_equal(weft_notify("relative", "READY=1"), -EINVAL);
	assert_int_equal(weft_notify(path, "READY=1"), -EINVAL);
	assert_int_equal(weft_notify("/nonexistent/socket", "READY=1"), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(arrives), cmocka_unit_test(nowhere)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
