/* The tar writer: the bytes of headers, the same for the same entry, as Go's archive/tar
** writes them; and those that spoil an archive. */
#include "tar.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define OCTAL_MAX INT64_C(077777777777) /* eleven digits: 8 GiB less one byte */

struct ep_tar_out {
  struct ep_tar_names names;
  unsigned char *buf;
  size_t cap;
  char sparse[EP_TAR_PREFIX_MAX + 1];
};

const unsigned char ep_tar_zeros[EP_TAR_TRAILER];

struct ep_tar_out *ep_tar_out_new(const char *sparse)
{
  struct ep_tar_out *t = ep_alloc(sizeof *t);
  if (t && sparse)
    memcpy(t->sparse, sparse, strnlen(sparse, EP_TAR_PREFIX_MAX));
  return t;
}

void ep_tar_out_free(struct ep_tar_out *t)
{
  if (!t)
    return;
  ep_tar_names_free(&t->names);
  ep_free(t->buf);
  ep_free(t);
}

/* ---- what an entry needs ---- */

/* The records to be written: the caller's, then what the header has no room for. */
struct plan {
  struct ep_tar_record records[EP_TAR_RECORDS_MAX + 3];
  size_t n, bytes;
  char size[24], mtime[24];
};

static void add(struct plan *plan, const char *key, const char *value, size_t n)
{
  struct ep_tar_record *r = &plan->records[plan->n++];
  r->key = key;
  r->key_n = strlen(key);
  r->value = value;
  r->value_n = n;
}

static bool ascii(const char *p, size_t n)
{
  for (size_t i = 0; i < n; i++)
    if ((unsigned char)p[i] >= 0x80)
      return false;
  return true;
}

static enum ep_status make_plan(struct plan *plan, const struct ep_tar_entry *e,
                                struct ep_err *err)
{
  plan->n = plan->bytes = 0;
  for (; plan->n < e->records_n; plan->n++) {
    const struct ep_tar_record *r = &e->records[plan->n];
    if (ep_tar_record_is(r, "path") || ep_tar_record_is(r, "size") ||
        ep_tar_record_is(r, "mtime"))
      return ep_fail(err, "invalid", "record '%.5s' is made from the entry itself",
                     r->key);
    plan->records[plan->n] = *r;
  }
  if (e->mtime < 0 || e->mtime > OCTAL_MAX) {
    (void)snprintf(plan->mtime, sizeof plan->mtime, "%" PRId64, e->mtime);
    add(plan, "mtime", plan->mtime, strlen(plan->mtime));
  }
  if (e->name_n > 100 || !ascii(e->name, e->name_n))
    add(plan, "path", e->name, e->name_n);
  if (e->size > OCTAL_MAX) {
    (void)snprintf(plan->size, sizeof plan->size, "%" PRId64, e->size);
    add(plan, "size", plan->size, strlen(plan->size));
  }
  for (size_t i = 0; i < plan->n; i++) {
    const struct ep_tar_record *r = &plan->records[i];
    if (r->key_n > EP_TAR_PAX_MAX || r->value_n > EP_TAR_PAX_MAX)
      plan->bytes += EP_TAR_PAX_MAX + 1; /* no sum of such steps wraps */
    else
      plan->bytes += ep_tar_record_size(r);
  }
  if (plan->bytes > EP_TAR_PAX_MAX)
    return ep_fail(err, "too_large", "records of more than %d bytes", EP_TAR_PAX_MAX);
  if (plan->n > EP_TAR_RECORDS_MAX)
    return ep_fail(err, "too_large", "more than %d records", EP_TAR_RECORDS_MAX);
  return EP_OK;
}

static enum ep_status check(const struct ep_tar_out *t, const struct ep_tar_entry *e,
                            struct plan *plan, struct ep_err *err)
{
  char q[EP_TAR_QUOTE_MAX];
  struct ep_tar_entry copy = *e;
  struct ep_err why;
  if (ep_tar_name_check(e->name, e->name_n, err) != EP_OK)
    return EP_ERR;
  (void)ep_tar_quote(q, e->name, e->name_n);
  if (e->mode > EP_TAR_MODE_MAX)
    return ep_fail(err, "invalid", "entry '%s': mode %o (at most 0777)", q, e->mode);
  if (e->size < 0)
    return ep_fail(err, "invalid", "entry '%s': negative size", q);
  if (e->size > EP_SIZE_MAX)
    return ep_fail(err, "too_large", "entry '%s': size above 2^53", q);
  if (e->mtime >= EP_SIZE_MAX || e->mtime <= -EP_SIZE_MAX)
    return ep_fail(err, "invalid", "entry '%s': time beyond 2^53 seconds", q);
  if (ep_tar_records_check(e->records, e->records_n, &why) != EP_OK ||
      make_plan(plan, e, &why) != EP_OK)
    return ep_fail_because(err, &why, "entry '%s'", q);
  return ep_tar_sparse_find(&copy, t->sparse[0] ? t->sparse : NULL, err);
}

/* ---- header blocks ---- */

/* `digits` octal digits and a NUL. What does not fit stands in a record; 0 stands here.
 */
static void octal(unsigned char *at, int digits, int64_t v)
{
  char text[24];
  (void)snprintf(text, sizeof text, "%0*" PRIo64, digits,
                 v < 0 || v > OCTAL_MAX ? (uint64_t)0 : (uint64_t)v);
  memcpy(at, text, (size_t)digits + 1);
}

/* The name for readers that do not know `path`: what of it is ASCII, cut to the field. */
static void plain_name(unsigned char *block, const char *lead, const char *name, size_t n)
{
  size_t at = strlen(lead);
  memcpy(block, lead, at);
  for (size_t i = 0; i < n && at < 100; i++)
    if ((unsigned char)name[i] < 0x80)
      block[at++] = (unsigned char)name[i];
}

static void finish_block(unsigned char *block, char type)
{
  unsigned sum = 8 * ' ';
  block[156] = (unsigned char)type;
  memcpy(block + 257,
         "ustar\0"
         "00",
         8);
  for (size_t i = 0; i < EP_TAR_BLOCK; i++)
    sum += block[i];
  octal(block + 148, 6, sum);
  block[155] = ' ';
}

static void pax_block(unsigned char *block, const struct ep_tar_entry *e, size_t bytes)
{
  plain_name(block, "PaxHeaders.0/", e->name, e->name_n);
  octal(block + 100, 7, 0);
  octal(block + 108, 7, 0);
  octal(block + 116, 7, 0);
  octal(block + 124, 11, (int64_t)bytes);
  octal(block + 136, 11, 0);
  finish_block(block, 'x');
}

static void entry_block(unsigned char *block, const struct ep_tar_entry *e)
{
  plain_name(block, "", e->name, e->name_n);
  octal(block + 100, 7, e->mode);
  octal(block + 108, 7, 0);
  octal(block + 116, 7, 0);
  octal(block + 124, 11, e->size);
  octal(block + 136, 11, e->mtime);
  octal(block + 329, 7, 0);
  octal(block + 337, 7, 0);
  finish_block(block, '0');
}

enum ep_status ep_tar_out_entry(struct ep_tar_out *t, const struct ep_tar_entry *e,
                                struct ep_tar_head *head, struct ep_err *err)
{
  struct plan plan;
  size_t n = EP_TAR_BLOCK, at;
  if (check(t, e, &plan, err) != EP_OK)
    return EP_ERR;
  if (plan.n > 0)
    n += EP_TAR_BLOCK + plan.bytes + ep_tar_padding((int64_t)plan.bytes);
  if (n > t->cap) {
    unsigned char *grown = ep_realloc(t->buf, n);
    if (!grown)
      return ep_fail_memory(err);
    t->buf = grown;
    t->cap = n;
  }
  if (ep_tar_names_add(&t->names, e->name, e->name_n, err) != EP_OK)
    return EP_ERR;
  memset(t->buf, 0, n);
  if (plan.n > 0) {
    pax_block(t->buf, e, plan.bytes);
    at = EP_TAR_BLOCK;
    for (size_t i = 0; i < plan.n; i++)
      at += ep_tar_record_write(t->buf + at, &plan.records[i]);
  }
  entry_block(t->buf + n - EP_TAR_BLOCK, e);
  head->p = t->buf;
  head->n = n;
  head->pax = plan.bytes;
  return EP_OK;
}

/* ---- spoiling ---- */

/* A block that no reader takes for a header or for an end: not zero, and without a
** digit in its checksum. */
static size_t spoiled_block(unsigned char *out)
{
  memset(out, 1, EP_TAR_BLOCK);
  return EP_TAR_BLOCK;
}

size_t ep_tar_poison_data(unsigned char out[EP_TAR_POISON_MAX], int64_t left, size_t pad)
{
  if (left > 0)
    return 0; /* the reader misses data; bytes from here could only complete the entry */
  memset(out, 0, pad);
  return pad + spoiled_block(out + pad);
}

/* The rest of a block of which some bytes are out, with its last byte changed by one:
** its checksum cannot be right, whether bytes are summed with or without a sign. The
** last byte of every block made here is zero and no part of the checksum. */
static size_t spoiled_rest(unsigned char *out, const unsigned char *block, size_t at)
{
  size_t n = EP_TAR_BLOCK - at;
  memcpy(out, block + at, n);
  out[n - 1] ^= 1;
  return n;
}

size_t ep_tar_poison_head(unsigned char out[EP_TAR_POISON_MAX],
                          const struct ep_tar_head *head, size_t at)
{
  size_t last = head->n - EP_TAR_BLOCK; /* where the header proper begins */
  size_t block = at >= last ? last : 0;
  if (at > block && at < block + EP_TAR_BLOCK)
    return spoiled_rest(out, head->p + block, at - block);
  if (at >= EP_TAR_BLOCK && at < EP_TAR_BLOCK + head->pax)
    return 0; /* as inside data: the reader misses the rest of the records */
  return ep_tar_poison_data(out, 0, ep_tar_padding((int64_t)at));
}

size_t ep_tar_poison_trailer(unsigned char out[EP_TAR_POISON_MAX], size_t at)
{
  size_t in_block = at % EP_TAR_BLOCK;
  return in_block == 0 ? spoiled_block(out) : spoiled_rest(out, ep_tar_zeros, in_block);
}
