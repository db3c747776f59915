/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inner packets of any content through a hub's fast path. Each is left as it was for the host,
 * dropped, answered by a whole ICMP error to its sender, or forwarded with nothing changed but the
 * hop limit and a checksum that is as right as before; and never from or to what is no host's.
 */
#include <string.h>

#include "core/inner.h"
#include "core/relay.h"
#include "fuzz_world.h"

struct answers {
	uint32_t route;
	bool allowed, source;
};

static uint32_t route(void *ctx, const struct weft_ip *src, const struct weft_ip *dst)
{
	FUZZ_CHECK(src->family == dst->family);
	FUZZ_CHECK(src->b[0] != 0xff && dst->b[0] != 0xff);
	if (dst->family == WEFT_IPV4)
		FUZZ_CHECK(dst->b[0] && dst->b[0] != 127 && dst->b[0] < 224);
	return ((const struct answers *)ctx)->route;
}

static bool source(void *ctx, const struct weft_ip *to, struct weft_ip *ret_ip)
{
	memset(ret_ip, 0, sizeof(*ret_ip));
	ret_ip->family = to->family;
	ret_ip->b[0] = 10;
	return ((const struct answers *)ctx)->source;
}

static bool allowed(void *ctx, const struct weft_peer *from, const struct weft_peer *to,
		    const uint8_t *inner, size_t len)
{
	struct weft_inner in;

	FUZZ_CHECK(from != to);
	FUZZ_CHECK(!weft_inner_parse(inner, len, &in) && in.total_len == len);
	return ((const struct answers *)ctx)->allowed;
}

static void check_forwarded(const uint8_t *before, const uint8_t *after, size_t len)
{
	bool v4 = before[0] >> 4 == 4;
	size_t ttl = v4 ? 8 : 7;
	uint32_t sum = 0;

	FUZZ_CHECK(before[ttl] >= 2 && after[ttl] == before[ttl] - 1 && len <= FUZZ_MTU);
	for (size_t i = 0; i < len; i++)
		FUZZ_CHECK(before[i] == after[i] || i == ttl || (v4 && (i == 10 || i == 11)));
	for (size_t i = 0; v4 && i < 20; i++)
		sum += i % 2 ? after[i] : (uint32_t)after[i] << 8;
	FUZZ_CHECK(!v4 || (sum & 0xffff) + (sum >> 16) == 0xffff);
}

static void one(struct weft_relay *r, struct fuzz_world *w, const uint8_t *data, size_t len)
{
	uint8_t *pkt = malloc(len ? len : 1);
	struct weft_relayed out;
	struct weft_peer *from =
		weft_peer_find(w->end[FUZZ_TARGET].dev, w->end[FUZZ_INSIDER].public_key);
	struct weft_inner in;

	FUZZ_CHECK(pkt);
	if (len)
		memcpy(pkt, data, len);
	switch (weft_relay_packet(r, from, pkt, len, &out)) {
	case WEFT_RELAY_FORWARD:
		FUZZ_CHECK(out.pkt == pkt && out.len == len && out.to->peer != from);
		check_forwarded(data, pkt, len);
		break;
	case WEFT_RELAY_ANSWER:
		FUZZ_CHECK(!weft_inner_parse(out.pkt, out.len, &in) && in.total_len == out.len);
		FUZZ_CHECK(out.to->peer == from && out.len <= WEFT_ICMP_MAX_LEN);
		FUZZ_CHECK(!memcmp(pkt, data, len));
		break;
	case WEFT_RELAY_HOST:
	case WEFT_RELAY_DROP:
		FUZZ_CHECK(!len || !memcmp(pkt, data, len));
		break;
	}
	free(pkt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct weft_prefix all[] = {{.ip = {.family = WEFT_IPV4}},
						 {.ip = {.family = WEFT_IPV6}}};
	struct fuzz_input in = {data, size};
	uint8_t flags = fuzz_u8(&in);
	struct answers answers = {
		.route = fuzz_u16(&in), .allowed = flags & 1, .source = flags & 2};
	const struct weft_relay_hooks hooks = {
		.ctx = &answers, .route = route, .source = source, .allowed = allowed};
	struct fuzz_end *hub;
	struct weft_relay r;
	struct fuzz_world w;

	fuzz_world_init(&w);
	hub = &w.end[FUZZ_TARGET];
	for (unsigned i = 0; flags & 4 && i < 2; i++)
		FUZZ_CHECK(!weft_peer_allow(hub->dev,
					    weft_peer_find(hub->dev, w.end[FUZZ_HONEST].public_key),
					    &all[i]));
	weft_relay_init(&r, hub->worker, &hooks);
	weft_worker_enter(hub->worker, w.now_ns);
	while (in.left) {
		size_t len = fuzz_u16(&in) % 2048;
		const uint8_t *pkt = fuzz_bytes(&in, &len);

		one(&r, &w, pkt, len);
	}
	weft_relay_end(&r);
	weft_worker_leave(hub->worker);
	fuzz_world_fini(&w);
	return 0;
}
