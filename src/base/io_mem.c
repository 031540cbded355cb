/* Bytes in memory as a source, and sinks that keep what they get or nothing of it. */
#include "io.h"

#include <string.h>

struct bytes_source {
  struct ep_source base;
  size_t n, at;
  unsigned char data[];
};

static enum ep_status bytes_read(struct ep_source *s, void *buf, size_t cap, size_t *n,
                                 struct ep_err *err)
{
  struct bytes_source *b = (struct bytes_source *)s;
  size_t left = b->n - b->at;
  (void)err;
  if (left == 0)
    return EP_EOF;
  *n = left < cap ? left : cap;
  memcpy(buf, b->data + b->at, *n);
  b->at += *n;
  return EP_OK;
}

static enum ep_status bytes_rewind(struct ep_source *s, struct ep_err *err)
{
  (void)err;
  ((struct bytes_source *)s)->at = 0;
  return EP_OK;
}

static int64_t bytes_total(const struct ep_source *s)
{
  return (int64_t)((const struct bytes_source *)s)->n;
}

static struct ep_source *bytes_slice(const struct ep_source *s, int64_t offset, int64_t n,
                                     struct ep_err *err)
{
  const struct bytes_source *b = (const struct bytes_source *)s;
  struct ep_source *part = ep_source_bytes(s->obj.host, b->data + offset, (size_t)n);
  if (!part)
    (void)ep_fail_memory(err);
  return part;
}

static void bytes_close(struct ep_source *s)
{
  (void)s;
}

static const struct ep_source_type bytes_type = {
    .name = "string",
    .read = bytes_read,
    .rewind = bytes_rewind,
    .total = bytes_total,
    .slice = bytes_slice,
    .close = bytes_close,
};

struct ep_source *ep_source_bytes(struct ep_host *host, const void *p, size_t n)
{
  struct bytes_source *b = ep_source_new(host, &bytes_type, sizeof *b + n);
  if (!b)
    return NULL;
  b->n = n;
  if (n)
    memcpy(b->data, p, n);
  return &b->base;
}

struct collect_sink {
  struct ep_sink base;
  size_t n, cap, max;
  unsigned char *data;
};

static enum ep_status collect_write(struct ep_sink *s, const struct ep_span *span,
                                    size_t *taken, struct ep_err *err)
{
  struct collect_sink *c = (struct collect_sink *)s;
  if (span->n > c->max - c->n)
    return ep_fail(err, "too_large", "more than %zu bytes", c->max);
  if (span->n > c->cap - c->n) {
    size_t want = c->n + span->n;
    size_t cap = c->cap ? c->cap : 4096;
    unsigned char *grown;
    while (cap < want)
      cap *= 2;
    if (cap > c->max)
      cap = c->max;
    grown = ep_realloc(c->data, cap);
    if (!grown)
      return ep_fail_memory(err);
    c->data = grown;
    c->cap = cap;
  }
  memcpy(c->data + c->n, span->p, span->n);
  c->n += span->n;
  *taken = span->n;
  return EP_OK;
}

static enum ep_status done(struct ep_sink *s, struct ep_err *err)
{
  (void)s, (void)err;
  return EP_OK;
}

static void collect_close(struct ep_sink *s)
{
  (void)s; /* what was collected stays readable until the last reference goes */
}

static void collect_destroy(void *self)
{
  ep_sink_close(self);
  ep_free(((struct collect_sink *)self)->data);
}

static const struct ep_sink_type collect_type = {
    .name = "collector",
    .write = collect_write,
    .finish = done,
    .close = collect_close,
};

struct ep_sink *ep_sink_collect(struct ep_host *host, size_t max)
{
  struct collect_sink *c = ep_sink_new(host, &collect_type, sizeof *c, 0);
  if (!c)
    return NULL;
  c->base.obj.destroy = collect_destroy;
  c->max = max;
  return &c->base;
}

const unsigned char *ep_sink_collected(const struct ep_sink *s, size_t *n)
{
  const struct collect_sink *c = (const struct collect_sink *)s;
  if (s->type != &collect_type)
    return NULL;
  *n = c->n;
  return c->data ? c->data : (const unsigned char *)"";
}

static enum ep_status null_write(struct ep_sink *s, const struct ep_span *span,
                                 size_t *taken, struct ep_err *err)
{
  (void)s, (void)err;
  *taken = span->n;
  return EP_OK;
}

static void null_close(struct ep_sink *s)
{
  (void)s;
}

static const struct ep_sink_type null_type = {
    .name = "null",
    .write = null_write,
    .finish = done,
    .close = null_close,
};

struct ep_sink *ep_sink_null(struct ep_host *host)
{
  return ep_sink_new(host, &null_type, sizeof(struct ep_sink), 0);
}
