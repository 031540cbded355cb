/* tar headers, written for this program alone: it is there to disagree with the core. The
 * ends of an archive are taken as Go's archive/tar takes them: any at a block boundary, and
 * one inside of padding, is a good one. */
#include "standin.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char zeros[BLOCK];

static int64_t octal(const unsigned char *field, size_t n)
{
  char digits[16] = {0};
  memcpy(digits, field, n < 15 ? n : 15);
  return strtoll(digits, NULL, 8);
}

static unsigned checksum(const unsigned char *block)
{
  unsigned sum = 0;
  for (size_t i = 0; i < BLOCK; i++)
    sum += i >= 148 && i < 156 ? ' ' : block[i];
  return sum;
}

void tar_padding(struct input *in, int64_t size)
{
  char pad[BLOCK];
  input_read(in, pad, (size_t)(-size & (BLOCK - 1)));
}

/* One record: what it says goes into e. */
static void take(struct entry *e, const char *key, const char *value, int64_t *size)
{
  if (strcmp(key, "path") == 0)
    snprintf(e->name, sizeof e->name, "%s", value);
  else if (strcmp(key, "size") == 0)
    *size = strtoll(value, NULL, 10);
  else if (strcmp(key, "COCOON.sparse.size") == 0)
    e->sparse_size = strtoll(value, NULL, 10);
  else if (strcmp(key, "COCOON.sparse.map") == 0) {
    free(e->map);
    e->map = text("%s", value);
  }
}

static void read_pax(struct input *in, int64_t n, struct entry *e, int64_t *size)
{
  if (n > PAX_MAX)
    fail("tar next: archive/tar: header field too long");
  char *body = need(calloc(1, (size_t)n + 1)), *at = body, *end = body + n;
  if (input_read(in, body, (size_t)n) < (size_t)n)
    fail("tar next: unexpected EOF");
  tar_padding(in, n);
  while (at < end) {
    char *key, *value;
    long length = strtol(at, &key, 10);
    value = *key == ' ' ? strchr(key, '=') : NULL;
    if (length < 5 || length > end - at || !value || value > at + length ||
        at[length - 1] != '\n')
      fail("tar next: archive/tar: invalid tar header");
    *value = at[length - 1] = '\0';
    take(e, key + 1, value + 1, size);
    at += length;
  }
  free(body);
}

enum tar_next tar_next(struct input *in, struct entry *e)
{
  unsigned char block[BLOCK];
  int64_t pax_size = -1;
  char from_pax[sizeof e->name] = "";
  free(e->map);
  *e = (struct entry){.sparse_size = -1};
  for (;;) {
    size_t n = input_read(in, block, BLOCK);
    if (n == 0)
      return TAR_END_CLEAN;
    if (n < BLOCK)
      fail("tar next: unexpected EOF");
    if (memcmp(block, zeros, BLOCK) == 0) {
      if (input_read(in, block, BLOCK) == 0 || memcmp(block, zeros, BLOCK) == 0)
        return TAR_END_TRAILER;
      fail("tar next: archive/tar: invalid tar header");
    }
    if (octal(block + 148, 8) != checksum(block))
      fail("tar next: archive/tar: invalid tar header");
    e->type = (char)block[156];
    e->size = octal(block + 124, 12);
    if (e->type != 'x' && e->type != 'g')
      break;
    read_pax(in, e->size, e, &pax_size);
    memcpy(from_pax, e->name, sizeof from_pax);
  }
  e->mode = (unsigned)octal(block + 100, 8);
  e->mtime = octal(block + 136, 12);
  if (from_pax[0] == '\0')
    snprintf(e->name, sizeof e->name, "%.100s", (const char *)block);
  if (pax_size >= 0)
    e->size = pax_size;
  return TAR_ENTRY;
}

void out(const void *bytes, size_t n)
{
  const char *at = bytes;
  while (n > 0) {
    ssize_t w = write(STDOUT_FILENO, at, n > 65536 ? 65536 : n);
    if (w < 0 && errno == EINTR)
      continue;
    if (w < 0)
      fail("write archive: %s", strerror(errno));
    if (cancelled()) /* what was begun is finished, then it is noticed */
      fail("write archive: io: read/write on closed pipe");
    at += w;
    n -= (size_t)w;
    fake_moved((size_t)w);
  }
}

void out_padding(int64_t size)
{
  out(zeros, (size_t)(-size & (BLOCK - 1)));
}

static void header(const char *name, char type, unsigned mode, int64_t size,
                   int64_t mtime)
{
  char block[BLOCK] = {0};
  snprintf(block, 100, "%s", name);
  snprintf(block + 100, 8, "%07o", mode & 07777);
  snprintf(block + 108, 8, "%07o", 0U);
  snprintf(block + 116, 8, "%07o", 0U);
  snprintf(block + 124, 12, "%011" PRIo64, (uint64_t)size);
  snprintf(block + 136, 12, "%011" PRIo64, (uint64_t)mtime);
  block[156] = type;
  memcpy(block + 257, "ustar\00000", 8);
  snprintf(block + 148, 8, "%06o", checksum((unsigned char *)block));
  block[155] = ' ';
  out(block, BLOCK);
}

/* "LENGTH key=value\n", its own digits counted. */
static char *record(const char *key, const char *value)
{
  size_t rest = strlen(key) + strlen(value) + 3, n = rest;
  for (;;) {
    size_t digits = (size_t)snprintf(NULL, 0, "%zu", n);
    if (rest + digits == n)
      return text("%zu %s=%s\n", n, key, value);
    n = rest + digits;
  }
}

static char *joined(char *records, const char *key, char *value)
{
  char *one = record(key, value);
  char *both = text("%s%s", records, one);
  free(records);
  free(one);
  free(value);
  return both;
}

void tar_write_header(const struct entry *e)
{
  int64_t octal_max = 077777777777;
  char *records = text("%s", "");
  if (e->map) {
    records = joined(records, "COCOON.sparse.map", text("%s", e->map));
    records = joined(records, "COCOON.sparse.size", text("%" PRId64, e->sparse_size));
  }
  if (strlen(e->name) > 99)
    records = joined(records, "path", text("%s", e->name));
  if (e->size > octal_max)
    records = joined(records, "size", text("%" PRId64, e->size));
  if (records[0]) {
    int64_t n = (int64_t)strlen(records);
    header("PaxHeaders.0/file", 'x', 0, n, 0);
    out(records, (size_t)n);
    out_padding(n);
  }
  free(records);
  header(e->name, '0', e->mode, e->size > octal_max ? 0 : e->size, e->mtime);
}
