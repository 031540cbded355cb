/* One header block: its fields, its checksum, and which kinds of entries are accepted. */
#include "tar.h"

#include <inttypes.h>
#include <string.h>

/* Where the fields of a header are. */
struct field {
  size_t at, n;
};
static const struct field name_field = {0, 100};
static const struct field mode_field = {100, 8};
static const struct field size_field = {124, 12};
static const struct field time_field = {136, 12};
static const struct field sum_field = {148, 8};
static const struct field prefix_field = {345, 155};
enum { TYPEFLAG = 156, MAGIC = 257 };

static enum ep_status bad_field(const char *what, struct ep_err *err)
{
  return ep_fail(err, "invalid", "the header's %s is not a number", what);
}

/* Octal digits, then spaces and NULs; or a big-endian number after a set first bit, which
** GNU writes where the digits do not suffice. */
static enum ep_status number(const unsigned char *block, struct field f, const char *what,
                             int64_t *out, struct ep_err *err)
{
  const unsigned char *p = block + f.at;
  size_t i = 0, n = f.n;
  int64_t v = 0;
  if (p[0] & 0x80) {
    bool negative = p[0] & 0x40;
    if (negative)
      return ep_fail(err, "invalid", "the header's %s is negative", what);
    v = p[0] & 0x3F;
    for (i = 1; i < n; i++) {
      if (v > EP_SIZE_MAX >> 8)
        return ep_fail(err, "too_large", "the header's %s is above 2^53", what);
      v = v << 8 | p[i];
    }
    if (v > EP_SIZE_MAX)
      return ep_fail(err, "too_large", "the header's %s is above 2^53", what);
    *out = v;
    return EP_OK;
  }
  while (i < n && p[i] >= '0' && p[i] <= '7')
    v = v * 8 + (p[i++] - '0'); /* at most twelve digits */
  if (i == 0)
    return bad_field(what, err);
  for (; i < n; i++)
    if (p[i] != 0 && p[i] != ' ')
      return bad_field(what, err);
  *out = v;
  return EP_OK;
}

static enum ep_status checksum(const unsigned char *block, struct ep_err *err)
{
  int64_t told = 0, sum = 0;
  if (number(block, sum_field, "checksum", &told, err) != EP_OK)
    return EP_ERR;
  for (size_t i = 0; i < EP_TAR_BLOCK; i++)
    sum += i - sum_field.at < sum_field.n ? ' ' : block[i];
  if (sum != told)
    return ep_fail(err, "invalid", "the header's checksum is wrong");
  return EP_OK;
}

bool ep_tar_is_zero(const unsigned char *p, size_t n)
{
  return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

static enum ep_status refused_type(unsigned char type, struct ep_err *err)
{
  static const struct {
    char type;
    const char *words;
  } known[] = {
      {'1', "a hard link"},
      {'2', "a symbolic link"},
      {'3', "a character device"},
      {'4', "a block device"},
      {'5', "a directory"},
      {'6', "a fifo"},
      {'7', "a contiguous file"},
      {'D', "a GNU directory dump"},
      {'K', "a GNU long link name (PAX is understood)"},
      {'L', "a GNU long name (PAX is understood)"},
      {'M', "a part of a multi-volume archive"},
      {'S', "a GNU sparse file"},
      {'V', "a volume label"},
      {'g', "a global extended header"},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (type == (unsigned char)known[i].type)
      return ep_fail(err, "unsupported", "%s: only regular files are accepted",
                     known[i].words);
  return ep_fail(err, "unsupported",
                 "an entry of type \\x%02X: only regular files are accepted", type);
}

/* Only POSIX headers have a prefix; GNU's have other things in its place. */
static void take_name(struct ep_tar_header *h, const unsigned char *block, bool posix)
{
  const char *b = (const char *)block;
  size_t at = posix ? strnlen(b + prefix_field.at, prefix_field.n) : 0;
  size_t n = strnlen(b + name_field.at, name_field.n);
  memcpy(h->name, b + prefix_field.at, at);
  if (at > 0)
    h->name[at++] = '/';
  memcpy(h->name + at, b + name_field.at, n);
  h->name_n = at + n;
}

enum ep_status ep_tar_header_parse(const unsigned char block[EP_TAR_BLOCK],
                                   struct ep_tar_header *h, struct ep_err *err)
{
  bool posix = memcmp(block + MAGIC,
                      "ustar\0"
                      "00",
                      8) == 0;
  unsigned char type = block[TYPEFLAG];
  if (checksum(block, err) != EP_OK)
    return EP_ERR;
  if (!posix && memcmp(block + MAGIC, "ustar  ", 8) != 0)
    return ep_fail(err, "unsupported", "a header that is neither ustar nor GNU");
  if (type != 'x' && type != '0' && type != 0)
    return refused_type(type, err);
  h->extended = type == 'x';
  if (number(block, size_field, "size", &h->size, err) != EP_OK)
    return EP_ERR;
  if (h->extended)
    return EP_OK;
  take_name(h, block, posix);
  if (number(block, mode_field, "mode", &h->mode, err) != EP_OK)
    return EP_ERR;
  return number(block, time_field, "time", &h->mtime, err);
}
