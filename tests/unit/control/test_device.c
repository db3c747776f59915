/* SPDX-License-Identifier: Apache-2.0 */
/* The client's side: devices that answer, refuse, lie and hang up, as a thread in a temp folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/backend.h"
#include "control/device.h"

static char dir[] = "/tmp/weft-control-XXXXXX";

struct device {
	pthread_t thread;
	int fd;
	size_t read_bytes; /* how much it reads before it answers */
	const char *answer;
	char heard[4096];
};

static void *serve(void *arg)
{
	struct device *d = arg;
	int fd = accept(d->fd, NULL, NULL);
	size_t got = 0;

	while (got < d->read_bytes) {
		ssize_t n = recv(fd, d->heard + got, d->read_bytes - got, 0);

		if (n <= 0)
			break;
		got += (size_t)n;
	}
	if (send(fd, d->answer, strlen(d->answer), MSG_NOSIGNAL) < 0)
		d->heard[0] = '\0';
	close(fd);
	return NULL;
}

static void path_of(char *out, size_t len, const char *name)
{
	snprintf(out, len, "%s/%s.sock", dir, name);
}

static int listener(const char *name)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	path_of(addr.sun_path, sizeof(addr.sun_path), name);
	assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 5), 0);
	return fd;
}

static void start(struct device *d, const char *name)
{
	d->fd = listener(name);
	assert_int_equal(pthread_create(&d->thread, NULL, serve, d), 0);
}

static void stop(struct device *d, const char *name)
{
	char path[128];

	path_of(path, sizeof(path), name);
	pthread_join(d->thread, NULL);
	close(d->fd);
	unlink(path);
}

static const struct {
	const char *answer;
	int rc;
} get_cases[] = {
	{"listen_port=7\nerrno=0\n\n", 0},
	{"errno=-1\n\n", -EPERM},
	{"errno=22\n\n", -EINVAL},
	{"listen_port=7\nerrno=0\n", WEFT_E_PROTOCOL},
	{"", WEFT_E_PROTOCOL},
	{"nonsense\n\n", WEFT_E_PROTOCOL},
};

static void get(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(get_cases) / sizeof(get_cases[0]); i++) {
		struct device d = {.read_bytes = 7, .answer = get_cases[i].answer};
		struct weft_conf_device dev = {0};

		start(&d, "wg0");
		assert_int_equal(weft_control_get(WEFT_BACKEND_USERSPACE, "wg0", &dev),
				 get_cases[i].rc);
		stop(&d, "wg0");
		assert_string_equal(d.heard, "get=1\n\n");
		if (!get_cases[i].rc) {
			assert_string_equal(dev.name, "wg0");
			assert_int_equal(dev.listen_port, 7);
		}
		weft_conf_device_clear(&dev);
	}
}

static void set(void **state)
{
	struct weft_conf_device change = {.has = WEFT_DEVICE_HAS_FWMARK, .fwmark = 5};
	struct device d = {.read_bytes = 16, .answer = "errno=-98\n\n"};
	struct weft_conf_peer *p = NULL;

	(void)state;
	start(&d, "wg0");
	assert_int_equal(weft_control_set(WEFT_BACKEND_USERSPACE, "wg0", &change), -EADDRINUSE);
	stop(&d, "wg0");
	assert_string_equal(d.heard, "set=1\nfwmark=5\n\n");

	/* It answers after the first bytes and hangs up while we still send. */
	for (int i = 0; i < 20000; i++)
		assert_int_equal(weft_conf_add_peer(&change, &p), 0);
	d = (struct device){.read_bytes = 16, .answer = "errno=-22\n\n"};
	start(&d, "wg0");
	assert_true(weft_control_set(WEFT_BACKEND_USERSPACE, "wg0", &change) < 0);
	stop(&d, "wg0");
	weft_conf_device_clear(&change);
}

static void nobody(void **state)
{
	struct weft_conf_device dev = {0};
	char path[128], **names = NULL;
	size_t n = 9;
	int fd;

	(void)state;
	assert_int_equal(weft_control_get(WEFT_BACKEND_USERSPACE, "nosuch", &dev), -ENODEV);
	assert_int_equal(weft_control_get(WEFT_BACKEND_USERSPACE, "", &dev), -ENODEV);
	assert_int_equal(weft_control_get(WEFT_BACKEND_USERSPACE, "../x", &dev), -ENODEV);
	assert_int_equal(weft_control_get(WEFT_BACKEND_USERSPACE, "abcdefghijklmnop", &dev),
			 -ENODEV);
	path_of(path, sizeof(path), "stale");
	close(listener("stale"));
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(weft_control_set(WEFT_BACKEND_USERSPACE, "stale", &dev), -ENODEV);
	assert_int_equal(access(path, F_OK), -1);
	close(listener("stale"));
	fd = listener("wg9");
	assert_int_equal(weft_control_list(WEFT_BACKEND_USERSPACE, &names, &n), 0);
	assert_int_equal(n, 1);
	assert_string_equal(names[0], "wg9");
	free(names[0]);
	free(names);
	assert_int_equal(access(path, F_OK), -1);
	close(fd);
	path_of(path, sizeof(path), "wg9");
	unlink(path);
	weft_control_uapi_dir("/nonexistent");
	assert_int_equal(weft_control_list(WEFT_BACKEND_USERSPACE, &names, &n), 0);
	assert_int_equal(n, 0);
	weft_control_uapi_dir(dir);
}

static void backend_names(void **state)
{
	enum weft_backend b = WEFT_BACKEND_KERNEL;

	(void)state;
	assert_int_equal(weft_backend_parse("auto", 4, &b), 0);
	assert_int_equal(b, WEFT_BACKEND_AUTO);
	assert_int_equal(weft_backend_parse("userspace", 9, &b), 0);
	assert_int_equal(b, WEFT_BACKEND_USERSPACE);
	assert_int_equal(weft_backend_parse("kernel", 6, &b), 0);
	assert_int_equal(b, WEFT_BACKEND_KERNEL);
	assert_int_equal(weft_backend_parse("Auto", 4, &b), -EINVAL);
	assert_int_equal(weft_backend_parse("", 0, &b), -EINVAL);
	assert_int_equal(b, WEFT_BACKEND_KERNEL);
}

/* With the kernel that is here, whether it has WireGuard or not: nothing of the kind is asked. */
static void not_the_kernels(void **state)
{
	static const enum weft_backend asked[] = {WEFT_BACKEND_AUTO, WEFT_BACKEND_KERNEL};
	struct weft_conf_device dev = {0};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(weft_control_get(asked[i], "weft-nosuch", &dev), -ENODEV);
		assert_int_equal(weft_control_set(asked[i], "weft-nosuch", &dev), -ENODEV);
		assert_int_equal(weft_control_get(asked[i], "", &dev), -ENODEV);
		assert_int_equal(weft_control_get(asked[i], "weft-of-16-bytes", &dev), -ENODEV);
		assert_int_equal(weft_control_get(asked[i], "lo", &dev), -EOPNOTSUPP);
		assert_int_equal(weft_control_set(asked[i], "lo", &dev), -EOPNOTSUPP);
	}
}

/* Who serves a socket; one that nobody does stays where it is. */
static void daemons(void **state)
{
	char path[128];
	pid_t pid = 0;
	int fd = listener("wg0");

	(void)state;
	path_of(path, sizeof(path), "wg0");
	assert_int_equal(weft_control_daemon("wg0", &pid), 0);
	assert_int_equal(pid, getpid());
	close(fd);
	pid = 1;
	for (int i = 0; i < 2; i++)
		assert_int_equal(weft_control_daemon("wg0", &pid), -ECONNREFUSED);
	assert_int_equal(pid, 1);
	unlink(path);
	assert_int_equal(weft_control_daemon("wg0", &pid), -ENOENT);
	assert_int_equal(weft_control_daemon("../wg0", &pid), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(get),
		cmocka_unit_test(set),
		cmocka_unit_test(nobody),
		cmocka_unit_test(backend_names),
		cmocka_unit_test(not_the_kernels),
		cmocka_unit_test(daemons),
	};
	int rc;

	if (!mkdtemp(dir))
		return 1;
	weft_control_uapi_dir(dir);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return rc;
}
