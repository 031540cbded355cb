/* The vocabulary of the core: what a call can answer, how a failure is described, how
** memory is taken, and how an object is counted and shared. No Lua, no curl below here.
*/
#ifndef EP_H
#define EP_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Hidden here and not by a compiler flag, so that any build system gets it right. */
#pragma GCC visibility push(hidden)

#define EP_MUST         __attribute__((warn_unused_result))
#define EP_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Sizes and offsets: what a Lua number of either VM carries exactly. */
#define EP_SIZE_MAX ((int64_t)1 << 53)

/* Room of one transfer block, and how much a task may move before others get a turn. */
#define EP_BLOCK_SIZE  ((size_t)256 * 1024)
#define EP_STEP_BUDGET ((size_t)1024 * 1024)

enum ep_status {
  EP_OK,    /* done, or progress was made */
  EP_AGAIN, /* nothing now: arm and try again */
  EP_EOF,   /* a source has no more; never an answer of a sink */
  EP_ERR    /* failed: the ep_err says why */
};

/* A failure. `code` is a word that callers may compare (a static string), `text` is for
** people. Never allocates, so that running out of memory can be described too.
*/
struct ep_err {
  const char *code;
  int sys; /* errno where there was one, else 0 */
  char text[400];
};

/* Each sets *err and returns EP_ERR, so that `return ep_fail(…)` reads well. */
enum ep_status ep_fail(struct ep_err *err, const char *code, const char *fmt, ...)
    EP_PRINTF(3, 4);
/* The text is followed by ": " and the words for errno `en`, the code follows from it. */
enum ep_status ep_fail_errno(struct ep_err *err, int en, const char *fmt, ...)
    EP_PRINTF(3, 4);
enum ep_status ep_fail_memory(struct ep_err *err);
/* Copies *from, puts the new words and ": " before its text. `from` may be `err`. */
enum ep_status ep_fail_because(struct ep_err *err, const struct ep_err *from,
                               const char *fmt, ...) EP_PRINTF(3, 4);

/* Memory. All of the core's goes through these, so that tests can fail any one call. */
void *ep_alloc(size_t n) EP_MUST;            /* zeroed; NULL when there is none */
void *ep_alloc_raw(size_t n) EP_MUST;        /* the same, but not zeroed */
void *ep_realloc(void *p, size_t n) EP_MUST; /* the old block stays on failure */
char *ep_strndup(const char *s, size_t n) EP_MUST;
void ep_free(void *p);

/* What can be alive. The names in ep_kind_names are what core.live() shows. */
enum ep_kind {
  EP_KIND_LOOP,
  EP_KIND_POOL,
  EP_KIND_FLOW,
  EP_KIND_SOURCE,
  EP_KIND_SINK,
  EP_KIND_BLOCK,
  EP_KIND_SPOOL,
  EP_KIND_RELAY,
  EP_KIND_LOCK,
  EP_KIND_HASHER,
  EP_KIND_TAR_READER,
  EP_KIND_TAR_WRITER,
  EP_KIND_PROCESS,
  EP_KIND_HTTP,
  EP_KIND_REQUEST,
  EP_KIND_TIMER,
  EP_KINDS
};
extern const char *const ep_kind_names[EP_KINDS];

/* One per Lua state: counts what is alive. Shared by everything that was made for it, so
** that an object may outlive the state's own reference.
*/
struct ep_host {
  atomic_long refs;
  atomic_long live[EP_KINDS];
};
struct ep_host *ep_host_new(void) EP_MUST;
void ep_host_release(struct ep_host *host);

/* The head of every shared object. The one who made it holds the first reference; every
** holder releases once; `destroy` runs with the last release, on whatever thread that is.
*/
struct ep_obj {
  struct ep_host *host;
  void (*destroy)(void *self);
  atomic_long refs;
  enum ep_kind kind;
};
/* Allocates `size` zeroed bytes that begin with an ep_obj. NULL when out of memory. */
void *ep_obj_new(struct ep_host *host, enum ep_kind kind, size_t size,
                 void (*destroy)(void *self)) EP_MUST;
/* The same for memory from ep_alloc_raw whose rest the caller fills. */
void ep_obj_init(struct ep_obj *obj, struct ep_host *host, enum ep_kind kind,
                 void (*destroy)(void *self));
void *ep_retain(void *obj); /* returns obj */
void ep_release(void *obj); /* NULL is fine */

/* Milliseconds of a clock that only moves forward. */
int64_t ep_now_ms(void);

#pragma GCC visibility pop
#endif
