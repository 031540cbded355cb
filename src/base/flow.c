#include "flow.h"

#include "lane.h"
#include "loop.h"
#include "pool.h"
#include "shelf.h"
#include "tap.h"

/* Below this it costs more to wake a thread than to do the work here. */
enum { WORTH_A_THREAD = 64 * 1024 };

/* Where the bytes of the current block go, and how many of them it has. */
struct outlet {
  struct ep_sink *sink; /* NULL: none */
  size_t at;
  bool finished;
};

struct ep_flow {
  struct ep_obj obj;
  struct ep_loop *loop;
  struct ep_source *source;
  struct outlet hash; /* a tap, or a lane around it */
  struct outlet sink;
  struct ep_sink *tap; /* where the digests are read once `hash` is finished */
  struct ep_gauge gauge;
  struct ep_task task;
  struct ep_block *block;
  const unsigned char *bytes; /* where they begin in the block */
  size_t fill;
  struct ep_shelf used;
  atomic_llong moved;
  bool source_ended, more, closed;
  struct ep_pool *pool; /* whose thread moves everything; NULL: the loop's */
  struct ep_job job;
  atomic_int job_state; /* what the job came to; EP_AGAIN while it runs */
  enum ep_status state; /* EP_AGAIN while it runs */
  struct ep_flow_result result;
  struct ep_err err;
};

static void outlet_close(struct ep_flow *flow, struct outlet *out)
{
  struct ep_sink *sink = out->sink;
  if (!sink)
    return;
  out->sink = NULL;
  ep_sink_arm(sink, flow->loop, NULL);
  if (flow->more && flow->state == EP_OK && out == &flow->sink) {
    sink->adopted = false;
    ep_release(sink);
  } else {
    ep_sink_drop(sink);
  }
}

/* Lets go of everything. Order: the sinks first, so that no thread works on the block. */
static void let_go(struct ep_flow *flow)
{
  struct ep_source *source = flow->source;
  if (flow->closed)
    return;
  flow->closed = true;
  if (flow->pool)
    ep_pool_retract(flow->pool, &flow->job);
  outlet_close(flow, &flow->hash);
  outlet_close(flow, &flow->sink);
  if (source) {
    flow->source = NULL;
    ep_source_arm(source, flow->loop, NULL);
    ep_source_drop(source);
  }
  ep_release(flow->pool);
  ep_release(flow->tap);
  ep_release(flow->block);
  ep_shelf_clear(&flow->used);
  flow->pool = NULL;
  flow->tap = NULL;
  flow->block = NULL;
  ep_loop_forget(flow->loop, &flow->task);
}

static void end(struct ep_flow *flow, enum ep_status state)
{
  flow->state = state;
  let_go(flow);
}

static size_t block_size(const struct ep_flow *flow)
{
  int64_t left = flow->gauge.size - flow->gauge.seen;
  /* one more than is promised, so that a surplus shows */
  return flow->gauge.size >= 0 && left < (int64_t)EP_BLOCK_SIZE ? (size_t)left + 1
                                                                : EP_BLOCK_SIZE;
}

static enum ep_status admit(struct ep_flow *flow, size_t n, size_t *budget,
                            struct ep_err *err)
{
  if (ep_gauge_admit(&flow->gauge, n, err) != EP_OK)
    return EP_ERR;
  flow->fill += n;
  atomic_store_explicit(&flow->moved, flow->gauge.seen, memory_order_relaxed);
  *budget -= n < *budget ? n : *budget;
  return EP_OK;
}

/* Gets a block from a source that has its own. */
static enum ep_status take(struct ep_flow *flow, size_t *budget, struct ep_err *err)
{
  struct ep_span span;
  enum ep_status st = ep_source_take(flow->source, &span, err);
  if (st == EP_OK) {
    flow->block = span.block;
    flow->bytes = span.p;
    st = admit(flow, span.n, budget, err);
  }
  return st;
}

/* Reads until a block is full or nothing more is there now. */
static enum ep_status read_block(struct ep_flow *flow, size_t *budget, struct ep_err *err)
{
  enum ep_status st = EP_OK;
  if (!flow->block) {
    flow->block = ep_shelf_block(&flow->used, flow->obj.host, block_size(flow));
    if (!flow->block)
      return ep_fail_memory(err);
    flow->bytes = flow->block->data;
  }
  while (st == EP_OK && flow->fill<flow->block->cap && * budget> 0) {
    size_t n = 0;
    st = ep_source_read(flow->source, flow->block->data + flow->fill,
                        flow->block->cap - flow->fill, &n, err);
    if (st == EP_OK)
      st = admit(flow, n, budget, err);
  }
  return st;
}

static enum ep_status fill(struct ep_flow *flow, size_t *budget, struct ep_err *err)
{
  enum ep_status st =
      flow->source->type->take ? take(flow, budget, err) : read_block(flow, budget, err);
  if (st == EP_EOF)
    flow->source_ended = true;
  return st == EP_ERR ? EP_ERR : flow->fill > 0 || st == EP_EOF ? EP_OK : st;
}

static enum ep_status drain(struct ep_flow *flow, struct outlet *out, struct ep_err *err)
{
  while (out->sink && out->at < flow->fill) {
    struct ep_span span = {flow->bytes + out->at, flow->fill - out->at, flow->block};
    size_t taken = 0;
    enum ep_status st = ep_sink_write(out->sink, &span, &taken, err);
    if (st == EP_AGAIN)
      ep_sink_arm(out->sink, flow->loop, &flow->task);
    if (st != EP_OK)
      return st;
    out->at += taken;
  }
  return EP_OK;
}

/* Both outlets get a chance, so that one that waits does not keep the other idle. */
static enum ep_status drain_both(struct ep_flow *flow, struct ep_err *err)
{
  enum ep_status hash = drain(flow, &flow->hash, err);
  enum ep_status sink = hash == EP_ERR ? EP_ERR : drain(flow, &flow->sink, err);
  return hash == EP_OK ? sink : sink == EP_OK ? hash : sink;
}

static enum ep_status finish(struct ep_flow *flow, struct outlet *out, struct ep_err *err)
{
  enum ep_status st = EP_OK;
  if (!out->sink || out->finished)
    return EP_OK;
  st = ep_sink_finish(out->sink, err);
  if (st == EP_AGAIN)
    ep_sink_arm(out->sink, flow->loop, &flow->task);
  out->finished = st == EP_OK;
  return st;
}

static enum ep_status verify(struct ep_flow *flow, struct ep_err *err)
{
  unsigned alg;
  flow->result.size = flow->gauge.seen;
  for (alg = EP_DIGEST_NONE + 1; flow->tap && alg < EP_DIGEST_ALGS; alg++)
    if (ep_tap_digest(flow->tap, (enum ep_digest_alg)alg, &flow->result.digests[alg]) &&
        ep_gauge_verify(&flow->gauge, &flow->result.digests[alg], err) != EP_OK)
      return EP_ERR;
  return EP_OK;
}

static enum ep_status wrap_up(struct ep_flow *flow, struct ep_err *err)
{
  enum ep_status st;
  if (ep_gauge_end(&flow->gauge, err) != EP_OK)
    return EP_ERR;
  st = finish(flow, &flow->hash, err);
  if (st == EP_OK && !flow->sink.finished)
    st = verify(flow, err);
  return st == EP_OK && !flow->more ? finish(flow, &flow->sink, err) : st;
}

/* The block is empty again: use it once more, later if a lane still holds it. One that came
** from the source is the source's to use. */
static void recycle(struct ep_flow *flow)
{
  flow->fill = flow->hash.at = flow->sink.at = 0;
  if (flow->source->type->take)
    ep_release(flow->block);
  else if (ep_block_is_free(flow->block))
    return;
  else
    ep_shelf_put(&flow->used, flow->block);
  flow->block = NULL;
}

/* Moves up to `budget` bytes. EP_OK: the end, with success. EP_AGAIN with *waiting: armed
** for more, without: the budget is used up. */
static enum ep_status pump(struct ep_flow *flow, size_t budget, bool *waiting)
{
  *waiting = false;
  while (flow->fill > 0 || flow->source_ended || budget > 0) {
    enum ep_status st = EP_OK;
    if (flow->fill > 0) {
      st = drain_both(flow, &flow->err);
      if (st == EP_OK)
        recycle(flow);
    } else if (flow->source_ended) {
      st = wrap_up(flow, &flow->err);
      if (st == EP_OK)
        return EP_OK;
    } else {
      st = fill(flow, &budget, &flow->err);
      if (st == EP_AGAIN)
        ep_source_arm(flow->source, flow->loop, &flow->task);
    }
    *waiting = st == EP_AGAIN;
    if (st != EP_OK)
      return st;
  }
  return EP_AGAIN;
}

/* In the loop. */
static void run(struct ep_task *task, size_t budget)
{
  struct ep_flow *flow =
      (struct ep_flow *)((char *)task - offsetof(struct ep_flow, task));
  bool waiting = flow->pool != NULL;
  enum ep_status st = flow->pool ? (enum ep_status)atomic_load(&flow->job_state)
                                 : pump(flow, budget, &waiting);
  if (st != EP_AGAIN)
    end(flow, st);
  else if (!waiting)
    ep_loop_ready(flow->loop, &flow->task);
}

/* On a pool thread, where neither end ever has to wait. */
static bool run_job(struct ep_job *job)
{
  struct ep_flow *flow = (struct ep_flow *)((char *)job - offsetof(struct ep_flow, job));
  bool waiting;
  enum ep_status st = pump(flow, EP_STEP_BUDGET, &waiting);
  if (st == EP_AGAIN)
    return true;
  atomic_store(&flow->job_state, (int)st);
  ep_loop_notify(flow->loop, &flow->task);
  return false;
}

static void flow_destroy(void *self)
{
  struct ep_flow *flow = self;
  ep_flow_close(flow);
  ep_release(flow->loop);
}

/* A sink as this flow uses it: on the pool where that pays. */
static enum ep_status adopt(struct ep_flow *flow, struct outlet *out,
                            struct ep_sink *sink, struct ep_pool *lanes,
                            struct ep_err *err)
{
  if (!lanes || !ep_lane_suits(sink)) {
    out->sink = ep_sink_adopt(sink);
    return EP_OK;
  }
  out->sink = ep_lane_new(flow->obj.host, lanes, sink, err);
  return out->sink ? EP_OK : EP_ERR;
}

/* Where the work is done. Small things: here. What never has to wait, from file to file
** say: on one pool thread as a whole, since a core that reads what it hashes is quicker than
** two that share it. The rest: read here, with hashing and disks on lanes beside it. */
static enum ep_status place(struct ep_flow *flow, const struct ep_flow_spec *spec,
                            unsigned algs, struct ep_err *err)
{
  static const struct ep_gauge anything = {.size = -1, .limit = -1};
  int64_t size = spec->gauge.size >= 0 ? spec->gauge.size : ep_source_total(spec->source);
  struct ep_pool *pool =
      size >= 0 && size < WORTH_A_THREAD ? NULL : ep_loop_pool(flow->loop);
  bool whole = !spec->source->type->arm && (!spec->sink || !spec->sink->type->arm);
  if (pool && whole)
    flow->pool = ep_retain(pool);
  if (algs) {
    flow->tap = ep_tap_new(flow->obj.host, &anything, algs, NULL, err);
    if (!flow->tap ||
        adopt(flow, &flow->hash, flow->tap, whole ? NULL : pool, err) != EP_OK)
      return EP_ERR;
  }
  /* a lane would finish its sink, which has to stay open when more is to follow */
  if (spec->sink && adopt(flow, &flow->sink, spec->sink,
                          whole || spec->more ? NULL : pool, err) != EP_OK)
    return EP_ERR;
  return EP_OK;
}

struct ep_flow *ep_flow_start(struct ep_loop *loop, const struct ep_flow_spec *spec,
                              struct ep_err *err)
{
  unsigned algs = spec->algs;
  struct ep_flow *flow =
      ep_obj_new(ep_loop_host(loop), EP_KIND_FLOW, sizeof *flow, flow_destroy);
  if (!flow) {
    (void)ep_fail_memory(err);
    return NULL;
  }
  flow->loop = ep_retain(loop);
  flow->source = ep_source_adopt(spec->source);
  flow->gauge = spec->gauge;
  flow->more = spec->more;
  flow->task.run = run;
  flow->job.run = run_job;
  flow->state = EP_AGAIN;
  atomic_init(&flow->job_state, EP_AGAIN);
  if (spec->gauge.expect.alg != EP_DIGEST_NONE)
    algs |= 1u << spec->gauge.expect.alg;
  if (place(flow, spec, algs, err) != EP_OK) {
    ep_release(flow);
    return NULL;
  }
  if (flow->pool)
    ep_pool_submit(flow->pool, &flow->job);
  else
    ep_loop_ready(loop, &flow->task);
  return flow;
}

enum ep_status ep_flow_result(const struct ep_flow *flow, struct ep_flow_result *result,
                              struct ep_err *err)
{
  if (flow->state == EP_OK)
    *result = flow->result;
  else if (flow->state == EP_ERR)
    *err = flow->err;
  return flow->state;
}

int64_t ep_flow_moved(const struct ep_flow *flow)
{
  return atomic_load_explicit(&flow->moved, memory_order_relaxed);
}

void ep_flow_close(struct ep_flow *flow)
{
  if (flow->state == EP_AGAIN) {
    (void)ep_fail(&flow->err, "cancelled", "%s was abandoned", flow->gauge.what);
    flow->state = EP_ERR;
  }
  let_go(flow);
}
