/* PAX records: "LEN key=value\n", strictly read and written, and those that describe
** holes. */
#include "tar.h"
#include "sparse.h"

#include <stdio.h>
#include <string.h>

bool ep_tar_record_is(const struct ep_tar_record *r, const char *key)
{
  return strlen(key) == r->key_n && memcmp(r->key, key, r->key_n) == 0;
}

bool ep_tar_decimal(const char *p, size_t n, int64_t limit, int64_t *out)
{
  int64_t v = 0;
  if (n == 0 || (n > 1 && p[0] == '0'))
    return false;
  for (size_t i = 0; i < n; i++) {
    if (p[i] < '0' || p[i] > '9')
      return false;
    if (v <= limit) /* no caller's limit is above 2^53: ten times that cannot wrap */
      v = v * 10 + (p[i] - '0');
  }
  *out = v > limit ? limit + 1 : v;
  return true;
}

static bool has_prefix(const struct ep_tar_record *r, const char *prefix)
{
  size_t n = strlen(prefix);
  return r->key_n >= n && memcmp(r->key, prefix, n) == 0;
}

enum ep_status ep_tar_records_check(const struct ep_tar_record *records, size_t n,
                                    struct ep_err *err)
{
  char q[EP_TAR_QUOTE_MAX];
  if (n > EP_TAR_RECORDS_MAX)
    return ep_fail(err, "too_large", "extended header: more than %d records",
                   EP_TAR_RECORDS_MAX);
  for (size_t i = 0; i < n; i++) {
    const struct ep_tar_record *r = &records[i];
    if (r->key_n == 0 || memchr(r->key, 0, r->key_n) || memchr(r->key, '=', r->key_n))
      return ep_fail(err, "invalid", "extended header: '%s' cannot be a key",
                     ep_tar_quote(q, r->key, r->key_n));
    if (has_prefix(r, "GNU.sparse."))
      return ep_fail(err, "unsupported",
                     "extended header: '%s': GNU sparse files are not supported",
                     ep_tar_quote(q, r->key, r->key_n));
    for (size_t k = 0; k < i; k++)
      if (records[k].key_n == r->key_n && memcmp(records[k].key, r->key, r->key_n) == 0)
        return ep_fail(err, "invalid", "extended header: key '%s' comes twice",
                       ep_tar_quote(q, r->key, r->key_n));
  }
  return EP_OK;
}

enum ep_status ep_tar_pax_parse(const char *body, size_t n,
                                struct ep_tar_record records[EP_TAR_RECORDS_MAX],
                                size_t *count, struct ep_err *err)
{
  size_t at = 0;
  *count = 0;
  while (at < n) {
    const char *p = body + at;
    size_t left = n - at;
    /* the length has at most seven digits, as EP_TAR_PAX_MAX has */
    const char *space = memchr(p, ' ', left < 8 ? left : 8);
    const char *eq;
    int64_t len = 0;
    struct ep_tar_record *r;
    if (!space || !ep_tar_decimal(p, (size_t)(space - p), EP_TAR_PAX_MAX, &len))
      return ep_fail(err, "invalid", "extended header: no record length at byte %zu", at);
    if (len > (int64_t)left)
      return ep_fail(err, "invalid",
                     "extended header: the record at byte %zu is longer than the header",
                     at);
    if (len < space - p + 2 || p[len - 1] != '\n')
      return ep_fail(
          err, "invalid",
          "extended header: the record at byte %zu does not end with a newline", at);
    eq = memchr(space + 1, '=', (size_t)(p + len - 1 - (space + 1)));
    if (!eq)
      return ep_fail(err, "invalid", "extended header: the record at byte %zu has no '='",
                     at);
    if (*count == EP_TAR_RECORDS_MAX)
      return ep_fail(err, "too_large", "extended header: more than %d records",
                     EP_TAR_RECORDS_MAX);
    r = &records[(*count)++];
    r->key = space + 1;
    r->key_n = (size_t)(eq - r->key);
    r->value = eq + 1;
    r->value_n = (size_t)(p + len - 1 - r->value);
    at += (size_t)len;
  }
  return ep_tar_records_check(records, *count, err);
}

size_t ep_tar_record_size(const struct ep_tar_record *r)
{
  size_t rest = r->key_n + r->value_n + 3; /* ' ', '=', newline */
  size_t digits = 1;
  /* the length counts its own digits */
  for (size_t limit = 10; rest + digits >= limit; limit *= 10)
    digits++;
  return rest + digits;
}

size_t ep_tar_record_write(unsigned char *out, const struct ep_tar_record *r)
{
  size_t size = ep_tar_record_size(r);
  char length[24];
  size_t n = (size_t)snprintf(length, sizeof length, "%zu ", size);
  memcpy(out, length, n);
  memcpy(out + n, r->key, r->key_n);
  n += r->key_n;
  out[n++] = '=';
  if (r->value_n)
    memcpy(out + n, r->value, r->value_n);
  out[size - 1] = '\n';
  return size;
}

static const struct ep_tar_record *find(const struct ep_tar_entry *e, const char *prefix,
                                        const char *key)
{
  size_t n = strlen(prefix), k = strlen(key);
  for (size_t i = 0; i < e->records_n; i++) {
    const struct ep_tar_record *r = &e->records[i];
    if (r->key_n == n + k && memcmp(r->key, prefix, n) == 0 &&
        memcmp(r->key + n, key, k) == 0)
      return r;
  }
  return NULL;
}

enum ep_status ep_tar_sparse_find(struct ep_tar_entry *e, const char *prefix,
                                  struct ep_err *err)
{
  char q[EP_TAR_QUOTE_MAX];
  const struct ep_tar_record *map, *size;
  struct ep_err why;
  e->map = NULL;
  e->logical = 0;
  if (!prefix)
    return EP_OK;
  map = find(e, prefix, ".map");
  size = find(e, prefix, ".size");
  if (!map && !size)
    return EP_OK;
  (void)ep_tar_quote(q, e->name, e->name_n);
  if (!size)
    return ep_fail(err, "invalid", "entry '%s': %s.map without %s.size", q, prefix,
                   prefix);
  if (!map)
    return ep_fail(err, "invalid", "entry '%s': %s.size without %s.map", q, prefix,
                   prefix);
  if (!ep_tar_decimal(size->value, size->value_n, EP_SPARSE_SIZE_MAX, &e->logical))
    return ep_fail(err, "invalid", "entry '%s': %s.size is not a number", q, prefix);
  if (ep_sparse_check(map->value, map->value_n, e->size, e->logical, &why) != EP_OK)
    return ep_fail_because(err, &why, "entry '%s'", q);
  e->map = map;
  return EP_OK;
}
