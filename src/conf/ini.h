/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WireGuard's configuration file, as setconf, addconf and syncconf read it and showconf writes it
 * (wg(8), CONFIGURATION FILE FORMAT). Pure: names of endpoints are left to the caller, and keys
 * that only wg-quick(8) knows are errors that say so.
 */
#ifndef WEFT_CONF_INI_H
#define WEFT_CONF_INI_H

#include "conf/uapi.h"
#include "conf/value.h"

#define WEFT_INI_MAX_BYTES (256u << 20)

struct weft_ini_result {
	struct weft_conf_device dev;
	struct weft_conf_names names; /* endpoints that are not numeric, in order of their peers */
	struct weft_fault fault;      /* after WEFT_E_PARSE: what wg would have said */
};

/*
 * Reads a whole file. `ret->dev` says what stands in it and no more: that setconf clears what does
 * not is the caller's business. A peer's allowed IPs are to replace the ones that it has.
 * Returns 0, WEFT_E_PARSE (`diag`, may be NULL, and `ret->fault` say why), WEFT_E_LIMIT or -ENOMEM.
 * `ret` starts zeroed and is cleared by the caller, also after an error. `host_bits` may be NULL.
 */
WEFT_MUST_CHECK int weft_ini_parse(const char *text, size_t len, struct weft_ini_result *ret,
				   weft_conf_host_bits host_bits, void *ctx,
				   struct weft_diag *diag);
void weft_ini_result_clear(struct weft_ini_result *r);

/* Appends `dev` as showconf prints it. 0 or -ENOMEM. */
WEFT_MUST_CHECK int weft_ini_write(struct weft_text *out, const struct weft_conf_device *dev);

#endif
