/* Worker threads for what burns CPU or waits for a disk.
**
** Jobs run side by side, each on one thread at a time. Order is kept inside a job: a lane
** (lane.h) and a flow that moves as a whole (flow.h) are one job each, so that one digest is
** computed in order while several files are hashed at once. No thread ever touches a Lua
** state or a loop, but for ep_loop_notify.
*/
#ifndef EP_POOL_H
#define EP_POOL_H

#include "ep.h"

#include <pthread.h>

#pragma GCC visibility push(hidden)

/* Lives inside its owner, who calls ep_pool_retract before freeing it. */
struct ep_job {
  bool (*run)(struct ep_job *job); /* true: again, after the others that wait */
  struct ep_job *next;             /* the pool's from here on */
  enum { EP_JOB_IDLE, EP_JOB_QUEUED, EP_JOB_RUNNING } state;
  bool again, retracted;
};

struct ep_pool;

/* Threads start when there is work for them and end with the last reference, which must not
** be released in one of them. Signals are blocked in them. */
struct ep_pool *ep_pool_new(struct ep_host *host, int threads) EP_MUST;
/* The job will run once more from here on: one that is queued already just stays so. When
** no thread can be started it runs here and now. */
void ep_pool_submit(struct ep_pool *pool, struct ep_job *job);
/* The job does not run any more when this returns; waits for a run that is under way. */
void ep_pool_retract(struct ep_pool *pool, struct ep_job *job);
int ep_pool_cores(void); /* that this process may use */

#pragma GCC visibility pop
#endif
