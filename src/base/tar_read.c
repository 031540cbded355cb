/* A tar archive from a source: headers through tar_in, data straight to who wants it. */
#include "tar_io.h"

enum { SCRATCH = 16 * 1024 };

/* The longest header is read in one turn; only the zeros after the archive can be more. */
#define NEXT_BUDGET (2 * EP_STEP_BUDGET)
_Static_assert(NEXT_BUDGET > EP_TAR_PAX_MAX + 4 * EP_TAR_BLOCK, "a header must fit");

struct ep_tar_reader {
  struct ep_obj obj;
  struct ep_source *source; /* NULL once closed */
  struct ep_tar_in *in;
  unsigned serial; /* of the entry at hand */
  bool body_due;   /* its body was not asked for */
  bool ended, failed;
  bool yielded; /* the last answer was EP_AGAIN only to let others have their turn */
  struct ep_err failure;
  unsigned char scratch[SCRATCH];
};

struct body {
  struct ep_source base;
  struct ep_tar_reader *reader;
  int64_t total, left;
  unsigned serial;
};

void ep_tar_reader_close(struct ep_tar_reader *r)
{
  if (!r->source)
    return;
  ep_source_drop(r->source);
  r->source = NULL;
}

static void reader_destroy(void *self)
{
  struct ep_tar_reader *r = self;
  ep_tar_reader_close(r);
  ep_tar_in_free(r->in);
}

struct ep_tar_reader *ep_tar_reader_new(struct ep_host *host, struct ep_source *source,
                                        const char *sparse)
{
  struct ep_tar_reader *r =
      ep_obj_new(host, EP_KIND_TAR_READER, sizeof *r, reader_destroy);
  if (!r)
    return NULL;
  r->in = ep_tar_in_new(sparse);
  if (!r->in) {
    ep_release(r);
    return NULL;
  }
  r->source = ep_source_adopt(source);
  return r;
}

static enum ep_status fail(struct ep_tar_reader *r, struct ep_err *err)
{
  if (!r->failed)
    r->failure = *err;
  r->failed = true;
  *err = r->failure;
  return EP_ERR;
}

static enum ep_status usable(struct ep_tar_reader *r, struct ep_err *err)
{
  if (!r->failed && r->source)
    return EP_OK;
  (void)ep_fail(err, "invalid", "the tar reader was closed");
  return fail(r, err);
}

/* Reads up to n bytes of the archive. Its end here is a failure. */
static enum ep_status pull(struct ep_tar_reader *r, void *buf, size_t want, size_t *n,
                           struct ep_err *err)
{
  enum ep_status st = ep_source_read(r->source, buf, want, n, err);
  if (st == EP_EOF && ep_tar_in_eof(r->in, err) != EP_OK)
    st = EP_ERR;
  return st == EP_ERR ? fail(r, err) : st;
}

/* Reads what the machine wants, at most a scratch full, for `next` and `skip`. */
static enum ep_status fill(struct ep_tar_reader *r, size_t *n, struct ep_err *err)
{
  size_t want = ep_tar_in_wants(r->in);
  *n = 0;
  if (want == 0)
    return EP_OK;
  return pull(r, r->scratch, want < SCRATCH ? want : SCRATCH, n, err);
}

void ep_tar_reader_arm(struct ep_tar_reader *r, struct ep_loop *loop,
                       struct ep_task *task)
{
  if (task && (r->yielded || !r->source))
    ep_loop_ready(loop, task);
  else if (r->source)
    ep_source_arm(r->source, loop, task);
}

/* A turn is over though the source has more. */
static enum ep_status yield(struct ep_tar_reader *r)
{
  r->yielded = true;
  return EP_AGAIN;
}

enum ep_status ep_tar_reader_next(struct ep_tar_reader *r,
                                  const struct ep_tar_entry **entry, struct ep_err *err)
{
  size_t moved = 0;
  if (r->ended)
    return EP_EOF;
  if (usable(r, err) != EP_OK)
    return EP_ERR;
  if (ep_tar_reader_left(r) > 0)
    return ep_fail(err, "invalid",
                   "the data of the last entry was neither read nor skipped");
  r->body_due = r->yielded = false;
  while (moved < NEXT_BUDGET) {
    struct ep_tar_event ev;
    size_t n, used;
    enum ep_status st = fill(r, &n, err);
    r->ended = st == EP_EOF;
    if (st != EP_OK)
      return st;
    moved += n;
    /* n is never more than the way to one event, so everything is used */
    if (ep_tar_in_feed(r->in, r->scratch, n, &used, &ev, err) != EP_OK)
      return fail(r, err);
    if (ev.kind == EP_TAR_ENTRY) {
      *entry = ev.entry;
      r->serial++;
      r->body_due = true;
      return EP_OK;
    }
  }
  return yield(r);
}

enum ep_status ep_tar_reader_skip(struct ep_tar_reader *r, struct ep_err *err)
{
  size_t moved = 0;
  if (usable(r, err) != EP_OK)
    return EP_ERR;
  r->yielded = false;
  while (ep_tar_reader_left(r) > 0) {
    size_t n;
    enum ep_status st;
    if (moved >= EP_STEP_BUDGET)
      return yield(r);
    st = fill(r, &n, err);
    if (st != EP_OK)
      return st;
    ep_tar_in_took(r->in, n);
    moved += n;
  }
  return EP_OK;
}

int64_t ep_tar_reader_left(const struct ep_tar_reader *r)
{
  return r->failed || !r->source ? 0 : ep_tar_in_left(r->in);
}

bool ep_tar_reader_has_body(const struct ep_tar_reader *r)
{
  return r->body_due;
}

int64_t ep_tar_reader_offset(const struct ep_tar_reader *r)
{
  return ep_tar_in_offset(r->in);
}

/* ---- the data of one entry ---- */

static enum ep_status body_read(struct ep_source *s, void *buf, size_t cap, size_t *n,
                                struct ep_err *err)
{
  struct body *b = (struct body *)s;
  struct ep_tar_reader *r = b->reader;
  enum ep_status st;
  if (b->left == 0)
    return EP_EOF;
  if (usable(r, err) != EP_OK)
    return EP_ERR;
  if (b->serial != r->serial || b->left != ep_tar_reader_left(r))
    return ep_fail(err, "invalid", "the data of this tar entry was skipped");
  st = pull(r, buf, (uint64_t)b->left < cap ? (size_t)b->left : cap, n, err);
  if (st == EP_OK) {
    ep_tar_in_took(r->in, *n);
    b->left -= (int64_t)*n;
  }
  return st;
}

static void body_arm(struct ep_source *s, struct ep_loop *loop, struct ep_task *task)
{
  struct body *b = (struct body *)s;
  if (b->reader->source && b->serial == b->reader->serial)
    ep_source_arm(b->reader->source, loop, task);
  else if (task)
    ep_loop_ready(loop, task); /* reading fails at once */
}

static int64_t body_total(const struct ep_source *s)
{
  return ((const struct body *)s)->total;
}

static void body_close(struct ep_source *s)
{
  struct body *b = (struct body *)s;
  ep_release(b->reader);
}

static const struct ep_source_type body_type = {
    .name = "tar entry",
    .read = body_read,
    .arm = body_arm,
    .total = body_total,
    .close = body_close,
};

struct ep_source *ep_tar_reader_body(struct ep_tar_reader *r)
{
  struct body *b = ep_source_new(r->obj.host, &body_type, sizeof *b);
  if (!b)
    return NULL;
  b->reader = ep_retain(r);
  b->total = b->left = ep_tar_reader_left(r);
  b->serial = r->serial;
  r->body_due = false;
  return &b->base;
}
