/* SPDX-License-Identifier: Apache-2.0 */
/* Two peers that have the same allowed IP: both places are named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "conf/quick.h"

#define P(k) "[Peer]\nPublicKey=A" k "EBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n"

static void places(void **state)
{
	static const struct {
		const char *file, *said;
	} cases[] = {
		{"[Interface]\n", NULL},
		{P("Q") "AllowedIPs=10.0.0.0/8\n" P("g") "AllowedIPs=10.0.0.0/9, fd00::/8\n", NULL},
		/* a peer may say it twice, and stand there twice */
		{P("Q") "AllowedIPs=10.0.0.0/8, 10.0.0.0/8\n" P("Q") "AllowedIPs=10.0.0.0/8\n",
		 NULL},
		{P("Q") "AllowedIPs = fd00::/8\nAllowedIPs = 10.0.0.0/8\n" P(
			 "g") "AllowedIPs=fd01::/16 ,  10.1.2.3/8\n",
		 "f:7:25: 10.0.0.0/8: another peer has it, in line 4, column 14 (WireGuard would "
		 "give it to the last of them: leave it with one)"},
		{P("Q") "AllowedIPs=::/0\n" P("g") P("w") "AllowedIPs=10.0.0.1,::/0\n",
		 "f:8:21: ::/0: another peer has it, in line 3, column 12 (WireGuard would give it "
		 "to the last of them: leave it with one)"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weft_diag diag = {.source = "f"};
		struct weft_quick q = {0};
		char text[1280];
		int rc;

		assert_int_equal(weft_quick_parse(cases[i].file, strlen(cases[i].file), &q, NULL,
						  NULL, &diag),
				 0);
		rc = weft_quick_check_claims(&q, &diag);
		assert_int_equal(rc, cases[i].said ? WEFT_E_PARSE : 0);
		if (rc)
			assert_string_equal(weft_diag_format(&diag, text, sizeof(text)),
					    cases[i].said);
		weft_quick_clear(&q);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(places)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
