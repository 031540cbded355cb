/* Processes in a host that reaps whatever it can, as nginx does in its SIGCHLD handler, and
** from several threads at once. */
#include "../../src/base/loop.h"
#include "../../src/base/proc.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __has_feature /* clang's way of saying it */
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif

enum { THREADS = 4, ROUNDS = 25 };

static atomic_int reaped, handled;

static void check(bool good, const char *what)
{
  if (good)
    return;
  printf("not ok - %s\n", what);
  exit(1);
}

static void reap_all(int sig)
{
  int en = errno;
  int status;
  (void)sig;
  atomic_fetch_add(&handled, 1);
  while (waitpid(-1, &status, WNOHANG) > 0)
    atomic_fetch_add(&reaped, 1);
  errno = en;
}

static struct ep_process *spawn(struct ep_loop *loop, const char *script)
{
  char sh[] = "/bin/sh", c[] = "-c";
  char *argv[] = {sh, c, strdup(script), NULL};
  struct ep_process_spec spec = {.argv = argv,
                                 .in = EP_STDIO_PIPE,
                                 .err = EP_STDIO_PIPE,
                                 .pass_fd = -1,
                                 .grace_ms = 500};
  struct ep_err err;
  struct ep_process *p = ep_process_spawn(loop, &spec, &err);
  free(argv[2]);
  if (!p)
    puts(err.text);
  check(p != NULL, "a process starts");
  return p;
}

static struct ep_process_exit await(struct ep_loop *loop, struct ep_process *p)
{
  struct ep_process_exit end;
  struct ep_err err;
  enum ep_status st;
  while ((st = ep_process_wait(p, &end, &err)) == EP_AGAIN)
    check(ep_loop_poll(loop, 10000, &err) == EP_OK, "the loop works");
  check(st == EP_OK, "the exit status arrives");
  return end;
}

/* One that exits, one that is stopped, one that is abandoned. */
static void *work(void *arg)
{
  struct ep_host *host = ep_host_new();
  struct ep_err err;
  struct ep_loop *loop = host ? ep_loop_new(host, 0, &err) : NULL;
  int i;
  (void)arg;
  check(loop != NULL, "a loop");
  for (i = 0; i < ROUNDS; i++) {
    struct ep_process_stop how = {.hold = true, .grace_ms = 5000};
    struct ep_process_exit end;
    struct ep_process *exits = spawn(loop, "echo bye >&2; exit 7");
    struct ep_process *stopped = spawn(loop, "exec cat");
    struct ep_process *abandoned = spawn(loop, "exec cat");
    const char *tail;
    size_t n;
    end = await(loop, exits);
    check(!end.signalled && end.number == 7, "the exit code is the child's");
    tail = ep_process_tail(exits, &n);
    check(n == 4 && memcmp(tail, "bye\n", 4) == 0, "the tail of stderr is kept");
    check(ep_process_stop(stopped, &how, &err) == EP_OK, "a process is stopped");
    end = await(loop, stopped);
    check(end.signalled && end.number == SIGTERM,
          "the signal is the one it was stopped by");
    ep_release(abandoned);
    ep_release(stopped);
    ep_release(exits);
  }
  ep_release(loop);
  for (i = 0; i < EP_KINDS; i++)
    check(atomic_load(&host->live[i]) == 0, "nothing is left alive");
  ep_host_release(host);
  return NULL;
}

int main(void)
{
  struct sigaction reaper = {.sa_handler = reap_all, .sa_flags = SA_RESTART};
  pthread_t threads[THREADS];
  siginfo_t si;
  pid_t pid;
  int i;
#ifdef __SANITIZE_THREAD__
  /* The keeper is a raw clone: its copy of ThreadSanitizer's state may have locks that
  ** nobody will release. */
  puts("skipped - processes under ThreadSanitizer");
  return 0;
#endif
  check(sigaction(SIGCHLD, &reaper, NULL) == 0, "a handler of SIGCHLD");
  pid = fork();
  if (pid == 0)
    _exit(0);
  while (atomic_load(&reaped) == 0)
    usleep(1000); /* the handler does reap */
  atomic_store(&handled, 0);
  for (i = 0; i < THREADS; i++)
    check(pthread_create(&threads[i], NULL, work, NULL) == 0, "a thread starts");
  for (i = 0; i < THREADS; i++)
    check(pthread_join(threads[i], NULL) == 0, "a thread ends");
  check(atomic_load(&reaped) == 1, "the host got none of our children");
  check(atomic_load(&handled) == 0, "the host heard of none of our children");
  check(waitid(P_ALL, 0, &si, WEXITED | WNOHANG | __WALL) < 0 && errno == ECHILD,
        "no child is left");
  puts("ok - processes in a host that reaps all children, from several threads");
  return 0;
}
