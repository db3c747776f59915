/* SPDX-License-Identifier: Apache-2.0 */
/* Weft's table in the kernel. */
#include "host/fence_nft.h"

#include <cap-ng.h>
#include <errno.h>
#include <linux/netlink.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * libnftables ends the process where the kernel has no netfilter, and without the right to ask it
 * says so to stderr. 0 or negated errno.
 */
static int look_for_netfilter(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	if (fd < 0)
		return -errno;
	close(fd);
	if (capng_get_caps_process() < 0)
		return -EIO;
	return capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN) ? 0 : -EPERM;
}

int weft_host_nft(const char *commands, bool json, struct weft_text *out)
{
	struct nft_ctx *ctx;
	const char *said;
	int rc = look_for_netfilter();

	if (rc)
		return rc;
	ctx = nft_ctx_new(NFT_CTX_DEFAULT);
	if (!ctx)
		return -ENOMEM;
	if (json)
		nft_ctx_output_set_flags(ctx, NFT_CTX_OUTPUT_JSON);
	rc = nft_ctx_buffer_output(ctx) || nft_ctx_buffer_error(ctx) ? -ENOMEM : 0;
	if (!rc && nft_run_cmd_from_buffer(ctx, commands))
		rc = -EIO;
	said = !rc && out ? nft_ctx_get_output_buffer(ctx) : NULL;
	if (said)
		rc = weft_text_append(out, said, strlen(said));
	nft_ctx_free(ctx);
	return rc;
}

int weft_fence_observe(const char *ifname, struct weft_fence *ret)
{
	char table[WEFT_FENCE_TABLE_LEN], command[WEFT_FENCE_TABLE_LEN + 32];
	struct weft_text json = {0};
	int rc;

	(void)snprintf(command, sizeof(command), "list table inet %s",
		       weft_fence_table(ifname, table));
	rc = weft_host_nft(command, true, &json);
	if (!rc)
		rc = weft_fence_read(json.p, json.len, ret);
	else if (rc == -EIO) /* there is none, if nft can tell what there is */
		rc = weft_host_nft("list tables", false, NULL);
	weft_text_clear(&json);
	return rc == -EPROTONOSUPPORT ? 0 : rc; /* what the kernel has not there is none of */
}

int weft_fence_apply(const char *ifname, const struct weft_fence *f)
{
	struct weft_text text = {0};
	int rc = weft_fence_text(f, ifname, &text);

	if (!rc)
		rc = weft_text_append(&text, "", 1);
	if (!rc)
		rc = weft_host_nft(text.p, false, NULL);
	weft_text_clear(&text);
	return rc;
}
