/* Lists of headers, and the rules for those that are sent. */
#include "headers.h"

#include <string.h>
#include <strings.h>

bool ep_headers_add(struct ep_headers *h, const char *name, size_t name_n,
                    const char *value, size_t value_n)
{
  char *both;
  if (h->n == h->room) {
    size_t room = h->room ? h->room * 2 : 16;
    struct ep_http_header *v = ep_realloc(h->v, room * sizeof *v);
    if (!v)
      return false;
    h->v = v;
    h->room = room;
  }
  both = ep_alloc(name_n + value_n + 2);
  if (!both)
    return false;
  memcpy(both, name, name_n);
  memcpy(both + name_n + 1, value, value_n);
  h->v[h->n].name = both;
  h->v[h->n].value = both + name_n + 1;
  h->n++;
  return true;
}

const char *ep_headers_get(const struct ep_headers *h, const char *name)
{
  size_t i;
  for (i = 0; i < h->n; i++)
    if (strcasecmp(h->v[i].name, name) == 0)
      return h->v[i].value;
  return NULL;
}

void ep_headers_clear(struct ep_headers *h)
{
  size_t i;
  for (i = 0; i < h->n; i++)
    ep_free((char *)h->v[i].name);
  ep_free(h->v);
  memset(h, 0, sizeof *h);
}

bool ep_token_valid(const char *s)
{
  static const char also[] = "!#$%&'*+-.^_`|~";
  const char *p;
  for (p = s; *p; p++)
    if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
          (*p >= '0' && *p <= '9') || strchr(also, *p)))
      return false;
  return p != s;
}

bool ep_value_valid(const char *s)
{
  for (; *s; s++)
    if ((unsigned char)*s < 0x20 || *s == 0x7f)
      return false;
  return true;
}

static bool listed(const char *const *list, const char *name)
{
  for (; *list; list++)
    if (strcasecmp(*list, name) == 0)
      return true;
  return false;
}

enum ep_status ep_headers_check(const struct ep_http_header *h, bool any_encoding,
                                struct ep_err *err)
{
  static const char *const ours[] = {"connection",
                                     "content-length",
                                     "expect",
                                     "host",
                                     "http2-settings",
                                     "keep-alive",
                                     "proxy-authorization",
                                     "proxy-connection",
                                     "te",
                                     "trailer",
                                     "transfer-encoding",
                                     "upgrade",
                                     NULL};
  if (!ep_token_valid(h->name))
    return ep_fail(err, "invalid", "not a name of a header");
  if (!ep_value_valid(h->value))
    return ep_fail(err, "invalid", "header %.64s: control characters are refused",
                   h->name);
  if (listed(ours, h->name))
    return ep_fail(err, "invalid",
                   "header %.64s cannot be set: it follows from the request", h->name);
  if (!any_encoding && strcasecmp(h->name, "accept-encoding") == 0)
    return ep_fail(err, "invalid", "header %.64s needs any_encoding", h->name);
  return EP_OK;
}

bool ep_headers_public(const char *name)
{
  static const char *const fine[] = {"accept",
                                     "content-range",
                                     "content-type",
                                     "if-match",
                                     "if-modified-since",
                                     "if-none-match",
                                     "if-range",
                                     "if-unmodified-since",
                                     "range",
                                     "user-agent",
                                     NULL};
  return listed(fine, name);
}
