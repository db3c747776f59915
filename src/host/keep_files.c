/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper's files, and starting and ending it from outside. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host/file.h"
#include "host/keep_internal.h"

#define STOP_TRIES 200
#define STOP_NS    10000000

int weft_keep_path(char out[WEFT_KEEP_PATH_LEN], const char *ifname, const char *file)
{
	/* the name becomes a folder: nothing that leads elsewhere */
	if (!weft_quick_is_name(ifname, strlen(ifname)) || ifname[0] == '.')
		return -EINVAL;
	snprintf(out, WEFT_KEEP_PATH_LEN, WEFT_HOST_RUN_DIR "/%s%s%s", ifname, *file ? "/" : "",
		 file);
	return 0;
}

static int make_folder(const char *ifname)
{
	char path[WEFT_KEEP_PATH_LEN];
	int rc = weft_keep_path(path, ifname, "");

	if (rc)
		return rc;
	if (mkdir(WEFT_HOST_RUN_DIR, 0755) && errno != EEXIST)
		return -errno;
	return mkdir(path, 0700) && errno != EEXIST ? -errno : 0;
}

int weft_keep_write_file(const char *ifname, const char *file, const struct weft_text *text)
{
	char path[WEFT_KEEP_PATH_LEN], temp[WEFT_KEEP_PATH_LEN + 8];
	int fd, rc = weft_keep_path(path, ifname, file);

	if (rc)
		return rc;
	snprintf(temp, sizeof(temp), "%s.XXXXXX", path);
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = weft_file_write_fd(fd, text->p, text->len);
	if (close(fd) && !rc)
		rc = -errno;
	if (!rc && rename(temp, path))
		rc = -errno;
	if (rc)
		unlink(temp);
	return rc;
}

int weft_keep_read_file(const char *ifname, const char *file, struct weft_text *ret)
{
	char path[WEFT_KEEP_PATH_LEN];
	int rc = weft_keep_path(path, ifname, file);

	return rc ? rc : weft_file_read(path, O_NOFOLLOW, WEFT_KEEP_MAX_BYTES, ret);
}

int weft_keep_lock(const char *ifname)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[WEFT_KEEP_PATH_LEN];
	int fd, rc = weft_keep_path(path, ifname, "keep.lock");

	if (rc)
		return rc;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (fcntl(fd, F_SETLK, &whole)) {
		rc = errno == EACCES ? -EAGAIN : -errno;
		close(fd);
		return rc;
	}
	return fd;
}

static void pause_a_little(void)
{
	const struct timespec t = {.tv_nsec = STOP_NS};

	nanosleep(&t, NULL);
}

/* In the child of a child: so that nobody has to wait for it. */
static void become_keeper(const char *exe, const char *ifname)
{
	static char weft[] = "weft", keep[] = "keep";
	char name[WEFT_QUICK_NAME_LEN];
	char *const argv[] = {weft, keep, name, NULL};
	int null;

	snprintf(name, sizeof(name), "%s", ifname);
	setsid();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || chdir("/"))
		_exit(1);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	if (!getenv("INVOCATION_ID")) /* systemd's: then stderr is the journal */
		dup2(null, STDERR_FILENO);
	execv(exe, argv);
	_exit(1);
}

static int spawn(const char *ifname)
{
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	int status;
	pid_t pid;

	if (n < 0)
		return -errno;
	exe[n] = '\0';
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		close_range(3, ~0u, 0); /* a lock that the caller holds is not for the keeper */
		pid = fork();
		if (pid == 0)
			become_keeper(exe, ifname);
		_exit(pid < 0);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EAGAIN;
}

int weft_keep_start(const char *ifname, const struct weft_quick *quick, const char *source)
{
	struct weft_text text = {0};
	int rc;

	if (!weft_keep_wanted(quick)) {
		weft_keep_stop(ifname);
		return 0;
	}
	rc = make_folder(ifname);
	if (!rc)
		rc = weft_keep_write(quick, source, &text);
	if (!rc)
		rc = weft_keep_write_file(ifname, "keep.json", &text);
	weft_text_clear(&text);
	/* one that is there already has seen the file change: the other finds the lock, and goes */
	return rc ? rc : spawn(ifname);
}

void weft_keep_stop(const char *ifname)
{
	static const char *const files[] = {"endpoints.json", "keep.lock"};
	char path[WEFT_KEEP_PATH_LEN];
	int fd;

	if (weft_keep_path(path, ifname, "keep.json"))
		return;
	if (unlink(path) && errno == ENOENT && weft_keep_path(path, ifname, "keep.lock") == 0 &&
	    access(path, F_OK))
		return;
	for (int i = 0; i < STOP_TRIES; i++) {
		fd = weft_keep_lock(ifname);
		if (fd != -EAGAIN)
			break;
		pause_a_little();
	}
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (weft_keep_path(path, ifname, files[i]) == 0)
			unlink(path);
	if (fd >= 0)
		close(fd);
	if (weft_keep_path(path, ifname, "") == 0)
		rmdir(path); /* others may have files in it */
}
