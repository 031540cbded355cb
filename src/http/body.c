/* The answer's body: from curl into a ring, from the ring to whoever reads the source. */
#include "request.h"

#include <string.h>

struct ep_body {
  struct ep_source source;
  struct ep_request *req; /* retained; NULL once closed */
};

/* ---- curl's side ---- */

static void ring_put(struct ep_ring *ring, const char *bytes, size_t n)
{
  size_t end = (ring->at + ring->n) % EP_HTTP_RING_SIZE;
  size_t first = EP_HTTP_RING_SIZE - end;
  if (first > n)
    first = n;
  memcpy(ring->data + end, bytes, first);
  memcpy(ring->data, bytes + first, n - first);
  ring->n += n;
}

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
  if (!req->ring.data) {
    req->ring.data = ep_alloc_raw(EP_HTTP_RING_SIZE);
    if (!req->ring.data) {
      ep_request_flaw(req, "no_memory", "out of memory");
      return 0;
    }
  }
  if (all > EP_HTTP_RING_SIZE - req->ring.n) {
    req->receive_paused = true;
    req->pace.held_up = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  ring_put(&req->ring, bytes, all);
  req->received += (int64_t)all;
  ep_request_wake(req);
  return all;
}

/* ---- the reader's side ---- */

static size_t ring_take(struct ep_ring *ring, unsigned char *buf, size_t cap)
{
  size_t n = ring->n < cap ? ring->n : cap;
  size_t first = EP_HTTP_RING_SIZE - ring->at;
  if (first > n)
    first = n;
  memcpy(buf, ring->data + ring->at, first);
  memcpy(buf + first, ring->data, n - first);
  ring->n -= n;
  /* from the start whenever it is empty: a reader that keeps up stays in the cache */
  ring->at = ring->n ? (ring->at + n) % EP_HTTP_RING_SIZE : 0;
  return n;
}

static enum ep_status body_read(struct ep_source *s, void *buf, size_t cap, size_t *n,
                                struct ep_err *err)
{
  struct ep_request *req = ((struct ep_body *)s)->req;
  if (!req)
    return ep_fail(err, "cancelled", "the body of the answer was closed");
  if (req->ring.n > 0) {
    *n = ring_take(&req->ring, buf, cap);
    if (req->receive_paused && req->ring.n <= EP_HTTP_RING_SIZE / 2)
      ep_pause_resume_receive(req);
    return EP_OK;
  }
  if (req->phase != EP_PHASE_OVER)
    return EP_AGAIN;
  if (!req->failed)
    return EP_EOF;
  *err = req->err;
  return EP_ERR;
}

static void body_arm(struct ep_source *s, struct ep_loop *loop, struct ep_task *task)
{
  struct ep_request *req = ((struct ep_body *)s)->req;
  (void)loop; /* a request lives on one loop, and its body is read there */
  if (!req)
    return;
  req->reader = task;
  if (req->ring.n > 0 || req->phase == EP_PHASE_OVER)
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
