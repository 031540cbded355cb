/* The owner's side reads `inner` into one of two input slots and takes what the thread put
** into one of two output slots; the thread sits in libarchive, whose callbacks wait for
** input. Only the slots' counters are shared; each slot belongs to one side at a time.
*/
#include "unwrap.h"

#include "loop.h"

#include <archive.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

enum { SLOTS = 2, MAGIC = 6 };

struct slots {
  unsigned char *data[SLOTS];
  size_t n[SLOTS];
  unsigned first, full; /* which is the oldest, and how many hold bytes */
  bool ended;           /* nothing comes after these */
};

struct unwrap {
  struct ep_source base;
  struct ep_source *inner;
  enum { PEEKING, PLAIN, THREADED } mode;
  unsigned char magic[MAGIC];
  size_t magic_n, magic_at;
  pthread_t thread;
  bool started;
  bool inner_ended;
  size_t out_at;        /* how far the first output slot has been read */
  pthread_mutex_t lock; /* guards all that follows */
  pthread_cond_t changed;
  struct slots in, out;
  bool reading; /* the thread holds the first input slot */
  bool abandoned, failed;
  struct ep_err err;
  struct ep_loop *loop; /* where `task` waits, retained */
  struct ep_task *task;
};

/* ---- the thread's side ---- */

static void wake(struct unwrap *u)
{
  if (!u->task)
    return;
  ep_loop_notify(u->loop, u->task);
  u->task = NULL;
}

/* Hands the slot that libarchive has done with back and waits for the next. */
static la_ssize_t give_input(struct archive *a, void *arg, const void **p)
{
  struct unwrap *u = arg;
  la_ssize_t n = 0;
  pthread_mutex_lock(&u->lock);
  if (u->reading) {
    u->in.first = (u->in.first + 1) % SLOTS;
    u->in.full--;
    u->reading = false;
    wake(u);
  }
  while (u->in.full == 0 && !u->in.ended && !u->abandoned)
    pthread_cond_wait(&u->changed, &u->lock);
  if (u->abandoned) {
    archive_set_error(a, 0, "abandoned");
    n = -1;
  } else if (u->in.full > 0) {
    u->reading = true;
    *p = u->in.data[u->in.first];
    n = (la_ssize_t)u->in.n[u->in.first];
  }
  pthread_mutex_unlock(&u->lock);
  return n;
}

/* Waits for a free output slot; NULL when abandoned. */
static unsigned char *free_slot(struct unwrap *u)
{
  unsigned char *slot = NULL;
  pthread_mutex_lock(&u->lock);
  while (u->out.full == SLOTS && !u->abandoned)
    pthread_cond_wait(&u->changed, &u->lock);
  if (!u->abandoned)
    slot = u->out.data[(u->out.first + u->out.full) % SLOTS];
  pthread_mutex_unlock(&u->lock);
  return slot;
}

static void put_output(struct unwrap *u, size_t n)
{
  pthread_mutex_lock(&u->lock);
  u->out.n[(u->out.first + u->out.full) % SLOTS] = n;
  u->out.full++;
  wake(u);
  pthread_mutex_unlock(&u->lock);
}

static bool open_filter(struct unwrap *u, struct archive *a)
{
  return archive_read_support_filter_gzip(a) == ARCHIVE_OK &&
         archive_read_support_filter_xz(a) == ARCHIVE_OK &&
         archive_read_support_filter_zstd(a) == ARCHIVE_OK &&
         archive_read_support_format_raw(a) == ARCHIVE_OK &&
         archive_read_support_format_empty(a) == ARCHIVE_OK &&
         archive_read_open(a, u, NULL, give_input, NULL) == ARCHIVE_OK;
}

static bool expand(struct unwrap *u, struct archive *a)
{
  struct archive_entry *entry;
  unsigned char *slot;
  int r = archive_read_next_header(a, &entry);
  if (r == ARCHIVE_EOF)
    return true;
  while (r == ARCHIVE_OK && (slot = free_slot(u))) {
    la_ssize_t n = archive_read_data(a, slot, EP_BLOCK_SIZE);
    if (n == 0)
      return true;
    if (n < 0)
      break;
    put_output(u, (size_t)n);
  }
  return false;
}

static void *worker(void *arg)
{
  struct unwrap *u = arg;
  struct archive *a = archive_read_new();
  bool good = a && open_filter(u, a) && expand(u, a);
  pthread_mutex_lock(&u->lock);
  u->out.ended = true;
  if (!good) {
    u->failed = true;
    if (a && archive_error_string(a))
      (void)ep_fail(&u->err, "invalid", "unpacking the stream: %s",
                    archive_error_string(a));
    else
      (void)ep_fail_memory(&u->err);
  }
  wake(u);
  pthread_mutex_unlock(&u->lock);
  (void)archive_read_free(a);
  return NULL;
}

/* ---- the owner's side ---- */

static bool wrapped(const unsigned char *p, size_t n)
{
  return (n >= 2 && memcmp(p, "\x1f\x8b", 2) == 0) ||
         (n >= 4 && memcmp(p, "\x28\xb5\x2f\xfd", 4) == 0) ||
         (n >= 6 && memcmp(p,
                           "\xfd"
                           "7zXZ\0",
                           6) == 0);
}

static enum ep_status start(struct unwrap *u, struct ep_err *err)
{
  sigset_t all, before;
  int i, en;
  for (i = 0; i < SLOTS; i++) {
    u->in.data[i] = ep_alloc_raw(EP_BLOCK_SIZE);
    u->out.data[i] = ep_alloc_raw(EP_BLOCK_SIZE);
    if (!u->in.data[i] || !u->out.data[i])
      return ep_fail_memory(err);
  }
  memcpy(u->in.data[0], u->magic, u->magic_n);
  u->in.n[0] = u->magic_n;
  u->in.full = 1;
  sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &before);
  en = pthread_create(&u->thread, NULL, worker, u);
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (en != 0)
    return ep_fail_errno(err, en, "starting a thread to unpack the stream");
  u->started = true;
  u->mode = THREADED;
  return EP_OK;
}

static enum ep_status peek(struct unwrap *u, struct ep_err *err)
{
  while (u->magic_n < MAGIC && !u->inner_ended) {
    size_t n = 0;
    enum ep_status st =
        ep_source_read(u->inner, u->magic + u->magic_n, MAGIC - u->magic_n, &n, err);
    if (st == EP_EOF)
      u->inner_ended = true;
    else if (st != EP_OK)
      return st;
    u->magic_n += n;
  }
  if (wrapped(u->magic, u->magic_n))
    return start(u, err);
  u->mode = PLAIN;
  return EP_OK;
}

static enum ep_status read_plain(struct unwrap *u, void *buf, size_t cap, size_t *n,
                                 struct ep_err *err)
{
  size_t left = u->magic_n - u->magic_at;
  if (left == 0)
    return u->inner_ended ? EP_EOF : ep_source_read(u->inner, buf, cap, n, err);
  *n = left < cap ? left : cap;
  memcpy(buf, u->magic + u->magic_at, *n);
  u->magic_at += *n;
  return EP_OK;
}

/* Fills free input slots as far as there is input now. */
static enum ep_status feed(struct unwrap *u, struct ep_err *err)
{
  enum ep_status st = EP_OK;
  while (st == EP_OK && !u->inner_ended) {
    unsigned slot;
    size_t n = 0;
    pthread_mutex_lock(&u->lock);
    slot = (u->in.first + u->in.full) % SLOTS;
    bool full = u->in.full == SLOTS;
    pthread_mutex_unlock(&u->lock);
    if (full)
      break;
    st = ep_source_read(u->inner, u->in.data[slot], EP_BLOCK_SIZE, &n, err);
    if (st == EP_EOF)
      u->inner_ended = true;
    pthread_mutex_lock(&u->lock);
    if (st == EP_OK) {
      u->in.n[slot] = n;
      u->in.full++;
    }
    u->in.ended = u->inner_ended;
    pthread_cond_signal(&u->changed);
    pthread_mutex_unlock(&u->lock);
  }
  return st == EP_ERR ? EP_ERR : EP_OK;
}

static enum ep_status take(struct unwrap *u, void *buf, size_t cap, size_t *n,
                           struct ep_err *err)
{
  enum ep_status st = EP_AGAIN;
  size_t left;
  pthread_mutex_lock(&u->lock);
  if (u->out.full > 0) {
    unsigned slot = u->out.first;
    left = u->out.n[slot] - u->out_at;
    *n = left < cap ? left : cap;
    memcpy(buf, u->out.data[slot] + u->out_at, *n);
    u->out_at += *n;
    if (*n == left) {
      u->out_at = 0;
      u->out.first = (slot + 1) % SLOTS;
      u->out.full--;
      pthread_cond_signal(&u->changed);
    }
    st = EP_OK;
  } else if (u->failed) {
    *err = u->err;
    st = EP_ERR;
  } else if (u->out.ended) {
    st = EP_EOF;
  }
  pthread_mutex_unlock(&u->lock);
  return st;
}

/* The wrapped stream is over: nothing may follow it, and whoever writes it must see its
** bytes taken to the last. */
static enum ep_status drain(struct unwrap *u, struct ep_err *err)
{
  unsigned char surplus;
  size_t n;
  enum ep_status st =
      u->inner_ended ? EP_EOF : ep_source_read(u->inner, &surplus, 1, &n, err);
  if (st == EP_EOF)
    u->inner_ended = true;
  return st == EP_OK ? ep_fail(err, "invalid", "bytes follow the packed stream") : st;
}

static enum ep_status unwrap_read(struct ep_source *s, void *buf, size_t cap, size_t *n,
                                  struct ep_err *err)
{
  struct unwrap *u = (struct unwrap *)s;
  enum ep_status st = u->mode == PEEKING ? peek(u, err) : EP_OK;
  if (st != EP_OK)
    return st;
  if (u->mode == PLAIN)
    return read_plain(u, buf, cap, n, err);
  st = feed(u, err);
  if (st == EP_OK)
    st = take(u, buf, cap, n, err);
  return st == EP_EOF ? drain(u, err) : st;
}

static void unwrap_arm(struct ep_source *s, struct ep_loop *loop, struct ep_task *task)
{
  struct unwrap *u = (struct unwrap *)s;
  bool room = u->mode != THREADED;
  if (u->mode == THREADED) {
    pthread_mutex_lock(&u->lock);
    room = u->in.full < SLOTS || u->out.ended;
    u->task = NULL;
    if (u->loop != loop) {
      ep_release(u->loop);
      u->loop = loop ? ep_retain(loop) : NULL;
    }
    if (task && (u->out.full > 0 || (u->out.ended && u->inner_ended)))
      ep_loop_ready(loop, task);
    else
      u->task = task;
    pthread_mutex_unlock(&u->lock);
  }
  if (!task || (room && !u->inner_ended))
    ep_source_arm(u->inner, loop, task);
}

static void unwrap_close(struct ep_source *s)
{
  struct unwrap *u = (struct unwrap *)s;
  int i;
  pthread_mutex_lock(&u->lock);
  u->abandoned = true;
  u->task = NULL;
  pthread_cond_signal(&u->changed);
  pthread_mutex_unlock(&u->lock);
  if (u->started)
    (void)pthread_join(u->thread, NULL);
  for (i = 0; i < SLOTS; i++) {
    ep_free(u->in.data[i]);
    ep_free(u->out.data[i]);
  }
  ep_release(u->loop);
  ep_source_drop(u->inner);
}

static void unwrap_destroy(void *self)
{
  struct unwrap *u = self;
  ep_source_close(&u->base);
  pthread_cond_destroy(&u->changed);
  pthread_mutex_destroy(&u->lock);
}

static const struct ep_source_type unwrap_type = {
    .name = "unpacked stream",
    .read = unwrap_read,
    .arm = unwrap_arm,
    .close = unwrap_close,
};

struct ep_source *ep_unwrap_new(struct ep_host *host, struct ep_source *inner,
                                struct ep_err *err)
{
  struct unwrap *u = ep_source_new(host, &unwrap_type, sizeof *u);
  if (!u) {
    (void)ep_fail_memory(err);
    return NULL;
  }
  u->base.obj.destroy = unwrap_destroy;
  pthread_mutex_init(&u->lock, NULL);
  pthread_cond_init(&u->changed, NULL);
  u->inner = ep_source_adopt(inner);
  return &u->base;
}
