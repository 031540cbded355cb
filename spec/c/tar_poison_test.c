/* The poison of an archive that failed, tried after every byte that a sink can have taken:
** neither this project's reader nor one as lenient as the importer's (Go's archive/tar, for
** which the end of input at any block is a clean end) may take it for an archive.
*/
#include "base/tar_io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(bool ok, const char *what, size_t at)
{
  if (ok)
    return;
  (void)fprintf(stderr, "%s, after %zu bytes\n", what, at);
  exit(1);
}

/* ---- a sink that takes so many bytes and no more ---- */

enum { ROOM = 16 * 1024 };

struct meter {
  struct ep_sink base;
  size_t n, limit, step;
  unsigned char bytes[ROOM];
};

static enum ep_status meter_write(struct ep_sink *s, const struct ep_span *span,
                                  size_t *taken, struct ep_err *err)
{
  struct meter *m = (struct meter *)s;
  size_t n = span->n;
  (void)err;
  if (n > m->limit - m->n)
    n = m->limit - m->n;
  if (n > m->step)
    n = m->step;
  if (n == 0)
    return EP_AGAIN;
  memcpy(m->bytes + m->n, span->p, n);
  m->n += n;
  *taken = n;
  return EP_OK;
}

static enum ep_status meter_finish(struct ep_sink *s, struct ep_err *err)
{
  (void)s, (void)err;
  return EP_OK;
}

static void meter_close(struct ep_sink *s)
{
  (void)s;
}

static const struct ep_sink_type meter_type = {
    .name = "meter",
    .write = meter_write,
    .finish = meter_finish,
    .close = meter_close,
};

/* ---- an archive with all that an archive can have ---- */

static const struct ep_tar_record note = {"note", 4, "0123456789", 10};
static char long_value[700];
static const struct ep_tar_entry entries[] = {
    {.name = "first", .name_n = 5, .mode = 0644, .size = 700},
    {.name = "empty", .name_n = 5, .mode = 0644},
    {.name = "noted",
     .name_n = 5,
     .mode = 0644,
     .size = 5,
     .records = &note,
     .records_n = 1},
    {.name = "hole", .name_n = 4, .mode = 0644, .records = &note, .records_n = 1},
    {.name = "whole", .name_n = 5, .mode = 0644, .size = 512},
};

/* Writes as much as the sink takes: EP_OK when that was everything. */
static enum ep_status write_all(struct ep_tar_writer *w, struct ep_sink **body)
{
  struct ep_err err;
  for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
    int64_t left = entries[i].size;
    enum ep_status st;
    check(ep_tar_writer_entry(w, &entries[i], body, &err) == EP_OK, "an entry is refused",
          i);
    while (left > 0) {
      const struct ep_span span = {(const unsigned char *)long_value, (size_t)left, NULL};
      size_t taken = 0;
      st = ep_sink_write(*body, &span, &taken, &err);
      if (st != EP_OK)
        return st;
      left -= (int64_t)taken;
    }
    st = ep_sink_finish(*body, &err);
    if (st != EP_OK)
      return st;
    ep_release(*body);
    *body = NULL;
  }
  return ep_tar_writer_finish(w, &err);
}

/* ---- two readers ---- */

static bool strict_accepts(const unsigned char *p, size_t n)
{
  struct ep_tar_in *in = ep_tar_in_new(NULL);
  struct ep_err err;
  bool good = in != NULL;
  size_t at = 0;
  while (good) {
    struct ep_tar_event ev;
    size_t used = 0;
    good = ep_tar_in_feed(in, p + at, n - at, &used, &ev, &err) == EP_OK;
    at += used;
    if (ev.kind == EP_TAR_MORE)
      break;
  }
  good = good && ep_tar_in_eof(in, &err) == EP_OK;
  ep_tar_in_free(in);
  return good;
}

static bool checksum_holds(const unsigned char *block)
{
  long sum = 0, told = strtol((const char *)block + 148, NULL, 8);
  for (size_t i = 0; i < EP_TAR_BLOCK; i++)
    sum += i >= 148 && i < 156 ? ' ' : block[i];
  return sum == told;
}

/* As Go's reader goes through an archive: which ends does it take for clean ones? */
static bool lenient_accepts(const unsigned char *p, size_t n)
{
  size_t at = 0;
  for (;;) {
    size_t size, padded;
    if (at >= n)
      return true; /* no trailer needed; nor the padding before it */
    if (n - at < EP_TAR_BLOCK)
      return false; /* unexpected EOF */
    if (ep_tar_is_zero(p + at, EP_TAR_BLOCK)) {
      at += EP_TAR_BLOCK;
      if (at == n)
        return true;
      return n - at >= EP_TAR_BLOCK && ep_tar_is_zero(p + at, EP_TAR_BLOCK);
    }
    if (!checksum_holds(p + at))
      return false; /* invalid tar header */
    size = strtoul((const char *)p + at + 124, NULL, 8);
    padded = size + ep_tar_padding((int64_t)size);
    at += EP_TAR_BLOCK;
    if (n - at < size)
      return false; /* unexpected EOF */
    at += padded;   /* padding that is cut is not missed */
  }
}

/* ---- trying ---- */

static struct meter *meter_new(struct ep_host *host, size_t limit, size_t step)
{
  struct meter *m = ep_sink_new(host, &meter_type, sizeof *m, 0);
  check(m != NULL, "out of memory", 0);
  m->limit = limit;
  m->step = step;
  return m;
}

/* Returns how many bytes the poison had. */
static size_t try_at(struct ep_host *host, size_t limit, size_t step)
{
  struct meter *m = meter_new(host, limit, step);
  struct ep_tar_writer *w = ep_tar_writer_new(host, &m->base, NULL);
  struct ep_sink *body = NULL;
  unsigned char poison[EP_TAR_POISON_MAX];
  struct ep_err err;
  size_t n = 0;
  check(w != NULL, "out of memory", limit);
  check(write_all(w, &body) == EP_AGAIN && m->n == limit, "not stopped", limit);
  check(ep_tar_writer_poison(w, poison, &n, &err) == EP_OK, "no poison", limit);
  check(n <= sizeof poison && m->n + n <= ROOM, "too much poison", limit);
  memcpy(m->bytes + m->n, poison, n);
  check(!strict_accepts(m->bytes, m->n + n), "the reader takes it for an archive", limit);
  check(!lenient_accepts(m->bytes, m->n + n), "an importer takes it for an archive",
        limit);
  check(n > 0 || !lenient_accepts(m->bytes, m->n), "no poison where some is needed",
        limit);
  ep_release(body);
  ep_release(w);
  ep_release(m);
  return n;
}

static size_t whole(struct ep_host *host)
{
  struct meter *m = meter_new(host, ROOM, ROOM);
  struct ep_tar_writer *w = ep_tar_writer_new(host, &m->base, NULL);
  struct ep_sink *body = NULL;
  unsigned char poison[EP_TAR_POISON_MAX];
  struct ep_err err;
  size_t n = 0;
  check(w && write_all(w, &body) == EP_OK, "the archive is not written", 0);
  check(strict_accepts(m->bytes, m->n) && lenient_accepts(m->bytes, m->n), "no archive",
        m->n);
  check(ep_tar_writer_poison(w, poison, &n, &err) == EP_ERR, "poison after the end",
        m->n);
  n = m->n;
  ep_release(w);
  ep_release(m);
  return n;
}

int main(void)
{
  struct ep_host *host = ep_host_new();
  size_t size, none = 0, clean = 0;
  check(host != NULL, "out of memory", 0);
  memset(long_value, 'x', sizeof long_value);
  size = whole(host);
  for (size_t at = 0; at < size; at++) {
    none += try_at(host, at, ROOM) == 0;
    clean += try_at(host, at, 7) != 0;
  }
  check(none > 1000 && clean > 1000, "one of the two ways was hardly tried", size);
  for (size_t k = 0; k < EP_KINDS; k++)
    check(host->live[k] == 0, "something is left", k);
  ep_host_release(host);
  (void)printf("poison: %zu positions, %zu of them without any bytes\n", size, none);
  return 0;
}
