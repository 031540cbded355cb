/* Files: ranges to read, files that appear whole or not at all, spools, and the file system
** as far as a store needs it.
*/
#ifndef EP_FILE_H
#define EP_FILE_H

#include "io.h"

#pragma GCC visibility push(hidden)

/* ---- reading (file_source.c) ---- */

/* `n` bytes from `offset` on, -1: to the end as it is now. A regular file only. The range is
** checked here, and a file that has become shorter fails when it is read. Rewindable. */
struct ep_source *ep_source_file(struct ep_host *host, const char *path, int64_t offset,
                                 int64_t n, struct ep_err *err) EP_MUST;
/* A range of an open file. The owner keeps `fd` open: `owner` is retained. */
struct ep_source *ep_source_range(struct ep_host *host, int fd, void *owner,
                                  const char *name, int64_t offset, int64_t n) EP_MUST;

/* ---- writing (file_sink.c) ---- */

enum { EP_FILE_REPLACE = 1, EP_FILE_NO_SYNC = 2 };
#define EP_FILE_MODE_UMASK ((unsigned)-1) /* 0666 without what the umask takes away */
/* A new file that gets its name when it is finished: file and directory are on disk by then
** (unless EP_FILE_NO_SYNC). Until then it has no name, so that nothing is left behind,
** whatever happens. Without EP_FILE_REPLACE a name that is taken fails with "exists"; with it, one
** that leads to a directory or a device fails at once. */
struct ep_sink *ep_sink_file(struct ep_host *host, const char *path, unsigned mode,
                             unsigned how, struct ep_err *err) EP_MUST;

/* ---- spools (spool.c): bytes kept to be read again, as often as wanted ---- */

struct ep_spool;
/* Up to `memory` bytes stay in memory, what is more goes to an unnamed file in `dir`; more
** than `limit` bytes (-1: no limit) are refused. */
struct ep_spool *ep_spool_new(struct ep_host *host, const char *dir, size_t memory,
                              int64_t limit, struct ep_err *err) EP_MUST;
struct ep_sink *ep_spool_sink(struct ep_spool *spool) EP_MUST; /* appends */
/* What is in it now; the spool may not be written while it is read. */
struct ep_source *ep_spool_source(struct ep_spool *spool, int64_t offset, int64_t n,
                                  struct ep_err *err) EP_MUST;
int64_t ep_spool_size(const struct ep_spool *spool);
bool ep_spool_in_memory(const struct ep_spool *spool);

/* ---- the file system (fs.c) ---- */

/* Missing parents too; a directory that is there is fine. */
enum ep_status ep_fs_mkdir(const char *path, unsigned mode, struct ep_err *err) EP_MUST;
enum ep_status ep_fs_unlink(const char *path, struct ep_err *err) EP_MUST;
enum ep_status ep_fs_rename(const char *from, const char *to, struct ep_err *err) EP_MUST;
/* The directory that holds `path`: what was renamed or removed in it is on disk. */
enum ep_status ep_fs_sync_parent(const char *path, struct ep_err *err) EP_MUST;

/* What a directory holds, without "." and "..", in no order: `*n` names, each with a NUL byte
** behind it. More than `max` names fail with "too_large". A symbolic link as the last part of
** `path` is followed. */
struct ep_block *ep_fs_list(struct ep_host *host, const char *path, size_t max, size_t *n,
                            struct ep_err *err) EP_MUST;

struct ep_stat {
  const char *type; /* "file", "directory", "link" or "other" */
  int64_t size, mtime, mtime_ns;
  unsigned mode;     /* permission bits, setuid and the like */
  uint64_t dev, ino; /* together: which file it is, as long as it is there */
};
/* Of the name itself: a symbolic link is not followed. */
enum ep_status ep_fs_stat(const char *path, struct ep_stat *out,
                          struct ep_err *err) EP_MUST;

/* An advisory lock (flock) on a file that is made when missing. Never waits: fails with
** "busy" while another holder, also one of this process, has it. Ends with the object. */
struct ep_lock;
struct ep_lock *ep_lock_new(struct ep_host *host, const char *path, bool shared,
                            struct ep_err *err) EP_MUST;
void ep_lock_close(struct ep_lock *lock);

/* Where the data of a file is, in order, as the file system knows it: holes are left out.
** At most `max` extents: more fail with "too_large". */
enum ep_status ep_fs_extents(const char *path, struct ep_extent *out, size_t max,
                             size_t *n, int64_t *size, struct ep_err *err) EP_MUST;

/* ---- files that say what to do (trusted.c) ---- */

/* A regular file of at most `max` bytes that belongs to this user or to root and that nobody
 * else may write, into `buf`; links are followed. */
enum ep_status ep_fs_read_trusted(const char *path, char *buf, size_t max, size_t *n,
                                  struct ep_err *err) EP_MUST;

/* ---- data that is there (fs_data.c): for threads that may wait for the disk ---- */

enum ep_status ep_fs_link(const char *from, const char *to, struct ep_err *err) EP_MUST;
enum ep_status ep_fs_chmod(const char *path, unsigned mode, struct ep_err *err) EP_MUST;
enum ep_status ep_fs_sync(const char *path, struct ep_err *err) EP_MUST;
/* Has the kernel begin to write this range (`n` 0: up to the end) to disk. */
enum ep_status ep_fs_writeback(const char *path, int64_t offset, int64_t n,
                               struct ep_err *err) EP_MUST;
/* Takes room on the disk for a range that will be written. The size of the file stays. */
enum ep_status ep_fs_reserve(const char *path, int64_t offset, int64_t n,
                             struct ep_err *err) EP_MUST;
/* Takes away what is beyond `size`; "size_mismatch" where there is less. */
enum ep_status ep_fs_truncate(const char *path, int64_t size, struct ep_err *err) EP_MUST;
/* Copies `from` behind the end of `to`, which is made when missing: `*n` bytes. When it fails,
** `to` has its size again. */
enum ep_status ep_fs_append(const char *from, const char *to, int64_t *n,
                            struct ep_err *err) EP_MUST;

#pragma GCC visibility pop
#endif
