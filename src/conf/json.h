/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON view of devices: what `weft show --json` prints. The schema is in weft-show(8). Pure. */
#ifndef WEFT_CONF_JSON_H
#define WEFT_CONF_JSON_H

#include "conf/uapi.h"

/*
 * Appends one line: {"interfaces": [...]} of `n` devices. Private and preshared keys are left out
 * unless `secrets`. 0 or -ENOMEM.
 */
WEFT_MUST_CHECK int weft_json_devices(struct weft_text *out, const struct weft_conf_device *devs,
				      size_t n, bool secrets);

#endif
