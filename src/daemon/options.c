/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments and environment: see options.h. Starts nothing and prints nothing. */
#include "daemon/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/threads.h"

enum {
	OPT_CPUS = 256,
	OPT_CRYPTO,
	OPT_LOG_FORMAT,
	OPT_NO_TUN_OFFLOAD,
	OPT_NO_UDP_OFFLOAD,
	OPT_PACKET_MEMORY,
	OPT_RELAY,
	OPT_VERSION,
	OPT_WORKERS
};

static const struct option long_options[] = {
	{"foreground", no_argument, NULL, 'f'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, OPT_VERSION},
	{"cpus", required_argument, NULL, OPT_CPUS},
	{"crypto", required_argument, NULL, OPT_CRYPTO},
	{"log-format", required_argument, NULL, OPT_LOG_FORMAT},
	{"no-tun-offload", no_argument, NULL, OPT_NO_TUN_OFFLOAD},
	{"no-udp-offload", no_argument, NULL, OPT_NO_UDP_OFFLOAD},
	{"packet-memory", required_argument, NULL, OPT_PACKET_MEMORY},
	{"relay", required_argument, NULL, OPT_RELAY},
	{"workers", required_argument, NULL, OPT_WORKERS},
	{NULL, 0, NULL, 0},
};

const char *weftd_help(void)
{
	return "usage: weftd [-f|--foreground] [--cpus LIST] [--crypto LIBRARY]\n"
	       "             [--log-format text|json] [--no-tun-offload] [--no-udp-offload]\n"
	       "             [--packet-memory MIB] [--relay fast|off] [--workers N] IFNAME\n"
	       "\n"
	       "Makes the WireGuard interface IFNAME and serves it until it is deleted, its "
	       "control\n"
	       "socket is removed, or SIGTERM or SIGINT arrives. Configure it with weft or wg.\n"
	       "\n"
	       "  -f, --foreground        stay in the foreground\n"
	       "      --cpus LIST         run on these processors alone, as in 0-3,5\n"
	       "      --crypto LIBRARY    auto (the default), avx512, ipsec-mb or openssl: "
	       "what encrypts\n"
	       "      --log-format FORM   text (key=value, the default) or json, one line an "
	       "event\n"
	       "      --no-tun-offload    no segmentation offload on the tunnel interface\n"
	       "      --no-udp-offload    no segmentation offload on the UDP sockets\n"
	       "      --packet-memory N   memory for packets that wait, in MiB, 16 to 1024 (32 if "
	       "not\n"
	       "                          given)\n"
	       "      --relay fast|off    carry packets from peer to peer past the host's firewall "
	       "(off\n"
	       "                          is the default), unless the configuration says "
	       "otherwise\n"
	       "      --workers N         threads that move data, 2 to 16; as many as there are\n"
	       "                          processors to run on if not given\n"
	       "  -h, --help              this text\n"
	       "      --version           the version\n"
	       "\n"
	       "environment:\n"
	       "  LOG_LEVEL               silent, error (the default), info, verbose or debug; "
	       "when\n"
	       "                          set, a daemon in the background keeps its stderr\n"
	       "  WG_TUN_FD               an open tunnel device to use instead of making one\n"
	       "  WG_UAPI_FD              a listening control socket to use instead of making one\n"
	       "  WG_PROCESS_FOREGROUND=1 as --foreground\n"
	       "  WEFT_RELAY=fast|off     as --relay, which goes before it\n"
	       "  NOTIFY_SOCKET           where systemd is told of READY=1\n";
}

bool weftd_ifname_valid(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_=+.-";
	size_t len = strlen(name);

	if (len == 0 || len > 15 || strspn(name, allowed) != len)
		return false;
	return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int parse_fd(const char *name, int *ret_fd, struct weft_diag *diag)
{
	const char *text = getenv(name);
	char *end;
	long v;

	if (!text)
		return 0;
	errno = 0;
	v = strtol(text, &end, 10);
	if (errno || end == text || *end || v < 0 || v > INT_MAX) {
		weft_diag_set(diag, 0, 0, "%s is not a file descriptor: '%s'", name, text);
		return -EINVAL;
	}
	*ret_fd = (int)v;
	return 0;
}

static int parse_relay(const char *name, const char *text, bool *ret_relay, struct weft_diag *diag)
{
	if (strcmp(text, "fast") != 0 && strcmp(text, "off") != 0) {
		weft_diag_set(diag, 0, 0, "%s takes fast or off, not '%s'", name, text);
		return -EINVAL;
	}
	*ret_relay = strcmp(text, "fast") == 0;
	return 0;
}

static int parse_environment(struct weftd_options *opt, struct weft_diag *diag)
{
	const char *level = getenv("LOG_LEVEL");
	const char *foreground = getenv("WG_PROCESS_FOREGROUND");
	int rc;

	if (level && !weftd_log_level_parse(level, &opt->log_level))
		opt->unknown_log_level =
			level; /* it may be meant for other programs: no reason to fail */
	opt->keep_stderr = level && opt->log_level != WEFTD_LOG_SILENT;
	if (foreground && strcmp(foreground, "1") == 0)
		opt->foreground = true;
	opt->notify_socket = getenv("NOTIFY_SOCKET");
	rc = parse_fd("WG_TUN_FD", &opt->tun_fd, diag);
	return rc ? rc : parse_fd("WG_UAPI_FD", &opt->uapi_fd, diag);
}

static int take_crypto(struct weftd_options *opt, const char *name, struct weft_diag *diag)
{
	static const struct {
		const char *name;
		enum weft_aead_choice choice;
	} known[] = {
		{"auto", WEFT_AEAD_AUTO},
		{"avx512", WEFT_AEAD_AVX512},
		{"ipsec-mb", WEFT_AEAD_IPSEC_MB},
		{"openssl", WEFT_AEAD_OPENSSL},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(name, known[i].name) == 0) {
			opt->crypto = known[i].choice;
			return 0;
		}
	}
	weft_diag_set(diag, 0, 0, "--crypto takes auto, avx512, ipsec-mb or openssl, not '%s'",
		      name);
	return -EINVAL;
}

static int parse_workers(const char *text, unsigned *ret_workers, struct weft_diag *diag)
{
	char *end;
	long v;

	errno = 0;
	v = strtol(text, &end, 10);
	if (errno || end == text || *end || v < WEFTD_MIN_THREADS || v > WEFTD_MAX_THREADS) {
		weft_diag_set(diag, 0, 0, "--workers takes a number from %d to %d, not '%s'",
			      WEFTD_MIN_THREADS, WEFTD_MAX_THREADS, text);
		return -EINVAL;
	}
	*ret_workers = (unsigned)v;
	return 0;
}

static int parse_cpus(const char *text, struct weft_cpus *ret_cpus, struct weft_diag *diag)
{
	if (!weft_cpus_parse(text, strlen(text), ret_cpus))
		return 0;
	weft_diag_set(diag, 0, 0, "--cpus takes %s, not '%s'", WEFT_CPUS_EXPECTED, text);
	return -EINVAL;
}

static int parse_packet_memory(const char *text, size_t *ret_bytes, struct weft_diag *diag)
{
	const long least = WEFTD_MIN_PACKET_MEMORY >> 20, most = WEFTD_MAX_PACKET_MEMORY >> 20;
	char *end;
	long v;

	errno = 0;
	v = strtol(text, &end, 10);
	if (errno || end == text || *end || v < least || v > most) {
		weft_diag_set(diag, 0, 0,
			      "--packet-memory takes a number of MiB from %ld to %ld, not '%s'",
			      least, most, text);
		return -EINVAL;
	}
	*ret_bytes = (size_t)v << 20;
	return 0;
}

/* One option of getopt. Returns 0 or -EINVAL with `diag` filled. */
static int take_option(struct weftd_options *opt, int c, char **argv, struct weft_diag *diag)
{
	switch (c) {
	case 'f':
		opt->foreground = true;
		return 0;
	case 'h':
		opt->help = true;
		return 0;
	case OPT_VERSION:
		opt->version = true;
		return 0;
	case OPT_NO_TUN_OFFLOAD:
		opt->tun_offload = false;
		return 0;
	case OPT_NO_UDP_OFFLOAD:
		opt->udp_offload = false;
		return 0;
	case OPT_CRYPTO:
		return take_crypto(opt, optarg, diag);
	case OPT_CPUS:
		return parse_cpus(optarg, &opt->cpus, diag);
	case OPT_WORKERS:
		return parse_workers(optarg, &opt->workers, diag);
	case OPT_LOG_FORMAT:
		if (strcmp(optarg, "json") != 0 && strcmp(optarg, "text") != 0) {
			weft_diag_set(diag, 0, 0, "--log-format takes text or json, not '%s'",
				      optarg);
			return -EINVAL;
		}
		opt->log_json = strcmp(optarg, "json") == 0;
		return 0;
	case OPT_PACKET_MEMORY:
		return parse_packet_memory(optarg, &opt->packet_memory, diag);
	case OPT_RELAY:
		return parse_relay("--relay", optarg, &opt->relay, diag);
	case ':':
		weft_diag_set(diag, 0, 0, "option '%s' needs a value", argv[optind - 1]);
		return -EINVAL;
	default:
		weft_diag_set(diag, 0, 0, "unknown option '%s'", argv[optind - 1]);
		return -EINVAL;
	}
}

int weftd_options_parse(struct weftd_options *ret_opt, int argc, char **argv,
			struct weft_diag *diag)
{
	struct weftd_options opt = {
		.packet_memory = WEFTD_PACKET_MEMORY,
		.tun_offload = true,
		.udp_offload = true,
		.tun_fd = -1,
		.uapi_fd = -1,
		.log_level = WEFTD_LOG_ERROR,
	};
	const char *relay = getenv("WEFT_RELAY");
	int bad_relay, c, rc;

	bad_relay = relay ? parse_relay("WEFT_RELAY", relay, &opt.relay, diag) : 0;
	opterr = 0;
	optind = 0; /* glibc: start anew, whatever ran before */
	while ((c = getopt_long(argc, argv, ":fh", long_options, NULL)) != -1) {
		rc = take_option(&opt, c, argv, diag);
		if (rc)
			return rc;
	}
	if (opt.help || opt.version) {
		*ret_opt = opt;
		return 0;
	}
	if (bad_relay)
		return bad_relay;
	if (argc - optind != 1) {
		weft_diag_set(diag, 0, 0, "expected one interface name, found %d arguments",
			      argc - optind);
		weft_diag_hint(diag, "weftd --help says more");
		return -EINVAL;
	}
	if (!weftd_ifname_valid(argv[optind])) {
		weft_diag_set(diag, 0, 0, "'%s' is not an interface name", argv[optind]);
		weft_diag_hint(diag, "1 to 15 letters, digits and _=+.-");
		return -EINVAL;
	}
	memcpy(opt.ifname, argv[optind], strlen(argv[optind]) + 1);
	if (!opt.workers && weft_cpus_count(&opt.cpus))
		opt.workers = weftd_threads_default(weft_cpus_count(&opt.cpus));
	else if (!opt.workers)
		opt.workers = weftd_threads_default(weftd_cpus());
	rc = parse_environment(&opt, diag);
	if (rc)
		return rc;
	*ret_opt = opt;
	return 0;
}
