#include "shelf.h"

bool ep_block_is_free(const struct ep_block *block)
{
  return atomic_load(&block->obj.refs) == 1;
}

struct ep_block *ep_shelf_block(struct ep_shelf *shelf, struct ep_host *host, size_t cap)
{
  unsigned i;
  for (i = 0; i < EP_SHELF_BLOCKS; i++) {
    struct ep_block *block = shelf->blocks[i];
    if (block && ep_block_is_free(block)) {
      shelf->blocks[i] = NULL;
      return block;
    }
  }
  return ep_block_new(host, cap);
}

void ep_shelf_put(struct ep_shelf *shelf, struct ep_block *block)
{
  unsigned i;
  for (i = 0; i < EP_SHELF_BLOCKS; i++)
    if (!shelf->blocks[i]) {
      shelf->blocks[i] = block;
      return;
    }
  ep_release(block);
}

void ep_shelf_clear(struct ep_shelf *shelf)
{
  unsigned i;
  for (i = 0; i < EP_SHELF_BLOCKS; i++) {
    ep_release(shelf->blocks[i]);
    shelf->blocks[i] = NULL;
  }
}
