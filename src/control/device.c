/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the backend that a device belongs to. Knows nothing of sockets or netlink. */
#include "control/device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/backend.h"

static const struct weft_control_backend *const backends[] = {
	&weft_control_uapi,
};

#define N_BACKENDS (sizeof(backends) / sizeof(backends[0]))

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

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int weft_control_list(char ***ret_names, size_t *ret_n)
{
	struct weft_names names = {0};
	int rc = 0;

	for (size_t i = 0; !rc && i < N_BACKENDS; i++)
		rc = backends[i]->list(&names);
	if (rc) {
		for (size_t i = 0; i < names.n; i++)
			free(names.v[i]);
		free(names.v);
		return rc;
	}
	if (names.n)
		qsort(names.v, names.n, sizeof(*names.v), compare);
	*ret_names = names.v;
	*ret_n = names.n;
	return 0;
}

int weft_control_get(const char *name, struct weft_conf_device *ret_dev)
{
	int rc = -ENODEV;

	for (size_t i = 0; rc == -ENODEV && i < N_BACKENDS; i++)
		rc = backends[i]->get(name, ret_dev);
	if (!rc)
		strncpy(ret_dev->name, name, sizeof(ret_dev->name) - 1);
	return rc;
}

int weft_control_set(const char *name, const struct weft_conf_device *change)
{
	int rc = -ENODEV;

	for (size_t i = 0; rc == -ENODEV && i < N_BACKENDS; i++)
		rc = backends[i]->set(name, change);
	return rc;
}
