/* Tar archives on their way: entries out of a source, entries into a sink.
**
** An entry's data passes through without being copied here. Reader and writer adopt what is
** below them. The reader closes its source in the end; the writer never closes its sink but
** gives it back, because an archive that failed has to be poisoned and not just to end. A
** body holds a reference to its reader or writer.
*/
#ifndef EP_TAR_IO_H
#define EP_TAR_IO_H

#include "io.h"
#include "loop.h"
#include "tar.h"

#pragma GCC visibility push(hidden)

/* ---- reading (tar_read.c) ---- */

struct ep_tar_reader;

/* Adopts the source, unless out of memory (NULL). Reads exactly up to what it needs, never
** over it. */
struct ep_tar_reader *ep_tar_reader_new(struct ep_host *host, struct ep_source *source,
                                        const char *sparse) EP_MUST;
/* EP_OK with an entry, valid until the next call; EP_EOF once the archive and the source
** have ended well, as often as asked; EP_AGAIN; EP_ERR, from then on always the same one.
** Only when the data of the entry before has been read or skipped. */
enum ep_status ep_tar_reader_next(struct ep_tar_reader *r,
                                  const struct ep_tar_entry **entry,
                                  struct ep_err *err) EP_MUST;
/* Reads the rest of the entry's data and drops it. EP_OK, EP_AGAIN or EP_ERR. */
enum ep_status ep_tar_reader_skip(struct ep_tar_reader *r, struct ep_err *err) EP_MUST;
/* After EP_AGAIN of one of these two: the task runs when trying again makes sense. */
void ep_tar_reader_arm(struct ep_tar_reader *r, struct ep_loop *loop,
                       struct ep_task *task);
/* Bytes of the entry's data not read yet; 0 once failed or closed. */
int64_t ep_tar_reader_left(const struct ep_tar_reader *r);
/* Whether there is an entry whose body was not asked for yet. */
bool ep_tar_reader_has_body(const struct ep_tar_reader *r);
/* The data of the entry, once. Closing it leaves what was not read to `skip`. */
struct ep_source *ep_tar_reader_body(struct ep_tar_reader *r) EP_MUST;
int64_t ep_tar_reader_offset(const struct ep_tar_reader *r);
/* Closes the source; bodies fail from then on. Idempotent. */
void ep_tar_reader_close(struct ep_tar_reader *r);

/* ---- writing (tar_write.c) ---- */

struct ep_tar_writer;

/* Adopts the sink, unless out of memory (NULL). */
struct ep_tar_writer *ep_tar_writer_new(struct ep_host *host, struct ep_sink *sink,
                                        const char *sparse) EP_MUST;
/* Begins an entry: *body takes exactly entry->size bytes, then is finished, which pads. More
** bytes, fewer, or closing it unfinished end the whole archive: nothing but the poison can
** follow. Only when the body before was finished. Refused entries (a name, a mode, …) change
** nothing. */
enum ep_status ep_tar_writer_entry(struct ep_tar_writer *w,
                                   const struct ep_tar_entry *entry,
                                   struct ep_sink **body, struct ep_err *err) EP_MUST;
/* The header alone of an entry that comes next, for who sends the bytes of the archive another
** way, the data and ep_tar_padding zeros behind it: the sink is told nothing. `head` holds
** until the next entry. When and what is refused: as with ep_tar_writer_entry. */
enum ep_status ep_tar_writer_head(struct ep_tar_writer *w,
                                  const struct ep_tar_entry *entry,
                                  struct ep_tar_head *head, struct ep_err *err) EP_MUST;
/* Whether the last entry's body still is to be finished. */
bool ep_tar_writer_busy(const struct ep_tar_writer *w);
/* Writes the end of the archive, then finishes the sink. EP_OK, EP_AGAIN or EP_ERR. */
enum ep_status ep_tar_writer_finish(struct ep_tar_writer *w, struct ep_err *err) EP_MUST;
/* After EP_AGAIN of that: the task runs when trying again makes sense. */
void ep_tar_writer_arm(struct ep_tar_writer *w, struct ep_loop *loop,
                       struct ep_task *task);

/* Gives the sink back to who gave it; nothing more is written. Idempotent. */
void ep_tar_writer_close(struct ep_tar_writer *w);

/* Gives up: the sink is given back, nothing more is written, and *n bytes at `out` are what
** has to be sent to it before it is closed, so that no reader takes the end of the stream
** for a clean end. What the sink has taken counts as sent; headers and padding that it has
** not taken do not.
**
** - Between entries, after the last byte of an entry's data, after the last byte of an
**   extended header: the padding that is missing, and a block that cannot be a header.
** - Inside a header block or the trailer's second half: the rest of the block, spoiled.
** - Inside an entry's data or an extended header's records: nothing. The reader misses
**   bytes, and any that were sent could only complete what it waits for.
**
** What was poisoned can be asked again: the answer stays. EP_ERR (code "finished") when the
** sink has taken the whole trailer: too late. */
enum ep_status ep_tar_writer_poison(struct ep_tar_writer *w,
                                    unsigned char out[EP_TAR_POISON_MAX], size_t *n,
                                    struct ep_err *err) EP_MUST;

#pragma GCC visibility pop
#endif
