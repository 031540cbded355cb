/* zstd as taps. What the codec has produced and the next sink would not take yet stays in a
** buffer of the codec's own recommended size; more input waits until it is gone. */
#include "tap.h"

#include <string.h>
#include <zstd.h>

struct zstd_tap {
  struct ep_sink base;
  ZSTD_CCtx *compressor; /* one of the two */
  ZSTD_DCtx *expander;
  struct ep_sink *next;
  struct ep_gauge gauge; /* of what an expander gives out */
  unsigned char *out;
  size_t cap, fill, at;
  bool frame_open, ended;
};

/* Passes on what waits in the buffer. */
static enum ep_status flush(struct zstd_tap *z, struct ep_err *err)
{
  while (z->at < z->fill) {
    struct ep_span span = {z->out + z->at, z->fill - z->at, NULL};
    size_t taken = 0;
    enum ep_status st = ep_sink_write(z->next, &span, &taken, err);
    if (st != EP_OK)
      return st;
    z->at += taken;
  }
  z->at = z->fill = 0;
  return EP_OK;
}

static enum ep_status failed(size_t code, struct ep_err *err)
{
  return ep_fail(err, "invalid", "zstd: %s", ZSTD_getErrorName(code));
}

/* One call of the codec into the empty buffer. `*left`: 0 when a frame is complete. */
static enum ep_status step(struct zstd_tap *z, ZSTD_inBuffer *in, ZSTD_EndDirective mode,
                           size_t *left, struct ep_err *err)
{
  ZSTD_outBuffer out = {z->out, z->cap, 0};
  *left = z->compressor ? ZSTD_compressStream2(z->compressor, &out, in, mode)
                        : ZSTD_decompressStream(z->expander, &out, in);
  if (ZSTD_isError(*left))
    return failed(*left, err);
  if (z->expander && ep_gauge_admit(&z->gauge, out.pos, err) != EP_OK)
    return EP_ERR;
  z->fill = out.pos;
  return EP_OK;
}

static enum ep_status zstd_write(struct ep_sink *s, const struct ep_span *span,
                                 size_t *taken, struct ep_err *err)
{
  struct zstd_tap *z = (struct zstd_tap *)s;
  ZSTD_inBuffer in = {span->p, span->n, 0};
  size_t left;
  enum ep_status st = flush(z, err);
  while (st == EP_OK && in.pos < in.size) {
    st = step(z, &in, ZSTD_e_continue, &left, err);
    if (st == EP_OK) {
      z->frame_open = left != 0;
      st = flush(z, err);
    }
  }
  *taken = in.pos;
  return st == EP_AGAIN && in.pos > 0 ? EP_OK : st;
}

static enum ep_status zstd_finish(struct ep_sink *s, struct ep_err *err)
{
  struct zstd_tap *z = (struct zstd_tap *)s;
  ZSTD_inBuffer in = {NULL, 0, 0};
  size_t left = 0;
  enum ep_status st = flush(z, err);
  while (st == EP_OK && !z->ended) {
    st = step(z, &in, ZSTD_e_end, &left, err);
    if (st != EP_OK)
      break;
    if (z->expander && z->fill > 0)
      z->frame_open = left != 0; /* output that the last input had no room for */
    z->ended = z->compressor ? left == 0 : z->fill == 0;
    st = flush(z, err);
  }
  if (st == EP_OK && z->expander && z->frame_open)
    return ep_fail(err, "truncated", "the zstd frame is cut");
  return st == EP_OK ? ep_sink_finish(z->next, err) : st;
}

static void zstd_arm(struct ep_sink *s, struct ep_loop *loop, struct ep_task *task)
{
  struct zstd_tap *z = (struct zstd_tap *)s;
  ep_sink_arm(z->next, loop, task);
}

static void zstd_close(struct ep_sink *s)
{
  struct zstd_tap *z = (struct zstd_tap *)s;
  (void)ZSTD_freeCCtx(z->compressor);
  (void)ZSTD_freeDCtx(z->expander);
  ep_free(z->out);
  ep_sink_drop(z->next);
}

static const struct ep_sink_type zstd_type = {
    .name = "zstd tap",
    .write = zstd_write,
    .finish = zstd_finish,
    .close = zstd_close,
};
static const struct ep_sink_type waiting_zstd_type = {
    .name = "zstd tap",
    .write = zstd_write,
    .finish = zstd_finish,
    .arm = zstd_arm,
    .close = zstd_close,
};

static struct zstd_tap *zstd_new(struct ep_host *host, struct ep_sink *next, size_t cap)
{
  const struct ep_sink_type *type = next->type->arm ? &waiting_zstd_type : &zstd_type;
  struct zstd_tap *z = ep_sink_new(host, type, sizeof *z, EP_SINK_WORK);
  if (!z)
    return NULL;
  z->cap = cap;
  z->out = ep_alloc_raw(cap);
  z->gauge = (struct ep_gauge){.size = -1, .limit = -1, .what = "what zstd expands to"};
  z->next = ep_sink_adopt(next);
  return z;
}

struct ep_sink *ep_zstd_compress(struct ep_host *host, int level, struct ep_sink *next,
                                 struct ep_err *err)
{
  struct zstd_tap *z = zstd_new(host, next, ZSTD_CStreamOutSize());
  if (z)
    z->compressor = ZSTD_createCCtx();
  if (!z || !z->out || !z->compressor) {
    (void)ep_fail_memory(err);
    ep_release(z);
    return NULL;
  }
  size_t code = ZSTD_CCtx_setParameter(z->compressor, ZSTD_c_compressionLevel, level);
  if (!ZSTD_isError(code))
    code = ZSTD_CCtx_setParameter(z->compressor, ZSTD_c_checksumFlag, 1);
  if (ZSTD_isError(code)) {
    (void)failed(code, err);
    ep_release(z);
    return NULL;
  }
  return &z->base;
}

struct ep_sink *ep_zstd_expand(struct ep_host *host, int64_t limit, struct ep_sink *next,
                               struct ep_err *err)
{
  struct zstd_tap *z = zstd_new(host, next, ZSTD_DStreamOutSize());
  if (z)
    z->expander = ZSTD_createDCtx();
  if (!z || !z->out || !z->expander) {
    (void)ep_fail_memory(err);
    ep_release(z);
    return NULL;
  }
  z->gauge.limit = limit;
  return &z->base;
}
