/* A tar archive into a sink: headers from tar_out, data straight from who has it. */
#include "tar_io.h"

#include <inttypes.h>
#include <string.h>

/* What is going out. The order is that of the bytes. */
enum place {
  BETWEEN, /* nothing */
  HEAD,    /* the header of an entry */
  DATA,    /* an entry's data: `left` to come, perhaps none */
  PAD,     /* its padding */
  TRAILER, /* the two zero blocks */
  FLUSH,   /* the sink is being finished */
  ENDED
};

struct body {
  struct ep_sink base;
  struct ep_tar_writer *writer;
};

struct ep_tar_writer {
  struct ep_obj obj;
  struct ep_sink *sink; /* NULL once given back */
  struct ep_tar_out *out;
  enum place place;
  struct ep_tar_head head;
  size_t at; /* bytes of the header, padding or trailer that the sink has taken */
  int64_t size, left; /* of the entry at hand */
  struct body *body;  /* borrowed: the one that may write; NULL when there is none */
  bool dead;
  struct ep_err failure;
  char name[EP_TAR_QUOTE_MAX];
};

void ep_tar_writer_arm(struct ep_tar_writer *w, struct ep_loop *loop,
                       struct ep_task *task)
{
  if (w->sink)
    ep_sink_arm(w->sink, loop, task);
  else if (task)
    ep_loop_ready(loop, task); /* writing fails at once */
}

static void give_back(struct ep_tar_writer *w)
{
  if (!w->sink)
    return;
  ep_sink_arm(w->sink, NULL, NULL);
  w->sink->adopted = false;
  ep_release(w->sink);
  w->sink = NULL;
}

static void writer_destroy(void *self)
{
  struct ep_tar_writer *w = self;
  give_back(w);
  ep_tar_out_free(w->out);
}

struct ep_tar_writer *ep_tar_writer_new(struct ep_host *host, struct ep_sink *sink,
                                        const char *sparse)
{
  struct ep_tar_writer *w =
      ep_obj_new(host, EP_KIND_TAR_WRITER, sizeof *w, writer_destroy);
  if (!w)
    return NULL;
  w->out = ep_tar_out_new(sparse);
  if (!w->out) {
    ep_release(w);
    return NULL;
  }
  w->sink = ep_sink_adopt(sink);
  return w;
}

/* The archive cannot be completed any more; every later call says why. */
static enum ep_status die(struct ep_tar_writer *w, struct ep_err *err)
{
  if (!w->dead)
    w->failure = *err;
  w->dead = true;
  *err = w->failure;
  return EP_ERR;
}

static enum ep_status alive(const struct ep_tar_writer *w, struct ep_err *err)
{
  if (!w->dead)
    return EP_OK;
  *err = w->failure;
  return EP_ERR;
}

/* Writes n bytes at p of which w->at have been taken. */
static enum ep_status push(struct ep_tar_writer *w, const unsigned char *p, size_t n,
                           struct ep_err *err)
{
  while (w->at < n) {
    const struct ep_span span = {p + w->at, n - w->at, NULL};
    size_t taken = 0;
    enum ep_status st = ep_sink_write(w->sink, &span, &taken, err);
    if (st == EP_ERR)
      return die(w, err);
    if (st != EP_OK)
      return st;
    w->at += taken;
  }
  w->at = 0;
  return EP_OK;
}

static enum ep_status push_head(struct ep_tar_writer *w, struct ep_err *err)
{
  enum ep_status st;
  if (w->place != HEAD)
    return EP_OK;
  st = push(w, w->head.p, w->head.n, err);
  if (st == EP_OK)
    w->place = DATA;
  return st;
}

/* ---- the data of one entry ---- */

static enum ep_status body_write(struct ep_sink *s, const struct ep_span *span,
                                 size_t *taken, struct ep_err *err)
{
  struct body *b = (struct body *)s;
  struct ep_tar_writer *w = b->writer;
  enum ep_status st = alive(w, err);
  if (st == EP_OK)
    st = push_head(w, err);
  if (st != EP_OK)
    return st;
  if (span->n > (uint64_t)w->left) {
    (void)ep_fail(err, "size_mismatch", "tar entry '%s': more than its %" PRId64 " bytes",
                  w->name, w->size);
    return die(w, err);
  }
  st = ep_sink_write(w->sink, span, taken, err);
  if (st == EP_OK)
    w->left -= (int64_t)*taken;
  return st == EP_ERR ? die(w, err) : st;
}

static enum ep_status body_finish(struct ep_sink *s, struct ep_err *err)
{
  struct body *b = (struct body *)s;
  struct ep_tar_writer *w = b->writer;
  enum ep_status st = alive(w, err);
  if (st == EP_OK)
    st = push_head(w, err);
  if (st != EP_OK)
    return st;
  if (w->left > 0) {
    (void)ep_fail(err, "size_mismatch",
                  "tar entry '%s': %" PRId64 " of its %" PRId64 " bytes are missing",
                  w->name, w->left, w->size);
    return die(w, err);
  }
  w->place = PAD;
  st = push(w, ep_tar_zeros, ep_tar_padding(w->size), err);
  if (st == EP_OK) {
    w->place = BETWEEN;
    w->body = NULL;
  }
  return st;
}

static void body_arm(struct ep_sink *s, struct ep_loop *loop, struct ep_task *task)
{
  ep_tar_writer_arm(((struct body *)s)->writer, loop, task);
}

static void body_close(struct ep_sink *s)
{
  struct body *b = (struct body *)s;
  struct ep_tar_writer *w = b->writer;
  if (w && w->body == b) {
    struct ep_err err;
    (void)ep_fail(&err, "incomplete", "tar entry '%s' was abandoned", w->name);
    (void)die(w, &err);
    w->body = NULL;
  }
  ep_release(w);
}

static const struct ep_sink_type body_type = {
    .name = "tar entry",
    .write = body_write,
    .finish = body_finish,
    .arm = body_arm,
    .close = body_close,
};

/* ---- the archive ---- */

static enum ep_status usable(const struct ep_tar_writer *w, struct ep_err *err)
{
  if (alive(w, err) != EP_OK)
    return EP_ERR;
  if (w->body)
    return ep_fail(err, "invalid", "tar entry '%s' was not finished", w->name);
  return EP_OK;
}

enum ep_status ep_tar_writer_head(struct ep_tar_writer *w,
                                  const struct ep_tar_entry *entry,
                                  struct ep_tar_head *head, struct ep_err *err)
{
  if (usable(w, err) != EP_OK)
    return EP_ERR;
  if (w->place != BETWEEN)
    return ep_fail(err, "invalid", "the end of the archive was begun");
  return ep_tar_out_entry(w->out, entry, head, err);
}

enum ep_status ep_tar_writer_entry(struct ep_tar_writer *w,
                                   const struct ep_tar_entry *entry,
                                   struct ep_sink **body, struct ep_err *err)
{
  struct body *b = ep_sink_new(w->obj.host, &body_type, sizeof *b, 0);
  if (!b)
    return ep_fail_memory(err);
  if (ep_tar_writer_head(w, entry, &w->head, err) != EP_OK) {
    ep_release(b);
    return EP_ERR;
  }
  (void)ep_tar_quote(w->name, entry->name, entry->name_n);
  w->size = w->left = entry->size;
  w->place = HEAD;
  w->at = 0;
  b->writer = ep_retain(w);
  w->body = b;
  *body = &b->base;
  return EP_OK;
}

bool ep_tar_writer_busy(const struct ep_tar_writer *w)
{
  return w->body != NULL;
}

enum ep_status ep_tar_writer_finish(struct ep_tar_writer *w, struct ep_err *err)
{
  enum ep_status st = usable(w, err);
  if (st != EP_OK || w->place == ENDED)
    return st;
  if (w->place == BETWEEN)
    w->place = TRAILER;
  if (w->place == TRAILER) {
    st = push(w, ep_tar_zeros, EP_TAR_TRAILER, err);
    if (st == EP_OK)
      w->place = FLUSH;
  }
  if (w->place == FLUSH) {
    st = ep_sink_finish(w->sink, err);
    if (st == EP_ERR)
      return die(w, err);
  }
  if (st == EP_OK) {
    w->place = ENDED;
    give_back(w);
  }
  return st;
}

enum ep_status ep_tar_writer_poison(struct ep_tar_writer *w,
                                    unsigned char out[EP_TAR_POISON_MAX], size_t *n,
                                    struct ep_err *err)
{
  struct ep_err why;
  switch (w->place) {
  case BETWEEN:
    *n = ep_tar_poison_data(out, 0, 0);
    break;
  case HEAD:
    *n = ep_tar_poison_head(out, &w->head, w->at);
    break;
  case DATA:
    *n = ep_tar_poison_data(out, w->left, ep_tar_padding(w->size));
    break;
  case PAD:
    *n = ep_tar_poison_data(out, 0, ep_tar_padding(w->size) - w->at);
    break;
  case TRAILER:
    *n = ep_tar_poison_trailer(out, w->at);
    break;
  case FLUSH:
  case ENDED:
    return ep_fail(err, "finished",
                   "the end of the archive was written: too late to spoil it");
  }
  (void)ep_fail(&why, "incomplete", "the tar archive was given up");
  (void)die(w, &why);
  give_back(w);
  return EP_OK;
}

void ep_tar_writer_close(struct ep_tar_writer *w)
{
  struct ep_err why;
  (void)ep_fail(&why, "incomplete", "the tar writer was closed");
  (void)die(w, &why);
  give_back(w);
}
