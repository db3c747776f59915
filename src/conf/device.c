/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of a configuration value: growing its lists, wiping what it held. Knows no text.
 */
#include "conf/device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int weft_backend_parse(const char *text, size_t len, enum weft_backend *ret_backend)
{
	static const char *const names[] = {
		[WEFT_BACKEND_AUTO] = "auto",
		[WEFT_BACKEND_KERNEL] = "kernel",
		[WEFT_BACKEND_USERSPACE] = "userspace",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strlen(names[i]) == len && memcmp(names[i], text, len) == 0) {
			*ret_backend = (enum weft_backend)i;
			return 0;
		}
	}
	return -EINVAL;
}

/*
 * Makes room for `want` elements in a list of `n`. Not realloc: the old block may hold keys, so it
 * is wiped before it is freed. 0 or -ENOMEM.
 */
static int resize(void **list, size_t n, size_t *cap, size_t want, size_t size)
{
	void *bigger;

	if (want <= *cap)
		return 0;
	if (want > SIZE_MAX / size)
		return -ENOMEM;
	bigger = malloc(want * size);
	if (!bigger)
		return -ENOMEM;
	if (*list) {
		memcpy(bigger, *list, n * size);
		weft_wipe(*list, n * size);
		free(*list);
	}
	*list = bigger;
	*cap = want;
	return 0;
}

/* Room for one more element: most peers have one allowed IP, so one is where a list begins. */
static int grow(void **list, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return 0;
	return resize(list, n, cap, *cap ? *cap * 2 : 1, size);
}

void weft_conf_peer_clear(struct weft_conf_peer *peer)
{
	free(peer->allowed_ips);
	free(peer->extras.v);
	weft_wipe(peer, sizeof(*peer));
}

void weft_conf_device_clear(struct weft_conf_device *dev)
{
	for (size_t i = 0; i < dev->n_peers; i++)
		weft_conf_peer_clear(&dev->peers[i]);
	free(dev->peers);
	free(dev->extras.v);
	weft_wipe(dev, sizeof(*dev));
}

int weft_conf_add_peer(struct weft_conf_device *dev, struct weft_conf_peer **ret_peer)
{
	void *list = dev->peers;
	int rc;

	if (dev->n_peers >= WEFT_CONF_MAX_PEERS)
		return WEFT_E_LIMIT;
	rc = grow(&list, dev->n_peers, &dev->cap_peers, sizeof(*dev->peers));
	if (rc)
		return rc;
	dev->peers = list;
	*ret_peer = &dev->peers[dev->n_peers++];
	memset(*ret_peer, 0, sizeof(**ret_peer));
	return 0;
}

int weft_conf_reserve_peers(struct weft_conf_device *dev, size_t n)
{
	void *list = dev->peers;
	int rc;

	if (n > WEFT_CONF_MAX_PEERS - dev->n_peers)
		return WEFT_E_LIMIT;
	rc = resize(&list, dev->n_peers, &dev->cap_peers, dev->n_peers + n, sizeof(*dev->peers));
	dev->peers = list;
	return rc;
}

int weft_conf_add_allowed_ip(struct weft_conf_peer *peer, const struct weft_prefix *prefix,
			     bool remove)
{
	void *list = peer->allowed_ips;
	int rc = grow(&list, peer->n_allowed_ips, &peer->cap_allowed_ips,
		      sizeof(*peer->allowed_ips));

	if (rc)
		return rc;
	peer->allowed_ips = list;
	peer->allowed_ips[peer->n_allowed_ips++] =
		(struct weft_conf_allowed_ip){.prefix = *prefix, .remove = remove};
	return 0;
}

int weft_conf_add_extra(struct weft_conf_extras *extras, const char *name, size_t len,
			uint64_t value)
{
	void *list = extras->v;
	int rc;

	if (len == 0 || len >= WEFT_CONF_EXTRA_NAME_LEN)
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') ||
		      name[i] == '_'))
			return -EINVAL;
	if (extras->n >= WEFT_CONF_MAX_EXTRAS)
		return WEFT_E_LIMIT;
	rc = grow(&list, extras->n, &extras->cap, sizeof(*extras->v));
	if (rc)
		return rc;
	extras->v = list;
	memset(&extras->v[extras->n], 0, sizeof(*extras->v));
	memcpy(extras->v[extras->n].name, name, len);
	extras->v[extras->n++].value = value;
	return 0;
}

const struct weft_conf_extra *weft_conf_find_extra(const struct weft_conf_extras *extras,
						   const char *name)
{
	for (size_t i = 0; i < extras->n; i++)
		if (strcmp(extras->v[i].name, name) == 0)
			return &extras->v[i];
	return NULL;
}
