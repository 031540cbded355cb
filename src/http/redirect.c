/* Redirects, followed by hand under one rule.
**
** What was meant for one origin (scheme, host and port) stays there: once a redirect
** leads to another one, the credential and every header that is not on the short list of
** ep_headers_public are left behind, and they do not come back with a later hop. Never
** from https to http, never with a user name, and a method that changes something is only
** repeated when the server says that it stays the same (307, 308).
*/
#include "request.h"

#include <string.h>

static bool is_read(const char *method)
{
  return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

static const char *location(const struct ep_request *req)
{
  return ep_headers_get(&req->head.headers, "location");
}

bool ep_redirect_wanted(const struct ep_request *req)
{
  int limit = req->spec.redirects;
  if (limit == 0 || !location(req))
    return false;
  switch (req->head.status) {
  case 307:
  case 308:
    return true;
  case 301:
  case 302:
  case 303:
    return is_read(req->spec.method);
  default:
    return false;
  }
}

enum ep_status ep_redirect_follow(struct ep_request *req, struct ep_err *err)
{
  const char *method = req->spec.method;
  struct ep_url next;
  struct ep_err why;
  if (req->redirects >= req->spec.redirects)
    return ep_fail(err, "invalid", "%s %s: more than %d redirects", method,
                   req->url.shown, req->spec.redirects);
  if (ep_url_parse(&next, req->url.text, location(req), &why) != EP_OK)
    return ep_fail_because(err, &why, "%s %s: following a redirect", method,
                           req->url.shown);
  if (req->url.https && !next.https) {
    (void)ep_fail(err, "denied", "%s %s: a redirect from https to %s is not followed",
                  method, req->url.shown, next.origin);
    ep_url_free(&next);
    return EP_ERR;
  }
  if (req->spec.body && ep_source_rewind(req->spec.body, &why) != EP_OK) {
    (void)ep_fail_because(err, &why, "%s %s: sending the body again after a redirect",
                          method, req->url.shown);
    ep_url_free(&next);
    return EP_ERR;
  }
  req->trusted = req->trusted && strcmp(req->url.origin, next.origin) == 0;
  req->redirects++;
  ep_url_free(&req->url);
  req->url = next;
  return EP_OK;
}
