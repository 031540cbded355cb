/* A flow: from a source to a sink, counted, limited, hashed and verified on the way.
**
** The flow holds a reference to its source, sink and loop, and closes source and sink when
** it ends, whichever way. Hashing, and a sink that works (EP_SINK_WORK), run on the loop's
** pool beside the reading. The sink is finished only after size and digest agreed.
*/
#ifndef EP_FLOW_H
#define EP_FLOW_H

#include "gauge.h"
#include "io.h"

#pragma GCC visibility push(hidden)

struct ep_flow;

struct ep_flow_spec {
  struct ep_source *source; /* retained */
  struct ep_sink *sink;     /* retained; NULL for a flow that only hashes */
  struct ep_gauge gauge;    /* size, limit, digest, and what is being moved */
  unsigned algs;            /* bits 1 << enum ep_digest_alg: what to compute */
  bool more;                /* success leaves the sink open for the next flow */
};

struct ep_flow_result {
  int64_t size;
  struct ep_digest digests[EP_DIGEST_ALGS]; /* those asked for; else alg NONE */
};

struct ep_flow *ep_flow_start(struct ep_loop *loop, const struct ep_flow_spec *spec,
                              struct ep_err *err) EP_MUST;
/* EP_AGAIN while it runs; then EP_OK with the result, or EP_ERR, as often as asked. */
enum ep_status ep_flow_result(const struct ep_flow *flow, struct ep_flow_result *result,
                              struct ep_err *err) EP_MUST;
int64_t ep_flow_moved(const struct ep_flow *flow);
void ep_flow_close(struct ep_flow *flow); /* abandons what still runs; idempotent */

#pragma GCC visibility pop
#endif
