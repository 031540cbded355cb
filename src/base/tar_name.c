/* Names of entries: which are accepted, how they are shown, and that none comes twice. */
#include "tar.h"

#include <stdio.h>
#include <string.h>

/* Length of the UTF-8 character at p, or 0. The code point goes to *c. */
static size_t utf8_char(const unsigned char *p, size_t n, uint32_t *c)
{
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  size_t len = p[0] < 0x80             ? 1
               : (p[0] & 0xE0) == 0xC0 ? 2
               : (p[0] & 0xF0) == 0xE0 ? 3
               : (p[0] & 0xF8) == 0xF0 ? 4
                                       : 0;
  if (len == 0 || len > n)
    return 0;
  *c = len == 1 ? p[0] : p[0] & (0xFFu >> (len + 1));
  for (size_t i = 1; i < len; i++) {
    if ((p[i] & 0xC0) != 0x80)
      return 0;
    *c = *c << 6 | (p[i] & 0x3F);
  }
  if (*c < least[len] || *c > 0x10FFFF || (*c >= 0xD800 && *c <= 0xDFFF))
    return 0;
  return len;
}

const char *ep_tar_quote(char out[EP_TAR_QUOTE_MAX], const char *name, size_t n)
{
  size_t at = 0, i = 0;
  while (i < n && at + 8 < EP_TAR_QUOTE_MAX) {
    uint32_t c = 0;
    size_t len = utf8_char((const unsigned char *)name + i, n - i, &c);
    if (len == 0 || c < 0x20 || (c >= 0x7F && c < 0xA0)) {
      at += (size_t)snprintf(out + at, 5, "\\x%02X", (unsigned char)name[i]);
      i++;
    } else {
      memcpy(out + at, name + i, len);
      at += len;
      i += len;
    }
  }
  if (i < n) {
    memcpy(out + at, "...", 3);
    at += 3;
  }
  out[at] = 0;
  return out;
}

enum ep_status ep_tar_name_check(const char *name, size_t n, struct ep_err *err)
{
  const unsigned char *p = (const unsigned char *)name;
  char q[EP_TAR_QUOTE_MAX];
  uint32_t c = 0;
  if (n == 0)
    return ep_fail(err, "invalid", "an entry has an empty name");
  if (n > EP_TAR_NAME_MAX)
    return ep_fail(err, "invalid", "entry '%s': the name is longer than %d bytes",
                   ep_tar_quote(q, name, n), EP_TAR_NAME_MAX);
  if ((n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
    return ep_fail(err, "invalid", "entry '%s': not the name of a file",
                   ep_tar_quote(q, name, n));
  for (size_t i = 0, len; i < n; i += len) {
    len = utf8_char(p + i, n - i, &c);
    if (len == 0)
      return ep_fail(err, "invalid", "entry '%s': the name is not UTF-8",
                     ep_tar_quote(q, name, n));
    if (c == '/')
      return ep_fail(err, "invalid",
                     "entry '%s': the name has a '/' (only flat archives)",
                     ep_tar_quote(q, name, n));
    if (c < 0x20 || (c >= 0x7F && c < 0xA0))
      return ep_fail(err, "invalid", "entry '%s': the name has a control character",
                     ep_tar_quote(q, name, n));
  }
  return EP_OK;
}

/* A crit-bit tree: each fork names the first bit in which its two sides differ. A
** child is the index of a fork, or with LEAF set the place of a name in the text. */
#define LEAF 0x80000000u

struct ep_tar_fork {
  uint32_t child[2];
  uint8_t byte, bit; /* names are short enough for one byte */
};

_Static_assert(EP_TAR_NAME_MAX <= UINT8_MAX,
               "a fork's byte must reach every byte of a name");
_Static_assert((uint64_t)EP_TAR_ENTRIES_MAX *(EP_TAR_NAME_MAX + 1) < LEAF,
               "the place of a name must fit beside LEAF");

/* `n` counts the NUL that ends every name; bytes behind it do not matter, because a fork
** beyond the end of a name is never above that name's leaf: reading 0 there is enough. */
static int side(const struct ep_tar_fork *f, const char *name, size_t n)
{
  unsigned char c = f->byte < n ? (unsigned char)name[f->byte] : 0;
  return (c >> f->bit) & 1;
}

static bool grow(struct ep_tar_names *t, size_t n)
{
  if (t->text_cap - t->text_n < n) {
    size_t cap = t->text_cap ? t->text_cap * 2 : 1024;
    char *text = ep_realloc(t->text, cap);
    if (!text)
      return false;
    t->text = text;
    t->text_cap = cap;
  }
  if (t->count == t->forks_cap) {
    uint32_t cap = t->forks_cap ? t->forks_cap * 2 : 32;
    struct ep_tar_fork *forks = ep_realloc(t->forks, cap * sizeof *forks);
    if (!forks)
      return false;
    t->forks = forks;
    t->forks_cap = cap;
  }
  return true;
}

enum ep_status ep_tar_names_add(struct ep_tar_names *t, const char *name, size_t n,
                                struct ep_err *err)
{
  char q[EP_TAR_QUOTE_MAX];
  struct ep_tar_fork fork;
  uint32_t *link = &t->root, at = t->root;
  const char *near;
  unsigned char diff;
  size_t i = 0, near_n;
  if (t->count == EP_TAR_ENTRIES_MAX)
    return ep_fail(err, "too_large", "more than %d entries", EP_TAR_ENTRIES_MAX);
  if (!grow(t, n + 1))
    return ep_fail_memory(err);
  link = &t->root;
  if (t->count > 0) {
    while (!(at & LEAF))
      at = t->forks[at].child[side(&t->forks[at], name, n)];
    near = t->text + (at & ~LEAF);
    near_n = strlen(near);
    while (i < n && i < near_n && name[i] == near[i])
      i++;
    if (i == n && i == near_n)
      return ep_fail(err, "invalid", "entry '%s' comes twice", ep_tar_quote(q, name, n));
    diff = (unsigned char)((i < n ? name[i] : 0) ^ near[i]);
    fork.byte = (uint8_t)i;
    fork.bit = (uint8_t)(31 - __builtin_clz(diff));
    while (!(*link & LEAF)) {
      struct ep_tar_fork *f = &t->forks[*link];
      if (f->byte > fork.byte || (f->byte == fork.byte && f->bit < fork.bit))
        break;
      link = &f->child[side(f, name, n)];
    }
    fork.child[side(&fork, name, n)] = LEAF | (uint32_t)t->text_n;
    fork.child[!side(&fork, name, n)] = *link;
    t->forks[t->count] = fork;
    *link = t->count;
  } else {
    t->root = LEAF | (uint32_t)t->text_n;
  }
  memcpy(t->text + t->text_n, name, n);
  t->text[t->text_n + n] = 0;
  t->text_n += n + 1;
  t->count++;
  return EP_OK;
}

void ep_tar_names_free(struct ep_tar_names *t)
{
  ep_free(t->text);
  ep_free(t->forks);
}
