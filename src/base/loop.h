/* One loop: descriptors, timers and tasks behind one descriptor that can be waited for.
**
** ep_loop_step does what is ready and never waits; ep_loop_poll is the one call of the
** whole core that does. A loop belongs to one thread at a time and to one job. Only
** ep_loop_notify and writing to ep_loop_cancel_fd may come from elsewhere.
*/
#ifndef EP_LOOP_H
#define EP_LOOP_H

#include "ep.h"

#pragma GCC visibility push(hidden)

struct ep_loop;
struct ep_pool;

/* Something to run when its time has come. Lives inside its owner, who calls
** ep_loop_forget before freeing it. `budget` is how many bytes it may move before it puts
** itself back with ep_loop_ready and returns. */
struct ep_task {
  void (*run)(struct ep_task *task, size_t budget);
  struct ep_task *next; /* in the run queue */
  bool queued;
  struct ep_task *notified_next; /* in the list that other threads push to */
  atomic_bool notified;
};

/* A descriptor to watch. Lives inside its owner, who calls ep_loop_unwatch before freeing
** it and before closing the descriptor. */
struct ep_watch {
  int fd;
  void (*fire)(struct ep_watch *watch, unsigned epoll_events);
  struct ep_task *task; /* what ep_loop_watch_task marks ready, */
  struct ep_loop *loop; /* and where; borrowed */
  bool added;
};

struct ep_timer {
  int64_t deadline; /* of ep_now_ms; 0 when not set */
  struct ep_task *task;
  struct ep_timer *next;
};

/* `threads`: how many pool threads at most (they start when first needed); 0 does all work
** in the caller's thread; negative means one for each core the process may use. */
struct ep_loop *ep_loop_new(struct ep_host *host, int threads,
                            struct ep_err *err) EP_MUST;

struct ep_host *ep_loop_host(const struct ep_loop *loop);

/* For whoever waits: until ep_loop_fd is readable or ep_loop_timeout milliseconds (-1: no
** limit) have passed, then step. */
int ep_loop_fd(const struct ep_loop *loop);
int ep_loop_timeout(const struct ep_loop *loop);

/* Runs what is ready. EP_ERR with code "cancelled" once for every cancel; the loop works on
** afterwards, so that cleaning up can use it. */
enum ep_status ep_loop_step(struct ep_loop *loop, struct ep_err *err) EP_MUST;
/* Waits up to `ms` (-1: no limit) for something to do. The only call that waits. */
enum ep_status ep_loop_poll(struct ep_loop *loop, int ms, struct ep_err *err) EP_MUST;

void ep_loop_ready(struct ep_loop *loop, struct ep_task *task);
void ep_loop_notify(struct ep_loop *loop, struct ep_task *task); /* from any thread */
void ep_loop_forget(struct ep_loop *loop, struct ep_task *task);
/* A task that does nothing: for who arms something only to have the loop wake up. */
struct ep_task *ep_loop_nudge(struct ep_loop *loop);

/* Calls `fire` for each event (EPOLLIN, EPOLLOUT…), level-triggered, until unwatched. Fails
** for a descriptor that cannot be watched (a regular file). */
enum ep_status ep_loop_watch(struct ep_loop *loop, struct ep_watch *watch, int fd,
                             unsigned epoll_events,
                             void (*fire)(struct ep_watch *, unsigned),
                             struct ep_err *err) EP_MUST;
/* Marks `task` ready at the next event and then stops watching. A descriptor that cannot
** be watched is always ready. */
void ep_loop_watch_task(struct ep_loop *loop, struct ep_watch *watch, int fd,
                        unsigned epoll_events, struct ep_task *task);
void ep_loop_unwatch(struct ep_loop *loop, struct ep_watch *watch);

void ep_loop_timer(struct ep_loop *loop, struct ep_timer *timer, int64_t deadline,
                   struct ep_task *task);
void ep_loop_untimer(struct ep_loop *loop, struct ep_timer *timer);

/* Cancel: step and poll fail once with `reason`; ep_loop_cancelled keeps it. */
void ep_loop_cancel(struct ep_loop *loop, const char *reason);
const char *ep_loop_cancelled(const struct ep_loop *loop);
/* A descriptor: writing eight bytes (an eventfd) from anywhere, a signal handler included,
** cancels. Made when first asked for. */
enum ep_status ep_loop_cancel_fd(struct ep_loop *loop, int *fd,
                                 struct ep_err *err) EP_MUST;
/* Cancels on these signals instead of what they would do: blocks them in the calling thread
** and reads them from the loop. The first one that came gives them back, so that a second
** one acts as if there were no loop. */
enum ep_status ep_loop_signals(struct ep_loop *loop, const int *signals, size_t n,
                               struct ep_err *err) EP_MUST;

/* The workers of this loop; NULL when it was made with none. */
struct ep_pool *ep_loop_pool(struct ep_loop *loop);

/* One thing that an outer ring keeps with the loop (the HTTP engine). `closing` is called
** when the loop ends, while it still works. */
void *ep_loop_attached(const struct ep_loop *loop);
void ep_loop_attach(struct ep_loop *loop, void *thing,
                    void (*closing)(struct ep_loop *loop, void *thing));

/* Ends the loop: what is attached is closed, threads are joined, descriptors closed. The
** object stays until its last reference goes; every call on it but ep_loop_forget,
** ep_loop_unwatch, ep_loop_untimer and ep_release is an error from then on. */
void ep_loop_close(struct ep_loop *loop);
bool ep_loop_closed(const struct ep_loop *loop);

#pragma GCC visibility pop
#endif
