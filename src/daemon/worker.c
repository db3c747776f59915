/* SPDX-License-Identifier: Apache-2.0 */
/* Starting, stopping and waking the data threads. Knows nothing of packets. */
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/daemon.h"

#define GUARD_BYTES 4096u
#define BURN_BYTES  (32u << 10)

__attribute__((noinline)) void weftd_burn_stack(void)
{
	uint8_t below[BURN_BYTES];

	weft_wipe(below, sizeof(below));
}

/* A stack for keys to pass over. The lowest page stays a guard. */
static void *make_stack(void)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK;
	uint8_t *p = mmap(NULL, WEFTD_STACK_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	if (mprotect(p, GUARD_BYTES, PROT_NONE)) {
		munmap(p, WEFTD_STACK_BYTES);
		return NULL;
	}
	/* neither is vital: an older kernel or a small limit leaves an ordinary stack */
	(void)madvise(p + GUARD_BYTES, WEFTD_STACK_BYTES - GUARD_BYTES, MADV_DONTDUMP);
	(void)mlock2(p + GUARD_BYTES, WEFTD_STACK_BYTES - GUARD_BYTES, MLOCK_ONFAULT);
	return p;
}

int weftd_worker_start(struct weftd_worker *w, const char *name, void *(*main)(void *))
{
	pthread_attr_t attr;
	int rc = pthread_attr_init(&attr);

	if (rc)
		return -rc;
	w->stack = make_stack();
	if (!w->stack) {
		pthread_attr_destroy(&attr);
		return -ENOMEM;
	}
	rc = pthread_attr_setstack(&attr, (uint8_t *)w->stack + GUARD_BYTES,
				   WEFTD_STACK_BYTES - GUARD_BYTES);
	if (!rc)
		rc = pthread_create(&w->thread, &attr, main, w);
	pthread_attr_destroy(&attr);
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
	weft_wipe((uint8_t *)w->stack + GUARD_BYTES, WEFTD_STACK_BYTES - GUARD_BYTES);
	munmap(w->stack, WEFTD_STACK_BYTES);
	w->stack = NULL;
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

void weftd_workers_forget(struct weftd *d)
{
	for (unsigned i = 0; i < d->n_tx; i++)
		weftd_worker_kick(&d->tx[i], true);
	for (unsigned i = 0; i < d->n_rx; i++)
		weftd_worker_kick(&d->rx[i], true);
}

void weftd_worker_forget(struct weftd_worker *w)
{
	weft_worker_idle(w->w);
	weftd_burn_stack();
}

void weftd_worker_kicked(struct weftd_worker *w)
{
	uint64_t count;
	ssize_t n = read(w->kick_fd, &count, sizeof(count));

	(void)n;
	if (atomic_exchange(&w->forget, false))
		weftd_worker_forget(w);
}
