#include "relay.h"

#include "loop.h"

enum state {
  FLOWS,
  BROKEN, /* `err` says why */
  FAILED, /* for good */
  OVER    /* read to its end, or closed */
};

struct ep_relay {
  struct ep_obj obj;
  enum state state;
  struct ep_source *now; /* adopted; there while it flows */
  struct ep_loop *loop;  /* where the reader waits, retained; NULL: it does not */
  struct ep_task *reader;
  int64_t seen, skip, total;
  struct ep_err err;
  bool taken, left; /* left: by who fed it */
};

struct relay_end {
  struct ep_source source;
  struct ep_relay *relay; /* retained */
};

static void drop(struct ep_relay *relay, enum state state)
{
  ep_source_drop(relay->now);
  relay->now = NULL;
  relay->state = state;
}

static enum ep_status read_now(struct ep_relay *relay, void *buf, size_t cap, size_t *n)
{
  enum ep_status st = EP_OK;
  while (st == EP_OK && relay->skip > 0) {
    size_t most = relay->skip < (int64_t)cap ? (size_t)relay->skip : cap;
    st = ep_source_read(relay->now, buf, most, n, &relay->err);
    relay->skip -= st == EP_OK ? (int64_t)*n : 0;
  }
  return st == EP_OK ? ep_source_read(relay->now, buf, cap, n, &relay->err) : st;
}

static enum ep_status take_now(struct ep_relay *relay, struct ep_span *span)
{
  enum ep_status st;
  for (;;) {
    st = ep_source_take(relay->now, span, &relay->err);
    if (st != EP_OK || (int64_t)span->n > relay->skip)
      break;
    relay->skip -= (int64_t)span->n;
    ep_release(span->block);
  }
  if (st == EP_OK) {
    span->p += relay->skip;
    span->n -= (size_t)relay->skip;
    relay->skip = 0;
  }
  return st;
}

/* What a read of `n` bytes that came to `st` means for the relay, and for its reader. */
static enum ep_status judge(struct ep_relay *relay, enum ep_status st, size_t n,
                            struct ep_err *err)
{
  if (st == EP_EOF && relay->skip > 0)
    st = ep_fail(&relay->err, "truncated", "what was to go on ended before that place");
  if (st == EP_OK)
    relay->seen += (int64_t)n;
  else if (st == EP_EOF)
    drop(relay, OVER);
  else if (st == EP_ERR)
    drop(relay, relay->left ? FAILED : BROKEN);
  if (relay->state != FAILED)
    return st == EP_ERR ? EP_AGAIN : st;
  *err = relay->err;
  return EP_ERR;
}

static enum ep_status relay_read(struct ep_source *s, void *buf, size_t cap, size_t *n,
                                 struct ep_err *err)
{
  struct ep_relay *relay = ((struct relay_end *)s)->relay;
  enum ep_status st = relay->state == FLOWS ? read_now(relay, buf, cap, n) : EP_AGAIN;
  return judge(relay, st, st == EP_OK ? *n : 0, err);
}

/* From a source that has no blocks. */
static enum ep_status fill_block(struct ep_relay *relay, struct ep_span *span)
{
  enum ep_status st = read_now(relay, span->block->data, span->block->cap, &span->n);
  span->p = span->block->data;
  if (st != EP_OK)
    ep_release(span->block);
  return st;
}

static enum ep_status relay_take(struct ep_source *s, struct ep_span *span,
                                 struct ep_err *err)
{
  struct ep_relay *relay = ((struct relay_end *)s)->relay;
  enum ep_status st = EP_AGAIN;
  if (relay->state == FLOWS && relay->now->type->take) {
    st = take_now(relay, span);
  } else if (relay->state == FLOWS) {
    span->block = ep_block_new(relay->obj.host, EP_BLOCK_SIZE);
    if (!span->block) /* the reader's failure: another source would not help */
      return ep_fail_memory(err);
    st = fill_block(relay, span);
  }
  return judge(relay, st, st == EP_OK ? span->n : 0, err);
}

static void relay_arm(struct ep_source *s, struct ep_loop *loop, struct ep_task *task)
{
  struct ep_relay *relay = ((struct relay_end *)s)->relay;
  struct ep_loop *before = relay->loop;
  relay->loop = task ? ep_retain(loop) : NULL;
  relay->reader = task;
  ep_release(before);
  if (relay->now)
    ep_source_arm(relay->now, loop, task);
}

static int64_t relay_total(const struct ep_source *s)
{
  return ((const struct relay_end *)s)->relay->total;
}

static void relay_close(struct ep_source *s)
{
  struct relay_end *end = (struct relay_end *)s;
  relay_arm(s, end->relay->loop, NULL);
  drop(end->relay, OVER);
  ep_release(end->relay);
  end->relay = NULL;
}

static const struct ep_source_type relay_type = {
    .name = "relay",
    .read = relay_read,
    .take = relay_take,
    .arm = relay_arm,
    .total = relay_total,
    .close = relay_close,
};

static void relay_destroy(void *self)
{
  struct ep_relay *relay = self;
  ep_source_drop(relay->now);
}

struct ep_relay *ep_relay_new(struct ep_host *host, struct ep_source *first,
                              int64_t total)
{
  struct ep_relay *relay = ep_obj_new(host, EP_KIND_RELAY, sizeof *relay, relay_destroy);
  if (relay) {
    relay->now = ep_source_adopt(first);
    relay->total = total;
  }
  return relay;
}

struct ep_source *ep_relay_source(struct ep_relay *relay)
{
  struct relay_end *end =
      ep_source_new(relay->obj.host, &relay_type, sizeof(struct relay_end));
  if (!end)
    return NULL;
  end->relay = ep_retain(relay);
  relay->taken = true;
  return &end->source;
}

bool ep_relay_source_taken(const struct ep_relay *relay)
{
  return relay->taken;
}

enum ep_status ep_relay_broken(const struct ep_relay *relay, int64_t *at,
                               struct ep_err *why)
{
  if (relay->state == FLOWS)
    return EP_AGAIN;
  if (relay->state != BROKEN)
    return EP_EOF;
  *at = relay->seen;
  *why = relay->err;
  return EP_OK;
}

/* The reader arms what is there now when it finds that it has to wait again. */
static void wake(struct ep_relay *relay)
{
  if (relay->reader)
    ep_loop_ready(relay->loop, relay->reader);
}

void ep_relay_feed(struct ep_relay *relay, struct ep_source *next, int64_t skip)
{
  relay->now = ep_source_adopt(next);
  relay->skip = skip;
  relay->state = FLOWS;
  wake(relay);
}

void ep_relay_fail(struct ep_relay *relay, const struct ep_err *why)
{
  if (why != &relay->err)
    relay->err = *why;
  relay->state = FAILED;
  wake(relay);
}

void ep_relay_leave(struct ep_relay *relay)
{
  relay->left = true;
  if (relay->state == BROKEN)
    ep_relay_fail(relay, &relay->err);
}
