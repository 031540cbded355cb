/* Sparse maps: which parts of a file with holes were stored.
**
** A map is text, a JSON-style array of {"o":offset,"l":length} in file order. `null` is
** the empty map: that is how a Go program writes the map of a file that is all hole.
*/
#ifndef EP_SPARSE_H
#define EP_SPARSE_H

#include "ep.h"

#pragma GCC visibility push(hidden)

#define EP_SPARSE_SIZE_MAX ((int64_t)1 << 42) /* of the file with its holes */

struct ep_sparse_segment {
  int64_t offset, length;
};

/* Reads a map one segment at a time. Borrows the text. */
struct ep_sparse_scan {
  const char *start, *p, *end;
  enum { EP_SPARSE_BEGIN, EP_SPARSE_FIRST, EP_SPARSE_REST, EP_SPARSE_DONE } at;
};
void ep_sparse_scan_init(struct ep_sparse_scan *scan, const char *map, size_t n);
/* EP_OK with a segment whose numbers are 0 … EP_SPARSE_SIZE_MAX, EP_EOF after the last
** one and nothing behind it, EP_ERR. */
enum ep_status ep_sparse_scan_next(struct ep_sparse_scan *scan,
                                   struct ep_sparse_segment *out,
                                   struct ep_err *err) EP_MUST;

/* Whether `stored` bytes can be the data of a file of `logical` bytes with that map:
** segments sorted, not overlapping, inside the file, their lengths summing up to
** `stored`. */
enum ep_status ep_sparse_check(const char *map, size_t n, int64_t stored, int64_t logical,
                               struct ep_err *err) EP_MUST;

#pragma GCC visibility pop
#endif
