/* What curl reports, as our codes and words.
**
** The codes tell a caller whether trying again makes sense: "unavailable", "timeout" and
** "truncated" are worth it, "tls", "invalid" and the others are not. curl's own words say
** more than its number, but they may quote a proxy's address with its password, and parts
** of them come from the peer: such words are not passed on.
*/
#include "request.h"

#include <stdio.h>
#include <string.h>

enum { WORDS_MAX = 200 };

static void words_of(const struct ep_request *req, CURLcode rc, char out[WORDS_MAX])
{
  const char *from = req->curl_text;
  size_t i;
  if (!from[0] || strchr(from, '@') || strstr(from, "proxy s")) /* …syntax, …scheme */
    from = curl_easy_strerror(rc);
  for (i = 0; i < WORDS_MAX - 1 && from[i]; i++)
    out[i] =
        (unsigned char)from[i] < 0x20 || (unsigned char)from[i] > 0x7e ? '?' : from[i];
  out[i] = 0;
}

static bool says(const struct ep_request *req, const char *what)
{
  return strstr(req->curl_text, what) != NULL;
}

static const char *code_of(const struct ep_request *req, CURLcode rc)
{
  bool body = req->head.complete;
  switch ((int)rc) {
  case CURLE_OUT_OF_MEMORY:
    return "no_memory";
  case CURLE_OPERATION_TIMEDOUT:
    return "timeout";
  case CURLE_PARTIAL_FILE:
    return "truncated";
  case CURLE_HTTP2:
  case CURLE_HTTP2_STREAM:
    return body ? "truncated" : "unavailable";
  case CURLE_SSL_CONNECT_ERROR: /* a handshake that was cut off is a matter of luck */
    return says(req, "SSL_ERROR_SYSCALL") || says(req, "reset by peer") ? "unavailable"
                                                                        : "tls";
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_SSL_ISSUER_ERROR:
  case CURLE_SSL_CIPHER:
  case CURLE_SSL_INVALIDCERTSTATUS:
  case CURLE_USE_SSL_FAILED:
  case CURLE_SSL_ENGINE_NOTFOUND:
  case CURLE_SSL_ENGINE_SETFAILED:
  case CURLE_SSL_CERTPROBLEM: /* files of our own */
  case CURLE_SSL_CACERT_BADFILE:
    return "tls";
  case CURLE_URL_MALFORMAT:
  case CURLE_UNSUPPORTED_PROTOCOL: /* an answer of HTTP/0.9 */
  case CURLE_WEIRD_SERVER_REPLY:
  case CURLE_BAD_CONTENT_ENCODING:
  case CURLE_FILESIZE_EXCEEDED:
    return "invalid";
  case CURLE_RECV_ERROR:
  case CURLE_SEND_ERROR:
    if (says(req, "chunked-encoding"))
      return "invalid";
    if (says(req, "alert")) /* TLS 1.3 refuses a client's certificate this late */
      return "tls";
    if (says(req, "CONNECT tunnel failed, response 4"))
      return "denied";
    return body && says(req, "unexpected eof") ? "truncated" : "unavailable";
  case CURLE_NOT_BUILT_IN:
    return "unsupported";
  default:
    return "unavailable";
  }
}

/* "could not connect to host:port: reason", as curl's words name the proxy when there is
** one and the error number names the reason. */
static bool describe_connect(const struct ep_request *req, struct ep_err *err)
{
  char host[128];
  unsigned port;
  long en = 0;
  if (sscanf(req->curl_text, "Failed to connect to %127s port %u", host, &port) != 2 ||
      strchr(host, '@'))
    return false;
  if (curl_easy_getinfo(req->easy, CURLINFO_OS_ERRNO, &en) != CURLE_OK || en == 0)
    return false;
  (void)ep_fail_errno(err, (int)en, "%s %s: could not connect to %s:%u", req->spec.method,
                      req->url.shown, host, port);
  err->code = "unavailable";
  return true;
}

void ep_failure_describe(const struct ep_request *req, CURLcode rc, struct ep_err *err)
{
  char words[WORDS_MAX];
  if (req->failed) {
    *err = req->err;
    return;
  }
  if (rc == CURLE_COULDNT_CONNECT && describe_connect(req, err))
    return;
  /* curl 7.88 says so for a line that is longer than it takes, too */
  if (rc == CURLE_OUT_OF_MEMORY && !req->head.complete && req->phase >= EP_PHASE_WAIT) {
    (void)ep_fail(err, "too_large", "%s %s: a header of the answer is too long",
                  req->spec.method, req->url.shown);
    return;
  }
  words_of(req, rc, words);
  (void)ep_fail(err, code_of(req, rc), "%s %s: %s", req->spec.method, req->url.shown,
                words);
}
