/* What the host and the keeper of a child say to each other, over a socket that keeps
** messages apart. */
#ifndef EP_PROC_KEEPER_H
#define EP_PROC_KEEPER_H

#include "ep.h"

#include <sys/types.h>

#pragma GCC visibility push(hidden)

enum ep_keeper_word {
  /* from the keeper */
  EP_KEEPER_STARTED,   /* value: the child's pid. The first word, or… */
  EP_KEEPER_FAILED,    /* value: errno, detail: enum ep_keeper_step; the keeper ends */
  EP_KEEPER_SIGNALLED, /* the answer to EP_KEEPER_SIGNAL */
  EP_KEEPER_EXITED,    /* value: si_code, detail: si_status of the child */
  /* from the host */
  EP_KEEPER_SIGNAL,      /* value: the signal, for the child's group */
  EP_KEEPER_CLOSE_STDIN, /* the end of input is meant: close your copy too */
  EP_KEEPER_END          /* SIGKILL to the group, then reap and exit */
};

struct ep_keeper_message {
  int32_t word, value, detail;
};

/* Where starting the child failed. */
enum ep_keeper_step { EP_STEP_FORK, EP_STEP_STDIO, EP_STEP_CWD, EP_STEP_EXEC };

/* All that the keeper needs, made before it is: it may not allocate. */
struct ep_keeper_plan {
  char *const *argv;
  char *const *env;
  const char *cwd;
  int stdio[3];   /* what becomes the child's 0, 1, 2 */
  int line;       /* the keeper's end of the socket */
  int stdin_copy; /* write end of the child's stdin, or -1 */
  int host;       /* a pidfd of the host, or -1 */
  int64_t grace_ms;
};

/* A fork that runs no atfork handlers. With signal 0 the child is invisible to wait calls
** without __WALL, and its end neither raises SIGCHLD nor is swallowed by an ignored one.
*/
pid_t ep_keeper_fork(int exit_signal);

/* The keeper's life. Only async-signal-safe calls: the host may have other threads, whose
** locks are never released in here. All signals must be blocked. */
_Noreturn void ep_keeper_run(const struct ep_keeper_plan *plan);

#pragma GCC visibility pop
#endif
