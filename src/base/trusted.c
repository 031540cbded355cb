/* A small file that tells this program what to do: read only when nobody else can have
** written it. What is checked is the open file, so that it cannot be another one by then.
*/
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static enum ep_status check(int fd, const char *path, size_t max, struct ep_err *err)
{
  struct stat st;
  if (fstat(fd, &st) != 0)
    return ep_fail_errno(err, errno, "looking at %s", path);
  if (!S_ISREG(st.st_mode))
    return ep_fail(err, "invalid", "%s is not a file", path);
  if (st.st_uid != 0 && st.st_uid != geteuid())
    return ep_fail(err, "denied",
                   "%s belongs to another user: it must be yours or root's", path);
  if (st.st_mode & (S_IWGRP | S_IWOTH))
    return ep_fail(err, "denied", "others may write %s: chmod go-w it", path);
  if ((uintmax_t)st.st_size > max)
    return ep_fail(err, "too_large", "%s has more than %zu bytes", path, max);
  return EP_OK;
}

static enum ep_status fill(int fd, const char *path, char *buf, size_t max, size_t *n,
                           struct ep_err *err)
{
  ssize_t got;
  *n = 0;
  do {
    got = read(fd, buf + *n, max - *n);
    if (got > 0)
      *n += (size_t)got;
  } while ((got > 0 && *n < max) || (got < 0 && errno == EINTR));
  return got < 0 ? ep_fail_errno(err, errno, "reading %s", path) : EP_OK;
}

enum ep_status ep_fs_read_trusted(const char *path, char *buf, size_t max, size_t *n,
                                  struct ep_err *err)
{
  /* not waiting: a fifo is opened at once, and refused */
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0)
    return ep_fail_errno(err, errno, "opening %s", path);
  enum ep_status st = check(fd, path, max, err);
  if (st == EP_OK)
    st = fill(fd, path, buf, max, n, err);
  close(fd);
  return st;
}
