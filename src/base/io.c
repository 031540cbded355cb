/* What all sources and sinks share: birth, blocks, arming, the default answers. */
#include "io.h"

static void source_destroy(void *self)
{
  ep_source_close(self);
}

static void sink_destroy(void *self)
{
  ep_sink_close(self);
}

void *ep_source_new(struct ep_host *host, const struct ep_source_type *type, size_t size)
{
  struct ep_source *s = ep_obj_new(host, EP_KIND_SOURCE, size, source_destroy);
  if (s)
    s->type = type;
  return s;
}

void *ep_sink_new(struct ep_host *host, const struct ep_sink_type *type, size_t size,
                  unsigned flags)
{
  struct ep_sink *s = ep_obj_new(host, EP_KIND_SINK, size, sink_destroy);
  if (s) {
    s->type = type;
    s->flags = flags;
  }
  return s;
}

struct ep_block *ep_block_new(struct ep_host *host, size_t cap)
{
  struct ep_block *b = ep_alloc_raw(sizeof *b + cap);
  if (b) {
    ep_obj_init(&b->obj, host, EP_KIND_BLOCK, NULL);
    b->cap = cap;
  }
  return b;
}

static enum ep_status unusable(enum ep_io_state state, const char *name,
                               struct ep_err *err)
{
  static const char *const words[] = {
      [EP_IO_OPEN] = "open", /* never asked for */
      [EP_IO_ENDED] = "finished",
      [EP_IO_FAILED] = "broken: it has failed before",
      [EP_IO_CLOSED] = "closed",
  };
  return ep_fail(err, "invalid", "this %s is %s", name, words[state]);
}

static enum ep_status may_read(const struct ep_source *s, struct ep_err *err)
{
  if (s->state == EP_IO_ENDED)
    return EP_EOF;
  return s->state == EP_IO_OPEN ? EP_OK : unusable(s->state, s->type->name, err);
}

static enum ep_status noted(struct ep_source *s, enum ep_status st)
{
  if (st == EP_EOF)
    s->state = EP_IO_ENDED;
  else if (st == EP_ERR)
    s->state = EP_IO_FAILED;
  return st;
}

enum ep_status ep_source_read(struct ep_source *s, void *buf, size_t cap, size_t *n,
                              struct ep_err *err)
{
  enum ep_status st = may_read(s, err);
  return st == EP_OK ? noted(s, s->type->read(s, buf, cap, n, err)) : st;
}

enum ep_status ep_source_take(struct ep_source *s, struct ep_span *span,
                              struct ep_err *err)
{
  enum ep_status st = may_read(s, err);
  return st == EP_OK ? noted(s, s->type->take(s, span, err)) : st;
}

void ep_source_close(struct ep_source *s)
{
  if (s->state == EP_IO_CLOSED)
    return;
  s->state = EP_IO_CLOSED;
  s->type->close(s);
}

enum ep_status ep_sink_write(struct ep_sink *s, const struct ep_span *span, size_t *taken,
                             struct ep_err *err)
{
  enum ep_status st;
  if (s->state != EP_IO_OPEN)
    return unusable(s->state, s->type->name, err);
  st = s->type->write(s, span, taken, err);
  if (st == EP_ERR)
    s->state = EP_IO_FAILED;
  return st;
}

enum ep_status ep_sink_finish(struct ep_sink *s, struct ep_err *err)
{
  enum ep_status st;
  if (s->state == EP_IO_ENDED)
    return EP_OK;
  if (s->state != EP_IO_OPEN)
    return unusable(s->state, s->type->name, err);
  st = s->type->finish(s, err);
  if (st == EP_OK)
    s->state = EP_IO_ENDED;
  else if (st == EP_ERR)
    s->state = EP_IO_FAILED;
  return st;
}

void ep_sink_close(struct ep_sink *s)
{
  if (s->state == EP_IO_CLOSED)
    return;
  s->state = EP_IO_CLOSED;
  s->type->close(s);
}

struct ep_source *ep_source_adopt(struct ep_source *s)
{
  s->adopted = true;
  return ep_retain(s);
}

void ep_source_drop(struct ep_source *s)
{
  if (!s)
    return;
  ep_source_close(s);
  s->adopted = false;
  ep_release(s);
}

struct ep_sink *ep_sink_adopt(struct ep_sink *s)
{
  s->adopted = true;
  return ep_retain(s);
}

void ep_sink_drop(struct ep_sink *s)
{
  if (!s)
    return;
  ep_sink_close(s);
  s->adopted = false;
  ep_release(s);
}

enum ep_status ep_source_rewind(struct ep_source *s, struct ep_err *err)
{
  enum ep_status st;
  if (s->state == EP_IO_CLOSED)
    return unusable(s->state, s->type->name, err);
  if (!s->type->rewind)
    return ep_fail(err, "unsupported", "a %s can be read only once", s->type->name);
  st = s->type->rewind(s, err);
  if (st == EP_OK)
    s->state = EP_IO_OPEN;
  return st;
}

struct ep_source *ep_source_slice(const struct ep_source *s, int64_t offset, int64_t n,
                                  struct ep_err *err)
{
  int64_t total = s->state == EP_IO_CLOSED ? -1 : ep_source_total(s);
  if (s->state == EP_IO_CLOSED)
    (void)unusable(s->state, s->type->name, err);
  else if (!s->type->slice)
    (void)ep_fail(err, "unsupported", "a part of a %s cannot be had", s->type->name);
  else if (offset > total || n > total - offset)
    (void)ep_fail(err, "invalid", "the %s has no such range", s->type->name);
  else
    return s->type->slice(s, offset, n, err);
  return NULL;
}

void ep_source_arm(struct ep_source *s, struct ep_loop *loop, struct ep_task *task)
{
  if (s->type->arm && s->state != EP_IO_CLOSED)
    s->type->arm(s, loop, task);
}

void ep_sink_arm(struct ep_sink *s, struct ep_loop *loop, struct ep_task *task)
{
  if (s->type->arm && s->state != EP_IO_CLOSED)
    s->type->arm(s, loop, task);
}
