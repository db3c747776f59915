// SPDX-License-Identifier: Apache-2.0
// Sends UDP datagrams from one network namespace to another at a steady rate, or as fast as it
// can, and counts what arrives; one trial, one line of JSON. Both ends are threads of this process,
// each in its own namespace, so that one clock and one count serve both. Knows nothing of tunnels.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	BATCH = 64,       // datagrams a system call at most
	MAX_SIZE = 65507, // payload bytes
	MAX_GROUP = 64,   // the kernel's UDP_MAX_SEGMENTS, formerly
	MIN_SIZE = 16,    // a trial's number and a sequence number
	PORT = 9009,
	RCVBUF_BYTES = 8 << 20, // some ten thousand small ones: a receiver that naps loses none
	SNDBUF_BYTES = 1 << 20,
	PERIOD_NS = 50000, // one burst each: a few packets, without a system call for each
	SLIP_NS = 2000000, // what the sender is late by beyond this is not made up for
	DRAIN_MS = 150,    // silence after which nothing more is on its way
};

struct trial {
	const char *from_ns, *to_ns;
	struct sockaddr_in to;
	uint32_t size;
	uint32_t group; // datagrams that one buffer carries to the kernel (UDP_SEGMENT)
	double rate;    // datagrams a second; 0: as many as go
	int64_t duration_ns;
	uint64_t id;
	atomic_bool sent_all;
	// sender's
	uint64_t sent, refused;
	int64_t sent_ns;
	// receiver's
	int receiver;
	uint64_t received, reordered, bytes;
	int64_t first_ns, last_ns;
	uint64_t received_in_time;
	_Atomic int64_t
		stop_ns; // when sending stopped: what comes later counts as received, not in time
};

struct batch {
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	uint8_t *data; // BATCH * group * size
};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

_Noreturn static void fail(const char *what)
{
	fprintf(stderr, "udpload: %s: %s\n", what, strerror(errno));
	exit(1);
}

// Moves the calling thread into a namespace made by `ip netns add`; "-" is the one it is in.
static void enter(const char *ns)
{
	char path[256];
	int fd;

	if (strcmp(ns, "-") == 0)
		return;
	snprintf(path, sizeof(path), "/run/netns/%s", ns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) != 0)
		fail(path);
	close(fd);
}

static void batch_init(struct batch *b, size_t size)
{
	memset(b, 0, sizeof(*b));
	b->data = calloc(BATCH, size);
	if (!b->data)
		fail("memory");
	for (int i = 0; i < BATCH; i++) {
		b->iov[i] = (struct iovec){b->data + (size_t)i * size, size};
		b->msg[i].msg_hdr.msg_iov = &b->iov[i];
		b->msg[i].msg_hdr.msg_iovlen = 1;
	}
}

// Sends n datagrams (a multiple of the group) with the numbers from t->sent on.
static void send_burst(int fd, struct trial *t, struct batch *b, uint64_t n)
{
	unsigned done = 0, all = (unsigned)(n / t->group);

	for (uint64_t i = 0; i < n; i++) {
		uint64_t head[2] = {t->id, t->sent + i};
		memcpy(b->data + i * t->size, head, sizeof(head));
	}
	while (done < all) {
		int r = sendmmsg(fd, b->msg + done, all - done, 0);
		if (r > 0) {
			done += (unsigned)r;
			continue;
		}
		if (errno == EINTR)
			continue;
		// the first of those left was refused: it is lost, as a full queue would lose it
		if (errno != ENOBUFS && errno != EAGAIN && errno != ECONNREFUSED)
			fail("sendmmsg");
		t->refused += t->group;
		done++;
	}
	t->sent += n;
}

static void *sender(void *arg)
{
	struct trial *t = arg;
	struct batch b;
	int bytes = SNDBUF_BYTES;
	int64_t start, now, due_from, end;
	int fd;

	enter(t->from_ns);
	prctl(PR_SET_TIMERSLACK, 1UL);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) != 0 ||
	    connect(fd, (struct sockaddr *)&t->to, sizeof(t->to)) != 0)
		fail("sending socket");
	int segment = (int)t->size;
	if (t->group > 1 && setsockopt(fd, SOL_UDP, UDP_SEGMENT, &segment, sizeof(segment)) != 0)
		fail("UDP_SEGMENT");
	batch_init(&b, (size_t)t->size * t->group);
	start = due_from = now = now_ns();
	end = start + t->duration_ns;
	uint64_t base = 0; // sent before due_from
	while (now < end) {
		if (t->rate <= 0) {
			send_burst(fd, t, &b, (uint64_t)BATCH * t->group);
			now = now_ns();
			continue;
		}
		uint64_t due = base + (uint64_t)((double)(now - due_from) * t->rate / 1e9) + 1;
		while (due > t->sent) {
			uint64_t n = (due - t->sent + t->group - 1) / t->group;
			send_burst(fd, t, &b, (n > BATCH ? BATCH : n) * t->group);
		}
		now = now_ns();
		int64_t next = due_from + (int64_t)((double)(t->sent - base) * 1e9 / t->rate);
		if (now - next > SLIP_NS) {
			due_from = now;
			base = t->sent;
			continue;
		}
		if (next < now + PERIOD_NS)
			next = now + PERIOD_NS;
		struct timespec at = {next / 1000000000, next % 1000000000};
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
		now = now_ns();
	}
	t->sent_ns = now_ns() - start;
	atomic_store(&t->stop_ns, start + t->sent_ns);
	atomic_store(&t->sent_all, true);
	close(fd);
	free(b.data);
	return NULL;
}

static void open_receiver(struct trial *t)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = t->to.sin_port};
	int bytes = RCVBUF_BYTES;

	t->receiver = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (t->receiver < 0 ||
	    setsockopt(t->receiver, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) != 0 ||
	    bind(t->receiver, (struct sockaddr *)&any, sizeof(any)) != 0)
		fail("receiving socket");
}

static void count(struct trial *t, const struct batch *b, int n, uint64_t *highest)
{
	int64_t now = now_ns(), stop = atomic_load(&t->stop_ns);

	for (int i = 0; i < n; i++) {
		uint64_t head[2];
		if (b->msg[i].msg_len != t->size)
			continue;
		memcpy(head, b->iov[i].iov_base, sizeof(head));
		if (head[0] != t->id)
			continue; // of a trial before
		if (t->received == 0)
			t->first_ns = now;
		t->received++;
		t->bytes += t->size;
		t->last_ns = now;
		if (stop == 0)
			t->received_in_time++;
		if (head[1] < *highest)
			t->reordered++;
		else
			*highest = head[1];
	}
}

static void *receiver(void *arg)
{
	struct trial *t = arg;
	struct batch b;
	uint64_t highest = 0;
	bool quiet = false;

	batch_init(&b, t->size);
	// Blocks in recvmmsg while datagrams come, in poll only when none did.
	struct timeval wait = {.tv_usec = DRAIN_MS * 1000};
	setsockopt(t->receiver, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	while (!quiet) {
		int n = recvmmsg(t->receiver, b.msg, BATCH, MSG_WAITFORONE, NULL);
		if (n > 0)
			count(t, &b, n, &highest);
		else if (errno == EAGAIN)
			quiet = atomic_load(&t->sent_all);
		else if (errno != EINTR)
			fail("recvmmsg");
	}
	free(b.data);
	return NULL;
}

static void usage(FILE *f)
{
	fputs("usage: udpload [-s payload bytes] [-r datagrams a second] [-t seconds]\n"
	      "               [-g datagrams a buffer] FROM-NAMESPACE TO-NAMESPACE ADDRESS\n"
	      "Sends for that time from one namespace to ADDRESS in the other; without -r, or "
	      "with\n"
	      "-r 0, as many as it can. Prints what was sent and what arrived as one line of "
	      "JSON.\n"
	      "-g hands that many to the kernel in one buffer (UDP GSO).\n"
	      "A namespace \"-\" is the one that it runs in.\n",
	      f);
}

static double number(const char *s, double low, double high)
{
	char *end;
	double v = strtod(s, &end);

	if (*s == 0 || *end != 0 || !(v >= low && v <= high)) {
		fprintf(stderr, "udpload: '%s' is no number from %g to %g\n", s, low, high);
		exit(2);
	}
	return v;
}

int main(int argc, char **argv)
{
	struct trial t = {.size = 64, .group = 1, .duration_ns = 1000000000};
	pthread_t send_thread, receive_thread;
	int c;

	while ((c = getopt(argc, argv, "hs:r:t:g:")) != -1) {
		switch (c) {
		case 's':
			t.size = (uint32_t)number(optarg, MIN_SIZE, MAX_SIZE);
			break;
		case 'r':
			t.rate = number(optarg, 0, 1e9);
			break;
		case 't':
			t.duration_ns = (int64_t)(number(optarg, 0.01, 3600) * 1e9);
			break;
		case 'g':
			t.group = (uint32_t)number(optarg, 1, MAX_GROUP);
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	t.to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(PORT)};
	if (argc - optind != 3 || inet_pton(AF_INET, argv[optind + 2], &t.to.sin_addr) != 1 ||
	    t.group * t.size > MAX_SIZE) {
		usage(stderr);
		return 2;
	}
	t.from_ns = argv[optind];
	t.to_ns = argv[optind + 1];
	t.id = (uint64_t)now_ns();
	// this thread stays with the receiver's namespace, the sender leaves for its own
	enter(t.to_ns);
	open_receiver(&t);
	if (pthread_create(&receive_thread, NULL, receiver, &t) != 0 ||
	    pthread_create(&send_thread, NULL, sender, &t) != 0)
		fail("threads");
	pthread_join(send_thread, NULL);
	pthread_join(receive_thread, NULL);
	double s = (double)t.sent_ns / 1e9;
	printf("{\"size\": %u, \"asked_pps\": %.0f, \"seconds\": %.4f, \"sent\": %llu, "
	       "\"refused\": %llu, \"received\": %llu, \"received_in_time\": %llu, "
	       "\"reordered\": %llu, \"sent_pps\": %.0f, \"received_pps\": %.0f, \"loss\": %.6f}\n",
	       t.size, t.rate, s, (unsigned long long)t.sent, (unsigned long long)t.refused,
	       (unsigned long long)t.received, (unsigned long long)t.received_in_time,
	       (unsigned long long)t.reordered, (double)t.sent / s, (double)t.received_in_time / s,
	       t.sent ? 1.0 - (double)t.received / (double)t.sent : 0.0);
	return 0;
}
