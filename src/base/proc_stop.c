/* Ending a child that must not take what it got for everything: SIGTERM, last bytes or an
** open stdin, SIGKILL. Each step is a task of the loop. */
#include "proc_impl.h"

#include <signal.h>
#include <string.h>
#include <sys/epoll.h>

#define OF_TASK(task, member)                                                            \
  ((struct ep_process *)((char *)(task)-offsetof(struct ep_process, stop.member)))

static void run_write(struct ep_task *task, size_t budget)
{
  struct ep_process *p = OF_TASK(task, task);
  struct ep_proc_stop *s = &p->stop;
  struct ep_err ignored; /* it reads no more: nothing left to say to it */
  enum ep_status st = EP_OK;
  (void)budget;
  while (st == EP_OK && p->in.fd >= 0 && s->at < s->n) {
    size_t taken = 0;
    st = ep_proc_stdin_write(p, s->tail + s->at, s->n - s->at, &taken, &ignored);
    s->at += taken;
  }
  if (st == EP_AGAIN) {
    ep_loop_watch_task(p->loop, &p->in.watch, p->in.fd, EPOLLOUT, task);
    return;
  }
  s->state = EP_STOP_WAITING;
  ep_proc_stdin_end(p);
}

/* The grace is over. The keeper's copy of stdin is closed after its SIGKILL. */
static void run_late(struct ep_task *task, size_t budget)
{
  struct ep_process *p = OF_TASK(task, late);
  (void)budget;
  p->stop.state = EP_STOP_WAITING;
  ep_loop_unwatch(p->loop, &p->in.watch);
  ep_loop_forget(p->loop, &p->stop.task);
  ep_process_kill(p);
  ep_process_say(p, EP_KEEPER_SIGNAL, SIGKILL);
  ep_proc_stdin_end(p);
}

void ep_proc_stop_init(struct ep_process *p)
{
  p->stop.task.run = run_write;
  p->stop.late.run = run_late;
}

enum ep_status ep_process_stop(struct ep_process *p, const struct ep_process_stop *how,
                               struct ep_err *err)
{
  struct ep_proc_stop *s = &p->stop;
  if (s->state != EP_STOP_NOT || p->exited || p->line < 0)
    return EP_OK;
  if (how->n > EP_PROC_LAST_WORDS_MAX)
    return ep_fail(err, "too_large", "more than %d last bytes for %s",
                   EP_PROC_LAST_WORDS_MAX, p->name);
  if (how->n > 0 && !how->hold) {
    s->tail = ep_alloc_raw(how->n);
    if (!s->tail)
      return ep_fail_memory(err);
    memcpy(s->tail, how->tail, how->n);
    s->n = how->n;
  }
  s->hold = how->hold;
  s->state = EP_STOP_SIGNALLED;
  ep_proc_stdin_wake(p);
  ep_process_say(p, EP_KEEPER_SIGNAL, SIGTERM);
  ep_loop_timer(p->loop, &s->timer, ep_now_ms() + how->grace_ms, &s->late);
  return EP_OK;
}

void ep_proc_stop_signalled(struct ep_process *p)
{
  if (p->stop.state != EP_STOP_SIGNALLED)
    return;
  p->stop.state = p->stop.hold ? EP_STOP_WAITING : EP_STOP_WRITING;
  if (!p->stop.hold)
    ep_loop_ready(p->loop, &p->stop.task);
}

void ep_proc_stop_close(struct ep_process *p)
{
  struct ep_proc_stop *s = &p->stop;
  if (s->state == EP_STOP_WRITING)
    ep_loop_unwatch(p->loop, &p->in.watch);
  ep_loop_forget(p->loop, &s->task);
  ep_loop_forget(p->loop, &s->late);
  ep_loop_untimer(p->loop, &s->timer);
  ep_free(s->tail);
  s->tail = NULL;
  s->n = s->at = 0;
}
