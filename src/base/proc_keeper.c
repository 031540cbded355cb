/* The keeper: the child's parent while it lives, and what outlives the host for as long
** as it takes to end the child. Only async-signal-safe calls in here.
**
** It is a subreaper: descendants whose parents have ended become its children. So it
** knows whether anything of the group is left after the child, and a group that one of
** its unreaped children belongs to cannot have its number given to strangers.
*/
#include "proc_keeper.h"

#include "proc_child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct keeper {
  const struct ep_keeper_plan *plan;
  pid_t child; /* and its process group */
  int line, stdin_copy, host, sigchld;
  bool exited;      /* the child has ended and is reaped */
  int64_t deadline; /* when to kill what is left; 0: not now */
};

pid_t ep_keeper_fork(int exit_signal)
{
  return (pid_t)syscall(SYS_clone, (unsigned long)exit_signal, NULL, NULL, NULL, 0UL);
}

static void say(int line, int word, int value, int detail)
{
  struct ep_keeper_message m = {word, value, detail};
  while (send(line, &m, sizeof m, MSG_NOSIGNAL) < 0 && errno == EINTR)
    ;
}

/* Is some child of this process in the group? While one is, it is this group. */
static bool group_left(const struct keeper *k)
{
  siginfo_t si;
  return waitid(P_PGID, (id_t)k->child, &si, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static void signal_group(const struct keeper *k, int sig)
{
  if (group_left(k))
    (void)kill(-k->child, sig);
  else if (!k->exited) /* it moved to another group */
    (void)kill(k->child, sig);
}

/* si_pid is 0 where nothing was there to reap. */
static bool reap(struct keeper *k, idtype_t type, id_t id, int flags, siginfo_t *si)
{
  int r;
  si->si_pid = 0;
  do
    r = waitid(type, id, si, WEXITED | flags);
  while (r < 0 && errno == EINTR);
  if (r == 0 && si->si_pid == k->child && !k->exited) {
    k->exited = true;
    say(k->line, EP_KEEPER_EXITED, si->si_code, si->si_status);
  }
  return r == 0;
}

/* The copy of stdin is closed by the exit, when the group is dead. */
static _Noreturn void kill_and_exit(struct keeper *k)
{
  siginfo_t si;
  signal_group(k, SIGKILL);
  while (reap(k, P_PGID, (id_t)k->child, 0, &si))
    ;
  if (!k->exited)
    (void)reap(k, P_PID, (id_t)k->child, 0, &si);
  _exit(0);
}

static void on_sigchld(struct keeper *k)
{
  struct signalfd_siginfo seen;
  bool before = k->exited;
  siginfo_t si;
  while (read(k->sigchld, &seen, sizeof seen) > 0)
    ;
  while (reap(k, P_ALL, 0, WNOHANG, &si) && si.si_pid != 0)
    ;
  if (!k->exited)
    return;
  if (!group_left(k))
    _exit(0);
  if (!before) {
    if (k->deadline) /* the host is dead: no more time for the rest */
      kill_and_exit(k);
    k->deadline = ep_now_ms() + k->plan->grace_ms;
  }
}

static void on_host_gone(struct keeper *k)
{
  k->line = k->host = -1;
  if (k->exited)
    kill_and_exit(k);
  signal_group(k, SIGTERM);
  k->deadline = ep_now_ms() + k->plan->grace_ms;
}

/* Returns whether the host is still there. */
static bool on_line(struct keeper *k)
{
  for (;;) {
    struct ep_keeper_message m;
    ssize_t n = recv(k->line, &m, sizeof m, MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || errno == ECONNRESET))
      continue; /* after a reset come the messages that were sent before it */
    if (n < 0)
      return errno == EAGAIN;
    if (n != sizeof m)
      return false;
    switch (m.word) {
    case EP_KEEPER_SIGNAL:
      signal_group(k, m.value);
      say(k->line, EP_KEEPER_SIGNALLED, m.value, 0);
      break;
    case EP_KEEPER_CLOSE_STDIN:
      if (k->stdin_copy >= 0)
        (void)close(k->stdin_copy);
      k->stdin_copy = -1;
      break;
    default:
      kill_and_exit(k);
    }
  }
}

static int time_left(const struct keeper *k)
{
  int64_t left;
  if (!k->deadline)
    return -1;
  left = k->deadline - ep_now_ms();
  return left <= 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

static _Noreturn void watch_over(struct keeper *k)
{
  for (;;) {
    struct pollfd p[] = {{.fd = k->line, .events = POLLIN},
                         {.fd = k->host, .events = POLLIN},
                         {.fd = k->sigchld, .events = POLLIN}};
    int n = poll(p, 3, time_left(k));
    if (n < 0 && errno != EINTR)
      kill_and_exit(k);
    if (k->deadline && ep_now_ms() >= k->deadline)
      kill_and_exit(k);
    if (n <= 0)
      continue;
    if (p[2].revents)
      on_sigchld(k);
    /* what the host said before it died counts: it may have meant the end of input */
    if (k->line >= 0 && (p[0].revents || p[1].revents) && (!on_line(k) || p[1].revents))
      on_host_gone(k);
  }
}

static _Noreturn void fail(const struct ep_keeper_plan *plan, enum ep_keeper_step step)
{
  say(plan->line, EP_KEEPER_FAILED, errno, (int)step);
  _exit(1);
}

_Noreturn void ep_keeper_run(const struct ep_keeper_plan *plan)
{
  const int first[] = {plan->line,     plan->host,     plan->stdin_copy,
                       plan->stdio[0], plan->stdio[1], plan->stdio[2]};
  struct keeper k = {plan, 0, plan->line, plan->stdin_copy, plan->host, -1, false, 0};
  struct ep_keeper_message m;
  pid_t self = getpid();
  sigset_t chld;
  siginfo_t si;
  int gate[2];
  ssize_t n;

  (void)setpgid(0, 0); /* out of reach of a terminal's signals */
  (void)prctl(PR_SET_NAME, "epoch-keeper");
  ep_child_default_signals(); /* a host that ignores SIGCHLD would hide exit codes */
  ep_child_keep_only(first, sizeof first / sizeof *first);
  sigemptyset(&chld);
  sigaddset(&chld, SIGCHLD);
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 ||
      (k.sigchld = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK)) < 0 ||
      pipe2(gate, O_CLOEXEC) < 0 || (k.child = ep_keeper_fork(SIGCHLD)) < 0)
    fail(plan, EP_STEP_FORK);
  if (k.child == 0)
    ep_child_run(plan, self, gate[1]);

  (void)close(gate[1]);
  do
    n = read(gate[0], &m, sizeof m);
  while (n < 0 && errno == EINTR);
  if (n == sizeof m) {
    while (waitid(P_PID, (id_t)k.child, &si, WEXITED) < 0 && errno == EINTR)
      ;
    errno = m.value;
    fail(plan, (enum ep_keeper_step)m.detail);
  }
  const int rest[] = {k.line, k.host, k.stdin_copy, k.sigchld};
  ep_child_keep_only(rest, sizeof rest / sizeof *rest);
  say(k.line, EP_KEEPER_STARTED, k.child, 0);
  watch_over(&k);
}
