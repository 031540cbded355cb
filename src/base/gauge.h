/* How much may pass, and whether what passed is what was promised. */
#ifndef EP_GAUGE_H
#define EP_GAUGE_H

#include "digest.h"

#pragma GCC visibility push(hidden)

enum { EP_GAUGE_WHAT_MAX = 128 };

struct ep_gauge {
  int64_t size;            /* exactly this many bytes; -1: any number */
  int64_t limit;           /* at most this many; -1: no limit */
  struct ep_digest expect; /* alg NONE: any */
  int64_t seen;
  char what[EP_GAUGE_WHAT_MAX]; /* for messages */
};

/* Counts `n` more bytes, or fails before they pass. */
enum ep_status ep_gauge_admit(struct ep_gauge *g, size_t n, struct ep_err *err) EP_MUST;
/* The end has come: is it where it should be? */
enum ep_status ep_gauge_end(const struct ep_gauge *g, struct ep_err *err) EP_MUST;
/* Is the digest the expected one? `d` may be of another algorithm: then it says nothing. */
enum ep_status ep_gauge_verify(const struct ep_gauge *g, const struct ep_digest *d,
                               struct ep_err *err) EP_MUST;

#pragma GCC visibility pop
#endif
