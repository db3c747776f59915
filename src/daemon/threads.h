/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many threads move data, and on which processors. Pure but for weftd_cpus and
 * weftd_cpus_take. docs/weftd.md has the table.
 */
#ifndef WEFT_DAEMON_THREADS_H
#define WEFT_DAEMON_THREADS_H

#include "util/cpus.h"

#define WEFTD_MIN_THREADS 2
#define WEFTD_MAX_THREADS 16 /* half of them send, half receive */

/* Processors that this process may run on (affinity, cpuset), at least 1. Any thread. */
unsigned weftd_cpus(void);

/*
 * Keeps the process, with all threads that it makes from now on, to these processors. 0; -ENXIO:
 * it may not run on all of them (not there, or not in its cpuset), nothing changed, and
 * `*ret_there` has those that it may; or errno. Before there are threads.
 */
WEFT_MUST_CHECK int weftd_cpus_take(const struct weft_cpus *cpus, struct weft_cpus *ret_there);

/* Threads for so many processors: 2 to WEFTD_MAX_THREADS, even. */
unsigned weftd_threads_default(unsigned cpus);

/* How many of them send; the others receive. An odd one receives. */
unsigned weftd_threads_tx(unsigned threads);

#endif
