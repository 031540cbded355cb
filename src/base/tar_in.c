/* The tar reader: a machine that is fed bytes in any pieces and says what they mean. */
#include "tar.h"

#include <inttypes.h>
#include <string.h>

enum state {
  HEADER,   /* collecting a block that is a header or the first zero block */
  PAX_BODY, /* collecting the records */
  PAX_PAD,  /* skipping to the block after them */
  DATA,     /* inside an entry, perhaps with nothing left */
  DATA_PAD, /* skipping to the next header */
  LAST,     /* collecting the second zero block */
  TAIL,     /* after the archive: zeros only */
  FAILED
};

struct ep_tar_in {
  enum state state;
  int64_t offset;   /* bytes used so far */
  int64_t block_at; /* where the block being collected began */
  size_t have;      /* bytes in `block`, or of the records */
  size_t pad;       /* still to be skipped */
  int64_t left;     /* of the entry's data */
  char *pax;        /* records of the entry at hand; pax_cap of room, pax_n to be had */
  size_t pax_n, pax_cap;
  bool extended; /* an extended header waits for its entry */
  struct ep_tar_record records[EP_TAR_RECORDS_MAX];
  struct ep_tar_entry entry;
  struct ep_tar_names names;
  struct ep_err failure;
  struct ep_tar_header header; /* the last one */
  char sparse[EP_TAR_PREFIX_MAX + 1];
  unsigned char block[EP_TAR_BLOCK];
};

struct ep_tar_in *ep_tar_in_new(const char *sparse)
{
  struct ep_tar_in *t = ep_alloc(sizeof *t);
  if (!t)
    return NULL;
  if (sparse)
    memcpy(t->sparse, sparse, strnlen(sparse, EP_TAR_PREFIX_MAX));
  return t;
}

void ep_tar_in_free(struct ep_tar_in *t)
{
  if (!t)
    return;
  ep_tar_names_free(&t->names);
  ep_free(t->pax);
  ep_free(t);
}

int64_t ep_tar_in_offset(const struct ep_tar_in *t)
{
  return t->offset;
}

int64_t ep_tar_in_left(const struct ep_tar_in *t)
{
  return t->state == DATA ? t->left : 0;
}

/* ---- what the records say about the entry ---- */

/* Seconds with an optional sign and fraction; the fraction is cut off downwards. */
static bool seconds(const struct ep_tar_record *r, int64_t *out)
{
  bool minus = r->value_n > 0 && r->value[0] == '-';
  const char *p = r->value + minus;
  size_t n = r->value_n - minus;
  const char *dot = memchr(p, '.', n);
  size_t whole = dot ? (size_t)(dot - p) : n;
  bool fraction = false;
  if (!ep_tar_decimal(p, whole, EP_SIZE_MAX - 1, out) || *out == EP_SIZE_MAX)
    return false;
  for (size_t i = whole + 1; i < n; i++) {
    if (p[i] < '0' || p[i] > '9')
      return false;
    fraction |= p[i] != '0';
  }
  if (minus)
    *out = -*out - fraction;
  return true;
}

/* path, size and mtime win over the header and leave the list. */
static enum ep_status fold(struct ep_tar_in *t, struct ep_err *err)
{
  struct ep_tar_entry *e = &t->entry;
  size_t kept = 0;
  for (size_t i = 0; i < e->records_n; i++) {
    const struct ep_tar_record r = t->records[i];
    if (ep_tar_record_is(&r, "path")) {
      e->name = r.value;
      e->name_n = r.value_n;
    } else if (ep_tar_record_is(&r, "size")) {
      if (!ep_tar_decimal(r.value, r.value_n, EP_SIZE_MAX, &e->size))
        return ep_fail(err, "invalid", "extended header: size is not a number");
      if (e->size > EP_SIZE_MAX)
        return ep_fail(err, "too_large", "extended header: size is above 2^53");
    } else if (ep_tar_record_is(&r, "mtime")) {
      if (!seconds(&r, &e->mtime))
        return ep_fail(err, "invalid", "extended header: mtime is not a time");
    } else {
      t->records[kept++] = r;
    }
  }
  e->records_n = kept;
  return EP_OK;
}

/* ---- whole headers ---- */

static enum ep_status extended_header(struct ep_tar_in *t, int64_t n, struct ep_err *err)
{
  if (t->extended)
    return ep_fail(err, "invalid", "two extended headers in a row");
  if (n > EP_TAR_PAX_MAX)
    return ep_fail(err, "too_large",
                   "an extended header of %" PRId64 " bytes (at most %d)", n,
                   EP_TAR_PAX_MAX);
  if ((size_t)n > t->pax_cap) {
    ep_free(t->pax);
    t->pax_cap = 0;
    t->pax = ep_alloc((size_t)n);
    if (!t->pax)
      return ep_fail_memory(err);
    t->pax_cap = (size_t)n;
  }
  t->pax_n = (size_t)n;
  t->extended = true;
  t->have = 0;
  t->state = PAX_BODY;
  return EP_OK;
}

static enum ep_status entry_header(struct ep_tar_in *t, struct ep_err *err)
{
  enum { REGULAR = 0100000 }; /* some programs write st_mode as it is */
  const struct ep_tar_header *h = &t->header;
  struct ep_tar_entry *e = &t->entry;
  int64_t mode = (h->mode & REGULAR) ? h->mode - REGULAR : h->mode;
  char q[EP_TAR_QUOTE_MAX];
  e->name = h->name;
  e->name_n = h->name_n;
  e->size = h->size;
  e->mtime = h->mtime;
  e->records = t->records;
  if (!t->extended)
    e->records_n = 0;
  if (fold(t, err) != EP_OK || ep_tar_name_check(e->name, e->name_n, err) != EP_OK)
    return EP_ERR;
  if (mode > EP_TAR_MODE_MAX)
    return ep_fail(err, "invalid", "entry '%s': mode %" PRIo64 " (at most 0777)",
                   ep_tar_quote(q, e->name, e->name_n), (uint64_t)mode);
  e->mode = (unsigned)mode;
  if (ep_tar_sparse_find(e, t->sparse[0] ? t->sparse : NULL, err) != EP_OK ||
      ep_tar_names_add(&t->names, e->name, e->name_n, err) != EP_OK)
    return EP_ERR;
  t->extended = false;
  t->left = e->size;
  t->state = DATA;
  return EP_OK;
}

static enum ep_status header(struct ep_tar_in *t, struct ep_err *err)
{
  if (ep_tar_is_zero(t->block, EP_TAR_BLOCK)) {
    if (t->extended)
      return ep_fail(err, "invalid", "an extended header without its entry");
    t->state = LAST;
    t->have = 0;
    return EP_OK;
  }
  if (ep_tar_header_parse(t->block, &t->header, err) != EP_OK)
    return EP_ERR;
  return t->header.extended ? extended_header(t, t->header.size, err)
                            : entry_header(t, err);
}

static enum ep_status records(struct ep_tar_in *t, struct ep_err *err)
{
  t->state = PAX_PAD;
  t->pad = ep_tar_padding((int64_t)t->pax_n);
  return ep_tar_pax_parse(t->pax, t->pax_n, t->records, &t->entry.records_n, err);
}

/* ---- the machine ---- */

size_t ep_tar_in_wants(const struct ep_tar_in *t)
{
  switch (t->state) {
  case HEADER:
  case LAST:
    return EP_TAR_BLOCK - t->have;
  case PAX_BODY:
    return t->pax_n - t->have;
  case PAX_PAD:
  case DATA_PAD:
    return t->pad ? t->pad : EP_TAR_BLOCK;
  case DATA:
    return (uint64_t)t->left < SIZE_MAX ? (size_t)t->left : SIZE_MAX;
  case TAIL:
    return EP_TAR_BLOCK;
  case FAILED:
    break;
  }
  return 0;
}

void ep_tar_in_took(struct ep_tar_in *t, size_t n)
{
  t->left -= (int64_t)n;
  t->offset += (int64_t)n;
}

static void begin_block(struct ep_tar_in *t)
{
  t->state = HEADER;
  t->have = 0;
  t->block_at = t->offset;
}

/* Moves up to `want` bytes of the input to `to`; true when all of them were there. */
struct input {
  const unsigned char *p;
  size_t n;
};

static size_t advance(struct ep_tar_in *t, struct input *in, size_t want)
{
  size_t n = want < in->n ? want : in->n;
  in->p += n;
  in->n -= n;
  t->offset += (int64_t)n;
  return n;
}

static bool collect(struct ep_tar_in *t, struct input *in, void *to, size_t whole)
{
  const unsigned char *from = in->p;
  size_t n = advance(t, in, whole - t->have);
  if (n > 0)
    memcpy((unsigned char *)to + t->have, from, n);
  t->have += n;
  return t->have == whole;
}

static bool skip(struct ep_tar_in *t, struct input *in)
{
  t->pad -= advance(t, in, t->pad);
  return t->pad == 0;
}

/* One step. Sets ev->kind to something else than EP_TAR_MORE, or makes progress, or finds
** that it cannot without more input (*hungry). */
static enum ep_status step(struct ep_tar_in *t, struct input *in, struct ep_tar_event *ev,
                           bool *hungry, struct ep_err *err)
{
  switch (t->state) {
  case HEADER:
    if (!collect(t, in, t->block, EP_TAR_BLOCK)) {
      *hungry = true;
    } else if (header(t, err) != EP_OK) {
      return EP_ERR;
    } else if (t->state == DATA) {
      ev->kind = EP_TAR_ENTRY;
      ev->entry = &t->entry;
    }
    return EP_OK;
  case PAX_BODY:
    if (collect(t, in, t->pax, t->pax_n))
      return records(t, err);
    *hungry = true;
    return EP_OK;
  case PAX_PAD:
  case DATA_PAD:
    if (skip(t, in))
      begin_block(t);
    else
      *hungry = true;
    return EP_OK;
  case DATA:
    if (t->left == 0) {
      ev->kind = EP_TAR_ENTRY_END;
      t->pad = ep_tar_padding(t->entry.size);
      t->state = DATA_PAD;
    } else if (in->n > 0) {
      ev->kind = EP_TAR_DATA;
      ev->data = in->p;
      ev->n = advance(t, in, ep_tar_in_wants(t));
      t->left -= (int64_t)ev->n;
    } else {
      *hungry = true;
    }
    return EP_OK;
  case LAST:
    if (!collect(t, in, t->block, EP_TAR_BLOCK)) {
      *hungry = true;
      return EP_OK;
    }
    if (!ep_tar_is_zero(t->block, EP_TAR_BLOCK))
      return ep_fail(err, "invalid", "a single zero block, and then more");
    t->state = TAIL;
    ev->kind = EP_TAR_END;
    return EP_OK;
  case TAIL:
    t->block_at = t->offset;
    if (!ep_tar_is_zero(in->p, in->n)) {
      for (const unsigned char *p = in->p; *p == 0; p++)
        t->block_at++;
      return ep_fail(err, "invalid", "bytes after the end of the archive");
    }
    (void)advance(t, in, in->n);
    *hungry = true;
    return EP_OK;
  case FAILED:
    break;
  }
  *err = t->failure;
  return EP_ERR;
}

static enum ep_status failed(struct ep_tar_in *t, struct ep_err *err)
{
  if (t->state != FAILED) {
    struct ep_err why = *err;
    (void)ep_fail_because(&t->failure, &why, "tar, block at byte %" PRId64, t->block_at);
    t->state = FAILED;
  }
  *err = t->failure;
  return EP_ERR;
}

enum ep_status ep_tar_in_feed(struct ep_tar_in *t, const unsigned char *p, size_t n,
                              size_t *used, struct ep_tar_event *ev, struct ep_err *err)
{
  struct input in = {p, n};
  bool hungry = false;
  memset(ev, 0, sizeof *ev);
  while (ev->kind == EP_TAR_MORE && !hungry)
    if (step(t, &in, ev, &hungry, err) != EP_OK) {
      *used = n - in.n;
      return failed(t, err);
    }
  *used = n - in.n;
  return EP_OK;
}

enum ep_status ep_tar_in_eof(struct ep_tar_in *t, struct ep_err *err)
{
  char q[EP_TAR_QUOTE_MAX];
  if (t->state == TAIL)
    return EP_OK;
  if (t->state == FAILED)
    return failed(t, err);
  t->block_at = t->offset;
  /* the records that hold the name are gone with the next extended header */
  if (t->state == DATA || t->state == DATA_PAD)
    (void)ep_tar_quote(q, t->entry.name, t->entry.name_n);
  if (t->state == DATA && t->left > 0)
    (void)ep_fail(err, "truncated",
                  "the stream ends inside entry '%s', %" PRId64 " of %" PRId64
                  " bytes are missing",
                  q, t->left, t->entry.size);
  else if (t->state == DATA || (t->state == DATA_PAD && t->pad > 0))
    (void)ep_fail(err, "truncated", "the stream ends inside the padding of entry '%s'",
                  q);
  else if (t->state == PAX_BODY || (t->state == PAX_PAD && t->pad > 0))
    (void)ep_fail(err, "truncated", "the stream ends inside an extended header");
  else if (t->extended)
    (void)ep_fail(err, "truncated", "the stream ends after an extended header");
  else if (t->state == HEADER && t->have > 0)
    (void)ep_fail(err, "truncated", "the stream ends inside a header");
  else
    (void)ep_fail(err, "truncated", "the stream ends without the two zero blocks");
  return failed(t, err);
}
