/* What all sources and sinks share: birth, blocks, arming, the default answers. */
#include "io.h"

static void source_destroy(void *self)
{
  struct ep_source *s = self;
  s->type->close(s);
}

static void sink_destroy(void *self)
{
  struct ep_sink *s = self;
  s->type->close(s);
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

enum ep_status ep_source_rewind(struct ep_source *s, struct ep_err *err)
{
  if (!s->type->rewind)
    return ep_fail(err, "unsupported", "a %s can be read only once", s->type->name);
  return s->type->rewind(s, err);
}

void ep_source_arm(struct ep_source *s, struct ep_loop *loop, struct ep_task *task)
{
  if (s->type->arm)
    s->type->arm(s, loop, task);
}

void ep_sink_arm(struct ep_sink *s, struct ep_loop *loop, struct ep_task *task)
{
  if (s->type->arm)
    s->type->arm(s, loop, task);
}
