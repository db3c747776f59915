/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gathers what the doctor wants to know of an interface. Reads, asks name servers, and sends a few
 * packets: one datagram to each peer's endpoint, echo requests through the tunnel. Takes up to some
 * fifteen seconds if peers do not answer. Changes nothing.
 */
#ifndef WEFT_HOST_FACTS_H
#define WEFT_HOST_FACTS_H

#include "host/doctor.h"

struct weft_doctor_source {
	const char *ifname;
	const struct weft_quick *file; /* NULL: there is none that can be read */
	const char *file_fault;        /* why not; "" if nothing is wrong */
	/* The device with its public key, as weft_control_get. */
	int (*get)(void *ctx, const char *name, struct weft_conf_device *ret);
	void *ctx;
};

/*
 * 0 or -ENOMEM: what cannot be found out is not known. `ret` starts zeroed, borrows the file and is
 * cleared by the caller. No secret is in it.
 */
WEFT_MUST_CHECK int weft_doctor_gather(const struct weft_doctor_source *source,
				       struct weft_doctor_facts *ret);
void weft_doctor_facts_clear(struct weft_doctor_facts *facts);

#endif
