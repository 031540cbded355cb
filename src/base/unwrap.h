/* A source that takes gzip, zstd or xz off another source, and leaves anything else as it
** is. libarchive does the work on a thread of its own, because its reader has to wait.
*/
#ifndef EP_UNWRAP_H
#define EP_UNWRAP_H

#include "io.h"

#pragma GCC visibility push(hidden)

/* Retains and at the end closes `inner`. What is wrapped is seen from the first bytes. */
struct ep_source *ep_unwrap_new(struct ep_host *host, struct ep_source *inner,
                                struct ep_err *err) EP_MUST;

#pragma GCC visibility pop
#endif
