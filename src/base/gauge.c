/* Longer, shorter and different are three different failures. */
#include "gauge.h"

#include <inttypes.h>

enum ep_status ep_gauge_admit(struct ep_gauge *g, size_t n, struct ep_err *err)
{
  if (g->size >= 0 && (int64_t)n > g->size - g->seen)
    return ep_fail(err, "size_mismatch",
                   "%s is longer than the %" PRId64 " bytes that were promised", g->what,
                   g->size);
  if (g->limit >= 0 && (int64_t)n > g->limit - g->seen)
    return ep_fail(err, "too_large",
                   "%s is larger than the %" PRId64 " bytes that are allowed", g->what,
                   g->limit);
  if ((int64_t)n > EP_SIZE_MAX - g->seen)
    return ep_fail(err, "too_large", "%s is larger than 2^53 bytes", g->what);
  g->seen += (int64_t)n;
  return EP_OK;
}

enum ep_status ep_gauge_end(const struct ep_gauge *g, struct ep_err *err)
{
  if (g->size >= 0 && g->seen != g->size)
    return ep_fail(err, "size_mismatch",
                   "%s ended after %" PRId64 " of %" PRId64 " bytes", g->what, g->seen,
                   g->size);
  return EP_OK;
}

enum ep_status ep_gauge_verify(const struct ep_gauge *g, const struct ep_digest *d,
                               struct ep_err *err)
{
  char want[EP_DIGEST_TEXT_MAX], got[EP_DIGEST_TEXT_MAX];
  if (g->expect.alg != d->alg || ep_digest_equal(&g->expect, d))
    return EP_OK;
  ep_digest_format(&g->expect, want);
  ep_digest_format(d, got);
  return ep_fail(err, "digest_mismatch", "%s has the digest %s, not the promised %s",
                 g->what, got, want);
}
