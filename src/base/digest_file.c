/* Hashing a file, also one that is still growing, where it lies. */
#include "digest.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static enum ep_status hash_fd(struct ep_hasher *h, int fd, const char *path,
                              int64_t offset, int64_t *n, struct ep_err *err)
{
  unsigned char *buffer = ep_alloc_raw(EP_BLOCK_SIZE);
  int64_t left = *n;
  ssize_t r = 1;
  if (!buffer)
    return ep_fail_memory(err);
  while (left > 0 && r != 0) {
    size_t want = left < (int64_t)EP_BLOCK_SIZE ? (size_t)left : EP_BLOCK_SIZE;
    r = pread(fd, buffer, want, offset);
    if (r < 0 && errno == EINTR)
      continue;
    if (r < 0)
      break;
    ep_hasher_update(h, buffer, (size_t)r);
    offset += r;
    left -= r;
  }
  *n -= left;
  if (r < 0)
    (void)ep_fail_errno(err, errno, "reading %s", path);
  ep_free(buffer);
  return r < 0 ? EP_ERR : EP_OK;
}

enum ep_status ep_hasher_file(struct ep_hasher *h, const char *path, int64_t offset,
                              int64_t *n, struct ep_err *err)
{
  enum ep_status st;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return ep_fail_errno(err, errno, "opening %s", path);
  st = hash_fd(h, fd, path, offset, n, err);
  (void)close(fd);
  return st;
}
