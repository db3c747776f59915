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

int weft_host_run(const char *const *argv, const struct weft_text *input)
{
	posix_spawn_file_actions_t actions;
	int fd = input ? as_file(input) : -1;
	int err, status = 0;
	char **args;
	pid_t pid;

	if (input && fd < 0)
		return fd;
	memcpy(&args, &argv, sizeof(args)); /* posix_spawn changes none of it */
	err = posix_spawn_file_actions_init(&actions);
	if (!err && input)
		err = posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
	if (!err)
		err = posix_spawnp(&pid, argv[0], &actions, NULL, args, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (fd >= 0)
		close(fd);
	if (err)
		return -err;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
