/* SPDX-License-Identifier: Apache-2.0 */
/* When both directions share a thread, and when not: see share.h. */
#include "daemon/share.h"

#define PREEMPTED_NS UINT64_C(5000000)

bool weftd_share_worked(struct weftd_share *s, uint64_t now_ns, uint64_t rx_ns, uint64_t tx_ns,
			uint64_t length_ns)
{
	if (s->since_ns == 0)
		s->since_ns = now_ns - rx_ns - tx_ns;
	s->rx_ns += rx_ns;
	s->tx_ns += tx_ns;
	return now_ns - s->since_ns >= length_ns;
}

struct weftd_share_verdict weftd_share_decide(struct weftd_share *s, uint64_t now_ns,
					      struct weftd_share_thread thread)
{
	uint64_t length = now_ns - s->since_ns, worked = s->rx_ns + s->tx_ns;
	uint64_t cpu = thread.cpu_ns - s->since.cpu_ns;
	uint64_t preempted = thread.preempted - s->since.preempted;
	bool known = s->since.cpu_ns != 0;
	struct weftd_share_verdict v = {
		.busy = known && worked >= length / 10 * 9 && s->rx_ns >= length / 33 &&
			s->tx_ns >= length / 33,
		.idle = known && worked < length / 100,
		.crowded = known && worked > cpu && worked - cpu >= length / 10 &&
			   preempted * PREEMPTED_NS >= length,
	};

	*s = (struct weftd_share){.since_ns = now_ns, .since = thread};
	return v;
}
