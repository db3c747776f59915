/* SPDX-License-Identifier: Apache-2.0 */
/* When both directions share a thread, and when not: see share.h. */
#include "daemon/share.h"

/* Adds to the counts. True when a look of `length_ns` is over; the next one begins by itself. */
static bool look(struct weftd_share *s, uint64_t now_ns, uint64_t rx_ns, uint64_t tx_ns,
		 uint64_t length_ns, struct weftd_share *ret_over, uint64_t *ret_length_ns)
{
	if (s->since_ns == 0)
		s->since_ns = now_ns - rx_ns - tx_ns;
	s->rx_ns += rx_ns;
	s->tx_ns += tx_ns;
	if (now_ns - s->since_ns < length_ns)
		return false;
	*ret_over = *s;
	*ret_length_ns = now_ns - s->since_ns;
	*s = (struct weftd_share){.since_ns = now_ns};
	return true;
}

bool weftd_share_apart(struct weftd_share *s, uint64_t now_ns, uint64_t rx_ns, uint64_t tx_ns)
{
	struct weftd_share over;
	uint64_t length;

	if (!look(s, now_ns, rx_ns, tx_ns, WEFTD_SHARE_APART_NS, &over, &length))
		return false;
	return over.rx_ns + over.tx_ns >= length / 10 * 9 && over.rx_ns >= length / 33 &&
	       over.tx_ns >= length / 33;
}

bool weftd_share_together(struct weftd_share *s, uint64_t now_ns, uint64_t tx_ns)
{
	struct weftd_share over;
	uint64_t length;

	if (!look(s, now_ns, 0, tx_ns, WEFTD_SHARE_TOGETHER_NS, &over, &length))
		return false;
	return over.tx_ns < length / 100;
}
