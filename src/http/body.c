/* The answer's body: from curl into blocks, and these to whoever reads the source. */
#include "request.h"

#include <string.h>

struct ep_body {
  struct ep_source source;
  struct ep_request *req; /* retained; NULL once closed */
};

/* ---- the backlog ---- */

/* So many bytes can wait to be read. */
#define ROOM (EP_BACKLOG_BLOCKS * EP_BLOCK_SIZE)

static size_t backlog_room(const struct ep_backlog *backlog)
{
  size_t free_blocks = EP_BACKLOG_BLOCKS - backlog->count;
  return free_blocks * EP_BLOCK_SIZE +
         (backlog->count ? EP_BLOCK_SIZE - backlog->end : 0);
}

/* A block behind the last. */
static bool backlog_grow(struct ep_backlog *backlog, struct ep_host *host)
{
  struct ep_block *block = ep_shelf_block(&backlog->spare, host, EP_BLOCK_SIZE);
  if (!block)
    return false;
  backlog->blocks[backlog->count++] = block;
  backlog->end = 0;
  return true;
}

/* For no more than there is room. */
static bool backlog_put(struct ep_backlog *backlog, struct ep_host *host,
                        const char *bytes, size_t n)
{
  while (n > 0) {
    size_t most;
    if ((backlog->count == 0 || backlog->end == EP_BLOCK_SIZE) &&
        !backlog_grow(backlog, host))
      return false;
    most = EP_BLOCK_SIZE - backlog->end < n ? EP_BLOCK_SIZE - backlog->end : n;
    memcpy(backlog->blocks[backlog->count - 1]->data + backlog->end, bytes, most);
    backlog->end += most;
    backlog->n += most;
    bytes += most;
    n -= most;
  }
  return true;
}

/* How much of the first block waits to be read. */
static size_t backlog_first(const struct ep_backlog *backlog)
{
  return (backlog->count > 1 ? EP_BLOCK_SIZE : backlog->end) - backlog->at;
}

/* Lets go of the first block: it is empty, or somebody has taken what is in it. */
static void backlog_shift(struct ep_backlog *backlog)
{
  ep_shelf_put(&backlog->spare, backlog->blocks[0]);
  backlog->count--;
  memmove(backlog->blocks, backlog->blocks + 1,
          backlog->count * sizeof backlog->blocks[0]);
  backlog->at = 0;
}

void ep_backlog_clear(struct ep_backlog *backlog)
{
  while (backlog->count > 0)
    backlog_shift(backlog);
  ep_shelf_clear(&backlog->spare);
  backlog->n = 0;
}

/* ---- curl's side ---- */

size_t ep_body_write(char *bytes, size_t size, size_t n, void *user)
{
  struct ep_request *req = user;
  size_t all = size * n;
  if (!req->head.complete) /* of a 417 that curl answers by itself */
    return all;
  if (req->following) {
    req->drained += all;
    return req->drained <= EP_HTTP_REDIRECT_BODY_MAX ? all : 0;
  }
  if (all > backlog_room(&req->backlog)) {
    req->receive_paused = true;
    req->pace.held_up = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  if (!backlog_put(&req->backlog, req->obj.host, bytes, all)) {
    ep_request_flaw(req, "no_memory", "out of memory");
    return 0;
  }
  req->received += (int64_t)all;
  ep_request_wake(req);
  return all;
}

/* ---- the reader's side ---- */

/* What there is to know before bytes are read: EP_OK when some are there. */
static enum ep_status look(const struct ep_request *req, struct ep_err *err)
{
  if (!req)
    return ep_fail(err, "cancelled", "the body of the answer was closed");
  if (req->backlog.n > 0)
    return EP_OK;
  if (req->phase != EP_PHASE_OVER)
    return EP_AGAIN;
  if (!req->failed)
    return EP_EOF;
  *err = req->err;
  return EP_ERR;
}

static void go_on(struct ep_request *req)
{
  if (req->receive_paused && req->backlog.n <= ROOM / 2)
    ep_pause_resume_receive(req);
}

static enum ep_status body_read(struct ep_source *s, void *buf, size_t cap, size_t *n,
                                struct ep_err *err)
{
  struct ep_request *req = ((struct ep_body *)s)->req;
  enum ep_status st = look(req, err);
  struct ep_backlog *backlog;
  size_t first;
  if (st != EP_OK)
    return st;
  backlog = &req->backlog;
  first = backlog_first(backlog);
  *n = first < cap ? first : cap;
  memcpy(buf, backlog->blocks[0]->data + backlog->at, *n);
  backlog->at += *n;
  backlog->n -= *n;
  if (*n == first)
    backlog_shift(backlog);
  go_on(req);
  return EP_OK;
}

static enum ep_status body_take(struct ep_source *s, struct ep_span *span,
                                struct ep_err *err)
{
  struct ep_request *req = ((struct ep_body *)s)->req;
  enum ep_status st = look(req, err);
  struct ep_backlog *backlog;
  if (st != EP_OK)
    return st;
  backlog = &req->backlog;
  span->block = ep_retain(backlog->blocks[0]);
  span->p = span->block->data + backlog->at;
  span->n = backlog_first(backlog);
  backlog->n -= span->n;
  backlog_shift(backlog);
  go_on(req);
  return EP_OK;
}

static void body_arm(struct ep_source *s, struct ep_loop *loop, struct ep_task *task)
{
  struct ep_request *req = ((struct ep_body *)s)->req;
  (void)loop; /* a request lives on one loop, and its body is read there */
  if (!req)
    return;
  req->reader = task;
  if (req->backlog.n > 0 || req->phase == EP_PHASE_OVER)
    ep_request_wake(req);
}

static int64_t body_total(const struct ep_source *s)
{
  const struct ep_request *req = ((const struct ep_body *)s)->req;
  curl_off_t n = -1;
  if (!req || !req->head.complete || req->following)
    return -1;
  if (strcmp(req->spec.method, "HEAD") == 0)
    return 0;
  if (req->phase == EP_PHASE_OVER)
    return req->failed ? -1 : req->received;
  if (curl_easy_getinfo(req->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &n) != CURLE_OK)
    return -1;
  return n;
}

static void body_close(struct ep_source *s)
{
  struct ep_body *body = (struct ep_body *)s;
  struct ep_request *req = body->req;
  if (!req)
    return;
  body->req = NULL;
  req->reader = NULL;
  ep_request_close(req);
  ep_release(req);
}

static const struct ep_source_type body_type = {
    .name = "response body",
    .read = body_read,
    .take = body_take,
    .arm = body_arm,
    .total = body_total,
    .close = body_close,
};

struct ep_source *ep_request_body(struct ep_request *req, struct ep_err *err)
{
  struct ep_body *body = ep_source_new(req->obj.host, &body_type, sizeof(struct ep_body));
  if (!body) {
    (void)ep_fail_memory(err);
    return NULL;
  }
  body->req = ep_retain(req);
  req->body_taken = true;
  return &body->source;
}

bool ep_request_body_taken(const struct ep_request *req)
{
  return req->body_taken;
}
