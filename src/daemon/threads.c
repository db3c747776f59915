/* SPDX-License-Identifier: Apache-2.0 */
/* How many threads move data, and where: see threads.h. */
#include "daemon/threads.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

unsigned weftd_cpus(void)
{
	cpu_set_t set;
	int n;

	CPU_ZERO(&set);
	/* a machine with more processors than the set holds: more than there will be threads */
	if (sched_getaffinity(0, sizeof(set), &set))
		return errno == EINVAL ? CPU_SETSIZE : 1;
	n = CPU_COUNT(&set);
	return n > 0 ? (unsigned)n : 1;
}

_Static_assert(WEFT_CPUS_MAX == CPU_SETSIZE, "all that cpu_set_t has");

static int set_affinity(const struct weft_cpus *cpus)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (unsigned i = 0; i < WEFT_CPUS_MAX; i++)
		if (weft_cpus_has(cpus, i))
			CPU_SET(i, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}

static int get_affinity(struct weft_cpus *ret_cpus)
{
	struct weft_cpus cpus = {{0}};
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return -errno;
	for (unsigned i = 0; i < WEFT_CPUS_MAX; i++)
		if (CPU_ISSET(i, &set))
			weft_cpus_add(&cpus, i);
	*ret_cpus = cpus;
	return 0;
}

/* The kernel takes what there is of a set and says nothing of the rest: so ask for all, and see. */
int weftd_cpus_take(const struct weft_cpus *cpus, struct weft_cpus *ret_there)
{
	struct weft_cpus before, there, all, missing;
	int rc = get_affinity(&before);

	memset(&all, 0xff, sizeof(all));
	if (!rc)
		rc = set_affinity(&all);
	if (!rc)
		rc = get_affinity(&there);
	if (rc)
		return rc;
	missing = weft_cpus_without(cpus, &there);
	if (!weft_cpus_count(&missing))
		return set_affinity(cpus);
	*ret_there = there;
	rc = set_affinity(&before);
	return rc ? rc : -ENXIO;
}

unsigned weftd_threads_default(unsigned cpus)
{
	if (cpus >= WEFTD_MAX_THREADS)
		return WEFTD_MAX_THREADS;
	return cpus <= WEFTD_MIN_THREADS ? WEFTD_MIN_THREADS : (cpus + 1) / 2 * 2;
}

unsigned weftd_threads_tx(unsigned threads)
{
	return threads / 2;
}
