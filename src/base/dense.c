/* A tap that leaves out blocks of zeros and remembers where the rest stood. Zeros at the
** beginning of a block are only counted until it is known whether more than zeros follow, so
** that nothing has to be kept. The fewer pieces there may still be, the larger a hole has to be to
** begin another one: those that are too small are filled again, so that a large one behind many
** small ones, and above all the one at the end, is still left out. */
#include "tap.h"

#include <string.h>

struct dense {
  struct ep_sink base;
  struct ep_sink *next;
  size_t block;
  int64_t
      zeros; /* read, to be passed on before more is: of this block, or a hole's, too */
  bool passing; /* this block has data: all of it is passed on */
  int64_t at;   /* how many bytes were read */
  struct ep_extent *extents;
  size_t n, cap, max;
};

static const unsigned char nothing[4096];

static bool is_zero(const unsigned char *p, size_t n)
{
  return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

/* The smallest hole that may begin a further piece: any block at first, sixteen of them when a
** quarter of the pieces is left, a hundred million when it is the last one. */
static int64_t worth_a_piece(const struct dense *d)
{
  int64_t share = d->n < d->max ? (int64_t)(d->max / (d->max - d->n)) : 0;
  return share > 0 ? (int64_t)d->block * share * share : INT64_MAX;
}

static size_t smaller(size_t a, size_t b)
{
  return a < b ? a : b;
}

/* How much of `n` bytes is left of the block that is being read. */
static size_t of_block(const struct dense *d, size_t n)
{
  return smaller(d->block - (size_t)(d->at % (int64_t)d->block), n);
}

/* The piece that goes on at `offset`: a new one after a hole, or the last one, with that hole
** filled. */
static enum ep_status open_piece(struct dense *d, int64_t offset, struct ep_err *err)
{
  const struct ep_extent *last = d->n > 0 ? &d->extents[d->n - 1] : NULL;
  int64_t hole = last ? offset - last->offset - last->length : INT64_MAX;
  if (last && hole < worth_a_piece(d)) {
    d->zeros += hole;
    return EP_OK;
  }
  if (d->n == d->cap) {
    size_t cap = d->cap ? 2 * d->cap : 16;
    struct ep_extent *more = ep_realloc(d->extents, cap * sizeof *more);
    if (!more)
      return ep_fail_memory(err);
    d->extents = more;
    d->cap = cap;
  }
  d->extents[d->n++] = (struct ep_extent){offset, 0};
  return EP_OK;
}

static enum ep_status pass(struct dense *d, const struct ep_span *span, size_t *taken,
                           struct ep_err *err)
{
  enum ep_status st = ep_sink_write(d->next, span, taken, err);
  if (st == EP_OK)
    d->extents[d->n - 1].length += (int64_t)*taken;
  return st;
}

/* The zeros before the data of a block. */
static enum ep_status pass_zeros(struct dense *d, struct ep_err *err)
{
  while (d->zeros > 0) {
    size_t n = d->zeros < (int64_t)sizeof nothing ? (size_t)d->zeros : sizeof nothing;
    struct ep_span span = {nothing, n, NULL};
    size_t taken = 0;
    enum ep_status st = pass(d, &span, &taken, err);
    if (st != EP_OK)
      return st;
    d->zeros -= (int64_t)taken;
  }
  return EP_OK;
}

/* Bytes from here to the next block of zeros; the block that they begin in has data. */
static size_t run(const struct dense *d, const struct ep_span *span)
{
  size_t n = of_block(d, span->n);
  while (n < span->n) {
    size_t piece = smaller(d->block, span->n - n);
    if (is_zero(span->p + n, piece))
      break;
    n += piece;
  }
  return n;
}

static void skip(struct dense *d, size_t n)
{
  d->at += (int64_t)n;
  d->zeros = d->at % (int64_t)d->block == 0 ? 0 : d->zeros + (int64_t)n;
}

static enum ep_status dense_write(struct ep_sink *s, const struct ep_span *span,
                                  size_t *taken, struct ep_err *err)
{
  struct dense *d = (struct dense *)s;
  size_t here = of_block(d, span->n);
  struct ep_span data = *span;
  enum ep_status st;
  if (!d->passing) {
    if (is_zero(span->p, here)) {
      skip(d, here);
      *taken = here;
      return EP_OK;
    }
    if (open_piece(d, d->at - d->zeros, err) != EP_OK)
      return EP_ERR;
    d->passing = true;
  }
  st = pass_zeros(d, err);
  if (st != EP_OK)
    return st;
  data.n = run(d, span);
  st = pass(d, &data, taken, err);
  if (st == EP_OK) {
    d->at += (int64_t)*taken;
    d->passing = d->at % (int64_t)d->block != 0;
  }
  return st;
}

static enum ep_status dense_finish(struct ep_sink *s, struct ep_err *err)
{
  return ep_sink_finish(((struct dense *)s)->next, err);
}

static void dense_arm(struct ep_sink *s, struct ep_loop *loop, struct ep_task *task)
{
  ep_sink_arm(((struct dense *)s)->next, loop, task);
}

static void dense_close(struct ep_sink *s)
{
  struct dense *d = (struct dense *)s;
  ep_sink_drop(d->next);
  d->next = NULL;
}

static void dense_destroy(void *self)
{
  struct dense *d = self;
  ep_sink_close(&d->base);
  ep_free(d->extents);
}

/* Two types, because only what never answers EP_AGAIN may move to a pool thread. */
static const struct ep_sink_type dense_type = {
    .name = "dense tap",
    .write = dense_write,
    .finish = dense_finish,
    .close = dense_close,
};
static const struct ep_sink_type waiting_dense_type = {
    .name = "dense tap",
    .write = dense_write,
    .finish = dense_finish,
    .arm = dense_arm,
    .close = dense_close,
};

struct ep_sink *ep_dense_new(struct ep_host *host, size_t block, size_t max,
                             struct ep_sink *next, struct ep_err *err)
{
  const struct ep_sink_type *type = next->type->arm ? &waiting_dense_type : &dense_type;
  struct dense *d = ep_sink_new(host, type, sizeof *d, EP_SINK_WORK);
  if (!d) {
    (void)ep_fail_memory(err);
    return NULL;
  }
  d->base.obj.destroy = dense_destroy;
  d->block = block;
  d->max = max;
  d->next = ep_sink_adopt(next);
  return &d->base;
}

bool ep_is_dense(const struct ep_sink *sink)
{
  return sink->type == &dense_type || sink->type == &waiting_dense_type;
}

const struct ep_extent *ep_dense_extents(const struct ep_sink *dense, size_t *n,
                                         int64_t *size)
{
  const struct dense *d = (const struct dense *)dense;
  *n = d->n;
  *size = d->at;
  return d->extents;
}
