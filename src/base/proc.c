/* A process as the host sees it: what its keeper says, waiting, signals, closing. */
#include "proc_impl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KEEPER_MS = 2000 }; /* to end on its own; then something has stopped it */

void ep_process_say(struct ep_process *p, enum ep_keeper_word word, int value)
{
  struct ep_keeper_message m = {(int32_t)word, value, 0};
  if (p->line < 0)
    return;
  /* a keeper that is gone is noticed when the line is read */
  while (send(p->line, &m, sizeof m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno == EINTR)
    ;
}

void ep_process_kill(const struct ep_process *p)
{
  if (p->child_fd >= 0)
    (void)syscall(SYS_pidfd_send_signal, p->child_fd, SIGKILL, NULL, 0);
}

/* The keeper is gone and the child was not seen to end. The kernel has sent it
** SIGKILL, as ep_child_run asked for; here the rest of the group gets it, while the
** child holds the group's number: not reaped, says its pidfd. */
static void kill_lost(struct ep_process *p)
{
  p->lost = true;
  if (p->child_fd >= 0 && syscall(SYS_pidfd_send_signal, p->child_fd, 0, NULL, 0) == 0)
    (void)kill(-p->child, SIGKILL);
  ep_process_kill(p);
}

static void hear(struct ep_process *p, const struct ep_keeper_message *m)
{
  if (m->word == EP_KEEPER_SIGNALLED) {
    if (m->value == SIGTERM)
      ep_proc_stop_signalled(p);
  } else if (m->word == EP_KEEPER_EXITED) {
    p->exited = true;
    p->end.signalled = m->value != CLD_EXITED;
    p->end.number = m->detail;
    ep_proc_stop_close(p);
    ep_proc_stderr_ended(p);
  }
}

/* Everything that was said. False when the line is at its end: the keeper is gone. */
static bool hear_all(struct ep_process *p)
{
  for (;;) {
    struct ep_keeper_message m;
    ssize_t n = recv(p->line, &m, sizeof m, MSG_DONTWAIT);
    if (n == sizeof m)
      hear(p, &m);
    else if (n >= 0)
      return false;
    else if (errno == EAGAIN)
      return true;
    else if (errno != EINTR &&
             errno != ECONNRESET) /* a reset comes before what was said */
      return false;
  }
}

static void close_stdin(struct ep_process *p)
{
  ep_proc_stdin_wake(p);
  if (p->in.fd >= 0)
    (void)close(p->in.fd);
  p->in.fd = -1;
}

/* It has exited, or is about to: nobody but this process can reap it. stdin is closed
** last, when what read from it is dead. */
static void bury_keeper(struct ep_process *p)
{
  siginfo_t si;
  ep_loop_unwatch(p->loop, &p->line_watch);
  (void)close(p->line);
  p->line = -1;
  while (waitid(P_PID, (id_t)p->keeper, &si, WEXITED | __WALL) < 0 && errno == EINTR)
    ;
  if (!p->exited)
    kill_lost(p);
  close_stdin(p);
}

static void on_line(struct ep_watch *watch, unsigned events)
{
  struct ep_process *p =
      (struct ep_process *)((char *)watch - offsetof(struct ep_process, line_watch));
  (void)events;
  if (!hear_all(p))
    bury_keeper(p);
}

enum ep_status ep_process_listen(struct ep_process *p, struct ep_err *err)
{
  ep_proc_stderr_start(p);
  return ep_loop_watch(p->loop, &p->line_watch, p->line, EPOLLIN, on_line, err);
}

pid_t ep_process_pid(const struct ep_process *p)
{
  return p->child;
}

struct ep_source *ep_process_take_stdout(struct ep_process *p)
{
  struct ep_source *out = p->out;
  p->out = NULL;
  return out;
}

enum ep_status ep_process_wait(struct ep_process *p, struct ep_process_exit *end,
                               struct ep_err *err)
{
  if (p->lost)
    return ep_fail(err, "process",
                   "the keeper of %s was ended from outside; %s was killed and its exit "
                   "status is lost",
                   p->name, p->name);
  if (p->exited && p->err.drained) {
    *end = p->end;
    return EP_OK;
  }
  if (ep_loop_closed(p->loop))
    return ep_fail(err, "invalid", "the loop of %s was closed", p->name);
  return EP_AGAIN;
}

const char *ep_process_tail(const struct ep_process *p, size_t *n)
{
  *n = p->err.tail_n;
  return p->err.tail;
}

enum ep_status ep_process_signal(struct ep_process *p, int signal, struct ep_err *err)
{
  if (p->exited || p->line < 0)
    return ep_fail(err, "not_found", "%s has ended", p->name);
  ep_process_say(p, EP_KEEPER_SIGNAL, signal);
  return EP_OK;
}

/* Until the keeper has hung up. */
static void await_keeper(struct ep_process *p)
{
  int64_t deadline = ep_now_ms() + KEEPER_MS;
  for (;;) {
    struct pollfd line = {.fd = p->line, .events = POLLIN};
    int64_t left = deadline - ep_now_ms();
    if (left <= 0) {
      (void)kill(p->keeper, SIGKILL); /* not reaped, so the pid is its own */
      return;
    }
    if (poll(&line, 1, (int)left) > 0 && !hear_all(p))
      return;
  }
}

void ep_process_close(struct ep_process *p)
{
  if (p->closed)
    return;
  p->closed = true;
  if (p->line >= 0) {
    if (!p->exited)
      ep_process_kill(p);
    ep_process_say(p, EP_KEEPER_END, 0);
    await_keeper(p);
    bury_keeper(p);
  }
  close_stdin(p);
  ep_proc_stop_close(p);
  ep_proc_stderr_close(p);
  ep_release(p->out);
  p->out = NULL;
  if (p->child_fd >= 0)
    (void)close(p->child_fd);
  p->child_fd = -1;
}

void ep_process_destroy(void *self)
{
  struct ep_process *p = self;
  ep_process_close(p);
  ep_release(p->loop);
}
