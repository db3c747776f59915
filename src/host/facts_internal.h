/* SPDX-License-Identifier: Apache-2.0 */
/* Between facts.c and facts_net.c. */
#ifndef WEFT_HOST_FACTS_INTERNAL_H
#define WEFT_HOST_FACTS_INTERNAL_H

#include "host/facts.h"

#define WEFT_FACTS_MAX_PROBED 32  /* peers that packets are sent to, names that are asked for */
#define WEFT_FACTS_MAX_ROUTES 256 /* allowed IPs whose routes are looked up */

/* Figures of a later reading become each peer's `after`. */
void weft_facts_read_again(struct weft_doctor_facts *f, const struct weft_conf_device *dev);

/* The ways to the endpoints, and whether they refuse a datagram. */
void weft_facts_ask_ways(struct weft_doctor_facts *f);

/* Where packets to allowed IPs go; `dev`: whose, or NULL. 0 or -ENOMEM. */
WEFT_MUST_CHECK int weft_facts_ask_routes(struct weft_doctor_facts *f,
					  const struct weft_conf_device *dev);

/* Sends something to each peer, waits for what comes, and tries how large packets may be. */
void weft_facts_try_peers(const struct weft_doctor_source *source, struct weft_doctor_facts *f,
			  const struct weft_conf_device *dev);

#endif
