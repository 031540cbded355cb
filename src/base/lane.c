#include "lane.h"

#include "loop.h"

#include <string.h>

struct lane {
  struct ep_sink base;
  struct ep_sink *inner; /* the job's */
  struct ep_pool *pool;
  struct ep_job job;
  pthread_mutex_t lock; /* guards all that follows */
  struct ep_span queue[EP_LANE_DEPTH];
  unsigned first, count;
  bool finishing, finished, failed;
  struct ep_err err;
  struct ep_loop *loop; /* where `task` waits; borrowed from the flow */
  struct ep_task *task;
};

static enum ep_status write_all(struct ep_sink *s, struct ep_span span,
                                struct ep_err *err)
{
  while (span.n > 0) {
    size_t taken = 0;
    enum ep_status st = ep_sink_write(s, &span, &taken, err);
    if (st == EP_AGAIN)
      return ep_fail(err, "invalid", "a %s cannot work on another thread", s->type->name);
    if (st != EP_OK)
      return st;
    span.p += taken;
    span.n -= taken;
  }
  return EP_OK;
}

static void wake(struct lane *lane)
{
  if (!lane->task)
    return;
  ep_loop_notify(lane->loop, lane->task);
  lane->task = NULL;
}

static bool has_work(const struct lane *lane)
{
  return !lane->failed && (lane->count > 0 || (lane->finishing && !lane->finished));
}

/* Takes the first of the queue to the inner sink. Called with the lock, which is open while
** the inner sink works. */
static void work_once(struct lane *lane)
{
  enum ep_status st;
  struct ep_err err;
  struct ep_span span = {0};
  if (lane->count > 0)
    span = lane->queue[lane->first];
  pthread_mutex_unlock(&lane->lock);
  st =
      span.n > 0 ? write_all(lane->inner, span, &err) : ep_sink_finish(lane->inner, &err);
  ep_release(span.block);
  pthread_mutex_lock(&lane->lock);
  if (span.n > 0) {
    lane->first = (lane->first + 1) % EP_LANE_DEPTH;
    lane->count--;
  } else if (st == EP_OK) {
    lane->finished = true;
  }
  if (st == EP_AGAIN)
    st = ep_fail(&err, "invalid", "a %s cannot work on another thread",
                 lane->inner->type->name);
  if (st == EP_ERR) {
    lane->failed = true;
    lane->err = err;
  }
}

static bool run(struct ep_job *job)
{
  struct lane *lane = (struct lane *)((char *)job - offsetof(struct lane, job));
  bool more;
  pthread_mutex_lock(&lane->lock);
  if (has_work(lane)) {
    work_once(lane);
    if (lane->failed || lane->finished || lane->count <= EP_LANE_DEPTH / 2)
      wake(lane);
  }
  more = has_work(lane);
  pthread_mutex_unlock(&lane->lock);
  return more;
}

static enum ep_status lane_write(struct ep_sink *s, const struct ep_span *span,
                                 size_t *taken, struct ep_err *err)
{
  struct lane *lane = (struct lane *)s;
  struct ep_span kept = *span;
  pthread_mutex_lock(&lane->lock);
  if (lane->failed) {
    *err = lane->err;
    pthread_mutex_unlock(&lane->lock);
    return EP_ERR;
  }
  if (lane->count == EP_LANE_DEPTH) {
    pthread_mutex_unlock(&lane->lock);
    return EP_AGAIN;
  }
  if (kept.block) {
    (void)ep_retain(kept.block);
  } else {
    if (kept.n > EP_BLOCK_SIZE)
      kept.n = EP_BLOCK_SIZE;
    kept.block = ep_block_new(s->obj.host, kept.n);
    if (!kept.block) {
      pthread_mutex_unlock(&lane->lock);
      return ep_fail_memory(err);
    }
    memcpy(kept.block->data, span->p, kept.n);
    kept.p = kept.block->data;
  }
  lane->queue[(lane->first + lane->count++) % EP_LANE_DEPTH] = kept;
  *taken = kept.n;
  pthread_mutex_unlock(&lane->lock);
  ep_pool_submit(lane->pool, &lane->job);
  return EP_OK;
}

static enum ep_status lane_finish(struct ep_sink *s, struct ep_err *err)
{
  struct lane *lane = (struct lane *)s;
  enum ep_status st = EP_AGAIN;
  pthread_mutex_lock(&lane->lock);
  lane->finishing = true;
  if (lane->failed) {
    *err = lane->err;
    st = EP_ERR;
  } else if (lane->finished) {
    st = EP_OK;
  }
  pthread_mutex_unlock(&lane->lock);
  if (st == EP_AGAIN)
    ep_pool_submit(lane->pool, &lane->job);
  return st;
}

static void lane_arm(struct ep_sink *s, struct ep_loop *loop, struct ep_task *task)
{
  struct lane *lane = (struct lane *)s;
  pthread_mutex_lock(&lane->lock);
  lane->loop = loop;
  lane->task = NULL;
  if (task && (lane->failed || lane->finished ||
               (!lane->finishing && lane->count <= EP_LANE_DEPTH / 2)))
    ep_loop_ready(loop, task);
  else
    lane->task = task;
  pthread_mutex_unlock(&lane->lock);
}

static void lane_close(struct ep_sink *s)
{
  struct lane *lane = (struct lane *)s;
  ep_pool_retract(lane->pool, &lane->job);
  for (; lane->count > 0; lane->count--) {
    ep_release(lane->queue[lane->first].block);
    lane->first = (lane->first + 1) % EP_LANE_DEPTH;
  }
  ep_sink_drop(lane->inner);
  ep_release(lane->pool);
}

static void lane_destroy(void *self)
{
  struct lane *lane = self;
  ep_sink_close(&lane->base);
  pthread_mutex_destroy(&lane->lock);
}

static const struct ep_sink_type lane_type = {
    .name = "lane",
    .write = lane_write,
    .finish = lane_finish,
    .arm = lane_arm,
    .close = lane_close,
};

bool ep_lane_suits(const struct ep_sink *sink)
{
  return (sink->flags & EP_SINK_WORK) && !sink->type->arm;
}

struct ep_sink *ep_lane_new(struct ep_host *host, struct ep_pool *pool,
                            struct ep_sink *inner, struct ep_err *err)
{
  struct lane *lane = ep_sink_new(host, &lane_type, sizeof *lane, 0);
  if (!lane) {
    (void)ep_fail_memory(err);
    return NULL;
  }
  lane->base.obj.destroy = lane_destroy;
  pthread_mutex_init(&lane->lock, NULL);
  lane->job.run = run;
  lane->inner = ep_sink_adopt(inner);
  lane->pool = ep_retain(pool);
  return &lane->base;
}
