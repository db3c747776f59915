/* SPDX-License-Identifier: Apache-2.0 */
/* A DNS answer with SRV records: what comes out can be used, and has one order whatever it is. */
#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "host/srv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weft_srv_list l = {.n = 0};
	int rc = weft_srv_parse(data, size, &l);

	FUZZ_CHECK(!rc || rc == -ENOENT || rc == WEFT_E_PROTOCOL);
	FUZZ_CHECK(!rc == (l.n > 0) && l.n <= WEFT_SRV_MAX);
	weft_srv_order(&l, size);
	for (size_t i = 0; i < l.n; i++) {
		FUZZ_CHECK(l.v[i].port && weft_srv_is_host(l.v[i].target));
		FUZZ_CHECK(!i || l.v[i - 1].priority <= l.v[i].priority);
	}
	return 0;
}
