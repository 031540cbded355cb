/* The life of a request: from what was asked, hop by hop, to its one end. */
#include "request.h"

#include <stdio.h>
#include <string.h>

enum { METHOD_MAX = 32, HEADERS_OUT_MAX = 64, REDIRECTS_READ = 5 };

/* ---- the end ---- */

static void hop_end(struct ep_request *req)
{
  ep_pace_end(req);
  ep_upload_end(req);
  ep_pause_end(req);
  if (req->easy)
    ep_http_remove(req->http, req->easy);
  ep_transfer_free(req);
}

void ep_request_wake(struct ep_request *req)
{
  struct ep_task *reader = req->reader;
  req->reader = NULL;
  if (reader)
    ep_loop_ready(req->loop, reader);
}

static void finish(struct ep_request *req)
{
  struct ep_http *http = req->http;
  hop_end(req);
  req->phase = EP_PHASE_OVER;
  if (!http)
    return;
  req->http = NULL;
  if (req->next)
    req->next->prev = req->prev;
  if (req->prev)
    req->prev->next = req->next;
  else
    http->running = req->next;
  ep_release(http);
  ep_source_drop(req->spec.body);
  req->spec.body = NULL;
  ep_request_wake(req);
}

void ep_request_flaw(struct ep_request *req, const char *code, const char *fmt, ...)
{
  char text[sizeof req->err.text];
  va_list ap;
  if (req->failed)
    return;
  va_start(ap, fmt);
  (void)vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  req->failed = true;
  (void)ep_fail(&req->err, code, "%s %s: %s", req->spec.method, req->url.shown, text);
}

void ep_request_failed(struct ep_request *req, const struct ep_err *why)
{
  if (!req->failed)
    req->err = *why;
  req->failed = true;
  finish(req);
}

/* ---- hops ---- */

static enum ep_status hop_begin(struct ep_request *req, struct ep_err *err)
{
  ep_headers_clear(&req->head.headers);
  memset(&req->head, 0, sizeof req->head);
  memset(req->curl_text, 0, sizeof req->curl_text);
  req->following = false;
  req->drained = 0;
  req->phase = EP_PHASE_CONNECT;
  ep_upload_begin(req);
  if (ep_transfer_setup(req, err) != EP_OK) {
    ep_transfer_free(req);
    return EP_ERR;
  }
  if (ep_http_add(req->http, req->easy, err) != EP_OK) {
    ep_transfer_free(req);
    return EP_ERR;
  }
  ep_pace_begin(req);
  return EP_OK;
}

void ep_request_over(struct ep_request *req, CURLcode rc)
{
  struct ep_err err;
  /* a redirect counts when its head is here; what becomes of its body does not matter */
  if (req->following && !req->failed) {
    hop_end(req);
    if (ep_redirect_follow(req, &err) != EP_OK || hop_begin(req, &err) != EP_OK)
      ep_request_failed(req, &err);
    return;
  }
  if (rc == CURLE_OK && req->head.refused)
    req->head.complete = true;               /* a 417 that curl had to leave at that */
  if (rc == CURLE_OK && !req->head.complete) /* curl does not mind a lost end of a head */
    ep_request_flaw(req, "truncated", "the answer broke off in its head");
  if (rc == CURLE_OK && !req->failed) {
    finish(req);
    return;
  }
  ep_failure_describe(req, rc, &err);
  ep_request_failed(req, &err);
}

/* ---- the beginning ---- */

void ep_request_defaults(struct ep_request_spec *spec)
{
  memset(spec, 0, sizeof *spec);
  spec->method = "GET";
  spec->redirects = -1;
  spec->connect_timeout = 15 * 1000;
  spec->header_timeout = 60 * 1000;
  spec->low_speed_limit = 1024;
  spec->low_speed_time = 60 * 1000;
}

static enum ep_status check(const struct ep_request_spec *spec, struct ep_err *err)
{
  size_t i;
  if (!ep_token_valid(spec->method) || strlen(spec->method) > METHOD_MAX ||
      strcmp(spec->method, "CONNECT") == 0)
    return ep_fail(err, "invalid", "not a method of HTTP");
  if (spec->headers_n > HEADERS_OUT_MAX)
    return ep_fail(err, "invalid", "more than %d headers to send", (int)HEADERS_OUT_MAX);
  for (i = 0; i < spec->headers_n; i++)
    if (ep_headers_check(&spec->headers[i], spec->any_encoding, err) != EP_OK)
      return EP_ERR;
  if (spec->authorization && !ep_value_valid(spec->authorization))
    return ep_fail(err, "invalid", "authorization: control characters are refused");
  if (spec->user_agent && !ep_value_valid(spec->user_agent))
    return ep_fail(err, "invalid", "user_agent: control characters are refused");
  if (spec->connect_timeout <= 0 || spec->header_timeout <= 0 ||
      spec->low_speed_time <= 0)
    return ep_fail(err, "invalid", "a time limit must be more than nothing");
  if (spec->body &&
      (strcmp(spec->method, "GET") == 0 || strcmp(spec->method, "HEAD") == 0))
    return ep_fail(err, "invalid", "a %s has no body", spec->method);
  return EP_OK;
}

static const char **own_strings(struct ep_request_spec *spec, size_t i)
{
  const char **fields[] = {&spec->method,      &spec->authorization, &spec->ca_file,
                           &spec->client_cert, &spec->client_key,    &spec->proxy,
                           &spec->user_agent};
  return i < sizeof fields / sizeof fields[0] ? fields[i] : NULL;
}

static bool keep_spec(struct ep_request *req, const struct ep_request_spec *spec)
{
  bool kept = true;
  const char **s;
  size_t i;
  req->spec = *spec;
  req->spec.url = NULL;
  req->spec.headers = NULL;
  req->spec.headers_n = 0;
  req->spec.body = NULL;
  for (i = 0; (s = own_strings(&req->spec, i)) != NULL; i++)
    if (*s) {
      *s = ep_strndup(*s, strlen(*s));
      kept = kept && *s;
    }
  for (i = 0; kept && i < spec->headers_n; i++)
    kept = ep_headers_add(&req->headers, spec->headers[i].name,
                          strlen(spec->headers[i].name), spec->headers[i].value,
                          strlen(spec->headers[i].value));
  if (req->spec.redirects < 0)
    req->spec.redirects =
        strcmp(spec->method, "GET") == 0 || strcmp(spec->method, "HEAD") == 0
            ? REDIRECTS_READ
            : 0;
  return kept;
}

static void request_destroy(void *self)
{
  struct ep_request *req = self;
  const char **s;
  size_t i;
  ep_request_close(req);
  for (i = 0; (s = own_strings(&req->spec, i)) != NULL; i++)
    ep_free((char *)*s);
  ep_headers_clear(&req->headers);
  ep_headers_clear(&req->head.headers);
  ep_url_free(&req->url);
  ep_release(req->loop);
}

static enum ep_status begin(struct ep_request *req, const struct ep_request_spec *spec,
                            struct ep_err *err)
{
  if (ep_url_parse(&req->url, NULL, spec->url, err) != EP_OK)
    return EP_ERR;
  if (!keep_spec(req, spec))
    return ep_fail_memory(err);
  if (spec->body && spec->body->type->rewind &&
      ep_source_rewind(spec->body, err) != EP_OK)
    return EP_ERR;
  req->spec.body = spec->body; /* adopted below: a failure leaves it to the caller */
  req->http = ep_http_of(req->loop, err);
  if (!req->http)
    return EP_ERR;
  req->next = req->http->running;
  if (req->next)
    req->next->prev = req;
  req->http->running = req;
  if (hop_begin(req, err) != EP_OK)
    return EP_ERR;
  if (req->spec.body)
    (void)ep_source_adopt(req->spec.body);
  return EP_OK;
}

struct ep_request *ep_request_start(struct ep_loop *loop,
                                    const struct ep_request_spec *spec,
                                    struct ep_err *err)
{
  struct ep_request *req;
  if (check(spec, err) != EP_OK)
    return NULL;
  req = ep_obj_new(ep_loop_host(loop), EP_KIND_REQUEST, sizeof *req, request_destroy);
  if (!req) {
    (void)ep_fail_memory(err);
    return NULL;
  }
  req->loop = ep_retain(loop);
  req->trusted = true;
  ep_pause_init(req);
  if (begin(req, spec, err) != EP_OK) {
    req->spec.body = NULL;
    ep_release(req);
    return NULL;
  }
  return req;
}

/* ---- what is asked of it ---- */

enum ep_status ep_request_response(const struct ep_request *req, struct ep_response *r,
                                   struct ep_err *err)
{
  if (!req->head.complete || req->following) {
    if (!req->failed)
      return EP_AGAIN;
    *err = req->err;
    return EP_ERR;
  }
  r->status = req->head.status;
  r->redirects = req->redirects;
  r->url = req->url.text;
  r->version = req->head.version;
  r->headers = req->head.headers.v;
  r->headers_n = req->head.headers.n;
  return EP_OK;
}

const char *ep_request_header(const struct ep_request *req, const char *name)
{
  if (!req->head.complete || req->following)
    return NULL;
  return ep_headers_get(&req->head.headers, name);
}

int64_t ep_request_sent(const struct ep_request *req)
{
  return req->sent;
}

int64_t ep_request_received(const struct ep_request *req)
{
  return req->received;
}

void ep_request_close(struct ep_request *req)
{
  struct ep_err err;
  /* what was received and not read is lost, and its reader must not take that for the end */
  if (req->phase != EP_PHASE_OVER || req->http || req->backlog.n > 0) {
    (void)ep_fail(&err, "cancelled", "the request was closed");
    ep_request_failed(req, &err);
  }
  ep_backlog_clear(&req->backlog);
}
