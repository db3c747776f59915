/* SPDX-License-Identifier: Apache-2.0 */
/* Changing settings, the old values on disk first, and putting them back. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/file.h"
#include "host/tune.h"

#define STATE_MAX_BYTES (4u << 20)

const char *weft_tune_path(const char *root, const struct weft_tune_target *target,
			   char out[WEFT_TUNE_PATH_LEN])
{
	const char *name = weft_tune_kind_name(target->kind);

	switch (target->kind) {
	case WEFT_TUNE_RPS:
	case WEFT_TUNE_XPS:
		snprintf(out, WEFT_TUNE_PATH_LEN, "%s/sys/class/net/%s/queues/%s-%u/%s", root,
			 target->device, target->kind == WEFT_TUNE_RPS ? "rx" : "tx", target->index,
			 name);
		break;
	case WEFT_TUNE_IRQ:
		snprintf(out, WEFT_TUNE_PATH_LEN, "%s/proc/irq/%u/smp_affinity_list", root,
			 target->index);
		break;
	case WEFT_TUNE_RMEM:
	case WEFT_TUNE_WMEM:
	case WEFT_TUNE_BACKLOG:
	case WEFT_TUNE_KINDS:
		snprintf(out, WEFT_TUNE_PATH_LEN, "%s/proc/sys/net/core/%s", root, name);
		break;
	}
	return out;
}

const char *weft_tune_state_path(const char *root, const char *ifname, char out[WEFT_TUNE_PATH_LEN])
{
	snprintf(out, WEFT_TUNE_PATH_LEN, "%s/run/weft/tune/%s.json", root, ifname);
	return out;
}

/* ---- one setting ---- */

static int read_value(const char *root, const struct weft_tune_target *t,
		      struct weft_tune_value *ret_value)
{
	char path[WEFT_TUNE_PATH_LEN], text[WEFT_CPUS_LIST_LEN], *end;
	struct weft_tune_value value = {.number = 0};
	int fd = open(weft_tune_path(root, t, path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;
	int rc = 0;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		rc = -errno;
	close(fd);
	if (rc)
		return rc;
	while (n && (text[n - 1] == '\n' || text[n - 1] == ' '))
		n--;
	text[n] = '\0';
	if (t->kind == WEFT_TUNE_IRQ) {
		rc = weft_cpus_parse(text, (size_t)n, &value.cpus);
	} else if (weft_tune_kind_has_cpus(t->kind)) {
		rc = weft_cpus_parse_mask(text, (size_t)n, &value.cpus);
	} else {
		errno = 0;
		value.number = strtoul(text, &end, 10);
		if (errno || end == text || *end)
			rc = -EINVAL;
	}
	if (!rc)
		*ret_value = value;
	return rc;
}

static int write_value(const char *root, const struct weft_tune_target *t,
		       const struct weft_tune_value *value)
{
	char path[WEFT_TUNE_PATH_LEN], text[WEFT_CPUS_LIST_LEN];
	int fd = open(weft_tune_path(root, t, path), O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW);
	size_t len;
	ssize_t n;
	int rc = 0;

	if (fd < 0)
		return -errno;
	if (t->kind == WEFT_TUNE_IRQ)
		weft_cpus_format(&value->cpus, text);
	else if (weft_tune_kind_has_cpus(t->kind))
		weft_cpus_format_mask(&value->cpus, text);
	else
		snprintf(text, sizeof(text), "%lu", value->number);
	len = strlen(text);
	text[len++] = '\n';
	n = write(fd, text, len); /* in one piece, as sysfs wants it */
	if (n != (ssize_t)len)
		rc = n < 0 ? -errno : -EIO;
	close(fd);
	return rc;
}

/* ---- the state file ---- */

static int make_dir(const char *path)
{
	struct stat st;

	if (mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	if (lstat(path, &st))
		return -errno;
	return S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 022) ? 0 : -EPERM;
}

/* The directory, locked against another weft tune, or a negated errno. Closing it unlocks. */
static int open_store(const char *root)
{
	static const char *const parts[] = {"/run/weft", "/run/weft/tune"};
	char path[WEFT_TUNE_PATH_LEN];
	int fd, rc;

	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s%s", root, parts[i]);
		rc = make_dir(path);
		if (rc)
			return rc;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX)) {
		rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

/* What was remembered; -ENOENT: nothing. Only a file that nobody else can have written counts. */
static int load(const char *root, const char *ifname, struct weft_tune_state *ret_state,
		struct weft_diag *diag)
{
	char path[WEFT_TUNE_PATH_LEN];
	struct weft_text text = {0};
	struct stat st;
	int fd, rc;

	weft_tune_state_path(root, ifname, path);
	if (diag)
		snprintf(diag->source, sizeof(diag->source), "%.255s", path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		rc = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022))
		rc = WEFT_E_PARSE;
	else
		rc = weft_file_read_fd(fd, STATE_MAX_BYTES, &text);
	close(fd);
	if (rc == WEFT_E_PARSE)
		weft_diag_set(diag, 0, 0, "others than this user may write to it");
	else if (!rc)
		rc = weft_tune_state_parse(text.p, text.len, ifname, ret_state, diag);
	weft_text_clear(&text);
	return rc;
}

/* In one step: the old file or the new one is there, whatever happens. An empty state: no file. */
static int store(const char *root, const char *ifname, const struct weft_tune_state *state)
{
	char path[WEFT_TUNE_PATH_LEN], fresh[WEFT_TUNE_PATH_LEN + 8];
	struct weft_text text = {0};
	int rc;

	weft_tune_state_path(root, ifname, path);
	if (!state->n)
		return unlink(path) && errno != ENOENT ? -errno : 0;
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	rc = weft_tune_state_format(ifname, state, &text);
	if (!rc)
		rc = weft_file_replace(path, fresh, &text);
	weft_text_clear(&text);
	return rc;
}

/* ---- apply ---- */

struct run {
	const char *root, *ifname;
	weft_tune_told told;
	void *ctx;
};

static void tell(const struct run *run, const struct weft_tune_target *t,
		 enum weft_tune_outcome outcome, const struct weft_tune_value *value, int rc)
{
	if (run->told)
		run->told(run->ctx, t, outcome, value, rc);
}

static int copy_state(const struct weft_tune_state *from, struct weft_tune_state *ret_to)
{
	int rc = 0;

	for (size_t i = 0; i < from->n && !rc; i++)
		rc = weft_tune_state_add(ret_to, &from->v[i]);
	return rc;
}

/* The changes to make, each with the value that is there now; and all that is to be remembered. */
static int plan(const struct run *run, const struct weft_tune_rows *rows,
		struct weft_tune_state *ret_todo, struct weft_tune_state *state)
{
	int rc = 0;

	for (size_t i = 0; i < rows->n && !rc; i++) {
		const struct weft_tune_row *row = &rows->v[i];
		struct weft_tune_change c = {.target = row->target, .new = row->value};
		struct weft_tune_change *known;

		if (!row->better[0] || !row->applies)
			continue;
		rc = read_value(run->root, &c.target, &c.old);
		if (rc) {
			tell(run, &c.target, WEFT_TUNE_FAILED, &c.new, rc);
			break;
		}
		rc = weft_tune_state_add(ret_todo, &c);
		known = weft_tune_state_find(state, &c.target);
		if (known)
			known->new = c.new;
		else if (!rc)
			rc = weft_tune_state_add(state, &c);
	}
	return rc;
}

/* False: not all of it. */
static bool undo(const struct run *run, const struct weft_tune_state *todo, size_t n)
{
	bool all = true;

	while (n-- > 0) {
		const struct weft_tune_change *c = &todo->v[n];
		int rc = write_value(run->root, &c->target, &c->old);

		tell(run, &c->target, rc ? WEFT_TUNE_FAILED : WEFT_TUNE_UNDONE, &c->old, rc);
		all = all && !rc;
	}
	return all;
}

/* The kernel may take a value and keep less of it, such as processors that are not isolated. */
static int heed_kept(const struct run *run, const struct weft_tune_state *todo,
		     struct weft_tune_state *state)
{
	bool differs = false;

	for (size_t i = 0; i < todo->n; i++) {
		struct weft_tune_change *known = weft_tune_state_find(state, &todo->v[i].target);
		struct weft_tune_value kept;

		if (!known || read_value(run->root, &known->target, &kept) ||
		    weft_tune_value_equal(&kept, &known->new))
			continue;
		known->new = kept;
		differs = true;
	}
	return differs ? store(run->root, run->ifname, state) : 0;
}

static int change(const struct run *run, const struct weft_tune_state *todo,
		  struct weft_tune_state *state, const struct weft_tune_state *before)
{
	int rc = store(run->root, run->ifname, state);
	size_t n = 0;

	while (!rc && n < todo->n) {
		const struct weft_tune_change *c = &todo->v[n];

		rc = write_value(run->root, &c->target, &c->new);
		tell(run, &c->target, rc ? WEFT_TUNE_FAILED : WEFT_TUNE_DONE, &c->new, rc);
		n += rc == 0;
	}
	if (!rc)
		rc = heed_kept(run, todo, state);
	if (rc && undo(run, todo, n)) /* else a revert may still do it */
		(void)!store(run->root, run->ifname, before);
	return rc;
}

int weft_tune_apply(const char *root, const char *ifname, const struct weft_tune_rows *rows,
		    weft_tune_told told, void *ctx, struct weft_diag *diag)
{
	const struct run run = {.root = root, .ifname = ifname, .told = told, .ctx = ctx};
	struct weft_tune_state todo = {0}, state = {0}, before = {0};
	int dir = open_store(root), rc;

	if (dir < 0)
		return dir;
	rc = load(root, ifname, &before, diag);
	if (rc == -ENOENT)
		rc = 0;
	if (!rc)
		rc = copy_state(&before, &state);
	if (!rc)
		rc = plan(&run, rows, &todo, &state);
	if (!rc && todo.n)
		rc = change(&run, &todo, &state, &before);
	weft_tune_state_clear(&todo);
	weft_tune_state_clear(&state);
	weft_tune_state_clear(&before);
	close(dir);
	return rc;
}

/* ---- revert ---- */

/* True: it needs to be remembered no longer. */
static bool put_back(const struct run *run, const struct weft_tune_change *c, int *rc)
{
	struct weft_tune_value now;
	int err = read_value(run->root, &c->target, &now);

	if (err == -ENOENT || err == -ENODEV) {
		tell(run, &c->target, WEFT_TUNE_GONE, &c->old, 0);
		return true;
	}
	if (!err && weft_tune_value_equal(&now, &c->old)) {
		tell(run, &c->target, WEFT_TUNE_ALREADY, &now, 0);
		return true;
	}
	if (!err && !weft_tune_value_equal(&now, &c->new)) {
		tell(run, &c->target, WEFT_TUNE_FOREIGN, &now, 0);
		return true;
	}
	if (!err)
		err = write_value(run->root, &c->target, &c->old);
	tell(run, &c->target, err ? WEFT_TUNE_FAILED : WEFT_TUNE_DONE, &c->old, err);
	if (err)
		*rc = err;
	return err == 0;
}

int weft_tune_revert(const char *root, const char *ifname, weft_tune_told told, void *ctx,
		     struct weft_diag *diag)
{
	const struct run run = {.root = root, .ifname = ifname, .told = told, .ctx = ctx};
	struct weft_tune_state state = {0}, left = {0};
	int dir = open_store(root), rc, stored;

	if (dir < 0)
		return dir;
	rc = load(root, ifname, &state, diag);
	stored = rc;
	if (!rc) {
		for (size_t i = state.n; i-- > 0;)
			if (!put_back(&run, &state.v[i], &rc) && !stored)
				stored = weft_tune_state_add(&left, &state.v[i]);
		if (!stored)
			stored = store(root, ifname, &left);
	}
	weft_tune_state_clear(&state);
	weft_tune_state_clear(&left);
	close(dir);
	return rc ? rc : stored;
}
