/* SPDX-License-Identifier: Apache-2.0 */
/* How many threads move data: see threads.h. */
#include "daemon/threads.h"

#include <errno.h>
#include <sched.h>

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
