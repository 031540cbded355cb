/* snapshot import: a tar from stdin into a directory, then a record of it. */
#include "standin.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct import {
  struct input *in;
  char *directory;
  char *config; /* the whole of snapshot.json, or NULL so far */
  char id[27];
};

static void make_id(char *id)
{
  unsigned char dice[26];
  if (getrandom(dice, sizeof dice, 0) != (ssize_t)sizeof dice)
    fail("getrandom: %s", strerror(errno));
  for (size_t i = 0; i < sizeof dice; i++)
    id[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[dice[i] % 32];
  id[26] = '\0';
}

static const char *base_name(const char *name)
{
  const char *slash = strrchr(name, '/');
  return slash ? slash + 1 : name;
}

/* Pages of zeros are left as holes, as cocoon does it. */
static void put(int fd, const char *bytes, size_t n, int64_t at)
{
  static const char zeros[PAGE];
  while (n > 0) {
    size_t some = (size_t)(PAGE - at % PAGE);
    some = some < n ? some : n;
    if (memcmp(bytes, zeros, some) != 0 && pwrite(fd, bytes, some, at) != (ssize_t)some)
      fail("extract: %s", strerror(errno));
    bytes += some;
    at += (int64_t)some;
    n -= some;
  }
}

static void copy(struct import *im, const char *name, int fd, int64_t n, int64_t at)
{
  char piece[65536];
  while (n > 0) {
    size_t some = n < (int64_t)sizeof piece ? (size_t)n : sizeof piece;
    if (input_read(im->in, piece, some) < some)
      fail("extract %s: unexpected EOF", name);
    put(fd, piece, some, at);
    n -= (int64_t)some;
    at += (int64_t)some;
  }
}

/* [{"o":…,"l":…},…] or null */
static void copy_sparse(struct import *im, const struct entry *e, int fd)
{
  int64_t left = e->size;
  if (e->sparse_size < 0)
    fail("extract %s: sparse map without a size", e->name);
  for (const char *at = strchr(e->map, '{'); at; at = strchr(at + 1, '{')) {
    struct span piece = json_object((struct span){at, strlen(at)}), o, l;
    if (!json_get(piece, "o", &o) || !json_get(piece, "l", &l))
      fail("extract %s: bad sparse map", e->name);
    int64_t offset = strtoll(o.at, NULL, 10), length = strtoll(l.at, NULL, 10);
    if (offset < 0 || length < 0 || length > left || offset > e->sparse_size - length)
      fail("extract %s: bad sparse map", e->name);
    copy(im, e->name, fd, length, offset);
    left -= length;
  }
  if (left != 0)
    fail("extract %s: the sparse map leaves %" PRId64 " bytes", e->name, left);
}

static void extract(struct import *im, const struct entry *e)
{
  char *path = text("%s/%s", im->directory, base_name(e->name));
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0)
    fail("extract %s: %s", e->name, strerror(errno));
  if (e->map)
    copy_sparse(im, e, fd);
  else
    copy(im, e->name, fd, e->size, 0);
  if (ftruncate(fd, e->map ? e->sparse_size : e->size) != 0 ||
      fchmod(fd, e->mode & 0777) != 0 || close(fd) != 0)
    fail("extract %s: %s", e->name, strerror(errno));
  free(path);
}

static void read_config(struct import *im, const struct entry *e)
{
  if (e->size > CONFIG_MAX)
    fail("snapshot.json is too large");
  free(im->config);
  im->config = need(calloc(1, (size_t)e->size + 1));
  if (input_read(im->in, im->config, (size_t)e->size) < (size_t)e->size)
    fail("extract %s: unexpected EOF", e->name);
}

static void take_entry(struct import *im, const struct entry *e)
{
  const char *name = base_name(e->name);
  fake_log("entry %s mode=%o size=%" PRId64 " sparse=%" PRId64 " map=%s", e->name,
           e->mode, e->size, e->sparse_size, e->map ? e->map : "-");
  if (strcmp(name, "snapshot.json") == 0)
    read_config(im, e);
  else if ((e->type == '0' || e->type == '\0') && *name && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0)
    extract(im, e);
  else
    for (int64_t left = e->size; left > 0; left -= BLOCK) {
      char block[BLOCK];
      size_t some = left < BLOCK ? (size_t)left : BLOCK;
      if (input_read(im->in, block, some) < some)
        fail("tar next: unexpected EOF");
    }
  tar_padding(im->in, e->size);
}

/* The record: the config as it came, but for what is the importer's. */
static char *record_of(struct import *im, const char *name, const char *description)
{
  struct span all = json_object((struct span){im->config, strlen(im->config)}), config;
  struct span key, value;
  char *record = text("{\"id\":\"%s\"", im->id), *longer, now[32];
  time_t t = time(NULL);
  struct tm utc;
  if (!json_get(all, "config", &config))
    fail("snapshot.json has no config");
  config = json_object(config);
  while (json_next(&config, &key, &value)) {
    if (json_is(key, "id") || (*name && json_is(key, "name")) ||
        (description && json_is(key, "description")))
      continue;
    longer = text("%s," SPAN ":" SPAN, record, OF(key), OF(value));
    free(record);
    record = longer;
  }
  strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &utc));
  char *quoted_name = *name ? text(",\"name\":\"%s\"", name) : text("%s", "");
  char *quoted = description ? json_string(description) : NULL;
  longer =
      text("%s%s%s%s,\"created_at\":\"%s\",\"data_dir\":\"%s\"}", record, quoted_name,
           quoted ? ",\"description\":" : "", quoted ? quoted : "", now, im->directory);
  free(quoted_name);
  free(quoted);
  free(record);
  return longer;
}

static void commit(struct import *im, const char *name, const char *description)
{
  int lock = db_lock("snapshot");
  char *path = text("%s/snapshot/db/snapshots.json", root_directory());
  char *old = db_read(path, "{\"snapshots\":{},\"names\":{}}");
  struct span all = json_object((struct span){old, strlen(old)}), snapshots, names, taken;
  if (!json_get(all, "snapshots", &snapshots) || !json_get(all, "names", &names))
    fail("%s is not what it should be", path);
  snapshots = json_object(snapshots);
  names = json_object(names);
  if (*name && json_get(names, name, &taken))
    fail("import: snapshot name \"%s\" already in use by %.*s", name, (int)taken.n - 2,
         taken.at + 1);
  if (!fake_refuses()) {
    char *record = record_of(im, name, description);
    char *naming = *name ? text("%s\"%s\":\"%s\"", names.n ? "," : "", name, im->id)
                         : text("%s", "");
    char *bytes =
        text("{\"snapshots\":{" SPAN "%s\"%s\":%s},\"names\":{" SPAN "%s}}",
             OF(snapshots), snapshots.n ? "," : "", im->id, record, OF(names), naming);
    write_whole(path, bytes);
    free(bytes);
    free(naming);
    free(record);
    fake_log("committed %s", name);
  }
  free(old);
  free(path);
  close(lock);
}

int snapshot_import(const char *name, const char *description)
{
  struct import im = {0};
  struct entry e = {0};
  enum tar_next what;
  say("importing from stdin ...");
  im.in = input_open();
  if (!im.in)
    fail("import: peek archive header: EOF");
  make_id(im.id);
  im.directory = text("%s/snapshot/localfile/%s", root_directory(), im.id);
  make_directories(im.directory);
  on_failure_remove(im.directory);
  while ((what = tar_next(im.in, &e)) == TAR_ENTRY)
    take_entry(&im, &e);
  fake_log("archive ended %s",
           what == TAR_END_CLEAN ? "without a trailer" : "with a trailer");
  if (!im.config)
    fail("snapshot.json not found");
  commit(&im, name, description);
  if (fake_refuses())
    fail("import: told to fail");
  say("snapshot imported: %s", im.id);
  free(e.map);
  free(im.config);
  free(im.directory);
  input_close(im.in);
  return 0;
}
