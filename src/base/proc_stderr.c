/* A child's stderr: its last bytes are kept, all of it is passed on. Neither side is
** ever waited for, and when the child has ended only what it left in the pipe counts:
** something it started may hold the pipe for ever. */
#include "proc_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define OF_TASK(task, member)                                                            \
  ((struct ep_process *)((char *)(task)-offsetof(struct ep_process, err.member)))

static void keep(struct ep_proc_stderr *e, const unsigned char *bytes, size_t n)
{
  size_t room = sizeof e->tail - e->tail_n;
  if (n > room) {
    e->tail_n -= n - room;
    memmove(e->tail, e->tail + (n - room), e->tail_n);
  }
  memcpy(e->tail + e->tail_n, bytes, n);
  e->tail_n += n;
}

static void pass_no_more(struct ep_proc_stderr *e)
{
  ep_release(e->to);
  e->to = NULL;
  if (e->to_fd >= 0)
    (void)close(e->to_fd);
  e->to_fd = -1;
}

static void read_no_more(struct ep_process *p)
{
  if (p->err.from < 0)
    return;
  ep_loop_unwatch(p->loop, &p->err.from_watch);
  (void)close(p->err.from);
  p->err.from = -1;
}

static void settle(struct ep_process *p)
{
  p->err.drained = true;
  ep_loop_untimer(p->loop, &p->err.timer);
}

/* Writes out the chunk; false when that has to wait. */
static bool passed_on(struct ep_process *p)
{
  struct ep_proc_stderr *e = &p->err;
  while (e->to && e->at < e->n) {
    struct ep_span span = {e->chunk + e->at, e->n - e->at, NULL};
    struct ep_err ignored; /* a terminal that went away is no reason to stop the child */
    size_t taken = 0;
    enum ep_status st = ep_sink_write(e->to, &span, &taken, &ignored);
    if (st == EP_AGAIN) {
      ep_sink_arm(e->to, p->loop, &e->task);
      return false;
    }
    if (st != EP_OK)
      pass_no_more(e);
    e->at += taken;
  }
  e->at = e->n = 0;
  return true;
}

static void run(struct ep_task *task, size_t budget)
{
  struct ep_process *p = OF_TASK(task, task);
  struct ep_proc_stderr *e = &p->err;
  size_t moved = 0;
  while (passed_on(p)) {
    ssize_t n;
    if (e->ended && (e->from < 0 || e->left <= 0))
      settle(p);
    if (e->from < 0)
      return;
    if (moved >= budget) {
      ep_loop_ready(p->loop, task);
      return;
    }
    do
      n = read(e->from, e->chunk, sizeof e->chunk);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      if (e->ended)
        settle(p);
      ep_loop_watch_task(p->loop, &e->from_watch, e->from, EPOLLIN, task);
      return;
    }
    if (n <= 0) {
      read_no_more(p);
      continue;
    }
    e->n = (size_t)n;
    keep(e, e->chunk, e->n);
    e->left -= n;
    moved += e->n;
  }
}

/* Whoever reads what is passed on had its time: the rest only goes to the tail. */
static void run_late(struct ep_task *task, size_t budget)
{
  struct ep_process *p = OF_TASK(task, late);
  (void)budget;
  pass_no_more(&p->err);
  ep_loop_ready(p->loop, &p->err.task);
}

enum ep_status ep_proc_stderr_init(struct ep_process *p, int from, int pass_fd,
                                   struct ep_err *err)
{
  struct ep_proc_stderr *e = &p->err;
  int flags = fcntl(from, F_GETFL);
  e->from = from;
  e->task.run = run;
  e->late.run = run_late;
  if (flags < 0 || fcntl(from, F_SETFL, flags | O_NONBLOCK) < 0)
    return ep_fail_errno(err, errno, "making pipes for %s", p->name);
  if (pass_fd < 0)
    return EP_OK;
  /* a copy: one loop cannot watch the same number for two children */
  e->to_fd = fcntl(pass_fd, F_DUPFD_CLOEXEC, 3);
  if (e->to_fd < 0)
    return ep_fail_errno(err, errno, "passing on the stderr of %s to descriptor %d",
                         p->name, pass_fd);
  e->to = ep_sink_fd(p->obj.host, e->to_fd, false, err);
  return e->to ? EP_OK : EP_ERR;
}

void ep_proc_stderr_start(struct ep_process *p)
{
  if (p->err.from >= 0)
    ep_loop_ready(p->loop, &p->err.task);
}

void ep_proc_stderr_ended(struct ep_process *p)
{
  struct ep_proc_stderr *e = &p->err;
  int in_pipe = 0;
  e->ended = true;
  if (e->from < 0 && e->at == e->n) {
    settle(p);
    return;
  }
  if (e->from >= 0 && ioctl(e->from, FIONREAD, &in_pipe) < 0)
    in_pipe = 0;
  e->left = in_pipe;
  ep_loop_ready(p->loop, &e->task);
  ep_loop_timer(p->loop, &e->timer, ep_now_ms() + p->grace_ms, &e->late);
}

void ep_proc_stderr_close(struct ep_process *p)
{
  ep_loop_forget(p->loop, &p->err.task);
  ep_loop_forget(p->loop, &p->err.late);
  ep_loop_untimer(p->loop, &p->err.timer);
  read_no_more(p);
  pass_no_more(&p->err);
}
