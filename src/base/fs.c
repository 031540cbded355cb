/* The file system as far as a store needs it: directories, names, locks, holes. */
#include "file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static enum ep_status make_one(const char *path, unsigned mode, struct ep_err *err)
{
  struct stat st;
  if (mkdir(path, mode) == 0)
    return EP_OK;
  int en = errno;
  if (en == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
    return EP_OK;
  return ep_fail_errno(err, en, "making the directory %s", path);
}

enum ep_status ep_fs_mkdir(const char *path, unsigned mode, struct ep_err *err)
{
  char *part = ep_strndup(path, strlen(path));
  enum ep_status st = EP_OK;
  char *slash;
  if (!part)
    return ep_fail_memory(err);
  for (slash = strchr(part + 1, '/'); slash && st == EP_OK;
       slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    st = make_one(part, mode, err);
    *slash = '/';
  }
  if (st == EP_OK)
    st = make_one(part, mode, err);
  ep_free(part);
  return st;
}

enum ep_status ep_fs_unlink(const char *path, struct ep_err *err)
{
  return unlink(path) == 0 ? EP_OK : ep_fail_errno(err, errno, "removing %s", path);
}

enum ep_status ep_fs_rename(const char *from, const char *to, struct ep_err *err)
{
  return rename(from, to) == 0 ? EP_OK
                               : ep_fail_errno(err, errno, "renaming %s to %s", from, to);
}

enum ep_status ep_fs_sync_parent(const char *path, struct ep_err *err)
{
  const char *slash = strrchr(path, '/');
  size_t n = slash ? (size_t)(slash - path) + 1 : 1;
  char *dir = ep_strndup(slash ? path : ".", n);
  enum ep_status st = EP_OK;
  int fd;
  if (!dir)
    return ep_fail_memory(err);
  fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || fsync(fd) < 0)
    st = ep_fail_errno(err, errno, "writing the directory %s to disk", dir);
  if (fd >= 0)
    (void)close(fd);
  ep_free(dir);
  return st;
}

/* Names as they are found, one after the other. */
struct names {
  char *text;
  size_t size, cap, n;
};

static enum ep_status add_name(struct names *names, const char *name, struct ep_err *err)
{
  size_t size = strlen(name) + 1;
  if (names->cap - names->size < size) {
    size_t cap = names->cap ? 2 * names->cap : 4096;
    char *text = ep_realloc(names->text, cap);
    if (!text)
      return ep_fail_memory(err);
    names->text = text;
    names->cap = cap;
  }
  memcpy(names->text + names->size, name, size);
  names->size += size;
  names->n++;
  return EP_OK;
}

static enum ep_status read_names(DIR *dir, const char *path, size_t max,
                                 struct names *names, struct ep_err *err)
{
  enum ep_status st = EP_OK;
  while (st == EP_OK) {
    struct dirent *entry;
    errno = 0;
    entry = readdir(dir);
    if (!entry)
      return errno == 0 ? EP_OK : ep_fail_errno(err, errno, "listing %s", path);
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
      continue;
    st = names->n < max
             ? add_name(names, entry->d_name, err)
             : ep_fail(err, "too_large", "%s has more than %zu names", path, max);
  }
  return st;
}

struct ep_block *ep_fs_list(struct ep_host *host, const char *path, size_t max, size_t *n,
                            struct ep_err *err)
{
  struct names names = {0};
  struct ep_block *block = NULL;
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
  DIR *dir = fd < 0 ? NULL : fdopendir(fd);
  if (!dir) {
    (void)ep_fail_errno(err, errno, "listing %s", path);
    if (fd >= 0)
      (void)close(fd);
    return NULL;
  }
  if (read_names(dir, path, max, &names, err) == EP_OK) {
    block = ep_block_new(host, names.size);
    if (!block)
      (void)ep_fail_memory(err);
    else if (names.size > 0)
      memcpy(block->data, names.text, names.size);
  }
  (void)closedir(dir);
  ep_free(names.text);
  *n = names.n;
  return block;
}

static const char *type_name(mode_t mode)
{
  return S_ISREG(mode)   ? "file"
         : S_ISDIR(mode) ? "directory"
         : S_ISLNK(mode) ? "link"
                         : "other";
}

enum ep_status ep_fs_stat(const char *path, struct ep_stat *out, struct ep_err *err)
{
  struct stat st;
  if (lstat(path, &st) < 0)
    return ep_fail_errno(err, errno, "looking at %s", path);
  *out = (struct ep_stat){
      .type = type_name(st.st_mode),
      .size = st.st_size,
      .mtime = st.st_mtim.tv_sec,
      .mtime_ns = st.st_mtim.tv_nsec,
      .mode = st.st_mode & 07777,
      .dev = st.st_dev,
      .ino = st.st_ino,
  };
  return EP_OK;
}

struct ep_lock {
  struct ep_obj obj;
  int fd;
};

static void lock_destroy(void *self)
{
  ep_lock_close(self);
}

void ep_lock_close(struct ep_lock *lock)
{
  if (lock->fd >= 0)
    (void)close(lock->fd);
  lock->fd = -1;
}

struct ep_lock *ep_lock_new(struct ep_host *host, const char *path, bool shared,
                            struct ep_err *err)
{
  struct ep_lock *lock = ep_obj_new(host, EP_KIND_LOCK, sizeof *lock, lock_destroy);
  if (!lock) {
    (void)ep_fail_memory(err);
    return NULL;
  }
  lock->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (lock->fd < 0 || flock(lock->fd, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) < 0) {
    if (errno == EWOULDBLOCK)
      (void)ep_fail(err, "busy", "%s is locked by another", path);
    else
      (void)ep_fail_errno(err, errno, "locking %s", path);
    ep_release(lock);
    return NULL;
  }
  return lock;
}

enum ep_status ep_fs_extents(const char *path, struct ep_extent *out, size_t max,
                             size_t *n, int64_t *size, struct ep_err *err)
{
  enum ep_status st = EP_OK;
  off_t data, hole = 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  *n = 0;
  if (fd < 0)
    return ep_fail_errno(err, errno, "opening %s", path);
  *size = lseek(fd, 0, SEEK_END);
  if (*size < 0)
    st = ep_fail_errno(err, errno, "%s", path);
  while (st == EP_OK && hole < *size) {
    data = lseek(fd, hole, SEEK_DATA);
    if (data < 0 && errno == ENXIO)
      break; /* a hole up to the end */
    hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
    if (hole < 0)
      st = ep_fail_errno(err, errno, "looking for holes in %s", path);
    else if (*n == max)
      st = ep_fail(err, "too_large", "%s has more than %zu pieces of data", path, max);
    else
      out[(*n)++] = (struct ep_extent){data, hole - data};
  }
  (void)close(fd);
  return st;
}
