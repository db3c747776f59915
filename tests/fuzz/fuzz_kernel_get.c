/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages from the kernel, which would have to be hostile. Input: messages, each behind its
 * length in two bytes. Each is read as a link and as a family; as parts of a dump they give a
 * device, and that, set again in messages of any size, reads back to the same.
 */
#include <stdlib.h>
#include <string.h>

#include "control/kernel_msg.h"
#include "fuzz.h"

static void same_peer(const struct weft_conf_peer *a, const struct weft_conf_peer *b)
{
	FUZZ_CHECK(a->has == (b->has & ~(unsigned)WEFT_PEER_REPLACE_ALLOWED_IPS));
	FUZZ_CHECK(!memcmp(a->public_key, b->public_key, WEFT_KEY_LEN));
	FUZZ_CHECK(!memcmp(&a->psk, &b->psk, sizeof(a->psk)));
	FUZZ_CHECK(weft_endpoint_same_remote(&a->endpoint, &b->endpoint));
	FUZZ_CHECK(a->keepalive_s == b->keepalive_s);
	FUZZ_CHECK(a->n_allowed_ips == b->n_allowed_ips);
	for (size_t i = 0; i < a->n_allowed_ips; i++)
		FUZZ_CHECK(!memcmp(&a->allowed_ips[i].prefix, &b->allowed_ips[i].prefix,
				   sizeof(a->allowed_ips[i].prefix)));
}

static void set_again(const struct weft_conf_device *dev, size_t size)
{
	static uint8_t buf[WEFT_KERNEL_MSG_BYTES] __attribute__((aligned(8)));
	struct weft_kernel_set set = {.family = 0x1c, .name = "wg0", .change = dev};
	struct weft_conf_device back = {0};
	int len;

	while ((len = weft_kernel_put_set(&set, buf, size)) != 0) {
		FUZZ_CHECK(len > 0 && (size_t)len <= size && !set.removes);
		FUZZ_CHECK(!weft_kernel_parse_get((struct nlmsghdr *)buf, &back));
	}
	FUZZ_CHECK(back.n_peers == dev->n_peers);
	FUZZ_CHECK(back.has == (dev->has & ~(unsigned)WEFT_DEVICE_HAS_PUBLIC_KEY));
	FUZZ_CHECK(back.listen_port == dev->listen_port && back.fwmark == dev->fwmark);
	for (size_t i = 0; i < dev->n_peers; i++)
		same_peer(&dev->peers[i], &back.peers[i]);
	weft_conf_device_clear(&back);
}

/* Takes the first allowed IPs away, as where the kernel cannot. */
static void take_away(struct weft_conf_device *dev)
{
	struct weft_kernel_set set = {.change = dev};
	struct weft_conf_device change = {0};

	for (size_t i = 0; i < dev->n_peers; i++) {
		const struct weft_conf_peer *peer = &dev->peers[i];

		set.of_peer = i;
		set.to = peer->n_allowed_ips / 2 + 1;
		if (set.to > peer->n_allowed_ips)
			continue;
		FUZZ_CHECK(!weft_kernel_replace(&set, dev, &change));
		FUZZ_CHECK(change.n_peers <= 1);
		weft_conf_device_clear(&change);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	struct weft_conf_device dev = {0};
	int rc = 0;

	while (in.left && !rc) {
		char name[WEFT_KERNEL_IFNAME_SIZE];
		size_t len = fuzz_u16(&in), whole;
		const uint8_t *p = fuzz_bytes(&in, &len);
		struct nlmsghdr *nlh;
		uint16_t family;

		if (len < sizeof(*nlh))
			continue;
		/* in a block of its own; the last attribute may be padded */
		whole = MNL_ALIGN(len);
		nlh = calloc(1, whole);
		FUZZ_CHECK(nlh);
		memcpy(nlh, p, len);
		nlh->nlmsg_len = (uint32_t)len;
		if (weft_kernel_parse_link(nlh, name) == 1)
			FUZZ_CHECK(name[0] && strlen(name) < sizeof(name));
		if (!weft_kernel_parse_family(nlh, &family))
			FUZZ_CHECK(family >= NLMSG_MIN_TYPE);
		rc = weft_kernel_parse_get(nlh, &dev);
		free(nlh);
	}
	if (!rc) {
		set_again(&dev, WEFT_KERNEL_MSG_MIN + size % 64);
		set_again(&dev, WEFT_KERNEL_MSG_BYTES);
		take_away(&dev);
	}
	weft_conf_device_clear(&dev);
	return 0;
}
