/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The narrow interface in front of everything that needs privilege once packets flow. Today these
 * are direct calls in one process with only CAP_NET_ADMIN, CAP_NET_BIND_SERVICE and CAP_IPC_LOCK
 * left; a later split can answer them from another process without any caller noticing.
 */
#ifndef WEFT_LINUX_PRIVILEGE_H
#define WEFT_LINUX_PRIVILEGE_H

#include "linux/udp.h"

/* Opens sockets (ports below 1024, SO_MARK). As weft_udp_open. */
WEFT_MUST_CHECK int weft_priv_udp_open(struct weft_udp *ret_udp, uint16_t port, uint32_t fwmark,
				       bool offload);
WEFT_MUST_CHECK int weft_priv_udp_set_fwmark(struct weft_udp *udp, uint32_t fwmark);

/*
 * Drops every capability but the three above, from all sets and the bounding set, sets
 * no_new_privs, makes the process undumpable, and, with CAP_IPC_LOCK, locks all its memory as it
 * is touched. Call when set-up is done, before packets are read. 0 or negated errno.
 */
WEFT_MUST_CHECK int weft_priv_drop(void);

/*
 * Memory for keys: mapped apart, locked, left out of dumps and wiped in forked children (fork
 * before it is filled); zeros when given, zeroed on free, aligned to 64 bytes. `size` is the same
 * in both calls. Any thread. NULL when out of memory, or for a size of 0. Over the lock limit it is
 * still given, unlocked, and weft_secmem_unlocked_bytes says so.
 */
void *weft_secmem_alloc(size_t size);
void weft_secmem_free(void *p, size_t size);
size_t weft_secmem_unlocked_bytes(void);
/*
 * Makes OpenSSL take its memory from here (but not wiped in forked children, whose exit handlers
 * may call the library). Before any other OpenSSL call. 0 or WEFT_E_CRYPTO.
 */
WEFT_MUST_CHECK int weft_secmem_adopt_openssl(void);

#endif
