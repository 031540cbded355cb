/* Sparse maps: what is accepted can be written anew and means the same. */
#include "base/sparse.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
  if (!ok)
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  const char *map = (const char *)data;
  struct ep_sparse_scan scan, again;
  struct ep_sparse_segment a = {0, 0}, b = {0, 0};
  struct ep_err err;
  enum ep_status st;
  size_t cap = size * 64 + 16, n = 1;
  int64_t sum = 0, end = 0;
  bool sorted = true;
  char *text = malloc(cap);
  check(text != NULL);
  text[0] = '[';
  ep_sparse_scan_init(&scan, map, size);
  while ((st = ep_sparse_scan_next(&scan, &a, &err)) == EP_OK) {
    check(a.offset >= 0 && a.offset <= EP_SPARSE_SIZE_MAX);
    check(a.length >= 0 && a.length <= EP_SPARSE_SIZE_MAX);
    n += (size_t)snprintf(text + n, cap - n, "%s{\"o\":%" PRId64 ",\"l\":%" PRId64 "}",
                          n > 1 ? "," : "", a.offset, a.length);
    sorted = sorted && a.offset >= end;
    end = a.offset + a.length;
    sum += a.length;
  }
  if (st == EP_EOF) {
    bool good = sorted && end <= EP_SPARSE_SIZE_MAX;
    check(ep_sparse_scan_next(&scan, &a, &err) == EP_EOF);
    text[n++] = ']';
    ep_sparse_scan_init(&scan, map, size);
    ep_sparse_scan_init(&again, text, n);
    do {
      st = ep_sparse_scan_next(&scan, &a, &err);
      check(ep_sparse_scan_next(&again, &b, &err) == st);
      check(a.offset == b.offset && a.length == b.length);
    } while (st == EP_OK);
    check((ep_sparse_check(map, size, sum, EP_SPARSE_SIZE_MAX, &err) == EP_OK) == good);
    check(ep_sparse_check(text, n, sum + 1, EP_SPARSE_SIZE_MAX, &err) == EP_ERR);
    if (good) {
      check(ep_sparse_check(map, size, sum, end, &err) == EP_OK);
      check(end == 0 || ep_sparse_check(map, size, sum, end - 1, &err) == EP_ERR);
    }
  } else {
    check(ep_sparse_check(map, size, sum, EP_SPARSE_SIZE_MAX, &err) == EP_ERR);
  }
  free(text);
  return 0;
}
