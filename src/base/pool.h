/* Worker threads for what burns CPU or waits for a disk, and lanes: work in order.
**
** A job runs once on some thread. A lane runs its jobs one after the other, in the order
** they were put; different lanes run side by side. So one digest is computed in order and
** several files are hashed at once. No thread ever touches a Lua state or a loop, but for
** ep_loop_notify.
*/
#ifndef EP_POOL_H
#define EP_POOL_H

#include "ep.h"

#include <pthread.h>

#pragma GCC visibility push(hidden)

struct ep_job {
  void (*run)(struct ep_job *job);
  struct ep_job *next;
};

struct ep_pool;

/* Threads start with the first jobs and end with the last reference. Signals are blocked in
** them. */
struct ep_pool *ep_pool_new(struct ep_host *host, int threads) EP_MUST;
/* Borrows the job until it has run. When no thread can be started it runs here and now. */
void ep_pool_submit(struct ep_pool *pool, struct ep_job *job);
int ep_pool_cores(void); /* that this process may use */

#pragma GCC visibility pop
#endif
