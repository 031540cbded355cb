/* The loop's inside, shared by loop.c (what runs when) and loop_cancel.c (who may stop it). */
#ifndef EP_LOOP_IMPL_H
#define EP_LOOP_IMPL_H

#include "loop.h"

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>

#pragma GCC visibility push(hidden)

enum { EP_LOOP_BATCH = 32, EP_CANCEL_REASON_MAX = 64 };

struct ep_loop_cancel {
  int fd; /* an eventfd; -1 until asked for */
  struct ep_watch watch;
  int signal_fd; /* -1 when no signals are caught */
  struct ep_watch signal_watch;
  int64_t signalled; /* ep_now_ms at the first signal; 0: none yet */
  sigset_t caught;   /* those that were blocked here and not before */
  pthread_t caught_by;
  bool raised; /* step has yet to report it */
  char reason[EP_CANCEL_REASON_MAX];
};

struct ep_loop {
  struct ep_obj obj;
  int epoll_fd; /* -1 once closed */
  int wake_fd;  /* an eventfd that ep_loop_notify writes to */
  struct ep_watch wake_watch;
  struct ep_task *head, **tail; /* the run queue */
  struct ep_task nudge;
  _Atomic(struct ep_task *) notified;
  struct ep_timer *timers; /* by deadline */
  struct epoll_event batch[EP_LOOP_BATCH];
  int batch_at, batch_n;
  int threads;
  struct ep_pool *pool;
  void *attached;
  void (*attached_closing)(struct ep_loop *, void *);
  struct ep_loop_cancel cancel;
};

void ep_loop_cancel_init(struct ep_loop *loop);
void ep_loop_cancel_close(struct ep_loop *loop);

#pragma GCC visibility pop
#endif
