/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of the table, and reading it back. What was made is told from what was changed since by
 * a digest of the text in the comment of the first rule: reading makes the text again from what is
 * in the table.
 */
#include "host/fence.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define NOTE "weft:%016" PRIx64 ":%" PRIu32

void weft_fence_clear(struct weft_fence *f)
{
	weft_prefixes_clear(&f->excludes);
	*f = (struct weft_fence){0};
}

int weft_fence_copy(const struct weft_fence *f, struct weft_fence *ret)
{
	int rc = 0;

	*ret = *f;
	ret->excludes = (struct weft_prefixes){0};
	for (size_t i = 0; i < f->excludes.n && !rc; i++)
		rc = weft_prefixes_add(&ret->excludes, &f->excludes.v[i]);
	return rc;
}

const char *weft_fence_table(const char *ifname, char out[WEFT_FENCE_TABLE_LEN])
{
	size_t n = (size_t)snprintf(out, WEFT_FENCE_TABLE_LEN, "weft-");

	for (; *ifname && n + 4 < WEFT_FENCE_TABLE_LEN; ifname++) {
		if (*ifname == '+' || *ifname == '=')
			n += (size_t)snprintf(out + n, 4, "/%02x", (unsigned)*ifname);
		else
			out[n++] = *ifname;
	}
	out[n] = '\0';
	return out;
}

/* What is being built: `text` is NULL while only rules are counted. */
struct build {
	struct weft_text *out;
	const struct weft_fence *f;
	const char *ifname;
	char note[64]; /* the comment of the first rule; "" once it is written */
	size_t n_rules;
};

/* One rule, whose text is cut into two so that the interface's name may stand in it. */
static int rule(struct build *b, const char *before, const char *ifname, const char *after)
{
	int rc = weft_text_printf(b->out, "\t\t%s%s%s%s", before, ifname ? ifname : "",
				  ifname ? after : "", b->note);

	b->note[0] = '\0';
	b->n_rules++;
	return rc ? rc : weft_text_append(b->out, "\n", 1);
}

static int add_set(struct build *b, uint8_t family, bool *ret_any)
{
	const struct weft_prefixes *x = &b->f->excludes;
	int v6 = family == WEFT_IPV6, rc = 0;
	char text[WEFT_PREFIX_TEXT_LEN];
	size_t n = 0;

	for (size_t i = 0; i < x->n && !rc; i++) {
		if (x->v[i].ip.family != family)
			continue;
		if (!n++)
			rc = weft_text_printf(b->out,
					      "\tset exclude%d {\n\t\ttype ipv%d_addr\n"
					      "\t\tflags interval\n\t\telements = {\n",
					      v6 ? 6 : 4, v6 ? 6 : 4);
		if (!rc)
			rc = weft_text_printf(b->out, "\t\t\t%s,\n",
					      weft_prefix_format(&x->v[i], text));
	}
	*ret_any = n > 0;
	if (!rc && n)
		rc = weft_text_printf(b->out, "\t\t}\n\t}\n");
	return rc;
}

static int begin_chain(struct build *b, const char *name, const char *hook, int priority)
{
	return weft_text_printf(
		b->out, "\tchain %s {\n\t\ttype filter hook %s priority %d; policy accept;\n", name,
		hook, priority);
}

static int end_chain(struct build *b)
{
	return weft_text_printf(b->out, "\t}\n");
}

/* What is excluded may be gone to, by this host and by those that it forwards for. */
static int exclude_rules(struct build *b, const bool any[2])
{
	int rc = 0;

	if (any[0])
		rc = rule(b, "ip daddr @exclude4 accept", NULL, NULL);
	if (!rc && any[1])
		rc = rule(b, "ip6 daddr @exclude6 accept", NULL, NULL);
	return rc;
}

/* This host's own packets. What is refused is refused at once: programs need not wait for it. */
static int output_chain(struct build *b, const bool any[2])
{
	static const char *const rest[] = {
		/* an address for the physical link, which the tunnel needs: DHCP, DHCPv6 */
		"udp sport 68 udp dport 67 accept",
		"ip6 daddr { fe80::/10, ff02::1:2 } udp sport 546 udp dport 547 accept",
		/* neighbours and routers of the link: RFC 4861; multicast for them: RFC 3810 */
		"icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } "
		"ip6 hoplimit 255 accept",
		"icmpv6 type { mld-listener-report, mld-listener-done, mld2-listener-report } "
		"ip6 hoplimit 1 accept",
		"meta l4proto tcp counter reject with tcp reset",
		"counter reject with icmpx admin-prohibited",
	};
	char mark[64];
	int rc = begin_chain(b, "output", "output", 300);

	(void)snprintf(mark, sizeof(mark), "meta mark %" PRIu32 " accept", b->f->mark);
	if (!rc)
		rc = rule(b, "oifname { \"lo\", \"", b->ifname, "\" } accept");
	if (!rc && b->f->mark) /* 0 is what all packets have */
		rc = rule(b, mark, NULL, NULL);
	if (!rc)
		rc = exclude_rules(b, any);
	for (size_t i = 0; i < sizeof(rest) / sizeof(rest[0]) && !rc; i++)
		rc = rule(b, rest[i], NULL, NULL);
	return rc ? rc : end_chain(b);
}

/* Other hosts' packets: an error sent back to them would itself be a packet that leaves. */
static int forward_chain(struct build *b, const bool any[2])
{
	int rc = begin_chain(b, "forward", "forward", 300);

	if (!rc)
		rc = rule(b, "oifname \"", b->ifname, "\" accept");
	if (!rc)
		rc = exclude_rules(b, any);
	if (!rc)
		rc = rule(b, "counter drop", NULL, NULL);
	return rc ? rc : end_chain(b);
}

static int clamp_chain(struct build *b)
{
	static const char after[] = "\" tcp flags syn tcp option maxseg size set rt mtu";
	int rc = begin_chain(b, "clamp", "forward", -150);

	if (!rc)
		rc = rule(b, "oifname \"", b->ifname, after);
	if (!rc)
		rc = rule(b, "iifname \"", b->ifname, after);
	return rc ? rc : end_chain(b);
}

static int build(struct build *b)
{
	bool any[2] = {false, false};
	int rc = 0;

	if (b->f->kill_switch) {
		rc = add_set(b, WEFT_IPV4, &any[0]);
		if (!rc)
			rc = add_set(b, WEFT_IPV6, &any[1]);
		if (!rc)
			rc = output_chain(b, any);
		if (!rc)
			rc = forward_chain(b, any);
	}
	if (!rc && b->f->mss)
		rc = clamp_chain(b);
	return rc;
}

/* FNV-1a: against accidents. Whoever may change the table may change the digest, too. */
static uint64_t digest_of(const char *text, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)text[i]) * 0x100000001b3u;
	return h;
}

int weft_fence_seal(struct weft_fence *f)
{
	struct weft_text text = {0};
	struct build b = {.out = &text, .f = f, .ifname = "%"};
	int rc = build(&b);

	if (!rc) {
		f->digest = digest_of(text.p, text.len);
		f->n_rules = b.n_rules;
	}
	weft_text_clear(&text);
	return rc;
}

bool weft_fence_is(const struct weft_fence *read, const struct weft_fence *wanted)
{
	if (!weft_fence_is_wanted(wanted))
		return !weft_fence_is_wanted(read);
	return read->intact && read->digest == wanted->digest && read->n_rules == wanted->n_rules;
}

int weft_fence_text(const struct weft_fence *f, const char *ifname, struct weft_text *out)
{
	struct build b = {.out = out, .f = f, .ifname = ifname};
	char table[WEFT_FENCE_TABLE_LEN];
	int rc;

	/* made empty first, so that there is something to take away */
	weft_fence_table(ifname, table);
	rc = weft_text_printf(out, "add table inet %s\ndelete table inet %s\n", table, table);
	if (rc || !weft_fence_is_wanted(f))
		return rc;
	(void)snprintf(b.note, sizeof(b.note), " comment \"" NOTE "\"", f->digest,
		       f->kill_switch ? f->mark : 0);
	rc = weft_text_printf(out, "table inet %s {\n", table);
	if (!rc)
		rc = build(&b);
	return rc ? rc : weft_text_printf(out, "}\n");
}

/* An element of a set: "address", or an object with a prefix. False: something else. */
static bool element(const json_t *json, struct weft_prefix *ret)
{
	const json_t *prefix = json_object_get(json, "prefix");
	const json_t *address = prefix ? json_object_get(prefix, "addr") : json;
	const json_t *len = json_object_get(prefix, "len");
	struct weft_prefix p;

	if (!json_is_string(address) ||
	    weft_ip_parse(json_string_value(address), json_string_length(address), &p.ip))
		return false;
	p.len = (uint8_t)weft_family_bits(p.ip.family);
	if (prefix) {
		if (!json_is_integer(len) || json_integer_value(len) < 0 ||
		    json_integer_value(len) > p.len)
			return false;
		p.len = (uint8_t)json_integer_value(len);
	}
	*ret = p;
	return true;
}

static int read_set(const json_t *set, struct weft_prefixes *ret)
{
	const json_t *elements = json_object_get(set, "elem");
	int rc = 0;

	for (size_t i = 0; i < json_array_size(elements) && !rc; i++) {
		struct weft_prefix p;

		if (element(json_array_get(elements, i), &p))
			rc = weft_prefixes_add(ret, &p);
	}
	return rc;
}

/* What a counter of the rule has counted. */
static uint64_t counted(const json_t *rule)
{
	const json_t *expr = json_object_get(rule, "expr");
	uint64_t n = 0;

	for (size_t i = 0; i < json_array_size(expr); i++) {
		const json_t *counter = json_object_get(json_array_get(expr, i), "counter");
		json_int_t packets = json_integer_value(json_object_get(counter, "packets"));

		n += packets > 0 ? (uint64_t)packets : 0;
	}
	return n;
}

static bool is(const json_t *json, const char *word)
{
	return json_is_string(json) && strcmp(json_string_value(json), word) == 0;
}

/* What the comment says, and what there is to be compared with it. */
struct reading {
	struct weft_fence *ret;
	struct weft_prefixes ranges;
	uint64_t digest;
	size_t n_rules;
};

static void read_rule(struct reading *r, const json_t *rule)
{
	const json_t *chain = json_object_get(rule, "chain");
	const json_t *comment = json_object_get(rule, "comment");
	uint64_t digest;
	uint32_t mark;

	r->n_rules++;
	if (is(chain, "output"))
		r->ret->rejected_pkts += counted(rule);
	else if (is(chain, "forward"))
		r->ret->dropped_pkts += counted(rule);
	if (json_is_string(comment) &&
	    sscanf(json_string_value(comment), "weft:%16" SCNx64 ":%10" SCNu32, &digest, &mark) ==
		    2) {
		r->digest = digest;
		r->ret->mark = mark;
	}
}

static int read_object(struct reading *r, const json_t *object)
{
	const json_t *set = json_object_get(object, "set");
	const json_t *rule = json_object_get(object, "rule");
	const json_t *name = json_object_get(json_object_get(object, "chain"), "name");

	if (is(name, "output"))
		r->ret->kill_switch = true;
	else if (is(name, "clamp"))
		r->ret->mss = true;
	if (rule)
		read_rule(r, rule);
	return set ? read_set(set, &r->ranges) : 0;
}

int weft_fence_read(const char *json, size_t len, struct weft_fence *ret)
{
	struct reading r = {.ret = ret};
	json_t *root = json_loadb(json, len, 0, NULL);
	const json_t *list = json_object_get(root, "nftables");
	int rc = json_is_array(list) ? 0 : WEFT_E_PROTOCOL;

	for (size_t i = 0; i < json_array_size(list) && !rc; i++)
		rc = read_object(&r, json_array_get(list, i));
	if (!rc) /* in our order */
		rc = weft_exclude_tidy(r.ranges.v, r.ranges.n, &ret->excludes);
	if (!rc)
		rc = weft_fence_seal(ret);
	if (!rc)
		ret->intact = ret->digest == r.digest && ret->n_rules == r.n_rules;
	weft_prefixes_clear(&r.ranges);
	json_decref(root);
	return rc;
}
