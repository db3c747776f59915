/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The UAPI backend: devices that have a socket in WEFT_UAPI_DIR. One request per connection, as wg
 * does it. Blocks until the device answers.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "conf/uapi.h"
#include "control/backend.h"
#include "control/device.h"

#define SUFFIX           ".sock"
#define IFNAME_SIZE      16 /* with the NUL, as the kernel has it */
#define READ_BYTES       (64u * 1024)
#define MAX_ANSWER_BYTES (1u << 30)

static const char *uapi_dir = WEFT_UAPI_DIR;

void weft_control_uapi_dir(const char *dir)
{
	uapi_dir = dir ? dir : WEFT_UAPI_DIR;
}

/* What may be an interface's name here; it also goes to terminals and into JSON. */
static bool is_name(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~' || name[i] == '/')
			return false;
	return len > 0 && len < IFNAME_SIZE;
}

/* Where the socket of `name` is. 0 or -ENODEV: it cannot be one. */
static int address_of(const char *name, struct sockaddr_un *ret)
{
	int n;

	if (!is_name(name, strlen(name)))
		return -ENODEV;
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	n = snprintf(ret->sun_path, sizeof(ret->sun_path), "%s/%s" SUFFIX, uapi_dir, name);
	return n < 0 || (size_t)n >= sizeof(ret->sun_path) ? -ENODEV : 0;
}

/* A connection, or -ENOENT, -ECONNREFUSED or another negated errno. */
static int dial(const struct sockaddr_un *addr)
{
	struct stat st;
	int fd, rc;

	if (lstat(addr->sun_path, &st))
		return errno == ENOTDIR ? -ENOENT : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOENT;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

/* A connection, or -ENODEV: nobody is there. A socket that refuses is removed, as wg does. */
static int connect_to(const char *name)
{
	struct sockaddr_un addr;
	int rc = address_of(name, &addr);

	if (rc)
		return rc;
	rc = dial(&addr);
	if (rc == -ECONNREFUSED)
		unlink(addr.sun_path);
	return rc == -ECONNREFUSED || rc == -ENOENT ? -ENODEV : rc;
}

int weft_control_daemon(const char *name, pid_t *ret_pid)
{
	struct ucred cred = {0};
	socklen_t len = sizeof(cred);
	struct sockaddr_un addr;
	int fd = address_of(name, &addr) ? -ENOENT : dial(&addr), rc = 0;

	if (fd < 0)
		return fd;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		rc = -errno;
	close(fd);
	if (!rc)
		*ret_pid = cred.pid;
	return rc;
}

static int send_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Reads up to and with the empty line that ends an answer. */
static int read_answer(int fd, struct weft_text *answer)
{
	static char buf[READ_BYTES];
	int rc = 0;

	while (!rc && (answer->len < 2 || memcmp(answer->p + answer->len - 2, "\n\n", 2) != 0)) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			rc = -errno;
		else if (n == 0 || answer->len + (size_t)n > MAX_ANSWER_BYTES)
			rc = WEFT_E_PROTOCOL;
		else
			rc = weft_text_append(answer, buf, (size_t)n);
	}
	weft_wipe(buf, sizeof(buf));
	return rc;
}

/* Sends a request and parses the answer into `ret_dev`. */
static int ask(const char *name, const char *request, size_t len, struct weft_conf_device *ret_dev)
{
	struct weft_text answer = {0};
	int fd = connect_to(name), sent, rc;

	if (fd < 0)
		return fd;
	/* A device may answer a bad request and hang up before it has read all of it. */
	sent = send_all(fd, request, len);
	rc = read_answer(fd, &answer);
	close(fd);
	if (!rc)
		rc = weft_uapi_parse_get(answer.p, answer.len, ret_dev);
	else if (sent)
		rc = sent;
	weft_text_clear(&answer);
	return rc;
}

static int uapi_get(const char *name, struct weft_conf_device *ret_dev)
{
	static const char request[] = "get=1\n\n";

	return ask(name, request, sizeof(request) - 1, ret_dev);
}

static int uapi_set(const char *name, const struct weft_conf_device *change)
{
	struct weft_conf_device nothing = {0};
	struct weft_text request = {0};
	int rc = weft_uapi_write_set(&request, change);

	if (!rc)
		rc = ask(name, request.p, request.len, &nothing);
	weft_conf_device_clear(&nothing);
	weft_text_clear(&request);
	return rc;
}

static int uapi_list(struct weft_names *names)
{
	DIR *dir = opendir(uapi_dir);
	const struct dirent *e;
	int rc = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while (!rc && (e = readdir(dir))) {
		size_t len = strlen(e->d_name), cut = sizeof(SUFFIX) - 1;
		char name[IFNAME_SIZE];
		int fd;

		if (len <= cut || len - cut >= IFNAME_SIZE ||
		    strcmp(e->d_name + len - cut, SUFFIX) != 0)
			continue;
		memcpy(name, e->d_name, len - cut);
		name[len - cut] = '\0';
		fd = connect_to(name);
		if (fd < 0)
			continue;
		close(fd);
		rc = weft_names_add(names, name, len - cut);
	}
	closedir(dir);
	return rc;
}

const struct weft_control_backend weft_control_uapi = {
	.name = "userspace",
	.list = uapi_list,
	.get = uapi_get,
	.set = uapi_set,
};
