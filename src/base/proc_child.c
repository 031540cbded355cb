/* From the fork in the keeper to the exec. Only async-signal-safe calls in here. */
#include "proc_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

void ep_child_default_signals(void)
{
  /* The kernel's own structure, all zero: SIG_DFL, no flags, empty mask. sigaction()
  ** would refuse the two signals below SIGRTMIN, which an odd parent may have left
  ** ignored. */
  static const unsigned long dfl[16] = {0};
  int sig;
  for (sig = 1; sig < NSIG; sig++)
    (void)syscall(SYS_rt_sigaction, sig, dfl, NULL, (size_t)NSIG / 8);
}

static void close_from_to(unsigned first, unsigned last)
{
  struct rlimit limit;
  unsigned fd;
#ifdef SYS_close_range
  if (syscall(SYS_close_range, first, last, 0) == 0)
    return;
#endif
  /* an old kernel, or a filter that does not know the call */
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > 1 << 20)
    limit.rlim_cur = 1 << 20;
  for (fd = first; fd <= last && fd < limit.rlim_cur; fd++)
    (void)close((int)fd);
}

void ep_child_keep_only(const int *fds, size_t n)
{
  int sorted[8];
  size_t have = 0, i;
  unsigned from = 0;
  for (i = 0; i < n; i++) {
    size_t at = have;
    if (fds[i] < 0)
      continue;
    for (; at > 0 && sorted[at - 1] > fds[i]; at--)
      sorted[at] = sorted[at - 1];
    sorted[at] = fds[i];
    have++;
  }
  for (i = 0; i < have; i++) {
    unsigned fd = (unsigned)sorted[i];
    if (fd > from)
      close_from_to(from, fd - 1);
    from = fd + 1;
  }
  close_from_to(from, ~0U);
}

static _Noreturn void give_up(int gate, enum ep_keeper_step step)
{
  struct ep_keeper_message m = {EP_KEEPER_FAILED, errno, (int32_t)step};
  while (write(gate, &m, sizeof m) < 0 && errno == EINTR)
    ;
  _exit(127);
}

_Noreturn void ep_child_run(const struct ep_keeper_plan *plan, pid_t keeper, int gate)
{
  int high[3], i;
  sigset_t none;

  /* Out of the way of 0, 1, 2, where they may be if the host had closed its own. Copies
  ** that stay above 2 are closed by the exec. */
  int high_gate = fcntl(gate, F_DUPFD_CLOEXEC, 3);
  if (high_gate < 0)
    give_up(gate, EP_STEP_STDIO);
  gate = high_gate;
  for (i = 0; i < 3; i++) {
    high[i] = fcntl(plan->stdio[i], F_DUPFD_CLOEXEC, 3);
    if (high[i] < 0)
      give_up(gate, EP_STEP_STDIO);
  }
  for (i = 0; i < 3; i++)
    if (dup2(high[i], i) < 0)
      give_up(gate, EP_STEP_STDIO);

  if (setpgid(0, 0) < 0)
    give_up(gate, EP_STEP_FORK);
  /* nobody would be left to end it when the keeper is killed */
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != keeper)
    give_up(gate, EP_STEP_FORK);
  if (plan->cwd && chdir(plan->cwd) < 0)
    give_up(gate, EP_STEP_CWD);
  sigemptyset(&none);
  if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
    give_up(gate, EP_STEP_FORK);
  (void)execve(plan->argv[0], plan->argv, plan->env);
  give_up(gate, EP_STEP_EXEC);
}
