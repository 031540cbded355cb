/* The tap that counts, limits, hashes and verifies. */
#include "tap.h"

struct tap {
  struct ep_sink base;
  struct ep_gauge gauge;
  unsigned algs;
  bool verified;
  struct ep_hasher hashers[EP_DIGEST_ALGS];
  struct ep_sink *next;
};

static enum ep_status tap_write(struct ep_sink *s, const struct ep_span *span,
                                size_t *taken, struct ep_err *err)
{
  struct tap *t = (struct tap *)s;
  struct ep_gauge before = t->gauge;
  unsigned alg;
  /* the limit comes before the bytes are passed on, the hash after it is known how many */
  if (ep_gauge_admit(&t->gauge, span->n, err) != EP_OK)
    return EP_ERR;
  *taken = span->n;
  if (t->next) {
    enum ep_status st = ep_sink_write(t->next, span, taken, err);
    t->gauge.seen = before.seen + (st == EP_OK ? (int64_t)*taken : 0);
    if (st != EP_OK)
      return st;
  }
  for (alg = EP_DIGEST_NONE + 1; alg < EP_DIGEST_ALGS; alg++)
    if (t->algs & 1u << alg)
      ep_hasher_update(&t->hashers[alg], span->p, *taken);
  return EP_OK;
}

static enum ep_status tap_finish(struct ep_sink *s, struct ep_err *err)
{
  struct tap *t = (struct tap *)s;
  struct ep_digest d;
  if (!t->verified) {
    if (ep_gauge_end(&t->gauge, err) != EP_OK)
      return EP_ERR;
    if (ep_tap_digest(s, t->gauge.expect.alg, &d) &&
        ep_gauge_verify(&t->gauge, &d, err) != EP_OK)
      return EP_ERR;
    t->verified = true;
  }
  return t->next ? ep_sink_finish(t->next, err) : EP_OK;
}

static void tap_arm(struct ep_sink *s, struct ep_loop *loop, struct ep_task *task)
{
  struct tap *t = (struct tap *)s;
  if (t->next)
    ep_sink_arm(t->next, loop, task);
}

static void tap_close(struct ep_sink *s)
{
  struct tap *t = (struct tap *)s;
  ep_sink_drop(t->next);
  t->next = NULL;
}

/* Two types, because only what never answers EP_AGAIN may move to a pool thread. */
static const struct ep_sink_type tap_type = {
    .name = "tap",
    .write = tap_write,
    .finish = tap_finish,
    .close = tap_close,
};
static const struct ep_sink_type waiting_tap_type = {
    .name = "tap",
    .write = tap_write,
    .finish = tap_finish,
    .arm = tap_arm,
    .close = tap_close,
};

struct ep_sink *ep_tap_new(struct ep_host *host, const struct ep_gauge *gauge,
                           unsigned algs, struct ep_sink *next, struct ep_err *err)
{
  const struct ep_sink_type *type =
      next && next->type->arm ? &waiting_tap_type : &tap_type;
  struct tap *t = ep_sink_new(host, type, sizeof *t, EP_SINK_WORK);
  unsigned alg;
  if (!t) {
    (void)ep_fail_memory(err);
    return NULL;
  }
  t->gauge = *gauge;
  t->algs = algs;
  if (gauge->expect.alg != EP_DIGEST_NONE)
    t->algs |= 1u << gauge->expect.alg;
  for (alg = EP_DIGEST_NONE + 1; alg < EP_DIGEST_ALGS; alg++)
    if ((t->algs & 1u << alg) &&
        ep_hasher_init(&t->hashers[alg], (enum ep_digest_alg)alg, err) != EP_OK) {
      ep_release(t);
      return NULL;
    }
  t->next = next ? ep_sink_adopt(next) : NULL;
  return &t->base;
}

bool ep_is_tap(const struct ep_sink *sink)
{
  return sink->type == &tap_type || sink->type == &waiting_tap_type;
}

int64_t ep_tap_seen(const struct ep_sink *tap)
{
  return ((const struct tap *)tap)->gauge.seen;
}

bool ep_tap_digest(const struct ep_sink *tap, enum ep_digest_alg alg, struct ep_digest *d)
{
  const struct tap *t = (const struct tap *)tap;
  if (alg == EP_DIGEST_NONE || !(t->algs & 1u << alg))
    return false;
  ep_hasher_digest(&t->hashers[alg], d);
  return true;
}
