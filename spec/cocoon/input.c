/* stdin, read as Go reads: to the end of what was asked for, whatever signals come. What is
 * gzipped goes through libarchive, which knows nothing of the tar inside. */
#include "standin.h"

#include <archive.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct input {
  struct archive *gunzip; /* NULL: stdin is not gzipped */
  int keep;               /* where a copy goes, or -1 */
  bool ended;
  size_t at, n;                 /* what is left of raw */
  unsigned char raw[65536 + 1]; /* one more, for the first byte of the magic */
};

/* At least one byte more in raw, unless stdin has ended. */
static void fill(struct input *in)
{
  ssize_t n;
  in->at = in->n = 0;
  do
    n = read(STDIN_FILENO, in->raw, sizeof in->raw - 1);
  while (n < 0 && errno == EINTR);
  if (n < 0)
    fail("read stdin: %s", strerror(errno));
  if (n == 0 && !in->ended) {
    in->ended = true;
    fake_log("stdin ended%s", cancelled() ? ", cancelled" : "");
  }
  in->n = (size_t)n;
  if (in->keep >= 0 && n > 0 && write(in->keep, in->raw, in->n) != n)
    fail("keeping a copy: %s", strerror(errno));
  fake_moved(in->n);
}

static la_ssize_t feed(struct archive *a, void *of, const void **bytes)
{
  struct input *in = of;
  size_t n;
  (void)a;
  if (in->at == in->n)
    fill(in);
  *bytes = in->raw + in->at;
  n = in->n - in->at;
  in->at = in->n;
  return (la_ssize_t)n;
}

static void open_gzip(struct input *in)
{
  struct archive_entry *only;
  in->gunzip = need(archive_read_new());
  archive_read_support_filter_gzip(in->gunzip);
  archive_read_support_format_raw(in->gunzip);
  if (archive_read_open(in->gunzip, in, NULL, feed, NULL) != ARCHIVE_OK ||
      archive_read_next_header(in->gunzip, &only) != ARCHIVE_OK)
    fail("unexpected EOF");
}

struct input *input_open(void)
{
  struct input *in = need(calloc(1, sizeof *in));
  in->keep = fake_keep()
                 ? open(fake_keep(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)
                 : -1;
  fill(in);
  if (in->n == 0) {
    input_close(in);
    return NULL;
  }
  while (in->n == 1 && !in->ended) { /* both bytes of the magic */
    unsigned char first = in->raw[0];
    fill(in);
    memmove(in->raw + 1, in->raw, in->n);
    in->raw[0] = first;
    in->n++;
  }
  if (in->n > 1 && in->raw[0] == 0x1f && in->raw[1] == 0x8b)
    open_gzip(in);
  return in;
}

size_t input_read(struct input *in, void *bytes, size_t n)
{
  size_t got = 0;
  while (got < n) {
    size_t some;
    if (in->gunzip) {
      la_ssize_t r = archive_read_data(in->gunzip, (char *)bytes + got, n - got);
      if (r < 0)
        fail("unexpected EOF");
      some = (size_t)r;
    } else {
      if (in->at == in->n)
        fill(in);
      some = in->n - in->at < n - got ? in->n - in->at : n - got;
      memcpy((char *)bytes + got, in->raw + in->at, some);
      in->at += some;
    }
    if (some == 0)
      break;
    got += some;
  }
  return got;
}

void input_close(struct input *in)
{
  if (in->gunzip)
    archive_read_free(in->gunzip);
  if (in->keep >= 0)
    close(in->keep);
  free(in);
}
