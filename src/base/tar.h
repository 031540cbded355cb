/* Flat tar archives (ustar with PAX records), read and written without any I/O.
**
** What is accepted is narrow on purpose: regular files whose names are plain base names,
** each once. The writer refuses what the reader would refuse. Vendor records for files with
** holes, `<prefix>.map` and `<prefix>.size`, are checked when a prefix is given.
*/
#ifndef EP_TAR_H
#define EP_TAR_H

#include "ep.h"

#pragma GCC visibility push(hidden)

enum {
  EP_TAR_BLOCK = 512,
  EP_TAR_NAME_MAX = 255,
  EP_TAR_MODE_MAX = 0777,
  EP_TAR_PAX_MAX = 1024 * 1024, /* bytes of one extended header */
  EP_TAR_RECORDS_MAX = 64,      /* records of one extended header */
  EP_TAR_ENTRIES_MAX = 65536,
  EP_TAR_PREFIX_MAX = 64
};

/* One PAX record. Any bytes in the value; no NUL, no '=' in the key. */
struct ep_tar_record {
  const char *key;
  size_t key_n;
  const char *value;
  size_t value_n;
};

struct ep_tar_entry {
  const char *name;
  size_t name_n;
  unsigned mode;
  int64_t size, mtime;
  const struct ep_tar_record *records; /* without path, size and mtime: those are above */
  size_t records_n;
  const struct ep_tar_record *map; /* one of the records, or NULL: not sparse */
  int64_t logical;                 /* size with the holes, where there is a map */
};

/* Zero bytes that follow `size` bytes up to the end of a block. */
static inline size_t ep_tar_padding(int64_t size)
{
  return (size_t)(-(uint64_t)size & (EP_TAR_BLOCK - 1));
}

/* ---- names (tar_name.c) ---- */

/* A base name: 1 to 255 bytes of UTF-8 without '/', NUL and control characters, and neither
** "." nor "..". */
enum ep_status ep_tar_name_check(const char *name, size_t n, struct ep_err *err) EP_MUST;
/* A name for messages: printable, cut short. Returns `out`. */
enum { EP_TAR_QUOTE_MAX = 96 };
const char *ep_tar_quote(char out[EP_TAR_QUOTE_MAX], const char *name, size_t n);

/* The names of one archive. At most EP_TAR_ENTRIES_MAX; however they are chosen, adding
** one costs at most as many steps as it has bits. */
struct ep_tar_names {
  char *text; /* all names, each with its NUL */
  size_t text_n, text_cap;
  struct ep_tar_fork *forks;
  uint32_t count, forks_cap;
  uint32_t root;
};
/* Fails for a name that is there. `name` has passed ep_tar_name_check. */
enum ep_status ep_tar_names_add(struct ep_tar_names *names, const char *name, size_t n,
                                struct ep_err *err) EP_MUST;
void ep_tar_names_free(struct ep_tar_names *names);

/* ---- PAX records (tar_pax.c) ---- */

/* Splits the body of an extended header. The records point into it. */
enum ep_status ep_tar_pax_parse(const char *body, size_t n,
                                struct ep_tar_record records[EP_TAR_RECORDS_MAX],
                                size_t *count, struct ep_err *err) EP_MUST;
/* What every list of records must keep to: keys, no key twice, nothing of GNU.sparse. */
enum ep_status ep_tar_records_check(const struct ep_tar_record *records, size_t n,
                                    struct ep_err *err) EP_MUST;
bool ep_tar_record_is(const struct ep_tar_record *r, const char *key);
/* Bytes of the record "LEN key=value\n", and the record itself at `out`. */
size_t ep_tar_record_size(const struct ep_tar_record *r);
size_t ep_tar_record_write(unsigned char *out, const struct ep_tar_record *r);
/* Decimal as it is written: digits only, no leading zero. False when it is not that;
** `limit` + 1 stands for everything above `limit`. */
bool ep_tar_decimal(const char *p, size_t n, int64_t limit, int64_t *out);
/* Finds and checks <prefix>.map and <prefix>.size among the entry's records, sets ->map and
** ->logical. No prefix (NULL): nothing to find. */
enum ep_status ep_tar_sparse_find(struct ep_tar_entry *e, const char *prefix,
                                  struct ep_err *err) EP_MUST;

/* ---- header blocks (tar_head.c) ---- */

/* What a block says that is not zero: of an extended header only the size. */
struct ep_tar_header {
  bool extended;
  int64_t size, mode, mtime;
  size_t name_n;
  char name[155 + 1 + 100]; /* prefix, '/', name; nothing of it is checked yet */
};
enum ep_status ep_tar_header_parse(const unsigned char block[EP_TAR_BLOCK],
                                   struct ep_tar_header *h, struct ep_err *err) EP_MUST;
bool ep_tar_is_zero(const unsigned char *p, size_t n);

/* ---- reading (tar_in.c) ---- */

struct ep_tar_in;

enum ep_tar_event_kind {
  EP_TAR_MORE,      /* everything was used: feed more */
  EP_TAR_ENTRY,     /* a header; `entry` holds until the next EP_TAR_MORE after its end */
  EP_TAR_DATA,      /* a piece of the entry's data, inside what was fed */
  EP_TAR_ENTRY_END, /* after the last piece, before the padding */
  EP_TAR_END /* the two zero blocks; only zeros may follow, up to the end of input */
};

struct ep_tar_event {
  enum ep_tar_event_kind kind;
  const struct ep_tar_entry *entry;
  const unsigned char *data;
  size_t n;
};

/* `sparse` is the vendor prefix, copied; NULL: none. NULL when out of memory. */
struct ep_tar_in *ep_tar_in_new(const char *sparse) EP_MUST;
void ep_tar_in_free(struct ep_tar_in *t);
/* Uses up to n bytes, says how many and what they led to. May be called with n 0: some
** events need no bytes. After EP_ERR every call fails with the same error. */
enum ep_status ep_tar_in_feed(struct ep_tar_in *t, const unsigned char *p, size_t n,
                              size_t *used, struct ep_tar_event *ev,
                              struct ep_err *err) EP_MUST;
/* How many bytes lead to the next event, or part of the way there: reading no more than
** that never reads over it. */
size_t ep_tar_in_wants(const struct ep_tar_in *t);
/* For who reads an entry's data past this reader: what is left of it, and that n bytes of
** it were read. */
int64_t ep_tar_in_left(const struct ep_tar_in *t);
void ep_tar_in_took(struct ep_tar_in *t, size_t n);
/* The input has ended: EP_OK if the archive had, too; else code "truncated". */
enum ep_status ep_tar_in_eof(struct ep_tar_in *t, struct ep_err *err) EP_MUST;
int64_t ep_tar_in_offset(const struct ep_tar_in *t);

/* ---- writing (tar_out.c) ---- */

struct ep_tar_out;

/* The bytes before an entry's data. With `pax` bytes of records: a header block, the
** records, padding, and the header block proper; else only that. */
struct ep_tar_head {
  const unsigned char *p; /* the writer's, until the next entry */
  size_t n, pax;
};

struct ep_tar_out *ep_tar_out_new(const char *sparse) EP_MUST;
void ep_tar_out_free(struct ep_tar_out *t);
/* The same entries give the same bytes: no user, no group, records in the order given, then
** path, size and mtime where the header has no room for them. */
enum ep_status ep_tar_out_entry(struct ep_tar_out *t, const struct ep_tar_entry *e,
                                struct ep_tar_head *head, struct ep_err *err) EP_MUST;
/* What ends an archive, and what pads an entry: zeros. */
enum { EP_TAR_TRAILER = 2 * EP_TAR_BLOCK };
extern const unsigned char ep_tar_zeros[EP_TAR_TRAILER];

/* An archive that must not end well: the bytes that keep a reader from taking the end of
** input for the end of the archive, after `at` bytes of `head` and with `left` bytes of
** data still to come and `pad` of padding. Returns how many, 0: ending the input says it.
*/
enum { EP_TAR_POISON_MAX = 2 * EP_TAR_BLOCK };
size_t ep_tar_poison_head(unsigned char out[EP_TAR_POISON_MAX],
                          const struct ep_tar_head *head, size_t at);
size_t ep_tar_poison_data(unsigned char out[EP_TAR_POISON_MAX], int64_t left, size_t pad);
/* `at` bytes of the trailer were written, not all of them. */
size_t ep_tar_poison_trailer(unsigned char out[EP_TAR_POISON_MAX], size_t at);

#pragma GCC visibility pop
#endif
