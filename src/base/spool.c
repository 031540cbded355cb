/* Bytes kept until they have been sent, as often as that takes: a few in memory, many in a
** file that has no name and therefore leaves nothing behind. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct ep_spool {
  struct ep_obj obj;
  char *dir;
  size_t memory; /* what may stay in memory */
  int64_t limit, size;
  unsigned char *data; /* while it is in memory */
  size_t cap;
  int fd; /* -1 while it is in memory */
};

struct spool_sink {
  struct ep_sink base;
  struct ep_spool *spool;
};

static enum ep_status write_at(struct ep_spool *spool, const void *p, size_t n,
                               int64_t at, size_t *taken, struct ep_err *err)
{
  ssize_t w;
  do
    w = pwrite(spool->fd, p, n, at);
  while (w < 0 && errno == EINTR);
  if (w < 0)
    return ep_fail_errno(err, errno,
                         "writing a spool file in %s (spool_dir names another place)",
                         spool->dir);
  *taken = (size_t)w;
  return EP_OK;
}

static int open_nameless(const char *dir)
{
  char *path;
  int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
    return fd;
  size_t n = strlen(dir);
  static const char pattern[] = "/epoch-XXXXXX";
  path = ep_alloc(n + sizeof pattern);
  if (!path) {
    errno = ENOMEM;
    return -1;
  }
  memcpy(path, dir, n);
  memcpy(path + n, pattern, sizeof pattern);
  fd = mkostemp(path, O_CLOEXEC);
  if (fd >= 0)
    (void)unlink(path);
  ep_free(path);
  return fd;
}

/* From memory to a file. */
static enum ep_status spill(struct ep_spool *spool, struct ep_err *err)
{
  size_t at = 0;
  spool->fd = open_nameless(spool->dir);
  if (spool->fd < 0)
    return ep_fail_errno(err, errno,
                         "making a spool file in %s (spool_dir names another place)",
                         spool->dir);
  while (at < (size_t)spool->size) {
    size_t n = 0;
    if (write_at(spool, spool->data + at, (size_t)spool->size - at, (int64_t)at, &n,
                 err) != EP_OK)
      return EP_ERR;
    at += n;
  }
  ep_free(spool->data);
  spool->data = NULL;
  spool->cap = 0;
  return EP_OK;
}

static enum ep_status keep(struct ep_spool *spool, const void *p, size_t n,
                           struct ep_err *err)
{
  size_t used = (size_t)spool->size;
  if (n > spool->cap - used) {
    size_t cap = spool->cap ? spool->cap : 4096;
    unsigned char *grown;
    while (cap < used + n)
      cap *= 2;
    grown = ep_realloc(spool->data, cap);
    if (!grown)
      return ep_fail_memory(err);
    spool->data = grown;
    spool->cap = cap;
  }
  memcpy(spool->data + used, p, n);
  return EP_OK;
}

static enum ep_status spool_write(struct ep_sink *s, const struct ep_span *span,
                                  size_t *taken, struct ep_err *err)
{
  struct ep_spool *spool = ((struct spool_sink *)s)->spool;
  enum ep_status st;
  if (spool->limit >= 0 && (int64_t)span->n > spool->limit - spool->size)
    return ep_fail(err, "too_large", "a spool of more than %lld bytes",
                   (long long)spool->limit);
  if (spool->fd < 0 && (size_t)spool->size + span->n > spool->memory &&
      spill(spool, err) != EP_OK)
    return EP_ERR;
  *taken = span->n;
  st = spool->fd < 0 ? keep(spool, span->p, span->n, err)
                     : write_at(spool, span->p, span->n, spool->size, taken, err);
  if (st == EP_OK)
    spool->size += (int64_t)*taken;
  return st;
}

static enum ep_status spool_finish(struct ep_sink *s, struct ep_err *err)
{
  (void)s, (void)err;
  return EP_OK;
}

static void spool_close(struct ep_sink *s)
{
  struct spool_sink *ss = (struct spool_sink *)s;
  ep_release(ss->spool);
  ss->spool = NULL;
}

static const struct ep_sink_type spool_sink_type = {
    .name = "spool",
    .write = spool_write,
    .finish = spool_finish,
    .close = spool_close,
};

static void spool_destroy(void *self)
{
  struct ep_spool *spool = self;
  if (spool->fd >= 0)
    (void)close(spool->fd);
  ep_free(spool->data);
  ep_free(spool->dir);
}

struct ep_spool *ep_spool_new(struct ep_host *host, const char *dir, size_t memory,
                              int64_t limit, struct ep_err *err)
{
  struct ep_spool *spool = ep_obj_new(host, EP_KIND_SPOOL, sizeof *spool, spool_destroy);
  if (spool) {
    spool->fd = -1;
    spool->memory = memory;
    spool->limit = limit;
    spool->dir = ep_strndup(dir, strlen(dir));
  }
  if (!spool || !spool->dir) {
    (void)ep_fail_memory(err);
    ep_release(spool);
    return NULL;
  }
  return spool;
}

struct ep_sink *ep_spool_sink(struct ep_spool *spool)
{
  struct spool_sink *s =
      ep_sink_new(spool->obj.host, &spool_sink_type, sizeof *s, EP_SINK_WORK);
  if (!s)
    return NULL;
  s->spool = ep_retain(spool);
  return &s->base;
}

struct memory_source {
  struct ep_source base;
  struct ep_spool *spool;
  size_t first, at, end;
};

static enum ep_status memory_read(struct ep_source *s, void *buf, size_t cap, size_t *n,
                                  struct ep_err *err)
{
  struct memory_source *m = (struct memory_source *)s;
  size_t left = m->end - m->at;
  (void)err;
  if (left == 0)
    return EP_EOF;
  if (!m->spool->data)
    return ep_fail(err, "invalid", "a spool was written while it was read");
  *n = left < cap ? left : cap;
  memcpy(buf, m->spool->data + m->at, *n);
  m->at += *n;
  return EP_OK;
}

static enum ep_status memory_rewind(struct ep_source *s, struct ep_err *err)
{
  struct memory_source *m = (struct memory_source *)s;
  (void)err;
  m->at = m->first;
  return EP_OK;
}

static int64_t memory_total(const struct ep_source *s)
{
  const struct memory_source *m = (const struct memory_source *)s;
  return (int64_t)(m->end - m->first);
}

static struct ep_source *memory_slice(const struct ep_source *s, int64_t offset,
                                      int64_t n, struct ep_err *err)
{
  const struct memory_source *m = (const struct memory_source *)s;
  return ep_spool_source(m->spool, (int64_t)m->first + offset, n, err);
}

static void memory_close(struct ep_source *s)
{
  struct memory_source *m = (struct memory_source *)s;
  ep_release(m->spool);
  m->spool = NULL;
}

static const struct ep_source_type memory_type = {
    .name = "spool",
    .read = memory_read,
    .rewind = memory_rewind,
    .total = memory_total,
    .slice = memory_slice,
    .close = memory_close,
};

struct ep_source *ep_spool_source(struct ep_spool *spool, int64_t offset, int64_t n,
                                  struct ep_err *err)
{
  struct ep_source *s = NULL;
  if (offset > spool->size || n > spool->size - offset) {
    (void)ep_fail(err, "invalid", "the spool has no such range");
    return NULL;
  }
  if (n < 0)
    n = spool->size - offset;
  if (spool->fd >= 0) {
    s = ep_source_range(spool->obj.host, spool->fd, spool, "a spool file", offset, n);
  } else {
    struct memory_source *m = ep_source_new(spool->obj.host, &memory_type, sizeof *m);
    if (m) {
      m->spool = ep_retain(spool);
      m->first = m->at = (size_t)offset;
      m->end = (size_t)(offset + n);
      s = &m->base;
    }
  }
  if (!s)
    (void)ep_fail_memory(err);
  return s;
}

int64_t ep_spool_size(const struct ep_spool *spool)
{
  return spool->size;
}

bool ep_spool_in_memory(const struct ep_spool *spool)
{
  return spool->fd < 0;
}
