/* The tar reader: the same events however the bytes are fed, never more than the rules
** allow, and what it accepts can be written anew and is read the same.
**
** An odd first byte has the checksums of all header-like blocks made right, so that fuzzing
** gets behind them; the second one says how long the pieces are.
*/
#include "base/tar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char prefix[] = "COCOON.sparse";

static void check(bool ok)
{
  if (!ok)
    abort();
}

struct text {
  unsigned char *p;
  size_t n, cap;
};

static void append(struct text *t, const void *p, size_t n)
{
  if (t->cap - t->n < n) {
    t->cap = (t->n + n) * 2;
    t->p = realloc(t->p, t->cap);
    check(t->p != NULL);
  }
  if (n > 0)
    memcpy(t->p + t->n, p, n);
  t->n += n;
}

static void append_number(struct text *t, int64_t v)
{
  append(t, &v, sizeof v);
}

static void append_bytes(struct text *t, const char *p, size_t n)
{
  append_number(t, (int64_t)n);
  append(t, p, n);
}

static void correct_checksums(unsigned char *p, size_t n)
{
  for (; n >= EP_TAR_BLOCK; p += EP_TAR_BLOCK, n -= EP_TAR_BLOCK) {
    unsigned sum = 0;
    char digits[8];
    if (memcmp(p + 257, "ustar", 5) != 0)
      continue;
    memset(p + 148, ' ', 8);
    for (size_t i = 0; i < EP_TAR_BLOCK; i++)
      sum += p[i];
    (void)snprintf(digits, sizeof digits, "%06o", sum & 0777777);
    memcpy(p + 148, digits, 7);
  }
}

struct run {
  struct text log;     /* what was seen, without positions */
  struct text archive; /* the same entries, written anew */
  struct ep_tar_out *out;
  int64_t left;
  bool open, ended;
};

static void on_entry(struct run *r, const struct ep_tar_entry *e)
{
  struct ep_tar_head head;
  struct ep_err err;
  check(!r->open && !r->ended);
  check(e->name_n >= 1 && e->name_n <= EP_TAR_NAME_MAX &&
        !memchr(e->name, '/', e->name_n));
  check(e->mode <= 0777 && e->size >= 0 && e->size <= EP_SIZE_MAX);
  check(e->records_n <= EP_TAR_RECORDS_MAX);
  append_bytes(&r->log, e->name, e->name_n);
  append_number(&r->log, e->mode);
  append_number(&r->log, e->size);
  append_number(&r->log, e->mtime);
  for (size_t i = 0; i < e->records_n; i++) {
    append_bytes(&r->log, e->records[i].key, e->records[i].key_n);
    append_bytes(&r->log, e->records[i].value, e->records[i].value_n);
  }
  append_number(&r->log, e->map ? e->logical : -1);
  r->left = e->size;
  r->open = true;
  if (r->out) {
    /* 61 to 64 records of the reader may leave no room for those the header needs */
    bool full = e->records_n > EP_TAR_RECORDS_MAX - 3;
    if (ep_tar_out_entry(r->out, e, &head, &err) == EP_OK) {
      check(head.n % EP_TAR_BLOCK == 0);
      append(&r->archive, head.p, head.n);
    } else {
      check(full);
      ep_tar_out_free(r->out);
      r->out = NULL;
    }
  }
}

static void on_event(struct run *r, const struct ep_tar_event *ev, const unsigned char *p,
                     size_t used)
{
  switch (ev->kind) {
  case EP_TAR_MORE:
    break;
  case EP_TAR_ENTRY:
    on_entry(r, ev->entry);
    break;
  case EP_TAR_DATA:
    check(r->open && ev->n > 0 && ev->data >= p && ev->data + ev->n == p + used);
    r->left -= (int64_t)ev->n;
    check(r->left >= 0);
    append(&r->log, ev->data, ev->n);
    append(&r->archive, ev->data, ev->n);
    break;
  case EP_TAR_ENTRY_END:
    check(r->open && r->left == 0);
    r->open = false;
    append(&r->archive, ep_tar_zeros, -r->archive.n % EP_TAR_BLOCK);
    break;
  case EP_TAR_END:
    check(!r->open && !r->ended);
    r->ended = true;
    append(&r->archive, ep_tar_zeros, EP_TAR_TRAILER);
    break;
  }
}

/* Feeds everything: pieces of at most `piece` bytes (0: as many as there are), or with
** `exact` never more than the reader wants. Returns how it ended. */
static enum ep_status feed(struct run *r, const unsigned char *p, size_t n, size_t piece,
                           bool exact, bool rewrite)
{
  struct ep_tar_in *in = ep_tar_in_new(prefix);
  struct ep_err err, later;
  enum ep_status st = EP_OK;
  size_t at = 0;
  memset(r, 0, sizeof *r);
  if (rewrite)
    r->out = ep_tar_out_new(prefix);
  check(in != NULL && (!rewrite || r->out));
  while (st == EP_OK) {
    struct ep_tar_event ev;
    size_t used = 0, give = n - at, want = ep_tar_in_wants(in);
    if (piece && give > piece)
      give = piece;
    if (exact && give > want)
      give = want;
    st = ep_tar_in_feed(in, p + at, give, &used, &ev, &err);
    check(used <= give);
    if (st == EP_OK) {
      check(!exact || used == give);
      on_event(r, &ev, p + at, used);
    }
    at += used;
    check(ep_tar_in_offset(in) == (int64_t)at);
    if (st == EP_OK && at == n && ev.kind == EP_TAR_MORE)
      break;
  }
  if (st == EP_OK)
    st = ep_tar_in_eof(in, &err);
  check(st == EP_OK ? r->ended : err.code != NULL);
  if (st == EP_ERR) {
    check(ep_tar_in_eof(in, &later) == EP_ERR && strcmp(err.text, later.text) == 0);
    append(&r->log, err.text, strlen(err.text));
  }
  ep_tar_in_free(in);
  return st;
}

static void forget(struct run *r)
{
  free(r->log.p);
  free(r->archive.p);
  ep_tar_out_free(r->out);
}

static bool same(const struct text *a, const struct text *b)
{
  return a->n == b->n && (a->n == 0 || memcmp(a->p, b->p, a->n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct run whole, pieces, exact, again;
  enum ep_status st;
  unsigned char *p;
  if (size < 2)
    return 0;
  p = malloc(size - 1);
  check(p != NULL);
  memcpy(p, data + 2, size - 2);
  if (data[0] & 1)
    correct_checksums(p, size - 2);
  st = feed(&whole, p, size - 2, 0, false, true);
  check(feed(&pieces, p, size - 2, 1 + data[1], false, false) == st);
  check(feed(&exact, p, size - 2, 0, true, false) == st);
  check(same(&whole.log, &pieces.log) && same(&whole.log, &exact.log));
  if (st == EP_OK && whole.out) {
    check(feed(&again, whole.archive.p, whole.archive.n, 0, false, true) == EP_OK);
    check(same(&whole.log, &again.log));
    check(same(&whole.archive, &again.archive)); /* writing settles at once */
    forget(&again);
  }
  forget(&whole);
  forget(&pieces);
  forget(&exact);
  free(p);
  return 0;
}
