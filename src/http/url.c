/* Addresses through curl's own parser, so that what is checked is what is connected to.
 */
#include "url.h"

#include "http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN_MAX = 200 };

/* Printable ASCII only: nothing that could end a header line or move a terminal's cursor.
** Everything else has to be percent-encoded by whoever wrote it. */
static bool plain(const char *s)
{
  size_t n = 0;
  for (; s[n]; n++)
    if ((unsigned char)s[n] < 0x21 || (unsigned char)s[n] > 0x7e || n == EP_HTTP_URL_MAX)
      return false;
  return n > 0;
}

static CURLUcode get(CURLU *u, CURLUPart part, unsigned flags, char **out)
{
  *out = NULL;
  return curl_url_get(u, part, out, flags);
}

static char *compose_origin(const char *scheme, const char *host, const char *port)
{
  size_t n = strlen(scheme) + strlen(host) + strlen(port) + sizeof "://:";
  char *text = ep_alloc(n);
  char *p;
  if (!text)
    return NULL;
  (void)snprintf(text, n, "%s://%s:%s", scheme, host, port);
  for (p = text; *p; p++)
    if (*p >= 'A' && *p <= 'Z')
      *p = (char)(*p - 'A' + 'a');
  return text;
}

static char *compose_shown(const char *text)
{
  size_t n = strcspn(text, "?");
  size_t room = SHOWN_MAX;
  char *shown = ep_alloc(SHOWN_MAX + sizeof "...?...");
  if (shown)
    (void)snprintf(shown, SHOWN_MAX + sizeof "...?...", "%.*s%s%s",
                   (int)(n < room ? n : room), text, n < room ? "" : "...",
                   text[n] ? "?..." : "");
  return shown;
}

static CURLUcode take_apart(CURLU *u, const char *base, const char *ref,
                            struct ep_url *url)
{
  char *scheme = NULL, *host = NULL, *port = NULL, *text = NULL;
  CURLUcode rc = CURLUE_OK;
  if (base)
    rc = curl_url_set(u, CURLUPART_URL, base, CURLU_DISALLOW_USER);
  /* an absolute one goes out as it was written: a signature may cover its dots */
  if (rc == CURLUE_OK)
    rc = curl_url_set(u, CURLUPART_URL, ref,
                      CURLU_DISALLOW_USER | (base ? 0U : CURLU_PATH_AS_IS));
  if (rc == CURLUE_OK)
    rc = curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
  if (rc == CURLUE_OK)
    rc = get(u, CURLUPART_SCHEME, 0, &scheme);
  if (rc == CURLUE_OK)
    rc = get(u, CURLUPART_HOST, 0, &host);
  if (rc == CURLUE_OK)
    rc = get(u, CURLUPART_PORT, CURLU_DEFAULT_PORT, &port);
  if (rc == CURLUE_OK)
    rc = get(u, CURLUPART_URL, 0, &text);
  if (rc == CURLUE_OK && strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
    rc = CURLUE_UNSUPPORTED_SCHEME;
  if (rc == CURLUE_OK) {
    url->https = strcmp(scheme, "https") == 0;
    url->text = ep_strndup(text, strlen(text));
    url->origin = compose_origin(scheme, host, port);
    url->shown = compose_shown(text);
    if (!url->text || !url->origin || !url->shown)
      rc = CURLUE_OUT_OF_MEMORY;
  }
  curl_free(scheme);
  curl_free(host);
  curl_free(port);
  curl_free(text);
  return rc;
}

enum ep_status ep_url_parse(struct ep_url *url, const char *base, const char *ref,
                            struct ep_err *err)
{
  CURLUcode rc;
  CURLU *u;
  memset(url, 0, sizeof *url);
  if (!plain(ref) || (base && !plain(base)))
    return ep_fail(err, "invalid",
                   "a URL must be printable ASCII without spaces, at most %d bytes",
                   (int)EP_HTTP_URL_MAX);
  u = curl_url();
  if (!u)
    return ep_fail_memory(err);
  rc = take_apart(u, base, ref, url);
  curl_url_cleanup(u);
  if (rc == CURLUE_OK)
    return EP_OK;
  ep_url_free(url);
  switch (rc) {
  case CURLUE_OUT_OF_MEMORY:
    return ep_fail_memory(err);
  case CURLUE_USER_NOT_ALLOWED: /* not shown: it may hold a password */
    return ep_fail(err, "invalid", "a URL must not carry a user name or password");
  case CURLUE_UNSUPPORTED_SCHEME:
    return ep_fail(err, "invalid", "only http and https are spoken");
  default:
    return ep_fail(err, "invalid", "not a URL: %s", curl_url_strerror(rc));
  }
}

void ep_url_free(struct ep_url *url)
{
  ep_free(url->text);
  ep_free(url->origin);
  ep_free(url->shown);
  memset(url, 0, sizeof *url);
}

static enum ep_status give(struct ep_url *url, const char *text,
                           char out[EP_HTTP_URL_MAX + 1], struct ep_err *err)
{
  size_t n = strlen(text);
  enum ep_status st = EP_OK;
  if (n <= EP_HTTP_URL_MAX)
    memcpy(out, text, n + 1);
  else
    st = ep_fail(err, "invalid", "the URL exceeds %d bytes", (int)EP_HTTP_URL_MAX);
  ep_url_free(url);
  return st;
}

enum ep_status ep_http_resolve(const char *base, const char *ref,
                               char out[EP_HTTP_URL_MAX + 1], struct ep_err *err)
{
  struct ep_url url;
  if (ep_url_parse(&url, base, ref, err) != EP_OK)
    return EP_ERR;
  return give(&url, url.text, out, err);
}

enum ep_status ep_http_origin(const char *text, char out[EP_HTTP_URL_MAX + 1],
                              struct ep_err *err)
{
  struct ep_url url;
  if (ep_url_parse(&url, NULL, text, err) != EP_OK)
    return EP_ERR;
  return give(&url, url.origin, out, err);
}
