/* SPDX-License-Identifier: Apache-2.0 */
/* How many threads move data. Pure but for weftd_cpus. docs/weftd.md has the table. */
#ifndef WEFT_DAEMON_THREADS_H
#define WEFT_DAEMON_THREADS_H

#define WEFTD_MIN_THREADS 2
#define WEFTD_MAX_THREADS 16 /* half of them send, half receive */

/* Processors that this process may run on (affinity, cpuset), at least 1. Any thread. */
unsigned weftd_cpus(void);

/* Threads for so many processors: 2 to WEFTD_MAX_THREADS, even. */
unsigned weftd_threads_default(unsigned cpus);

/* How many of them send; the others receive. An odd one receives. */
unsigned weftd_threads_tx(unsigned threads);

#endif
