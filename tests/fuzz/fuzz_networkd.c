/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd-networkd's files: an error or a warning always has a sentence, and of whatever is read a
 * file is made that weft reads. The same text as wg-quick's file, tidied, stays the same file.
 */
#include <string.h>

#include "conf/networkd.h"
#include "conf/quick_tidy.h"
#include "fuzz.h"

static void heard(void *ctx, const struct weft_diag *diag)
{
	(void)ctx;
	FUZZ_CHECK(diag->line > 0 && diag->column > 0 && diag->message[0]);
}

static void check_networkd(const char *text, size_t size)
{
	struct weft_networkd n = {0};
	const struct weft_networkd *networks[] = {&n};
	struct weft_text out = {0};
	struct weft_quick q = {0};
	struct weft_diag diag = {0};
	int rc = weft_networkd_parse(text, size, &n, heard, NULL, &diag);

	if (rc) {
		FUZZ_CHECK(rc == WEFT_E_LIMIT || (rc == WEFT_E_PARSE && diag.message[0]));
	} else {
		FUZZ_CHECK(!weft_networkd_write(&out, &n, networks, 1));
		rc = weft_quick_parse(out.p, out.len, &q, NULL, NULL, NULL);
		/* nobody has read the public keys that are in files */
		FUZZ_CHECK(!rc);
		FUZZ_CHECK(q.wg.dev.n_peers == n.n_peers && q.n_addresses == n.n_addresses);
		FUZZ_CHECK(q.mtu == n.mtu && q.wg.dev.fwmark == n.dev.fwmark);
	}
	weft_quick_clear(&q);
	weft_text_clear(&out);
	weft_networkd_clear(&n);
}

static void check_tidy(const char *text, size_t size)
{
	struct weft_quick q = {0}, again = {0};
	struct weft_text once = {0}, twice = {0}, a = {0}, b = {0};
	struct weft_diag diag = {0};

	if (!weft_quick_parse(text, size, &q, NULL, NULL, NULL)) {
		FUZZ_CHECK(!weft_quick_tidy(text, size, &once, heard, NULL, &diag));
		FUZZ_CHECK(!weft_quick_parse(once.p, once.len, &again, NULL, NULL, NULL));
		FUZZ_CHECK(!weft_ini_write(&a, &q.wg.dev) && !weft_ini_write(&b, &again.wg.dev));
		FUZZ_CHECK(a.len == b.len && !memcmp(a.p, b.p, a.len));
		FUZZ_CHECK(q.n_addresses == again.n_addresses && q.mtu == again.mtu &&
			   q.post_up.n == again.post_up.n && q.table == again.table &&
			   q.kill_switch == again.kill_switch);
		FUZZ_CHECK(!weft_quick_tidy(once.p, once.len, &twice, NULL, NULL, NULL));
		FUZZ_CHECK(once.len == twice.len &&
			   (!once.len || !memcmp(once.p, twice.p, once.len)));
	}
	weft_text_clear(&a);
	weft_text_clear(&b);
	weft_text_clear(&once);
	weft_text_clear(&twice);
	weft_quick_clear(&q);
	weft_quick_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_networkd((const char *)data, size);
	check_tidy((const char *)data, size);
	return 0;
}
