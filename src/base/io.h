/* Where bytes come from and where they go.
**
** A source is read until EP_EOF. A sink is written to, then either finished or closed, and
** these are two different calls: `finish` flushes, verifies and makes the result count;
** `close` abandons it, as does releasing the last reference without a `finish`.
**
** Neither ever waits. What cannot go on answers EP_AGAIN; the caller then arms it with a
** task and returns; the task runs (see loop.h) when trying again makes sense. A type
** without `arm` never answers EP_AGAIN. Arming with a NULL task disarms; only one task is
** armed at a time; every arm is for one wake-up, and wake-ups may be spurious. Who arms a
** type other than a lane may forget about it: what is armed keeps the loop.
**
** All calls come from one thread at a time. A sink whose flag says EP_SINK_WORK and which
** has no `arm` may be moved to a pool thread as a whole (lane.h), so such types must not
** touch a loop.
*/
#ifndef EP_IO_H
#define EP_IO_H

#include "ep.h"

#pragma GCC visibility push(hidden)

struct ep_loop;
struct ep_task;

/* Shared bytes: filled once by whoever made it, read-only from then on. */
struct ep_block {
  struct ep_obj obj;
  size_t cap;
  unsigned char data[];
};
struct ep_block *ep_block_new(struct ep_host *host, size_t cap) EP_MUST;

/* A part of a file that has data. */
struct ep_extent {
  int64_t offset, length;
};

/* Bytes on their way. With a block, who wants to keep them retains the block; without one
** (NULL) they are borrowed until the call returns.
*/
struct ep_span {
  const unsigned char *p;
  size_t n;
  struct ep_block *block;
};

enum ep_io_state {
  EP_IO_OPEN,
  EP_IO_ENDED,  /* a source gave EP_EOF, a sink was finished */
  EP_IO_FAILED, /* answered EP_ERR: only close is left, or a source's rewind */
  EP_IO_CLOSED
};

struct ep_source {
  struct ep_obj obj;
  const struct ep_source_type *type;
  enum ep_io_state state;
  bool adopted; /* somebody reads it: hands off */
};

/* What a type does. Called through the functions below only, which keep the state: a type's
** read is never called after EP_EOF or EP_ERR (unless rewound), nothing after close, and
** close exactly once. */
struct ep_source_type {
  const char *name;
  /* EP_OK with 0 < *n <= cap, EP_EOF, EP_AGAIN or EP_ERR. */
  enum ep_status (*read)(struct ep_source *s, void *buf, size_t cap, size_t *n,
                         struct ep_err *err);
  /* Optional. As read, but gives bytes in a block, whose reference is the caller's then: for
  ** sources that have them in blocks, from where they need not be copied. */
  enum ep_status (*take)(struct ep_source *s, struct ep_span *span, struct ep_err *err);
  void (*arm)(struct ep_source *s, struct ep_loop *loop, struct ep_task *task);
  /* Optional. Back to the first byte, for a body that must be sent again. */
  enum ep_status (*rewind)(struct ep_source *s, struct ep_err *err);
  /* Optional. Bytes from the first to the last, or -1 when not known. */
  int64_t (*total)(const struct ep_source *s);
  /* Optional, with a total: `n` bytes from `offset` of it on, a range that is there, as a
  ** source of its own. NULL with `err` set. */
  struct ep_source *(*slice)(const struct ep_source *s, int64_t offset, int64_t n,
                             struct ep_err *err);
  /* Releases what the source holds. */
  void (*close)(struct ep_source *s);
};

enum { EP_SINK_WORK = 1 }; /* burns CPU or waits for a disk: worth a pool thread */

struct ep_sink {
  struct ep_obj obj;
  const struct ep_sink_type *type;
  enum ep_io_state state;
  bool adopted; /* somebody writes to it: hands off */
  unsigned flags;
};

struct ep_sink_type {
  const char *name;
  /* EP_OK with 0 < *taken <= span->n (span->n is never 0), EP_AGAIN or EP_ERR. */
  enum ep_status (*write)(struct ep_sink *s, const struct ep_span *span, size_t *taken,
                          struct ep_err *err);
  /* EP_OK once everything is where it belongs; EP_AGAIN to be called again; EP_ERR. */
  enum ep_status (*finish)(struct ep_sink *s, struct ep_err *err);
  void (*arm)(struct ep_sink *s, struct ep_loop *loop, struct ep_task *task);
  /* Abandons what is not finished, releases what the sink holds. */
  void (*close)(struct ep_sink *s);
};

/* `size` is that of the structure that begins with the source or sink. The destroy that
** they set closes it; a type that needs its own calls ep_source_close or ep_sink_close
** there first. */
void *ep_source_new(struct ep_host *host, const struct ep_source_type *type,
                    size_t size) EP_MUST;
void *ep_sink_new(struct ep_host *host, const struct ep_sink_type *type, size_t size,
                  unsigned flags) EP_MUST;

enum ep_status ep_source_read(struct ep_source *s, void *buf, size_t cap, size_t *n,
                              struct ep_err *err) EP_MUST;
/* Only for types that have it. */
enum ep_status ep_source_take(struct ep_source *s, struct ep_span *span,
                              struct ep_err *err) EP_MUST;
void ep_source_close(struct ep_source *s); /* idempotent */

enum ep_status ep_sink_write(struct ep_sink *s, const struct ep_span *span, size_t *taken,
                             struct ep_err *err) EP_MUST;
enum ep_status ep_sink_finish(struct ep_sink *s, struct ep_err *err) EP_MUST;
void ep_sink_close(struct ep_sink *s); /* idempotent */

/* Taking over: who reads or writes from now on adopts (a reference, and a mark that keeps
** others away) and in the end drops (closes, and lets go). Returns its argument. */
struct ep_source *ep_source_adopt(struct ep_source *s);
void ep_source_drop(struct ep_source *s); /* NULL is fine */
struct ep_sink *ep_sink_adopt(struct ep_sink *s);
void ep_sink_drop(struct ep_sink *s); /* NULL is fine */

static inline int64_t ep_source_total(const struct ep_source *s)
{
  return s->type->total ? s->type->total(s) : -1;
}
/* Fails with code "unsupported" where the type cannot rewind. */
enum ep_status ep_source_rewind(struct ep_source *s, struct ep_err *err) EP_MUST;
/* A part of what a source has, wherever it is being read; it stays good when that is closed.
** Fails with "unsupported" where the type has no order but its own. */
struct ep_source *ep_source_slice(const struct ep_source *s, int64_t offset, int64_t n,
                                  struct ep_err *err) EP_MUST;
void ep_source_arm(struct ep_source *s, struct ep_loop *loop, struct ep_task *task);
void ep_sink_arm(struct ep_sink *s, struct ep_loop *loop, struct ep_task *task);

/* ---- bytes in memory (io_mem.c) ---- */

/* Copies the bytes; rewindable. */
struct ep_source *ep_source_bytes(struct ep_host *host, const void *p, size_t n) EP_MUST;
/* Keeps up to `max` bytes, one more fails with "too_large". */
struct ep_sink *ep_sink_collect(struct ep_host *host, size_t max) EP_MUST;
const unsigned char *ep_sink_collected(const struct ep_sink *s, size_t *n);
/* Takes everything, keeps nothing. */
struct ep_sink *ep_sink_null(struct ep_host *host) EP_MUST;

/* ---- descriptors: pipes, sockets, terminals, files as they come (io_fd.c) ---- */

/* With `own` the descriptor is closed with the source, also when making it fails. Pipes
** and sockets that are owned are set non-blocking; a borrowed one is left as it is and is
** only read or written when poll(2) says that it will not wait. */
struct ep_source *ep_source_fd(struct ep_host *host, int fd, bool own,
                               struct ep_err *err) EP_MUST;
struct ep_sink *ep_sink_fd(struct ep_host *host, int fd, bool own,
                           struct ep_err *err) EP_MUST;

/* ---- SIGPIPE (sigpipe.c) ---- */

/* Around calls that may write to a pipe or socket: they answer EPIPE and never raise
** SIGPIPE, whatever its disposition. Both in the same thread. errno survives. */
struct ep_sigpipe {
  bool blocked, pending;
  unsigned char saved[128]; /* a sigset_t */
};
void ep_sigpipe_enter(struct ep_sigpipe *guard);
void ep_sigpipe_leave(struct ep_sigpipe *guard);

#pragma GCC visibility pop
#endif
