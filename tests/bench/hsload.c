// SPDX-License-Identifier: Apache-2.0
// Handshakes in numbers, for the bench: many initiators with keys of their own, each at an address
// of its own, against one responder. Initiations are made ahead, so that the responder is what is
// measured; responses are counted, not opened, and no session is used. Cookies are taken and shown.
//
//   hsload config    the peers as lines of a UAPI set, for the responder
//   hsload rate      so many initiations under way at any time: responses a second
//   hsload storm     all peers at once, each again every 5 s until it is answered, as stock peers
//   do
//
// The addresses must be local (ip route add local 10.128.0.0/9 dev lo); one socket serves them all.
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/cookie.h"
#include "core/noise.h"
#include "util/cursor.h"
#include "util/encoding.h"

enum {
	BATCH = 32,
	RETRY_MS = 5000, // REKEY_TIMEOUT of the paper, and its jitter
	JITTER_MS = 333,
	LOST_MS = 200, // rate: what is not answered by then never will be
	BUFFER_BYTES = 16 << 20,
	FIRST_ADDRESS = 0x0a800000, // 10.128.0.0: peers; 10.192.0.0: junk
	FIRST_JUNK = 0x0ac00000,
};

struct spoke {
	struct weft_secret secret;
	uint8_t public_key[WEFT_KEY_LEN];
	struct weft_handshake hs;
	struct weft_handshake_run run;
	struct weft_cookie_peer cookie;
	int64_t next_ms; // storm: when it tries again
	int64_t done_us; // storm: when it was answered; 0: not yet
	unsigned tries;
};

static struct {
	unsigned peers, tries, window, junk;
	double seconds;
	uint64_t seed;
	struct sockaddr_in to;
	uint8_t responder[WEFT_KEY_LEN];
	struct weft_crypto *crypto;
	struct spoke *spoke;
	uint8_t (*msg)[WEFT_MSG_INITIATION_LEN]; // try * peers + spoke
	int fd;
	unsigned batch;
	struct mmsghdr out[BATCH];
	struct iovec iov[BATCH];
	uint8_t pkt[BATCH][WEFT_MSG_INITIATION_LEN];
	union {
		struct cmsghdr align;
		char b[CMSG_SPACE(sizeof(struct in_pktinfo))];
	} control[BATCH];
	uint64_t sent, answered, cookies, junk_sent, lost;
} g;

static void die(const char *what)
{
	fprintf(stderr, "hsload: %s: %s\n", what, errno ? strerror(errno) : "failed");
	exit(1);
}

static int64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

// ---- keys and messages, ahead of time ----

static void make_secret(unsigned i, struct weft_secret *ret)
{
	uint64_t in[2] = {g.seed, i};

	if (weft_hash(g.crypto, ret->b, in, sizeof(in), NULL, 0))
		die("hashing");
	weft_x25519_clamp(ret);
}

static int static_dh(void *ctx, struct weft_secret *ret_shared, const uint8_t point[WEFT_KEY_LEN])
{
	const struct spoke *s = ctx;

	return weft_x25519(g.crypto, ret_shared, &s->secret, point);
}

static void make_spokes(void)
{
	g.spoke = calloc(g.peers, sizeof(*g.spoke));
	if (!g.spoke)
		die("memory");
	for (unsigned i = 0; i < g.peers; i++) {
		struct spoke *s = &g.spoke[i];

		make_secret(i, &s->secret);
		if (weft_x25519_public(g.crypto, s->public_key, &s->secret))
			die("a key");
	}
}

static void make_messages(void)
{
	struct weft_noise noise;
	struct timespec wall;

	g.msg = calloc((size_t)g.peers * g.tries, sizeof(*g.msg));
	if (!g.msg)
		die("memory");
	clock_gettime(CLOCK_REALTIME, &wall);
	for (unsigned i = 0; i < g.peers; i++) {
		struct spoke *s = &g.spoke[i];

		weft_handshake_init(&s->hs, g.responder);
		s->hs.run = &s->run;
		if (weft_noise_init(&noise, g.crypto, static_dh, s) ||
		    weft_cookie_peer_init(&s->cookie, g.crypto, g.responder))
			die("a handshake");
		weft_noise_set_static(&noise, s->public_key);
		for (unsigned t = 0; t < g.tries; t++) {
			uint32_t n = t * g.peers + i;
			uint8_t stamp[WEFT_TIMESTAMP_LEN];
			struct weft_secret ephemeral;

			weft_noise_timestamp(stamp, (uint64_t)wall.tv_sec + t, 0);
			if (weft_random(ephemeral.b, sizeof(ephemeral.b)))
				die("randomness");
			weft_x25519_clamp(&ephemeral);
			if (weft_noise_create_initiation(&noise, &s->hs, &ephemeral, stamp, n,
							 g.msg[n]))
				die("an initiation");
		}
	}
}

static int print_config(void)
{
	char hex[WEFT_KEY_HEX_LEN + 1];

	for (unsigned i = 0; i < g.peers; i++) {
		weft_key_to_hex(hex, g.spoke[i].public_key);
		printf("public_key=%.64s\nallowed_ip=10.%u.%u.%u/32\n", hex, i >> 16, i >> 8 & 255,
		       i & 255);
	}
	return 0;
}

// ---- the socket ----

static void open_socket(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET};
	int on = 1, bytes = BUFFER_BYTES;

	g.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (g.fd < 0 || setsockopt(g.fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) ||
	    bind(g.fd, (struct sockaddr *)&any, sizeof(any)))
		die("the socket");
	// a storm's answers must not be lost here
	(void)setsockopt(g.fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	(void)setsockopt(g.fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
}

static void flush(void)
{
	unsigned done = 0;

	while (done < g.batch) {
		int n = sendmmsg(g.fd, g.out + done, g.batch - done, 0);

		if (n > 0)
			done += (unsigned)n;
		else if (errno == EAGAIN || errno == ENOBUFS)
			(void)poll(&(struct pollfd){.fd = g.fd, .events = POLLOUT}, 1, 1);
		else if (errno != EINTR && errno != ECONNREFUSED)
			die("sending");
	}
	g.batch = 0;
}

// One message, from an address of its own; kept until flush() or until the batch is full.
static void queue(const uint8_t *pkt, uint32_t from)
{
	unsigned i = g.batch++;
	struct msghdr *m = &g.out[i].msg_hdr;
	struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl(from)};
	struct cmsghdr *c;

	memcpy(g.pkt[i], pkt, sizeof(g.pkt[i]));
	g.iov[i] = (struct iovec){g.pkt[i], sizeof(g.pkt[i])};
	*m = (struct msghdr){.msg_name = &g.to,
			     .msg_namelen = sizeof(g.to),
			     .msg_iov = &g.iov[i],
			     .msg_iovlen = 1,
			     .msg_control = &g.control[i],
			     .msg_controllen = sizeof(g.control[i])};
	c = CMSG_FIRSTHDR(m);
	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	if (g.batch == BATCH)
		flush();
}

static void send_initiation(uint32_t n)
{
	struct spoke *s = &g.spoke[n % g.peers];
	uint8_t pkt[WEFT_MSG_INITIATION_LEN];

	memcpy(pkt, g.msg[n], sizeof(pkt));
	if (weft_cookie_add_macs(&s->cookie, g.crypto, pkt, sizeof(pkt), (uint64_t)now_us() * 1000))
		die("macs");
	queue(pkt, FIRST_ADDRESS + n % g.peers);
	g.sent++;
}

// What someone can make who knows the responder's public key alone.
static void send_junk(struct weft_cookie_peer *maker)
{
	uint8_t pkt[WEFT_MSG_INITIATION_LEN];
	uint32_t from = 0;

	if (weft_random(pkt, sizeof(pkt)) || weft_random(&from, sizeof(from)))
		die("randomness");
	weft_put_le32(pkt, WEFT_MSG_INITIATION);
	if (weft_cookie_add_macs(maker, g.crypto, pkt, sizeof(pkt), 1))
		die("macs");
	queue(pkt, FIRST_JUNK + from % (1u << 20));
	g.junk_sent++;
}

// Takes what has come: `fn` for each response. Returns how many datagrams came.
static unsigned receive(void (*fn)(uint32_t n))
{
	static uint8_t buf[64][256];
	struct mmsghdr m[64];
	struct iovec iov[64];
	int got;

	memset(m, 0, sizeof(m));
	for (unsigned i = 0; i < 64; i++) {
		iov[i] = (struct iovec){buf[i], sizeof(buf[i])};
		m[i].msg_hdr.msg_iov = &iov[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	got = recvmmsg(g.fd, m, 64, MSG_DONTWAIT, NULL);
	for (int i = 0; i < got; i++) {
		size_t len = m[i].msg_len;
		uint32_t n;

		if (len == WEFT_MSG_RESPONSE_LEN && buf[i][0] == WEFT_MSG_RESPONSE) {
			n = weft_get_le32(buf[i] + 8);
			if (n < g.peers * g.tries)
				fn(n);
		} else if (len == WEFT_MSG_COOKIE_LEN && buf[i][0] == WEFT_MSG_COOKIE) {
			n = weft_get_le32(buf[i] + 4);
			if (n < g.peers * g.tries &&
			    !weft_cookie_consume(&g.spoke[n % g.peers].cookie, g.crypto, buf[i],
						 len, (uint64_t)now_us() * 1000))
				g.cookies++;
		}
	}
	return got > 0 ? (unsigned)got : 0;
}

static void wait_ms(int ms)
{
	(void)poll(&(struct pollfd){.fd = g.fd, .events = POLLIN}, 1, ms);
}

// ---- rate ----

static void count(uint32_t n)
{
	(void)n;
	g.answered++;
}

static int rate(void)
{
	uint32_t total = g.peers * g.tries, next = 0;
	int64_t begin = now_us(), last = begin, end = begin + (int64_t)(g.seconds * 1e6);
	int64_t now = begin;

	while (now < end) {
		uint64_t under_way = g.sent - g.answered - g.cookies - g.lost;

		while (next < total && under_way < g.window) {
			send_initiation(next++);
			under_way++;
		}
		flush();
		if (next == total && under_way == 0)
			break;
		now = now_us();
		if (receive(count)) {
			last = now;
		} else if (now - last > LOST_MS * 1000) {
			g.lost += under_way;
			last = now;
		} else {
			wait_ms(1);
		}
	}
	printf("{\"mode\": \"rate\", \"peers\": %u, \"window\": %u, \"seconds\": %.3f, "
	       "\"sent\": %lu, \"answered\": %lu, \"cookies\": %lu, \"lost\": %lu, "
	       "\"per_second\": %.1f}\n",
	       g.peers, g.window, (double)(last - begin) / 1e6, g.sent, g.answered, g.cookies,
	       g.lost, (double)g.answered * 1e6 / (double)(last > begin ? last - begin : 1));
	return 0;
}

// ---- storm ----

static int64_t storm_begin;

static void done(uint32_t n)
{
	struct spoke *s = &g.spoke[n % g.peers];

	if (s->done_us)
		return;
	s->done_us = now_us() - storm_begin + 1;
	g.answered++;
}

static int compare(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void print_storm(void)
{
	int64_t *t = calloc(g.peers, sizeof(*t));
	size_t n = 0;

	if (!t)
		die("memory");
	for (unsigned i = 0; i < g.peers; i++)
		if (g.spoke[i].done_us)
			t[n++] = g.spoke[i].done_us;
	qsort(t, n, sizeof(*t), compare);
	printf("{\"mode\": \"storm\", \"peers\": %u, \"answered\": %zu, \"sent\": %lu, "
	       "\"cookies\": %lu, \"junk_sent\": %lu, \"first_ms\": %.1f, \"p50_ms\": %.1f, "
	       "\"p99_ms\": %.1f, \"last_ms\": %.1f}\n",
	       g.peers, n, g.sent, g.cookies, g.junk_sent, n ? (double)t[0] / 1e3 : 0,
	       n ? (double)t[n / 2] / 1e3 : 0, n ? (double)t[n * 99 / 100] / 1e3 : 0,
	       n ? (double)t[n - 1] / 1e3 : 0);
	free(t);
}

static void try_again(unsigned i, int64_t now_ms)
{
	struct spoke *s = &g.spoke[i];
	uint32_t r;

	if (weft_random(&r, sizeof(r)))
		die("randomness");
	send_initiation(s->tries++ * g.peers + i);
	s->next_ms = s->tries < g.tries ? now_ms + RETRY_MS + r % (JITTER_MS + 1) : INT64_MAX;
}

static int storm(void)
{
	struct weft_cookie_peer maker;
	unsigned at = 0;

	if (weft_cookie_peer_init(&maker, g.crypto, g.responder))
		die("a key");
	storm_begin = now_us();
	while (g.answered < g.peers) {
		int64_t since = now_us() - storm_begin;

		if (since > (int64_t)(g.seconds * 1e6))
			break;
		// some peers, then look for answers again: nothing waits for a walk over all
		for (unsigned i = 0; i < 1024 && i < g.peers; i++, at = (at + 1) % g.peers)
			if (!g.spoke[at].done_us && g.spoke[at].next_ms <= since / 1000)
				try_again(at, since / 1000);
		while (g.junk_sent < (uint64_t)since * g.junk / 1000000 && g.batch < BATCH - 1)
			send_junk(&maker);
		flush();
		while (receive(done) == 64)
			;
		if (!g.junk)
			wait_ms(1);
	}
	print_storm();
	return 0;
}

// ---- options ----

static void usage(FILE *f)
{
	fprintf(f, "usage: hsload config|rate|storm [options]\n"
		   "  --to ADDRESS:PORT  the responder (IPv4)\n"
		   "  --key KEY          its public key, base64\n"
		   "  --peers N          initiators (1000)\n"
		   "  --tries N          initiations made ahead for each (rate: 10, storm: 4)\n"
		   "  --window N         rate: how many are under way at once (64)\n"
		   "  --junk N           storm: initiations a second by strangers (0)\n"
		   "  --seconds N        ends after that (20)\n"
		   "  --seed N           of the keys: the same for config and load (1)\n");
}

static unsigned number(const char *name, const char *text, unsigned long most)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (!*text || *end || v > most) {
		fprintf(stderr, "hsload: --%s: expected a number up to %lu, found \"%s\"\n", name,
			most, text);
		exit(2);
	}
	return (unsigned)v;
}

static void set_target(const char *text)
{
	const char *colon = strrchr(text, ':');
	char host[64];

	if (colon && (size_t)(colon - text) < sizeof(host)) {
		memcpy(host, text, (size_t)(colon - text));
		host[colon - text] = '\0';
		g.to.sin_family = AF_INET;
		g.to.sin_port = htons((uint16_t)number("to", colon + 1, 65535));
		if (inet_pton(AF_INET, host, &g.to.sin_addr) == 1)
			return;
	}
	fprintf(stderr, "hsload: --to: expected address:port, found \"%s\"\n", text);
	exit(2);
}

static void options(int argc, char **argv)
{
	static const struct option known[] = {
		{"to", 1, NULL, 't'},    {"key", 1, NULL, 'k'},     {"peers", 1, NULL, 'p'},
		{"tries", 1, NULL, 'n'}, {"window", 1, NULL, 'w'},  {"junk", 1, NULL, 'j'},
		{"seed", 1, NULL, 's'},  {"seconds", 1, NULL, 'd'}, {"help", 0, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", known, NULL)) != -1) {
		if (c == 't')
			set_target(optarg);
		else if (c == 'p')
			g.peers = number("peers", optarg, 1u << 20);
		else if (c == 'n')
			g.tries = number("tries", optarg, 1000);
		else if (c == 'w')
			g.window = number("window", optarg, 4096);
		else if (c == 'j')
			g.junk = number("junk", optarg, 1000000);
		else if (c == 's')
			g.seed = number("seed", optarg, UINT32_MAX);
		else if (c == 'd')
			g.seconds = number("seconds", optarg, 3600);
		else if (c == 'h' || c == '?')
			exit((usage(c == 'h' ? stdout : stderr), c == 'h' ? 0 : 2));
		else if (weft_key_from_base64(g.responder, optarg, strlen(optarg))) {
			fprintf(stderr, "hsload: --key: expected a key in base64\n");
			exit(2);
		}
	}
	if (optind != argc - 1 || !g.peers || !g.tries || !g.window) {
		usage(stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	const char *mode;

	g.peers = 1000;
	g.tries = argc > 1 && strcmp(argv[1], "storm") == 0 ? 4 : 10;
	g.window = 64;
	g.seconds = 20;
	g.seed = 1;
	options(argc, argv);
	mode = argv[optind];
	if (weft_crypto_init() || weft_crypto_new(&g.crypto))
		die("the libraries");
	make_spokes();
	if (strcmp(mode, "config") == 0)
		return print_config();
	if (strcmp(mode, "rate") != 0 && strcmp(mode, "storm") != 0) {
		usage(stderr);
		return 2;
	}
	if (!g.to.sin_port) {
		fprintf(stderr, "hsload: --to and --key are needed\n");
		return 2;
	}
	make_messages();
	open_socket();
	return strcmp(mode, "rate") == 0 ? rate() : storm();
}
