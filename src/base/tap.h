/* Sinks that look at what passes through them on its way to the next sink. */
#ifndef EP_TAP_H
#define EP_TAP_H

#include "gauge.h"
#include "io.h"

#pragma GCC visibility push(hidden)

/* Counts, limits, hashes and verifies; passes on to `next` (retained; NULL: to nowhere).
** `algs`: bits 1 << enum ep_digest_alg; the algorithm of gauge->expect is added. `finish`
** verifies first and finishes `next` only when all was as promised. */
struct ep_sink *ep_tap_new(struct ep_host *host, const struct ep_gauge *gauge,
                           unsigned algs, struct ep_sink *next,
                           struct ep_err *err) EP_MUST;
int64_t ep_tap_seen(const struct ep_sink *tap);
/* False when that digest was not asked for. */
bool ep_tap_digest(const struct ep_sink *tap, enum ep_digest_alg alg,
                   struct ep_digest *d);
bool ep_is_tap(const struct ep_sink *sink);

/* Leaves out blocks of zeros (dense.c): all of `block` bytes, and the one that is cut short
** by the end. Of what is left there are at most `max` pieces, for which small holes are
** filled again. Where they stood, and how many bytes there were, is known at any time. */
struct ep_sink *ep_dense_new(struct ep_host *host, size_t block, size_t max,
                             struct ep_sink *next, struct ep_err *err) EP_MUST;
const struct ep_extent *ep_dense_extents(const struct ep_sink *dense, size_t *n,
                                         int64_t *size);
bool ep_is_dense(const struct ep_sink *sink);

/* zstd (zstd.c): compress what passes (one frame), or expand it (frames one after another,
** to at most `limit` bytes, -1: any number; a cut frame fails at finish). */
struct ep_sink *ep_zstd_compress(struct ep_host *host, int level, struct ep_sink *next,
                                 struct ep_err *err) EP_MUST;
struct ep_sink *ep_zstd_expand(struct ep_host *host, int64_t limit, struct ep_sink *next,
                               struct ep_err *err) EP_MUST;

#pragma GCC visibility pop
#endif
