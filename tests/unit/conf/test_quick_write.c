/* SPDX-License-Identifier: Apache-2.0 */
/* A file written anew: what the interface is, and of the old file what it cannot know. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "conf/quick.h"

#define KEY "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="

static const char before[] =
	"# lost\n[Interface]\nAddress = 10.0.0.1/24\nMTU = 1400\nTable = main\nSaveConfig = true\n"
	"Backend = kernel\nWorkers = 4\nCpus = 0-3\nKillSwitch = on\nExclude = 10.9.0.0/16\n"
	"PostDown = b # %i\nPreUp = a\nPostUp = c\nPreDown = d\nPreUp = e\n"
	"[Peer]\n# friendly_name = hub\nPublicKey=" KEY "\nEndpoint = a.example:5\n"
	"Endpoint = 10.0.0.9:6\n[Peer]\nPublicKey=AgEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n"
	"Endpoint = 10.0.0.7:7\n";

static const char after[] =
	"[Interface]\nAddress = 10.0.0.2/24\nDNS = 10.0.0.53\nMTU = 1380\nTable = main\n"
	"SaveConfig = true\nBackend = kernel\nWorkers = 4\nCpus = 0-3\nKillSwitch = on\n"
	"Exclude = 10.9.0.0/16\nPreUp = a\nPreUp = e\nPostUp = c\nPreDown = d\n"
	"PostDown = b # %i\nListenPort = 7\n\n"
	"[Peer]\n# Name = hub\nPublicKey = " KEY "\nAllowedIPs = 10.0.0.9/32\n"
	"Endpoint = a.example:5\nEndpoint = 10.0.0.9:6\n\n"
	"[Peer]\nPublicKey = AgEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n"
	"Endpoint = 10.0.0.8:8\n\n"
	"[Peer]\nPublicKey = AwEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n";

static void written(void **state)
{
	static const char is[] = "[Interface]\nListenPort = 7\n[Peer]\nPublicKey=" KEY
				 "\nAllowedIPs = 10.0.0.9\nEndpoint = 10.0.0.3:3\n"
				 "[Peer]\nPublicKey=AgEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n"
				 "Endpoint = 10.0.0.8:8\n"
				 "[Peer]\nPublicKey=AwEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n";
	static char server[] = "10.0.0.53";
	char *servers[] = {server};
	const struct weft_quick_texts dns = {.v = servers, .n = 1}, none = {0};
	struct weft_prefix address;
	struct weft_ini_result now = {0};
	struct weft_quick q = {0};
	struct weft_text text = {0};
	struct weft_quick_now seen = {.dev = &now.dev,
				      .addresses = &address,
				      .n_addresses = 1,
				      .mtu = 1380,
				      .dns_servers = &dns,
				      .dns_search = &none};

	(void)state;
	assert_int_equal(weft_prefix_parse("10.0.0.2/24", 11, &address), 0);
	assert_int_equal(weft_ini_parse(is, strlen(is), &now, NULL, NULL, NULL), 0);
	assert_int_equal(weft_quick_parse(before, strlen(before), &q, NULL, NULL, NULL), 0);
	assert_int_equal(weft_quick_write(&text, &q, &seen), 0);
	assert_int_equal(weft_text_append(&text, "", 1), 0);
	assert_string_equal(text.p, after);
	weft_text_clear(&text);
	weft_quick_clear(&q);
	weft_ini_result_clear(&now);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(written)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
