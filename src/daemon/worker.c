/* SPDX-License-Identifier: Apache-2.0 */
/* Starting, stopping and waking the two data threads. Knows nothing of packets. */
#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#include "daemon/daemon.h"

int weftd_worker_start(struct weftd_worker *w, const char *name, void *(*main)(void *))
{
	int rc = pthread_create(&w->thread, NULL, main, w->d);

	if (rc)
		return -rc;
	w->started = true;
	pthread_setname_np(w->thread, name);
	return 0;
}

void weftd_worker_stop(struct weftd_worker *w)
{
	if (!w->started)
		return;
	weftd_worker_kick(w, true);
	pthread_join(w->thread, NULL);
	w->started = false;
}

void weftd_worker_kick(struct weftd_worker *w, bool forget)
{
	uint64_t one = 1;
	ssize_t n;

	if (forget)
		atomic_store(&w->forget, true);
	n = write(w->kick_fd, &one, sizeof(one)); /* full means that it is readable already */
	(void)n;
}

void weftd_worker_kicked(struct weftd_worker *w)
{
	uint64_t count;
	ssize_t n = read(w->kick_fd, &count, sizeof(count));

	(void)n;
	if (atomic_exchange(&w->forget, false))
		weft_worker_idle(w->w);
}
