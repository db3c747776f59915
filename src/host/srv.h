/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SRV records out of a DNS answer, and the order in which they are to be used (RFC 2782; RFC 1035,
 * section 4). Names are expanded by c-ares, whose own reader of SRV has no TTL. Makes no system
 * call.
 */
#ifndef WEFT_HOST_SRV_H
#define WEFT_HOST_SRV_H

#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

#define WEFT_SRV_MAX      16  /* records: what is beyond is not looked at */
#define WEFT_SRV_NAME_LEN 256 /* bytes with the NUL */

struct weft_srv {
	uint16_t priority, weight, port;
	char target[WEFT_SRV_NAME_LEN];
};

struct weft_srv_list {
	struct weft_srv v[WEFT_SRV_MAX];
	size_t n;
	uint32_t ttl_s; /* the shortest of the answer's */
};

/*
 * Reads an answer. 0; -ENOENT: there is no such record, or it says that there is no such service
 * (target "."); WEFT_E_PROTOCOL: it is none. `ret` is written only on success. Any thread.
 */
WEFT_MUST_CHECK int weft_srv_parse(const uint8_t *answer, size_t len, struct weft_srv_list *ret);

/*
 * Puts them in order: lowest priority first, within one at random as the weights say. The same
 * `seed` gives the same order.
 */
void weft_srv_order(struct weft_srv_list *list, uint64_t seed);

/* True if it can be a host's name: letters, digits, "-", "_" and ".". */
int weft_srv_is_host(const char *name);

#endif
