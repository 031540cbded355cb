/* Child processes: started, fed, read, waited for, and ended in a way that the child
** cannot take for a clean end of its input.
**
** Between this process and the child stands a keeper, a small fork of this process. It is
** the child's parent, so the exit status arrives whatever the host does with SIGCHLD. It
** holds a copy of the write end of the child's stdin, so the child sees no end of input
** before somebody said that this is one; if the host dies, the keeper ends the child's
** process group while that copy is still open.
*/
#ifndef EP_PROC_H
#define EP_PROC_H

#include "io.h"

#include <sys/types.h>

#pragma GCC visibility push(hidden)

enum { EP_PROC_TAIL_MAX = 8192, EP_PROC_LAST_WORDS_MAX = 64 * 1024 };

enum ep_stdio {
  EP_STDIO_NULL,    /* /dev/null */
  EP_STDIO_INHERIT, /* what this process has there */
  EP_STDIO_PIPE
};

struct ep_process_spec {
  char *const *argv; /* NULL at the end; argv[0] is the absolute path of the program */
  char *const *env;  /* NULL: this process's own */
  const char *cwd;   /* NULL: this process's own */
  enum ep_stdio in, out, err;
  int pass_fd;      /* with err EP_STDIO_PIPE: passed on to this descriptor, or -1 */
  int64_t grace_ms; /* how long what is left of the child's group may live after the child
                       has ended, and the whole group after the host has died */
};

struct ep_process;

/* Fails when the program cannot be executed. Waits for the fork and the exec only. */
struct ep_process *ep_process_spawn(struct ep_loop *loop,
                                    const struct ep_process_spec *spec,
                                    struct ep_err *err) EP_MUST;

pid_t ep_process_pid(const struct ep_process *p);

/* The write end of the child's stdin, an owned reference; *sink is NULL when stdin is
** no pipe or was taken before. Its `finish` gives the child a clean end of input; its
** `close` does not: the pipe stays open until the child has ended. */
enum ep_status ep_process_take_stdin(struct ep_process *p, struct ep_sink **sink,
                                     struct ep_err *err) EP_MUST;
/* The read end of the child's stdout, or NULL, the same way. Lives on without the
** process. */
struct ep_source *ep_process_take_stdout(struct ep_process *p) EP_MUST;

struct ep_process_exit {
  bool signalled;
  int number; /* the signal or the exit code */
};

/* EP_AGAIN until the child has ended and what it wrote to stderr has been read; then
** EP_OK as often as asked. EP_ERR with code "process" when the status is lost. */
enum ep_status ep_process_wait(struct ep_process *p, struct ep_process_exit *end,
                               struct ep_err *err) EP_MUST;
/* The last bytes that came from stderr. */
const char *ep_process_tail(const struct ep_process *p, size_t *n);

/* To the child's process group. Fails with "not_found" when the child has ended. */
enum ep_status ep_process_signal(struct ep_process *p, int signal,
                                 struct ep_err *err) EP_MUST;

struct ep_process_stop {
  const char *tail; /* last bytes for stdin; copied, at most EP_PROC_LAST_WORDS_MAX */
  size_t n;
  bool hold;        /* keep stdin open until the child is dead */
  int64_t grace_ms; /* from SIGTERM to SIGKILL */
};

/* Ends the child: SIGTERM to the group; then, unless `hold`, the tail and the end of
** stdin; SIGKILL to the group, stdin still open if `hold`, when the grace is over.
** Idempotent, and nothing to do when the child has ended. ep_process_wait tells the
** result. */
enum ep_status ep_process_stop(struct ep_process *p, const struct ep_process_stop *how,
                               struct ep_err *err) EP_MUST;

/* Kills what still runs, with stdin open, and reaps it; releases everything. Idempotent.
** Waits for as long as the kernel needs to kill. */
void ep_process_close(struct ep_process *p);

#pragma GCC visibility pop
#endif
