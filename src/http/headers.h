/* Header lines as a list of names and values, bounded. */
#ifndef EP_HTTP_HEADERS_H
#define EP_HTTP_HEADERS_H

#include "http.h"

#pragma GCC visibility push(hidden)

struct ep_headers {
  struct ep_http_header *v; /* each name and value is one allocation, at .name */
  size_t n, room;
};

/* Copies both; false when out of memory. */
bool ep_headers_add(struct ep_headers *h, const char *name, size_t name_n,
                    const char *value, size_t value_n) EP_MUST;
/* The first one; names compare without case. */
const char *ep_headers_get(const struct ep_headers *h, const char *name);
void ep_headers_clear(struct ep_headers *h);

/* What may be sent: a token as the name and no control character in the value, and no
** name that the engine decides itself. "invalid" with the reason. */
enum ep_status ep_headers_check(const struct ep_http_header *h, bool any_encoding,
                                struct ep_err *err) EP_MUST;
bool ep_token_valid(const char *s);
bool ep_value_valid(const char *s);
/* May this header be shown to another origin than the one it was meant for? */
bool ep_headers_public(const char *name);

#pragma GCC visibility pop
#endif
