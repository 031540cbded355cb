/* The write end of a child's stdin. To abandon the sink leaves the pipe open: an end of
** input that nobody meant would be taken for a good one. */
#include "proc_impl.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

struct stdin_sink {
  struct ep_sink base;
  struct ep_process *process; /* retained */
};

enum ep_status ep_proc_stdin_write(struct ep_process *p, const void *bytes, size_t n,
                                   size_t *taken, struct ep_err *err)
{
  struct ep_sigpipe guard;
  ssize_t w;
  int en;
  ep_sigpipe_enter(&guard);
  do
    w = write(p->in.fd, bytes, n);
  while (w < 0 && errno == EINTR);
  en = errno;
  ep_sigpipe_leave(&guard);
  if (w > 0) {
    *taken = (size_t)w;
    return EP_OK;
  }
  if (w == 0 || en == EAGAIN || en == EWOULDBLOCK)
    return EP_AGAIN;
  if (en == EPIPE)
    return ep_fail(err, "process", "%s reads no more of its input", p->name);
  return ep_fail_errno(err, en, "writing to %s", p->name);
}

void ep_proc_stdin_wake(struct ep_process *p)
{
  if (!p->in.watch.added)
    return;
  ep_loop_unwatch(p->loop, &p->in.watch);
  if (!ep_loop_closed(p->loop))
    ep_loop_ready(p->loop, p->in.watch.task);
}

void ep_proc_stdin_end(struct ep_process *p)
{
  if (p->in.fd < 0)
    return;
  ep_proc_stdin_wake(p);
  (void)close(p->in.fd);
  p->in.fd = -1;
  ep_process_say(p, EP_KEEPER_CLOSE_STDIN, 0);
}

/* When the process is being ended the pipe is not the sink's any more. */
static bool usable(const struct ep_process *p)
{
  return p->in.fd >= 0 && p->stop.state == EP_STOP_NOT;
}

static enum ep_status refuse(const struct ep_process *p, struct ep_err *err)
{
  return ep_fail(err, "process", "%s takes no more input", p->name);
}

static enum ep_status sink_write(struct ep_sink *s, const struct ep_span *span,
                                 size_t *taken, struct ep_err *err)
{
  struct ep_process *p = ((struct stdin_sink *)s)->process;
  return usable(p) ? ep_proc_stdin_write(p, span->p, span->n, taken, err)
                   : refuse(p, err);
}

static enum ep_status sink_finish(struct ep_sink *s, struct ep_err *err)
{
  struct ep_process *p = ((struct stdin_sink *)s)->process;
  if (!usable(p))
    return refuse(p, err);
  ep_proc_stdin_end(p);
  return EP_OK;
}

static void sink_arm(struct ep_sink *s, struct ep_loop *loop, struct ep_task *task)
{
  struct ep_process *p = ((struct stdin_sink *)s)->process;
  if (usable(p)) {
    ep_loop_unwatch(p->loop, &p->in.watch);
    if (task)
      ep_loop_watch_task(loop, &p->in.watch, p->in.fd, EPOLLOUT, task);
  } else if (task) {
    ep_loop_ready(loop, task);
  }
}

static void sink_close(struct ep_sink *s)
{
  sink_arm(s, NULL, NULL);
  ep_release(((struct stdin_sink *)s)->process);
}

static const struct ep_sink_type stdin_type = {
    .name = "input of a process",
    .write = sink_write,
    .finish = sink_finish,
    .arm = sink_arm,
    .close = sink_close,
};

enum ep_status ep_process_take_stdin(struct ep_process *p, struct ep_sink **sink,
                                     struct ep_err *err)
{
  struct stdin_sink *in;
  *sink = NULL;
  if (!p->in.offered)
    return EP_OK;
  in = ep_sink_new(p->obj.host, &stdin_type, sizeof *in, 0);
  if (!in)
    return ep_fail_memory(err);
  in->process = ep_retain(p);
  p->in.offered = false;
  *sink = &in->base;
  return EP_OK;
}
