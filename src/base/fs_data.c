/* What happens to the data of a file that is there: one more name, one more piece, a shorter
** end, on its way to disk. These wait for the disk: they are for threads that may. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COPY_BUFFER = 256 * 1024, COPY_PIECE = 1 << 30 };

enum ep_status ep_fs_link(const char *from, const char *to, struct ep_err *err)
{
  return linkat(AT_FDCWD, from, AT_FDCWD, to, 0) == 0
             ? EP_OK
             : ep_fail_errno(err, errno, "naming %s also %s", from, to);
}

enum ep_status ep_fs_chmod(const char *path, unsigned mode, struct ep_err *err)
{
  return chmod(path, mode) == 0
             ? EP_OK
             : ep_fail_errno(err, errno, "setting the mode of %s", path);
}

/* A regular file, opened; or -1. */
static int open_file(const char *path, int how, struct stat *st, struct ep_err *err)
{
  int fd = open(path, how | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
  if (fd < 0 || fstat(fd, st) < 0) {
    (void)ep_fail_errno(err, errno, "opening %s", path);
  } else if (!S_ISREG(st->st_mode)) {
    (void)ep_fail(err, "invalid", "%s is no regular file", path);
  } else {
    return fd;
  }
  if (fd >= 0)
    (void)close(fd);
  return -1;
}

enum ep_status ep_fs_sync(const char *path, struct ep_err *err)
{
  enum ep_status state = EP_OK;
  struct stat st;
  int fd = open_file(path, O_RDONLY, &st, err);
  if (fd < 0)
    return EP_ERR;
  if (fsync(fd) < 0)
    state = ep_fail_errno(err, errno, "writing %s to disk", path);
  (void)close(fd);
  return state;
}

enum ep_status ep_fs_writeback(const char *path, int64_t offset, int64_t n,
                               struct ep_err *err)
{
  struct stat st;
  int fd = open_file(path, O_RDONLY, &st, err);
  if (fd < 0)
    return EP_ERR;
  /* a hint: where it cannot be given, ep_fs_sync takes longer */
  (void)sync_file_range(fd, offset, n, SYNC_FILE_RANGE_WRITE);
  (void)close(fd);
  return EP_OK;
}

enum ep_status ep_fs_reserve(const char *path, int64_t offset, int64_t n,
                             struct ep_err *err)
{
  struct stat st;
  int fd = open_file(path, O_WRONLY, &st, err);
  if (fd < 0)
    return EP_ERR;
  /* a hint, too: where it cannot be had, who writes finds out */
  (void)fallocate(fd, FALLOC_FL_KEEP_SIZE, offset, n);
  (void)close(fd);
  return EP_OK;
}

enum ep_status ep_fs_truncate(const char *path, int64_t size, struct ep_err *err)
{
  enum ep_status state = EP_OK;
  struct stat st;
  int fd = open_file(path, O_WRONLY, &st, err);
  if (fd < 0)
    return EP_ERR;
  if (st.st_size < size)
    state = ep_fail(err, "size_mismatch", "%s has only %lld bytes, not %lld", path,
                    (long long)st.st_size, (long long)size);
  else if (st.st_size > size && ftruncate(fd, size) < 0)
    state = ep_fail_errno(err, errno, "shortening %s", path);
  (void)close(fd);
  return state;
}

struct copy {
  int from, to;
  const char *from_path, *to_path;
  int64_t at, left; /* what is to come: `left` bytes of `from`, from its `at` on */
  int64_t place;    /* where they go */
};

static void moved(struct copy *copy, ssize_t n)
{
  copy->at += n;
  copy->place += n;
  copy->left -= n;
}

static enum ep_status ended(const struct copy *copy, struct ep_err *err)
{
  return ep_fail(err, "truncated", "%s has become shorter while it was copied",
                 copy->from_path);
}

static enum ep_status write_all(struct copy *copy, const unsigned char *p, size_t n,
                                struct ep_err *err)
{
  while (n > 0) {
    ssize_t w = pwrite(copy->to, p, n, copy->place);
    if (w < 0 && errno == EINTR)
      continue;
    if (w < 0)
      return ep_fail_errno(err, errno, "writing %s", copy->to_path);
    p += w;
    n -= (size_t)w;
    moved(copy, w);
  }
  return EP_OK;
}

static enum ep_status by_hand(struct copy *copy, struct ep_err *err)
{
  unsigned char *buffer = ep_alloc_raw(COPY_BUFFER);
  enum ep_status st = EP_OK;
  if (!buffer)
    return ep_fail_memory(err);
  while (st == EP_OK && copy->left > 0) {
    size_t want = copy->left < COPY_BUFFER ? (size_t)copy->left : COPY_BUFFER;
    ssize_t r = pread(copy->from, buffer, want, copy->at);
    if (r < 0 && errno == EINTR)
      continue;
    st = r < 0    ? ep_fail_errno(err, errno, "reading %s", copy->from_path)
         : r == 0 ? ended(copy, err)
                  : write_all(copy, buffer, (size_t)r, err);
  }
  ep_free(buffer);
  return st;
}

/* Is it that the kernel cannot do it between these two? */
static bool cannot(int en)
{
  return en == EXDEV || en == EINVAL || en == ENOSYS || en == EOPNOTSUPP || en == EPERM;
}

/* The kernel copies, or shares the blocks where the file system can. */
static enum ep_status by_kernel(struct copy *copy, struct ep_err *err)
{
  while (copy->left > 0) {
    size_t want = copy->left < COPY_PIECE ? (size_t)copy->left : COPY_PIECE;
    off_t at = copy->at, place = copy->place;
    ssize_t n = copy_file_range(copy->from, &at, copy->to, &place, want, 0);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0 && cannot(errno))
      return by_hand(copy, err);
    if (n < 0)
      return ep_fail_errno(err, errno, "copying %s to %s", copy->from_path,
                           copy->to_path);
    if (n == 0)
      return ended(copy, err);
    moved(copy, n);
  }
  return EP_OK;
}

enum ep_status ep_fs_append(const char *from, const char *to, int64_t *n,
                            struct ep_err *err)
{
  struct copy copy = {.from = -1, .to = -1, .from_path = from, .to_path = to};
  enum ep_status state = EP_ERR;
  struct stat st;
  int64_t end;
  copy.from = open_file(from, O_RDONLY, &st, err);
  if (copy.from < 0)
    return EP_ERR;
  *n = copy.left = st.st_size;
  copy.to = open_file(to, O_WRONLY | O_CREAT, &st, err);
  if (copy.to >= 0) {
    copy.place = end = st.st_size;
    state = by_kernel(&copy, err);
    if (state != EP_OK)
      (void)!ftruncate(copy.to, end);
    (void)close(copy.to);
  }
  (void)close(copy.from);
  return state;
}
