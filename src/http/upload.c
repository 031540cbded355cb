/* The request's body, straight from its source into curl's buffer. */
#include "request.h"

#include <stdio.h>

enum { EXPECT_FROM = 1024 * 1024 }; /* as curl has it */

static void on_source(struct ep_task *task, size_t budget)
{
  struct ep_request *req =
      (struct ep_request *)((char *)task - offsetof(struct ep_request, source_task));
  (void)budget;
  ep_pause_resume_send(req);
}

void ep_upload_begin(struct ep_request *req)
{
  req->source_task.run = on_source;
  req->sent = 0;
  req->send_total = req->spec.body ? ep_source_total(req->spec.body) : 0;
}

void ep_upload_end(struct ep_request *req)
{
  if (req->send_paused)
    ep_source_arm(req->spec.body, req->loop, NULL);
  ep_loop_forget(req->loop, &req->source_task);
}

bool ep_upload_expects(const struct ep_request *req)
{
  return req->spec.body && (req->send_total < 0 || req->send_total > EXPECT_FROM);
}

static void all_sent(struct ep_request *req)
{
  if (req->phase == EP_PHASE_SEND)
    req->phase = EP_PHASE_WAIT;
  req->pace.waiting_since = ep_now_ms();
}

size_t ep_upload_read(char *buf, size_t size, size_t count, void *user)
{
  struct ep_request *req = user;
  struct ep_source *body = req->spec.body;
  struct ep_err err;
  size_t cap = size * count, n = 0;
  int64_t left = req->send_total - req->sent;
  if (!body || (req->send_total >= 0 && left == 0))
    return 0;
  if (req->send_total >= 0 && (int64_t)cap > left)
    cap = (size_t)left;
  switch (ep_source_read(body, buf, cap, &n, &err)) {
  case EP_OK:
    req->sent += (int64_t)n;
    if (req->sent == req->send_total)
      all_sent(req);
    return n;
  case EP_AGAIN:
    req->send_paused = true;
    req->pace.held_up = true;
    ep_source_arm(body, req->loop, &req->source_task);
    return CURL_READFUNC_PAUSE;
  case EP_EOF:
    if (req->send_total < 0) {
      all_sent(req);
      return 0;
    }
    ep_request_flaw(req, "truncated", "the body to send ended after %lld of %lld bytes",
                    (long long)req->sent, (long long)req->send_total);
    return CURL_READFUNC_ABORT;
  case EP_ERR:
  default:
    ep_request_flaw(req, err.code, "reading the body to send: %s", err.text);
    return CURL_READFUNC_ABORT;
  }
}

int ep_upload_seek(void *user, curl_off_t offset, int origin)
{
  struct ep_request *req = user;
  struct ep_err err;
  if (offset != 0 || origin != SEEK_SET || !req->spec.body)
    return CURL_SEEKFUNC_FAIL;
  if (ep_source_rewind(req->spec.body, &err) != EP_OK) {
    ep_request_flaw(req, err.code, "sending the body again: %s", err.text);
    return CURL_SEEKFUNC_FAIL;
  }
  req->sent = 0;
  return CURL_SEEKFUNC_OK;
}
