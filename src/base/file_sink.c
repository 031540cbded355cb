/* A file that appears whole or not at all. It is made without a name (O_TMPFILE); where the
** file system cannot do that, under a name of its own that is removed again. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRIES = 16, SUFFIX = 24 };

struct file_sink {
  struct ep_sink base;
  int dir_fd, fd;
  unsigned mode, how;
  char *path;       /* as given: for messages */
  const char *name; /* its last part */
  char *temp;       /* where it stands meanwhile, in the same directory; "" : nowhere */
};

static const char *last_part(const char *path)
{
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static int open_parent(const char *path, struct ep_err *err)
{
  size_t n = (size_t)(last_part(path) - path);
  char *dir = ep_strndup(n ? path : ".", n ? n : 1);
  int fd;
  if (!dir) {
    (void)ep_fail_memory(err);
    return -1;
  }
  fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    (void)ep_fail_errno(err, errno, "opening the directory %s", dir);
  ep_free(dir);
  return fd;
}

static enum ep_status temp_name(struct file_sink *f, struct ep_err *err)
{
  uint64_t random;
  if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
    return ep_fail_errno(err, errno, "drawing a random name");
  (void)snprintf(f->temp, SUFFIX, ".epoch-%016llx", (unsigned long long)random);
  return EP_OK;
}

/* A rename would put a file where /dev/null was. */
static enum ep_status check_replaced(struct file_sink *f, struct ep_err *err)
{
  struct stat st;
  if ((f->how & EP_FILE_REPLACE) && fstatat(f->dir_fd, f->name, &st, 0) == 0 &&
      !S_ISREG(st.st_mode))
    return ep_fail(err, "exists", "%s is there and is no regular file", f->path);
  return EP_OK;
}

static enum ep_status open_temp(struct file_sink *f, struct ep_err *err)
{
  mode_t mode = f->mode == EP_FILE_MODE_UMASK ? 0666 : 0600;
  int tries;
  f->fd = openat(f->dir_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, mode);
  if (f->fd >= 0)
    return EP_OK;
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT && errno != EINVAL)
    return ep_fail_errno(err, errno, "making %s", f->path);
  for (tries = 0; tries < TRIES; tries++) {
    if (temp_name(f, err) != EP_OK)
      return EP_ERR;
    f->fd = openat(f->dir_fd, f->temp,
                   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (f->fd >= 0)
      return EP_OK;
    if (errno != EEXIST)
      break;
  }
  f->temp[0] = '\0';
  return ep_fail_errno(err, errno, "making %s", f->path);
}

static enum ep_status file_write(struct ep_sink *s, const struct ep_span *span,
                                 size_t *taken, struct ep_err *err)
{
  struct file_sink *f = (struct file_sink *)s;
  ssize_t w;
  do
    w = write(f->fd, span->p, span->n);
  while (w < 0 && errno == EINTR);
  if (w < 0)
    return ep_fail_errno(err, errno, "writing %s", f->path);
  *taken = (size_t)w;
  return EP_OK;
}

/* Gives the open file `name`. */
static int link_as(struct file_sink *f, const char *name)
{
  char proc[64];
  (void)snprintf(proc, sizeof proc, "/proc/self/fd/%d", f->fd);
  return linkat(AT_FDCWD, proc, f->dir_fd, name, AT_SYMLINK_FOLLOW);
}

static enum ep_status give_name(struct file_sink *f, struct ep_err *err)
{
  int tries, r = -1;
  bool nameless = f->temp[0] == '\0';
  if (!(f->how & EP_FILE_REPLACE)) {
    r = nameless ? link_as(f, f->name)
                 : linkat(f->dir_fd, f->temp, f->dir_fd, f->name, 0);
    return r == 0 ? EP_OK : ep_fail_errno(err, errno, "naming %s", f->path);
  }
  for (tries = 0; nameless && tries < TRIES; tries++) {
    if (temp_name(f, err) != EP_OK)
      return EP_ERR;
    r = link_as(f, f->temp);
    if (r == 0)
      break;
    int en = errno;
    f->temp[0] = '\0';
    if (en != EEXIST)
      return ep_fail_errno(err, en, "naming %s", f->path);
  }
  if (f->temp[0] == '\0')
    return ep_fail(err, "io", "naming %s: no free temporary name", f->path);
  if (renameat(f->dir_fd, f->temp, f->dir_fd, f->name) < 0)
    return ep_fail_errno(err, errno, "naming %s", f->path);
  f->temp[0] = '\0';
  return EP_OK;
}

static enum ep_status file_finish(struct ep_sink *s, struct ep_err *err)
{
  struct file_sink *f = (struct file_sink *)s;
  bool sync = !(f->how & EP_FILE_NO_SYNC);
  if (f->mode != EP_FILE_MODE_UMASK && fchmod(f->fd, f->mode) < 0)
    return ep_fail_errno(err, errno, "setting the mode of %s", f->path);
  if (sync && fsync(f->fd) < 0)
    return ep_fail_errno(err, errno, "writing %s to disk", f->path);
  if (give_name(f, err) != EP_OK)
    return EP_ERR;
  if (sync && fsync(f->dir_fd) < 0)
    return ep_fail_errno(err, errno, "writing the directory of %s to disk", f->path);
  int fd = f->fd;
  f->fd = -1;
  if (close(fd) < 0 && errno != EINTR)
    return ep_fail_errno(err, errno, "closing %s", f->path);
  return EP_OK;
}

static void file_close(struct ep_sink *s)
{
  struct file_sink *f = (struct file_sink *)s;
  if (f->temp && f->temp[0] != '\0')
    (void)unlinkat(f->dir_fd, f->temp, 0);
  if (f->fd >= 0)
    (void)close(f->fd);
  if (f->dir_fd >= 0)
    (void)close(f->dir_fd);
  ep_free(f->path);
  ep_free(f->temp);
  f->path = f->temp = NULL;
  f->fd = f->dir_fd = -1;
}

static const struct ep_sink_type file_type = {
    .name = "file",
    .write = file_write,
    .finish = file_finish,
    .close = file_close,
};

struct ep_sink *ep_sink_file(struct ep_host *host, const char *path, unsigned mode,
                             unsigned how, struct ep_err *err)
{
  struct file_sink *f = ep_sink_new(host, &file_type, sizeof *f, EP_SINK_WORK);
  if (!f) {
    (void)ep_fail_memory(err);
    return NULL;
  }
  f->fd = f->dir_fd = -1;
  f->mode = mode;
  f->how = how;
  f->path = ep_strndup(path, strlen(path));
  f->temp = ep_alloc(SUFFIX);
  if (!f->path || !f->temp) {
    (void)ep_fail_memory(err);
    goto failed;
  }
  f->name = last_part(f->path);
  if (f->name[0] == '\0') {
    (void)ep_fail(err, "invalid", "%s does not name a file", path);
    goto failed;
  }
  f->dir_fd = open_parent(path, err);
  if (f->dir_fd < 0 || check_replaced(f, err) != EP_OK || open_temp(f, err) != EP_OK)
    goto failed;
  return &f->base;
failed:
  ep_release(f);
  return NULL;
}
