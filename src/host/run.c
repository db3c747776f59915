/* SPDX-License-Identifier: Apache-2.0 */
/* Other programs: hooks, the daemon, resolvconf. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/host.h"

extern char **environ;

/* A file in memory that holds the text, to be read from its beginning; or a negated errno. */
static int as_file(const struct weft_text *text)
{
	int fd = memfd_create("weft", MFD_CLOEXEC);
	size_t done = 0;

	if (fd < 0)
		return -errno;
	while (done < text->len) {
		ssize_t n = write(fd, text->p + done, text->len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int err = -errno;

			close(fd);
			return err;
		}
		done += (size_t)n;
	}
	if (lseek(fd, 0, SEEK_SET) < 0) {
		close(fd);
		return -EIO;
	}
	return fd;
}

/* `in`, `out`: what is to be standard input and output; -1: as ours. */
static int run(const char *const *argv, int in, int out)
{
	posix_spawn_file_actions_t actions;
	int err, status = 0;
	char **args;
	pid_t pid;

	memcpy(&args, &argv, sizeof(args)); /* posix_spawn changes none of it */
	err = posix_spawn_file_actions_init(&actions);
	if (!err && in >= 0)
		err = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	if (!err && out >= 0)
		err = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	/* its complaints are of no interest where its answer is */
	if (!err && out >= 0)
		err = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null",
						       O_WRONLY, 0);
	if (!err)
		err = posix_spawnp(&pid, argv[0], &actions, NULL, args, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (err)
		return -err;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int read_back(int fd, size_t limit, struct weft_text *out)
{
	char buf[4096];
	int rc = lseek(fd, 0, SEEK_SET) < 0 ? -EIO : 0;
	ssize_t n;

	while (!rc && (n = read(fd, buf, sizeof(buf))) > 0)
		rc = out->len + (size_t)n > limit ? WEFT_E_LIMIT
						  : weft_text_append(out, buf, (size_t)n);
	return rc;
}

int weft_host_run_for(const char *const *argv, size_t limit, struct weft_text *ret_output)
{
	int fd = memfd_create("weft", MFD_CLOEXEC), rc, bad;

	if (fd < 0)
		return -errno;
	rc = run(argv, -1, fd);
	bad = rc < 0 ? 0 : read_back(fd, limit, ret_output);
	close(fd);
	return bad ? bad : rc;
}

int weft_host_run(const char *const *argv, const struct weft_text *input)
{
	int fd = input ? as_file(input) : -1, rc;

	if (input && fd < 0)
		return fd;
	rc = run(argv, fd, -1);
	if (fd >= 0)
		close(fd);
	return rc;
}
