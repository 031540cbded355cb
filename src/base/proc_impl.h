/* A process's inside, shared by the files that each do one thing with it: proc_spawn.c
** (birth), proc.c (what the keeper says, waiting, closing), proc_stdin.c,
** proc_stderr.c and proc_stop.c (the ways of ending it). */
#ifndef EP_PROC_IMPL_H
#define EP_PROC_IMPL_H

#include "loop.h"
#include "proc.h"
#include "proc_keeper.h"

#pragma GCC visibility push(hidden)

enum { EP_PROC_NAME_MAX = 128 };

/* stderr, read in the loop: kept as a tail and passed on, never waiting for either side.
 */
struct ep_proc_stderr {
  int from; /* -1: no pipe, or at its end */
  struct ep_watch from_watch;
  struct ep_sink *to; /* NULL: swallowed */
  int to_fd;          /* a copy of the caller's descriptor, or -1 */
  struct ep_task task;
  struct ep_timer
      timer; /* the child has ended: no longer than this for the reader of `to` */
  struct ep_task late;
  bool ended, drained;
  int64_t left; /* ended: how much was in the pipe then and is still to be read */
  size_t at, n; /* of chunk: still to be passed on */
  unsigned char chunk[4096];
  size_t tail_n;
  char tail[EP_PROC_TAIL_MAX];
};

/* The write end of the child's stdin: the sink's and, at the end, the stop's. */
struct ep_proc_stdin {
  int fd;       /* -1: no pipe, or closed */
  bool offered; /* a pipe whose sink nobody took yet */
  struct ep_watch watch;
};

enum ep_proc_stopping {
  EP_STOP_NOT,
  EP_STOP_SIGNALLED, /* asked for SIGTERM, waiting for the answer that it was sent */
  EP_STOP_WRITING,   /* the tail goes to stdin */
  EP_STOP_WAITING    /* nothing left to do before the grace is over */
};

struct ep_proc_stop {
  enum ep_proc_stopping state;
  bool hold;
  unsigned char *tail;
  size_t at, n;
  struct ep_timer timer;
  struct ep_task task, late;
};

struct ep_process {
  struct ep_obj obj;
  struct ep_loop *loop; /* retained */
  pid_t keeper, child;
  int child_fd; /* a pidfd of the child; -1 when there is none */
  int line;     /* to the keeper; -1 once it is gone and reaped */
  struct ep_watch line_watch;
  bool exited, lost, closed;  /* lost: the keeper went without a status */
  struct ep_process_exit end; /* when exited */
  int64_t grace_ms;
  struct ep_proc_stdin in;
  struct ep_source *out;
  struct ep_proc_stderr err;
  struct ep_proc_stop stop;
  char name[EP_PROC_NAME_MAX]; /* for messages */
};

void ep_process_destroy(void *self);
/* From now on hears what the keeper says. */
enum ep_status ep_process_listen(struct ep_process *p, struct ep_err *err) EP_MUST;
void ep_process_say(struct ep_process *p, enum ep_keeper_word word, int value);
/* SIGKILL to the child itself, which works without the keeper too. */
void ep_process_kill(const struct ep_process *p);

/* proc_stdin.c */
enum ep_status ep_proc_stdin_write(struct ep_process *p, const void *bytes, size_t n,
                                   size_t *taken, struct ep_err *err) EP_MUST;
/* Tells whoever waits for room that there will be none. */
void ep_proc_stdin_wake(struct ep_process *p);
/* Closes both copies, this one and the keeper's: the end of input for the child. */
void ep_proc_stdin_end(struct ep_process *p);

/* proc_stderr.c. `from` moves. */
enum ep_status ep_proc_stderr_init(struct ep_process *p, int from, int pass_fd,
                                   struct ep_err *err) EP_MUST;
void ep_proc_stderr_start(struct ep_process *p);
void ep_proc_stderr_ended(struct ep_process *p);
void ep_proc_stderr_close(struct ep_process *p);

/* proc_stop.c */
void ep_proc_stop_init(struct ep_process *p);
void ep_proc_stop_signalled(struct ep_process *p);
void ep_proc_stop_close(struct ep_process *p);

#pragma GCC visibility pop
#endif
