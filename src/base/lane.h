/* A lane: a sink that works on a pool thread, in order, beside whoever writes to it. */
#ifndef EP_LANE_H
#define EP_LANE_H

#include "io.h"
#include "pool.h"

#pragma GCC visibility push(hidden)

/* May this sink work on another thread? */
bool ep_lane_suits(const struct ep_sink *sink);
/* Moves all work of `inner` (retained) to the pool (retained). At most EP_LANE_DEPTH spans
** are under way; then a write answers EP_AGAIN. Until the lane is finished or closed nobody
** else may touch `inner`. Closing waits for the one write that is being done. */
enum { EP_LANE_DEPTH = 4 };
struct ep_sink *ep_lane_new(struct ep_host *host, struct ep_pool *pool,
                            struct ep_sink *inner, struct ep_err *err) EP_MUST;

#pragma GCC visibility pop
#endif
