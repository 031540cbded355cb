/* Blocks that were used and will be used again: new memory has to be made by the kernel, page
** by page, each time. */
#ifndef EP_SHELF_H
#define EP_SHELF_H

#include "io.h"

#pragma GCC visibility push(hidden)

/* What two full lanes and a block being filled can hold at once. */
enum { EP_SHELF_BLOCKS = 6 };

struct ep_shelf {
  struct ep_block *blocks[EP_SHELF_BLOCKS]; /* free when nobody else holds them */
};

bool ep_block_is_free(const struct ep_block *block);
/* One of the shelf that is free, of whatever room, else a new one. The caller's. */
struct ep_block *ep_shelf_block(struct ep_shelf *shelf, struct ep_host *host,
                                size_t cap) EP_MUST;
/* Takes over the caller's reference, also while others have theirs. */
void ep_shelf_put(struct ep_shelf *shelf, struct ep_block *block);
void ep_shelf_clear(struct ep_shelf *shelf);

#pragma GCC visibility pop
#endif
