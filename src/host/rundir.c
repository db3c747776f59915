/* SPDX-License-Identifier: Apache-2.0 */
/* The lock and the record of an interface, as files. */
#include "host/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/file.h"

#define RECORD "record"

/* The interface's directory, which is made. */
static int make_dir(const char *ifname, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/%s", WEFT_HOST_RUN_DIR, ifname);
	if (mkdir(WEFT_HOST_RUN_DIR, 0755) && errno != EEXIST)
		return -errno;
	return mkdir(out, 0700) && errno != EEXIST ? -errno : 0;
}

/* True if the path is still that of the open file: who had it may have taken it away. */
static bool is_there(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_ino == b.st_ino &&
	       a.st_dev == b.st_dev;
}

static void read_holder(int fd, char *out, size_t size)
{
	ssize_t n = pread(fd, out, size - 1, 0);

	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
	for (char *p = out; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	if (!out[0])
		snprintf(out, size, "another process");
}

static int open_locked(const char *path, char *ret_holder, size_t size)
{
	for (;;) {
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), err;

		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB)) {
			err = -errno;
			if (err == -EWOULDBLOCK)
				read_holder(fd, ret_holder, size);
			close(fd);
			return err == -EWOULDBLOCK ? -EBUSY : err;
		}
		if (is_there(fd, path))
			return fd;
		close(fd);
	}
}

static void sign(int fd, const char *what)
{
	if (ftruncate(fd, 0) == 0)
		(void)dprintf(fd, "%s (process %d)\n", what, (int)getpid());
}

int weft_host_lock(const char *ifname, const char *what, struct weft_host_lock *ret_lock,
		   char *ret_holder, size_t size)
{
	struct weft_host_lock lock;
	char dir[PATH_MAX];
	int rc = make_dir(ifname, dir);

	if (rc)
		return rc;
	snprintf(lock.path, sizeof(lock.path), "%.*s/lock", PATH_MAX - 8, dir);
	lock.fd = open_locked(lock.path, ret_holder, size);
	if (lock.fd == -ENOENT) /* the directory went between the two */
		return weft_host_lock(ifname, what, ret_lock, ret_holder, size);
	if (lock.fd < 0)
		return lock.fd;
	sign(lock.fd, what);
	*ret_lock = lock;
	return 0;
}

int weft_host_lock_service(const char *ifname, struct weft_host_lock *ret_lock, char *ret_holder,
			   size_t size)
{
	struct weft_host_lock lock;

	if (mkdir(WEFT_HOST_RUN_DIR, 0755) && errno != EEXIST)
		return -errno;
	/* no interface is called like that */
	snprintf(lock.path, sizeof(lock.path), "%s/run:%s", WEFT_HOST_RUN_DIR, ifname);
	lock.fd = open_locked(lock.path, ret_holder, size);
	if (lock.fd < 0)
		return lock.fd;
	sign(lock.fd, "weft run");
	*ret_lock = lock;
	return 0;
}

void weft_host_unlock_service(struct weft_host_lock *lock)
{
	(void)unlink(lock->path);
	close(lock->fd);
	lock->fd = -1;
}

static void record_path(const char *ifname, const char *suffix, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/%s/" RECORD "%s", WEFT_HOST_RUN_DIR, ifname, suffix);
}

void weft_host_unlock(struct weft_host_lock *lock, bool gone)
{
	char *slash = strrchr(lock->path, '/');

	if (lock->fd < 0)
		return;
	if (gone) {
		char record[PATH_MAX];

		snprintf(record, sizeof(record), "%.*s/" RECORD, (int)(slash - lock->path),
			 lock->path);
		(void)unlink(record);
		(void)unlink(lock->path);
		*slash = '\0';
		(void)rmdir(lock->path); /* whoever else keeps something there keeps it */
	}
	close(lock->fd);
	lock->fd = -1;
}

static uint64_t netns(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) == 0 ? (uint64_t)st.st_ino : 0;
}

int weft_host_read_record(const char *ifname, struct weft_host_record *ret)
{
	struct weft_text text = {0};
	char path[PATH_MAX];
	int fd, rc;

	record_path(ifname, "", path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -ENOENT;
	rc = weft_file_read_fd(fd, WEFT_HOST_RECORD_MAX_BYTES, &text);
	close(fd);
	if (!rc)
		rc = weft_host_record_parse(text.p, text.len, ret);
	weft_text_clear(&text);
	if (!rc && ret->ifindex == if_nametoindex(ifname) && ret->netns == netns())
		return 0;
	weft_host_record_clear(ret);
	return rc == -ENOMEM ? rc : -ENOENT;
}

int weft_host_write_record(const char *ifname, struct weft_host_record *rec)
{
	char path[PATH_MAX], temporary[PATH_MAX];
	struct weft_text text = {0};
	int rc;

	record_path(ifname, "", path);
	record_path(ifname, ".new", temporary);
	rec->ifindex = if_nametoindex(ifname);
	rec->netns = netns();
	rc = weft_host_record_write(rec, &text);
	if (!rc)
		rc = weft_file_replace(path, temporary, &text);
	weft_text_clear(&text);
	return rc;
}
