/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends a datagram through the chains of a ruleset with a logic of three values: what a rule asks
 * that is not known here (interfaces, addresses, sets, marks, limits) may hold or not.
 */
#include "host/ruleset.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum tri { NO, YES, MAYBE };

/* What may become of the packet: bits. */
enum { MAY_PASS = 1, MAY_STOP = 2 };

struct packet {
	const char *not_from; /* the tunnel itself */
	uint16_t port;
	const char *state; /* of its connection */
};

static const char *text_of(const json_t *object, const char *name)
{
	const char *s = json_string_value(json_object_get(object, name));

	return s ? s : "";
}

static bool is_udp(const json_t *v)
{
	const char *s = json_string_value(v);

	return s ? strcmp(s, "udp") == 0 : json_is_integer(v) && json_integer_value(v) == 17;
}

static enum tri port_is(const json_t *v, uint16_t port)
{
	const json_t *range = json_object_get(v, "range");

	if (json_is_integer(v))
		return json_integer_value(v) == port ? YES : NO;
	if (json_is_array(range) && json_is_integer(json_array_get(range, 0)) &&
	    json_is_integer(json_array_get(range, 1)))
		return port >= json_integer_value(json_array_get(range, 0)) &&
				       port <= json_integer_value(json_array_get(range, 1))
			       ? YES
			       : NO;
	return MAYBE;
}

enum subject { PORT, PROTOCOL, STATE, INTERFACE };

static enum tri one_is(const json_t *v, enum subject subject, const struct packet *p)
{
	if (subject == PORT)
		return port_is(v, p->port);
	if (subject == INTERFACE)
		return json_is_string(v) && (strcmp(json_string_value(v), "lo") == 0 ||
					     strcmp(json_string_value(v), p->not_from) == 0)
			       ? NO
			       : MAYBE;
	if (subject == PROTOCOL)
		return json_is_string(v) || json_is_integer(v) ? (is_udp(v) ? YES : NO) : MAYBE;
	return json_is_string(v) ? (strcmp(json_string_value(v), p->state) == 0 ? YES : NO) : MAYBE;
}

/* A value, a list or a set of them. */
static enum tri any_is(const json_t *right, enum subject subject, const struct packet *p)
{
	const json_t *set = json_object_get(right, "set");
	const json_t *list = json_is_array(right) ? right : json_is_array(set) ? set : NULL;
	enum tri r = NO;

	if (!list)
		return one_is(right, subject, p);
	for (size_t i = 0; i < json_array_size(list) && r != YES; i++) {
		enum tri one = one_is(json_array_get(list, i), subject, p);

		r = one == NO ? r : one;
	}
	return r;
}

static enum tri negate(enum tri t, bool yes)
{
	return !yes || t == MAYBE ? t : t == YES ? NO : YES;
}

static enum tri match_holds(const json_t *match, const struct packet *p)
{
	const json_t *left = json_object_get(match, "left"), *right;
	const json_t *payload = json_object_get(left, "payload");
	const char *protocol = text_of(payload, "protocol"), *field = text_of(payload, "field");
	const char *meta = text_of(json_object_get(left, "meta"), "key");
	const char *op = text_of(match, "op");
	bool not_it = strcmp(op, "!=") == 0;

	right = json_object_get(match, "right");
	if (!not_it && strcmp(op, "==") != 0 && strcmp(op, "in") != 0)
		return MAYBE;
	if (strcmp(protocol, "udp") == 0 || strcmp(protocol, "th") == 0)
		return strcmp(field, "dport") == 0 ? negate(any_is(right, PORT, p), not_it) : MAYBE;
	if (strcmp(protocol, "tcp") == 0 || strncmp(protocol, "icmp", 4) == 0 ||
	    strcmp(protocol, "sctp") == 0)
		return NO;
	if (strcmp(meta, "l4proto") == 0 ||
	    (protocol[0] && (strcmp(field, "protocol") == 0 || strcmp(field, "nexthdr") == 0)))
		return negate(any_is(right, PROTOCOL, p), not_it);
	if (strcmp(text_of(json_object_get(left, "ct"), "key"), "state") == 0)
		return negate(any_is(right, STATE, p), not_it);
	if (strcmp(meta, "iifname") == 0 || strcmp(meta, "iif") == 0)
		return negate(any_is(right, INTERFACE, p), not_it);
	return MAYBE;
}

/* One rule. 0: the packet goes on (perhaps); else MAY_*. `*ret_sure`: and nothing else happens. */
static int rule_does(const json_t *expr, const struct packet *p, bool *ret_sure)
{
	bool sure = true;

	*ret_sure = false;
	for (size_t i = 0; i < json_array_size(expr); i++) {
		const json_t *e = json_array_get(expr, i), *match = json_object_get(e, "match");
		enum tri holds = match ? match_holds(match, p) : YES;
		int does = 0;

		if (json_object_get(e, "accept"))
			does = MAY_PASS;
		else if (json_object_get(e, "drop") || json_object_get(e, "reject"))
			does = MAY_STOP;
		else if (json_object_get(e, "jump") || json_object_get(e, "goto") ||
			 json_object_get(e, "vmap") || json_object_get(e, "queue") ||
			 json_object_get(e, "return"))
			does = MAY_PASS | MAY_STOP;
		else if (json_object_get(e, "limit") || json_object_get(e, "xt") ||
			 json_object_get(e, "ct count") || json_object_get(e, "quota"))
			holds = MAYBE;
		if (does) {
			*ret_sure = sure;
			return does;
		}
		if (holds == NO)
			return 0;
		sure &= holds == YES;
	}
	return 0;
}

static bool same_chain(const json_t *chain, const json_t *rule)
{
	return strcmp(text_of(chain, "family"), text_of(rule, "family")) == 0 &&
	       strcmp(text_of(chain, "table"), text_of(rule, "table")) == 0 &&
	       strcmp(text_of(chain, "name"), text_of(rule, "chain")) == 0;
}

/* What may become of the packet in one base chain. */
static int chain_does(const json_t *list, const json_t *chain, const struct packet *p)
{
	int may = 0;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *rule = json_object_get(json_array_get(list, i), "rule");
		bool sure;

		if (!rule || !same_chain(chain, rule))
			continue;
		may |= rule_does(json_object_get(rule, "expr"), p, &sure);
		if (sure)
			return may;
	}
	return may | (strcmp(text_of(chain, "policy"), "drop") == 0 ? MAY_STOP : MAY_PASS);
}

/* Chains that packets for this host go through. Those of one family alone tell half of it. */
static bool is_on_the_way(const json_t *chain)
{
	const char *hook = text_of(chain, "hook"), *family = text_of(chain, "family");

	return (strcmp(hook, "input") == 0 || strcmp(hook, "prerouting") == 0) &&
	       strcmp(text_of(chain, "type"), "filter") == 0 &&
	       (strcmp(family, "inet") == 0 || strcmp(family, "ip") == 0);
}

int weft_ruleset_judge(const char *json, size_t len, const char *ifname, uint16_t port,
		       struct weft_ruleset_verdict *ret)
{
	const struct packet fresh = {.not_from = ifname, .port = port, .state = "new"};
	const struct packet answer = {.not_from = ifname, .port = port, .state = "established"};
	struct weft_ruleset_verdict v = {0};
	json_t *root = json_loadb(json, len, 0, NULL);
	const json_t *list = json_object_get(root, "nftables");

	if (!json_is_array(list)) {
		json_decref(root);
		return WEFT_E_PARSE;
	}
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *chain = json_object_get(json_array_get(list, i), "chain");

		if (!chain || !is_on_the_way(chain) || chain_does(list, chain, &fresh) != MAY_STOP)
			continue;
		if (!v.drops_new)
			(void)snprintf(v.chain, sizeof(v.chain), "%.15s %.50s %.50s",
				       text_of(chain, "family"), text_of(chain, "table"),
				       text_of(chain, "name"));
		v.drops_new = true;
		v.drops_answers |= chain_does(list, chain, &answer) == MAY_STOP;
	}
	json_decref(root);
	*ret = v;
	return 0;
}
