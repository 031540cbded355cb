/* What runs when: watches, tasks and timers behind one epoll descriptor. */
#include "loop_impl.h"

#include "pool.h"

#include <errno.h>
#include <limits.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void take_notified(struct ep_loop *loop)
{
  struct ep_task *t = atomic_exchange(&loop->notified, NULL);
  while (t) {
    struct ep_task *next = t->notified_next;
    atomic_store(&t->notified, false);
    ep_loop_ready(loop, t);
    t = next;
  }
}

static void on_wake(struct ep_watch *watch, unsigned events)
{
  uint64_t count;
  struct ep_loop *loop =
      (struct ep_loop *)((char *)watch - offsetof(struct ep_loop, wake_watch));
  (void)events;
  while (read(watch->fd, &count, sizeof count) < 0 && errno == EINTR)
    ;
  take_notified(loop);
}

static void do_nothing(struct ep_task *task, size_t budget)
{
  (void)task, (void)budget;
}

static void loop_destroy(void *self)
{
  struct ep_loop *loop = self;
  ep_loop_close(loop);
  /* not before: a pool thread that works for an object still open may notify until then */
  if (loop->wake_fd >= 0)
    (void)close(loop->wake_fd);
}

struct ep_loop *ep_loop_new(struct ep_host *host, int threads, struct ep_err *err)
{
  struct ep_loop *loop = ep_obj_new(host, EP_KIND_LOOP, sizeof *loop, loop_destroy);
  if (!loop) {
    (void)ep_fail_memory(err);
    return NULL;
  }
  loop->tail = &loop->head;
  loop->nudge.run = do_nothing;
  loop->wake_fd = -1;
  loop->threads = threads < 0 ? ep_pool_cores() : threads;
  ep_loop_cancel_init(loop);
  loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (loop->epoll_fd >= 0)
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (loop->wake_fd < 0) {
    (void)ep_fail_errno(err, errno, "starting an event loop");
    ep_release(loop);
    return NULL;
  }
  if (ep_loop_watch(loop, &loop->wake_watch, loop->wake_fd, EPOLLIN, on_wake, err) !=
      EP_OK) {
    ep_release(loop);
    return NULL;
  }
  return loop;
}

void ep_loop_close(struct ep_loop *loop)
{
  if (loop->epoll_fd < 0)
    return;
  if (loop->attached) {
    void *thing = loop->attached;
    loop->attached = NULL;
    loop->attached_closing(loop, thing);
  }
  ep_loop_cancel_close(loop);
  ep_release(loop->pool);
  loop->pool = NULL;
  (void)close(loop->epoll_fd);
  loop->epoll_fd = -1;
}

bool ep_loop_closed(const struct ep_loop *loop)
{
  return loop->epoll_fd < 0;
}

struct ep_host *ep_loop_host(const struct ep_loop *loop)
{
  return loop->obj.host;
}

int ep_loop_fd(const struct ep_loop *loop)
{
  return loop->epoll_fd;
}

int ep_loop_timeout(const struct ep_loop *loop)
{
  int64_t left;
  if (loop->head || loop->cancel.raised)
    return 0;
  if (!loop->timers)
    return -1;
  left = loop->timers->deadline - ep_now_ms();
  return left <= 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

static void run_timers(struct ep_loop *loop)
{
  int64_t now;
  if (!loop->timers)
    return;
  now = ep_now_ms();
  while (loop->timers && loop->timers->deadline <= now) {
    struct ep_timer *t = loop->timers;
    loop->timers = t->next;
    t->deadline = 0;
    ep_loop_ready(loop, t->task);
  }
}

/* Each task that is queued now runs once; what queues itself again waits for the next
** step, so that a step ends. A task may forget any other while it runs. */
static void run_tasks(struct ep_loop *loop)
{
  struct ep_task end = {0}; /* marks where this step's queue ends */
  ep_loop_ready(loop, &end);
  while (loop->head != &end) {
    struct ep_task *t = loop->head;
    ep_loop_forget(loop, t);
    t->run(t, EP_STEP_BUDGET);
  }
  ep_loop_forget(loop, &end);
}

static void fire_events(struct ep_loop *loop, int n)
{
  loop->batch_n = n;
  for (loop->batch_at = 0; loop->batch_at < loop->batch_n; loop->batch_at++) {
    struct epoll_event *ev = &loop->batch[loop->batch_at];
    struct ep_watch *w = ev->data.ptr;
    if (w) /* not unwatched by one that fired before it */
      w->fire(w, ev->events);
  }
  loop->batch_n = 0;
}

enum ep_status ep_loop_poll(struct ep_loop *loop, int ms, struct ep_err *err)
{
  int own = ep_loop_timeout(loop);
  int n;
  if (own >= 0 && (ms < 0 || own < ms))
    ms = own;
  n = epoll_wait(loop->epoll_fd, loop->batch, EP_LOOP_BATCH, ms);
  if (n < 0 && errno != EINTR)
    return ep_fail_errno(err, errno, "waiting for events");
  if (n > 0)
    fire_events(loop, n);
  run_timers(loop);
  run_tasks(loop);
  if (loop->cancel.raised) {
    loop->cancel.raised = false;
    return ep_fail(err, "cancelled", "cancelled by %s", loop->cancel.reason);
  }
  return EP_OK;
}

enum ep_status ep_loop_step(struct ep_loop *loop, struct ep_err *err)
{
  return ep_loop_poll(loop, 0, err);
}

void ep_loop_ready(struct ep_loop *loop, struct ep_task *task)
{
  if (task->queued)
    return;
  task->queued = true;
  task->next = NULL;
  *loop->tail = task;
  loop->tail = &task->next;
}

void ep_loop_notify(struct ep_loop *loop, struct ep_task *task)
{
  static const uint64_t one = 1;
  if (!atomic_exchange(&task->notified, true)) {
    struct ep_task *first = atomic_load(&loop->notified);
    do
      task->notified_next = first;
    while (!atomic_compare_exchange_weak(&loop->notified, &first, task));
  }
  while (write(loop->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
    ;
}

void ep_loop_forget(struct ep_loop *loop, struct ep_task *task)
{
  struct ep_task **p;
  if (atomic_load(&task->notified))
    take_notified(loop);
  if (!task->queued)
    return;
  for (p = &loop->head; *p != task; p = &(*p)->next)
    ;
  *p = task->next;
  if (loop->tail == &task->next)
    loop->tail = p;
  task->queued = false;
}

enum ep_status ep_loop_watch(struct ep_loop *loop, struct ep_watch *watch, int fd,
                             unsigned epoll_events,
                             void (*fire)(struct ep_watch *, unsigned),
                             struct ep_err *err)
{
  struct epoll_event ev = {.events = epoll_events, .data.ptr = watch};
  int op = watch->added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  watch->fd = fd;
  watch->fire = fire;
  if (epoll_ctl(loop->epoll_fd, op, fd, &ev) < 0)
    return ep_fail_errno(err, errno, "watching descriptor %d", fd);
  watch->added = true;
  return EP_OK;
}

static void fire_task(struct ep_watch *watch, unsigned events)
{
  (void)events;
  ep_loop_ready(watch->loop, watch->task);
  ep_loop_unwatch(watch->loop, watch);
}

void ep_loop_watch_task(struct ep_loop *loop, struct ep_watch *watch, int fd,
                        unsigned epoll_events, struct ep_task *task)
{
  struct ep_err unwatchable;
  watch->task = task;
  watch->loop = loop;
  if (ep_loop_watch(loop, watch, fd, epoll_events, fire_task, &unwatchable) != EP_OK)
    ep_loop_ready(loop, task);
}

void ep_loop_unwatch(struct ep_loop *loop, struct ep_watch *watch)
{
  int i;
  if (!watch->added)
    return;
  watch->added = false;
  if (loop->epoll_fd >= 0)
    (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
  for (i = loop->batch_at; i < loop->batch_n; i++)
    if (loop->batch[i].data.ptr == watch)
      loop->batch[i].data.ptr = NULL;
}

void ep_loop_timer(struct ep_loop *loop, struct ep_timer *timer, int64_t deadline,
                   struct ep_task *task)
{
  struct ep_timer **p;
  ep_loop_untimer(loop, timer);
  timer->deadline = deadline;
  timer->task = task;
  for (p = &loop->timers; *p && (*p)->deadline <= deadline; p = &(*p)->next)
    ;
  timer->next = *p;
  *p = timer;
}

void ep_loop_untimer(struct ep_loop *loop, struct ep_timer *timer)
{
  struct ep_timer **p;
  if (timer->deadline == 0)
    return;
  for (p = &loop->timers; *p != timer; p = &(*p)->next)
    ;
  *p = timer->next;
  timer->deadline = 0;
}

struct ep_task *ep_loop_nudge(struct ep_loop *loop)
{
  return &loop->nudge;
}

struct ep_pool *ep_loop_pool(struct ep_loop *loop)
{
  if (!loop->pool && loop->threads > 0 && !ep_loop_closed(loop))
    loop->pool = ep_pool_new(loop->obj.host, loop->threads);
  return loop->pool; /* out of memory means no pool: the work is done in line */
}

void *ep_loop_attached(const struct ep_loop *loop)
{
  return loop->attached;
}

void ep_loop_attach(struct ep_loop *loop, void *thing,
                    void (*closing)(struct ep_loop *, void *))
{
  loop->attached = thing;
  loop->attached_closing = closing;
}
