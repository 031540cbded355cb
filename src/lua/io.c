/* Sources and sinks as Lua values: where bytes can come from and go to, without becoming
** strings. `read` and `write` are for small things and for tests; flows move the rest. */
#include "lep.h"

#include "../base/file.h"
#include "../base/loop.h"
#include "../base/tap.h"
#include "options.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum {
  READ_MAX = 1024 * 1024,
  DENSE_BLOCK = 4096,
  DENSE_BLOCK_MAX = 16 * 1024 * 1024,
  DENSE_PIECES = 65536
};

/* ---- making them ---- */

/* core.bytes(string) */
static int core_bytes(lua_State *L)
{
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n);
  struct lep_handle *h = lep_new(L, LEP_SOURCE);
  struct ep_err err;
  return lep_givesource(L, h, ep_source_bytes(lep_host(L), s, n), lep_nomemory(&err));
}

/* core.file(path[, {offset=, length=}]) */
static int core_file(lua_State *L)
{
  static const char *const known[] = {"offset", "length", NULL};
  const char *path = lep_checkpath(L, 1);
  int t = lep_options(L, 2, true, known);
  int64_t offset = lep_optsize(L, t, "offset", 0);
  int64_t length = lep_optsize(L, t, "length", -1);
  struct lep_handle *h = lep_new(L, LEP_SOURCE);
  struct ep_err err;
  return lep_givesource(L, h, ep_source_file(lep_host(L), path, offset, length, &err),
                        &err);
}

/* core.fd_source(fd[, own]) */
static int core_fd_source(lua_State *L)
{
  int fd = lep_checkfd(L, 1);
  bool own = lua_toboolean(L, 2);
  struct lep_handle *h = lep_new(L, LEP_SOURCE);
  struct ep_err err;
  return lep_givesource(L, h, ep_source_fd(lep_host(L), fd, own, &err), &err);
}

/* core.fd_sink(fd[, own]) */
static int core_fd_sink(lua_State *L)
{
  int fd = lep_checkfd(L, 1);
  bool own = lua_toboolean(L, 2);
  struct lep_handle *h = lep_new(L, LEP_SINK);
  struct ep_err err;
  return lep_givesink(L, h, ep_sink_fd(lep_host(L), fd, own, &err), &err);
}

/* core.pipe() -> source, sink: the two ends of a pipe of this process */
static int core_pipe(lua_State *L)
{
  struct lep_handle *out = lep_new(L, LEP_SOURCE);
  struct lep_handle *in = lep_new(L, LEP_SINK);
  struct ep_source *source;
  struct ep_sink *sink;
  struct ep_err err;
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) < 0) {
    (void)ep_fail_errno(&err, errno, "making a pipe");
    return lep_fail(L, &err);
  }
  source = ep_source_fd(lep_host(L), fds[0], true, &err);
  if (!source) {
    (void)close(fds[1]);
    return lep_fail(L, &err);
  }
  lep_setsource(out, source);
  sink = ep_sink_fd(lep_host(L), fds[1], true, &err);
  if (!sink)
    return lep_fail(L, &err);
  lep_setsink(in, sink);
  return 2;
}

/* core.create(path[, {mode=, replace=, sync=}]): a file that appears when it is finished */
static int core_create(lua_State *L)
{
  static const char *const known[] = {"mode", "replace", "sync", NULL};
  const char *path = lep_checkpath(L, 1);
  int t = lep_options(L, 2, true, known);
  int64_t mode = lep_optsize(L, t, "mode", -1);
  unsigned how = 0;
  if (mode > 0777)
    luaL_argerror(L, t, "option 'mode': permission bits expected");
  if (lep_optbool(L, t, "replace", true))
    how |= EP_FILE_REPLACE;
  if (!lep_optbool(L, t, "sync", true))
    how |= EP_FILE_NO_SYNC;
  struct lep_handle *h = lep_new(L, LEP_SINK);
  struct ep_err err;
  unsigned bits = mode < 0 ? EP_FILE_MODE_UMASK : (unsigned)mode;
  return lep_givesink(L, h, ep_sink_file(lep_host(L), path, bits, how, &err), &err);
}

/* core.collect(max): keeps at most max bytes; sink:bytes() gives them */
static int core_collect(lua_State *L)
{
  int64_t max = lep_checksize(L, 1);
  struct lep_handle *h = lep_new(L, LEP_SINK);
  struct ep_err err;
  return lep_givesink(L, h, ep_sink_collect(lep_host(L), (size_t)max),
                      lep_nomemory(&err));
}

/* core.null() */
static int core_null(lua_State *L)
{
  struct lep_handle *h = lep_new(L, LEP_SINK);
  struct ep_err err;
  return lep_givesink(L, h, ep_sink_null(lep_host(L)), lep_nomemory(&err));
}

/* core.tap(next|nil[, {size=, limit=, digest=, hash=, what=}]) */
static int core_tap(lua_State *L)
{
  static const char *const known[] = {"size", "limit", "digest", "hash", "what", NULL};
  struct ep_sink *next = lua_isnoneornil(L, 1) ? NULL : lep_checksink(L, 1);
  int t = lep_options(L, 2, true, known);
  struct ep_gauge gauge;
  unsigned algs = lep_optalgs(L, t, "hash");
  lep_optgauge(L, t, &gauge);
  struct lep_handle *h = lep_new(L, LEP_SINK);
  struct ep_err err;
  return lep_givesink(L, h, ep_tap_new(lep_host(L), &gauge, algs, next, &err), &err);
}

/* core.zstd(next[, {level=}]) */
static int core_zstd(lua_State *L)
{
  static const char *const known[] = {"level", NULL};
  struct ep_sink *next = lep_checksink(L, 1);
  int t = lep_options(L, 2, true, known);
  int64_t level = lep_optsize(L, t, "level", 3);
  if (level < 1 || level > 22)
    luaL_argerror(L, t, "option 'level': 1 to 22 expected");
  struct lep_handle *h = lep_new(L, LEP_SINK);
  struct ep_err err;
  return lep_givesink(L, h, ep_zstd_compress(lep_host(L), (int)level, next, &err), &err);
}

/* core.unzstd(next[, {limit=}]) */
static int core_unzstd(lua_State *L)
{
  static const char *const known[] = {"limit", NULL};
  struct ep_sink *next = lep_checksink(L, 1);
  int t = lep_options(L, 2, true, known);
  int64_t limit = lep_optsize(L, t, "limit", -1);
  struct lep_handle *h = lep_new(L, LEP_SINK);
  struct ep_err err;
  return lep_givesink(L, h, ep_zstd_expand(lep_host(L), limit, next, &err), &err);
}

/* core.dense(next[, {block=, pieces=}]): leaves out blocks of zeros */
static int core_dense(lua_State *L)
{
  static const char *const known[] = {"block", "pieces", NULL};
  struct ep_sink *next = lep_checksink(L, 1);
  int t = lep_options(L, 2, true, known);
  int64_t block = lep_optsize(L, t, "block", DENSE_BLOCK);
  int64_t pieces = lep_optsize(L, t, "pieces", DENSE_PIECES);
  if (block < 1 || block > DENSE_BLOCK_MAX)
    luaL_argerror(L, t, "option 'block': 1 to 16777216 expected");
  if (pieces < 1 || pieces > DENSE_PIECES)
    luaL_argerror(L, t, "option 'pieces': 1 to 65536 expected");
  struct lep_handle *h = lep_new(L, LEP_SINK);
  struct ep_err err;
  return lep_givesink(
      L, h, ep_dense_new(lep_host(L), (size_t)block, (size_t)pieces, next, &err), &err);
}

/* ---- sources ---- */

/* source:read(max) -> string | false at the end | nil, message, code */
static int source_read(lua_State *L)
{
  struct ep_source *s = lep_checksource(L, 1);
  int64_t max = lep_checksize(L, 2);
  size_t cap = max > READ_MAX ? READ_MAX : (size_t)max;
  struct ep_err err;
  size_t n = 0;
  if (cap == 0)
    luaL_argerror(L, 2, "at least 1 expected");
  void *buf = lep_newuserdata(L, cap);
  enum ep_status st = ep_source_read(s, buf, cap, &n, &err);
  if (st != EP_OK)
    return lep_not_ok(L, st, &err);
  lua_pushlstring(L, buf, n);
  return 1;
}

/* source:arm(loop): wakes the loop when reading again makes sense; so does sink:arm */
static int source_arm(lua_State *L)
{
  struct ep_source *s = lep_checksource(L, 1);
  struct ep_loop *loop = lep_check(L, 2, LEP_LOOP);
  ep_source_arm(s, loop, ep_loop_nudge(loop));
  return 0;
}

static int sink_arm(lua_State *L)
{
  struct ep_sink *s = lep_checksink(L, 1);
  struct ep_loop *loop = lep_check(L, 2, LEP_LOOP);
  ep_sink_arm(s, loop, ep_loop_nudge(loop));
  return 0;
}

static int source_total(lua_State *L)
{
  struct ep_source *s = lep_checksource(L, 1);
  int64_t n = ep_source_total(s);
  if (n < 0)
    lua_pushnil(L);
  else
    lep_pushsize(L, n);
  return 1;
}

static int source_rewind(lua_State *L)
{
  struct ep_source *s = lep_checksource(L, 1);
  struct ep_err err;
  if (ep_source_rewind(s, &err) != EP_OK)
    return lep_fail(L, &err);
  lua_settop(L, 1);
  return 1;
}

/* source:slice(offset, length): a part, as a source of its own */
static int source_slice(lua_State *L)
{
  struct ep_source *s = lep_checksource(L, 1);
  int64_t offset = lep_checksize(L, 2);
  int64_t length = lep_checksize(L, 3);
  struct lep_handle *h = lep_new(L, LEP_SOURCE);
  struct ep_err err;
  return lep_givesource(L, h, ep_source_slice(s, offset, length, &err), &err);
}

/* ---- sinks ---- */

/* sink:write(string) -> how many bytes it took | nil, message, code */
static int sink_write(lua_State *L)
{
  struct ep_sink *s = lep_checksink(L, 1);
  size_t n, taken = 0;
  const char *p = luaL_checklstring(L, 2, &n);
  struct ep_span span = {(const unsigned char *)p, n, NULL};
  struct ep_err err;
  enum ep_status st = n == 0 ? EP_OK : ep_sink_write(s, &span, &taken, &err);
  if (st != EP_OK)
    return lep_not_ok(L, st, &err);
  lep_pushsize(L, (int64_t)taken);
  return 1;
}

static int sink_finish(lua_State *L)
{
  struct ep_sink *s = lep_checksink(L, 1);
  struct ep_err err;
  return lep_done(L, ep_sink_finish(s, &err), &err);
}

/* sink:bytes(): what a collector has */
static int sink_bytes(lua_State *L)
{
  struct ep_sink *s = lep_checksink(L, 1);
  size_t n;
  const unsigned char *p = ep_sink_collected(s, &n);
  if (!p)
    luaL_argerror(L, 1, "a sink made by core.collect expected");
  lua_pushlstring(L, (const char *)p, n);
  return 1;
}

static struct ep_sink *check_tap(lua_State *L)
{
  struct ep_sink *s = lep_checksink(L, 1);
  if (!ep_is_tap(s))
    luaL_argerror(L, 1, "a sink made by core.tap expected");
  return s;
}

/* sink:seen(): how many bytes have passed a tap */
static int sink_seen(lua_State *L)
{
  lep_pushsize(L, ep_tap_seen(check_tap(L)));
  return 1;
}

/* sink:digest([alg]): of what has passed a tap */
static int sink_digest(lua_State *L)
{
  struct ep_sink *s = check_tap(L);
  const char *name = luaL_optstring(L, 2, "sha256");
  char text[EP_DIGEST_TEXT_MAX];
  struct ep_digest d;
  if (!ep_tap_digest(s, ep_digest_alg(name, strlen(name)), &d))
    luaL_argerror(L, 2, "this tap does not compute that digest");
  ep_digest_format(&d, text);
  lua_pushstring(L, text);
  return 1;
}

/* sink:extents() -> {{offset=, length=}, …}, size: what a dense sink has not left out */
static int sink_extents(lua_State *L)
{
  struct ep_sink *s = lep_checksink(L, 1);
  const struct ep_extent *extents;
  int64_t size;
  size_t n;
  if (!ep_is_dense(s))
    luaL_argerror(L, 1, "a sink made by core.dense expected");
  extents = ep_dense_extents(s, &n, &size);
  lep_pushextents(L, extents, n);
  lep_pushsize(L, size);
  return 2;
}

static const luaL_Reg source_methods[] = {
    {"read", source_read},     {"arm", source_arm},     {"total", source_total},
    {"rewind", source_rewind}, {"slice", source_slice}, {NULL, NULL},
};

static const luaL_Reg sink_methods[] = {
    {"write", sink_write},     {"arm", sink_arm},   {"finish", sink_finish},
    {"bytes", sink_bytes},     {"seen", sink_seen}, {"digest", sink_digest},
    {"extents", sink_extents}, {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"bytes", core_bytes},
    {"file", core_file},
    {"fd_source", core_fd_source},
    {"fd_sink", core_fd_sink},
    {"pipe", core_pipe},
    {"create", core_create},
    {"collect", core_collect},
    {"null", core_null},
    {"tap", core_tap},
    {"zstd", core_zstd},
    {"unzstd", core_unzstd},
    {"dense", core_dense},
    {NULL, NULL},
};

void lep_open_io(lua_State *L)
{
  lep_class(L, LEP_SOURCE, source_methods);
  lep_class(L, LEP_SINK, sink_methods);
  lep_setfuncs(L, functions);
}
