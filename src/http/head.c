/* The head of the answer. Interim answers (1xx) are dropped; only the final block counts,
** and what comes after it (trailers) is not looked at. Everything is bounded together.
*/
#include "request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { STATUS_CONTINUE_TO = 200, STATUS_EXPECTATION_FAILED = 417 };

static bool begin_block(struct ep_head *head, const char *line, size_t n)
{
  const char *p = memchr(line, ' ', n);
  size_t left = p ? n - (size_t)(p - line) : 0;
  int i;
  if (left < 4)
    return false;
  ep_headers_clear(&head->headers);
  head->status = 0;
  for (i = 1; i <= 3; i++) {
    if (p[i] < '0' || p[i] > '9')
      return false;
    head->status = head->status * 10 + (p[i] - '0');
  }
  head->open = true;
  head->version = line[5] == '2' ? "2" : n > 8 && line[7] == '0' ? "1.0" : "1.1";
  return head->status >= 100;
}

static bool add_header(struct ep_request *req, char *line, size_t n)
{
  struct ep_head *head = &req->head;
  char *colon = memchr(line, ':', n);
  char *value, *end = line + n;
  char *p;
  if (!colon || colon == line || memchr(line, 0, n)) {
    ep_request_flaw(req, "invalid", "the answer has a malformed header line");
    return false;
  }
  if (head->headers.n == EP_HTTP_HEADERS_MAX) {
    ep_request_flaw(req, "too_large", "the answer has more than %d headers",
                    (int)EP_HTTP_HEADERS_MAX);
    return false;
  }
  for (p = line; p < colon; p++) {
    if (*p >= 'A' && *p <= 'Z')
      *p = (char)(*p - 'A' + 'a');
    if (*p <= ' ' || *p == 0x7f) { /* a folded line begins like this, too */
      ep_request_flaw(req, "invalid", "the answer has a malformed header line");
      return false;
    }
  }
  for (value = colon + 1; value < end && (*value == ' ' || *value == '\t'); value++)
    ;
  while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
    end--;
  if (!ep_headers_add(&head->headers, line, (size_t)(colon - line), value,
                      (size_t)(end - value))) {
    ep_request_flaw(req, "no_memory", "out of memory");
    return false;
  }
  return true;
}

static bool whole_number(const char *s)
{
  int64_t n = 0;
  const char *p;
  for (p = s; *p >= '0' && *p <= '9' && n <= EP_SIZE_MAX / 10; p++)
    n = n * 10 + (*p - '0');
  return p != s && !*p && n <= EP_SIZE_MAX;
}

/* Framing that curl would read in a lenient way. */
static bool framing_is_sound(struct ep_request *req)
{
  const struct ep_headers *h = &req->head.headers;
  const char *length = NULL;
  size_t i;
  for (i = 0; i < h->n; i++) {
    if (strcmp(h->v[i].name, "content-length") == 0) {
      if (!whole_number(h->v[i].value) ||
          (length && strcmp(length, h->v[i].value) != 0)) {
        ep_request_flaw(req, "invalid", "the answer has no sound Content-Length");
        return false;
      }
      length = h->v[i].value;
    } else if (strcmp(h->v[i].name, "transfer-encoding") == 0 &&
               strcasecmp(h->v[i].value, "chunked") != 0 &&
               strcasecmp(h->v[i].value, "identity") != 0) {
      ep_request_flaw(req, "unsupported",
                      "the answer has a Transfer-Encoding that was "
                      "not asked for");
      return false;
    }
  }
  return true;
}

/* Nothing but identity was asked for; a digest is over the bytes as they were stored. An
** error's body is only for people to read, and its status matters more. */
static bool encoding_is_plain(struct ep_request *req)
{
  const struct ep_headers *h = &req->head.headers;
  size_t i;
  if (req->spec.any_encoding || req->head.status >= 300)
    return true;
  for (i = 0; i < h->n; i++)
    if (strcmp(h->v[i].name, "content-encoding") == 0 && h->v[i].value[0] &&
        strcasecmp(h->v[i].value, "identity") != 0) {
      ep_request_flaw(req, "unsupported",
                      "the answer has a Content-Encoding that was not asked for");
      return false;
    }
  return true;
}

/* There are servers that announce chunks in their answer to a HEAD and then send the last of
** them, which whoever uses the connection next would take for an answer. Nobody does. */
static bool forbid_reuse(struct ep_request *req)
{
  const struct ep_headers *h = &req->head.headers;
  CURLcode rc = CURLE_OK;
  size_t i;
  if (strcmp(req->spec.method, "HEAD") != 0)
    return true;
  for (i = 0; i < h->n && rc == CURLE_OK; i++)
    if (strcmp(h->v[i].name, "transfer-encoding") == 0)
      rc = curl_easy_setopt(req->easy, CURLOPT_FORBID_REUSE, 1L);
  if (rc != CURLE_OK)
    ep_request_flaw(req, "internal", "%s", curl_easy_strerror(rc));
  return rc == CURLE_OK;
}

static bool end_block(struct ep_request *req)
{
  struct ep_head *head = &req->head;
  head->open = false;
  if (head->status < STATUS_CONTINUE_TO) {
    if (head->status == 101) {
      ep_request_flaw(req, "invalid", "the server switched to another protocol");
      return false;
    }
    /* whatever ruled before the interim answer rules again */
    req->phase = req->send_total < 0 || req->sent < req->send_total ? EP_PHASE_SEND
                                                                    : EP_PHASE_WAIT;
    return true;
  }
  if (head->status == STATUS_EXPECTATION_FAILED && !head->refused &&
      ep_upload_expects(req)) {
    head->refused = true; /* curl sends the request again without the expectation */
    return true;
  }
  if (!framing_is_sound(req) || !encoding_is_plain(req) || !forbid_reuse(req))
    return false;
  head->complete = true;
  req->following = ep_redirect_wanted(req);
  /* curl stops sending when the server has refused, but a paused body keeps it waiting */
  if (head->status >= 300)
    ep_pause_resume_send(req);
  ep_request_wake(req);
  return true;
}

size_t ep_head_line(char *line, size_t size, size_t n, void *user)
{
  struct ep_request *req = user;
  struct ep_head *head = &req->head;
  size_t all = size * n, len = all;
  bool fine;
  head->bytes += all;
  if (head->bytes > EP_HTTP_HEAD_MAX) {
    ep_request_flaw(req, "too_large", "the answer's headers exceed %d bytes",
                    (int)EP_HTTP_HEAD_MAX);
    return 0;
  }
  req->phase = EP_PHASE_RECEIVE;
  if (head->complete)
    return all;
  while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
    len--;
  if (!head->open) {
    fine = len > 8 && memcmp(line, "HTTP/", 5) == 0 && begin_block(head, line, len);
    if (!fine)
      ep_request_flaw(req, "invalid", "the answer has a malformed status line");
  } else if (len == 0) {
    fine = end_block(req);
  } else {
    fine = add_header(req, line, len);
  }
  return fine ? all : 0;
}
