/* One hop as a curl transfer: every option that matters is set here and nowhere else.
**
** What curl would do on its own account is off: following redirects, cookies, netrc,
** authentication, decoding, alternative services. Roots of trust: curl looks into the
** system's directory of certificates (CURLOPT_CAPATH, its default) beside the file that
** CURLOPT_CAINFO names, so a caller's file is added and does not replace.
*/
#include "request.h"

#include <string.h>

/* What is received before a pause is kept by libcurl and copied once more: not too much. */
enum { RECEIVE_SIZE = 128 * 1024, SEND_SIZE = 256 * 1024 };

static bool is(const char *method, const char *name)
{
  return strcmp(method, name) == 0;
}

static bool add_line(struct curl_slist **list, const char *name, const char *value)
{
  char *line;
  struct curl_slist *longer;
  size_t name_n = strlen(name), value_n = strlen(value);
  line = ep_alloc(name_n + value_n + sizeof ": ");
  if (!line)
    return false;
  memcpy(line, name, name_n);
  /* "Name;" is how curl is told to send a header without a value */
  memcpy(line + name_n, value_n ? ": " : ";", value_n ? 2 : 1);
  memcpy(line + name_n + (value_n ? 2 : 1), value, value_n);
  longer = curl_slist_append(*list, line);
  ep_free(line);
  if (!longer)
    return false;
  *list = longer;
  return true;
}

static bool add_lines(struct ep_request *req)
{
  size_t i;
  for (i = 0; i < req->headers.n; i++) {
    const struct ep_http_header *h = &req->headers.v[i];
    if ((req->trusted || ep_headers_public(h->name)) &&
        !add_line(&req->lines, h->name, h->value))
      return false;
  }
  return !req->trusted || !req->spec.authorization ||
         add_line(&req->lines, "Authorization", req->spec.authorization);
}

static int on_connected(void *user, char *ip, char *local_ip, int port, int local_port)
{
  struct ep_request *req = user;
  (void)ip, (void)local_ip, (void)port, (void)local_port;
  req->phase = req->send_total ? EP_PHASE_SEND : EP_PHASE_WAIT;
  req->pace.waiting_since = ep_now_ms();
  return CURL_PREREQFUNC_OK;
}

static CURLcode set_fixed(CURL *easy)
{
  static const struct {
    CURLoption option;
    long value;
  } fixed[] = {
      {CURLOPT_NOSIGNAL, 1},
      {CURLOPT_NOPROGRESS, 1},
      {CURLOPT_FOLLOWLOCATION, 0},
      {CURLOPT_UNRESTRICTED_AUTH, 0},
      {CURLOPT_NETRC, CURL_NETRC_IGNORED},
      {CURLOPT_HEADEROPT, CURLHEADER_SEPARATE},
      {CURLOPT_SUPPRESS_CONNECT_HEADERS, 1},
      {CURLOPT_HTTP09_ALLOWED, 0},
      {CURLOPT_PATH_AS_IS, 1},
      {CURLOPT_SSL_VERIFYPEER, 1},
      {CURLOPT_SSL_VERIFYHOST, 2},
      {CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2},
      {CURLOPT_TCP_KEEPALIVE, 1},
      {CURLOPT_EXPECT_100_TIMEOUT_MS, 1000},
      {CURLOPT_BUFFERSIZE, RECEIVE_SIZE},
      {CURLOPT_UPLOAD_BUFFERSIZE, SEND_SIZE},
      {CURLOPT_QUICK_EXIT, 1}, /* closing does not wait for a name server */
  };
  CURLcode rc = CURLE_OK;
  size_t i;
  for (i = 0; i < sizeof fixed / sizeof fixed[0] && rc == CURLE_OK; i++)
    rc = curl_easy_setopt(easy, fixed[i].option, fixed[i].value);
  return rc;
}

static CURLcode set_callbacks(struct ep_request *req)
{
  CURL *easy = req->easy;
  CURLcode rc = curl_easy_setopt(easy, CURLOPT_PRIVATE, req);
  rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, req->curl_text);
  rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, ep_head_line);
  rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_HEADERDATA, req);
  rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ep_body_write);
  rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_WRITEDATA, req);
  rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_READFUNCTION, ep_upload_read);
  rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_READDATA, req);
  rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, ep_upload_seek);
  rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_SEEKDATA, req);
  rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
  rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_PREREQDATA, req);
  return rc;
}

static CURLcode set_method(struct ep_request *req)
{
  const char *method = req->spec.method;
  CURL *easy = req->easy;
  CURLcode rc = CURLE_OK;
  bool sends =
      req->spec.body || is(method, "POST") || is(method, "PUT") || is(method, "PATCH");
  if (sends) {
    rc = curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    rc = rc ? rc
            : curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE,
                               (curl_off_t)req->send_total);
    /* a body that cannot be sent twice must not meet a kept connection that has died */
    if (req->spec.body && !req->spec.body->type->rewind)
      rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
  } else if (is(method, "HEAD")) {
    rc = curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  }
  return rc ? rc : curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
}

static CURLcode set_spec(struct ep_request *req)
{
  const struct ep_request_spec *spec = &req->spec;
  const struct {
    CURLoption option;
    const char *value;
  } strings[] = {
      {CURLOPT_URL, req->url.text},
      {CURLOPT_PROTOCOLS_STR, "http,https"},
      {CURLOPT_USERAGENT, spec->user_agent ? spec->user_agent : "epoch"},
      {CURLOPT_PROXY, spec->proxy},
      {CURLOPT_CAINFO, spec->ca_file},
      {CURLOPT_SSLCERT, req->trusted ? spec->client_cert : NULL},
      {CURLOPT_SSLKEY, req->trusted ? spec->client_key : NULL},
  };
  CURLcode rc = CURLE_OK;
  size_t i;
  for (i = 0; i < sizeof strings / sizeof strings[0] && rc == CURLE_OK; i++)
    if (strings[i].value)
      rc = curl_easy_setopt(req->easy, strings[i].option, strings[i].value);
  rc = rc ? rc
          : curl_easy_setopt(req->easy, CURLOPT_CONNECTTIMEOUT_MS,
                             (long)spec->connect_timeout);
  rc = rc ? rc
          : curl_easy_setopt(req->easy, CURLOPT_HTTP_VERSION,
                             spec->version == EP_HTTP_1_1 ? (long)CURL_HTTP_VERSION_1_1
                                                          : (long)CURL_HTTP_VERSION_2TLS);
  return rc ? rc : curl_easy_setopt(req->easy, CURLOPT_HTTPHEADER, req->lines);
}

enum ep_status ep_transfer_setup(struct ep_request *req, struct ep_err *err)
{
  CURLcode rc;
  req->easy = curl_easy_init();
  if (!req->easy || !add_lines(req))
    return ep_fail_memory(err);
  rc = set_fixed(req->easy);
  rc = rc ? rc : set_callbacks(req);
  rc = rc ? rc : set_method(req);
  rc = rc ? rc : set_spec(req);
  if (rc == CURLE_OK)
    return EP_OK;
  if (rc == CURLE_OUT_OF_MEMORY)
    return ep_fail_memory(err);
  return ep_fail(err, "unsupported", "this libcurl cannot do it: %s",
                 curl_easy_strerror(rc));
}

void ep_transfer_free(struct ep_request *req)
{
  struct ep_sigpipe guard;
  if (req->easy) {
    ep_sigpipe_enter(&guard);
    curl_easy_cleanup(req->easy);
    ep_sigpipe_leave(&guard);
    req->easy = NULL;
  }
  curl_slist_free_all(req->lines);
  req->lines = NULL;
}
