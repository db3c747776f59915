/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest change of a device, compared as command lines, and its JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "conf/ini.h"
#include "host/plan.h"

#define KEY     "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ"
#define A       KEY "E="
#define B       KEY "I="
#define C       KEY "M="
#define PRIVATE "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
#define PSK     "FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE="
#define P(k)    "[Peer]\nPublicKey=" k "\n"

static void read_device(const char *text, struct weft_ini_result *ret)
{
	*ret = (struct weft_ini_result){0};
	assert_int_equal(weft_ini_parse(text, strlen(text), ret, NULL, NULL, NULL), 0);
}

static void diff(const char *is, const char *wanted, bool takes_away, struct weft_host_plan *ret)
{
	struct weft_ini_result a, b;

	*ret = (struct weft_host_plan){0};
	read_device(is, &a);
	read_device(wanted, &b);
	assert_int_equal(weft_host_diff_device(&a.dev, &b.dev, takes_away, &ret->device), 0);
	weft_ini_result_clear(&a);
	weft_ini_result_clear(&b);
}

static const struct {
	const char *is, *wanted, *lines, *without_taking;
} cases[] = {
	{"", "", "", NULL},
	{"[Interface]\nPrivateKey=" PRIVATE "\nListenPort=5\n",
	 "[Interface]\nPrivateKey=" PRIVATE "\n", "", NULL},
	{"[Interface]\nListenPort=5\n", "[Interface]\nListenPort=6\nPrivateKey=" PRIVATE "\n",
	 "weft set wg0 listen-port 6 private-key (changed)\n", NULL},
	/* not clamped in the file, clamped by the device */
	{"[Interface]\nPrivateKey=yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n",
	 "[Interface]\nPrivateKey=ygnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBuk=\n", "", NULL},
	{P(A) "AllowedIPs=10.0.0.0/8\n", P(A) "AllowedIPs=10.0.0.0/8,10.0.0.0/8\n", "", NULL},
	{P(A), P(A) P(B) "AllowedIPs=10.0.0.0/8\nPersistentKeepalive=5\n",
	 "weft set wg0 peer " B " persistent-keepalive 5 allowed-ips 10.0.0.0/8\n", NULL},
	{P(A) P(B), P(B) P(C), "weft set wg0 peer " C "\nweft set wg0 peer " A " remove\n", NULL},
	{P(A) "PresharedKey=" PSK "\nPersistentKeepalive=5\n", P(A),
	 "weft set wg0 peer " A " preshared-key (removed) persistent-keepalive 0\n", NULL},
	{P(A), P(A) "PresharedKey=" PSK "\n", "weft set wg0 peer " A " preshared-key (changed)\n",
	 NULL},
	/* an endpoint that is not in the file is left where it is */
	{P(A) "Endpoint=10.0.0.1:5\n", P(A), "", NULL},
	{P(A) "Endpoint=10.0.0.1:5\n", P(A) "Endpoint=10.0.0.1:6\n",
	 "weft set wg0 peer " A " endpoint 10.0.0.1:6\n", NULL},
	{P(A) "AllowedIPs=10.1.0.0/16,fd00::/8\n" P(B) "AllowedIPs=10.2.0.0/16\n",
	 P(A) "AllowedIPs=fd00::/8,10.2.0.0/16\n" P(B) "AllowedIPs=10.1.0.0/16\n",
	 "weft set wg0 peer " A " allowed-ips +10.2.0.0/16,-10.1.0.0/16\n"
	 "weft set wg0 peer " B " allowed-ips +10.1.0.0/16,-10.2.0.0/16\n",
	 "weft set wg0 peer " A " allowed-ips fd00::/8,10.2.0.0/16\n"
	 "weft set wg0 peer " B " allowed-ips 10.1.0.0/16\n"},
	{P(A) "AllowedIPs=10.1.0.0/16\n", P(A),
	 "weft set wg0 peer " A " allowed-ips -10.1.0.0/16\n",
	 "weft set wg0 peer " A " allowed-ips \"\"\n"},
	/* to add to a list there is no need to replace it */
	{P(A) "AllowedIPs=10.1.0.0/16\n", P(A) "AllowedIPs=10.1.0.0/16,10.2.0.0/16\n",
	 "weft set wg0 peer " A " allowed-ips +10.2.0.0/16\n", NULL},
	/* two sections: the later one adds to the first, and has the allowed IPs */
	{P(A),
	 P(A) "PresharedKey=" PSK "\nAllowedIPs=10.1.0.0/16\n" P(B)
		 P(A) "AllowedIPs=10.2.0.0/16\nPersistentKeepalive=7\n",
	 "weft set wg0 peer " A " preshared-key (changed) persistent-keepalive 7 "
	 "allowed-ips +10.2.0.0/16\nweft set wg0 peer " B "\n",
	 NULL},
	{"[Interface]\nRelay=fast\n", "[Interface]\n", "", NULL},
	{"[Interface]\nRelay=fast\n", "[Interface]\nRelay=off\n", "weft set wg0 relay off\n", NULL},
	{"[Interface]\n", "[Interface]\nRelay=off\n", "", NULL},
};

static void smallest(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		const char *lines = cases[i / 2].lines;
		struct weft_host_plan plan;
		struct weft_text text = {0};

		if (i % 2 && cases[i / 2].without_taking)
			lines = cases[i / 2].without_taking;
		diff(cases[i / 2].is, cases[i / 2].wanted, i % 2 == 0, &plan);
		assert_int_equal(weft_host_plan_text(&plan, "wg0", &text), 0);
		assert_int_equal(weft_text_append(&text, "", 1), 0);
		assert_string_equal(text.p, lines);
		assert_int_equal(weft_host_plan_is_empty(&plan), !lines[0]);
		weft_text_clear(&text);
		weft_host_plan_clear(&plan);
	}
}

static void as_json(void **state)
{
	struct weft_host_plan plan;
	struct weft_text text = {0};

	(void)state;
	diff(P(A) "AllowedIPs=10.1.0.0/16\n" P(C),
	     "[Interface]\nPrivateKey=" PRIVATE
	     "\n" P(A) "PresharedKey=" PSK
		       "\nAllowedIPs=10.2.0.0/16\n" P(B) "Endpoint=[fd00::1]:5\n",
	     true, &plan);
	assert_int_equal(weft_host_plan_json(&plan, "wg0", &text), 0);
	assert_int_equal(weft_text_append(&text, "", 1), 0);
	assert_string_equal(
		text.p, "{\"interface\":\"wg0\",\"changes\":["
			"{\"kind\":\"device\",\"change\":\"change\",\"private_key\":\"(changed)\"},"
			"{\"kind\":\"peer\",\"change\":\"change\",\"public_key\":\"" A "\","
			"\"preshared_key\":\"(changed)\",\"allowed_ips_added\":[\"10.2.0.0/16\"],"
			"\"allowed_ips_removed\":[\"10.1.0.0/16\"]},"
			"{\"kind\":\"peer\",\"change\":\"add\",\"public_key\":\"" B "\","
			"\"endpoint\":\"[fd00::1]:5\"},"
			"{\"kind\":\"peer\",\"change\":\"remove\",\"public_key\":\"" C "\"}]}\n");
	weft_text_clear(&text);
	weft_host_plan_clear(&plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(smallest),
		cmocka_unit_test(as_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
