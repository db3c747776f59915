/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The UAPI server among clients that stall, dribble, read slowly, flood and vanish. Server and
 * clients share this one thread: whatever blocks would hang the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/uapi_server_internal.h"

#define IDLE_MS 40

static char dir[] = "/tmp/weft-uapi-XXXXXX";
static struct weft_uapi_server *server;
static unsigned gets, sets;
static size_t answer_bytes;
static int get_rc, set_rc;
static struct weft_conf_device last;

static int on_get(void *ctx, struct weft_text *out)
{
	assert_ptr_equal(ctx, &gets);
	gets++;
	while (out->len < answer_bytes) {
		int rc = weft_text_printf(out, "future_key=%zu\n", out->len);

		if (rc)
			return rc;
	}
	return get_rc;
}

static int on_set(void *ctx, const struct weft_conf_device *change)
{
	assert_ptr_equal(ctx, &gets);
	sets++;
	last.fwmark = change->fwmark;
	last.n_peers = change->n_peers;
	return set_rc;
}

static const struct weft_uapi_handlers handlers = {.ctx = &gets, .get = on_get, .set = on_set};

static void path_of(char *out, size_t len)
{
	snprintf(out, len, "%s/sub/wg0.sock", dir);
}

static int start(int fd)
{
	char sub[64];

	snprintf(sub, sizeof(sub), "%s/sub", dir);
	return weft_uapi_server_new_at(&server, sub, "wg0", fd, IDLE_MS, &handlers);
}

static int setup(void **state)
{
	(void)state;
	gets = sets = 0;
	answer_bytes = 0;
	get_rc = set_rc = 0;
	return start(-1);
}

static int teardown(void **state)
{
	(void)state;
	weft_uapi_server_free(server);
	server = NULL;
	return 0;
}

static int client(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	path_of(addr.sun_path, sizeof(addr.sun_path));
	assert_int_equal(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Runs the server for as long as it says that there is something to do. */
static int run(void)
{
	struct pollfd p = {.fd = weft_uapi_server_fd(server), .events = POLLIN};
	int rc = 0;

	for (unsigned i = 0; !rc && poll(&p, 1, 0) == 1; i++) {
		rc = weft_uapi_server_run(server);
		if (i > 100000)
			fail_msg("the server never comes to rest");
	}
	return rc;
}

/* What the server has sent so far. -1: it has hung up. */
static ssize_t hear(int fd, char *out, size_t len)
{
	size_t got = 0;

	for (;;) {
		ssize_t n = recv(fd, out + got, len - 1 - got, 0);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			if (!got)
				return -1;
			break;
		}
		got += (size_t)n;
	}
	out[got] = '\0';
	return (ssize_t)got;
}

static void expect(int fd, const char *text)
{
	char buf[4096];

	assert_int_equal(run(), 0);
	assert_true(hear(fd, buf, sizeof(buf)) >= 0);
	assert_string_equal(buf, text);
}

static void expect_gone(int fd)
{
	char buf[64];

	assert_int_equal(run(), 0);
	assert_int_equal(hear(fd, buf, sizeof(buf)), -1);
	close(fd);
}

static void operations(void **state)
{
	int fd = client();

	(void)state;
	gets = sets = 0;
	say(fd, "get=1\n\n");
	expect(fd, "errno=0\n\n");
	say(fd, "set=1\nfwmark=7\n\nget=1\n\nset=1\n\n"); /* pipelined */
	expect(fd, "errno=0\n\nerrno=0\n\nerrno=0\n\n");
	assert_int_equal(gets, 2);
	assert_int_equal(sets, 2);
	set_rc = -EADDRINUSE;
	say(fd, "set=1\n\n");
	expect(fd, "errno=-98\n\n");
	get_rc = -EIO;
	answer_bytes = 1000;
	say(fd, "get=1\n\n");
	expect(fd, "errno=5\n\n"); /* nothing of the half answer, and no sign */
	set_rc = WEFT_E_LIMIT;
	say(fd, "set=1\n\n");
	expect(fd, "errno=-28\n\n");
	close(fd);
	assert_int_equal(run(), 0);
}

static void bad_requests(void **state)
{
	int fd = client();

	(void)state;
	say(fd, "set=1\nfwmark=1\nfwmork=1\n\nset=1\nfwmark\n\nset=1\nfwmark=9\n\n");
	expect(fd, "errno=-22\n\nerrno=-71\n\nerrno=0\n\n");
	assert_int_equal(sets, 1); /* a bad line: nothing of the request is applied */
	assert_int_equal(last.fwmark, 9);
	say(fd,
	    "set=1\npublic_key=0101010101010101010101010101010101010101010101010101010101010101\n"
	    "endpoint=[fe80::1%nosuchif0]:1\n\n");
	expect(fd, "errno=-22\n\n");
	say(fd, "hello\n");
	expect_gone(fd);
	fd = client();
	say(fd, "g");
	assert_int_equal(run(), 0);
	say(fd, "o");
	expect_gone(fd); /* no need to wait for the end of the line */
	fd = client();
	say(fd, "get=1\nx");
	expect(fd, "errno=22\n\n");
	expect_gone(fd);
	fd = client();
	say(fd, "\n");
	expect_gone(fd);
}

static void endless_line(void **state)
{
	static char line[WEFT_UAPI_MAX_LINE + 2];
	int fd = client();

	(void)state;
	memset(line, 'x', sizeof(line) - 1);
	say(fd, "set=1\n");
	say(fd, line);
	expect(fd, "errno=-22\n\n");
	expect_gone(fd);
	assert_int_equal(sets, 0);
}

static void byte_by_byte(void **state)
{
	static const char text[] = "set=1\nfwmark=5\n\nget=1\n\n";
	char buf[64];
	int fd = client();

	(void)state;
	for (size_t i = 0; i + 1 < sizeof(text); i++) {
		assert_int_equal(send(fd, text + i, 1, 0), 1);
		assert_int_equal(run(), 0);
	}
	assert_true(hear(fd, buf, sizeof(buf)) > 0);
	assert_string_equal(buf, "errno=0\n\nerrno=0\n\n");
	close(fd);
}

static void half_close_still_answers(void **state)
{
	int fd = client();

	(void)state;
	say(fd, "get=1\n\nget=1\n\nget=1\n\nget=1\n\nget=1\n\nget=1\n\n");
	shutdown(fd, SHUT_WR);
	expect(fd, "errno=0\n\nerrno=0\n\nerrno=0\n\nerrno=0\n\nerrno=0\n\nerrno=0\n\n");
	expect_gone(fd);
}

/* A client that asks for much and does not read; another one is served meanwhile. */
static void slow_reader(void **state)
{
	static char buf[1 << 16];
	size_t got = 0, want = 2 * (3u << 20);
	int slow = client(), quick = client();

	(void)state;
	answer_bytes = 3u << 20;
	say(slow, "get=1\n\nget=1\n\n");
	assert_int_equal(run(), 0);
	assert_int_equal(gets, 1); /* the second one waits until the first is read */
	answer_bytes = 0;
	say(quick, "get=1\n\n");
	expect(quick, "errno=0\n\n");
	answer_bytes = 3u << 20;
	for (unsigned i = 0; got < want && i < 10000; i++) {
		ssize_t n = hear(slow, buf, sizeof(buf));

		assert_true(n >= 0);
		got += (size_t)n;
		assert_int_equal(run(), 0);
	}
	assert_true(got >= want);
	assert_int_equal(gets, 3);
	close(slow);
	close(quick);
	assert_int_equal(run(), 0);
}

static void vanishing(void **state)
{
	(void)state;
	answer_bytes = 3u << 20;
	for (int i = 0; i < 20; i++) {
		int fd = client();

		say(fd, i % 2 ? "get=1\n\nget=1\n\n" : "set=1\nfwmark=");
		if (i % 3 == 0)
			assert_int_equal(run(), 0);
		close(fd);
		assert_int_equal(run(), 0);
	}
	answer_bytes = 0;
	operations(state);
}

/* Half a request, or an unread answer, is let go after the idle time; a quiet client is not. */
static void idle(void **state)
{
	struct pollfd p = {.fd = weft_uapi_server_fd(server), .events = POLLIN};
	int half = client(), deaf = client(), quiet = client();
	char buf[64];

	(void)state;
	answer_bytes = 3u << 20;
	say(half, "set=1\nfwmark=1\n");
	say(deaf, "get=1\n\n");
	assert_int_equal(run(), 0);
	for (int i = 0; i < 100; i++) {
		struct pollfd gone = {.fd = half, .events = POLLIN};

		if (poll(&gone, 1, 0) == 1)
			break;
		assert_int_equal(poll(&p, 1, 5000), 1);
		assert_int_equal(weft_uapi_server_run(server), 0);
	}
	assert_int_equal(hear(half, buf, sizeof(buf)), -1);
	answer_bytes = 0;
	say(quiet, "get=1\n\n");
	for (int i = 0; i < 100 && send(deaf, "x", 1, MSG_NOSIGNAL) == 1; i++) {
		assert_int_equal(poll(&p, 1, 5000), 1);
		assert_int_equal(weft_uapi_server_run(server), 0);
	}
	assert_int_equal(send(deaf, "x", 1, MSG_NOSIGNAL), -1);
	expect(quiet, "errno=0\n\n");
	close(half);
	close(deaf);
	close(quiet);
}

static void more_clients_than_slots(void **state)
{
	int fds[WEFT_UAPI_MAX_CLIENTS + 10], fd;
	size_t n = sizeof(fds) / sizeof(fds[0]);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		fds[i] = client();
		say(fds[i], "set=1\n");
		assert_int_equal(run(), 0);
	}
	fd = client();
	say(fd, "get=1\n\n");
	expect(fd, "errno=0\n\n");
	close(fd);
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
	assert_int_equal(run(), 0);
}

static void the_file(void **state)
{
	char path[128], away[128];
	struct weft_uapi_server *first = server;
	struct stat st;

	(void)state;
	path_of(path, sizeof(path));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(start(-1), WEFT_E_IN_USE);
	server = first;
	assert_int_equal(run(), 0);
	assert_int_equal(chmod(path, 0770), 0); /* an attribute alone is no removal */
	assert_int_equal(run(), 0);
	snprintf(away, sizeof(away), "%s/sub/away", dir);
	assert_int_equal(rename(path, away), 0);
	assert_int_equal(run(), 1);
	assert_int_equal(rename(away, path), 0);
	assert_int_equal(run(), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(run(), 1);
	/* What somebody else puts in its place is not removed with us. */
	assert_int_equal(start(-1), 0);
	weft_uapi_server_free(first);
	assert_int_equal(stat(path, &st), 0);
	weft_uapi_server_free(server);
	server = NULL;
	assert_int_equal(stat(path, &st), -1);
}

static int listener(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%.107s", path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void stale_and_given_sockets(void **state)
{
	char path[128];
	struct stat st;
	int fd, pair[2];

	(void)state;
	weft_uapi_server_free(server);
	server = NULL;
	path_of(path, sizeof(path));
	close(listener(path)); /* what a killed daemon leaves */
	assert_int_equal(start(-1), 0);
	weft_uapi_server_free(server);
	server = NULL;
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600); /* no socket: not ours to remove */
	close(fd);
	assert_int_equal(start(-1), -EEXIST);
	assert_int_equal(unlink(path), 0);

	fd = listener(path);
	assert_int_equal(start(fd), -EINVAL); /* it does not listen */
	assert_int_equal(listen(fd, 5), 0);
	assert_int_equal(start(fd), 0);
	operations(state);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(run(), 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	weft_uapi_server_free(server);
	server = NULL;
	assert_int_equal(start(pair[0]), -EINVAL);
	assert_int_equal(fcntl(pair[0], F_GETFD), FD_CLOEXEC); /* still the caller's */
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(weft_uapi_server_new_at(&server, dir, "a/b", -1, 1, &handlers), -EINVAL);
	assert_int_equal(weft_uapi_server_new_at(&server, dir, "", -1, 1, &handlers), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(operations, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(endless_line, setup, teardown),
		cmocka_unit_test_setup_teardown(byte_by_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(half_close_still_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(slow_reader, setup, teardown),
		cmocka_unit_test_setup_teardown(vanishing, setup, teardown),
		cmocka_unit_test_setup_teardown(idle, setup, teardown),
		cmocka_unit_test_setup_teardown(more_clients_than_slots, setup, teardown),
		cmocka_unit_test_setup_teardown(the_file, setup, teardown),
		cmocka_unit_test_setup_teardown(stale_and_given_sockets, setup, teardown),
	};
	char sub[64];
	int rc;

	if (!mkdtemp(dir))
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(sub, sizeof(sub), "%s/sub", dir);
	rmdir(sub);
	rmdir(dir);
	return rc;
}
