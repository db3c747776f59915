/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ip(8) does for one interface, over rtnetlink: addresses, MTU, routes, the rules that point
 * to them, and reading all of that. rtnetlink(7), ip-rule(8). One thread at a time.
 */
#ifndef WEFT_LINUX_IFCONF_H
#define WEFT_LINUX_IFCONF_H

#include <stdbool.h>
#include <stdint.h>

#include "util/inet.h"

#define WEFT_IFCONF_MAIN_TABLE 254
#define WEFT_IFCONF_TABLES     1000 /* that are looked at for one that is free */

struct weft_ifconf;

/* What is seen of the interface; each may be NULL. A negative code ends the reading. */
struct weft_ifconf_seen {
	int (*address)(void *ctx, const struct weft_prefix *p);
	/* not those that the kernel makes of an address */
	int (*route)(void *ctx, const struct weft_prefix *p, uint32_t table);
	void *ctx;
};

/* The two rules of a default route: wg-quick(8). */
enum weft_ifconf_rule {
	WEFT_IFCONF_RULE_MARK,     /* what has not the mark looks in the table of the same number */
	WEFT_IFCONF_RULE_SUPPRESS, /* before that, all but the default route of the main table */
};

/*
 * Makes an interface of the kernel's WireGuard. 0, -EEXIST, -EOPNOTSUPP (the kernel has none, and
 * no module of it) or another negated errno. May load the module.
 */
WEFT_MUST_CHECK int weft_ifconf_add_wireguard(const char *name);

/* The interface called `name`. 0, -ENODEV or another negated errno. */
WEFT_MUST_CHECK int weft_ifconf_open(struct weft_ifconf **ret_conf, const char *name);
void weft_ifconf_close(struct weft_ifconf *conf);

/* All return 0 or negated errno; -EEXIST and -ESRCH, -ENOENT as the kernel has them. */
WEFT_MUST_CHECK int weft_ifconf_link(struct weft_ifconf *conf, bool *ret_up, uint32_t *ret_mtu);
WEFT_MUST_CHECK int weft_ifconf_read(struct weft_ifconf *conf, const struct weft_ifconf_seen *seen);
WEFT_MUST_CHECK int weft_ifconf_read_rule(struct weft_ifconf *conf, uint8_t family,
					  enum weft_ifconf_rule rule, uint32_t mark,
					  bool *ret_there);
WEFT_MUST_CHECK int weft_ifconf_set_link(struct weft_ifconf *conf, uint32_t mtu, bool up);
WEFT_MUST_CHECK int weft_ifconf_delete(struct weft_ifconf *conf);
WEFT_MUST_CHECK int weft_ifconf_address(struct weft_ifconf *conf, const struct weft_prefix *p,
					bool add);
WEFT_MUST_CHECK int weft_ifconf_route(struct weft_ifconf *conf, const struct weft_prefix *p,
				      uint32_t table, bool add);
WEFT_MUST_CHECK int weft_ifconf_rule(struct weft_ifconf *conf, uint8_t family,
				     enum weft_ifconf_rule rule, uint32_t mark, bool add);

/* The first table from `first` on that has no route in it. -ENOSPC: WEFT_IFCONF_TABLES have. */
WEFT_MUST_CHECK int weft_ifconf_free_table(struct weft_ifconf *conf, uint32_t first,
					   uint32_t *ret_table);

/*
 * The MTU of the way to `ip` (NULL: of the default route) of packets that have this mark: the
 * route's own, else that of the interface it leads to. -ENETUNREACH: there is none.
 */
WEFT_MUST_CHECK int weft_ifconf_path_mtu(struct weft_ifconf *conf, const struct weft_ip *ip,
					 uint32_t mark, uint32_t *ret_mtu);

/* A table's number by its name in /etc/iproute2/rt_tables. 0 or -ENOENT. */
WEFT_MUST_CHECK int weft_ifconf_table_by_name(const char *name, uint32_t *ret_table);

#endif
