/* SPDX-License-Identifier: Apache-2.0 */
/* The log of weftd: see log.h. Knows lines and rates, nothing of WireGuard. */
#include "daemon/log.h"

#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_FIELDS   16
#define RATE_SLOTS   256
#define RATE_BURST   5
#define RATE_NS      (10 * 1000000000ULL) /* one more line per slot */
#define GLOBAL_BURST 40
#define GLOBAL_NS    (1000000000ULL / 20)

static enum weftd_log_level log_level = WEFTD_LOG_ERROR;
static bool log_json, log_journal;
static char log_ifname[16];
static _Atomic uint64_t log_lost;

struct rate {
	uint64_t tokens_ns; /* time that has been earned and not spent */
	uint64_t last_ns;
	uint64_t held;
};

static struct rate rates[RATE_SLOTS];
static struct rate rate_all;
static pthread_mutex_t rate_lock = PTHREAD_MUTEX_INITIALIZER;

bool weftd_log_level_parse(const char *text, enum weftd_log_level *ret_level)
{
	static const struct {
		enum weftd_log_level level;
		const char *word;
	} known[] = {
		{.word = "silent", .level = WEFTD_LOG_SILENT},
		{.word = "error", .level = WEFTD_LOG_ERROR},
		{.word = "info", .level = WEFTD_LOG_INFO},
		{.word = "verbose", .level = WEFTD_LOG_DEBUG},
		{.word = "debug", .level = WEFTD_LOG_DEBUG},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(text, known[i].word) == 0) {
			*ret_level = known[i].level;
			return true;
		}
	}
	return false;
}

/* True if stderr is the journal's own stream (systemd.exec(5), JOURNAL_STREAM). */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	if (!stream || sscanf(stream, "%llu:%llu", &dev, &ino) != 2 || fstat(2, &st))
		return false;
	return st.st_dev == dev && st.st_ino == ino;
}

void weftd_log_init(enum weftd_log_level level, bool json, const char *ifname)
{
	log_level = level;
	log_json = json;
	log_journal = stderr_is_journal();
	weftd_log_set_ifname(ifname);
}

void weftd_log_set_ifname(const char *ifname)
{
	snprintf(log_ifname, sizeof(log_ifname), "%s", ifname);
}

const char *weftd_log_u64(char buf[21], uint64_t v)
{
	snprintf(buf, 21, "%llu", (unsigned long long)v);
	return buf;
}

struct out {
	char *p;
	size_t len, cap;
};

static void put(struct out *o, const char *text, size_t len)
{
	if (len > o->cap - o->len)
		len = o->cap - o->len;
	memcpy(o->p + o->len, text, len);
	o->len += len;
}

static void puts_(struct out *o, const char *text)
{
	put(o, text, strlen(text));
}

/* A value in double quotes: JSON's escapes, which key=value readers take as well. */
static void put_quoted(struct out *o, const char *text)
{
	char esc[8];

	puts_(o, "\"");
	for (const char *p = text; *p; p++) {
		unsigned char c = (unsigned char)*p;

		if (c == '"' || c == '\\') {
			snprintf(esc, sizeof(esc), "\\%c", c);
			puts_(o, esc);
		} else if (c < 0x20 || c >= 0x7f) {
			snprintf(esc, sizeof(esc), "\\u%04x", c);
			puts_(o, esc);
		} else {
			put(o, p, 1);
		}
	}
	puts_(o, "\"");
}

static bool needs_quotes(const char *text)
{
	if (!*text)
		return true;
	for (const char *p = text; *p; p++) {
		unsigned char c = (unsigned char)*p;

		if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\')
			return true;
	}
	return false;
}

size_t weftd_log_format(char *out, bool json, const struct weftd_log_field *fields, size_t n)
{
	/* room for the end of the line whatever happens */
	struct out o = {.p = out, .len = 0, .cap = WEFTD_LOG_MAX_LINE - 2};
	bool first = true;

	if (json)
		puts_(&o, "{");
	for (size_t i = 0; i < n; i++) {
		size_t before = o.len;

		if (!fields[i].value)
			continue;
		if (!first)
			puts_(&o, json ? "," : " ");
		if (json) {
			put_quoted(&o, fields[i].key);
			puts_(&o, ":");
			put_quoted(&o, fields[i].value);
		} else {
			puts_(&o, fields[i].key);
			puts_(&o, "=");
			if (needs_quotes(fields[i].value))
				put_quoted(&o, fields[i].value);
			else
				puts_(&o, fields[i].value);
		}
		if (o.len == o.cap) { /* no half field: the line stays readable */
			o.len = before;
			break;
		}
		first = false;
	}
	if (json)
		out[o.len++] = '}';
	out[o.len++] = '\n';
	return o.len;
}

static void write_line(enum weftd_log_level level, const char *line, size_t len)
{
	static const char *const priority[] = {"", "<3>", "<6>", "<7>"};
	char buf[WEFTD_LOG_MAX_LINE + 4];
	struct pollfd pfd = {.fd = 2, .events = POLLOUT};
	size_t head = 0;

	if (log_journal) {
		memcpy(buf, priority[level], 3);
		head = 3;
	}
	memcpy(buf + head, line, len);
	/* lines are shorter than PIPE_BUF: once POLLOUT is set the write does not wait */
	if (poll(&pfd, 1, 0) != 1 || !(pfd.revents & POLLOUT) ||
	    write(2, buf, head + len) != (ssize_t)(head + len))
		atomic_fetch_add_explicit(&log_lost, 1, memory_order_relaxed);
}

void weftd_log(enum weftd_log_level level, const char *event, ...)
{
	static const char *const names[] = {"silent", "error", "info", "debug"};
	struct weftd_log_field fields[MAX_FIELDS];
	char line[WEFTD_LOG_MAX_LINE], stamp[40], lost_text[21];
	struct timespec ts;
	struct tm tm;
	uint64_t lost;
	size_t n = 0, at;
	va_list ap;

	if (level > log_level || level == WEFTD_LOG_SILENT)
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	at = strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(stamp + at, sizeof(stamp) - at, ".%03ldZ", ts.tv_nsec / 1000000);
	fields[n++] = (struct weftd_log_field){"time", stamp};
	fields[n++] = (struct weftd_log_field){"level", names[level]};
	fields[n++] = (struct weftd_log_field){"interface", log_ifname};
	fields[n++] = (struct weftd_log_field){"event", event};
	va_start(ap, event);
	while (n < MAX_FIELDS - 1) {
		const char *key = va_arg(ap, const char *);

		if (!key)
			break;
		fields[n++] = (struct weftd_log_field){key, va_arg(ap, const char *)};
	}
	va_end(ap);
	lost = atomic_exchange_explicit(&log_lost, 0, memory_order_relaxed);
	if (lost)
		fields[n++] =
			(struct weftd_log_field){"lines_lost", weftd_log_u64(lost_text, lost)};
	write_line(level, line, weftd_log_format(line, log_json, fields, n));
}

/* A token bucket that counts in time: `cost_ns` a line, at most `burst` lines saved up. */
static bool take(struct rate *r, uint64_t cost_ns, unsigned burst, uint64_t now_ns)
{
	uint64_t full = cost_ns * burst;

	if (r->last_ns == 0)
		r->tokens_ns = full;
	else if (now_ns > r->last_ns)
		r->tokens_ns += now_ns - r->last_ns;
	if (r->tokens_ns > full)
		r->tokens_ns = full;
	r->last_ns = now_ns;
	if (r->tokens_ns < cost_ns) {
		r->held++;
		return false;
	}
	r->tokens_ns -= cost_ns;
	return true;
}

bool weftd_log_allowed(unsigned event, const void *subject, size_t len, uint64_t now_ns,
		       uint64_t *ret_held)
{
	const uint8_t *p = subject;
	uint32_t hash = 2166136261u ^ event; /* FNV-1a: sharing a slot costs a line, no more */
	struct rate *r;
	bool allowed;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ p[i]) * 16777619u;
	r = &rates[(hash ^ hash >> 16) % RATE_SLOTS];
	pthread_mutex_lock(&rate_lock);
	allowed = take(r, RATE_NS, RATE_BURST, now_ns) &&
		  take(&rate_all, GLOBAL_NS, GLOBAL_BURST, now_ns);
	if (allowed) {
		*ret_held = r->held + rate_all.held;
		r->held = rate_all.held = 0;
	}
	pthread_mutex_unlock(&rate_lock);
	return allowed;
}
