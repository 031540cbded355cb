/* snapshot export: the record as snapshot.json, then the directory's files, holes left out. */
#include "standin.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* What a record has and an export has not. */
static bool is_local(struct span key)
{
  return json_is(key, "created_at") || json_is(key, "data_dir") ||
         json_is(key, "pending");
}

static void write_config(struct span record, time_t when)
{
  struct span key, value;
  char *config = text("%s", ""), *longer;
  while (json_next(&record, &key, &value)) {
    if (is_local(key))
      continue;
    longer =
        text("%s%s\n    " SPAN ": " SPAN, config, *config ? "," : "", OF(key), OF(value));
    free(config);
    config = longer;
  }
  longer = text("{\n  \"config\": {%s\n  },\n  \"version\": 1\n}\n", config);
  struct entry e = {.name = "snapshot.json",
                    .mode = 0644,
                    .size = (int64_t)strlen(longer),
                    .mtime = when};
  tar_write_header(&e);
  out(longer, strlen(longer));
  out_padding(e.size);
  free(config);
  free(longer);
}

static void send_piece(int fd, int64_t offset, int64_t length)
{
  char piece[65536];
  while (length > 0) {
    size_t some = length < (int64_t)sizeof piece ? (size_t)length : sizeof piece;
    ssize_t n = pread(fd, piece, some, offset);
    if (n <= 0)
      fail("write archive: the file has shrunk");
    out(piece, (size_t)n);
    offset += n;
    length -= n;
  }
}

/* Where data is, as the map says it; NULL when there is no hole. */
static char *map_of(int fd, int64_t size, int64_t *stored)
{
  char *map = text("%s", ""), *longer;
  off_t at = 0;
  *stored = 0;
  while (at < size) {
    off_t data = lseek(fd, at, SEEK_DATA), hole;
    if (data < 0)
      break;
    hole = lseek(fd, data, SEEK_HOLE);
    longer = text("%s%s{\"o\":%" PRId64 ",\"l\":%" PRId64 "}", map, *map ? "," : "",
                  (int64_t)data, (int64_t)(hole - data));
    free(map);
    map = longer;
    *stored += hole - data;
    at = hole;
  }
  if (*stored == size) {
    free(map);
    return NULL;
  }
  longer = *map ? text("[%s]", map) : text("null");
  free(map);
  return longer;
}

static void send_file(const char *directory, const char *name)
{
  char *path = text("%s/%s", directory, name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  struct stat st;
  if (fd < 0 || fstat(fd, &st) != 0)
    fail("export: open %s: %s", path, strerror(errno));
  if (S_ISREG(st.st_mode)) {
    struct entry e = {
        .mode = st.st_mode & 0777, .mtime = st.st_mtime, .sparse_size = st.st_size};
    snprintf(e.name, sizeof e.name, "%s", name);
    e.map = map_of(fd, st.st_size, &e.size);
    tar_write_header(&e);
    if (!e.map)
      send_piece(fd, 0, e.size);
    for (const char *at = e.map ? strchr(e.map, '{') : NULL; at;
         at = strchr(at + 1, '{')) {
      char *length;
      int64_t offset = strtoll(at + 5, &length, 10);
      send_piece(fd, offset, strtoll(length + 5, NULL, 10));
    }
    out_padding(e.size);
    free(e.map);
  }
  close(fd);
  free(path);
}

static int visible(const struct dirent *d)
{
  return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
  return strcmp((*a)->d_name, (*b)->d_name);
}

static void send_directory(const char *directory)
{
  static const char end[2 * BLOCK];
  struct dirent **list;
  int n = scandir(directory, &list, visible, by_bytes);
  if (n < 0)
    fail("export: %s: %s", directory, strerror(errno));
  for (int i = 0; i < n; i++) {
    send_file(directory, list[i]->d_name);
    free(list[i]);
  }
  free(list);
  out(end, sizeof end);
}

/* A file as it is: exports that no cocoon writes. */
static void send_instead(const char *path)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  struct stat st;
  if (fd < 0 || fstat(fd, &st) != 0)
    fail("export: open %s: %s", path, strerror(errno));
  send_piece(fd, 0, st.st_size);
  close(fd);
}

int snapshot_export(const char *name)
{
  char *path = text("%s/snapshot/db/snapshots.json", root_directory());
  char *db = db_read(path, "{\"snapshots\":{},\"names\":{}}");
  struct span all = json_object((struct span){db, strlen(db)}), snapshots, names, id,
              record;
  if (fake_export()) {
    send_instead(fake_export());
  } else {
    if (!json_get(all, "snapshots", &snapshots) || !json_get(all, "names", &names))
      fail("export: %s is not what it should be", path);
    snapshots = json_object(snapshots);
    char *wanted = json_get(json_object(names), name, &id)
                       ? text("%.*s", (int)id.n - 2, id.at + 1)
                       : text("%s", name);
    if (!json_get(snapshots, wanted, &record))
      fail("export: snapshot not found");
    char *directory = text("%s/snapshot/localfile/%s", root_directory(), wanted);
    struct stat st;
    if (stat(directory, &st) != 0)
      fail("export: %s: %s", directory, strerror(errno));
    write_config(json_object(record), st.st_mtime); /* the same bytes each time */
    send_directory(directory);
    free(directory);
    free(wanted);
  }
  free(db);
  free(path);
  return 0;
}

/* As JSON only what scripts read, one record a line; as a table, names. */
int snapshot_list(bool json)
{
  char *path = text("%s/snapshot/db/snapshots.json", root_directory());
  char *db = db_read(path, "{\"snapshots\":{},\"names\":{}}");
  struct span all = json_object((struct span){db, strlen(db)}), snapshots, id, record,
              name;
  const char *between = "";
  printf(json ? "[" : "ID                          NAME\n");
  if (json_get(all, "snapshots", &snapshots)) {
    snapshots = json_object(snapshots);
    while (json_next(&snapshots, &id, &record)) {
      if (json)
        printf("%s\n  " SPAN, between, OF(record));
      else if (json_get(json_object(record), "name", &name))
        printf("%.*s  %.*s\n", (int)id.n - 2, id.at + 1, (int)name.n - 2, name.at + 1);
      between = ",";
    }
  }
  if (json)
    printf("\n]\n");
  free(db);
  free(path);
  return 0;
}
