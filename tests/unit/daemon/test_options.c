/* SPDX-License-Identifier: Apache-2.0 */
/* weftd's command line and environment: what is taken, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/options.h"
#include "daemon/threads.h"

static struct weftd_options opt;
static struct weft_diag diag;

static int parse(const char *a, const char *b, const char *c)
{
	char copy[4][64] = {"weftd"};
	const char *in[3] = {a, b, c};
	char *argv[5] = {copy[0]};
	int argc = 1;

	for (int i = 0; i < 3 && in[i]; i++) {
		strcpy(copy[argc], in[i]);
		argv[argc] = copy[argc];
		argc++;
	}
	memset(&diag, 0, sizeof(diag));
	return weftd_options_parse(&opt, argc, argv, &diag);
}

static int clean(void **state)
{
	(void)state;
	unsetenv("LOG_LEVEL");
	unsetenv("WG_TUN_FD");
	unsetenv("WG_UAPI_FD");
	unsetenv("WG_PROCESS_FOREGROUND");
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WEFT_RELAY");
	return 0;
}

static void defaults(void **state)
{
	(void)state;
	assert_int_equal(parse("wg0", NULL, NULL), 0);
	assert_string_equal(opt.ifname, "wg0");
	assert_false(opt.foreground || opt.help || opt.version || opt.log_json || opt.keep_stderr);
	assert_true(opt.tun_offload && opt.udp_offload);
	assert_int_equal(opt.workers, weftd_threads_default(weftd_cpus()));
	assert_int_equal(opt.tun_fd, -1);
	assert_int_equal(opt.uapi_fd, -1);
	assert_int_equal(opt.log_level, WEFTD_LOG_ERROR);
	assert_null(opt.notify_socket);
}

static void crypto(void **state)
{
	(void)state;
	assert_int_equal(parse("wg0", NULL, NULL), 0);
	assert_int_equal(opt.crypto, WEFT_AEAD_AUTO);
	assert_int_equal(parse("--crypto", "openssl", "wg0"), 0);
	assert_int_equal(opt.crypto, WEFT_AEAD_OPENSSL);
	assert_int_equal(parse("--crypto=ipsec-mb", "wg0", NULL), 0);
	assert_int_equal(opt.crypto, WEFT_AEAD_IPSEC_MB);
	assert_int_equal(parse("--crypto", "avx512", "wg0"), 0);
	assert_int_equal(opt.crypto, WEFT_AEAD_AVX512);
	assert_int_equal(parse("--crypto", "auto", "wg0"), 0);
	assert_int_equal(opt.crypto, WEFT_AEAD_AUTO);
	assert_int_equal(parse("--crypto=OpenSSL", "wg0", NULL), -EINVAL);
	assert_non_null(strstr(diag.message, "'OpenSSL'"));
	assert_int_equal(parse("wg0", "--crypto", NULL), -EINVAL);
}

static void arguments(void **state)
{
	(void)state;
	assert_int_equal(parse("-f", "wg0", NULL), 0);
	assert_true(opt.foreground);
	assert_int_equal(parse("--foreground", "wg0", NULL), 0);
	assert_true(opt.foreground);
	assert_int_equal(parse("wg0", "--foreground", NULL), 0);
	assert_true(opt.foreground);
	assert_int_equal(parse("--log-format", "json", "wg0"), 0);
	assert_true(opt.log_json);
	assert_int_equal(opt.packet_memory, WEFTD_PACKET_MEMORY);
	assert_int_equal(parse("--packet-memory", "16", "wg0"), 0);
	assert_int_equal(opt.packet_memory, 16 << 20);
	assert_int_equal(parse("--packet-memory=1024", "wg0", NULL), 0);
	assert_int_equal(opt.packet_memory, 1024 << 20);
	assert_int_equal(parse("--workers", "2", "wg0"), 0);
	assert_int_equal(opt.workers, 2);
	assert_int_equal(parse("--workers=16", "wg0", NULL), 0);
	assert_int_equal(opt.workers, 16);
	assert_int_equal(weft_cpus_count(&opt.cpus), 0);
	assert_int_equal(parse("--cpus", "1,4-7", "wg0"), 0);
	assert_int_equal(weft_cpus_count(&opt.cpus), 5);
	assert_int_equal(opt.workers, 6); /* follows the list */
	assert_int_equal(parse("--cpus=0-7", "--workers=3", "wg0"), 0);
	assert_int_equal(opt.workers, 3);
	assert_int_equal(parse("--log-format=text", "wg0", NULL), 0);
	assert_false(opt.log_json);
	assert_int_equal(parse("--no-tun-offload", "wg0", NULL), 0);
	assert_true(!opt.tun_offload && opt.udp_offload);
	assert_int_equal(parse("--no-udp-offload", "wg0", NULL), 0);
	assert_true(opt.tun_offload && !opt.udp_offload);
	assert_int_equal(parse("--version", NULL, NULL), 0);
	assert_true(opt.version);
	assert_int_equal(parse("-h", NULL, NULL), 0);
	assert_true(opt.help);
}

static void refused(void **state)
{
	static const char *const cases[][3] = {
		{NULL},
		{"wg0", "wg1", NULL},
		{"--log-format", "xml", "wg0"},
		{"--log-format"},
		{"--nonsense", "wg0"},
		{"--packet-memory", "15", "wg0"},
		{"--packet-memory", "1025", "wg0"},
		{"--packet-memory", "32M", "wg0"},
		{"--packet-memory", "", "wg0"},
		{"--workers", "1", "wg0"},
		{"--workers", "17", "wg0"},
		{"--workers", "4 ", "wg0"},
		{"--workers", "", "wg0"},
		{"--workers"},
		{"--cpus", "", "wg0"},
		{"--cpus", "0-", "wg0"},
		{"--cpus", "all", "wg0"},
		{"--cpus", "1024", "wg0"},
		{"--cpus"},
		{"-x", "wg0"},
		{"a/b"},
		{".."},
		{"."},
		{""},
		{"sixteencharacters"},
		{"wg 0"},
		{"wg0\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(parse(cases[i][0], cases[i][1], cases[i][2]), -EINVAL);
		assert_true(diag.message[0] != '\0');
	}
	assert_true(weftd_ifname_valid("fifteen_chars=+"));
	assert_false(weftd_ifname_valid("sixteen_chars=+."));
}

static void environment(void **state)
{
	(void)state;
	setenv("LOG_LEVEL", "verbose", 1);
	setenv("WG_TUN_FD", "7", 1);
	setenv("WG_UAPI_FD", "8", 1);
	setenv("WG_PROCESS_FOREGROUND", "1", 1);
	setenv("NOTIFY_SOCKET", "@x", 1);
	assert_int_equal(parse("wg0", NULL, NULL), 0);
	assert_true(opt.foreground && opt.keep_stderr);
	assert_int_equal(opt.log_level, WEFTD_LOG_DEBUG);
	assert_int_equal(opt.tun_fd, 7);
	assert_int_equal(opt.uapi_fd, 8);
	assert_string_equal(opt.notify_socket, "@x");

	setenv("LOG_LEVEL", "silent", 1);
	setenv("WG_PROCESS_FOREGROUND", "0", 1);
	assert_int_equal(parse("wg0", NULL, NULL), 0);
	assert_false(opt.keep_stderr || opt.foreground);
	assert_int_equal(opt.log_level, WEFTD_LOG_SILENT);

	setenv("WG_TUN_FD", "7x", 1);
	assert_int_equal(parse("wg0", NULL, NULL), -EINVAL);
	setenv("WG_TUN_FD", "-1", 1);
	assert_int_equal(parse("wg0", NULL, NULL), -EINVAL);
	unsetenv("WG_TUN_FD");
	setenv("WG_UAPI_FD", "", 1);
	assert_int_equal(parse("wg0", NULL, NULL), -EINVAL);
}

static void relay(void **state)
{
	static const char *const bad[] = {"", "on", "FAST", "fast ", "1"};

	(void)state;
	assert_int_equal(parse("wg0", NULL, NULL), 0);
	assert_false(opt.relay);
	assert_int_equal(parse("--relay", "fast", "wg0"), 0);
	assert_true(opt.relay);
	assert_int_equal(parse("--relay=off", "wg0", NULL), 0);
	assert_false(opt.relay);
	setenv("WEFT_RELAY", "fast", 1);
	assert_int_equal(parse("wg0", NULL, NULL), 0);
	assert_true(opt.relay);
	assert_int_equal(parse("--relay", "off", "wg0"), 0);
	assert_false(opt.relay);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		setenv("WEFT_RELAY", "off", 1);
		assert_int_equal(parse("--relay", bad[i], "wg0"), -EINVAL);
		assert_non_null(strstr(diag.message, "--relay takes fast or off"));
		setenv("WEFT_RELAY", bad[i], 1);
		assert_int_equal(parse("wg0", NULL, NULL), -EINVAL);
		assert_non_null(strstr(diag.message, "WEFT_RELAY takes fast or off"));
		assert_int_equal(parse("--help", NULL, NULL), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(defaults, clean),
		cmocka_unit_test_setup(crypto, clean),
		cmocka_unit_test_setup(arguments, clean),
		cmocka_unit_test_setup(refused, clean),
		cmocka_unit_test_setup_teardown(environment, clean, clean),
		cmocka_unit_test_setup_teardown(relay, clean, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
