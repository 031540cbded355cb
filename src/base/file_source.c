/* Ranges of regular files as sources. Read with an offset of their own, so that many can
** share a descriptor. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_MAX_SHOWN = 256 };

struct range_source {
  struct ep_source base;
  int fd;
  void *owner; /* keeps fd open; NULL: this source owns it */
  int64_t first, at, end;
  char name[NAME_MAX_SHOWN];
};

static enum ep_status range_read(struct ep_source *s, void *buf, size_t cap, size_t *n,
                                 struct ep_err *err)
{
  struct range_source *r = (struct range_source *)s;
  int64_t left = r->end - r->at;
  ssize_t got;
  if (left == 0)
    return EP_EOF;
  if ((int64_t)cap > left)
    cap = (size_t)left;
  do
    got = pread(r->fd, buf, cap, r->at);
  while (got < 0 && errno == EINTR);
  if (got < 0)
    return ep_fail_errno(err, errno, "reading %s", r->name);
  if (got == 0)
    return ep_fail(err, "truncated", "%s became shorter while it was read", r->name);
  r->at += got;
  *n = (size_t)got;
  return EP_OK;
}

static enum ep_status range_rewind(struct ep_source *s, struct ep_err *err)
{
  struct range_source *r = (struct range_source *)s;
  (void)err;
  r->at = r->first;
  return EP_OK;
}

static int64_t range_total(const struct ep_source *s)
{
  const struct range_source *r = (const struct range_source *)s;
  return r->end - r->first;
}

static struct ep_source *range_slice(const struct ep_source *s, int64_t offset, int64_t n,
                                     struct ep_err *err)
{
  const struct range_source *r = (const struct range_source *)s;
  struct ep_source *part;
  int fd = r->owner ? r->fd : fcntl(r->fd, F_DUPFD_CLOEXEC, 0);
  if (fd < 0) {
    (void)ep_fail_errno(err, errno, "opening %s once more", r->name);
    return NULL;
  }
  part = ep_source_range(s->obj.host, fd, r->owner, r->name, r->first + offset, n);
  if (!part) {
    (void)ep_fail_memory(err);
    if (!r->owner)
      (void)close(fd);
  }
  return part;
}

static void range_close(struct ep_source *s)
{
  struct range_source *r = (struct range_source *)s;
  if (r->owner)
    ep_release(r->owner);
  else if (r->fd >= 0)
    (void)close(r->fd);
  r->owner = NULL;
  r->fd = -1;
}

static const struct ep_source_type range_type = {
    .name = "file",
    .read = range_read,
    .rewind = range_rewind,
    .total = range_total,
    .slice = range_slice,
    .close = range_close,
};

struct ep_source *ep_source_range(struct ep_host *host, int fd, void *owner,
                                  const char *name, int64_t offset, int64_t n)
{
  struct range_source *r = ep_source_new(host, &range_type, sizeof *r);
  if (!r)
    return NULL;
  r->fd = fd;
  r->owner = owner ? ep_retain(owner) : NULL;
  r->first = r->at = offset;
  r->end = offset + n;
  memcpy(r->name, name, strnlen(name, sizeof r->name - 1));
  return &r->base;
}

struct ep_source *ep_source_file(struct ep_host *host, const char *path, int64_t offset,
                                 int64_t n, struct ep_err *err)
{
  struct ep_source *s = NULL;
  struct stat st;
  /* non-blocking, so that a fifo in the place of a file does not hang */
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    (void)ep_fail_errno(err, errno, "opening %s", path);
    return NULL;
  }
  if (fstat(fd, &st) < 0)
    (void)ep_fail_errno(err, errno, "reading %s", path);
  else if (!S_ISREG(st.st_mode))
    (void)ep_fail(err, "invalid", "%s is not a regular file", path);
  else if (offset > st.st_size || (n >= 0 && n > st.st_size - offset))
    (void)ep_fail(err, "invalid", "%s has no such range", path);
  else if (!(s = ep_source_range(host, fd, NULL, path, offset,
                                 n >= 0 ? n : st.st_size - offset)))
    (void)ep_fail_memory(err);
  if (!s)
    (void)close(fd);
  else
    (void)posix_fadvise(fd, offset, n >= 0 ? n : 0, POSIX_FADV_SEQUENTIAL);
  return s;
}
