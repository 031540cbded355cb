/* The birth of a child: pipes, the keeper, and its first word. */
#include "proc_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIPE_SIZE = 1024 * 1024 };

/* Descriptors on their way to the child (theirs) or into the process (ours). */
struct ends {
  int ours[3], theirs[3];
  bool borrowed[3]; /* theirs is this process's own and stays open */
  int line, keeper_line, host;
};

static int pidfd_of(pid_t pid)
{
  return (int)syscall(SYS_pidfd_open, pid, 0);
}

static void close_fd(int *fd)
{
  if (*fd >= 0)
    (void)close(*fd);
  *fd = -1;
}

static void ends_init(struct ends *e)
{
  int i;
  for (i = 0; i < 3; i++) {
    e->ours[i] = e->theirs[i] = -1;
    e->borrowed[i] = false;
  }
  e->line = e->keeper_line = e->host = -1;
}

/* What only the child and the keeper need. */
static void close_theirs(struct ends *e)
{
  int i;
  for (i = 0; i < 3; i++)
    if (!e->borrowed[i])
      close_fd(&e->theirs[i]);
  close_fd(&e->keeper_line);
  close_fd(&e->host);
}

static void ends_close(struct ends *e)
{
  int i;
  close_theirs(e);
  for (i = 0; i < 3; i++)
    close_fd(&e->ours[i]);
  close_fd(&e->line);
}

static bool open_stdio(struct ends *e, int i, enum ep_stdio how)
{
  int fds[2];
  /* a host may run with its own stdin closed: then there is nothing to inherit */
  if (how == EP_STDIO_INHERIT && fcntl(i, F_GETFD) >= 0) {
    e->theirs[i] = i;
    e->borrowed[i] = true;
    return true;
  }
  if (how != EP_STDIO_PIPE) {
    e->theirs[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
    return e->theirs[i] >= 0;
  }
  if (pipe2(fds, O_CLOEXEC) < 0)
    return false;
  e->theirs[i] = fds[i != 0];
  e->ours[i] = fds[i == 0];
  if (i <
      2) /* fewer turns for bulk; refused where the user's share of pipes is used up */
    (void)fcntl(fds[0], F_SETPIPE_SZ, (int)PIPE_SIZE);
  return true;
}

static enum ep_status open_all(struct ends *e, const struct ep_process_spec *spec,
                               const char *name, struct ep_err *err)
{
  int line[2];
  if (!open_stdio(e, 0, spec->in) || !open_stdio(e, 1, spec->out) ||
      !open_stdio(e, 2, spec->err) ||
      socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, line) < 0)
    return ep_fail_errno(err, errno, "making pipes for %s", name);
  e->line = line[0];
  e->keeper_line = line[1];
  e->host = pidfd_of(getpid()); /* none on an old kernel: then the line must do */
  return EP_OK;
}

/* Signals are blocked over the fork, so that no handler of the host runs in the keeper.
 */
static pid_t fork_keeper(const struct ep_keeper_plan *plan)
{
  sigset_t all, before;
  pid_t pid;
  int en;
  sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &before);
  pid = ep_keeper_fork(0);
  if (pid == 0)
    ep_keeper_run(plan);
  en = errno;
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  errno = en;
  return pid;
}

static enum ep_status explain(const struct ep_keeper_message *m,
                              const struct ep_process_spec *spec, const char *name,
                              struct ep_err *err)
{
  switch (m->detail) {
  case EP_STEP_CWD:
    return ep_fail_errno(err, m->value, "starting %s in the directory %.200s", name,
                         spec->cwd);
  case EP_STEP_EXEC:
    return ep_fail_errno(err, m->value, "executing %s%s", name,
                         m->value == ENOENT && access(spec->argv[0], F_OK) == 0
                             ? ", whose interpreter is missing"
                             : "");
  default:
    return ep_fail_errno(err, m->value, "starting %s", name);
  }
}

static enum ep_status first_word(struct ep_process *p, const struct ep_process_spec *spec,
                                 struct ep_err *err)
{
  struct ep_keeper_message m;
  ssize_t n;
  do
    n = recv(p->line, &m, sizeof m, 0);
  while (n < 0 && errno == EINTR);
  if (n != sizeof m)
    return ep_fail(err, "process", "starting %s: its keeper was ended from outside",
                   p->name);
  if (m.word != EP_KEEPER_STARTED)
    return explain(&m, spec, p->name, err);
  p->child = m.value;
  p->child_fd = pidfd_of(p->child);
  return EP_OK;
}

/* What the process takes over, one by one: from then on its close is responsible. */
static enum ep_status adopt(struct ep_process *p, struct ends *e, int pass_fd,
                            struct ep_err *err)
{
  int fd;
  if (e->ours[0] >= 0) {
    int flags = fcntl(e->ours[0], F_GETFL);
    if (flags < 0 || fcntl(e->ours[0], F_SETFL, flags | O_NONBLOCK) < 0)
      return ep_fail_errno(err, errno, "making pipes for %s", p->name);
    p->in.fd = e->ours[0];
    p->in.offered = true;
    e->ours[0] = -1;
  }
  if (e->ours[1] >= 0) {
    fd = e->ours[1];
    e->ours[1] = -1;
    p->out = ep_source_fd(p->obj.host, fd, true, err);
    if (!p->out)
      return EP_ERR;
  }
  if (e->ours[2] >= 0) {
    fd = e->ours[2];
    e->ours[2] = -1;
    return ep_proc_stderr_init(p, fd, pass_fd, err);
  }
  return EP_OK;
}

static enum ep_status start(struct ep_process *p, struct ends *e,
                            const struct ep_process_spec *spec, struct ep_err *err)
{
  struct ep_keeper_plan plan = {.argv = spec->argv,
                                .env = spec->env ? spec->env : environ,
                                .cwd = spec->cwd,
                                .grace_ms = spec->grace_ms};
  if (open_all(e, spec, p->name, err) != EP_OK ||
      adopt(p, e, spec->pass_fd, err) != EP_OK)
    return EP_ERR;
  memcpy(plan.stdio, e->theirs, sizeof plan.stdio);
  plan.line = e->keeper_line;
  plan.stdin_copy = p->in.fd;
  plan.host = e->host;
  p->keeper = fork_keeper(&plan);
  if (p->keeper < 0)
    return ep_fail_errno(err, errno, "starting %s", p->name);
  p->line = e->line;
  e->line = -1;
  close_theirs(e);
  if (first_word(p, spec, err) != EP_OK)
    return EP_ERR;
  return ep_process_listen(p, err);
}

struct ep_process *ep_process_spawn(struct ep_loop *loop,
                                    const struct ep_process_spec *spec,
                                    struct ep_err *err)
{
  struct ep_process *p =
      ep_obj_new(ep_loop_host(loop), EP_KIND_PROCESS, sizeof *p, ep_process_destroy);
  struct ends ends;
  enum ep_status st;
  if (!p) {
    (void)ep_fail_memory(err);
    return NULL;
  }
  p->loop = ep_retain(loop);
  p->child_fd = p->line = p->in.fd = p->err.from = p->err.to_fd = -1;
  ep_proc_stop_init(p);
  p->grace_ms = spec->grace_ms;
  (void)snprintf(p->name, sizeof p->name, "%s", spec->argv[0]);
  ends_init(&ends);
  st = start(p, &ends, spec, err);
  ends_close(&ends);
  if (st == EP_OK)
    return p;
  ep_release(p);
  return NULL;
}
