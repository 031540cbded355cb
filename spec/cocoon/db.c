/* cocoon's files below its root: JSON, read just as far as this program needs it. */
#include "standin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static void skip_spaces(struct span *rest)
{
  while (rest->n > 0 && strchr(" \t\r\n,:", rest->at[0])) {
    rest->at++;
    rest->n--;
  }
}

/* The value at the start of *rest, however deep; *rest is what follows. */
static struct span value_of(struct span *rest)
{
  struct span value = {rest->at, 0};
  int depth = 0;
  bool quoted = false;
  for (; value.n < rest->n; value.n++) {
    char c = value.at[value.n];
    if (quoted) {
      if (c == '\\')
        value.n++;
      quoted = c != '"';
      if (!quoted && depth == 0) {
        value.n++;
        break;
      }
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      depth++;
    } else if (depth == 0 && strchr(" \t\r\n,:}]", c)) {
      break;
    } else if (c == '}' || c == ']') {
      if (--depth == 0) {
        value.n++;
        break;
      }
    }
  }
  if (value.n > rest->n)
    value.n = rest->n;
  rest->at += value.n;
  rest->n -= value.n;
  return value;
}

bool json_next(struct span *rest, struct span *name, struct span *value)
{
  skip_spaces(rest);
  if (rest->n == 0 || rest->at[0] != '"')
    return false;
  *name = value_of(rest);
  skip_spaces(rest);
  *value = value_of(rest);
  return value->n > 0;
}

bool json_is(struct span quoted, const char *word)
{
  size_t n = strlen(word);
  return quoted.n == n + 2 && quoted.at[0] == '"' && memcmp(quoted.at + 1, word, n) == 0;
}

char *json_string(const char *s)
{
  size_t n = 0;
  char *made = need(malloc(6 * strlen(s) + 3));
  made[n++] = '"';
  for (; *s; s++) {
    if (*s == '"' || *s == '\\' || (unsigned char)*s < ' ')
      n += (size_t)snprintf(made + n, 7, "\\u%04x", (unsigned)*s);
    else
      made[n++] = *s;
  }
  made[n++] = '"';
  made[n] = '\0';
  return made;
}

bool json_get(struct span object, const char *name, struct span *value)
{
  struct span key;
  while (json_next(&object, &key, value))
    if (json_is(key, name))
      return true;
  return false;
}

struct span json_object(struct span value)
{
  skip_spaces(&value);
  value = value_of(&value);
  if (value.n < 2 || value.at[0] != '{')
    return (struct span){"", 0};
  return (struct span){value.at + 1, value.n - 2};
}

char *read_whole(const char *path, size_t max)
{
  FILE *f = fopen(path, "rbe");
  char *bytes;
  size_t n;
  if (!f)
    return NULL;
  bytes = need(malloc(max + 1));
  n = fread(bytes, 1, max, f);
  bytes[n] = '\0';
  fclose(f);
  return bytes;
}

/* Beside it first: a reader sees the old file or the new one. */
void write_whole(const char *path, const char *bytes)
{
  char *beside = text("%s.%d", path, (int)getpid());
  FILE *f = fopen(beside, "wbe");
  if (!f || fputs(bytes, f) < 0 || fclose(f) != 0 || rename(beside, path) != 0)
    fail("write %s: %s", path, strerror(errno));
  free(beside);
}

void make_directories(char *path)
{
  for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
    *slash = '\0';
    mkdir(path, 0750);
    *slash = '/';
  }
  if (mkdir(path, 0750) != 0 && errno != EEXIST)
    fail("create %s: %s", path, strerror(errno));
}

const char *root_directory(void)
{
  const char *root = getenv("COCOON_ROOT_DIR");
  return root ? root : "/var/lib/cocoon";
}

int db_lock(const char *kind)
{
  char *directory = text("%s/%s/db", root_directory(), kind);
  make_directories(directory);
  const char *name = strcmp(kind, "snapshot") == 0 ? "snapshots" : "images";
  char *path = text("%s/%s.lock", directory, name);
  int fd;
  if (cancelled())
    fail("acquire lock %s: context canceled", path);
  fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0 || flock(fd, LOCK_EX) != 0)
    fail("acquire lock %s: %s", path, strerror(errno));
  free(path);
  free(directory);
  return fd;
}

char *db_read(const char *path, const char *empty)
{
  char *bytes = read_whole(path, CONFIG_MAX);
  return bytes ? bytes : text("%s", empty);
}
