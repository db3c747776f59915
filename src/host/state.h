/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is to be on a host for one interface, and what is there, as one kind of value; and the
 * smallest ordered list of changes from the one to the other. Pure: wg-quick(8) says what is wanted
 * (state.c); host.c looks, and does it.
 */
#ifndef WEFT_HOST_STATE_H
#define WEFT_HOST_STATE_H

#include "conf/quick.h"

#define WEFT_HOST_MTU_DEFAULT  1500
#define WEFT_HOST_MTU_OVERHEAD 80    /* of a packet in the tunnel, over IPv6 */
#define WEFT_HOST_FIRST_TABLE  51820 /* for default routes */

struct weft_host_route {
	struct weft_prefix to;
	uint32_t table;
};

struct weft_host_state {
	bool up;
	uint32_t mtu;
	struct weft_prefix *addresses; /* in the order in which they are added */
	size_t n_addresses, cap_addresses;
	struct weft_host_route *routes; /* wanted: longest prefix first */
	size_t n_routes, cap_routes;
	uint32_t mark; /* of the device: the table of its default routes, too. 0: none */
	char *dns;     /* name servers, as resolvconf(8) reads them. NULL: none */
	/* By family, IPv4 and IPv6: what keeps the tunnel's own packets out of the tunnel. */
	bool mark_rule[2], suppress_rule[2], firewall[2];
};

/* What the file leaves to the host to say. */
struct weft_host_facts {
	uint32_t mtu;   /* of the way to the peers, bytes; 0: not known */
	uint32_t mark;  /* free as mark and as table, if the file sets no mark */
	uint32_t table; /* of a Table that the file gives by name */
};

enum weft_host_change_kind {
	WEFT_HOST_ADDRESS,
	WEFT_HOST_LINK, /* MTU, and up */
	WEFT_HOST_DNS,
	WEFT_HOST_MARK, /* of the device */
	WEFT_HOST_ROUTE,
	WEFT_HOST_MARK_RULE,
	WEFT_HOST_SUPPRESS_RULE,
	WEFT_HOST_SRC_VALID_MARK, /* the sysctl: marks count when sources are checked */
	WEFT_HOST_FIREWALL,
};

struct weft_host_change {
	enum weft_host_change_kind kind;
	bool add;                  /* else it is taken away */
	uint8_t family;            /* of rules and firewall */
	uint32_t mtu, mark;        /* of LINK; of MARK, rules and firewall */
	struct weft_prefix prefix; /* of ADDRESS and ROUTE */
	uint32_t table;            /* of ROUTE */
	const char *dns;           /* of DNS: borrowed from the state that wants it, or has it */
};

struct weft_host_changes {
	struct weft_host_change *v;
	size_t n, cap;
};

/* True if the file asks for a default route in a table of its own: then it needs a mark. */
bool weft_host_wants_mark(const struct weft_quick *quick);

/*
 * What wg-quick would make of the file. `ret` starts zeroed and is cleared by the caller, also
 * after an error. 0 or -ENOMEM. Any thread.
 */
WEFT_MUST_CHECK int weft_host_wanted(const struct weft_quick *quick,
				     const struct weft_host_facts *facts,
				     struct weft_host_state *ret);

/*
 * What has to be done, in order, for `is` to become `wanted`. What is new comes before what is old
 * goes, so that no packet finds neither; but for what is in the way of the new. A kernel may take
 * away more than it was told to (the other addresses of a prefix, with the first): look again
 * afterwards. `ret` starts zeroed, is cleared by the caller, and borrows texts from both states. 0
 * or -ENOMEM. Any thread.
 */
WEFT_MUST_CHECK int weft_host_diff(const struct weft_host_state *is,
				   const struct weft_host_state *wanted,
				   struct weft_host_changes *ret);

/*
 * Takes out of `is` the addresses and routes that are none of ours and not wanted: somebody else
 * put them there, a hook or a person, and they stay. `ours`: NULL, all are, but for an automatic
 * link-local address. 0 or -ENOMEM.
 */
WEFT_MUST_CHECK int weft_host_forget_others(struct weft_host_state *is,
					    const struct weft_host_state *wanted,
					    const struct weft_host_state *ours);

/* Append a copy. 0 or -ENOMEM. */
WEFT_MUST_CHECK int weft_host_add_address(struct weft_host_state *s, const struct weft_prefix *p);
WEFT_MUST_CHECK int weft_host_add_route(struct weft_host_state *s, const struct weft_prefix *to,
					uint32_t table);

void weft_host_state_clear(struct weft_host_state *s);
void weft_host_changes_clear(struct weft_host_changes *c);

/* 0 for IPv4, 1 for IPv6. */
static inline unsigned weft_host_family_index(uint8_t family)
{
	return family == WEFT_IPV6;
}

/* The change as the command line of ip(8), sysctl(8) or nft(8) that does the same. */
WEFT_MUST_CHECK int weft_host_change_text(const struct weft_host_change *c, const char *ifname,
					  struct weft_text *out);

/*
 * What nft(8) reads to make (again) or take away the table "wg-quick-<ifname>" of a family: nothing
 * from outside may claim to be for one of `addresses`, and the answers to the tunnel's own packets
 * get their mark back. 0 or -ENOMEM.
 */
WEFT_MUST_CHECK int weft_host_firewall_text(const struct weft_host_change *c, const char *ifname,
					    const struct weft_prefix *addresses, size_t n,
					    struct weft_text *out);

#endif
