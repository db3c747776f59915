/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the backend that a device belongs to. Knows nothing of sockets or netlink. */
#include "control/device.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "control/backend.h"

/* In the order in which they are asked. */
static const struct {
	enum weft_backend id;
	const struct weft_control_backend *b;
} backends[] = {
	{WEFT_BACKEND_KERNEL, &weft_control_kernel},
	{WEFT_BACKEND_USERSPACE, &weft_control_uapi},
};

#define N_BACKENDS (sizeof(backends) / sizeof(backends[0]))

static bool is_asked(enum weft_backend which, size_t i)
{
	return which == WEFT_BACKEND_AUTO || which == backends[i].id;
}

int weft_names_add(struct weft_names *names, const char *name, size_t len)
{
	if (names->n == names->cap) {
		size_t cap = names->cap ? names->cap * 2 : 8;
		char **v = reallocarray(names->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		names->v = v;
		names->cap = cap;
	}
	names->v[names->n] = strndup(name, len);
	if (!names->v[names->n])
		return -ENOMEM;
	names->n++;
	return 0;
}

void weft_names_cut(struct weft_names *names, size_t n)
{
	while (names->n > n)
		free(names->v[--names->n]);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A name that two backends have is one interface: what the first says of it counts. */
static void sort_once_each(struct weft_names *names)
{
	size_t n = 0;

	if (names->n)
		qsort(names->v, names->n, sizeof(*names->v), compare);
	for (size_t i = 0; i < names->n; i++) {
		if (n && strcmp(names->v[i], names->v[n - 1]) == 0)
			free(names->v[i]);
		else
			names->v[n++] = names->v[i];
	}
	names->n = n;
}

int weft_control_list(enum weft_backend backend, char ***ret_names, size_t *ret_n)
{
	struct weft_names names = {0};
	int rc = 0;

	for (size_t i = 0; !rc && i < N_BACKENDS; i++)
		if (is_asked(backend, i))
			rc = backends[i].b->list(&names);
	if (rc) {
		weft_names_cut(&names, 0);
		free(names.v);
		return rc;
	}
	sort_once_each(&names);
	*ret_names = names.v;
	*ret_n = names.n;
	return 0;
}

/* What to say if no backend has it: a link that is no WireGuard is not nothing, as wg has it. */
static int nobody_has(const char *name)
{
	return if_nametoindex(name) ? -EOPNOTSUPP : -ENODEV;
}

int weft_control_get(enum weft_backend backend, const char *name, struct weft_conf_device *ret_dev)
{
	int rc = -ENODEV;

	for (size_t i = 0; rc == -ENODEV && i < N_BACKENDS; i++)
		if (is_asked(backend, i))
			rc = backends[i].b->get(name, ret_dev);
	if (rc == -ENODEV)
		rc = nobody_has(name);
	if (!rc)
		strncpy(ret_dev->name, name, sizeof(ret_dev->name) - 1);
	return rc;
}

int weft_control_set(enum weft_backend backend, const char *name,
		     const struct weft_conf_device *change)
{
	int rc = -ENODEV;

	for (size_t i = 0; rc == -ENODEV && i < N_BACKENDS; i++)
		if (is_asked(backend, i))
			rc = backends[i].b->set(name, change);
	return rc == -ENODEV ? nobody_has(name) : rc;
}
