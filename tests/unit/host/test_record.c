/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of a file: written, read back, and refused where it makes no sense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "host/record.h"

static const char file[] = "[Interface]\nAddress = 10.0.0.1/24, fd00::1/64\nRelay = off\n"
			   "DNS = 10.0.0.53, a.example\nPrivateKey = "
			   "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n"
			   "[Peer]\nPublicKey=AgEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n"
			   "Endpoint = a.example:5\nEndpoint = 10.0.0.9:6\n"
			   "PresharedKey=FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE=\n"
			   "AllowedIPs=10.1.0.0/16\n"
			   "[Peer]\nPublicKey=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n"
			   "Endpoint = _wireguard._udp.example.com\nAllowedIPs=::/0\n"
			   "[Peer]\nPublicKey=AwEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n";

static const char kept[] =
	"weft 1\ninterface 7 4026531840\nrelay\naddress 10.0.0.1/24\naddress fd00::1/64\n"
	"route 10.1.0.0/16 254\nroute ::/0 51820\ndns nameserver 10.0.0.53\ndns search a.example\n"
	"peer AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE= _wireguard._udp.example.com\n"
	"peer AgEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE= a.example:5 10.0.0.9:6\n";

static void check_text(const struct weft_host_record *rec)
{
	struct weft_text text = {0};

	assert_int_equal(weft_host_record_write(rec, &text), 0);
	assert_int_equal(weft_text_append(&text, "", 1), 0);
	assert_string_equal(text.p, kept);
	weft_text_clear(&text);
}

static void there_and_back(void **state)
{
	const struct weft_host_facts facts = {.mark = 51820};
	struct weft_host_record rec = {.ifindex = 7, .netns = 4026531840}, back = {0};
	struct weft_host_state wanted = {0};
	struct weft_quick q = {0};

	(void)state;
	assert_int_equal(weft_quick_parse(file, strlen(file), &q, NULL, NULL, NULL), 0);
	assert_int_equal(weft_host_wanted(&q, &facts, &wanted), 0);
	assert_int_equal(weft_host_record_add(&rec, &q, &wanted), 0);
	check_text(&rec);
	assert_int_equal(weft_host_record_parse(kept, strlen(kept), &back), 0);
	check_text(&back);
	assert_string_equal(weft_host_record_find(&back, q.wg.dev.peers[0].public_key),
			    "a.example:5 10.0.0.9:6");
	assert_null(weft_host_record_find(&back, q.wg.dev.peers[2].public_key));
	weft_host_record_clear(&back);
	weft_host_record_clear(&rec);
	weft_host_state_clear(&wanted);
	weft_quick_clear(&q);
}

static void refused(void **state)
{
	static const char *const bad[] = {
		"weft 2\n",
		"weft 1",
		"weft 1\naddress\n",
		"weft 1\naddress 10.0.0.1/33\n",
		"weft 1\naddress 10.0.0.1/8 7\n",
		"weft 1\nroute 10.0.0.0/8\n",
		"weft 1\nroute 10.0.0.0/8 4294967296\n",
		"weft 1\nroute 10.0.0.0/8 7x\n",
		"weft 1\npeer abc 10.0.0.1:5\n",
		"weft 1\nother thing\n",
		"weft 1\ninterface 7\n",
	};
	struct weft_host_record rec = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(weft_host_record_parse(bad[i], strlen(bad[i]), &rec),
				 WEFT_E_PARSE);
		weft_host_record_clear(&rec);
	}
	/* cut off anywhere within a line it is refused */
	for (size_t n = 1; n < sizeof(kept) - 1; n++) {
		int rc = weft_host_record_parse(kept, n, &rec);

		assert_int_equal(rc, kept[n - 1] == '\n' ? 0 : WEFT_E_PARSE);
		weft_host_record_clear(&rec);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
