/* Sparse maps: a strict reader of their text, and the check of what they claim. */
#include "sparse.h"

#include <inttypes.h>
#include <string.h>

void ep_sparse_scan_init(struct ep_sparse_scan *scan, const char *map, size_t n)
{
  scan->start = scan->p = map;
  scan->end = map + n;
  scan->at = EP_SPARSE_BEGIN;
}

static void skip_space(struct ep_sparse_scan *s)
{
  while (s->p < s->end &&
         (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
    s->p++;
}

static bool take(struct ep_sparse_scan *s, char c)
{
  skip_space(s);
  if (s->p == s->end || *s->p != c)
    return false;
  s->p++;
  return true;
}

static enum ep_status malformed(const struct ep_sparse_scan *s, const char *wanted,
                                struct ep_err *err)
{
  return ep_fail(err, "invalid", "sparse map: %s expected at byte %td", wanted,
                 s->p - s->start);
}

/* Whole, not negative, without leading zeros, exponent or fraction. */
static enum ep_status number(struct ep_sparse_scan *s, int64_t *out, struct ep_err *err)
{
  const char *first;
  int64_t v = 0;
  skip_space(s);
  for (first = s->p; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++) {
    if (s->p > first && *first == '0')
      return malformed(s, "a number without leading zeros", err);
    v = v * 10 + (*s->p - '0');
    if (v > EP_SPARSE_SIZE_MAX)
      return ep_fail(err, "too_large", "sparse map: the number at byte %td is above 2^42",
                     first - s->start);
  }
  if (s->p == first)
    return malformed(s, "a whole number that is not negative", err);
  *out = v;
  return EP_OK;
}

static enum ep_status segment(struct ep_sparse_scan *s, struct ep_sparse_segment *out,
                              struct ep_err *err)
{
  bool have_o = false, have_l = false;
  if (!take(s, '{'))
    return malformed(s, "'{'", err);
  do {
    bool *have;
    int64_t *field;
    char key;
    if (!take(s, '"') || s->end - s->p < 2 || s->p[1] != '"')
      return malformed(s, "\"o\" or \"l\"", err);
    key = *s->p;
    have = key == 'o' ? &have_o : &have_l;
    field = key == 'o' ? &out->offset : &out->length;
    if ((key != 'o' && key != 'l') || *have)
      return malformed(s, "\"o\" and \"l\", once each,", err);
    s->p += 2;
    *have = true;
    if (!take(s, ':'))
      return malformed(s, "':'", err);
    if (number(s, field, err) != EP_OK)
      return EP_ERR;
  } while (take(s, ','));
  if (!have_o || !have_l)
    return malformed(s, "both \"o\" and \"l\"", err);
  if (!take(s, '}'))
    return malformed(s, "'}'", err);
  return EP_OK;
}

static enum ep_status closed(struct ep_sparse_scan *s, struct ep_err *err)
{
  skip_space(s);
  if (s->p != s->end)
    return malformed(s, "the end", err);
  s->at = EP_SPARSE_DONE;
  return EP_EOF;
}

enum ep_status ep_sparse_scan_next(struct ep_sparse_scan *s,
                                   struct ep_sparse_segment *out, struct ep_err *err)
{
  switch (s->at) {
  case EP_SPARSE_BEGIN:
    skip_space(s);
    if (s->end - s->p >= 4 && memcmp(s->p, "null", 4) == 0) {
      s->p += 4;
      return closed(s, err);
    }
    if (!take(s, '['))
      return malformed(s, "'['", err);
    s->at = EP_SPARSE_FIRST;
    break;
  case EP_SPARSE_FIRST:
  case EP_SPARSE_REST:
    break;
  case EP_SPARSE_DONE:
    return EP_EOF;
  }
  if (take(s, ']')) /* "[]" or the end: a comma is followed by a segment, see below */
    return closed(s, err);
  if (s->at == EP_SPARSE_REST && !take(s, ','))
    return malformed(s, "',' or ']'", err);
  s->at = EP_SPARSE_REST;
  return segment(s, out, err);
}

enum ep_status ep_sparse_check(const char *map, size_t n, int64_t stored, int64_t logical,
                               struct ep_err *err)
{
  struct ep_sparse_scan scan;
  struct ep_sparse_segment seg = {0, 0};
  int64_t end = 0, sum = 0;
  enum ep_status st;
  if (logical < 0)
    return ep_fail(err, "invalid", "sparse size: negative");
  if (logical > EP_SPARSE_SIZE_MAX)
    return ep_fail(err, "too_large", "sparse size: %" PRId64 " bytes are above 2^42",
                   logical);
  ep_sparse_scan_init(&scan, map, n);
  while ((st = ep_sparse_scan_next(&scan, &seg, err)) == EP_OK) {
    if (seg.offset < end)
      return ep_fail(err, "invalid",
                     "sparse map: the segment at %" PRId64
                     " begins before the last one ends",
                     seg.offset);
    /* both are at most 2^42, so the sum cannot wrap */
    end = seg.offset + seg.length;
    if (end > logical)
      return ep_fail(err, "invalid",
                     "sparse map: a segment ends at %" PRId64 ", the file at %" PRId64,
                     end, logical);
    sum += seg.length;
  }
  if (st != EP_EOF)
    return EP_ERR;
  if (sum != stored)
    return ep_fail(err, "invalid",
                   "sparse map: the segments hold %" PRId64 " bytes, the entry %" PRId64,
                   sum, stored);
  return EP_OK;
}
