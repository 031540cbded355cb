/* Descriptors as sources and sinks: pipes, sockets, terminals, and files as they come.
**
** An owned pipe or socket is made non-blocking. A borrowed descriptor is shared with
** others, so its flags are left alone and poll(2) is asked before every call instead; a
** pipe that poll calls writable has room for at least PIPE_BUF bytes.
*/
#include "io.h"
#include "loop.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

struct fd_end {
  int fd;
  bool own, ask;        /* ask: poll before each call */
  bool stream;          /* may answer EPIPE */
  struct ep_loop *loop; /* where `watch` is, retained; NULL: not armed */
  struct ep_watch watch;
};

struct fd_source {
  struct ep_source base;
  struct fd_end end;
};

struct fd_sink {
  struct ep_sink base;
  struct fd_end end;
};

static enum ep_status end_init(struct fd_end *end, int fd, bool own, struct ep_err *err)
{
  struct stat st;
  end->fd = fd;
  end->own = own;
  if (fstat(fd, &st) < 0)
    return ep_fail_errno(err, errno, "descriptor %d", fd);
  end->stream = !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode);
  if (!end->stream)
    return EP_OK;
  if (!own) {
    end->ask = true;
    return EP_OK;
  }
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
    return ep_fail_errno(err, errno, "descriptor %d", fd);
  return EP_OK;
}

static bool would_wait(const struct fd_end *end, short events)
{
  struct pollfd p = {.fd = end->fd, .events = events};
  return end->ask && poll(&p, 1, 0) == 0;
}

static void end_arm(struct fd_end *end, struct ep_loop *loop, struct ep_task *task,
                    unsigned events)
{
  struct ep_loop *before = end->loop;
  if (before)
    ep_loop_unwatch(before, &end->watch);
  end->loop = task ? ep_retain(loop) : NULL;
  ep_release(before);
  if (task)
    ep_loop_watch_task(loop, &end->watch, end->fd, events, task);
}

static void end_close(struct fd_end *end)
{
  end_arm(end, NULL, NULL, 0);
  if (end->own && end->fd >= 0)
    (void)close(end->fd);
  end->fd = -1;
}

static enum ep_status source_read(struct ep_source *s, void *buf, size_t cap, size_t *n,
                                  struct ep_err *err)
{
  struct fd_end *end = &((struct fd_source *)s)->end;
  ssize_t r;
  if (would_wait(end, POLLIN))
    return EP_AGAIN;
  do
    r = read(end->fd, buf, cap);
  while (r < 0 && errno == EINTR);
  if (r > 0) {
    *n = (size_t)r;
    return EP_OK;
  }
  if (r == 0)
    return EP_EOF;
  if (errno == EAGAIN || errno == EWOULDBLOCK)
    return EP_AGAIN;
  return ep_fail_errno(err, errno, "reading descriptor %d", end->fd);
}

static void source_arm(struct ep_source *s, struct ep_loop *loop, struct ep_task *task)
{
  end_arm(&((struct fd_source *)s)->end, loop, task, EPOLLIN);
}

static void source_close(struct ep_source *s)
{
  end_close(&((struct fd_source *)s)->end);
}

static const struct ep_source_type fd_source_type = {
    .name = "descriptor",
    .read = source_read,
    .arm = source_arm,
    .close = source_close,
};

struct ep_source *ep_source_fd(struct ep_host *host, int fd, bool own, struct ep_err *err)
{
  struct fd_source *s = ep_source_new(host, &fd_source_type, sizeof *s);
  if (!s) {
    (void)ep_fail_memory(err);
    if (own)
      (void)close(fd);
    return NULL;
  }
  if (end_init(&s->end, fd, own, err) != EP_OK) {
    ep_release(s);
    return NULL;
  }
  return &s->base;
}

static enum ep_status sink_write(struct ep_sink *s, const struct ep_span *span,
                                 size_t *taken, struct ep_err *err)
{
  struct fd_end *end = &((struct fd_sink *)s)->end;
  size_t n = span->n;
  struct ep_sigpipe guard;
  ssize_t w;
  int en;
  if (would_wait(end, POLLOUT))
    return EP_AGAIN;
  if (end->ask && n > PIPE_BUF)
    n = PIPE_BUF; /* poll promised no more */
  if (end->stream)
    ep_sigpipe_enter(&guard);
  do
    w = write(end->fd, span->p, n);
  while (w < 0 && errno == EINTR);
  en = errno;
  if (end->stream)
    ep_sigpipe_leave(&guard);
  if (w > 0) {
    *taken = (size_t)w;
    return EP_OK;
  }
  if (w == 0 || en == EAGAIN || en == EWOULDBLOCK)
    return EP_AGAIN;
  return ep_fail_errno(err, en, "writing to descriptor %d", end->fd);
}

static enum ep_status sink_finish(struct ep_sink *s, struct ep_err *err)
{
  struct fd_end *end = &((struct fd_sink *)s)->end;
  int fd = end->fd;
  if (!end->own || fd < 0)
    return EP_OK;
  end_arm(end, NULL, NULL, 0);
  end->fd = -1;
  /* a close that fails has closed all the same, but may tell of a write that was lost */
  if (close(fd) < 0 && errno != EINTR)
    return ep_fail_errno(err, errno, "closing descriptor %d", fd);
  return EP_OK;
}

static void sink_arm(struct ep_sink *s, struct ep_loop *loop, struct ep_task *task)
{
  end_arm(&((struct fd_sink *)s)->end, loop, task, EPOLLOUT);
}

static void sink_close(struct ep_sink *s)
{
  end_close(&((struct fd_sink *)s)->end);
}

static const struct ep_sink_type fd_sink_type = {
    .name = "descriptor",
    .write = sink_write,
    .finish = sink_finish,
    .arm = sink_arm,
    .close = sink_close,
};

struct ep_sink *ep_sink_fd(struct ep_host *host, int fd, bool own, struct ep_err *err)
{
  struct fd_sink *s = ep_sink_new(host, &fd_sink_type, sizeof *s, 0);
  if (!s) {
    (void)ep_fail_memory(err);
    if (own)
      (void)close(fd);
    return NULL;
  }
  if (end_init(&s->end, fd, own, err) != EP_OK) {
    ep_release(s);
    return NULL;
  }
  return &s->base;
}
