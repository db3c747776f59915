/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's side of host/fence.h, over libnftables. One thread at a time. */
#ifndef WEFT_HOST_FENCE_NFT_H
#define WEFT_HOST_FENCE_NFT_H

#include "host/fence.h"

/*
 * Runs nft's commands, NUL-terminated, as one transaction. What it prints, as JSON if `json`, is
 * appended to `out` (may be NULL: dropped). 0, -EIO (nft refused them), -EPROTONOSUPPORT (the
 * kernel has no netfilter), -EPERM (without CAP_NET_ADMIN) or another negated errno.
 */
WEFT_MUST_CHECK int weft_host_nft(const char *commands, bool json, struct weft_text *out);

/*
 * What is in the kernel for the interface; without a table, an empty fence. `ret` starts zeroed and
 * is cleared by the caller, also after an error. 0, -EIO (nft cannot tell: a kernel without
 * nftables), -EPERM or another negative code.
 */
WEFT_MUST_CHECK int weft_fence_observe(const char *ifname, struct weft_fence *ret);

/*
 * Makes the table anew, or takes it away, in one transaction: at no moment is it half there. `f` is
 * sealed. 0 or a negative code, and then nothing was changed.
 */
WEFT_MUST_CHECK int weft_fence_apply(const char *ifname, const struct weft_fence *f);

#endif
