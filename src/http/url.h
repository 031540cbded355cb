/* An address taken apart once: what to ask for, whom it belongs to, what may be shown. */
#ifndef EP_HTTP_URL_H
#define EP_HTTP_URL_H

#include "../base/ep.h"

#pragma GCC visibility push(hidden)

struct ep_url {
  char *text;   /* as asked for; no fragment, no user */
  char *origin; /* "scheme://host:port" in lower case */
  char *shown;  /* for messages: what follows a '?' may be a key and is left out */
  bool https;
};

/* `base` NULL: the reference must be absolute. Fails with "invalid". */
enum ep_status ep_url_parse(struct ep_url *url, const char *base, const char *ref,
                            struct ep_err *err) EP_MUST;
void ep_url_free(struct ep_url *url);

#pragma GCC visibility pop
#endif
