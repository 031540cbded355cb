/* PAX records: what is accepted can be written anew and is read the same. */
#include "base/tar.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
  if (!ok)
    abort();
}

static bool same(const char *a, size_t an, const char *b, size_t bn)
{
  return an == bn && memcmp(a, b, an) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct ep_tar_record records[EP_TAR_RECORDS_MAX], again[EP_TAR_RECORDS_MAX];
  size_t n = 0, m = 0, bytes = 0, at = 0;
  struct ep_err err;
  unsigned char *text;
  if (ep_tar_pax_parse((const char *)data, size, records, &n, &err) != EP_OK)
    return 0;
  for (size_t i = 0; i < n; i++) {
    check(records[i].key >= (const char *)data && records[i].key_n > 0);
    check(records[i].value + records[i].value_n < (const char *)data + size);
    check(!memchr(records[i].key, 0, records[i].key_n));
    bytes += ep_tar_record_size(&records[i]);
  }
  text = malloc(bytes + 1);
  check(text != NULL);
  for (size_t i = 0; i < n; i++)
    at += ep_tar_record_write(text + at, &records[i]);
  check(at == bytes && bytes <= size); /* the shortest of the ways to write it */
  check(ep_tar_pax_parse((const char *)text, at, again, &m, &err) == EP_OK && m == n);
  for (size_t i = 0; i < n; i++) {
    check(same(records[i].key, records[i].key_n, again[i].key, again[i].key_n));
    check(same(records[i].value, records[i].value_n, again[i].value, again[i].value_n));
  }
  free(text);
  return 0;
}
